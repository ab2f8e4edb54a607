"""ConFEDE, contrastive feature decomposition (Yang et al., ACL 2023).

Reimplemented from its abstract, and from what the authors' published code and configuration for
CMU-MOSI do. None of that code is copied, and no weights were compared:

- Audio and vision are encoded by Transformers, each modality is decomposed into a similar and a
  dissimilar feature, and a network predicts from all features together.
- A contrastive loss is centred on the text: its similar feature is to be near those of the other
  modalities, and far from all dissimilar ones. Similar features are to be near those of similar
  utterances with the same label, and far from those of others (`hycon.networks.peers.contrast`).
- A second network, the same for all features, predicts the label from each of them.

It differs from the authors' network and training as follows:

- Text states are given, and their mean is decomposed. The authors decompose the output of BERT's
  pooler, and have fine-tuned BERT on the text alone and frozen it.
- Audio and vision are encoded from scratch. The authors train each encoder on its modality alone
  first. Layer norms come before the sublayers, not after them, and padding takes no part in the
  mean over the steps. Dropout is on the outputs of sublayers and on the features; the authors also
  have it on embedded steps, attention weights and hidden units. At most 50 steps are read, where
  they read up to 375 of audio and 500 of vision.
- Neighbours are those of the same batch, compared by the encodings of this training step. The
  authors draw 2 of the 10 nearest or farthest in the training fold, compared by encodings that they
  update every two epochs. So a step costs no other utterances.
- Emotions have one output for each class, their classes make the pairs, and the second network has
  the cross-entropy. The authors have scores only, which are rounded to make the pairs.
"""

import itertools

import torch
from torch import Tensor, nn

from hycon.networks.hycon import Dropout, Output
from hycon.networks.packing import PaddedBatch, pooled
from hycon.networks.peers.attention import Embedding, Layer
from hycon.networks.peers.contrast import decomposition_loss, neighbours
from hycon.networks.peers.steps import cut


class ConFede(nn.Module):
    """The network of ConFEDE, with its contrastive and unimodal losses.

    Args:
        widths: number of features per step, by modality; "text" is among them.
        outputs: 1 for a score, or the number of classes.
        longest: number of steps that are read, by modality.
        dimension: width of the encodings of audio and vision, and twice that of a feature; None for
            the text's width, rounded down to a multiple of twice the heads.
        heads: heads of the Transformers.
        layers: their layers.
        dropout: probability, in the Transformers and on the features.
        temperature: of the contrastive loss.
        neighbours: neighbours of each kind of an utterance, of which there are three.
        contrastive_weight, unimodal_weight: of the two losses.
    """

    def __init__(
        self,
        widths: dict[str, int],
        outputs: int,
        longest: dict[str, int],
        *,
        dimension: int | None,
        heads: int,
        layers: int,
        dropout: float,
        temperature: float,
        neighbours: int,
        contrastive_weight: float,
        unimodal_weight: float,
    ) -> None:
        super().__init__()
        self.longest, self.temperature, self.neighbours = longest["text"], temperature, neighbours
        self.contrastive_weight, self.unimodal_weight = contrastive_weight, unimodal_weight
        d = dimension or max(1, widths["text"] // (2 * heads)) * 2 * heads
        self.encoders = nn.ModuleDict(
            {
                name: Embedding(
                    width, longest[name], 1, 0.0,
                    [Layer(d, heads, d, dropout) for _ in range(layers)],
                )
                for name, width in widths.items() if name != "text"
            }
        )  # fmt: skip
        self.norms = nn.ModuleDict({name: nn.LayerNorm(d) for name in self.encoders})
        half = d // 2
        names = ["text", *self.encoders]
        self.similar, self.dissimilar = (
            nn.ModuleDict(
                {
                    name: nn.Sequential(
                        nn.LayerNorm(d if name in self.encoders else widths["text"]),
                        nn.Linear(d if name in self.encoders else widths["text"], half),
                        nn.Tanh(),
                        Dropout(dropout),
                    )
                    for name in names
                }
            )
            for _ in range(2)
        )
        narrow = [max(1, half // 2), max(1, half // 4)]
        self.decoder = _layers([2 * len(names) * half, 2 * half, half, *narrow])
        self.head = nn.Linear(narrow[-1], outputs)
        self.unimodal = nn.Sequential(_layers([half, *narrow]), nn.Linear(narrow[-1], outputs))
        self._seen: tuple[Tensor, Tensor, Tensor] | None = None

    def forward(self, batch: dict[str, PaddedBatch]) -> Output:
        """Return predictions, with both features of each modality as its representation.

        `fused` is the input of the last layer.

        Args:
            batch: padded batch by modality.
        """
        encoded = {"text": pooled(cut(batch["text"], self.longest), "mean")}
        for name, encode in self.encoders.items():
            states, lengths = encode(batch[name])
            encoded[name] = pooled(PaddedBatch(self.norms[name](states), lengths), "mean")
        similar, dissimilar = (
            torch.stack([parts[name](each) for name, each in encoded.items()])  # (M, K, d / 2)
            for parts in (self.similar, self.dissimilar)
        )
        self._seen = None
        if self.training:
            self._seen = torch.cat(list(encoded.values()), dim=1), similar, dissimilar
        fused = self.decoder(torch.cat([*similar, *dissimilar], dim=1))
        both = torch.cat([similar, dissimilar], dim=2)
        representations = dict(zip(encoded, both, strict=True))
        return Output(representations, fused, self.head(fused))

    def auxiliary_loss(self, labels: Tensor) -> Tensor | None:
        """Return the weighted sum of both losses in the last training pass, once; else None.

        Args:
            labels: (K,) float scores, or int64 classes, of the utterances of this pass.
        """
        if self._seen is None:
            return None
        (encodings, similar, dissimilar), self._seen = self._seen, None
        scores = labels.is_floating_point()
        classes = labels.round() if scores else labels
        pairs = neighbours(encodings, classes, self.neighbours)
        contrastive = decomposition_loss(similar, dissimilar, *pairs, self.temperature)
        predicted = self.unimodal(torch.cat([*similar, *dissimilar]))
        targets = labels.repeat(2 * len(similar))
        unimodal = (
            nn.functional.mse_loss(predicted.squeeze(1), targets)
            if scores
            else nn.functional.cross_entropy(predicted, targets)
        )
        return self.contrastive_weight * contrastive + self.unimodal_weight * unimodal


def _layers(widths: list[int]) -> nn.Sequential:
    """Return linear layers of these widths, each with GELU."""
    return nn.Sequential(
        *(
            layer
            for before, after in itertools.pairwise(widths)
            for layer in (nn.Linear(before, after), nn.GELU())
        )
    )
