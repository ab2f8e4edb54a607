"""Figures of comparisons draw what was computed, and say in the caption whose numbers they are."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import optimize, stats

from hycon.errors import HyConError
from hycon.evaluation.inference import Runs, compare, verdict
from hycon.params import load
from hycon.plan.tasks import ComparisonFigure, FigureTask, RowPair
from hycon.reporting import comparison_figures as drawing
from hycon.reporting.captions import columns_of
from hycon.reporting.comparison_figures import (
    Measure,
    Row,
    limits,
    seed_differences,
    write_forest,
    write_seeds,
)
from tests.reporting.scored_rows import scored_row, with_other_parameters
from tests.running import run_stage
from tests.test_params import ROOT

PARAMS = load(ROOT)
COLOURS = PARAMS.figures
MAE, ACC = Measure("MAE all", 1, True), Measure("Acc all", 100, False)
REFERENCE = np.array([0.75, 0.76, 0.74, 0.75, 0.77])
DIFFERENCES = np.array([-0.02, -0.05, -0.03, -0.01, -0.04])
MARGIN = 0.02


def runs(values):
    """Return runs with the same score on each of 8 resamples, so that utterances add no error."""
    values = np.asarray(values, dtype=float)
    seeds = tuple(str(seed) for seed in range(1, len(values) + 1))
    return Runs(seeds, {"m": values}, {"m": np.tile(values[:, None], 8)}, 20)


def row(differences=DIFFERENCES, reference=REFERENCE, label="HyCon", margin=MARGIN):
    sides = runs(reference[: len(differences)] + differences), runs(reference)
    found = compare(*sides, "m", margin)
    mine, theirs = (dict(zip(side.seeds, side.values["m"], strict=True)) for side in sides)
    single = seed_differences(mine, theirs, found.paired)
    return Row(label, sides[0].values["m"], single, found, verdict(found, lower=True))


def forest(*rows, measure=MAE):
    axes = Figure().subplots()
    drawing._draw_forest(axes, rows, measure, COLOURS)
    return axes


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_bars_and_marks_of_the_forest_are_those_of_a_t_test_over_seeds():
    axes = forest(row())
    test, found = stats.ttest_1samp(DIFFERENCES, 0), lines(axes)
    for coverage in (0.9, 0.95):
        expected = test.confidence_interval(coverage)
        assert found[f"{coverage:.0%} interval"].get_xdata() == pytest.approx([*expected])
    assert found["mean difference"].get_xdata() == pytest.approx([-0.03])
    assert sorted(found["one seed"].get_xdata()) == pytest.approx(sorted(DIFFERENCES))
    # a power of 80% with 4 degrees of freedom; the other tail is nothing
    bound, error = stats.t.ppf(0.975, 4), DIFFERENCES.std(ddof=1) / math.sqrt(5)
    needed = optimize.brentq(lambda each: stats.nct.sf(bound, 4, each) - 0.8, 1, 7)
    assert found["detectable"].get_xdata() == pytest.approx([-needed * error, needed * error])
    (margin,) = axes.patches
    assert [margin.get_x(), margin.get_x() + margin.get_width()] == pytest.approx([-0.02, 0.02])
    assert texts(axes) == ["better"]
    assert axes.yaxis_inverted()  # the first row is at the top


def test_a_thin_bar_is_longer_than_the_thick_one_whatever_the_colour():
    found = lines(forest(row()))
    thin, thick = found["95% interval"], found["90% interval"]
    assert thin.get_linewidth() < thick.get_linewidth() / 2
    assert np.ptp(thin.get_xdata()) > np.ptp(thick.get_xdata())


def test_an_axis_ends_at_the_outermost_point_within_three_times_the_middle_row():
    # extents from 0: 0.05, 0.06, 5; the middle one is 0.06
    rows = [[-0.05, 0.01], [0.06], [4.9, 5.0]]
    assert limits(rows, 0.0, 0.01) == (-0.05, 0.06)
    assert limits([*rows, [0.18]], 0.0, 0.01) == (-0.05, 0.18)
    assert limits([*rows[:2], [0.2], [5.0]], 0.0, 0.01) == (-0.05, 0.06)
    # of two rows the nearer one counts, but at least as two margins: up to 0.12
    assert limits([[0.01], [0.12]], 0.0, 0.02) == (0.01, 0.12)
    assert limits([[0.01], [0.13]], 0.0, 0.02) == (0.01, 0.01)
    assert limits([[0.01, 5.0]], 0.0, 0.02) == (0.01, 5.0)


def test_a_row_far_away_is_an_arrow_and_a_number_and_the_others_stay_large():
    far = row(DIFFERENCES + 5, label="LMF")
    axes = forest(row(), far, row(-DIFFERENCES))
    low, high = axes.get_xlim()
    # the others reach from -0.05 to 0.05, their edge is 2% of that at each end
    high -= 0.02 / 1.04 * (high - low)
    assert high == pytest.approx(0.05)
    test = stats.ttest_1samp(DIFFERENCES + 5, 0).confidence_interval(0.95)
    assert f"+4.970 [+{test.low:.3f}, +{test.high:.3f}]" in texts(axes)
    arrows = [line for line in axes.get_lines() if line.get_marker() == ">"]
    ends = [end for line in arrows for end in line.get_xdata()]
    assert ends == pytest.approx([high] * 6)  # five seeds and the mean
    assert all(abs(y - 1) < 0.4 for line in arrows for y in line.get_ydata())
    # no bar, no mean and no seed of it is drawn elsewhere
    assert all(max(line.get_xdata(), default=0) <= high + 1e-9 for line in axes.get_lines()
               if line.get_transform() == axes.transData)  # fmt: skip


def test_an_interval_that_leaves_the_axis_is_cut_there_with_an_arrow():
    runaway = row(DIFFERENCES + np.array([0, 0, 0, 0, 0.7]))
    axes = forest(row(), runaway, row(-DIFFERENCES))
    bars = [line.get_xdata() for line in axes.get_lines() if line.get_linewidth() == 4]
    edges = [axes.get_xlim()[side] for side in (0, 1)]
    assert len(bars) == 3
    assert edges[0] < bars[1][0] < bars[1][1] < edges[1]
    marks = [line.get_marker() for line in axes.get_lines() if list(line.get_ydata()) == [1]]
    assert {"<", ">"} <= {*marks}


def test_one_run_is_a_dot_only(tmp_path):
    one = row(DIFFERENCES[:1], REFERENCE[:1])
    axes = forest(one)
    found = lines(axes)
    assert found["one seed"].get_xdata() == pytest.approx([-0.02])
    assert not {"90% interval", "95% interval", "mean difference", "detectable"} & found.keys()
    assert texts(axes) == ["undecided"]
    write_seeds([one], ("Plain", REFERENCE[:1]), MAE, "c", tmp_path / "one", COLOURS)
    assert "equivalent (%)" not in (tmp_path / "one.svg").read_text()


def test_points_of_rows_that_are_not_paired_have_the_compared_mean():
    mine, theirs = {"1": 0.5, "2": 0.75}, {"2": 1.0, "3": 2.0}
    assert seed_differences(mine, theirs, paired=True).tolist() == [-0.25]
    assert seed_differences(mine, theirs, paired=False).tolist() == [-1.0, -0.75]
    found = compare(runs([0.5]), runs([1.0, 2.0]), "m", MARGIN)
    single = seed_differences({"1": 0.5}, {"1": 1.0, "2": 2.0}, found.paired)
    assert single.mean() == found.difference == -1


def test_accuracies_are_in_points_and_the_arrow_points_at_better(tmp_path):
    axes = forest(row(), measure=ACC)
    assert lines(axes)["mean difference"].get_xdata() == pytest.approx([-3])
    assert axes.patches[0].get_width() == pytest.approx(4)
    write_forest([row()], "Plain", ACC, "c", tmp_path / "acc", COLOURS)
    drawn = (tmp_path / "acc.svg").read_text()
    assert "<!-- Acc all, difference from Plain (points): better \u2192 -->" in drawn
    write_forest([row()], "Plain", MAE, "c", tmp_path / "mae", COLOURS)
    drawn = (tmp_path / "mae.svg").read_text()
    assert "<!-- \u2190 better: MAE all, difference from Plain (score units) -->" in drawn


def test_seeds_have_their_mean_and_interquartile_mean_and_runaways_their_value():
    axes = Figure().subplots()
    calm = np.array([0.7, 0.71, 0.72, 0.69])
    wild = np.array([0.70, 0.72, 0.74, 1.5])  # without the outer quarters: 0.72 and 0.74
    drawing._draw_values(axes, [calm, wild, calm], MARGIN, MAE)
    marks = {marker: [tuple(line.get_xdata()) for line in axes.get_lines()
                      if line.get_marker() == marker and line.get_xdata()[0] > 0.1]
             for marker in "D|"}  # fmt: skip
    # the mean of the wild row, 0.915, is beyond the axis
    assert np.ravel(marks["D"]) == pytest.approx([0.705, 0.705])
    assert np.ravel(marks["|"]) == pytest.approx([0.705, 0.73, 0.705])
    assert texts(axes) == ["1 run, 1.500"]


def test_dots_of_a_hundred_seeds_do_not_cover_each_other_in_one_line():
    offsets = drawing._jitter(100)
    assert drawing._jitter(1).tolist() == [0]
    assert max(abs(offsets)) <= 0.5
    assert np.diff(np.sort(offsets)).min() > 0.005
    assert (offsets == drawing._jitter(100)).all()


def test_the_chances_are_those_of_a_t_test_with_so_many_seeds():
    above, below = Figure().subplots(2)
    found = row().found
    drawing._draw_chances(above, below, [found], COLOURS)
    deviation = DIFFERENCES.std(ddof=1)
    for axes in (above, below):
        seeds, curve = axes.get_lines()[0].get_data()
        assert (seeds[0], seeds[-1]) == (pytest.approx(2), pytest.approx(100))
        assert (np.diff(curve) >= -1e-9).all()
        for n, chance in zip(seeds[::8], curve[::8], strict=True):
            effect = MARGIN / (deviation / math.sqrt(n))
            bound = stats.t.ppf(0.975, n - 1)
            power = stats.nct.sf(bound, n - 1, effect) + stats.nct.sf(bound, n - 1, -effect)
            room = effect - stats.t.ppf(0.95, n - 1)
            equivalent = max(0, 2 * stats.t.cdf(room, n - 1) - 1)
            assert chance == pytest.approx(100 * (power if axes is above else equivalent))
        assert texts(axes) == ["n = 5"]
    assert [above.get_ylabel(), below.get_ylabel()] == ["found different (%)",
                                                        "found equivalent (%)"]  # fmt: skip


def test_of_several_rows_the_middle_is_drawn_above_all():
    above, below = Figure().subplots(2)
    rows = [row(scale * DIFFERENCES).found for scale in (1, 2, 20)]
    drawing._draw_chances(above, below, rows, COLOURS)
    curves = [line for line in above.get_lines() if len(line.get_xdata()) > 2]
    assert len(curves) == 4
    np.testing.assert_allclose(curves[3].get_ydata(), curves[1].get_ydata())
    assert above.get_legend_handles_labels()[1] == ["one row", "middle of the rows"]
    assert below.get_legend_handles_labels()[1] == []


def test_two_runs_write_the_same_bytes_and_the_caption(tmp_path):
    rows = [row(), row(DIFFERENCES + 5, label="A long label of a variant " * 3)]
    for run in "ab":
        write_forest(rows, "Plain", MAE, "A caption.", tmp_path / run / "x-forest-b", COLOURS)
        write_seeds(rows, ("Plain", REFERENCE), MAE, "Another.", tmp_path / run / "s", COLOURS)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(
        f"{name}.{end}" for name in ("x-forest-b", "s") for end in ("pdf", "png", "svg", "txt")
    )
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a/x-forest-b.txt").read_text() == "A caption.\n"
    drawn = (tmp_path / "a/s.svg").read_text()
    assert all(f"<!-- {text} -->" in drawn for text in ("Plain (reference)", "n = 5", "5 runs, "
               "5.710 to 5.740"))  # fmt: skip
    assert "<text" not in drawn


def test_everything_stays_within_the_figure(tmp_path, monkeypatch):
    found = []

    def measure(figure, *_):
        figure.draw_without_rendering()
        for axes in figure.axes:
            box = axes.get_tightbbox()
            found.append((box.x0, figure.bbox.width - box.x1, box.y0))

    monkeypatch.setattr(drawing, "save", measure)
    rows = [row(label="No contrastive learning, " * 4), row(DIFFERENCES + 5)]
    write_forest(rows, "No contrastive learning " * 4, MAE, "c", tmp_path, COLOURS)
    write_seeds(rows, ("No contrastive learning " * 4, REFERENCE), MAE, "c", tmp_path, COLOURS)
    assert np.min(found) >= 0


def scored(folder, values, name, encoder="BERT", corpus="sample"):
    """Write the scores of a row, the same number for every metric."""
    metrics = columns_of(PARAMS.catalogue[corpus])
    seeds = {str(n): {"test": dict.fromkeys(metrics, value)} for n, value in enumerate(values, 1)}
    content = {"settings": {"train": {"emotion_decision": "joint"}}}
    return scored_row(folder / name / "scores.json", seeds, content, name, encoder, name)


def draw(folder, kind, pairs, shown, corpus="sample"):
    """Draw a figure in the stage; return its caption and its drawing."""
    figure = ComparisonFigure(
        kind=kind, reference="Plain", pairs=pairs, shown=shown, inference=PARAMS.inference
    )
    task = FigureTask(
        key=corpus, corpus=PARAMS.catalogue[corpus], title="A title", colours=COLOURS,
        figure=figure, output=folder / kind,
    )  # fmt: skip
    run_stage("figures", task)
    return [(folder / f"{kind}.{suffix}").read_text() for suffix in ("txt", "svg")]


def pair(folder, differences=DIFFERENCES, name="HyCon", reference=REFERENCE, **more):
    count = len(differences)
    rows = (differences + reference[:count], name), (reference[:count], f"plain-{name}")
    both = [scored(folder, values, each, **more) for values, each in rows]
    return RowPair(row=both[0], reference=both[1])


def test_the_captions_say_whose_numbers_they_are_over_which_seeds_and_by_which_rule(tmp_path):
    given = [pair(tmp_path)]
    forest, drawn = draw(tmp_path, "forest", given, ["HyCon"])
    seeds, _ = draw(tmp_path, "seeds", given, ["HyCon"])
    for caption in (forest, seeds):
        assert caption.startswith("A title. Corpus: ")
        for said in (
            "SAMPLE NUMBERS", "Reference: Plain, with the same text encoder.",
            "Test fold, MAE all, seeds 1-5 (n = 5); epoch selected on validation only.",
            "0.020 score units", "probability", "MAE and Corr over all",
        ):  # fmt: skip
            assert said in caption
    for said in ("90% (thick)", "95% (thin)", "paired by seed", "(Holm)", "equivalent: not "):
        assert said in forest
    assert "One run" not in forest
    assert "<!-- better -->" in drawn


def test_the_verdict_is_corrected_for_rows_of_other_encoders_too(tmp_path):
    # t = 2.9 with 4 degrees of freedom: p = 0.044, and twice that with two rows
    shifted = DIFFERENCES + 0.03 - 2.9 * DIFFERENCES.std(ddof=1) / math.sqrt(5)
    alone = [pair(tmp_path, shifted)]
    assert "<!-- better -->" in draw(tmp_path, "forest", alone, ["HyCon"])[1]
    both = [*alone, pair(tmp_path, shifted, "Other", encoder="GloVe")]
    drawn = draw(tmp_path, "forest", both, ["HyCon"])[1]
    assert "<!-- undecided -->" in drawn
    assert "<!-- Other -->" not in drawn


def test_a_corpus_of_emotions_is_in_points_and_one_run_has_no_test(tmp_path):
    given = [pair(tmp_path, np.array([0.03]), corpus="sample-emotion")]
    for kind in ("forest", "seeds"):
        caption, drawn = draw(tmp_path, kind, given, ["HyCon"], "sample-emotion")
        assert "Test fold, Acc all, seeds 1 (n = 1)" in caption
        assert "better \u2192 -->" in drawn
        assert "probability" not in caption
        assert "(points)" in drawn if kind == "forest" else "(%)" in drawn
        assert ("margin, ±1.0 points" in caption) == (kind == "forest")


def test_scores_of_other_parameters_are_refused(tmp_path):
    given = pair(tmp_path)
    given = RowPair(row=given.row, reference=with_other_parameters(given.reference))
    with pytest.raises(HyConError, match="made with other parameters"):
        draw(tmp_path, "forest", [given], ["HyCon"])
