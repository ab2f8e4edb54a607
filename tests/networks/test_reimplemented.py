"""Peers reimplemented here: what each is held to, whatever the network and the modalities."""

import copy
import math

import pytest
import torch

from hycon.networks.hycon import PaddedBatch, parameter_counts
from hycon.networks.own import REIMPLEMENTED, Own
from hycon.params import ADAPTED, MODALITIES, Reimplemented, Settings, load
from hycon.training import loop
from hycon.training.batches import CorpusTensors
from hycon.training.complexity import TimedRow, measure
from tests.networks.batches import LABELS, LONGEST, WIDTHS, batch, falls, rows
from tests.networks.test_hycon import ragged
from tests.test_params import ROOT
from tests.training.test_checkpoint import in_sittings, same
from tests.training.test_loop import corpus, quiet, settings

LARGE = {
    name: variant.peer
    for name, variant in load(ROOT).variants.items()
    if isinstance(variant.peer, Reimplemented)
}
SMALL = {
    "dimension": 16, "tokens": 3, "heads": 2, "hidden": 8, "dropout": 0.0,
}  # fmt: skip
ALL = sorted(LARGE)
READ = [["text"], ["text", "audio"], ["text", "vision"], list(MODALITIES)]


def sizes(name, **changes):
    """Return a network's settings with small sizes and, unless asked for, without dropout."""
    values = LARGE[name].model_dump()
    small = {key: value for key, value in SMALL.items() if key in values}
    return type(LARGE[name]).model_validate({**values, **small, **changes})


def peer(name, outputs=1, reads=MODALITIES, **changes):
    torch.manual_seed(0)
    widths, longest = ({key: each[key] for key in reads} for each in (WIDTHS, LONGEST))
    return Own(widths, outputs, sizes(name, **changes), longest)


def of_peer(name, epochs=2, dropout=0.1, **changes):
    """Return the settings of a small network's training."""
    none = {"intra": 0, "inter": 0, "semi": 0}
    train = settings(epochs=epochs, patience=epochs, lambdas=none, **changes).train
    return Settings(model=sizes(name, dropout=dropout), train=train)


def test_the_networks_of_the_shipped_parameters_are_all_that_there_are():
    assert set(ALL) == set(REIMPLEMENTED)
    assert set(ALL) <= set(ADAPTED)


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("reads", READ)
@pytest.mark.parametrize("name", ALL)
def test_it_gives_a_score_or_logits_and_representations_of_what_it_reads(name, reads, outputs):
    output = peer(name, outputs, reads).eval()(batch(reads=reads))
    assert output.prediction.shape == ((5,) if outputs == 1 else (5, outputs))
    assert list(output.representations) == reads
    for representation in [*output.representations.values(), output.fused]:
        assert representation.shape[0] == 5
        assert representation.isfinite().all()
        assert representation.unique(dim=0).shape[0] == 5
    assert output.prediction.unique(dim=0).shape[0] == 5


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("reads", READ)
@pytest.mark.parametrize("name", ALL)
def test_every_parameter_has_a_gradient(name, reads, outputs):
    network = peer(name, outputs, reads).train()
    output = network(batch(reads=reads))
    labels = LABELS if outputs == 1 else torch.tensor([0, 1, 0, 2, 1])
    loss = loop.task_loss(output.prediction, labels, "joint")
    (loss + (network.auxiliary_loss(labels) or 0.0)).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.any(), key
        assert parameter.grad.isfinite().all(), key
    assert parameter_counts(network)["all"] == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("reads", READ)
@pytest.mark.parametrize("name", ALL)
def test_an_utterance_is_read_alike_alone_and_beside_longer_ones(name, reads):
    network, steps = peer(name, reads=reads).eval(), batch(reads=reads)
    together = network(steps)
    for row in range(5):
        for key, found in network(rows(steps, [row])).tensors().items():
            expected = together.tensors()[key][row]
            torch.testing.assert_close(found[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("name", ALL)
def test_padding_takes_no_part_and_each_valid_step_does(name, modality):
    network, steps = peer(name).eval(), batch()
    with torch.no_grad():
        before = network(steps).prediction
        values, lengths = steps[modality]
        for row, length in enumerate(lengths.tolist()):
            for step in range(values.shape[1]):
                changed = values.clone()
                changed[row, step, 0] += 10.0
                after = network({**steps, modality: PaddedBatch(changed, lengths)}).prediction
                assert torch.equal(after[row], before[row]) == (step >= length)


@pytest.mark.parametrize("name", ALL)
def test_steps_beyond_the_longest_that_is_read_take_no_part(name):
    network, whole = peer(name, longest=5).eval(), batch()
    cut = {
        modality: PaddedBatch(values[:, :5], lengths.clamp(max=5))
        for modality, (values, lengths) in whole.items()
    }
    with torch.no_grad():
        found = network(whole).prediction
        torch.testing.assert_close(found, network(cut).prediction)
        assert not torch.allclose(found, peer(name).eval()(whole).prediction)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("reads", READ)
@pytest.mark.parametrize("name", ALL)
def test_a_batch_of_one_or_two_utterances_is_trained_on(name, reads, count):
    network = peer(name, reads=reads).train()
    output = network(rows(batch(reads=reads), list(range(count))))
    loss = output.prediction.sum() + (network.auxiliary_loss(LABELS[:count]) or 0.0)
    loss.backward()
    assert output.prediction.shape == (count,)
    assert loss.isfinite()
    for key, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("name", ALL)
def test_the_loss_falls_where_each_modality_carries_a_third_of_the_label(name):
    network = peer(name)
    assert falls(network, network.auxiliary_loss)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("name", ALL)
def test_it_is_trained_by_the_common_loop_and_the_same_seed_gives_the_same_bits(name, outputs):
    data = corpus(outputs)
    data.folds["train"] = data.folds["train"][:17]  # two batches of 8 and one of 1
    first, again, other = (loop.train(data, of_peer(name), seed, quiet) for seed in (1, 1, 2))
    assert first.history == again.history != other.history
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key])
    expected = {"epoch", "task", "validation"}
    assert set(first.history[0]) == expected | ({"auxiliary"} if name == "confede" else set())
    assert all(math.isfinite(value) for row in first.history for value in row.values())
    copy.deepcopy(first.model)


@pytest.mark.parametrize("name", ALL)
def test_a_corpus_without_vision_trains_it_on_the_rest(name):
    data = corpus()
    features = {key: data.features[key] for key in ("text", "audio")}
    data = CorpusTensors(features, data.labels, data.classes, data.folds, 1)
    trained = loop.train(data, of_peer(name), 1, quiet)
    output = loop.infer(trained.model, data, data.folds["test"])
    assert list(output.representations) == ["text", "audio"]
    assert math.isfinite(trained.score)


@pytest.mark.parametrize("name", ALL)
def test_it_reads_a_corpus_with_one_step_of_audio_and_vision_an_utterance(name):
    data = corpus()
    single = {each: ragged(3, [1] * 60, 5) for each in ("audio", "vision")}
    data = CorpusTensors({**data.features, **single}, data.labels, data.classes, data.folds, 1)
    assert math.isfinite(loop.train(data, of_peer(name, epochs=1), 1, quiet).score)


@pytest.mark.parametrize("name", ALL)
def test_a_run_broken_off_after_each_step_ends_in_the_same_bits(name, tmp_path):
    arguments = (corpus(), of_peer(name), 1, quiet)
    whole = loop.train(*arguments)
    same(in_sittings(tmp_path / "run.checkpoint", 1, *arguments), whole)


@pytest.mark.parametrize("name", ALL)
def test_what_it_costs_is_measured_as_for_every_row(name):
    (found,) = measure([TimedRow(corpus(), of_peer(name))], 1)
    model = loop.make_network(corpus(), of_peer(name), None)
    assert found["trainable parameters"] == parameter_counts(model)["all"]
    assert found["multiply-adds per utterance"] > 0
