"""Custom networks, in place of the HyCon network. `Network` is what such a class has.

Peers that are reimplemented here are such classes too; their settings are in `hycon.params.peers`.
Other code is imported only if its digest is that in the settings of the run, which come from
`networks` in the parameters or from an entry point.
"""

import contextlib
import hashlib
import importlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from hycon.errors import HyConError
from hycon.logs import log
from hycon.networks.hycon import HyCon, Output, TrainableNetwork, read_tokens
from hycon.networks.packing import PaddedBatch, pooled
from hycon.networks.peers import Peer, running_statistics
from hycon.networks.peers.almt import Almt
from hycon.networks.peers.confede import ConFede
from hycon.params import OwnNetwork, Reimplemented
from hycon.params.own import locate


class Network(Protocol):
    """What the class of a network has, besides being an `nn.Module`. It need not name this one."""

    def __init__(
        self, widths: dict[str, int], outputs: int, longest: dict[str, int], **settings: Any
    ) -> None:
        """Make the network; the seed is set before.

        Args:
            widths: number of features per step, by modality; only those that it reads.
            outputs: 1 for a score, or the number of classes.
            longest: number of steps of the corpus's longest utterance, by modality.
            settings: those of the variant.
        """

    def forward(self, batch: dict[str, PaddedBatch]) -> Tensor | Output:
        """Return scores (K,) or (K, 1), or logits (K, C); an `Output` to give representations too.

        Args:
            batch: by modality, values (K, T, D) float32 and lengths (K,) int64. Values beyond an
                utterance's length are arbitrary, and predictions must not depend on them.
        """

    def auxiliary_loss(self, labels: Tensor) -> Tensor | None:
        """Return what is added to the loss of the last training pass; the method is optional.

        Args:
            labels: of the batch, (K,) float scores or int64 classes.
        """


REIMPLEMENTED: dict[str, type[nn.Module]] = {"almt": Almt, "confede": ConFede}


class Own(TrainableNetwork):
    """Wrap a custom network, or a peer reimplemented here, in the interface of HyCon.

    Args:
        widths: number of features per step, by modality.
        outputs: 1 for a score, or the number of classes.
        settings: which class, and its keyword arguments. A reimplemented peer reads all
            modalities in `widths`.
        longest: number of steps of the corpus's longest utterance, by modality.
        language_model: as in `hycon.networks.hycon.HyCon`.

    Raises:
        HyConError: the class cannot be imported or refuses its arguments.
    """

    def __init__(
        self,
        widths: dict[str, int],
        outputs: int,
        settings: OwnNetwork | Reimplemented,
        longest: dict[str, int],
        language_model: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.outputs = outputs
        if isinstance(settings, Reimplemented):
            self.source, reads, kind = (
                settings.network,
                list(widths),
                REIMPLEMENTED[settings.network],
            )
            longest = {name: min(steps, settings.longest) for name, steps in longest.items()}
            options = settings.model_dump(exclude={"network", "longest"})
        else:
            self.source, reads, kind = settings.source, settings.reads, _class_of(settings)
            options = settings.settings
        given = [{name: each[name] for name in reads} for each in (widths, longest)]
        with _named(f"{self.source} with settings {options}: cannot be made"):
            self.network = kind(given[0], outputs, given[1], **options)
        self.language_model = language_model if "text" in reads else None

    def forward(self, batch: dict[str, PaddedBatch]) -> Output:
        """Return predictions, and representations.

        If the network returns none, those of the modalities are the means of its inputs, and
        `fused` is the predictions.

        Args:
            batch: padded batch by modality.

        Raises:
            HyConError: the network returns something else.
        """
        batch = read_tokens(batch, self.language_model)
        count = len(next(iter(batch.values())).lengths)
        with running_statistics(self.network, self.training and count == 1):
            found = self.network(batch)
        if not isinstance(found, Output):
            means = {name: pooled(steps, "mean") for name, steps in batch.items()}
            found = Output(means, fused=found, prediction=found)
        shapes = [(count, self.outputs), *([(count,)] if self.outputs == 1 else [])]
        self._check("predictions", found.prediction, shapes)
        prediction = found.prediction.reshape(shapes[-1])
        fused = found.fused
        if fused is found.prediction:
            fused = prediction.reshape(count, -1)
        for name, each in {**found.representations, "fused": fused}.items():
            width = each.shape[-1] if isinstance(each, Tensor) and each.dim() else "d"
            self._check(f"representation {name}", each, [(count, width)])
        return Output(found.representations, fused, prediction)

    def auxiliary_loss(self, labels: Tensor) -> Tensor | None:
        """Return the network's own loss of the last training pass; None if it has none.

        Args:
            labels: of the batch, (K,) float scores or int64 classes.

        Raises:
            HyConError: the network's method fails, or returns something else.
        """
        if not hasattr(self.network, "auxiliary_loss"):
            return None
        with _named(f"{self.source}: auxiliary_loss(labels): fails"):
            loss = self.network.auxiliary_loss(labels)
        if loss is not None:
            self._check("auxiliary_loss", loss, [()])
        return loss

    def parts(self) -> dict[str, nn.Module]:
        """Return the parts whose parameters are counted separately, except a language model."""
        return {"network": self.network}

    def state_dict(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Return the weights; tied ones are copied, because files cannot contain them."""
        weights = super().state_dict(*arguments, **options)
        seen: set[int] = set()
        for name, value in weights.items():
            place = value.untyped_storage().data_ptr()
            weights[name] = value.clone() if place in seen else value
            seen.add(place)
        return weights

    def _check(self, what: str, found: Any, shapes: list[tuple]) -> None:
        shape = tuple(found.shape) if isinstance(found, Tensor) else None
        if shape not in shapes or not found.is_floating_point():
            kind = f"{found.dtype} {shape}" if shape is not None else type(found).__name__
            raise HyConError(
                f"{self.source}: {what}: found {kind}, expected floating point "
                f"{' or '.join(map(str, shapes))}"
            )


AnyNetwork = HyCon | Peer | Own


def _class_of(settings: OwnNetwork) -> type[nn.Module]:
    """Import the class of a network, after checking the digest of its code."""
    place, _, name = settings.source.rpartition(":")
    # an import that draws random numbers must not change the run
    with torch.random.fork_rng(devices=[]):
        kind = getattr(_module(settings, place), name, None)
    if not isinstance(kind, type) or not issubclass(kind, nn.Module):
        found = "no such name in it" if kind is None else f"found {kind!r}"
        raise HyConError(f"{settings.source}: {found}, expected a class derived from nn.Module")
    return kind


def _module(settings: OwnNetwork, place: str) -> ModuleType:
    file = place.endswith(".py")
    try:
        found = locate({settings.name: settings.source} if file else {}, settings.name, Path())
    except ValueError as error:
        raise HyConError(str(error)) from None
    code = Path(place).read_bytes() if file else b""
    digest = hashlib.sha256(code).hexdigest() if file else found.sha256
    if (found.source, digest) != (settings.source, settings.sha256):
        raise HyConError(
            f"{found.source}: found code with digest {digest[:12]}, expected {settings.source} "
            f"with {settings.sha256[:12]}; it has changed, so run the pipeline again"
        )
    with _named(f"{place}: cannot be imported"):
        if not file:
            return importlib.import_module(place)
        module = ModuleType(f"_hycon_own_{digest[:16]}")
        module.__file__ = place
        sys.modules[module.__name__] = module  # dataclasses look it up
        # the bytes that were checked, and no cached compilation of others
        exec(compile(code, place, "exec"), vars(module))
        return module


@contextlib.contextmanager
def _named(what: str) -> Iterator[None]:
    """Turn any error in custom code into one line; the log file has the traceback."""
    try:
        yield
    except Exception as error:
        log.debug("%s", traceback.format_exc())
        first = " ".join(str(error).split())[:300]
        raise HyConError(f"{what} ({type(error).__name__}: {first}); correct it") from error
