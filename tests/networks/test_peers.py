"""Peers: MMSA's own classes, read alike whatever the batch, trained in all of their parts."""

import copy
import dataclasses
import math
import subprocess
import sys
import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hycon.encoders.language_model import LanguageModel
from hycon.encoders.text import load as load_model
from hycon.encoders.text import tokenise
from hycon.encoders.tiny import build_bert
from hycon.errors import HyConError
from hycon.networks.hycon import PaddedBatch, TrainingStep, parameter_counts, pooled
from hycon.networks.own import REIMPLEMENTED
from hycon.params import ADAPTED, MODALITIES, Reimplemented, Settings, installed, load
from hycon.training import loop
from hycon.training.batches import CorpusTensors, RaggedTensor
from hycon.training.complexity import TimedRow, measure, multiply_adds
from hycon.training.optimiser import OptimizerStep
from tests.networks.batches import LENGTHS, falls, rows
from tests.networks.batches import batch as of_lengths
from tests.networks.test_hycon import ragged
from tests.test_params import ROOT
from tests.training.test_checkpoint import in_sittings, same
from tests.training.test_finetuning import WORDS, with_text
from tests.training.test_loop import corpus, quiet, settings

if not installed():
    reason = "MMSA is not installed (pip install -c constraints.txt -e '.[peers]'): NO PEER TESTED"
    warnings.warn(reason, stacklevel=1)
    pytest.skip(reason, allow_module_level=True)

from hycon.networks import peers
from hycon.networks.peers import Peer, mmsa
from hycon.networks.peers.steps import pad_front, resample

WIDTHS = {"text": 6, "audio": 3, "vision": 4}
LONGEST = {"text": 9, "audio": 11, "vision": 7}
LARGE = {
    name: variant.peer
    for name, variant in load(ROOT).variants.items()
    if variant.peer is not None and not isinstance(variant.peer, Reimplemented)
}
SMALL = {
    "hidden_dims": [16, 12, 14], "text_out": 10, "post_fusion_dim": 15, "memsize": 9,
    "inner_node_dim": 10, "dst_feature_dim": 8, "nheads": 2, "nlevels": 1, "hidden_size": 8,
    "num_layers": 2, "d_prjh": 12,
}  # fmt: skip
ALL = sorted(LARGE)
LAST_LAYER = {
    "tfn": "post_fusion_layer_3", "lf-dnn": "post_fusion_layer_3", "ef-lstm": "out",
    "mfn": "out_fc2", "graph-mfn": "out_fc2", "mult": "out_layer", "misa": "fusion.fusion_layer_3",
    "mmim": "fusion_prj.linear_3", "mag-bert": "classifier",
    "self-mm": "post_fusion_layer_3", "mtfn": "post_fusion_layer_3",
    "mlf-dnn": "post_fusion_layer_3",
}  # fmt: skip
PUBLISHED = {  # folder and class in MMSA.models
    "tfn": "singleTask.TFN", "lmf": "singleTask.LMF", "lf-dnn": "singleTask.LF_DNN",
    "ef-lstm": "singleTask.EF_LSTM", "mfn": "singleTask.MFN", "graph-mfn": "singleTask.Graph_MFN",
    "mult": "singleTask.MULT", "misa": "singleTask.MISA", "mmim": "singleTask.MMIM",
    "self-mm": "multiTask.SELF_MM",
    "mtfn": "multiTask.MTFN", "mlf-dnn": "multiTask.MLF_DNN", "mlmf": "multiTask.MLMF",
}  # fmt: skip
OWN_LOSSES = {"misa", "mmim", "self-mm", "mtfn", "mlf-dnn", "mlmf"}
LABELS = torch.tensor([-1.0, 2.0, 0.0, 0.5])  # of `batch`


def with_outputs(several):
    """Return each network with one output, and those that have classes with several."""
    return [
        (name, outputs)
        for name in ALL
        for outputs in (1, several)
        if outputs == 1 or not LARGE[name].only_scores
    ]


def own_loss(network, outputs=1, count=4):
    """Return a network's own losses on the first utterances of `batch`, 0 if it has none."""
    labels = LABELS[:count] if outputs == 1 else torch.arange(count) % outputs
    loss = network.auxiliary_loss(labels)
    return 0.0 if loss is None else loss


def sizes(name, **changes):
    """Return a peer's settings with small sizes and, unless asked for, without dropout."""
    values = LARGE[name].model_dump()
    for key in values:
        if "drop" in key:
            values[key] = [0.0] * len(values[key]) if key.endswith("dropouts") else 0.0
        elif key in SMALL:
            values[key] = 8 if (name, key) == ("ef-lstm", "hidden_dims") else SMALL[key]
    return type(LARGE[name]).model_validate({**values, **changes})


def peer(name, outputs=1, widths=WIDTHS, **changes):
    torch.manual_seed(0)
    network = Peer(widths, outputs, sizes(name, **changes), LONGEST)
    network.step = TrainingStep(torch.arange(4), 1, LABELS)
    return network


def batch(lengths=LENGTHS[:4]):
    """Return utterances with (text, audio, vision) steps, padded with what no one should read."""
    return of_lengths(lengths)


def of_peer(name, outputs=1, epochs=2, **changes):
    """Return the settings of a small peer's training."""
    none = {"intra": 0, "inter": 0, "semi": 0}
    train = settings(epochs=epochs, patience=epochs, lambdas=none, **changes).train
    return Settings(model=sizes(name), train=train)


def test_the_peers_of_the_shipped_parameters_are_all_that_there_are():
    assert set(ALL) == set(peers.KINDS) == set(ADAPTED) - set(REIMPLEMENTED)


@pytest.mark.parametrize(("name", "outputs"), with_outputs(4))
def test_a_peer_gives_a_score_or_logits_and_representations_for_each_utterance(name, outputs):
    output = peer(name, outputs).eval()(batch())
    assert output.prediction.shape == ((4,) if outputs == 1 else (4, outputs))
    for representation in [*output.representations.values(), output.fused]:
        assert representation.shape[0] == 4
        assert representation.shape[1] >= 2
        assert representation.isfinite().all()
    assert output.prediction.unique(dim=0).shape[0] == 4


@pytest.mark.parametrize("name", sorted(LAST_LAYER))
def test_what_is_fused_is_what_the_last_layer_reads(name):
    network = peer(name, 1 if LARGE[name].only_scores else 2).eval()
    output = network(batch())
    layer = network.network.get_submodule(LAST_LAYER[name])
    torch.testing.assert_close(layer(output.fused).squeeze(1), output.prediction)


def test_lmf_fuses_to_the_factors_that_its_weights_sum():
    network = peer("lmf").eval()
    output, own = network(batch()), network.network
    expected = (output.fused @ own.fusion_weights.T + own.fusion_bias).squeeze(1)
    torch.testing.assert_close(expected, output.prediction)


@pytest.mark.parametrize("name", ALL)
def test_an_utterance_is_read_alike_alone_and_beside_longer_ones(name):
    network, steps = peer(name).eval(), batch()
    together = network(steps)
    for row in range(4):
        alone = network(rows(steps, [row]))
        for name, found in alone.tensors().items():
            expected = together.tensors()[name][row]
            torch.testing.assert_close(found[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_every_modality_is_read_from_its_first_step_to_its_last_and_no_padding_is(name):
    steps = batch()
    for values, _ in steps.values():
        values.requires_grad_()
    peer(name).eval()(steps).prediction.sum().backward()
    for modality, (values, lengths) in steps.items():
        read = (values.grad != 0).any(dim=2)
        for row, length in enumerate(lengths.tolist()):
            assert read[row].tolist() == [True] * length + [False] * (len(read[row]) - length), (
                modality
            )


def test_the_steps_go_to_the_end_behind_zeros():
    steps = PaddedBatch(
        torch.tensor([[[1.0], [2.0], [9.0]], [[3.0], [4.0], [5.0]]]), torch.tensor([2, 3])
    )
    assert pad_front(steps, 4).squeeze(2).tolist() == [[0, 0, 1, 2], [0, 3, 4, 5]]


def test_steps_in_proportion_are_those_of_a_plain_loop():
    generator = torch.Generator().manual_seed(0)
    found = torch.randint(1, 13, (200,), generator=generator)
    wanted = torch.randint(1, 13, (200,), generator=generator)
    values = torch.randn(200, 12, 2, generator=generator)
    result = resample(PaddedBatch(values, found), wanted)
    assert result.lengths is wanted
    for row, (source, target) in enumerate(zip(found.tolist(), wanted.tolist(), strict=True)):
        for step in range(target):
            # whole numbers: source step s begins in the window if step S <= s T < (step + 1) S
            inside = [
                s for s in range(source) if step * source <= s * target < (step + 1) * source
            ] or [math.floor(step * source / target)]
            expected = values[row, inside].mean(dim=0)
            torch.testing.assert_close(result.values[row, step], expected)


def test_steps_in_proportion_to_their_own_number_are_themselves():
    steps = batch()["audio"]
    result = resample(steps, steps.lengths)
    for row, length in enumerate(steps.lengths.tolist()):
        assert torch.equal(result.values[row, :length], steps.values[row, :length])


@pytest.mark.parametrize(("name", "outputs"), with_outputs(4))
def test_every_parameter_that_is_counted_is_trained(name, outputs):
    network = peer(name, outputs).train()
    output = network(batch())
    loss = output.prediction.square().sum() + own_loss(network, outputs)
    loss.backward()
    for key, parameter in network.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, key
    still = {key.split(".")[1] for key, p in network.named_parameters() if not p.requires_grad}
    expected = {
        "tfn": {"output_range", "output_shift"},
        "mtfn": {"output_range", "output_shift"},
        "misa": {"sp_discriminator", "tlayer_norm"},
        "mmim": {"mi_tv", "mi_ta"},  # its projections for the entropy
    }
    assert still == expected.get(name, set())
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert parameter_counts(network) == {"network": trained, "all": trained}


def test_mult_counts_no_projection_of_features_that_have_its_own_width():
    plain, same = peer("mult"), peer("mult", widths={**WIDTHS, "audio": 8})
    difference = parameter_counts(plain)["all"] - parameter_counts(same)["all"]
    assert difference == 3 * 8 * 5  # audio of 3 features, 8 channels, a kernel of 5 steps
    same.train()(
        {**batch(), "audio": PaddedBatch(torch.randn(4, 2, 8), torch.tensor([2, 1, 2, 1]))}
    ).prediction.sum().backward()
    assert all(parameter.grad is not None for parameter in same.parameters())


def test_graph_mfn_trains_and_saves_the_networks_of_its_graph_and_a_copy_has_its_own():
    network = peer("graph-mfn")
    graph = network.network.graph_mfn
    registered = {id(parameter) for parameter in network.parameters()}
    for part in graph.networks.values():
        assert {id(parameter) for parameter in part.parameters()} <= registered
    assert sum("node_" in key for key in network.state_dict()) == 4 * 4  # 4 nodes of 2 layers
    copied = copy.deepcopy(network).network.graph_mfn
    for nodes, part in copied.networks.items():
        name = "node_" + "_".join(map(str, nodes))
        assert part is getattr(copied, name) is not getattr(graph, name)


@pytest.mark.parametrize("name", ALL)
def test_the_loss_falls_where_each_modality_carries_a_third_of_the_label(name):
    assert falls(peer(name))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", ALL)
def test_a_batch_of_one_or_two_utterances_is_trained_on(name, count):
    network = peer(name).train()
    network(batch())
    network.step = TrainingStep(torch.arange(count), 1, LABELS)
    norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm1d)]
    before = [norm.running_mean.clone() for norm in norms]
    output = network(rows(batch(), list(range(count))))
    (output.prediction.sum() + own_loss(network, count=count)).backward()
    assert output.prediction.shape == (count,)
    for key, parameter in network.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), key
    # one utterance has no statistics to learn from, and the norms are in training again
    same = [torch.equal(norm.running_mean, old) for norm, old in zip(norms, before, strict=True)]
    assert all(same) == (count == 1 or not norms)
    assert all(norm.training for norm in norms)


@pytest.mark.parametrize(("name", "outputs"), with_outputs(2))
def test_a_peer_is_trained_by_the_common_loop_and_the_same_seed_gives_the_same_bits(name, outputs):
    data = corpus(outputs)
    data.folds["train"] = data.folds["train"][:17]  # two batches of 8 and one of 1
    first, again, other = (
        loop.train(data, of_peer(name, outputs), seed, quiet) for seed in (1, 1, 2)
    )
    assert first.history == again.history != other.history
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key])
    expected = {"epoch", "task", "validation"}
    assert set(first.history[0]) == expected | ({"auxiliary"} if name in OWN_LOSSES else set())
    assert all(math.isfinite(value) for row in first.history for value in row.values())
    copy.deepcopy(first.model)


@pytest.mark.parametrize("name", ALL)
def test_a_forward_pass_leaves_nothing_on_the_network(name):
    network = peer(name).train()
    before = set(vars(network.network))
    network(batch())
    assert not [key for key, value in vars(network.network).items() if torch.is_tensor(value)]
    assert set(vars(network.network)) - before <= {"lengths", "domain_label_t", "domain_label_a",
                                                   "domain_label_v"}  # fmt: skip
    assert (network.auxiliary_loss(LABELS) is not None) == (name in OWN_LOSSES)
    assert network.auxiliary_loss(LABELS) is None
    network.eval()(batch())
    assert network.auxiliary_loss(LABELS) is None


@pytest.mark.parametrize("name", ["mfn", "misa"])
def test_representations_bear_the_modalitys_name(name, monkeypatch):
    monkeypatch.setattr(peers, "_taken", lambda network: dict(vars(network)))
    network = peer(name).eval()
    output, own = network(batch()), network.network
    found = [own.h_l, own.h_a, own.h_v] if name == "mfn" else [
        own.private_t(own.utt_t_orig) + own.shared(own.utt_t_orig),
        own.private_a(own.utt_a_orig) + own.shared(own.utt_a_orig),
        own.private_v(own.utt_v_orig) + own.shared(own.utt_v_orig),
    ]  # fmt: skip
    for expected, given in zip(found, output.representations.values(), strict=True):
        torch.testing.assert_close(given, expected)


@pytest.mark.parametrize("name", ["tfn", "graph-mfn", "misa"])
def test_averaged_weights_of_a_peer_come_with_its_statistics(name):
    trained = loop.train(corpus(), of_peer(name, averaging=0.5), 1, quiet)
    plain = loop.train(corpus(), of_peer(name), 1, quiet)
    assert [row["task"] for row in trained.history] == [row["task"] for row in plain.history]
    assert trained.score != plain.score
    for key, value in trained.model.state_dict().items():
        if "running" in key and trained.epoch == plain.epoch:
            assert torch.equal(value, plain.model.state_dict()[key])


def trainer_of(network):
    """Return MMSA's trainer of MISA, as its own loop calls its losses."""
    module = mmsa.load("trains.singleTask.MISA")
    trainer = object.__new__(module.MISA)
    trainer.args = SimpleNamespace(use_cmd_sim=True)
    trainer.model = SimpleNamespace(Model=network)
    trainer.loss_diff, trainer.loss_recon = module.DiffLoss(), module.MSE()
    trainer.loss_cmd = module.CMD()
    return trainer


def test_misas_own_losses_are_those_of_mmsas_trainer(monkeypatch):
    monkeypatch.setattr(peers, "_taken", lambda network: dict(vars(network)))
    steps = batch([(3, 5, 2)] * 7)
    network = peer("misa", diff_weight=0.1, sim_weight=0.3, recon_weight=0.7).train()
    network(steps)
    labels = torch.zeros(7)
    own = network.auxiliary_loss(labels)
    trainer = trainer_of(network.network)
    expected = (
        0.1 * trainer.get_diff_loss()
        + 0.3 * trainer.get_cmd_loss()
        + 0.7 * trainer.get_recon_loss()
    )
    assert own.item() == pytest.approx(expected.item(), rel=1e-6)
    assert own.item() > 0
    none = peer("misa", diff_weight=0.0, sim_weight=0.0, recon_weight=0.0).train()
    none(steps)
    assert none.auxiliary_loss(labels).item() == 0


def test_misas_own_losses_are_added_to_the_tasks_and_take_no_part_in_validation():
    steps = corpus()
    changed = of_peer("misa")
    more = sizes("misa", diff_weight=1.0, sim_weight=1.0, recon_weight=1.0)
    less = sizes("misa", diff_weight=0.0, sim_weight=0.0, recon_weight=0.0)
    first, second, third = (
        loop.train(steps, changed.model_copy(update={"model": model}), 1, quiet)
        for model in (changed.model, more, less)
    )
    assert 0 < first.history[0]["auxiliary"] < second.history[0]["auxiliary"]
    assert third.history[0]["auxiliary"] == 0
    assert len({each.history[-1]["task"] for each in (first, second, third)}) == 3
    rows_ = steps.folds["valid"]
    prediction = loop.infer(first.model, steps, rows_).prediction
    assert first.score == float(nn.functional.l1_loss(prediction, steps.labels[rows_]))


@pytest.mark.parametrize("name", ["mtfn", "mlf-dnn", "mlmf"])
def test_multi_task_losses_are_those_of_mmsas_trainer_divided_by_the_weight_of_the_fusion(name):
    network = peer(name, M=0.5, T=0.2, A=0.7, V=0.3).train()
    prediction = network(batch()).prediction
    result = network._pass.result
    # as MMSA's trainer has it, over the tasks "MTAV" with labels that are the same
    total = sum(
        weight * nn.L1Loss()(result[task], LABELS.view(-1, 1))
        for task, weight in (("M", 0.5), ("T", 0.2), ("A", 0.7), ("V", 0.3))
    )
    found = nn.functional.l1_loss(prediction, LABELS) + network.auxiliary_loss(LABELS)
    torch.testing.assert_close(0.5 * found, total)


def test_multi_task_losses_of_classes_are_cross_entropies():
    network, labels = peer("mlf-dnn", 3, M=1.0, T=1.0, A=0.0, V=0.0).train(), torch.arange(4) % 3
    network(batch())
    expected = nn.functional.cross_entropy(network._pass.result["T"], labels)
    assert network.auxiliary_loss(labels) == expected


class Trainer:
    """MMSA's trainer of Self-MM, made as there and called batch by batch as in its loop."""

    def __init__(self, network, labels):
        module = mmsa.load("trains.multiTask.SELF_MM")
        options = SimpleNamespace(
            train_mode="regression", dataset_name="mosi", device="cpu", excludeZero=True,
            train_samples=len(labels), **dict(network.settings),
        )  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            metrics = SimpleNamespace(getMetics=lambda name: None)
            patch.setattr(module, "MetricsTop", lambda mode: metrics)
            self.own = module.SELF_MM(options)
        self.own.init_labels(torch.arange(len(labels)), labels)

    def loss(self, result, places, epoch):
        own = self.own
        loss = sum(
            own.weighted_loss(
                result[task], own.label_map[own.name_map[task]][places], places, own.name_map[task]
            )
            for task in "MTAV"
        )
        found = [result[f"Feature_{letter}"].detach() for letter in "ftav"]
        if epoch > 1:
            own.update_labels(*found, epoch, places, result)
        own.update_features(*found, places)
        own.update_centers()
        return loss


def test_self_mm_has_the_losses_and_the_memory_of_mmsas_trainer_over_epochs():
    network = peer("self-mm").train()
    labels = torch.tensor([-1.0, 2.0, 0.0, 0.5, -2.5, 1.5, -0.5, 3.0])
    trainer = Trainer(network, labels)
    halves = [torch.tensor([0, 3, 4, 5]), torch.tensor([1, 7, 2, 6])]
    moved = []
    for epoch in (1, 2, 3):
        for places in halves:
            network.step = TrainingStep(places, epoch, labels)
            prediction = network(batch()).prediction
            result = network._pass.result
            expected = trainer.loss(result, places, epoch)
            own = network.auxiliary_loss(labels[places])
            found = nn.functional.l1_loss(prediction, labels[places]) + own
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
            assert (own > 0) == (epoch > 2)  # the labels move after the loss of epoch 2
        for mode in ("fusion", "text", "audio", "vision"):
            assert torch.equal(network.memory[f"labels.{mode}"], trainer.own.label_map[mode])
            assert torch.equal(network.memory[f"features.{mode}"], trainer.own.feature_map[mode])
            for sign in ("pos", "neg"):
                centre = trainer.own.center_map[mode][sign]
                assert torch.equal(network.memory[f"centres.{mode}.{sign}"], centre)
        moved.append(network.memory["labels.text"].clone())
    assert torch.equal(moved[0], labels)
    assert not torch.equal(moved[1], labels)
    assert torch.equal(network.memory["labels.fusion"], labels)


def test_self_mm_trains_without_a_negative_label():
    data = corpus()
    data = dataclasses.replace(data, labels=data.labels.abs() + 0.1)
    trained = loop.train(data, of_peer("self-mm", epochs=4), 1, quiet)
    assert all(math.isfinite(value) for row in trained.history for value in row.values())


def test_self_mm_refuses_emotions():
    with pytest.raises(HyConError, match="self-mm: found 4 classes, expected scores"):
        peer("self-mm", 4)


def test_self_mms_lstms_learn_at_rates_of_their_own_and_its_memory_is_no_weight():
    options = of_peer("self-mm", learning_rate=1e-3).train
    network = peer("self-mm", audio_rate=5.0, video_rate=0.1)
    optimiser = OptimizerStep(network, options, 10).optimiser
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    for key, parameter in network.named_parameters():
        factor = {"audio_model": 5.0, "video_model": 0.1}.get(key.split(".")[1], 1.0)
        assert rates[id(parameter)] == pytest.approx(factor * 1e-3), key
    trained = loop.train(corpus(), of_peer("self-mm"), 1, quiet).model
    assert trained.memory.keys() >= {"labels.text", "features.fusion", "centres.audio.pos"}
    assert not [key for key in trained.state_dict() if "labels" in key or "centres" in key]


def test_misa_means_the_text_and_takes_each_modality_at_its_own_place_and_length():
    network, steps = peer("misa").eval(), batch()
    own = network.network
    seen = {}
    for part in ("project_t", "arnn1", "vrnn1"):
        own.get_submodule(part).register_forward_pre_hook(
            lambda _, inputs, part=part: seen.update({part: inputs[0]})
        )
    network(steps)
    torch.testing.assert_close(seen["project_t"], pooled(steps["text"], "mean"))
    for part, name in (("arnn1", "audio"), ("vrnn1", "vision")):
        values, lengths = nn.utils.rnn.pad_packed_sequence(seen[part], batch_first=True)
        assert torch.equal(lengths, steps[name].lengths)
        assert torch.equal(values[0, : lengths[0]], steps[name].values[0, : lengths[0]])


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_network_is_mmsas_class_or_a_child_of_it(name):
    own = type(peer(name).network)
    published = getattr(mmsa.load(f"models.{PUBLISHED[name]}"), PUBLISHED[name].split(".")[1])
    assert (own is published) == (name not in {"misa", "mmim"})
    assert issubclass(own, published)


def test_each_modality_goes_to_the_layers_that_are_named_after_it():
    network, steps = peer("lf-dnn").eval(), batch()
    own, output = network.network, network(steps)
    audio = own.audio_subnet(pooled(steps["audio"], "mean"))
    vision = own.video_subnet(pooled(steps["vision"], "mean"))
    text = own.text_subnet(pad_front(steps["text"], LONGEST["text"]))
    torch.testing.assert_close(output.representations["audio"], audio)
    torch.testing.assert_close(output.representations["vision"], vision)
    torch.testing.assert_close(output.representations["text"], text)


def test_early_fusion_joins_the_modalities_at_the_texts_steps():
    early, steps = peer("ef-lstm").eval(), batch()
    lengths = steps["text"].lengths
    joined = [pad_front(resample(steps[name], lengths), 9) for name in MODALITIES]
    states, _ = early.network.lstm(early.network.norm(torch.cat(joined, dim=2)))
    expected = early.network.out(early.network.linear(states[:, -1]).relu()).squeeze(1)
    torch.testing.assert_close(early(steps).prediction, expected)


@pytest.mark.parametrize("name", ALL)
def test_a_peer_reads_a_corpus_with_one_step_of_audio_and_vision_an_utterance(name):
    data = corpus()
    single = {each: ragged(3, [1] * 60, 5) for each in ("audio", "vision")}
    data = CorpusTensors({**data.features, **single}, data.labels, data.classes, data.folds, 1)
    assert data.longest == {"text": 5, "audio": 1, "vision": 1}
    assert math.isfinite(loop.train(data, of_peer(name, epochs=1), 1, quiet).score)


@pytest.mark.parametrize("absent", ["audio", "vision"])
@pytest.mark.parametrize("name", ALL)
def test_a_peer_reads_one_zero_in_place_of_a_modality_that_a_corpus_lacks(name, absent):
    data = corpus()
    features = {each: ragged for each, ragged in data.features.items() if each != absent}
    drops = {key: value for key, value in LARGE[name].model_dump().items() if "drop" in key}
    of_name = of_peer(name, epochs=1).model_copy(update={"model": sizes(name, **drops)})
    trained = loop.train(dataclasses.replace(data, features=features), of_name, 1, quiet)
    assert math.isfinite(trained.score)
    assert all(parameter.isfinite().all() for parameter in trained.model.parameters())
    found = loop.infer(trained.model, dataclasses.replace(data, features=features), torch.arange(9))
    assert found.representations.keys() == features.keys()
    # as a corpus with such features
    zero = RaggedTensor(torch.zeros(60, 1), torch.arange(60), torch.ones(60, dtype=torch.int64))
    filled = dataclasses.replace(data, features={**features, absent: zero})
    filled = dataclasses.replace(
        filled, features={each: filled.features[each] for each in MODALITIES}
    )
    again = loop.train(filled, of_name, 1, quiet)
    assert again.history == trained.history


def test_a_language_model_is_fine_tuned_under_a_peer(tmp_path):
    sentences = [" ".join(WORDS[: 1 + i % 9]) for i in range(60)]
    build_bert(sentences, tmp_path)
    tokenizer, model = load_model(str(tmp_path))
    tokens, offsets, names, _ = tokenise(sentences, tokenizer, model, 16)
    encoder, data = LanguageModel(model, names), with_text(tokens, offsets)
    tuned = {"learning_rate": 1e-3, "warmup": 0.0, "weight_decay": 0.0, "precision": "float32"}
    for name in ("tfn", "misa", "mmim", "mag-bert", "self-mm"):
        trained = loop.train(data, of_peer(name, epochs=1, finetuning=tuned), 1, quiet, encoder)
        counts = parameter_counts(trained.model)
        size = sum(parameter.numel() for parameter in encoder.parameters())
        assert counts["language model"] == size
        assert counts["all"] == counts["network"] + size
        before = dict(encoder.named_parameters())
        assert not all(
            torch.equal(value, before[key])
            for key, value in trained.model.language_model.named_parameters()
        )


def test_what_peers_cost_is_measured_as_for_every_row():
    found = measure([TimedRow(corpus(), of_peer(name)) for name in ("lf-dnn", "misa")], 1)
    for name, row in zip(("lf-dnn", "misa"), found, strict=True):
        model = loop.make_network(corpus(), of_peer(name), None)
        assert row["trainable parameters"] == parameter_counts(model)["all"]
        assert row["multiply-adds per utterance"] > 0
        assert row["training memory bytes"] > 16 * row["trainable parameters"]
        assert row["contrastive share of training step"]["n"] == 0


def test_multiply_adds_of_lf_dnn_are_those_counted_by_hand():
    # hidden 16, 12 and 14, text out 10, after the fusion 15. An utterance: audio 3 * 12 and
    # 2 * 12 * 12, vision 4 * 14 and 2 * 14 * 14, fusion 36 * 15 + 15 * 15 + 15, the text's last
    # layer 16 * 10, its LSTM 4 gates of 9 steps, of 6 features and 16 states
    row = 36 + 288 + 56 + 392 + 540 + 225 + 15 + 160 + 9 * 4 * (6 * 16 + 16 * 16)
    assert multiply_adds(peer("lf-dnn"), batch()) == 4 * row


def test_mmsa_is_loaded_under_a_name_of_its_own_and_can_still_be_imported():
    script = """
import sys, types
from hycon.networks.peers import mmsa
for name in ("models.singleTask.MMIM", "models.singleTask.BERT_MAG", "trains.singleTask.MISA",
              "models.multiTask.SELF_MM", "trains.multiTask.SELF_MM"):
    ours = mmsa.load(name)
there = set(sys.modules)
assert not there & {"MMSA", "easydict", "transformers"}, there
for name in ("pynvml", "easydict"):  # need not be installed for this
    sys.modules.setdefault(name, types.ModuleType(name)).EasyDict = dict
import MMSA
assert MMSA.__file__.endswith("__init__.py") and MMSA.MMSA_run.__module__ == "MMSA.run"
assert sys.modules["MMSA.trains.singleTask.MISA"] is not ours
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_without_mmsa_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(mmsa, "installed", lambda: False)
    with pytest.raises(HyConError, match=r"pip install -c constraints\.txt -e '\.\[peers\]'"):
        peer("tfn")


@pytest.mark.parametrize("name", ALL)
def test_steps_beyond_the_longest_are_averaged_or_resampled_or_take_no_part(name):
    network = peer(name, longest=5).eval()
    whole = batch()
    averaged = name in {"tfn", "lmf", "lf-dnn", "mtfn", "mlf-dnn", "mlmf"}
    resampled = name in {"ef-lstm", "mfn", "graph-mfn", "mag-bert"}
    cut = {}
    for modality, steps in whole.items():
        beside = modality != "text"
        values, lengths = resample(steps, whole["text"].lengths) if beside and resampled else steps
        kept = PaddedBatch(values[:, :5], lengths.clamp(max=5))
        cut[modality] = steps if beside and averaged else kept
    with torch.no_grad():
        found = network(whole).prediction
        assert torch.equal(found, network(cut).prediction)
        assert not torch.equal(found, peer(name).eval()(whole).prediction)
        longest = whole["audio"].lengths.argmax()
        whole["audio"].values[longest, -1] += 1.0  # counts in a mean only
        assert torch.equal(found, network(whole).prediction) == (not averaged)


@pytest.mark.parametrize("name", ALL)
def test_a_peer_broken_off_after_each_step_ends_in_the_same_bits(name, tmp_path):
    drops = {key: value for key, value in LARGE[name].model_dump().items() if "drop" in key}
    epochs = 4 if name == "self-mm" else 2  # its labels move from the second on
    of_name = of_peer(name, epochs=epochs).model_copy(update={"model": sizes(name, **drops)})
    arguments = (corpus(), of_name, 1, quiet)
    whole = loop.train(*arguments)
    assert ("auxiliary" in whole.history[0]) == (name in OWN_LOSSES)
    same(in_sittings(tmp_path / "run.checkpoint", 1, *arguments), whole)
