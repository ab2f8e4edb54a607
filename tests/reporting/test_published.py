"""Published numbers beside ours: like with like, a verdict by the stated rule, sources named."""

from pathlib import Path

import pandas as pd
import pytest

from hycon.errors import HyConError
from hycon.params import Published, load, load_published
from hycon.plan.tasks import PublishedTable
from hycon.reporting.published import make, write
from tests.reporting.scored_rows import scored_row, with_other_parameters

ROOT = Path(__file__).resolve().parents[2]
PARAMS = load(ROOT)
CORPUS = PARAMS.catalogue["mosi"]


def published(row, **metrics):
    return Published(
        corpus="mosi", model="HyCon", encoder="BERT", row=row, source="A paper", metrics=metrics
    )


def scores(path, f1="weighted", **metrics):
    """Write the scores of three seeds, each metric's three values, and return their row."""
    seeds = {
        str(seed): {"test": {name: values[seed] for name, values in metrics.items()}}
        for seed in range(3)
    }
    return scored_row(path, seeds, {"metrics": {"f1": f1}})


def beside(published, *rows):
    """Return the published numbers beside those of some rows."""
    table = PublishedTable(published=published, rows=list(rows), inference=PARAMS.inference)
    return make(table, "mosi", CORPUS)


@pytest.mark.parametrize(
    ("metric", "value", "ours", "difference", "verdict"),
    [
        ("acc2_pos", 85.0, [0.842, 0.842, 0.842], -0.8, "agrees"),  # within a point
        ("acc2_pos", 85.0, [0.830, 0.830, 0.830], -2.0, "worse"),
        ("acc2_pos", 85.0, [0.800, 0.830, 0.860], -2.0, "agrees"),  # std 3 points
        ("acc7", 40.0, [0.45, 0.45, 0.45], 5.0, "better"),
        ("mae_all", 0.700, [0.715, 0.715, 0.715], 0.015, "agrees"),
        ("mae_all", 0.700, [0.750, 0.750, 0.750], 0.050, "worse"),
        ("mae_all", 0.700, [0.600, 0.601, 0.599], -0.100, "better"),
        ("corr_all", 0.790, [0.700, 0.701, 0.699], -0.090, "worse"),
    ],
)
def test_the_verdict_follows_the_rule(tmp_path, metric, value, ours, difference, verdict):
    row = scores(tmp_path / "scores.json", **{metric: ours})
    (line,) = beside([published("hycon-bert", **{metric: value})], row).lines
    assert line.difference == pytest.approx(difference)
    assert line.verdict == verdict


def test_rows_that_were_not_run_or_are_not_ours_stay_empty(tmp_path):
    found = beside([published(None, acc7=40.0), published("hycon-bert", acc7=46.6)]).lines
    assert [(line.difference, line.verdict) for line in found] == [(None, ""), (None, "")]


def test_what_is_written_names_convention_rule_and_sources(tmp_path):
    ours = {"acc7": [0.40, 0.41, 0.42], "mae_nonzero": [0.7, 0.72, 0.74]}
    rows = [published("hycon-bert", acc7=46.6, mae_nonzero=0.713), published(None, acc7=33.8)]
    write(beside(rows, scores(tmp_path / "scores.json", **ours)), tmp_path / "published")
    markdown = (tmp_path / "published.md").read_text()
    assert " 46.6 |" in markdown
    for part in ("41.0 ± 1.0 (n = 3)", "-5.6", "worse", "MAE nonzero", "agrees", "[1] A paper",
                 "differ by at most that deviation or the margin (1 point"):  # fmt: skip
        assert part in markdown
    frame = pd.read_csv(tmp_path / "published.csv")
    assert frame["difference"][0] == pytest.approx(-5.6)
    assert frame["verdict"].isna().tolist() == [False, False, True]
    assert r"\label{tab:mosi-published}" in (tmp_path / "published.tex").read_text()


def test_a_macro_f1_is_not_held_against_a_published_one(tmp_path):
    rows = [published("hycon-bert", f1_pos=85.1, acc7=46.6)]
    ours = {"f1_pos": [0.8, 0.8, 0.8], "acc7": [0.4, 0.4, 0.4]}
    for average, seen in (("weighted", [-5.1, -6.6]), ("macro", [None, -6.6])):
        found = beside(rows, scores(tmp_path / "scores.json", average, **ours)).lines
        assert [each.difference for each in found] == pytest.approx(seen)


def test_scores_made_with_other_parameters_are_refused(tmp_path):
    row = with_other_parameters(scores(tmp_path / "scores.json", acc7=[0.4, 0.4, 0.4]))
    with pytest.raises(HyConError, match=r"scores\.json: made with other parameters"):
        beside([published("hycon-bert", acc7=46.6)], row)


def test_the_projects_own_file_names_sources_and_rows_that_exist():
    params = load(ROOT)
    rows = {f"{variant}-{encoder}" for variant in params.variants for encoder in params.encoders}
    found = load_published(ROOT)
    assert {each.corpus for each in found} == {"mosi", "mosei"}
    for each in found:
        assert each.row is None or each.row in rows
        assert each.source
        assert each.corpus in params.catalogue
    hycon = next(each for each in found if each.model == "HyCon" and each.corpus == "mosei")
    assert hycon.metrics["mae_nonzero"] == 0.601


def test_a_mistake_in_the_file_is_one_line_that_names_its_key(tmp_path):
    assert load_published(tmp_path) == []
    (tmp_path / "paper").mkdir()
    path = tmp_path / "paper/expected.yaml"
    path.write_text("published: [{corpus: mosi, model: a, encoder: b, row: null, source: c}]")
    with pytest.raises(HyConError, match=r"paper/expected\.yaml: published\.0\.metrics: missing"):
        load_published(tmp_path)
