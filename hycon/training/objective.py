"""What is minimised: the task loss and the contrastive losses, and how their gradients compare."""

import torch
from torch import Tensor, nn

from hycon.losses import BaselineLoss, HybridContrastiveLoss, Modification, PairSelection
from hycon.networks.own import AnyNetwork
from hycon.params import TrainConfig
from hycon.training.batches import CorpusTensors

PROBED = 8  # batches over which gradients are compared


def task_loss(prediction: Tensor, labels: Tensor, emotion_decision: str) -> Tensor:
    """Compute the mean absolute error of scores, or the cross-entropy of emotions.

    Args:
        prediction: (K,) scores, or (K, C) logits.
        labels: (K,) float scores, or int64 classes.
        emotion_decision: "joint" for one softmax over the classes, or "one-against-rest" for a
            binary decision per class.

    Returns:
        A scalar.
    """
    if prediction.dim() == 1:
        return nn.functional.l1_loss(prediction, labels)
    if emotion_decision == "joint":
        return nn.functional.cross_entropy(prediction, labels)
    yes = nn.functional.one_hot(labels, prediction.shape[1]).to(prediction.dtype)
    return nn.functional.binary_cross_entropy_with_logits(prediction, yes)


def contrastive_loss(options: TrainConfig) -> HybridContrastiveLoss | BaselineLoss | None:
    """Return the contrastive loss that the options describe, or None if all its weights are 0."""
    lambdas = options.lambdas
    weights = (lambdas.intra, lambdas.inter, lambdas.semi)
    if not any(weights):
        return None
    # options that are None are not used by any loss with a weight above 0
    alpha = 1.0 if options.alpha is None else options.alpha
    similarity = options.similarity or "shifted"
    if options.pair_loss not in ("hycon", None):
        return BaselineLoss(options.pair_loss, alpha, weights, similarity)
    chosen = options.selection
    selection = PairSelection(chosen.beta, chosen.gamma, chosen.weighted) if chosen else None
    changes = Modification(**dict(options.modified or {}))
    return HybridContrastiveLoss(
        alpha, weights, selection, bool(options.refinement), similarity, changes
    )


def gradient_balance(
    model: AnyNetwork,
    data: CorpusTensors,
    options: TrainConfig,
    contrastive: HybridContrastiveLoss | BaselineLoss,
) -> dict[str, float]:
    """Compare the gradients of the contrastive losses and of the task loss, without dropout.

    Both are with respect to the weights that the contrastive losses reach, on the first batches of
    the training fold.

    Returns:
        `gradient_ratio`, the norm of the contrastive losses' gradient (with their lambdas) divided
        by that of the task loss's, and `gradient_cosine` between the two; means over the batches.
    """
    model.eval()
    rows = data.folds["train"]
    mixed = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
    ratios, cosines = [], []
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    for batch in mixed.split(options.batch_size)[:PROBED]:
        output = model(data.batch(batch))
        task = task_loss(output.prediction, data.labels[batch], options.emotion_decision)
        total = contrastive(output.representations, data.classes[batch]).total
        ours = torch.autograd.grad(total, weights, retain_graph=True, allow_unused=True)
        theirs = torch.autograd.grad(task, weights, allow_unused=True)
        both = [pair for pair in zip(ours, theirs, strict=True) if None not in pair]
        a, b = (torch.cat([each.flatten() for each in side]) for side in zip(*both, strict=True))
        ratios.append(a.norm() / b.norm())
        cosines.append(nn.functional.cosine_similarity(a, b, dim=0))
    means = torch.stack([torch.stack(ratios), torch.stack(cosines)]).mean(1).tolist()
    return dict(zip(("gradient_ratio", "gradient_cosine"), means, strict=True))
