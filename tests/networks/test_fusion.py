"""Each fusion against its formula, written out with loops on a small case."""

import itertools
import math

import pytest
import torch

from hycon.networks.fusion import FUSIONS
from hycon.params import ModelConfig

D, K, RANK = 4, 3, 2


@pytest.fixture
def fused():
    """Return a function: a fusion's name to (fusion, its three inputs, its result)."""

    def make(name):
        torch.manual_seed(0)
        settings = ModelConfig(
            dimension=D, layers=1, text_layers=1, network="transformer", heads=1, dropout=0.0,
            feature_dropout=0.0, text_pooling="last", fusion=name, rank=RANK,
        )  # fmt: skip
        fusion = FUSIONS[name](settings).double()
        x = [torch.randn(K, D, dtype=torch.float64, requires_grad=True) for _ in range(3)]
        result = fusion(*x)
        assert result.shape == (K, fusion.dimension)
        return fusion, x, result

    return make


def vectors(x):
    """Each utterance's text, audio and vision as lists of numbers."""
    return [[m[k].tolist() for m in x] for k in range(K)]


def close(found, expected):
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def linear(layer, x):
    return [
        sum(w * v for w, v in zip(row, x, strict=True)) + b
        for row, b in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
    ]


def test_addition_is_the_sum(fused):
    _, x, result = fused("addition")
    close(result, [[t[i] + a[i] + v[i] for i in range(D)] for t, a, v in vectors(x)])


def test_concatenation_is_one_after_the_other(fused):
    _, x, result = fused("concatenation")
    close(result, [t + a + v for t, a, v in vectors(x)])


def test_multiplication_is_element_by_element(fused):
    _, x, result = fused("multiplication")
    close(result, [[t[i] * a[i] * v[i] for i in range(D)] for t, a, v in vectors(x)])


def test_tensor_fusion_maps_the_outer_product_of_the_three_with_ones(fused):
    fusion, x, result = fused("tensor")
    expected = []
    for t, a, v in vectors(x):
        product = [p * q * r for p, q, r in itertools.product([*t, 1], [*a, 1], [*v, 1])]
        assert product[-1] == 1
        expected.append(linear(fusion.map, product))
    close(result, expected)


def test_low_rank_fusion_is_the_sum_of_products_of_each_ranks_maps(fused):
    fusion, x, result = fused("low-rank")
    factors, expected = fusion.factors.tolist(), []
    for utterance in vectors(x):
        row = fusion.bias.tolist()
        for r, o in itertools.product(range(RANK), range(D)):
            mapped = [
                sum(factors[m][r][i][o] * z for i, z in enumerate([*utterance[m], 1]))
                for m in range(3)
            ]
            row[o] += math.prod(mapped)
        expected.append(row)
    close(result, expected)


def test_low_rank_fusion_is_tensor_fusion_with_factorised_weights(fused):
    low, x, result = fused("low-rank")
    full, _, _ = fused("tensor")
    text, audio, vision = low.factors.detach()  # (rank, d + 1, d) each
    weights = torch.einsum("rio,rjo,rko->oijk", text, audio, vision)
    with torch.no_grad():
        full.map.weight.copy_(weights.flatten(1))
        full.map.bias.copy_(low.bias)
    torch.testing.assert_close(full(*x), result)


def test_graph_fusion_weighs_vertices_of_three_levels(fused):
    fusion, x, result = fused("graph")

    def softmax(scores):
        total = sum(math.exp(s) for s in scores)
        return [math.exp(s) / total for s in scores]

    def weight(vertex):
        hidden = [math.tanh(h) for h in linear(fusion.weight[0], vertex)]
        return 1 / (1 + math.exp(-linear(fusion.weight[2], hidden)[0]))

    def level(network, pairs, vertices, weights):
        joined, scores = [], []
        for i, j in pairs:
            one, other = softmax(vertices[i]), softmax(vertices[j])
            alike = sum(p * q for p, q in zip(one, other, strict=True))
            scores.append((weights[i] + weights[j]) / (alike + 0.5))
            joined.append([math.tanh(h) for h in linear(network[0], vertices[i] + vertices[j])])
        return joined, softmax(scores)

    def total(vertices, weights):
        pairs = list(zip(vertices, weights, strict=True))
        return [sum(w * vertex[i] for vertex, w in pairs) for i in range(D)]

    expected = []
    for one in vectors(x):
        names = ["text", "audio", "vision"]
        one_weights = [weight(vertex) for vertex in one]
        pairs = [(0, 1), (0, 2), (1, 2)]
        two, two_weights = level(fusion.bimodal, pairs, one, one_weights)
        # every two bimodal vertices, and each with the modality that is not in it
        lacking = [3 + next(i for i in range(3) if i not in pair) for pair in pairs]
        edges = [(0, 1), (0, 2), (1, 2), *enumerate(lacking)]
        three, three_weights = level(fusion.trimodal, edges, two + one, two_weights + one_weights)
        assert names[lacking[0] - 3] == "vision"
        assert sum(two_weights) == pytest.approx(1)
        expected.append(
            [u / 3 for u in total(one, one_weights)]
            + total(two, two_weights)
            + total(three, three_weights)
        )
    close(result, expected)


@pytest.mark.parametrize("name", FUSIONS)
def test_gradients_are_those_of_finite_differences(fused, name):
    fusion, x, _ = fused(name)
    assert torch.autograd.gradcheck(fusion, x)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("addition", 0),
        ("concatenation", 0),
        ("multiplication", 0),
        ("tensor", D * (D + 1) ** 3 + D),
        ("low-rank", 3 * RANK * (D + 1) * D + D),
        ("graph", (D * D + D) + (D + 1) + 2 * (2 * D * D + D)),
    ],
)
def test_parameters_are_as_many_as_the_formula_has(fused, name, parameters):
    assert sum(p.numel() for p in fused(name)[0].parameters()) == parameters
