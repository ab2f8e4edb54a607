"""Batches for the tests of the losses, and their gradients."""

import torch

MODALITIES = ("text", "audio", "vision")


def draw(K, d=4, seed=0, dtype=torch.float64):
    """Random representations of K utterances; a seed gives the same numbers in every dtype."""
    generator = torch.Generator().manual_seed(seed)
    x = {m: torch.randn(K, d, generator=generator) for m in MODALITIES}
    return with_gradient({m: v.to(dtype) for m, v in x.items()})


def vectors(text, audio, vision, dtype=torch.float64):
    """Representations with the given rows."""
    rows = zip(MODALITIES, (text, audio, vision), strict=True)
    return with_gradient({m: torch.tensor(v, dtype=dtype) for m, v in rows})


def with_gradient(representations):
    return {m: v.detach().clone().requires_grad_() for m, v in representations.items()}


def gradients(loss, representations):
    """The gradient of a scalar with respect to every representation."""
    found = torch.autograd.grad(loss, list(representations.values()))
    return dict(zip(representations, found, strict=True))
