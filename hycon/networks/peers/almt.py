"""ALMT, the Adaptive Language-guided Multimodal Transformer (Zhang et al., EMNLP 2023).

Reimplemented from its abstract, and from what the authors' published code and configuration for
CMU-MOSI do. None of that code is copied, and no weights were compared:

- Each modality is embedded by a Transformer over its steps and a few learned tokens, which are all
  that is kept of it.
- Transformer layers turn the tokens of the text into states at several scales.
- At each scale, Adaptive Hyper-modality Learning adds to the hyper-modality, which starts from
  learned tokens, what the text's states find by attention in audio and in vision.
- A cross-modal Transformer, in which a learned token attends to the hyper-modality, and a linear
  layer on this token predict. The authors' code has the text behind the token. There it changes
  nothing, because no state attends to the text, so it is left out.

It differs from the authors' network as follows:

- Text states are given. The authors fine-tune BERT with the network. At most 50 steps are read,
  where they read up to 375 of audio and 500 of vision.
- Heads split the width of the states, 128, to 16 each. This is what the configuration has for
  Adaptive Hyper-modality Learning; in the Transformers, the authors' code has 64 for each.
- Padding takes no part. The authors' attention reads it like other steps.
- Keys and values share a layer norm, and in self-attention queries do too. The authors' code has
  one for each, and also normalises the hyper-modality before each sum.
- Without audio or vision, the hyper-modality is learned from the other. With text alone, it is
  learned from the text, because predictions depend on the text through the hyper-modality only.
- Emotions have one output for each class. The authors have scores only.
"""

import torch
from torch import Tensor, nn

from hycon.networks.hycon import Output
from hycon.networks.packing import PaddedBatch
from hycon.networks.peers.attention import Embedding, Layer, attend


class Almt(nn.Module):
    """The network of ALMT.

    Args:
        widths: number of features per step, by modality; "text" is among them.
        outputs: 1 for a score, or the number of classes.
        longest: number of steps that are read, by modality.
        dimension: width of all states, d.
        tokens: number of tokens that a modality is embedded in.
        layers: Transformer layers of each embedding.
        scales: scales of the text, each with a layer of Adaptive Hyper-modality Learning.
        fusion_layers: layers of the cross-modal Transformer.
        heads: heads of every attention, which divide d.
        hidden: width of the hidden layers of the Transformers.
        dropout: probability, on the output of each sublayer.
    """

    def __init__(
        self,
        widths: dict[str, int],
        outputs: int,
        longest: dict[str, int],
        *,
        dimension: int,
        tokens: int,
        layers: int,
        scales: int,
        fusion_layers: int,
        heads: int,
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()

        def stack(count: int, cross: bool = False) -> list[Layer]:
            return [Layer(dimension, heads, hidden, dropout, cross) for _ in range(count)]

        self.embed = nn.ModuleDict(
            {
                name: Embedding(width, longest[name], tokens, 1.0, stack(layers))
                for name, width in widths.items()
            }
        )
        self.text_positions = nn.Parameter(torch.randn(tokens, dimension))
        self.text_layers = nn.ModuleList(stack(scales - 1))
        self.hyper = nn.Parameter(torch.ones(tokens, dimension))
        others = [name for name in widths if name != "text"] or ["text"]
        self.hyper_layers = nn.ModuleList(
            HyperModality(dimension, heads, others) for _ in range(scales)
        )
        self.token = nn.Parameter(torch.zeros(1, dimension))
        self.token_position = nn.Parameter(torch.randn(1, dimension))
        self.hyper_positions = nn.Parameter(torch.randn(1 + tokens, dimension))
        self.fusion = nn.ModuleList(stack(fusion_layers, cross=True))
        self.head = nn.Linear(dimension, outputs)

    def forward(self, batch: dict[str, PaddedBatch]) -> Output:
        """Return predictions, with the means of each modality's tokens as representations.

        `fused` is the state of the token that the prediction is made from.

        Args:
            batch: padded batch by modality.
        """
        embedded = {
            name: embed(batch[name], tokens_only=True).values  # (K, tokens, d)
            for name, embed in self.embed.items()
        }
        scales = [embedded["text"] + self.text_positions]
        for layer in self.text_layers:
            scales.append(layer(scales[-1]))
        hyper = self.hyper
        for text, layer in zip(scales, self.hyper_layers, strict=True):
            hyper = layer(hyper, text, embedded)
        token = self.token.expand(len(hyper), -1, -1)
        read = torch.cat([token, hyper], dim=1) + self.hyper_positions
        state = token + self.token_position
        for layer in self.fusion:
            state = layer(state, others=read)
        fused = state[:, 0]
        means = {name: each.mean(dim=1) for name, each in embedded.items()}
        return Output(means, fused, self.head(fused))


class HyperModality(nn.Module):
    """A layer of Adaptive Hyper-modality Learning.

    Args:
        dimension: width of all states, d.
        heads: heads of the attention to each modality.
        others: the modalities that the text attends to.
    """

    def __init__(self, dimension: int, heads: int, others: list[str]) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dimension)
        self.norms = nn.ModuleDict({name: nn.LayerNorm(dimension) for name in others})
        self.query = nn.Linear(dimension, dimension, bias=False)
        self.key_value = nn.ModuleDict(
            {name: nn.Linear(dimension, 2 * dimension, bias=False) for name in others}
        )
        self.out = nn.Linear(dimension, dimension)

    def forward(self, hyper: Tensor, text: Tensor, embedded: dict[str, Tensor]) -> Tensor:
        """Return the hyper-modality (K, tokens, d) with what the text finds added to it.

        Args:
            hyper: (K, tokens, d), or (tokens, d) for all.
            text: (K, tokens, d), the text at the scale of this layer.
            embedded: (K, tokens, d) by modality.
        """
        query = self.query(self.norm(text))
        found = [
            attend(query, read(self.norms[name](embedded[name])), self.heads)
            for name, read in self.key_value.items()
        ]
        return hyper + self.out(torch.stack(found).sum(dim=0))
