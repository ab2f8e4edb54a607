"""Scores by seed, and their mean and spread."""

import json

import numpy as np
import pytest

from hycon.errors import HyConError
from hycon.evaluation.aggregation import check_parameters, over_seeds, read_scores, summarise


def test_mean_and_std_are_those_of_numpy_with_ddof_1():
    values = [0.1, 0.25, 0.4, 0.9]
    found = summarise([{"m": value} for value in values])["m"]
    assert found["mean"] == pytest.approx(np.mean(values), abs=1e-15)
    assert found["std"] == pytest.approx(np.std(values, ddof=1), abs=1e-15)
    assert found["n"] == 4


def test_a_single_run_has_no_spread():
    assert summarise([{"m": 0.5}]) == {"m": {"mean": 0.5, "std": None, "n": 1}}


def test_runs_with_different_metrics_are_refused():
    with pytest.raises(ValueError, match="same metrics"):
        summarise([{"a": 1.0}, {"b": 1.0}])
    with pytest.raises(ValueError, match="must exist"):
        summarise([])


def test_the_summary_is_of_the_test_fold(tmp_path):
    path = tmp_path / "scores.json"
    seeds = {"1": {"test": {"m": 1.0}, "valid": {"m": 9.0}}, "2": {"test": {"m": 2.0}}}
    path.write_text(json.dumps({"seeds": seeds}))
    assert over_seeds(path)["m"]["mean"] == 1.5


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seeds": {}}'])
def test_a_file_without_scores_is_refused_by_name(tmp_path, text):
    path = tmp_path / "scores.json"
    path.write_text(text)
    with pytest.raises(HyConError, match=r"scores\.json: cannot be read"):
        read_scores(path)


def test_scores_of_other_parameters_are_refused_by_name(tmp_path):
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    for path in paths:
        path.write_text(json.dumps({"seeds": {"1": {}}, "parameters digest": path.stem}))
    expected = {path: path.stem for path in paths}
    check_parameters(expected)
    said = (
        r"b\.json: made with other parameters \(digest b\) than the present ones \(c\); delete it"
    )
    with pytest.raises(HyConError, match=said):
        check_parameters({**expected, paths[1]: "c"})
    # scores of an older version say nothing of it
    paths[0].write_text(json.dumps({"seeds": {"1": {}}}))
    with pytest.raises(HyConError, match=r"a\.json: .*digest None"):
        check_parameters(expected)
