"""Figures draw the numbers that they are given, the same way every time."""

import json
import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import silhouette_score

from hycon.errors import HyConError
from hycon.params import load
from hycon.reporting import figures
from hycon.reporting import figures as module
from hycon.reporting.figures import Cloud, Panel, band, embed, perplexity, write_curve, write_pair
from tests.test_params import ROOT

MAE = Panel("MAE all", [(0.8, [0.5, 0.7, 0.9]), (0.2, [1.0, 1.0, 1.3])], 1, True)
COLOURS = load(ROOT).figures
ACC = Panel("Acc2 pos", [(0.2, [0.8, 0.9]), (0.8, [0.7, 0.7])], 100)


@pytest.fixture(scope="module")
def blobs():
    """Return 24 representations in two blobs, one of them far from the other in one feature."""
    generator = np.random.default_rng(3)
    representations = generator.standard_normal((24, 4)).astype(np.float32)
    representations[12:, 0] += 4
    classes = np.array(["negative"] * 12 + ["positive"] * 12)
    classes[[0, 20]] = classes[[20, 0]]
    return representations, classes


@pytest.fixture(scope="module")
def embedded(blobs):
    return embed(*blobs, seed=1)


def drawn(panel):
    axes = Figure().subplots()
    figures._draw_curve(axes, panel, COLOURS)
    return axes


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def test_the_band_is_the_mean_and_one_standard_deviation_in_the_order_of_x():
    x, means, low, high = band(MAE)
    assert x.tolist() == [0.2, 0.8]
    assert means == pytest.approx([1.1, 0.7])
    # squares from the mean: 0.01 + 0.01 + 0.04 and 0.04 + 0 + 0.04, over n - 1 = 2
    assert low == pytest.approx([1.1 - math.sqrt(0.03), 0.7 - 0.2])
    assert high == pytest.approx([1.1 + math.sqrt(0.03), 0.7 + 0.2])


def test_what_is_drawn_is_the_band_in_per_cent_with_each_seed():
    axes = drawn(ACC)
    assert lines(axes)["mean"].get_ydata() == pytest.approx([85, 70])
    (filled,) = axes.collections
    heights = sorted({round(y, 6) for y in filled.get_paths()[0].vertices[:, 1]})
    assert heights == [70, round(85 - math.sqrt(50), 6), round(85 + math.sqrt(50), 6)]
    assert sorted(lines(axes)["seed"].get_ydata()) == pytest.approx([70, 70, 80, 90])
    assert axes.get_ylabel() == "Acc2 pos (%)"


@pytest.mark.parametrize(("panel", "x", "y"), [(MAE, 0.8, 0.7), (ACC, 0.2, 85)])
def test_the_ring_is_at_the_lowest_mae_and_at_the_highest_accuracy(panel, x, y):
    ring = lines(drawn(panel))["best mean"]
    assert [*ring.get_xdata(), *ring.get_ydata()] == pytest.approx([x, y])


def test_one_seed_is_a_line_without_a_band():
    axes = drawn(Panel("MAE all", [(0, [1.0]), (1, [0.5])], 1))
    assert lines(axes)["mean"].get_ydata().tolist() == [1.0, 0.5]
    assert not axes.collections
    assert "seed" not in lines(axes)


def test_x_is_logarithmic_only_where_it_spans_much_and_is_positive():
    def scale(*x):
        return drawn(Panel("MAE all", [(at, [1.0]) for at in x], 1)).get_xscale()

    assert scale(0.01, 1) == "log"
    assert scale(0, 0.01, 1) == scale(0.1, 1) == "linear"


def test_agreement_is_that_of_a_plain_loop_over_neighbours(blobs, embedded):
    representations, classes = blobs
    features = representations.astype(float)
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    shares = []
    for me in range(24):
        others = [you for you in range(24) if you != me]
        others.sort(key=lambda you: math.dist(features[me], features[you]))
        shares.append(sum(classes[you] == classes[me] for you in others[:10]) / 10)
    assert embedded[2] == pytest.approx(sum(shares) / 24)
    assert 0.5 < embedded[2] < 1


def test_silhouette_is_of_the_standardised_representation_and_not_of_the_picture(blobs, embedded):
    representations, classes = blobs
    features = representations.astype(float)
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    assert embedded[1] == pytest.approx(silhouette_score(features, classes), abs=1e-6)
    assert embedded[1] != pytest.approx(silhouette_score(embedded[0], classes), abs=1e-3)


def test_silhouette_of_a_case_by_hand():
    # two classes of six at the corners of a diagonal: 0 to one's own, so (b - 0) / b = 1 for all
    representations = np.repeat([[0.0, 0.0], [1.0, 1.0]], 6, axis=0)
    representations[0] = [1.0, 1.0]  # and one in the other's corner: a = s, b = 0, so -1
    # the other five of its class: a = d / 5, b = d, so 0.8; the six: a = 0, b = 5 d / 6, so 1
    _, silhouette, agreement = embed(representations, np.repeat([0, 1], 6), seed=1)
    assert silhouette == pytest.approx((-1 + 5 * 0.8 + 6 * 1) / 12)
    assert 0 <= agreement <= 1


def test_the_same_seed_gives_the_same_points(blobs, embedded):
    points, *_ = embed(*blobs, seed=1)
    np.testing.assert_array_equal(points, embedded[0])
    assert points.shape == (24, 2)


def test_perplexity_is_30_or_a_third_of_the_others():
    assert perplexity(685) == 30
    assert perplexity(13) == 4


@pytest.mark.parametrize(
    ("representations", "classes", "message"),
    [
        (np.eye(11), ["a", "b"] * 5 + ["a"], "at least 12 utterances, found 11"),
        (np.eye(12), ["a"] * 12, "at least two classes, found only 'a'"),
        (np.full((12, 3), np.nan), ["a", "b"] * 6, "must be finite"),
        (np.ones((12, 3)), ["a", "b"] * 6, "the same representation"),
    ],
)
def test_what_cannot_be_embedded_is_refused_in_a_line(representations, classes, message):
    with pytest.raises(HyConError, match=message):
        embed(representations, np.array(classes), seed=1)


def test_nothing_to_draw_is_refused(tmp_path):
    for panels in ([], [Panel("MAE all", [], 1)], [Panel("MAE all", [(1, [])], 1)]):
        with pytest.raises(HyConError, match=r"no metric|nothing to draw"):
            write_curve(panels, "x", "caption", tmp_path / "a", COLOURS)
    assert not list(tmp_path.iterdir())


def clouds(blobs, embedded):
    points, silhouette, _ = embedded
    one = Cloud("With", points, blobs[1], silhouette, 0.714)
    return one, Cloud("Without", 3 * points + 5, np.array(["neutral"] * 24), -0.126, 0.5)


def test_two_runs_write_the_same_bytes_with_letters_that_need_no_font(blobs, embedded, tmp_path):
    for run in "ab":
        write_curve([MAE, ACC], "alpha", "A caption.", tmp_path / run / "alpha-0.8", COLOURS)
        write_pair(*clouds(blobs, embedded), "Another.", tmp_path / run / "pair", COLOURS)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [
        f"{name}.{end}" for name in ("alpha-0.8", "pair") for end in ("pdf", "png", "svg", "txt")
    ]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    curve = (tmp_path / "a/alpha-0.8.svg").read_text()
    # what is drawn, matplotlib leaves in a comment
    drawn = ("MAE all (score units)", "Acc2 pos (%)", "alpha", "best mean")
    assert all(f"<!-- {text} -->" in curve for text in drawn)
    pair = (tmp_path / "a/pair.svg").read_text()
    assert all(f"<!-- {text} -->" in pair for text in ("10-NN agreement 71%", "silhouette -0.13,"))
    assert not [each for each in (curve, pair) if "<text" in each or "font-family" in each]
    assert (tmp_path / "a/alpha-0.8.txt").read_text() == "A caption.\n"
    assert "A caption" not in curve
    assert "<dc:date>" not in curve + pair
    for name in ("alpha-0.8", "pair"):
        pdf = (tmp_path / "a" / f"{name}.pdf").read_bytes()
        assert b"/FontFile2" in pdf  # TrueType, embedded; Type 3 has none
        assert b"/Type3" not in pdf
        assert b"CreationDate" not in pdf
    # 3.5 inches: a column
    assert b"/MediaBox [ 0 0 252 " in (tmp_path / "a/pair.pdf").read_bytes()


def test_classes_next_to_each_other_differ_in_shape_and_in_grey():
    def grey(number):
        colour = figures._look(number, COLOURS)["color"]
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [(part / 12.92 if part <= 0.04 else ((part + 0.055) / 1.055) ** 2.4)
                  for part in parts]  # fmt: skip
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    assert min(abs(grey(n) - grey(n + 1)) for n in range(4)) > 0.15
    assert len({figures._look(number, COLOURS)["marker"] for number in range(8)}) == 8


def test_both_panels_are_squares_about_their_points_with_a_look_for_each_class(blobs, embedded):
    names = ["negative", "neutral", "positive"]
    for cloud in clouds(blobs, embedded):
        axes = Figure().subplots()
        figures._draw_cloud(axes, cloud, names, COLOURS)
        width, height = np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())
        assert width == pytest.approx(height)
        assert width == pytest.approx(1.05 * np.ptp(cloud.points, axis=0).max())
        assert [len(each.get_offsets()) for each in axes.collections] == [
            int((cloud.classes == name).sum()) for name in names
        ]
    looks = [json.dumps(figures._look(number, COLOURS)) for number in range(56)]
    assert len(set(looks)) == 56


@pytest.mark.parametrize("length", [3, 20, 49])
def test_a_legend_of_long_labels_stays_within_the_figure(length, tmp_path, monkeypatch):
    names = [f"{number}{('No contrastive learning, ' * 3)[:length]}" for number in range(6)]
    lines = {name: [(0.0, [0.5, 0.6]), (0.5, [0.7, 0.4])] for name in names}
    found = []

    def measure(figure, *_):
        figure.canvas.draw()
        legend = figure.legends[0].get_window_extent()
        found.append((legend.x0, figure.bbox.width - legend.x1))

    monkeypatch.setattr(figures, "save", measure)
    panels = [("MAE all", 1, lines)] * 4
    figures.write_lines(panels, ["x"] * 4, "c", tmp_path / "f", COLOURS)
    assert min(found[0]) >= 0


def test_commands_outside_a_project_draw_in_the_colours_of_params_yaml():
    assert module.COLOURS == COLOURS
