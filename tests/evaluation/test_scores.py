"""Scores agree with scikit-learn, SciPy and MMSA, comparisons with the inference."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from hycon.evaluation import compare, inference, published, score
from hycon.evaluation.metrics import emotion_metrics, sentiment_metrics

RANDOM = np.random.default_rng(7)
N = 333
LABELS = np.round(RANDOM.uniform(-3, 3, N) * 5) / 5
RUNS = {str(seed): 0.8 * LABELS + RANDOM.normal(size=N) for seed in (1, 2, 3)}
EMOTIONS = ("angry", "happy", "sad")


def value(name, run, labels=LABELS, **options):
    return score(run, labels, **options)[name].mean


def test_metrics_of_the_tables_have_the_same_names_and_values():
    scores = score(RUNS, LABELS)
    for seed, run in RUNS.items():
        for name, expected in sentiment_metrics(run, LABELS).items():
            assert scores[name].values[seed] == expected
    values = list(scores["mae_all"].values.values())
    assert scores["mae_all"].mean == pytest.approx(np.mean(values))
    assert scores["mae_all"].std == pytest.approx(np.std(values, ddof=1))
    assert score(RUNS["1"], LABELS)["mae_all"].std is None


@pytest.mark.parametrize(
    ("decision", "classes"),
    [
        ("nonneg", lambda p, y: (p >= 0, y >= 0)),
        ("pos", lambda p, y: (p[y != 0] > 0, y[y != 0] > 0)),
        ("nonpos", lambda p, y: (p > 0, y > 0)),
        ("mixed", lambda p, y: (p > 0, y >= 0)),
    ],
)
def test_accuracy_and_f1_of_two_classes_are_those_of_scikit_learn(decision, classes):
    run = RUNS["1"]
    predicted, true = classes(run, LABELS)
    assert value(f"acc2_{decision}", run) == sk.accuracy_score(true, predicted)
    for suffix, average in (("", "weighted"), ("_macro", "macro"), ("_binary", "binary")):
        expected = sk.f1_score(true, predicted, average=average)
        assert value(f"f1_{decision}{suffix}", run) == pytest.approx(expected)
    swapped = sk.f1_score(predicted, true, average="weighted")
    assert value(f"f1_{decision}_swapped", run) == pytest.approx(swapped)
    assert swapped != pytest.approx(sk.f1_score(true, predicted, average="weighted"))


def test_scores_are_those_of_scikit_learn_and_scipy():
    run, polar = RUNS["1"], LABELS != 0
    assert value("mae_nonzero", run) == pytest.approx(
        sk.mean_absolute_error(LABELS[polar], run[polar])
    )
    assert value("corr_all", run) == pytest.approx(stats.pearsonr(run, LABELS)[0])
    assert value("acc7_unclipped", run) == np.mean(np.round(run) == np.round(LABELS))
    assert value("acc7_unclipped", run) < value("acc7", run)


@pytest.mark.parametrize("corpus", ["MOSI", "SIMS"])
def test_mmsa_s_own_function_gives_the_same_numbers_rounded_to_4_places(corpus):
    pytest.importorskip("MMSA", reason="needs the extra `peers`")
    import torch
    from MMSA.utils.metricsTop import MetricsTop

    scale = 3 if corpus == "SIMS" else 1
    run = (RUNS["1"] / scale).astype(np.float32)
    labels = (np.round(LABELS / scale * 5) / 5).astype(np.float32)
    theirs = MetricsTop("regression").getMetics(corpus)(torch.tensor(run), torch.tensor(labels))
    names = {
        "Has0_acc_2": "acc2_nonneg", "Has0_F1_score": "f1_nonneg", "Non0_acc_2": "acc2_pos",
        "Non0_F1_score": "f1_pos", "Mult_acc_5": "acc5", "Mult_acc_7": "acc7", "MAE": "mae_all",
        "Corr": "corr_all",
    }  # fmt: skip
    if corpus == "SIMS":
        names = {
            "Mult_acc_2": "acc2", "Mult_acc_3": "acc3", "Mult_acc_5": "acc5",
            "F1_score": "f1_nonpos", "MAE": "mae_clipped", "Corr": "corr_clipped",
        }  # fmt: skip
    ours = score(run, labels, task="sims" if corpus == "SIMS" else "sentiment")
    assert set(theirs) == set(names)
    for theirs_name, name in names.items():
        assert ours[name].mean == pytest.approx(theirs[theirs_name], abs=6e-5), name


def test_emotions_are_scored_jointly_and_one_against_the_rest():
    labels = RANDOM.choice(EMOTIONS, N)
    run = RANDOM.normal(size=(N, 3)) + 2 * (labels[:, None] == np.array(EMOTIONS))
    scores, names = score(run, labels), np.array(EMOTIONS)[run.argmax(1)]
    numbers = np.array([EMOTIONS.index(label) for label in labels])
    for name, expected in emotion_metrics(run, numbers, EMOTIONS).items():
        assert scores[name].mean == expected
    apart = emotion_metrics(run, numbers, EMOTIONS, one_against_rest=True)
    assert scores["f1_happy_apart"].mean == apart["f1_happy"]
    assert scores["ua"].mean == pytest.approx(sk.balanced_accuracy_score(labels, names))
    assert score(names, labels)["f1"].mean == scores["f1"].mean


@pytest.mark.parametrize(
    ("number", "convention", "how"),
    [
        ("acc2={acc2_pos}", "acc2_pos", "mean over seeds"),
        ("f1={f1_nonneg_macro}", "f1_nonneg_macro", "mean over seeds"),
        ("acc7={acc7_unclipped}", "acc7_unclipped", "mean over seeds"),
        ("mae={mae_nonzero}", "mae_nonzero", "mean over seeds"),
    ],
)
def test_a_published_number_is_traced_to_its_convention(number, convention, how):
    scores = score(RUNS, LABELS)
    metric = number.partition("=")[0]
    mean = scores[convention].mean
    text = f"{100 * mean:.2f}" if scores[convention].convention.percent else f"{mean:.4f}"
    (found,) = published(RUNS, LABELS, {metric: text})
    assert (convention, how) in [(fit.convention.name, fit.how) for fit in found.fits]
    assert found.nearest.convention.name in {fit.convention.name for fit in found.fits}


def test_one_lucky_seed_and_a_dropped_last_batch_are_traced_and_called_mistakes():
    scores = score(RUNS, LABELS)["mae_all"]
    best = min(scores.values, key=scores.values.get)
    (found,) = published(RUNS, LABELS, {"mae": f"{scores.values[best]:.6f}"})
    assert [(fit.convention.name, fit.how, fit.mistake) for fit in found.fits] == [
        ("mae_all", f"seed {best} alone, the best", True)
    ]
    kept = N // 32 * 32
    cut = np.mean([np.abs(run - LABELS)[:kept].mean() for run in RUNS.values()])
    (found,) = published(RUNS, LABELS, {"mae": f"{cut:.6f}"})
    assert "last batch of 32 dropped" in {fit.how for fit in found.fits}


def test_an_accuracy_that_no_count_gives_is_impossible_for_one_run():
    labels, run = np.array([1.0, -1.0, 2.0]), np.array([1.0, 1.0, 1.0])
    (third,) = published(run, labels, {"acc2": "66.67"})
    assert third.possible
    (half,) = published(run, labels, {"acc2": "50.00"})
    assert not half.possible
    assert not half.fits
    assert half.nearest.convention.metric == "acc2"


def test_a_comparison_is_that_of_the_inference():
    other = {seed: run + 0.3 for seed, run in RUNS.items()}
    groups = [f"v{number // 10}" for number in range(N)]
    (row,) = compare({"a": RUNS, "b": other}, LABELS, groups, resamples=200).rows
    metrics = inference.scoring(LABELS)
    both = [inference.resample(runs, groups, metrics, 200) for runs in (other, RUNS)]
    expected = inference.compare(*both, "mae_all", 0.02)
    assert row.found == expected
    assert row.verdict == inference.verdict(expected, lower=True)
    assert "34 groups of utterances" in row.sentence
    assert f"{expected.difference:+.4f}" in row.sentence
    assert "paired seeds" in row.sentence


def test_several_systems_are_corrected_together_and_one_seed_decides_nothing():
    systems = {"a": RUNS, "b": {s: r + 0.3 for s, r in RUNS.items()}, "c": RUNS["2"] + 0.2}
    b, c = compare(systems, LABELS, metric="acc2_pos", margin=0.05, resamples=100).rows
    assert (b.found.margin, b.p) == (0.05, pytest.approx(b.found.p))
    assert "utterances drawn singly" in b.sentence
    assert (c.verdict, c.p, c.seeds_to_decide) == ("undecided", None, None)
    assert "no test" in c.sentence


@pytest.mark.parametrize(
    ("run", "labels", "options", "said"),
    [
        (LABELS[:-1], LABELS, {}, "found 332 predictions, 333 labels"),
        (np.full(N, np.nan), LABELS, {}, "found NaN or infinity"),
        (LABELS, 2 * LABELS, {}, r"expected scores in \[-3, 3\]"),
        (LABELS, 0 * LABELS, {}, "all are 0"),
        (np.array(["glad"] * N), np.array(["sad", "happy", "sad"] * 111), {}, "found 'glad'"),
        (LABELS, LABELS, {"task": "joy"}, "task 'joy' is none of"),
        ({}, LABELS, {}, "no run"),
    ],
)
def test_what_cannot_be_scored_is_refused(run, labels, options, said):
    with pytest.raises(ValueError, match=said):
        score(run, labels, **options)


def test_odd_predictions_are_noted():
    notes = " ".join(score({"1": np.ones(N), "2": np.ones(N)}, LABELS).notes)
    for part in ("task: sentiment", "all predictions are 1", "seeds 1 and 2 have the same"):
        assert part in notes
    polar = LABELS[LABELS != 0]
    assert "neutral utterances may have been left out" in " ".join(score(polar, polar).notes)
