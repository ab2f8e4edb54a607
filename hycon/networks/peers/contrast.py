"""The contrastive loss of ConFEDE, and the neighbours that its pairs are made of."""

import torch
from torch import Tensor, nn


def neighbours(encodings: Tensor, classes: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Choose the other utterances of a batch that each utterance is paired with.

    Args:
        encodings: (K, D), compared by cosine similarity.
        classes: (K,) int64, classes of the labels.
        number: number of utterances of each kind, or as many as there are.

    Returns:
        Two (K, K) bool. In row i of the first, the utterances of i's class that are most similar to
        i. In row i of the second, the most similar and the least similar of other classes.
    """
    unit = nn.functional.normalize(encodings.detach(), dim=1)
    similarity = unit @ unit.T
    same = classes[:, None] == classes
    other = ~same
    same = same & ~torch.eye(len(classes), dtype=torch.bool, device=classes.device)
    nearest = _largest(similarity, same, number)
    return nearest, _largest(similarity, other, number) | _largest(-similarity, other, number)


def _largest(values: Tensor, allowed: Tensor, number: int) -> Tensor:
    """Return where the largest allowed values of each row are, (K, K) bool."""
    top = values.masked_fill(~allowed, -torch.inf).topk(min(number, len(values)), dim=1).indices
    return torch.zeros_like(allowed).scatter(1, top, True) & allowed


def decomposition_loss(
    similar: Tensor, dissimilar: Tensor, positive: Tensor, negative: Tensor, temperature: float
) -> Tensor:
    """Compute the contrastive loss over pairs of features, within utterances and between them.

    A positive pair of an anchor costs -log(e^s / (e^s + sum of e^n)), where s is the cosine
    similarity of the pair divided by the temperature, and the n are those of the anchor's negative
    pairs. The first modality (index 0, the text) is the centre. For each utterance i and its
    neighbours:

    - between utterances, a similar feature of i has the same modality's of its positive neighbours
      as positives, and of its negative neighbours as negatives;
    - within an utterance, i or a neighbour, the centre's similar feature has those of the other
      modalities as positives, and all dissimilar features as negatives. The centre's
      feature of i uses its negatives of both kinds for all of its positive pairs.

    Args:
        similar, dissimilar: (M, K, f) features.
        positive, negative: (K, K) bool, the neighbours of each utterance.
        temperature: above 0.

    Returns:
        The mean over utterances of the mean over their positive pairs; 0 for one without any.
    """
    similar, dissimilar = (
        nn.functional.normalize(each, dim=2) / temperature**0.5 for each in (similar, dissimilar)
    )
    between = similar @ similar.mT  # (M, K, K)
    centre = similar[0][:, None]  # (K, 1, f)
    alike = (centre @ similar[1:].permute(1, 2, 0)).squeeze(1)  # (K, M - 1)
    apart = (centre @ dissimilar.permute(1, 2, 0)).squeeze(1).logsumexp(1)  # (K,)
    # a finite number, because -inf in all places has no gradient
    lowest = torch.finfo(between.dtype).min
    against = between.masked_fill(~negative, lowest).logsumexp(2)  # (M, K)
    against = torch.cat([torch.logaddexp(against[:1], apart[None]), against[1:]])

    softplus = nn.functional.softplus  # of n - s, it is the cost of a pair
    costs = (softplus(against[..., None] - between) * positive).sum((0, 2))
    costs = costs + softplus(against[0][:, None] - alike).sum(1)
    members = (positive | negative).to(costs.dtype)
    costs = costs + members @ softplus(apart[:, None] - alike).sum(1)
    pairs = len(similar) * positive.sum(1) + alike.shape[1] * (1 + members.sum(1))
    return (costs / pairs.clamp(min=1)).mean()
