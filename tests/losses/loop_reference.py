"""The losses as the method defines them (sections 3 to 7), as loops over single pairs in float64.

This module shares no code with `hycon.losses`. Every number is a 0-d float64 tensor, so that
autograd computes the gradients too.
"""

from functools import cache

import torch

# Conventions for cases that the method leaves undefined: shorter vectors have cosine 0 with every
# vector; an anchor whose similarities have a smaller sum has ratio 1.
ZERO = 1e-12


class Batch:
    """Utterances to compare: {modality: K rows}, their classes, and the range of similarities."""

    def __init__(
        self,
        representations,
        classes,
        similarity="shifted",
        power=1,
        logarithm=False,
        centred=False,
    ):
        self.x = {m: x.detach().double().requires_grad_() for m, x in representations.items()}
        self.rows = {m: [list(row) for row in x] for m, x in self.x.items()}
        self.power, self.logarithm = power, logarithm
        if centred:
            for rows in self.rows.values():
                means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
                rows[:] = [[v - mean for v, mean in zip(r, means, strict=True)] for r in rows]
        if similarity == "nonnegative":
            for rows in self.rows.values():
                rows[:] = [[torch.log1p(v.exp()) for v in row] for row in rows]
        self.classes = [int(c) for c in classes]
        self.modalities = list(representations)
        self.similarity = similarity
        self.s = cache(self._s)

    def _s(self, m, k, n, i):
        """Similarity of utterance k in modality m and utterance i in modality n."""
        cos = cosine(self.rows[m][k], self.rows[n][i])
        return cos if self.similarity == "nonnegative" else (1 + cos) / 2

    def gradients(self, loss):
        gradients = torch.autograd.grad(loss, list(self.x.values()), retain_graph=True)
        return dict(zip(self.x, gradients, strict=True))


def cosine(u, w):
    dot = sum(a * b for a, b in zip(u, w, strict=True))
    lengths = [sum(a * a for a in v) ** 0.5 for v in (u, w)]
    if min(lengths) < ZERO:
        return torch.zeros((), dtype=torch.float64)
    return dot / (lengths[0] * lengths[1])


def semi(batch, alpha):
    terms = []
    for k in range(len(batch.classes)):
        for m in batch.modalities:
            others = [n for n in batch.modalities if n != m]
            terms.append(sum((batch.s(m, k, n, k) - alpha) ** 2 for n in others) / len(others))
    return sum(terms) / len(terms)


def intra(batch, selection=None, refinement=True, stop_gradient=True):
    def candidates(m, k):
        return [(m, i) for i in range(len(batch.classes)) if i != k]

    return contrastive(batch, candidates, 1.0, selection, refinement, stop_gradient)


def inter(batch, alpha, selection=None, refinement=True, stop_gradient=True):
    def candidates(m, k):
        others = [n for n in batch.modalities if n != m]
        return [(n, i) for i in range(len(batch.classes)) if i != k for n in others]

    return contrastive(batch, candidates, alpha, selection, refinement, stop_gradient)


def contrastive(batch, candidates, target, selection, refinement, stop_gradient):
    ratios, refinements = [], []
    for m in batch.modalities:
        for k, own_class in enumerate(batch.classes):
            positives, negatives = [], []
            for n, i in candidates(m, k):
                same = batch.classes[i] == own_class
                (positives if same else negatives).append(batch.s(m, k, n, i))
            if not positives:
                continue
            if selection is not None:
                h = max(1, round(len(batch.classes) * selection.beta))
                positives = sorted(positives, key=torch.Tensor.item)[:h]
                negatives = sorted(negatives, key=torch.Tensor.item, reverse=True)[:h]
            found = ratio(positives, negatives, selection, stop_gradient, batch.power)
            ratios.append(found.log() if batch.logarithm else found)
            refinements.append(sum((s - target) ** 2 for s in positives) / len(positives))
    if not ratios:
        return sum(x.sum() * 0 for x in batch.x.values())
    loss = -sum(ratios) / len(ratios)
    return loss + sum(refinements) / len(refinements) if refinement else loss


def ratio(positives, negatives, selection, stop_gradient, power):
    raised = [[s**power for s in side] for side in (positives, negatives)]
    if selection is not None and selection.weighted:
        hardness = [1 / (s + selection.gamma) for s in positives]
        raised[0] = weighted(raised[0], softmax(hardness), stop_gradient)
        raised[1] = weighted(raised[1], softmax(negatives), stop_gradient)
    positives, negatives = raised
    pull, push = sum(positives), sum(negatives)
    if not negatives or pull + push < ZERO:
        return 1 + 0 * pull
    return pull / (pull + push)


def softmax(values):
    exponentials = [v.exp() for v in values]
    total = sum(exponentials)
    return [e / total for e in exponentials]


def weighted(similarities, weights, stop_gradient):
    if stop_gradient:
        weights = [w.detach() for w in weights]
    return [s * w for s, w in zip(similarities, weights, strict=True)]


def hybrid(batch, alpha, weights, selection=None, refinement=True):
    return (
        weights[0] * intra(batch, selection, refinement)
        + weights[1] * inter(batch, alpha, selection, refinement)
        + weights[2] * semi(batch, alpha)
    )
