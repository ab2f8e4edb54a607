"""The stage `figures` reads scores and runs, and says in the caption whose numbers they are."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from hycon.corpus.utterances import Utterance, write_table
from hycon.errors import HyConError
from hycon.params import load
from hycon.plan.tasks import CurveFigure, CurveRow, FigureTask, ShownRun, TsneFigure
from hycon.reporting.captions import SENTIMENT
from hycon.stages import figures
from tests.reporting.scored_rows import scored_row, with_other_parameters
from tests.running import run_stage
from tests.test_params import ROOT

PARAMS = load(ROOT)
LABELS = (-1.5, 0.0, 2.0)


def scores(path, values, seeds=(1, 2)):
    runs = {
        str(seed): {"test": dict.fromkeys(SENTIMENT, value)}
        for seed, value in zip(seeds, values, strict=True)
    }
    return scored_row(path, runs, {"settings": {"train": {"emotion_decision": "joint"}}})


def draw(output, figure, key="sample"):
    """Draw a figure, and return its caption."""
    corpus = PARAMS.catalogue[key]
    task = FigureTask(
        key=key, corpus=corpus, title="A title", colours=PARAMS.figures, figure=figure,
        output=output,
    )  # fmt: skip
    run_stage("figures", task)
    return output.with_suffix(".txt").read_text()


def curve(points, *metrics, x_label="alpha"):
    """Return a curve over points (x, row)."""
    rows = [CurveRow(x=x, row=row) for x, row in points]
    return CurveFigure(points=rows, metrics=list(metrics), x_label=x_label)


@pytest.fixture
def points(tmp_path):
    return [
        (0.2, scores(tmp_path / "a.json", [0.5, 0.75])),
        (0.8, scores(tmp_path / "b.json", [0.25, 0.5])),
    ]


def test_a_curve_draws_the_scores_and_its_caption_says_whose_they_are(
    points, tmp_path, monkeypatch
):
    seen = []
    monkeypatch.setattr(figures, "write_curve", lambda *given: seen.append(given))
    with pytest.raises(FileNotFoundError):  # nothing was written
        draw(tmp_path / "c", curve(points, "mae_all", "acc2_pos"))
    (((mae, acc), x_label, caption, _, colours),) = seen
    assert colours == PARAMS.figures
    assert x_label == "alpha"
    assert mae.points == acc.points == [(0.2, [0.5, 0.75]), (0.8, [0.25, 0.5])]
    assert (mae.label, mae.factor, mae.lowest_is_best) == ("MAE all", 1, True)
    assert (acc.label, acc.factor, acc.lowest_is_best) == ("Acc2 pos", 100, False)
    for part in ("A title. Corpus: Sample (generated)", "SAMPLE NUMBERS, not results.", "Test fold",
                 "seeds 1, 2 (n = 2)", "ddof 1", "y > 0 against y < 0"):  # fmt: skip
        assert part in caption


def test_a_real_corpus_is_no_sample_and_one_seed_has_no_spread(tmp_path):
    point = (1, scores(tmp_path / "a.json", [0.5], [7]))
    caption = draw(tmp_path / "c", curve([point], "acc7"), "mosi-utterance")
    assert "SAMPLE" not in caption
    assert "random 64%" in caption
    assert "one seed (7), so no spread" in caption


def test_other_seeds_and_unknown_metrics_are_refused(points, tmp_path):
    points.append((1, scores(tmp_path / "c.json", [0.5, 0.5], [1, 3])))
    with pytest.raises(HyConError, match=r"c\.json: found seeds 1, 3, expected .* 1, 2;"):
        draw(tmp_path / "c", curve(points, "acc7"))
    with pytest.raises(HyConError, match="metric 'acc8' is none of sample; choose from acc7,"):
        draw(tmp_path / "c", curve(points, "acc8"))


def test_a_figure_without_what_it_needs_is_no_task(runs, tmp_path):
    with pytest.raises(ValueError, match="at least 1 item"):
        curve([], "acc7")
    for few in (runs[:1], [*runs, runs[0]]):
        with pytest.raises(ValueError, match="2 items"):
            pair(few, tmp_path)
    with pytest.raises(ValueError, match=r"aligned\s+Field required"):
        TsneFigure(runs=runs, seed=1)


def test_scores_made_with_other_parameters_are_refused(points, runs, tmp_path):
    (x, row), last = points
    with pytest.raises(HyConError, match=r"a\.json: made with other parameters"):
        draw(tmp_path / "c", curve([(x, with_other_parameters(row)), last], "acc7"))
    other = with_other_parameters(runs[1].row)
    runs[1] = runs[1].model_copy(update={"row": other})
    with pytest.raises(HyConError, match=r"5\.json: made with other parameters"):
        draw(tmp_path / "p", pair(runs, tmp_path))
    assert not list(tmp_path.glob("*.svg"))


@pytest.fixture
def runs(tmp_path):
    """Return two runs over 30 utterances, of which the last 15 are the test fold."""
    utterances = [
        Utterance(f"u{i}", "v", i, "test" if i >= 15 else "train", 0, 1, 1, str(LABELS[i % 3]), "t")
        for i in range(30)
    ]
    write_table(tmp_path / "utterances.csv", utterances)
    fused = np.random.default_rng(1).standard_normal((30, 5)).astype(np.float32)
    for seed in (4, 5):
        folder = tmp_path / f"run-{seed}"
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps({"seed": seed}))
        save_file({"fused": fused * seed}, folder / "representations.safetensors")
    return [
        ShownRun(
            title=title,
            folder=tmp_path / f"run-{seed}",
            row=scores(tmp_path / f"{seed}.json", [0.5], [seed]),
        )
        for title, seed in (("With", 4), ("Without", 5))
    ]


def pair(runs, aligned):
    return TsneFigure(runs=runs, aligned=aligned, seed=9)


def test_a_pair_is_of_the_test_fold_with_classes_by_sign(runs, tmp_path, monkeypatch):
    seen, embed = [], figures.embed
    monkeypatch.setattr(figures, "embed", lambda *given: seen.append(given) or embed(*given))
    caption = draw(tmp_path / "p", pair(runs, tmp_path))
    fused = np.random.default_rng(1).standard_normal((30, 5)).astype(np.float32)
    np.testing.assert_array_equal(seen[1][0], fused[15:] * 5)
    assert seen[0][1].tolist() == ["negative", "neutral", "positive"] * 5
    assert seen[0][2] == 9
    for part in (
        "n = 15 utterances (negative 5, neutral 5, positive 5)",
        "(With: seed 4; Without: seed 5)",
        "SAMPLE NUMBERS",
        "neutral: y = 0",
        "perplexity 4.67, seed 9",
    ):
        assert part in caption
    assert (tmp_path / "p.svg").is_file()


def test_of_a_large_test_fold_a_sample_is_drawn_the_same_for_both_and_the_caption_says_so(
    runs, tmp_path, monkeypatch
):
    seen, embed = [], figures.embed
    monkeypatch.setattr(figures, "embed", lambda *given: seen.append(given) or embed(*given))
    monkeypatch.setattr(figures, "MOST_POINTS", 13)
    caption = draw(tmp_path / "p", pair(runs, tmp_path))
    chosen = 15 + np.sort(np.random.default_rng(0).permutation(15)[:13])
    fused = np.random.default_rng(1).standard_normal((30, 5)).astype(np.float32)
    for seed, (points, classes, _) in zip((4, 5), seen, strict=True):
        np.testing.assert_array_equal(points, fused[chosen] * seed)
        signs = np.array(["negative", "neutral", "positive"])
        assert classes.tolist() == signs[chosen % 3].tolist()
    assert "n = 13 of 15 utterances drawn at random, seed 0 (negative " in caption
    assert "perplexity 4, seed 9" in caption


def test_a_run_that_cannot_be_drawn_is_named(runs, tmp_path):
    save_file({"fused": np.ones((3, 5))}, tmp_path / "run-5/representations.safetensors")
    with pytest.raises(HyConError, match=r"run-5/repr.*: 3 of fused, expected 30; train again"):
        draw(tmp_path / "p", pair(runs, tmp_path))
    (tmp_path / "run-4/run.json").unlink()
    with pytest.raises(HyConError, match=r"run-4/run\.json: cannot be read"):
        draw(tmp_path / "p", pair(runs, tmp_path))


def test_emotions_have_their_own_metrics_and_their_own_note(tmp_path):
    settings = {"train": {"emotion_decision": "one-against-rest"}}
    content = {"settings": settings, "metrics": {"f1": "macro"}}
    row = scored_row(tmp_path / "e.json", {"1": {"test": {"f1_sad": 0.5}}}, content)
    caption = draw(tmp_path / "c", curve([(1, row)], "f1_sad"), "sample-emotion")
    assert "F1 macro" in caption
    assert "Each emotion: one decision for it, trained against the rest" in caption
    assert "<!-- F1 sad (%) -->" in (tmp_path / "c.svg").read_text()
