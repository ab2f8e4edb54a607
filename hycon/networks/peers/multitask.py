"""MTFN, MLF-DNN and MLMF: TFN, LF-DNN and LMF with a prediction of each modality.

MMSA has them for CH-SIMS, whose modalities have labels of their own. Other corpora have the label
of the utterance only, which is then the label of each modality.
"""

import functools
from collections.abc import Callable

from torch import Tensor, nn

from hycon.networks.peers import mmsa
from hycon.networks.peers.kind import Pass
from hycon.params.peers import MultiTask


def of(name: str) -> Callable[..., nn.Module]:
    """Return what makes a class of MMSA's multi-task networks, as `Kind.make` says."""
    return functools.partial(_make, name)


def _make(
    name: str,
    widths: dict[str, int],
    outputs: int,
    settings: MultiTask,
    longest: dict[str, int],
) -> nn.Module:
    module = mmsa.load(f"models.multiTask.{name}")
    # the same layers, but the module's own fails for a batch of one utterance
    module.TextSubNet = mmsa.load("models.subNets.FeatureNets").TextSubNet
    return mmsa.Published(name, "multiTask")(widths, outputs, settings, longest)


def losses(passed: Pass, labels: Tensor) -> Tensor:
    """Return the weighted sum of the losses of text, audio and vision.

    MMSA minimises M L + T L_t + A L_a + V L_v. Here the task loss L has the weight 1, so this is
    (T L_t + A L_a + V L_v) / M.
    """
    settings, total = passed.settings, 0.0
    weights = {"T": settings.T, "A": settings.A, "V": settings.V}
    for task, weight in weights.items():
        found = passed.result[task]  # (K, outputs)
        if found.shape[1] == 1:
            loss = nn.functional.l1_loss(found.squeeze(1), labels)
        else:
            loss = nn.functional.cross_entropy(found, labels)
        total = total + weight / settings.M * loss
    return total
