"""Paired tests and bootstrap against scipy, against the plain metrics and against known answers."""

import numpy as np
import pytest
from scipy import stats

from hycon.evaluation.comparison import (
    bootstrap,
    distinguishable,
    paired,
    resampled_emotions,
    resampled_sentiment,
)
from hycon.evaluation.metrics import emotion_metrics, sentiment_metrics

A = {"1": 0.80, "2": 0.83, "3": 0.79, "4": 0.85, "9": 0.1}
B = {"1": 0.82, "2": 0.84, "3": 0.83, "4": 0.86, "7": 0.9}


def test_rows_are_compared_over_the_seeds_that_both_have():
    found = paired(A, B)
    a, b = [A[seed] for seed in "1234"], [B[seed] for seed in "1234"]
    assert found.difference == pytest.approx(-0.02)
    assert found.n == 4
    assert found.t_test == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert found.wilcoxon == pytest.approx(stats.wilcoxon(a, b).pvalue)


def test_one_seed_or_equal_rows_have_no_p():
    assert paired({"1": 0.5}, {"1": 0.4})[1:] == (1, None, None)
    assert paired(A, A) == (0.0, 5, None, None)
    with pytest.raises(ValueError, match="no seed in common"):
        paired({"1": 0.5}, {"2": 0.4})


def drawn(rng, count, times):
    """Return weights (times, N) of utterances drawn anew, and which were drawn."""
    rows = rng.integers(0, count, size=(times, count))
    return np.stack([np.bincount(row, minlength=count) for row in rows]).astype(float), rows


@pytest.mark.parametrize("average", ["weighted", "macro"])
def test_resampled_metrics_of_scores_are_the_plain_ones_of_the_drawn_utterances(average):
    rng = np.random.default_rng(0)
    labels = rng.choice([-2.4, -1.0, 0.0, 0.6, 3.0], size=40)
    predictions = labels + rng.normal(size=40)
    weights, rows = drawn(rng, 40, 20)
    found = resampled_sentiment(labels, average)(predictions, weights)
    for number, row in enumerate(rows):
        expected = sentiment_metrics(predictions[row], labels[row], average)
        assert set(found) == set(expected)
        for name, value in expected.items():
            assert found[name][number] == pytest.approx(value), name


@pytest.mark.parametrize("average", ["weighted", "macro"])
@pytest.mark.parametrize("apart", [True, False])
def test_resampled_metrics_of_emotions_are_the_plain_ones_of_the_drawn_utterances(apart, average):
    rng = np.random.default_rng(1)
    names = ["happy", "sad", "angry"]
    labels = rng.integers(0, 3, size=30)
    scores = rng.normal(size=(30, 3)) + np.eye(3)[labels]
    weights, rows = drawn(rng, 30, 20)
    found = resampled_emotions(labels, names, apart, average)(scores, weights)
    for number, row in enumerate(rows):
        expected = emotion_metrics(scores[row], labels[row], names, apart, average)
        assert set(found) == set(expected)
        for name, value in expected.items():
            assert found[name][number] == pytest.approx(value), name


def check_every_utterance_once(plain, resampled):
    assert list(plain) == list(resampled)
    assert all(type(value) is float for value in plain.values())
    assert all(values.shape == (3,) for values in resampled.values())
    assert all(np.allclose(resampled[name], value) for name, value in plain.items())


@pytest.mark.parametrize("average", ["weighted", "macro"])
def test_a_resample_of_every_utterance_once_has_the_plain_metrics_of_scores(average):
    rng = np.random.default_rng(3)
    labels = rng.choice([-2.4, -1.0, 0.0, 0.6, 3.0], size=40)
    predictions = labels + rng.normal(size=40)
    check_every_utterance_once(
        sentiment_metrics(predictions, labels, average),
        sentiment_metrics(predictions, labels, average, np.ones((3, 40))),
    )


@pytest.mark.parametrize("average", ["weighted", "macro"])
@pytest.mark.parametrize("apart", [True, False])
def test_a_resample_of_every_utterance_once_has_the_plain_metrics_of_emotions(apart, average):
    rng = np.random.default_rng(4)
    names = ["happy", "sad", "angry"]
    labels, scores = rng.integers(0, 3, size=30), rng.normal(size=(30, 3))
    check_every_utterance_once(
        emotion_metrics(scores, labels, names, apart, average),
        emotion_metrics(scores, labels, names, apart, average, np.ones((3, 30))),
    )


def test_a_resample_of_neutral_utterances_only_has_no_metrics_of_the_others():
    weights = np.array([[1.0, 2.0, 0.0], [1.0, 1.0, 1.0]])
    found = resampled_sentiment(np.array([0.0, 0.0, 1.0]))(np.array([0.1, -0.2, 2.0]), weights)
    for name in ("acc2_pos", "f1_pos", "mae_nonzero"):
        np.testing.assert_array_equal(np.isnan(found[name]), [True, False], name)
    assert found["acc2_nonneg"].tolist() == [1 / 3, 2 / 3]


def test_a_constant_prediction_has_no_correlation():
    labels = np.array([-1.0, 1.0, 2.0])
    assert resampled_sentiment(labels)(np.full(3, 0.3), np.ones((1, 3)))["corr_all"] == [0.0]


def test_the_bootstrap_of_a_mean_has_the_width_that_theory_gives():
    rng = np.random.default_rng(2)
    labels = rng.normal(size=400) + 0.01
    ours = [labels + rng.normal(scale=0.5, size=400) for _ in range(3)]
    theirs = [labels + rng.normal(scale=0.7, size=400) for _ in range(3)]
    metrics = resampled_sentiment(labels)
    low, high = bootstrap((ours, metrics), (theirs, metrics), 400)["mae_all"]
    each = np.mean(
        [abs(o - labels) - abs(t - labels) for o, t in zip(ours, theirs, strict=True)], 0
    )
    half = 1.96 * each.std() / np.sqrt(400)
    assert low == pytest.approx(each.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(each.mean() + half, abs=0.1 * half)
    again = bootstrap((ours, metrics), (theirs, metrics), 400)["mae_all"]
    assert again == (low, high)


def test_the_same_predictions_differ_by_nothing():
    labels = np.array([-1.0, 1.0, 2.0, 0.0])
    side = [np.array([0.2, 0.1, -1.0, 2.0])], resampled_sentiment(labels)
    found = bootstrap(side, side, 4, resamples=50)
    assert set(found.values()) == {(0.0, 0.0)}


def test_the_best_is_distinguishable_only_if_it_differs_from_each_of_the_others():
    clear = {"1": 0.5, "2": 0.52, "3": 0.51}
    assert distinguishable(clear, [{"1": 0.8, "2": 0.83, "3": 0.82}])
    assert not distinguishable(clear, [{"1": 0.8, "2": 0.83, "3": 0.82}, dict(clear)])
    assert not distinguishable({"1": 0.5}, [{"1": 0.8}])
    assert not distinguishable(clear, [])
