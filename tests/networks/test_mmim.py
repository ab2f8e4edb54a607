"""MMIM: the gradients of both stages of MMSA's trainer, and a memory that checkpoints have."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hycon.networks.hycon import TrainingStep
from hycon.networks.packing import PaddedBatch
from hycon.networks.peers import mmim, mmsa
from hycon.params import MODALITIES, Settings
from hycon.training import loop
from tests.networks.test_peers import WIDTHS, of_peer, peer, rows, sizes
from tests.training.test_checkpoint import in_sittings, same
from tests.training.test_loop import corpus, quiet

COUNT = 12  # utterances of a batch


def batches(number):
    """Return batches with labels of both signs and 0."""
    generator = torch.Generator().manual_seed(2)
    found = []
    for _ in range(number):
        lengths = torch.randint(1, 8, (3, COUNT), generator=generator)
        steps = {
            name: PaddedBatch(torch.randn(COUNT, 7, WIDTHS[name], generator=generator), of)
            for name, of in zip(MODALITIES, lengths, strict=True)
        }
        labels = torch.randn(COUNT, generator=generator)
        labels[0] = 0.0
        found.append((steps, labels))
    return found


def own_step(network, steps, labels, epoch=1):
    """Return the loss of a training pass."""
    network.step = TrainingStep(torch.arange(len(labels)), epoch, labels)
    task = nn.functional.l1_loss(network(steps).prediction, labels)
    return task + network.auxiliary_loss(labels)


def gradients(network):
    return {
        name: parameter.grad.clone()
        for name, parameter in network.named_parameters()
        if parameter.grad is not None
    }


class Stages:
    """MMSA's trainer on weights that do not move; the gradients of each of its steps are kept."""

    def __init__(self, network, settings):
        published = mmsa.Published("MMIM").load()
        self.model = published(network.config)
        self.model.load_state_dict(network.state_dict())
        self.model.bertmodel = nn.Identity()
        self.trainer = object.__new__(mmsa.load("trains.singleTask.MMIM").MMIM)
        self.trainer.args = SimpleNamespace(
            dataset_name="mosi", device="cpu", need_data_aligned=False, grad_clip=float("inf"),
            train_samples=1, contrast=True, **settings.model_dump(include=
            {"mem_size", "add_va", "alpha", "beta"}),
        )  # fmt: skip
        self.trainer.model, self.trainer.criterion = self.model, nn.L1Loss()
        self.first, self.second = [], []
        self.trainer.optimizer_mmilb = self._keeping(self.first)
        self.trainer.optimizer_main = self._keeping(self.second)

    def _keeping(self, steps):
        return SimpleNamespace(step=lambda: steps.append(gradients(self.model)))

    def run_epoch(self, given):
        loaded = [
            {
                **{name: each.values for name, each in steps.items()},
                "audio_lengths": steps["audio"].lengths,
                "vision_lengths": steps["vision"].lengths,
                "labels": {"M": labels},
            }
            for steps, labels in given
        ]
        self.trainer.train_mmilb({"train": loaded})
        self.trainer.train_others({"train": loaded})


@pytest.mark.parametrize("mem_size", [1, 2])
@pytest.mark.parametrize("add_va", [False, True])
def test_each_weight_has_the_gradient_of_the_stage_that_trains_it_in_mmsa(add_va, mem_size):
    changes = {"text_pooling": "first", "add_va": add_va, "mem_size": mem_size, "cpc_layers": 2}
    network = peer("mmim", alpha=0.3, beta=0.2, **changes).train()
    stages, given = Stages(network.network, network.settings), batches(6)
    found, values = [], []
    for epoch in (1, 2):
        stages.run_epoch(given)
        for steps, labels in given:
            network.zero_grad()
            loss = own_step(network, steps, labels, epoch)
            loss.backward()
            found.append(gradients(network.network))
            values.append(loss.item())
    assert len(found) == len(stages.first) == len(stages.second) == 12
    for own, first, second in zip(found, stages.first, stages.second, strict=True):
        for name, parameter in network.network.named_parameters():
            if "entropy_prj" in name:  # of no stage
                assert name not in own
                assert name not in first
                continue
            expected = first if name.startswith("mi_") else second
            torch.testing.assert_close(own[name], expected[name], rtol=1e-5, atol=1e-7)
            assert parameter.requires_grad
    # a new epoch begins without the memory of the last; with it, the loss is another
    assert values[:6] == values[6:]
    without = peer("mmim", alpha=0.3, beta=0.2, **{**changes, "mem_size": 50}).train()
    plain = [own_step(without, *each).item() for each in given]
    assert [a == b for a, b in zip(values, plain, strict=False)] == [
        number <= mem_size for number in range(6)
    ]


def test_its_prediction_is_mmsas():
    network = peer("mmim", text_pooling="first").eval()
    model = Stages(network.network, network.settings).model.eval()
    ((steps, _),) = batches(1)
    text, audio, vision = (steps[name] for name in MODALITIES)
    expected, found = model(text.values, audio, vision), network(steps)
    torch.testing.assert_close(found.prediction, expected["M"].squeeze(1))
    torch.testing.assert_close(found.fused, expected["Feature_f"])
    for name, letter in zip(MODALITIES, "tav", strict=True):
        torch.testing.assert_close(found.representations[name], expected[f"Feature_{letter}"])


@pytest.mark.parametrize("given", ["one utterance", "the same utterances", "one sign"])
def test_where_the_entropy_does_not_exist_it_is_left_out(given):
    network, others = peer("mmim", mem_size=1).train(), peer("mmim", mem_size=50).train()
    for steps, labels in batches(4):
        if given == "one utterance":
            steps = rows(steps, [0])
            labels = labels[1:2]
        elif given == "the same utterances":
            steps = {
                name: PaddedBatch(torch.ones_like(each.values), torch.full_like(each.lengths, 3))
                for name, each in steps.items()
            }
        else:
            labels = labels.abs()
        network.zero_grad()
        loss = own_step(network, steps, labels)
        assert loss == own_step(others, steps, labels)
        loss.backward()
        assert all(each.isfinite().all() for each in gradients(network).values())
    assert bool(network.memory) == (given != "one utterance")


def test_for_emotions_there_is_no_entropy():
    network = peer("mmim", outputs=4).train()
    for steps, labels in batches(4):
        network(steps)
        assert network.auxiliary_loss((labels > 0).long()).isfinite()
    assert network.memory == {}


def test_a_loss_of_weight_0_has_no_part():
    ((steps, labels),) = batches(1)
    network = peer("mmim", alpha=0.0, beta=0.0).train()
    task = nn.functional.l1_loss(network(steps).prediction, labels)
    task.backward()
    expected = gradients(network.network)
    network.zero_grad()
    own_step(network, steps, labels).backward()
    found = gradients(network.network)
    for name, value in found.items():
        if name.startswith("mi_"):
            assert value.any()
        else:  # those that only have a loss of weight 0 have a gradient of 0
            torch.testing.assert_close(value, expected.get(name, torch.zeros_like(value)))


def test_it_remembers_in_the_checkpoint_and_not_in_the_weights(tmp_path, monkeypatch):
    exists, said = mmim._exists, []
    monkeypatch.setattr(mmim, "_exists", lambda *given: said.append(exists(*given)) or said[-1])
    options = of_peer("mmim", batch_size=10)
    settings = Settings(model=sizes("mmim", dropout_prj=0.3), train=options.train)
    arguments = (corpus(), settings, 1, quiet)
    whole = loop.train(*arguments)
    assert any(said)
    resumed = in_sittings(tmp_path / "run.checkpoint", 1, *arguments)
    same(resumed, whole)
    assert whole.model.memory.keys() == resumed.model.memory.keys() > {"epoch", "tv.pos.0"}
    for name, value in whole.model.memory.items():
        assert torch.equal(value, resumed.model.memory[name])
    assert not any("memory" in name or "pos" in name for name in whole.model.state_dict())
    # a run that forgets in between is another one
    monkeypatch.setattr(loop, "named", lambda group, tensors: _forgetting(group, tensors))
    forgetful = in_sittings(tmp_path / "other.checkpoint", 1, *arguments)
    assert forgetful.history != whole.history


def _forgetting(group, tensors):
    return {f"{group}.{name}": value for name, value in tensors.items() if group != "memory"}
