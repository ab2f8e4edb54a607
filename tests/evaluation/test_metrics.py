"""Every metric against scikit-learn and scipy, and the conventions against hand-worked cases."""

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, f1_score

from hycon.evaluation.metrics import (
    EMOTIONS,
    correlation,
    emotion_metrics,
    mean_f1,
    sentiment_metrics,
)


def scores(seed, count=200):
    rng = np.random.default_rng(seed)
    labels = np.round(rng.uniform(-3, 3, count) * 5) / 5
    labels[:15] = 0.0
    return labels + rng.normal(0, 1.2, count), labels


@pytest.mark.parametrize("average", ["weighted", "macro"])
@pytest.mark.parametrize("seed", range(5))
def test_sentiment_metrics_equal_scikit_learn_and_scipy(seed, average):
    predictions, labels = scores(seed)
    polar = labels != 0
    found = sentiment_metrics(predictions, labels, average)
    for name, kept, decide in (
        ("nonneg", slice(None), lambda y: y >= 0),
        ("pos", polar, lambda y: y > 0),
    ):
        guess, truth = decide(predictions[kept]), decide(labels[kept])
        assert found[f"acc2_{name}"] == pytest.approx(accuracy_score(truth, guess), abs=1e-12)
        expected = f1_score(truth, guess, average=average)
        assert found[f"f1_{name}"] == pytest.approx(expected, abs=1e-12)
    for name, limit in (("acc7", 3), ("acc5", 2)):
        guess, truth = (np.round(np.clip(y, -limit, limit)) for y in (predictions, labels))
        assert found[name] == pytest.approx(accuracy_score(truth, guess), abs=1e-12)
    for name, kept in (("all", slice(None)), ("nonzero", polar)):
        assert found[f"corr_{name}"] == pytest.approx(
            pearsonr(predictions[kept], labels[kept]).statistic, abs=1e-12
        )
        assert found[f"mae_{name}"] == pytest.approx(
            np.mean(np.abs(predictions[kept] - labels[kept])), abs=1e-12
        )


def test_neutral_labels_count_as_nonnegative_and_are_left_out_of_pos():
    found = sentiment_metrics(np.array([-0.5, 1.0, -1.0, 2.0]), np.array([0.0, 1.0, -1.0, -2.0]))
    assert found["acc2_nonneg"] == 0.5  # the neutral one is missed, and the last
    assert found["acc2_pos"] == 2 / 3
    assert found["mae_all"] == (0.5 + 0 + 0 + 4) / 4
    assert found["mae_nonzero"] == 4 / 3


def test_a_prediction_of_zero_is_nonnegative_but_not_positive():
    found = sentiment_metrics(np.array([0.0, 0.0]), np.array([1.0, -1.0]))
    assert found["acc2_nonneg"] == 0.5
    assert found["acc2_pos"] == 0.5
    assert found["f1_nonneg"] == pytest.approx(1 / 3)  # one class: 2/3 for 1 of 2, the other 0


def test_seven_classes_round_half_to_even_after_clipping():
    predictions = np.array([2.5, 3.5, -9.0, 0.5, 1.5, -0.5])
    labels = np.array([2.0, 3.0, -3.0, 0.0, 2.0, 0.0])
    assert sentiment_metrics(predictions, labels)["acc7"] == 1.0
    assert sentiment_metrics(predictions, labels)["acc5"] == 1.0
    assert sentiment_metrics(np.array([2.6, 1.0]), np.array([2.0, 1.0]))["acc7"] == 0.5


def test_metrics_are_fractions_and_the_keys_are_the_agreed_ones():
    assert list(sentiment_metrics(*scores(0))) == [
        "acc2_nonneg", "f1_nonneg", "acc2_pos", "f1_pos", "acc7", "acc5",
        "mae_all", "corr_all", "mae_nonzero", "corr_nonzero",
    ]  # fmt: skip


def test_constant_predictions_have_correlation_zero_and_not_nan():
    found = sentiment_metrics(np.full(4, 0.1), np.array([-1.0, 1.0, 2.0, 0.0]))
    assert found["corr_all"] == 0.0


@pytest.mark.parametrize(
    ("predictions", "labels", "said"),
    [
        ([1.0], [1.0, 2.0], "expected"),
        ([], [], "N > 0"),
        ([np.nan], [1.0], "finite"),
        ([1.0], [0.0], "neutral"),
        ([[1.0]], [[1.0]], "expected"),
    ],
)
def test_what_cannot_be_compared_is_refused(predictions, labels, said):
    with pytest.raises(ValueError, match=said):
        sentiment_metrics(np.array(predictions), np.array(labels))


@pytest.mark.parametrize("seed", range(5))
def test_emotion_metrics_equal_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(150, 4)), rng.integers(0, 4, 150)
    guess = logits.argmax(axis=1)
    found = emotion_metrics(logits, labels)
    assert found == emotion_metrics(guess, labels)
    for number, emotion in enumerate(EMOTIONS):
        one = guess == number, labels == number
        assert found[f"acc_{emotion}"] == pytest.approx(accuracy_score(one[1], one[0]))
        assert found[f"f1_{emotion}"] == pytest.approx(f1_score(one[1], one[0], average="weighted"))
    assert found["acc"] == pytest.approx(accuracy_score(labels, guess))
    assert found["f1"] == pytest.approx(f1_score(labels, guess, average="weighted"))


def test_emotions_without_a_name_are_refused():
    with pytest.raises(ValueError, match="expected 0 to 1"):
        emotion_metrics(np.array([0, 1]), np.array([0, 2]), ("a", "b"))
    with pytest.raises(ValueError, match="3 scores, but 4 emotions"):
        emotion_metrics(np.zeros((2, 3)), np.array([0, 2]))
    with pytest.raises(ValueError, match="must be class numbers, found float64"):
        emotion_metrics(np.array([0.9, 1.2]), np.array([0, 1]))
    with pytest.raises(ValueError, match="scores must be finite"):
        emotion_metrics(np.full((2, 4), np.nan), np.array([0, 1]))


@pytest.mark.parametrize(("average", "by_hand"), [("weighted", 7 / 9), ("macro", 5 / 9)])
def test_a_class_that_no_label_has_counts_for_the_macro_average_only(average, by_hand):
    labels, predictions = np.array([0, 0, 1]), np.array([2, 0, 1])
    expected = f1_score(labels, predictions, average=average, zero_division=0)
    assert mean_f1(predictions, labels, average) == pytest.approx(expected)
    assert expected == pytest.approx(by_hand)


def test_one_against_the_rest_decides_for_each_emotion_by_its_own_score():
    generator = np.random.default_rng(0)
    scores, labels = generator.normal(size=(50, 4)), generator.integers(0, 4, 50)
    found = emotion_metrics(scores, labels, one_against_rest=True)
    macro = emotion_metrics(scores, labels, one_against_rest=True, f1="macro")
    for number, emotion in enumerate(EMOTIONS):
        decisions = labels == number, scores[:, number] > 0
        assert found[f"acc_{emotion}"] == pytest.approx(accuracy_score(*decisions))
        for average, each in (("weighted", found), ("macro", macro)):
            expected = f1_score(*decisions, average=average)
            assert each[f"f1_{emotion}"] == pytest.approx(expected)
    # the decision among all is by the largest score, as it is without
    joint = emotion_metrics(scores, labels)
    assert (found["acc"], found["f1"]) == (joint["acc"], joint["f1"])
    assert found["acc_happy"] != joint["acc_happy"]
    with pytest.raises(ValueError, match="needs"):
        emotion_metrics(labels, labels, one_against_rest=True)


def test_a_constant_with_the_rounding_errors_of_float32_has_no_correlation():
    rng = np.random.default_rng(0)
    labels = rng.normal(size=500)
    almost = np.float32(0.3) + np.float32(3e-8) * rng.integers(-1, 2, 500).astype(np.float32)
    assert len(np.unique(almost)) > 1
    assert correlation(almost.astype(np.float64), labels) == 0.0
    assert correlation(almost.astype(np.float64), labels, np.ones((2, 500))).tolist() == [0, 0]
    # small numbers that do vary are no constant
    assert correlation(1e-9 * labels, labels) == pytest.approx(1.0)
