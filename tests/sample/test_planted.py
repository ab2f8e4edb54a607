"""What is planted in the sample corpora is there, and training comes to the known verdicts."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from hycon.corpus.utterances import read_ragged, read_table
from hycon.params import load
from hycon.plan.tasks import AlignTask, EncodeTask, GenerateTask, TinyTask
from hycon.training.batches import load_data
from hycon.training.device import make_deterministic
from hycon.training.loop import infer, train
from hycon.training.text import read_text
from tests.running import run_stage
from tests.test_params import ROOT

PARAMS = load(ROOT)
MODALITIES = ("vectors", "audio", "vision")


@pytest.fixture(scope="module")
def aligned(tmp_path_factory):
    """Return the folders of the shipped sample corpora, aligned."""
    folders = {}
    for key in ("sample", "sample-emotion"):
        corpus = PARAMS.catalogue[key]
        raw, folders[key] = (tmp_path_factory.mktemp(key) / name for name in ("raw", "aligned"))
        run_stage(
            "generate", GenerateTask(task=corpus.task, generator=corpus.generator, output=raw)
        )
        run_stage(
            "align",
            AlignTask(
                corpus=corpus.as_input(), settings=PARAMS.align, raw=raw, output=folders[key]
            ),
        )
    return folders


def means(folder):
    """Return the means (N, D) of each modality's steps, the labels, and who is not for training."""
    utterances = read_table(folder / "utterances.csv")
    features = {}
    for name in MODALITIES:
        values, offsets = read_ragged(folder / f"{name}.npy", len(utterances))
        known = np.where(np.isfinite(values), values, 0)
        rows = np.array([known[a:b].mean(axis=0) for a, b in pairwise(offsets)])
        features[name] = (rows - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), 1e-6)
    fold = np.array([utterance.fold for utterance in utterances])
    return features, [utterance.label for utterance in utterances], fold != "train"


def ridge(features, targets, tested):
    """Predict the targets (N, C) of the tested utterances by ridge regression on the others."""
    x = np.column_stack([features, np.ones(len(features))])
    seen = x[~tested]
    weights = np.linalg.solve(seen.T @ seen + 30 * np.eye(x.shape[1]), seen.T @ targets[~tested])
    return x[tested] @ weights


@pytest.mark.parametrize(
    ("key", "least", "several"),
    [
        # word vectors alone show the sign in 19 of 20 utterances
        ("sample", 0.7, ("audio", "vision")),
        ("sample-emotion", 0.55, MODALITIES),
    ],
)
def test_each_modality_shows_the_label_and_several_show_it_better(aligned, key, least, several):
    features, labels, tested = means(aligned[key])
    kinds = [label if key == "sample-emotion" else float(label) < 0 for label in labels]
    _, classes = np.unique(kinds, return_inverse=True)
    targets = np.eye(classes.max() + 1)[classes]

    def accuracy(rows):
        return (ridge(rows, targets, tested).argmax(axis=1) == classes[tested]).mean()

    alone = {name: accuracy(rows) for name, rows in features.items()}
    together = accuracy(np.column_stack([features[name] for name in several]))
    assert min(alone.values()) > least
    assert together > max(alone[name] for name in several) + 0.01


def test_no_modality_shows_the_size_of_a_score(aligned):
    features, labels, tested = means(aligned["sample"])
    sizes = np.abs(np.array(labels, dtype=float))
    assert sizes.min() == pytest.approx(1.0)
    assert sizes.max() == pytest.approx(2.0)
    found = ridge(np.column_stack([*features.values()]), sizes[:, None], tested)[:, 0]
    assert abs(np.corrcoef(found, sizes[tested])[0, 1]) < 0.2


def test_contrastive_learning_helps_on_the_scores_and_not_on_the_emotions(aligned, tmp_path):
    helped = -differences("sample", "xlnet", "hycon-v2", aligned, tmp_path / "scores")
    assert helped.min() > 0.02  # of the MAE, in every seed
    assert helped.mean() > 0.05
    changed = differences("sample-emotion", "bert", "hycon-v2", aligned, tmp_path / "emotions")
    assert abs(changed.mean()) < 0.03  # of the accuracy


def differences(key, encoder, variant, aligned, folder):
    """Return what a variant adds to the MAE or accuracy without contrastive learning, 3 seeds."""
    make_deterministic()
    torch.set_num_threads(1)
    corpus, settings = PARAMS.catalogue[key], PARAMS.encoders[encoder]
    tiny, states = folder / "tiny", folder / "states"
    run_stage("tiny", TinyTask(kind=encoder, aligned=aligned[key], output=tiny))
    run_stage(
        "encode",
        EncodeTask(encoder=settings.as_input(), aligned=aligned[key], tiny=tiny, output=states),
    )
    text = read_text(settings, aligned[key], states, None)
    data = load_data(aligned[key], text, corpus.emotions, "sign", "cpu")
    rows = data.folds["test"]
    scores = []
    for row in (variant, "no-contrastive"):
        for seed in (1, 2, 3):
            trained = train(data, PARAMS.settings(key, row, encoder), seed, lambda _: None)
            found = infer(trained.model, data, rows).prediction
            if corpus.emotions:
                score = (found.argmax(dim=1) == data.labels[rows]).float().mean()
            else:
                score = (found - data.labels[rows]).abs().mean()
            scores.append(float(score))
    return np.subtract(scores[:3], scores[3:])
