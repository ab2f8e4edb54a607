"""Tables say whose numbers they are, with which seeds and convention."""

import json

import pandas as pd
import pytest

from hycon.errors import HyConError
from hycon.params import load
from hycon.plan.tasks import ScoreTable
from hycon.reporting.captions import SENTIMENT
from hycon.reporting.tables import cell, make, write
from hycon.stages import evaluate
from tests.reporting.scored_rows import scored_row, with_other_parameters
from tests.test_params import ROOT

PARAMS = load(ROOT)


def scores(model, encoder, path, values, metrics=SENTIMENT, decision="joint"):
    seeds = {
        str(seed): {"test": dict.fromkeys(metrics, value), "parameters": {"all": 12345}}
        for seed, value in enumerate(values, 1)
    }
    settings = {"train": {"emotion_decision": decision}}
    return scored_row(path, seeds, {"settings": settings}, model, encoder)


def table_of(rows, key="sample", title="T", left_out="", note=""):
    table = ScoreTable(
        experiment="main", title=title, rows=rows, left_out=left_out, note=note,
        inference=PARAMS.inference,
    )  # fmt: skip
    return make(table, key, PARAMS.catalogue[key])


@pytest.fixture
def table(tmp_path):
    rows = [
        scores("HyCon", "BERT", tmp_path / "a/scores.json", [0.5, 0.75]),
        scores("100% & more_", "GloVe", tmp_path / "b/scores.json", [0.25, 1 / 3]),
    ]
    return table_of(rows, title="A title")


def test_the_caption_says_sample_seeds_n_selection_and_convention(table):
    for part in (
        "A title.",
        "Sample (generated)",
        "SAMPLE NUMBERS, not results",
        "seeds 1, 2 (n = 2)",
        "ddof 1",
        "selected on validation only",
        "y >= 0 against y < 0",
    ):
        assert part in table.caption


def test_a_real_corpus_is_not_called_a_sample_but_its_note_is_there(tmp_path):
    row = scores("HyCon", "MiniLM", tmp_path / "a/scores.json", [0.5, 0.6])
    caption = table_of([row], "mosi-utterance").caption
    assert "SAMPLE" not in caption
    assert "random 64%" in caption


def test_the_caption_says_which_rows_are_left_out_and_what_else_there_is_to_say(table, tmp_path):
    rows = [row for row, *_ in table.rows]
    caption = table_of(rows, left_out="XLNet (not here)", note="A note.").caption
    assert "Left out: XLNet (not here). A note." in caption
    assert "Left out" not in table.caption


def test_csv_has_full_precision_and_its_caption(table, tmp_path):
    write(table, tmp_path / "t")
    frame = pd.read_csv(tmp_path / "t.csv")
    assert frame["acc7_mean"].tolist() == [0.625, (0.25 + 1 / 3) / 2]
    assert frame["acc7_std"].tolist() == pytest.approx([0.1767766953, 0.0589255651])
    assert frame["n"].tolist() == [2, 2]
    assert frame["parameters"].tolist() == [12345, 12345]
    assert "SAMPLE NUMBERS" in frame["caption"][0]
    assert frame["model"].tolist() == ["HyCon", "100% & more_"]
    assert frame["text_encoder"].tolist() == ["BERT", "GloVe"]


def test_markdown_rounds_only_what_is_shown(table, tmp_path):
    write(table, tmp_path / "t")
    lines = (tmp_path / "t.md").read_text().splitlines()
    cells = [part.strip() for part in lines[2].strip("|").split("|")]
    assert cells[:4] == ["BERT", "HyCon", "12,345", "62.5 ± 17.7"]
    assert cells[9] == "0.625 ± 0.177"
    assert "SAMPLE NUMBERS" in lines[-1]


def test_latex_escapes_names_and_balances_its_braces(table, tmp_path):
    write(table, tmp_path / "t")
    text = (tmp_path / "t.tex").read_text()
    assert r"100\% \& more\_" in text
    assert r"$62.5_{\pm 17.7}$" in text
    assert r"\toprule" in text
    body = text.replace(r"\{", "").replace(r"\}", "")
    assert body.count("{") == body.count("}")
    assert text.count(r"\begin{") == text.count(r"\end{")


def test_rows_with_fewer_seeds_are_named(tmp_path):
    few = scores("MulT", "BERT", tmp_path / "a/scores.json", [0.5])
    many = scores("HyCon", "BERT", tmp_path / "b/scores.json", [0.5, 0.6, 0.7])
    assert "over seeds 1-3 (n = 3); seeds 1 (n = 1) of MulT; epoch" in table_of([few, many]).caption


def test_a_single_seed_is_shown_without_a_spread(tmp_path):
    caption = table_of([scores("HyCon", "BERT", tmp_path / "a/scores.json", [0.5])]).caption
    assert "one seed (1), so no spread" in caption
    assert "±" not in caption
    assert cell({"mean": 0.5, "std": None, "n": 1}, 100) == "50.0"


def test_an_emotion_table_has_each_emotion_and_all(tmp_path):
    corpus = PARAMS.catalogue["sample-emotion"]
    metrics = [f"{kind}_{name}" for name in corpus.emotions for kind in ("acc", "f1")]
    metrics += ["acc", "f1"]
    rows = [
        scores("HyCon", "BERT", tmp_path / f"{decision}/scores.json", [0.5], metrics, decision)
        for decision in ("one-against-rest", "joint")
    ]
    table = table_of(rows[:1], "sample-emotion")
    headings = [heading for heading, _ in table.columns.values()]
    assert headings[:2] == ["Acc happy", "F1 happy"]
    assert headings[-2:] == ["Acc all", "F1 all"]
    assert "Each emotion: one decision for it, trained against the rest" in table.caption
    both = table_of(rows, "sample-emotion")
    assert "(row 1, one decision" in both.caption
    assert "row 2, whether it is chosen" in both.caption


def test_a_run_made_with_other_parameters_is_refused_by_name_and_key(tmp_path):
    settings, encoder = PARAMS.settings("mosi", "hycon", "bert"), PARAMS.encoders["bert"]
    record = {"seed": 1, "settings": settings.model_dump(), "encoder": encoder.model_dump()}
    record["settings"]["train"]["alpha"] = 0.1
    record["selection"] = {}
    (tmp_path / "run.json").write_text(json.dumps(record))
    expected = {"settings": settings.model_dump(), "encoder": encoder.model_dump()}
    with pytest.raises(HyConError) as caught:
        evaluate._record(tmp_path / "run.json", expected)
    assert "run.json: made with other parameters (settings.train.alpha 0.1, expected 0.8)" in str(
        caught.value
    )


def test_scores_made_with_other_parameters_are_refused(table):
    (first, *_), (second, *_) = table.rows
    with pytest.raises(HyConError, match=r"b/scores\.json: made with other parameters"):
        table_of([first, with_other_parameters(second)])


def test_the_best_is_bold_only_where_it_differs_from_every_other_row(tmp_path):
    clear = scores("Clear", "BERT", tmp_path / "a/scores.json", [0.80, 0.81, 0.82])
    worse = scores("Worse", "BERT", tmp_path / "b/scores.json", [0.50, 0.52, 0.51])
    near = scores("Near", "BERT", tmp_path / "c/scores.json", [0.79, 0.83, 0.80])
    table = table_of([clear, worse])
    # the highest accuracy, and the lowest error
    assert {metric for row, metric in table.best if row == 0} == set(SENTIMENT) - {
        "mae_all",
        "mae_nonzero",
    }
    assert {metric for row, metric in table.best if row == 1} == {"mae_all", "mae_nonzero"}
    write(table, tmp_path / "t")
    assert "**81.0 ± 1.0**" in (tmp_path / "t.md").read_text()
    assert r"\textbf{\boldmath $81.0_{\pm 1.0}$}" in (tmp_path / "t.tex").read_text()
    assert "Bold: the best of its column" in table.caption
    unclear = table_of([clear, worse, near])
    assert not [metric for _, metric in unclear.best if not metric.startswith("mae")]
