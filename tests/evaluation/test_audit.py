"""What protocols choose, against the choice written out, and what they may and may not read."""

import numpy as np
import pytest

from hycon.evaluation.audit import PROTOCOLS, TUNED, Epochs, audit, tuned
from hycon.evaluation.inference import scoring
from hycon.evaluation.metrics import sentiment_metrics

RANDOM = np.random.default_rng(5)
VALID, TEST = (np.round(RANDOM.uniform(-3, 3, n) * 5) / 5 for n in (20, 30))


def run(epochs, noise=1.0):
    return Epochs(
        VALID + noise * RANDOM.normal(size=(epochs, len(VALID))),
        TEST + noise * RANDOM.normal(size=(epochs, len(TEST))),
    )


RUNS = {"1": run(6), "2": run(4), "3": run(9)}
METRICS = scoring(list(map(str, TEST)))


def audited(runs=RUNS, primary="mae_all"):
    return audit(runs, VALID, METRICS, primary)


def test_each_protocol_reports_what_it_says():
    found = audited()
    mae = {s: [np.abs(each - TEST).mean() for each in run.test] for s, run in RUNS.items()}
    loss = {s: [np.abs(each - VALID).mean() for each in run.valid] for s, run in RUNS.items()}
    acc = {s: [sentiment_metrics(each, TEST)["acc7"] for each in run.test]
           for s, run in RUNS.items()}  # fmt: skip
    at = {s: int(np.argmin(each)) for s, each in loss.items()}
    assert found.runs["validation"]["mae_all"] == pytest.approx([mae[s][at[s]] for s in RUNS])
    assert found.runs["last"]["mae_all"] == pytest.approx([mae[s][-1] for s in RUNS])
    assert found.runs["test"]["mae_all"] == pytest.approx([min(mae[s]) for s in RUNS])
    assert found.runs["test"]["acc7"] == [acc[s][int(np.argmin(mae[s]))] for s in RUNS]
    assert found.runs["test-each"]["acc7"] == [max(acc[s]) for s in RUNS]
    luckiest = min(RUNS, key=lambda s: mae[s][at[s]])
    assert found.runs["seed"]["acc7"] == [acc[luckiest][at[luckiest]]]
    assert found.runs["seed-each"]["acc7"] == [max(max(acc[s]) for s in RUNS)]
    assert found.mean("last", "mae_all") == pytest.approx(np.mean([mae[s][-1] for s in RUNS]))
    assert found.std("seed", "mae_all") is None
    assert found.validation == pytest.approx(np.mean([min(each) for each in loss.values()]))


def test_what_is_chosen_on_the_test_fold_is_never_worse_and_honest_protocols_do_not_choose():
    found = audited()
    for metric in found.runs["test-each"]:
        sign = 1 if metric.startswith("mae") else -1
        honest = sign * found.mean("validation", metric)
        assert sign * found.mean("test-each", metric) <= honest
        assert sign * found.mean("seed-each", metric) <= sign * found.mean("test-each", metric)
    other = {s: Epochs(run.valid, run.test[:, ::-1]) for s, run in RUNS.items()}
    both = (
        audit(RUNS, VALID, lambda p: {"mae_first": abs(p[0])}, "mae_first"),
        audit(other, VALID, lambda p: {"mae_first": abs(p[-1])}, "mae_first"),
    )
    assert both[0].runs == both[1].runs
    assert [each.name for each in PROTOCOLS if each.honest] == ["validation", "last"]


def test_the_best_of_rows_is_chosen_by_validation_or_by_test():
    rows = {"a": audited({"1": run(3, 0.5)}), "b": audited({"1": run(3, 2.0)})}
    found = tuned(rows, "mae_all")
    assert found.runs["tuned"] == rows["a"].runs["validation"]
    best = min(row.mean("validation", "mae_all") for row in rows.values())
    assert found.mean("tuned-test", "mae_all") == best
    assert set(found.runs) == {each.name for each in TUNED}


def test_emotions_are_selected_by_cross_entropy():
    labels = RANDOM.integers(0, 3, 12)
    sure = 5.0 * np.eye(3)[labels]
    valid = np.stack([0 * sure, sure, -sure])
    names = ["a", "b", "c"]
    metrics = scoring([names[label] for label in labels], names)
    found = audit({"1": Epochs(valid, np.stack([sure, -sure, sure]))}, labels, metrics, "acc")
    assert found.runs["validation"]["acc"] == [0.0]
    assert found.runs["test"]["acc"] == [1.0]
    assert found.validation == pytest.approx(np.log(np.exp(5) + 2) - 5)


@pytest.mark.parametrize(
    ("runs", "primary", "said"),
    [
        ({}, "mae_all", "no run"),
        ({"1": Epochs(np.zeros((2, 3)), np.zeros((2, 30)))}, "mae_all", "expected \\(E, 20\\)"),
        ({"1": Epochs(np.zeros((2, 20)), np.zeros((3, 30)))}, "mae_all", "as many epochs"),
        ({"1": Epochs(np.full((2, 20), np.nan), np.zeros((2, 30)))}, "mae_all", "found NaN"),
        (RUNS, "acc", "'acc' is none of"),
    ],
)
def test_what_cannot_be_audited_is_refused(runs, primary, said):
    with pytest.raises(ValueError, match=said):
        audited(runs, primary)
