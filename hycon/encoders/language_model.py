"""A pretrained Transformer as a module: token numbers or lower states in, states out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hycon.errors import HyConError

# Utterances of like length that go through the model together on a CPU: of the 32 of a batch, most
# are short, and padded to the longest half of the work would be padding.
CHUNK = 8

# changes the states (n, T, H) of the utterances `rows` (n,) of a batch; T is at most its longest
Gate = Callable[[Tensor, Tensor], Tensor]


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

    def requires_grad_(self, requires_grad: bool = True) -> "LanguageModel":
        super().requires_grad_(requires_grad)
        if isinstance(getattr(self.model, "embeddings", None), _GivenStates):
            for name, part in self.model.encoder.named_children():
                if (
                    name != "layer"
                ):  # the relative positions of MPNet, which the frozen layers share
                    part.requires_grad_(False)
        return self

    def train(self, mode: bool = True) -> "LanguageModel":
        return super().train(mode and any(p.requires_grad for p in self.parameters()))

    def forward(self, tokens: Tensor, lengths: Tensor, gate: Gate | None = None) -> Tensor:
        """Return the states (K, T, H) of tokens (K, T, I) int64, or of states (K, T, H) of the
        frozen layers; 0 in the padding.

        An utterance's states do not depend on its padding nor on the others of the batch.

        Args:
            tokens, lengths: of the batch.
            gate: changes the states after the embeddings, or those of the frozen layers.

        Raises:
            HyConError: there is a gate, and the model has another structure than BERT.
        """
        order = lengths.argsort(stable=True)
        states = []
        half = self.precision == "bfloat16"
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=half):
            for chunk in order.split(self.chunk if tokens.device.type == "cpu" else len(order)):
                longest = int(lengths[chunk].max())
                valid = torch.arange(longest, device=tokens.device) < lengths[chunk, None]
                part = tokens[chunk, :longest]
                if part.is_floating_point():
                    inputs = {"inputs_embeds": part}
                else:
                    inputs = dict(zip(self.inputs, part.unbind(2), strict=True))
                with self._gated(gate, chunk):
                    hidden = self.model(**inputs, attention_mask=valid.long()).last_hidden_state
                hidden = hidden.float() * valid[..., None]
                states.append(nn.functional.pad(hidden, (0, 0, 0, tokens.shape[1] - longest)))
        return torch.cat(states)[order.argsort()]

    @contextmanager
    def _gated(self, gate: Gate | None, rows: Tensor) -> Iterator[None]:
        """Put a gate after the embeddings, for the utterances `rows` (n,) of a batch."""
        if gate is None:
            yield
            return
        _check_structure(self.model, "a gate after the embeddings", "take a BERT or MPNet")
        hook = self.model.embeddings.register_forward_hook(lambda _, __, out: gate(out, rows))
        try:
            yield
        finally:
            hook.remove()


class _GivenStates(nn.Module):
    """Takes the place of embeddings where the states of lower layers are given."""

    def forward(self, inputs_embeds: Tensor, **_) -> Tensor:
        return inputs_embeds


def lower_layers(model: nn.Module, count: int) -> nn.Module:
    """Cut a model after its lowest `count` layers, in place.

    Raises:
        HyConError: the model has fewer layers, or another structure than BERT.
    """
    _check_layers(model, count)
    model.encoder.layer = model.encoder.layer[:count]
    return model


def upper_layers(model: nn.Module, count: int) -> nn.Module:
    """Remove the embeddings and the lowest `count` layers, in place; the input is their states.

    Raises:
        HyConError: the model has fewer layers, or another structure than BERT.
    """
    _check_layers(model, count)
    model.embeddings = _GivenStates()
    model.encoder.layer = model.encoder.layer[count:]
    return model


def _check_layers(model: nn.Module, count: int) -> None:
    """Refuse models whose states are not those of the last of `encoder.layer`."""
    _check_structure(model, "frozen_layers", "set it to 0")
    if count >= (layers := len(model.encoder.layer)):
        raise HyConError(
            f"frozen_layers: {count}, but the model has {layers} layers, at least one of which is "
            "trained; lower it"
        )


def _check_structure(model: nn.Module, asked: str, remedy: str) -> None:
    """Refuse models that are not embeddings and an encoder with `layer`."""
    parts = {name for name, _ in model.named_children()}
    inner = {name for name, _ in getattr(model, "encoder", nn.Module()).named_children()}
    like_bert = {"embeddings", "encoder"} <= parts <= {"embeddings", "encoder", "pooler"}
    if not (like_bert and {"layer"} <= inner <= {"layer", "relative_attention_bias"}):
        raise HyConError(
            f"{asked}: {model.config.model_type} has another structure than BERT and MPNet; "
            f"{remedy}"
        )
