"""Training: selected on validation only, the same every time, contrastive terms where asked for."""

import dataclasses
import math

import pytest
import torch

from hycon.params import MODALITIES, Settings, override
from hycon.training import loop
from hycon.training.batches import CorpusTensors
from hycon.training.loop import infer, train
from hycon.training.objective import contrastive_loss, gradient_balance, task_loss
from hycon.training.optimiser import learning_rate_factor
from tests.networks.test_hycon import WIDTHS, ragged


def settings(**changes):
    options = {
        "epochs": 6, "patience": 6, "batch_size": 8, "learning_rate": 5e-3, "weight_decay": 0.0,
        "clip_norm": 1.0, "warmup": 0.0, "schedule": "constant", "averaging": 0.0, "alpha": 0.8,
        "finetuning": None, "emotion_decision": "joint", "pair_loss": "hycon",
        "refinement": True, "lambdas": {"intra": 0.1, "inter": 0.1, "semi": 0.1},
        "similarity": "shifted", "classes": "sign", "selection": None, **changes,
    }  # fmt: skip
    network = {
        "dimension": 8, "layers": 1, "text_layers": 1, "heads": 2, "dropout": 0.1,
        "feature_dropout": 0.1, "fusion": "addition", "rank": 2, "network": "transformer",
        "text_pooling": "last",
    }  # fmt: skip
    return Settings.model_validate({"model": network, "train": options})


def corpus(outputs=1, count=60):
    """Return a corpus whose label is the mean of the text's first feature."""
    lengths = [1 + i % 5 for i in range(count)]
    features = {name: ragged(WIDTHS[name], lengths, seed) for seed, name in enumerate(MODALITIES)}
    text = features["text"]
    parts = text.values[:, 0].split(text.lengths.tolist())
    scores = torch.stack([part.mean() for part in parts]).clamp(-3, 3)
    classes = (scores >= 0).long()
    rows = torch.arange(count)
    folds = {"train": rows[:40], "valid": rows[40:50], "test": rows[50:]}
    return CorpusTensors(features, scores if outputs == 1 else classes, classes, folds, outputs)


def quiet(_):
    pass


def test_the_epoch_kept_is_the_one_with_the_lowest_validation_score():
    data = corpus()
    trained = train(data, settings(), 1, quiet)
    curve = [row["validation"] for row in trained.history]
    assert trained.epoch == 1 + curve.index(min(curve))
    rows = data.folds["valid"]
    kept = float(task_loss(infer(trained.model, data, rows).prediction, data.labels[rows], "joint"))
    assert kept == trained.score == min(curve)


@pytest.mark.parametrize("outputs", [1, 2])
def test_predictions_of_every_epoch_change_no_run_and_include_the_selected_one(outputs):
    data = corpus(outputs)
    plain = train(data, settings(averaging=0.5), 1, quiet)
    kept = train(data, settings(averaging=0.5, every_epoch=True), 1, quiet)
    assert plain.epochs == {}
    assert plain.history == kept.history
    for fold in ("valid", "test"):
        found = infer(kept.model, data, data.folds[fold]).prediction
        assert len(kept.epochs[fold]) == len(kept.history)
        assert torch.equal(kept.epochs[fold][kept.epoch - 1], found)


def test_test_labels_take_no_part_in_training_or_selection():
    data = corpus()
    before = train(data, settings(), 1, quiet)
    data.labels[data.folds["test"]] = 3.0
    data.classes[data.folds["test"]] = 0
    after = train(data, settings(), 1, quiet)
    assert before.history == after.history


def test_training_stops_after_patience_epochs_without_a_better_score():
    trained = train(corpus(), settings(epochs=40, patience=2, learning_rate=0.05), 1, quiet)
    assert len(trained.history) == min(40, trained.epoch + 2)


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_loss_falls_and_the_network_learns(outputs):
    data = corpus(outputs, count=60)
    trained = train(data, settings(epochs=30, patience=30), 1, quiet)
    assert trained.history[-1]["task"] < 0.6 * trained.history[0]["task"]


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not():
    first, again, other = (train(corpus(), settings(epochs=2), seed, quiet) for seed in (1, 1, 2))
    assert first.history == again.history
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name])
    assert first.history != other.history


def test_a_run_does_not_depend_on_what_ran_before_it_in_the_process():
    alone = train(corpus(), settings(epochs=2), 1, quiet).history
    torch.randn(1000)
    train(corpus(), settings(epochs=1), 7, quiet)
    assert train(corpus(), settings(epochs=2), 1, quiet).history == alone


def test_averaged_weights_are_the_moving_average_of_the_steps(monkeypatch):
    seen = []

    def spy(model, *_):
        seen.append(model.state_dict()["head.0.weight"].clone())
        return 1.0 / len(seen)

    monkeypatch.setattr(loop, "validation_score", spy)
    data = corpus()
    data.folds["train"] = torch.arange(8)  # one step an epoch
    plain = train(data, settings(epochs=3), 1, quiet)
    averaged = train(data, settings(epochs=3, averaging=0.75), 1, quiet)
    expected = seen[0]
    for number in (1, 2):
        expected = 0.75 * expected + 0.25 * seen[number]
        torch.testing.assert_close(seen[3 + number], expected)
    kept = averaged.model.state_dict()["head.0.weight"]
    torch.testing.assert_close(kept, expected)
    # what is trained is the same: only what is kept differs
    assert [row["task"] for row in plain.history] == [row["task"] for row in averaged.history]


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("constant", 0.0, [1, 1, 1, 1]),
        ("constant", 0.5, [1 / 3, 2 / 3, 1, 1]),
        ("cosine", 0.0, [1, 0.5 + 2**-1.5, 0.5, 0.5 - 2**-1.5]),
        ("cosine", 0.5, [1 / 3, 2 / 3, 1, 0.5]),
    ],
)
def test_the_learning_rate_rises_and_falls_as_the_schedule_says(schedule, warmup, expected):
    found = [learning_rate_factor(step, 4, warmup, schedule) for step in range(4)]
    assert found == pytest.approx(expected)


def test_without_lambdas_there_is_no_contrastive_part_and_with_them_there_is():
    none = {"intra": 0, "inter": 0, "semi": 0}
    assert contrastive_loss(settings(lambdas=none).train) is None
    plain = train(corpus(), settings(epochs=1, lambdas=none), 1, quiet).history[0]
    hybrid = train(corpus(), settings(epochs=1), 1, quiet).history[0]
    # terms without a weight are not logged: their values would be of other parameters
    assert list(plain) == ["epoch", "task", "validation"]
    assert hybrid["intra"] < 0 < hybrid["semi"]
    # the terms start from the same weights and batches, and move them differently
    assert plain["validation"] != hybrid["validation"]


def test_the_parameters_reach_the_loss():
    chosen = {"beta": 0.25, "gamma": 2.0, "weighted": False}
    loss = contrastive_loss(
        settings(selection=chosen, alpha=0.3, refinement=False, similarity="nonnegative",
                 lambdas={"intra": 0.1, "inter": 0.2, "semi": 0.3}).train
    )  # fmt: skip
    assert (loss.alpha, loss.weights, loss.refinement, loss.similarity) == (
        0.3, (0.1, 0.2, 0.3), False, "nonnegative",
    )  # fmt: skip
    assert (loss.selection.beta, loss.selection.gamma, loss.selection.weighted) == (
        0.25,
        2.0,
        False,
    )


def test_one_against_the_rest_is_the_mean_of_a_yes_or_no_for_each_emotion():
    logits, label = [2.0, -1.0, 0.0, 0.5], 0
    losses = [-math.log(1 / (1 + math.exp(-x if i == label else x))) for i, x in enumerate(logits)]
    found = task_loss(torch.tensor([logits]), torch.tensor([label]), "one-against-rest")
    assert float(found) == pytest.approx(sum(losses) / 4)
    joint = task_loss(torch.tensor([logits]), torch.tensor([label]), "joint")
    assert float(joint) == pytest.approx(-math.log(math.exp(2) / sum(map(math.exp, logits))))


@pytest.mark.parametrize("pair_loss", ["hycon", "contrastive", "triplet", "n-pair", "supcon"])
def test_a_last_batch_of_one_utterance_is_trained_on_with_every_loss(pair_loss):
    data = corpus()
    data.folds["train"] = data.folds["train"][:9]  # batches of 8 and of 1
    (row,) = train(data, settings(epochs=1, pair_loss=pair_loss), 1, quiet).history
    assert all(math.isfinite(value) for value in row.values())
    assert row["intra"] != 0


def test_a_run_that_gives_nan_from_the_start_says_so():
    data = corpus()
    data.features["audio"].values[:] = float("nan")
    with pytest.raises(FloatingPointError, match="nan from the first epoch"):
        train(data, settings(epochs=2, patience=1), 1, quiet)


def test_fewer_labels_are_a_part_of_more_and_an_epoch_has_as_many_steps():
    data = corpus(count=200)
    train_rows = data.folds["train"]
    shares = {share: data.with_labelled(share, 3) for share in (0.1, 0.25, 1.0)}
    found = {share: set(each.folds["train"].tolist()) for share, each in shares.items()}
    assert found[0.1] < found[0.25] < found[1.0] == set(train_rows.tolist())
    assert len(found[0.1]) == round(0.1 * len(train_rows))
    assert [each.passes for each in shares.values()] == [10, 4, 1]
    assert set(data.with_labelled(0.1, 4).folds["train"].tolist()) != found[0.1]
    for each in shares.values():
        assert torch.equal(each.folds["test"], data.folds["test"])
    steps = []
    trained = loop.Training(shares[0.1], settings(epochs=2, batch_size=4), 1, None)
    trained.run_epoch(lambda: steps.append(trained.position.batches))
    assert len(steps) == 10 * math.ceil(len(found[0.1]) / 4) == steps[-1]
    assert math.isfinite(trained.history[0]["task"])


def test_the_task_loss_of_an_epoch_of_several_passes_is_a_mean():
    still = {"model.dropout": 0.0, "model.feature_dropout": 0.0}
    options = override(settings(learning_rate=1e-12, epochs=1), still)
    data = corpus(count=200).with_labelled(0.1, 3)
    several = train(data, options, 1, quiet).history[0]
    once = train(dataclasses.replace(data, passes=1), options, 1, quiet).history[0]
    assert several["task"] == pytest.approx(once["task"], rel=1e-4)


def test_noise_is_on_audio_and_vision_of_all_folds_and_of_the_seed():
    data = corpus()
    noisy, again, other = (data.with_noise(0.5, seed) for seed in (1, 1, 2))
    assert data.with_noise(0.0, 1) is data
    assert torch.equal(noisy.features["text"].values, data.features["text"].values)
    for name in ("audio", "vision"):
        added = noisy.features[name].values - data.features[name].values
        assert added.std() == pytest.approx(0.5, rel=0.1)
        assert torch.equal(noisy.features[name].values, again.features[name].values)
        assert not torch.equal(noisy.features[name].values, other.features[name].values)


def test_gradients_are_recorded_without_changing_the_run():
    data, options = corpus(), settings(epochs=2)
    plain = train(data, options, 1, quiet)
    recorded = train(data, override(options, {"train.gradients": True}), 1, quiet)
    for before, after in zip(plain.history, recorded.history, strict=True):
        assert before.items() < after.items()
        assert after["gradient_ratio"] > 0
        assert -1 <= after["gradient_cosine"] <= 1


def test_the_gradient_ratio_grows_with_the_lambdas():
    found = []
    for factor in (1, 10):
        lambdas = {"intra": 0.1 * factor, "inter": 0.1 * factor, "semi": 0.1 * factor}
        options = settings(epochs=1, lambdas=lambdas)
        training = loop.Training(corpus(), options, 1, None)
        contrastive = contrastive_loss(options.train)
        found.append(gradient_balance(training.model, training.data, options.train, contrastive))
    assert found[1]["gradient_ratio"] == pytest.approx(10 * found[0]["gradient_ratio"], rel=1e-4)
    assert found[1]["gradient_cosine"] == pytest.approx(found[0]["gradient_cosine"], abs=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "last", "first"])
def test_text_that_no_layer_reads_is_pooled_once_with_the_same_predictions(pooling):
    data, options = corpus(), settings(epochs=2)
    shallow = {"model.text_layers": 0, "model.text_pooling": pooling}
    options = override(options, shallow)
    found = data.prepared(options, 1)
    assert found.features["text"].lengths.tolist() == [1] * 60
    trained = [train(each, options, 1, quiet) for each in (data, found)]
    rows = torch.arange(60)
    predictions = [
        infer(run.model, each, rows).prediction
        for run, each in zip(trained, (data, found), strict=True)
    ]
    torch.testing.assert_close(*predictions, rtol=1e-4, atol=1e-4)
    # the network reads whole texts too, as `hycon predict` gives them
    torch.testing.assert_close(infer(trained[1].model, data, rows).prediction, predictions[1])
    for deeper in ({"model.text_layers": 1}, {"train.missing": 0.1}):
        assert data.prepared(override(options, deeper), 1) is data
