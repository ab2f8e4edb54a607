"""A pretrained Transformer as a module: token numbers in, states out."""

import torch
from torch import Tensor, nn

# Utterances of like length that go through the model together on a CPU: of the 32 of a batch, most
# are short, and padded to the longest half of the work would be padding.
CHUNK = 8


class LanguageModel(nn.Module):
    """Last hidden states of tokens; frozen (and without dropout) if no parameter is trained.

    Args:
        model: a transformers model with `last_hidden_state`.
        inputs: which of its inputs the columns of the tokens are.
        chunk: utterances that go through the model at once on a CPU; as many as a batch has, where
            those of a batch are of like lengths already.

    `precision` is "float32" or "bfloat16": of the model's matrix products, by autocast. Weights,
    their gradients and the states given are float32 in both.
    """

    precision = "float32"

    def __init__(self, model: nn.Module, inputs: tuple[str, ...], chunk: int = CHUNK) -> None:
        super().__init__()
        self.chunk = chunk
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # weights that no state depends on
        self.model = model
        self.inputs = inputs
        self.width = model.config.hidden_size

    def train(self, mode: bool = True) -> "LanguageModel":
        return super().train(mode and any(p.requires_grad for p in self.parameters()))

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return the states (K, T, H) of tokens (K, T, I) int64; 0 in the padding.

        An utterance's states do not depend on its padding nor on the others of the batch.
        """
        order = lengths.argsort(stable=True)
        states = []
        half = self.precision == "bfloat16"
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=half):
            for chunk in order.split(self.chunk if tokens.device.type == "cpu" else len(order)):
                longest = int(lengths[chunk].max())
                valid = torch.arange(longest, device=tokens.device) < lengths[chunk, None]
                columns = tokens[chunk, :longest].unbind(2)
                hidden = self.model(
                    **dict(zip(self.inputs, columns, strict=True)), attention_mask=valid.long()
                ).last_hidden_state
                hidden = hidden.float() * valid[..., None]
                states.append(nn.functional.pad(hidden, (0, 0, 0, tokens.shape[1] - longest)))
        return torch.cat(states)[order.argsort()]
