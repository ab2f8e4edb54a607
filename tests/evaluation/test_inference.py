"""The inference against scipy, statsmodels and pingouin, and its calibration on simulated nulls."""

import math

import numpy as np
import pingouin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.nonparametric import rank_compare_2indep
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_paired

from hycon.evaluation.inference import (
    VERDICTS,
    Comparison,
    Runs,
    chances,
    compare,
    false_discovery,
    holm,
    interquartile_mean,
    power,
    probability_better,
    resample,
    scoring,
    seeds_to_decide,
    smallest_detectable,
    verdict,
)
from hycon.evaluation.metrics import emotion_metrics, sentiment_metrics

OURS = np.array([0.80, 0.83, 0.79, 0.85, 0.81])
THEIRS = np.array([0.82, 0.84, 0.83, 0.86, 0.80])
MARGIN = 0.03


def runs(values, first=1, resampled=None, groups=30):
    """Return runs whose metric is the same on all resamples, unless others are given."""
    values = np.asarray(values, dtype=float)
    if resampled is None:
        resampled = np.repeat(values[:, None], 200, axis=1)
    names = tuple(str(first + number) for number in range(len(values)))
    return Runs(names, {"m": values}, {"m": resampled}, groups)


def test_without_error_from_utterances_runs_of_the_same_seeds_are_compared_as_pairs():
    found = compare(runs(OURS), runs(THEIRS), "m", MARGIN)
    oracle = stats.ttest_rel(OURS, THEIRS)
    assert found.difference == pytest.approx(np.mean(OURS - THEIRS))
    assert (found.n, found.paired) == (5, True)
    assert found.utterance_error == pytest.approx(0, abs=1e-12)
    assert found.p == pytest.approx(oracle.pvalue)
    assert found.interval() == pytest.approx(tuple(oracle.confidence_interval(0.95)))
    assert found.interval(0.9) == pytest.approx(tuple(oracle.confidence_interval(0.9)))
    assert found.p_equivalent == pytest.approx(ttost_paired(OURS, THEIRS, -MARGIN, MARGIN)[0])
    other = pingouin.tost(OURS, THEIRS, bound=MARGIN, paired=True)
    assert found.p_equivalent == pytest.approx(float(other["pval"].iloc[0]), rel=1e-6)


def test_runs_of_other_seeds_are_compared_as_welch_does():
    found = compare(runs(OURS), runs(THEIRS[:4], first=11), "m", MARGIN)
    oracle = stats.ttest_ind(OURS, THEIRS[:4], equal_var=False)
    assert not found.paired
    assert found.p == pytest.approx(oracle.pvalue)
    assert found.interval() == pytest.approx(tuple(oracle.confidence_interval(0.95)))
    means = CompareMeans(DescrStatsW(OURS), DescrStatsW(THEIRS[:4]))
    tost = means.ttost_ind(-MARGIN, MARGIN, usevar="unequal")[0]
    assert found.p_equivalent == pytest.approx(tost)


def test_only_seeds_that_both_have_are_compared_if_there_are_two():
    found = compare(runs([0.1, *OURS], first=0), runs(THEIRS), "m", MARGIN)
    assert found.n == 5
    assert found.difference == pytest.approx(np.mean(OURS - THEIRS))


def test_one_run_has_a_difference_and_nothing_else():
    found = compare(runs([0.5]), runs([0.4]), "m", MARGIN)
    assert found.difference == pytest.approx(0.1)
    assert (found.error, found.p, found.p_equivalent, found.interval()) == (None,) * 4
    assert smallest_detectable(found) is None
    assert seeds_to_decide(found) is None
    assert verdict(found, lower=True) == "undecided"


def test_equal_runs_are_equivalent():
    found = compare(runs(OURS), runs(OURS), "m", MARGIN)
    assert (found.difference, found.p, found.p_equivalent) == (0.0, 1.0, 0.0)
    assert verdict(found, lower=True) == "equivalent"


def test_other_utterances_cannot_be_compared():
    with pytest.raises(ValueError, match="other resamples"):
        compare(runs(OURS), runs(THEIRS, groups=31), "m", MARGIN)


def mean(predictions, weights=None):
    """Return the mean of predictions as a metric."""
    if weights is None:
        return {"m": float(predictions.mean())}
    return {"m": weights @ predictions / weights.sum(axis=1)}


def test_the_error_from_utterances_is_that_of_a_mean_of_groups():
    rng = np.random.default_rng(0)
    of_groups = rng.normal(size=60)
    groups = np.repeat(np.arange(60), 4).astype(str)
    utterances = np.repeat(of_groups, 4)
    zeros = resample({str(seed): np.zeros(240) for seed in range(3)}, groups, mean)
    ours = resample({str(seed): utterances for seed in range(3)}, groups, mean)
    found = compare(ours, zeros, "m", MARGIN)
    assert found.seed_error == 0
    assert found.utterance_error == pytest.approx(of_groups.std(ddof=1) / np.sqrt(60), rel=0.07)
    assert found.degrees == pytest.approx(59)
    # as if every utterance were its own group, it would be half of that
    alone = [str(number) for number in range(240)]
    sides = [
        resample({str(seed): each for seed in range(3)}, alone, mean)
        for each in (utterances, np.zeros(240))
    ]
    single = compare(*sides, "m", MARGIN)
    assert single.utterance_error == pytest.approx(found.utterance_error / 2, rel=0.1)


def test_what_runs_err_on_by_themselves_is_not_counted_twice():
    rng = np.random.default_rng(1)
    groups = [str(number) for number in range(100)]
    noise = {str(seed): rng.normal(size=100) for seed in range(40)}
    zeros = {seed: np.zeros(100) for seed in noise}
    found = compare(resample(noise, groups, mean), resample(zeros, groups, mean), "m", MARGIN)
    assert found.seed_error == pytest.approx(0.1 / np.sqrt(40), rel=0.3)
    assert found.utterance_error < found.seed_error / 2


def test_discrete_scores_that_tie_in_all_runs_are_no_sign_of_certainty():
    """Each run is right about one utterance more, each about another one."""
    groups = [str(number) for number in range(50)]
    right = np.arange(50) % 10 > 0
    zeros = {str(seed): right.astype(float) for seed in range(3)}
    ones = {seed: each.copy() for seed, each in zeros.items()}
    for seed, each in ones.items():
        each[10 * int(seed)] = 1.0
    found = compare(resample(ones, groups, mean), resample(zeros, groups, mean), "m", 0.01)
    assert found.difference == pytest.approx(0.02)
    # that of one run over utterances is sqrt(1 / 50 * 49 / 50 / 50), about 0.02
    assert found.seed_error == pytest.approx(0.02 / np.sqrt(3), rel=0.1)
    assert verdict(found, lower=False) == "undecided"
    # the same utterance in all runs leaves no spread over seeds
    for each in ones.values():
        each[:] = right
        each[0] = 1.0
    found = compare(resample(ones, groups, mean), resample(zeros, groups, mean), "m", 0.01)
    assert found.seed_error == 0
    assert found.utterance_error == pytest.approx(0.02, rel=0.1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=8),
    st.floats(0.001, 0.1),
    st.integers(0, 5),
)
def test_interval_and_test_never_contradict_each_other(values, margin, seed):
    wobble = np.random.default_rng(seed).normal(scale=0.02, size=200)
    mine = np.array(values)
    found = compare(
        runs(mine, resampled=mine[:, None] + wobble), runs(np.zeros(len(mine))), "m", margin
    )
    low, high = found.interval()
    assert (found.p < 0.05) == (low > 0 or high < 0)
    low, high = found.interval(0.9)
    assert (found.p_equivalent < 0.05) == (-margin < low and high < margin)


@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize("paired", [True, False])
def test_tests_reject_at_their_level_and_intervals_cover_as_promised(seeds, paired):
    """Seeds and groups of utterances both vary, and the true difference is the margin."""
    rng = np.random.default_rng(seeds)
    groups, times = np.repeat(np.arange(25), 4).astype(str), 300
    rejected = covered = equivalent = 0
    for _ in range(times):
        fixed = np.repeat(rng.normal(scale=0.1, size=25), 4) + rng.normal(scale=0.1, size=100)
        ours = {
            str(seed): MARGIN + rng.normal(scale=0.03) + fixed + rng.normal(scale=0.2, size=100)
            for seed in range(seeds)
        }
        first = 0 if paired else seeds
        theirs = {str(first + seed): rng.normal(scale=0.05, size=100) for seed in range(seeds)}
        found = compare(
            *(resample(each, groups, mean, resamples=150) for each in (ours, theirs)), "m", MARGIN
        )
        low, high = found.interval()
        covered += low <= MARGIN <= high
        rejected += not low <= MARGIN <= high
        equivalent += found.p_equivalent < 0.05
    # three standard deviations of a binomial count
    assert covered / times == pytest.approx(0.95, abs=0.038)
    assert rejected + covered == times
    assert equivalent / times < 0.05 + 0.038


def test_accuracies_of_few_runs_on_few_utterances_reject_at_their_level():
    """At a level that corrections for many rows ask for; ties in all three runs are common."""
    rng = np.random.default_rng(4)
    groups, times = [str(number) for number in range(30)], 300
    rejected = tied = 0
    for _ in range(times):
        ours, theirs = (
            {str(seed): (rng.random(30) < 0.97).astype(float) for seed in range(3)}
            for _ in range(2)
        )
        found = compare(
            *(resample(each, groups, mean, resamples=150) for each in (ours, theirs)), "m", MARGIN
        )
        rejected += found.p < 0.005
        tied += len({np.sum(ours[seed]) - np.sum(theirs[seed]) for seed in ours}) == 1
    assert tied > 10
    assert rejected / times < 0.005 + 0.012


def test_corrections_are_those_of_statsmodels():
    p = [0.01, 0.04, None, 0.03, 0.5, 0.005]
    known = [each for each in p if each is not None]
    for ours, name in ((holm, "holm"), (false_discovery, "fdr_bh")):
        found = ours(p)
        assert found[2] is None
        assert [each for each in found if each is not None] == pytest.approx(
            multipletests(known, method=name)[1]
        )
        assert ours([]) == []
        assert ours([None]) == [None]


@pytest.mark.parametrize("n", [2, 5, 30])
def test_power_and_the_smallest_detectable_difference_are_those_of_statsmodels(n):
    rng = np.random.default_rng(n)
    ours, theirs = rng.normal(size=(2, n))
    found = compare(runs(ours), runs(theirs), "m", MARGIN)
    spread = np.std(ours - theirs, ddof=1)
    oracle = TTestPower()
    effect = oracle.solve_power(nobs=n, alpha=0.05, power=0.8, alternative="two-sided")
    assert smallest_detectable(found) == pytest.approx(effect * spread, rel=1e-3)
    assert power(0.5 * math.sqrt(n), n - 1) == pytest.approx(oracle.power(0.5, n, 0.05), rel=1e-3)


def test_the_number_of_seeds_that_decides_is_the_first_that_has_the_power():
    ours = 0.05 * np.array([-1, 1, -1, 1, 0.5, -0.5])
    found = compare(runs(ours), runs(np.zeros(6)), "m", MARGIN)
    spread = ours.std(ddof=1)

    def enough(n):
        effect, degrees = MARGIN / spread * math.sqrt(n), n - 1
        bound = stats.t.ppf(0.95, degrees)
        # of simulated differences of equal rows, the share that both one-sided tests accept
        equivalent = 2 * stats.t.cdf(effect - bound, degrees) - 1
        return min(TTestPower().power(MARGIN / spread, n, 0.05), equivalent) >= 0.8

    first = next(n for n in range(2, 200) if enough(n))
    assert seeds_to_decide(found) == first


@pytest.mark.parametrize("degrees", [1.0, 2.0, 9.3, 57.0, 1e3, 1e6])
def test_power_grows_with_the_effect_and_is_a_number_everywhere(degrees):
    found = [power(effect, degrees) for effect in np.linspace(0, 60, 300)]
    assert np.isfinite(found).all()
    assert found[0] == pytest.approx(0.05)
    assert (np.diff(found) > -1e-6).all()
    assert max(found) <= 1 + 1e-9


def test_equal_rows_are_found_equivalent_as_often_as_promised():
    rng = np.random.default_rng(3)
    n, spread = 20, 0.03
    expected = chances(
        Comparison(0.0, n, True, MARGIN, 10**6, 0.0, spread / math.sqrt(n), 0.0, n - 1, spread**2),
        n,
    )[1]
    accepted = sum(
        ttost_paired(rng.normal(scale=spread, size=n), np.zeros(n), -MARGIN, MARGIN)[0] < 0.05
        for _ in range(400)
    )
    assert accepted / 400 == pytest.approx(expected, abs=0.05)


def test_no_number_of_seeds_decides_where_utterances_are_too_few():
    wobble = np.random.default_rng(0).normal(scale=0.1, size=200)
    found = compare(runs(OURS, resampled=OURS[:, None] + wobble), runs(THEIRS), "m", MARGIN)
    assert found.utterance_error == pytest.approx(0.1, rel=0.15)
    assert seeds_to_decide(found) == math.inf


def test_the_probability_that_a_run_is_better_is_brunner_and_munzels():
    ours, theirs = [0.7, 0.8, 0.75, 0.9, 0.8], [0.85, 0.8, 0.95, 0.9]
    oracle = rank_compare_2indep(ours, theirs)
    found = probability_better(ours, theirs, lower=False)
    low, high = oracle.conf_int()
    assert found == pytest.approx((oracle.prob1, max(0, low), min(1, high)), rel=1e-9)
    lower = probability_better(ours, theirs, lower=True)
    assert lower[0] == pytest.approx(1 - found[0])
    assert probability_better([0.5], theirs, lower=True) is None
    assert probability_better([0.1, 0.2], [0.8, 0.9], lower=True) == (1.0, 1.0, 1.0)


def test_a_run_far_away_does_not_move_the_interquartile_mean():
    values = np.array([0.9, 0.91, 0.92, 0.93, 9.0])
    assert interquartile_mean(values) == pytest.approx((0.91 + 0.92 + 0.93) / 3)
    assert compare(runs(values), runs(np.zeros(5)), "m", 0.1).trimmed == pytest.approx(0.92)


@pytest.mark.parametrize(
    ("difference", "error", "lower", "expected"),
    [
        (-0.10, 0.01, True, "better"),
        (-0.10, 0.01, False, "worse"),
        (0.10, 0.01, True, "worse"),
        (0.10, 0.01, False, "better"),
        (0.0, 0.005, True, "equivalent"),
        (0.015, 0.005, True, "negligible"),
        (0.0, 0.05, True, "undecided"),
        (0.03, 0.01, False, "better"),
    ],
)
def test_verdicts_are_words_for_where_the_intervals_lie(difference, error, lower, expected):
    found = Comparison(difference, 50, True, MARGIN, 30, difference, error, 0.0, 49.0)
    assert verdict(found, lower) == expected
    assert expected in VERDICTS


def test_corrected_p_values_decide_if_there_are_any():
    found = Comparison(-0.10, 50, True, MARGIN, 30, 0.0, 0.04, 0.0, 49.0)
    assert verdict(found, lower=True) == "better"
    assert verdict(found, lower=True, p=0.06, p_equivalent=1.0) == "undecided"


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
    found = scoring(list(map(str, labels)), f1=average)(predictions, weights)
    for number, row in enumerate(rows):
        expected = sentiment_metrics(predictions[row], labels[row], average)
        assert set(found) == set(expected)
        for name, value in expected.items():
            assert found[name][number] == pytest.approx(value), name


@pytest.mark.parametrize("average", ["weighted", "macro"])
@pytest.mark.parametrize("decision", ["one-against-rest", "joint"])
def test_resampled_metrics_of_emotions_are_the_plain_ones_of_the_drawn_utterances(
    decision, average
):
    rng = np.random.default_rng(1)
    names = ["happy", "sad", "angry"]
    labels = rng.integers(0, 3, size=30)
    scores = rng.normal(size=(30, 3)) + np.eye(3)[labels]
    weights, rows = drawn(rng, 30, 20)
    metrics = scoring([names[label] for label in labels], names, decision, average)
    found = metrics(scores, weights)
    for number, row in enumerate(rows):
        expected = emotion_metrics(
            scores[row], labels[row], names, decision == "one-against-rest", average
        )
        assert set(found) == set(expected)
        for name, value in expected.items():
            assert found[name][number] == pytest.approx(value), name


@pytest.mark.parametrize("average", ["weighted", "macro"])
def test_a_resample_of_every_utterance_once_has_the_plain_metrics(average):
    rng = np.random.default_rng(3)
    labels = rng.choice([-2.4, -1.0, 0.0, 0.6, 3.0], size=40)
    predictions = labels + rng.normal(size=40)
    metrics = scoring(list(map(str, labels)), f1=average)
    plain, resampled = metrics(predictions), metrics(predictions, np.ones((3, 40)))
    assert list(plain) == list(resampled)
    assert all(type(value) is float for value in plain.values())
    for name, value in plain.items():
        np.testing.assert_allclose(resampled[name], np.full(3, value), err_msg=name)


def test_a_resample_of_neutral_utterances_only_has_no_metrics_of_the_others():
    weights = np.array([[1.0, 2.0, 0.0], [1.0, 1.0, 1.0]])
    found = scoring(["0", "0", "1"])(np.array([0.1, -0.2, 2.0]), weights)
    for name in ("acc2_pos", "f1_pos", "mae_nonzero"):
        np.testing.assert_array_equal(np.isnan(found[name]), [True, False], name)
    assert found["acc2_nonneg"].tolist() == [1 / 3, 2 / 3]


def test_resamples_draw_whole_groups_and_are_the_same_for_all_systems(monkeypatch):
    groups, seen = ["a", "a", "b", "c"], []

    def spy(predictions, weights=None):
        if weights is not None:
            seen.append(weights)
        return mean(predictions, weights)

    first = resample({"1": np.arange(4.0)}, groups, spy, resamples=20)
    weights = seen[0]
    assert weights.shape == (20, 4)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    assert set(weights.sum(axis=1) - weights[:, 0]) == {3.0}
    # in parts, as for a corpus that does not fit
    monkeypatch.setattr("hycon.evaluation.inference.BLOCK", 12)
    again = resample({"1": np.arange(4.0)}, groups, spy, resamples=20)
    np.testing.assert_array_equal(first.resampled["m"], again.resampled["m"])
    assert first.groups == 3


def test_runs_that_do_not_fit_the_utterances_are_refused():
    with pytest.raises(ValueError, match="no run"):
        resample({}, ["a"], mean)
    with pytest.raises(ValueError, match="run 7 has 3 predictions, expected 2"):
        resample({"7": np.zeros(3)}, ["a", "b"], mean)
