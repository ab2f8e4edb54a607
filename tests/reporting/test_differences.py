"""Differences to a reference row: the numbers, and what a reader sees of them."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from hycon.errors import HyConError
from hycon.params import Corpus, load
from hycon.plan.tasks import DifferenceTable, RowPair
from hycon.reporting.captions import SENTIMENT
from hycon.reporting.differences import make, write
from tests.reporting.scored_rows import scored_row, with_other_parameters
from tests.test_params import ROOT

INFERENCE = load(ROOT).inference
FILES = {name: {"path": f"{name}.csd"} for name in ("words", "audio", "vision", "labels", "folds")}
SCORED = Corpus.model_validate({"title": "Test_corpus", "task": "regression", "files": FILES})
EMOTIONAL = Corpus.model_validate(
    {"title": "E", "task": "classification", "emotions": ["happy", "sad"], "files": FILES}
)
REFERENCE = [0.90, 0.91, 0.89, 0.92]
BETTER = [0.80, 0.82, 0.81, 0.80]
NEAR = [0.901, 0.911, 0.889, 0.921]
UNSURE = [0.95, 0.85, 0.99, 0.87]


def row(folder, values, name, metrics=SENTIMENT):
    seeds = {str(n): {"test": dict.fromkeys(metrics, value)} for n, value in enumerate(values, 1)}
    return scored_row(folder / name / "scores.json", seeds, model=name, row=name)


def compared(folder, rows, corpus=SCORED, metrics=SENTIMENT):
    reference = row(folder, REFERENCE, "No_contrast", metrics)
    pairs = [
        RowPair(row=row(folder, values, name, metrics), reference=reference)
        for name, values in rows.items()
    ]
    table = DifferenceTable(
        title="Title", reference="No_contrast", pairs=pairs, inference=INFERENCE
    )
    return make(table, "corpus", corpus)


@pytest.fixture
def table(tmp_path):
    return compared(tmp_path, {"Better": BETTER, "Near": NEAR, "Unsure": UNSURE})


def of(table, metric):
    return {each.model: each for each in table.differences if each.metric == metric}


def test_the_primary_metric_is_corrected_by_holm_and_the_others_by_false_discovery(table):
    rows = (BETTER, NEAR, UNSURE)
    plain = [stats.ttest_rel(values, REFERENCE).pvalue for values in rows]
    found = of(table, "mae_all")
    # resamples are float32, so that rounding adds a little to the error
    assert [each.found.p for each in found.values()] == pytest.approx(plain, rel=1e-3)
    assert [each.p for each in found.values()] == pytest.approx(
        multipletests([each.found.p for each in found.values()], method="holm")[1]
    )
    others = [each for each in table.differences if each.metric != "mae_all"]
    assert len(others) == 9 * 3
    assert [each.p for each in others] == pytest.approx(
        multipletests([each.found.p for each in others], method="fdr_bh")[1]
    )


def test_verdicts_know_which_direction_is_better(table):
    assert [each.verdict for each in of(table, "mae_all").values()] == [
        "better", "equivalent", "undecided",
    ]  # fmt: skip
    assert [each.verdict for each in of(table, "corr_all").values()] == [
        "worse", "equivalent", "undecided",
    ]  # fmt: skip


def test_margins_are_those_of_each_kind_of_metric(table):
    assert {each.metric: each.found.margin for each in table.differences} == {
        metric: 0.02 if metric.startswith(("mae", "corr")) else 0.01 for metric in SENTIMENT
    }


def test_what_is_written_names_corpus_reference_method_and_n(table, tmp_path):
    write(table, tmp_path / "main-differences")
    markdown = (tmp_path / "main-differences.md").read_text()
    for part in ("Title: differences. Corpus: Test_corpus.", "Reference: No_contrast",
                 "n = 4 seeds, paired", "1000 bootstrap resamples of whole videos", "Holm",
                 "Margin: 0.020", "false discovery rate"):  # fmt: skip
        assert part in markdown
    frame = pd.read_csv(tmp_path / "main-differences.csv")
    assert len(frame) == 30
    line = frame[(frame.metric == "mae_all") & (frame.model == "Better")].iloc[0]
    low, high = stats.ttest_rel(BETTER, REFERENCE).confidence_interval()
    assert (line.low, line.high) == pytest.approx((low, high), abs=1e-5)
    assert f"{line.difference:+.3f} [{low:+.3f}, {high:+.3f}]" in markdown
    assert "**better**" in markdown
    assert line.n == 4
    latex = (tmp_path / "main-differences.tex").read_text()
    assert r"No\_contrast" in latex
    assert r"\label{tab:corpus-main-differences}" in latex
    assert r"95\%" in latex


def test_the_interval_in_the_table_never_contradicts_its_p(table, tmp_path):
    write(table, tmp_path / "t")
    frame = pd.read_csv(tmp_path / "t.csv")
    assert ((frame.low > 0) | (frame.high < 0)).equals(frame.p < 0.05)
    inside = (frame.low_90 > -frame.margin) & (frame.high_90 < frame.margin)
    assert inside.equals(frame.p_equivalent < 0.05)


def test_a_single_seed_leaves_everything_undecided(tmp_path):
    (tmp_path / "x").mkdir()
    reference = row(tmp_path, REFERENCE[:1], "No_contrast")
    pair = RowPair(row=row(tmp_path, BETTER[:1], "Better"), reference=reference)
    task = DifferenceTable(
        title="Title", reference="No_contrast", pairs=[pair], inference=INFERENCE
    )
    found = make(task, "corpus", SCORED)
    assert {each.verdict for each in found.differences} == {"undecided"}
    write(found, tmp_path / "t")
    assert "| BERT" in (tmp_path / "t.md").read_text()
    assert pd.read_csv(tmp_path / "t.csv").p.isna().all()


def test_emotions_are_shown_in_points(tmp_path):
    metrics = ["acc_happy", "f1_happy", "acc_sad", "f1_sad", "acc", "f1"]
    found = compared(tmp_path, {"Better": np.add(REFERENCE, [0.05, 0.06, 0.05, 0.06])},
                     EMOTIONAL, metrics)  # fmt: skip
    assert of(found, "acc")["Better"].verdict == "better"
    write(found, tmp_path / "t")
    markdown = (tmp_path / "t.md").read_text()
    assert "+5.5 [" in markdown
    assert "Margin: 1.0 points" in markdown


@pytest.mark.parametrize("side", ["row", "reference"])
def test_scores_made_with_other_parameters_are_refused(table, side):
    pair = table.table.pairs[0]
    pair = pair.model_copy(update={side: with_other_parameters(getattr(pair, side))})
    name = "Better" if side == "row" else "No_contrast"
    with pytest.raises(HyConError, match=rf"{name}/scores\.json: made with other parameters"):
        make(table.table.model_copy(update={"pairs": [pair]}), "corpus", SCORED)


def test_resamples_of_other_scores_are_refused(table):
    pair = table.table.pairs[0]
    file = pair.row.scores.with_name("resampled.safetensors")
    file.write_bytes(pair.reference.scores.with_name("resampled.safetensors").read_bytes() + b"x")
    with pytest.raises(HyConError, match=r"resampled\.safetensors: cannot be read \(not the file"):
        make(table.table, "corpus", SCORED)
