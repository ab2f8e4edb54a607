"""ConFEDE, reimplemented: its neighbours, contrastive loss and unimodal loss, against loops."""

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from hycon.networks.peers.confede import ConFede
from hycon.networks.peers.contrast import decomposition_loss, neighbours
from tests.networks.batches import LABELS, LONGEST, WIDTHS, batch

SIZES = {
    "dimension": None, "heads": 2, "layers": 1, "dropout": 0.0, "temperature": 0.5,
    "neighbours": 2, "contrastive_weight": 0.1, "unimodal_weight": 0.01,
}  # fmt: skip


def confede(widths=WIDTHS, outputs=1, **changes):
    torch.manual_seed(0)
    return ConFede(widths, outputs, LONGEST, **{**SIZES, **changes})


def cost(anchor, positive, negatives, temperature):
    """Return the cost of one positive pair of an anchor."""
    anchor, positive, *negatives = (each.detach() for each in (anchor, positive, *negatives))
    near = math.exp(cosine_similarity(anchor, positive, dim=0) / temperature)
    far = sum(math.exp(cosine_similarity(anchor, each, dim=0) / temperature) for each in negatives)
    return -math.log(near / (near + far))


def in_a_loop(similar, dissimilar, positive, negative, temperature):
    """Return the loss as a sum over lists of pairs of utterances and features."""
    modalities, count = similar.shape[:2]
    total = 0.0
    for i in range(count):
        alike = [j for j in range(count) if positive[i, j]]
        apart = [j for j in range(count) if negative[i, j]]
        own = list(dissimilar[:, i])
        costs = []
        for m in range(modalities):
            negatives = [similar[m, j] for j in apart] + (own if m == 0 else [])
            costs += [cost(similar[m, i], similar[m, j], negatives, temperature) for j in alike]
        for m in range(1, modalities):
            negatives = [similar[0, j] for j in apart] + own
            costs.append(cost(similar[0, i], similar[m, i], negatives, temperature))
            costs += [
                cost(similar[0, j], similar[m, j], dissimilar[:, j], temperature)
                for j in sorted({*alike, *apart})
            ]
        total += sum(costs) / max(len(costs), 1)
    return total / count


def random_features(modalities, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, modalities, count, 4, generator=generator, dtype=torch.float64)
    classes = torch.randint(3, (count,), generator=generator)
    pairs = neighbours(torch.randn(count, 6, generator=generator), classes, 2)
    return *features, *pairs


@pytest.mark.parametrize("modalities", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_the_contrastive_loss_is_that_of_a_loop_over_pairs(modalities, count):
    for seed in range(3):
        given = random_features(modalities, count, seed)
        found = decomposition_loss(*given, temperature=0.5)
        assert found.item() == pytest.approx(in_a_loop(*given, 0.5), rel=1e-9)


def test_the_contrastive_loss_has_a_finite_gradient_for_utterances_with_no_pairs():
    similar, dissimilar, _, _ = random_features(3, 4)
    similar.requires_grad_()
    none = torch.zeros(4, 4, dtype=torch.bool)
    decomposition_loss(similar, dissimilar, none, none, 0.5).backward()
    assert similar.grad.isfinite().all()
    assert similar.grad.any()


def test_the_contrastive_gradient_is_that_of_finite_differences():
    similar, dissimilar, *pairs = random_features(3, 5)
    features = [each.requires_grad_() for each in (similar, dissimilar)]
    assert torch.autograd.gradcheck(lambda s, d: decomposition_loss(s, d, *pairs, 0.5), features)


def test_neighbours_are_the_nearest_of_the_class_and_the_nearest_and_farthest_of_others():
    angles = torch.tensor([0.0, 10.0, 25.0, 50.0, 80.0, 115.0, 150.0]).deg2rad()
    encodings = torch.stack([angles.cos(), angles.sin()], dim=1)
    classes = torch.tensor([0, 1, 0, 0, 1, 1, 0])
    positive, negative = neighbours(encodings, classes, 2)
    assert positive[0].nonzero().flatten().tolist() == [2, 3]  # and not 6
    assert negative[0].nonzero().flatten().tolist() == [1, 4, 5]  # nearest 1, 4; farthest 5, 4
    positive, negative = neighbours(encodings, classes, 1)
    assert positive.nonzero().tolist() == [[0, 2], [1, 4], [2, 0], [3, 2], [4, 5], [5, 4], [6, 3]]
    assert negative[0].nonzero().flatten().tolist() == [1, 5]


def test_an_utterance_alone_in_its_class_has_no_positive_neighbours():
    positive, negative = neighbours(torch.randn(3, 2), torch.tensor([0, 1, 1]), 2)
    assert positive.tolist() == [[False] * 3, [False, False, True], [False, True, False]]
    assert negative.tolist() == [[False, True, True], [True, False, False], [True, False, False]]


def test_scores_that_round_to_the_same_number_are_of_one_class(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "hycon.networks.peers.confede.neighbours",
        lambda encodings, classes, number: (
            seen.append(classes) or neighbours(encodings, classes, number)
        ),
    )
    network = confede().train()
    network(batch())
    network.auxiliary_loss(LABELS)
    assert seen[0].tolist() == [1, 0, 1, 3, -2]


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_auxiliary_loss_is_the_weighted_sum_of_both_losses(outputs):
    network = confede(outputs=outputs, contrastive_weight=0.3, unimodal_weight=0.7).train()
    labels = LABELS if outputs == 1 else torch.tensor([0, 1, 0, 2, 2])
    output = network(batch())
    found = network.auxiliary_loss(labels)
    both = torch.stack(list(output.representations.values()))
    similar, dissimilar = both.chunk(2, dim=2)
    encodings = []
    network.eval()
    for part in network.similar.values():
        part.register_forward_pre_hook(lambda _, inputs: encodings.append(inputs[0]))
    network(batch())
    pairs = neighbours(torch.cat(encodings, 1), labels.round() if outputs == 1 else labels, 2)
    contrastive = in_a_loop(similar, dissimilar, *pairs, 0.5)
    costs = []
    for feature in [*similar, *dissimilar]:
        for row, label in enumerate(labels):
            predicted = network.unimodal(feature[row])
            squared = (predicted - label) ** 2
            costs.append(squared if outputs == 1 else cross_entropy(predicted, label))
    unimodal = sum(costs) / len(costs)
    expected = 0.3 * contrastive + 0.7 * unimodal.item()
    assert found.item() == pytest.approx(expected, rel=1e-5)
    assert min(contrastive, unimodal.item()) > 0


def test_only_a_pass_in_training_has_an_auxiliary_loss_and_once():
    network = confede().train()
    network(batch())
    assert network.auxiliary_loss(LABELS) is not None
    assert network.auxiliary_loss(LABELS) is None
    network(batch())
    network.eval()(batch())
    assert network.auxiliary_loss(LABELS) is None


def test_what_is_fused_is_what_the_last_layer_reads():
    network = confede(outputs=3).eval()
    output = network(batch())
    torch.testing.assert_close(network.head(output.fused), output.prediction)


@pytest.mark.parametrize(("text", "heads", "found"), [(768, 8, 768), (300, 8, 288), (6, 8, 16)])
def test_without_a_width_the_encodings_have_the_texts(text, heads, found):
    network = ConFede({"text": text, "audio": 3}, 1, LONGEST, **{**SIZES, "heads": heads})
    assert network.norms["audio"].normalized_shape == (found,)
    assert network.similar["text"][1].weight.shape == (found // 2, text)
