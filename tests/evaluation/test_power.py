"""The chances of a finding, against simulated experiments and without gaps."""

import math

import numpy as np
import pytest
from scipy import stats

from hycon.evaluation.inference import (
    Comparison,
    chances,
    power,
    seeds_to_decide,
    smallest_detectable,
)


def comparison(run_variance, utterance_error, n=5, groups=30):
    seed_error = math.sqrt(run_variance / n)
    return Comparison(
        0.0, n, True, 0.02, groups, 0.0, seed_error, utterance_error, 4.0, run_variance
    )


def test_power_is_a_number_for_large_effects_and_few_degrees_too():
    # scipy's nct.cdf(-2.57, 5, 10) is NaN
    values = [power(effect, 5, 0.05) for effect in (1, 3, 7, 8, 10, 100)]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(1)


def test_little_noise_needs_few_seeds():
    assert seeds_to_decide(comparison(1e-8, 1e-5)) == 2


def test_the_detectable_difference_of_two_seeds_is_found_in_80_per_cent_of_experiments():
    found = Comparison(0.0, 2, True, 0.02, 30, 0.0, 0.01, 0.0, 1.0, 2e-4)
    effect = smallest_detectable(found) / found.error
    rng = np.random.default_rng(0)
    t = (rng.normal(size=200_000) + effect) / np.sqrt(rng.chisquare(1, 200_000))
    assert np.mean(np.abs(t) > stats.t.ppf(0.975, 1)) == pytest.approx(0.8, abs=0.005)


def test_the_chances_are_those_of_simulated_experiments():
    # no error from utterances: n differences of standard deviation 0.03, and a margin of 0.02
    found, n = comparison(0.03**2, 0.0), 25
    rng = np.random.default_rng(1)
    runs = rng.normal(0, 0.03, size=(40_000, n))
    error = runs.std(axis=1, ddof=1) / math.sqrt(n)
    different = np.abs(runs.mean(axis=1) + 0.02) / error > stats.t.ppf(0.975, n - 1)
    equivalent = (0.02 - np.abs(runs.mean(axis=1))) / error > stats.t.ppf(0.95, n - 1)
    assert chances(found, n)[0] == pytest.approx(different.mean(), abs=0.01)
    # of a known error; that of an experiment varies, which matters little here
    assert chances(found, n)[1] == pytest.approx(equivalent.mean(), abs=0.02)


def test_seeds_to_decide_is_the_first_number_with_both_chances():
    found = comparison(0.03**2, 0.002)
    n = seeds_to_decide(found)
    assert min(chances(found, n)) >= 0.8 > min(chances(found, n - 1))
    assert chances(comparison(0.0, 0.0), 2) == (1.0, 1.0)
