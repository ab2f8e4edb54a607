"""The network and its batches: padding never counts, the last valid step does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hycon.networks.fusion import FUSIONS
from hycon.networks.hycon import (
    Dropout,
    HyCon,
    UnimodalEncoder,
    parameter_counts,
    positions,
)
from hycon.networks.packing import CHUNK, PackedBatch, PaddedBatch
from hycon.params import MODALITIES, ModelConfig
from hycon.training import ragged as ragged_module
from hycon.training.batches import CorpusTensors
from hycon.training.loop import infer
from hycon.training.ragged import RaggedTensor, scale_of, standardise

SETTINGS = ModelConfig(
    dimension=8,
    layers=2,
    text_layers=1,
    heads=2,
    dropout=0.5,
    feature_dropout=0.5,
    fusion="addition",
    rank=2,
    network="transformer",
    text_pooling="last",
)
WIDTHS = {"text": 5, "audio": 3, "vision": 4}


def ragged(width, lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(sum(lengths), width, generator=generator)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return RaggedTensor.of(values.numpy(), offsets, "cpu")


def data(lengths=(3, 1, 7, 2)):
    count = len(lengths)
    features = {name: ragged(WIDTHS[name], lengths, seed) for seed, name in enumerate(MODALITIES)}
    folds = {name: torch.arange(count) for name in ("train", "valid", "test")}
    return CorpusTensors(features, torch.zeros(count), torch.zeros(count).long(), folds, 1)


def model(settings=SETTINGS, outputs=1):
    torch.manual_seed(0)
    return HyCon(WIDTHS, outputs, settings).eval()


def test_padded_batches_hold_each_utterances_rows_in_order():
    features = ragged(2, [3, 1, 2])
    batch = features.pad(torch.tensor([2, 0]))
    assert batch.lengths.tolist() == [2, 3]
    torch.testing.assert_close(batch.values[0, :2], features.values[4:6])
    torch.testing.assert_close(batch.values[1], features.values[:3])


def test_packed_steps_are_the_valid_ones_from_the_shortest_utterance_to_the_longest():
    values = torch.arange(4 * 7).view(4, 7, 1)
    packing = PackedBatch(torch.tensor([3, 1, 7, 2]))
    packed = packing.pack(values).squeeze(1).tolist()
    assert packed == [7, 21, 22, 0, 1, 2, *range(14, 21)]
    assert packing.step.tolist() == [0, 0, 1, 0, 1, 2, *range(7)]
    assert packing.pack(values)[packing.first].squeeze(1).tolist() == [7, 21, 0, 14]
    assert packing.pack(values)[packing.last].squeeze(1).tolist() == [7, 22, 2, 20]
    assert packing.restore(packing.lengths[:, None]).squeeze(1).tolist() == [3, 1, 7, 2]


def test_chunks_hold_every_step_once_and_are_padded_to_their_own_longest():
    lengths = torch.tensor([1 + 5 * i % 17 for i in range(2 * CHUNK + 3)])
    packing, states = PackedBatch(lengths), torch.randn(int(lengths.sum()), 3)
    chunks = packing.chunks
    assert [chunk.count for chunk in chunks] == [CHUNK, CHUNK, 3]
    assert torch.equal(torch.cat([chunk.packed(chunk.pad(states)) for chunk in chunks]), states)
    for number, chunk in enumerate(chunks):
        own = packing.lengths[number * CHUNK :][: chunk.count]
        padded = chunk.pad(states)
        assert padded.shape == (chunk.count, own[-1], 3)
        assert torch.equal(chunk.valid[:, 0, 0].sum(1), own)
        assert (padded[~chunk.valid[:, 0, 0]] == 0).all()
    assert torch.equal(packing.whole().packed(packing.whole().pad(states)), states)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_batch_of_several_chunks_is_read_as_its_utterances_are_one_by_one(pooling):
    network = model(SETTINGS.model_copy(update={"text_pooling": pooling, "text_layers": 3}))
    corpus = data([1 + 5 * i % 13 for i in range(2 * CHUNK + 3)])
    rows = torch.arange(2 * CHUNK + 3)
    together = network(corpus.batch(rows))
    alone = [network(corpus.batch(row[None])) for row in rows]
    for name, found in together.tensors().items():
        expected = torch.cat([one.tensors()[name] for one in alone])
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_dropout_leaves_out_its_share_and_scales_what_it_keeps():
    torch.manual_seed(0)
    dropout, x = Dropout(0.3), torch.full((400, 250), 2.0, requires_grad=True)
    found = dropout(x)
    assert found.unique().tolist() == [0.0, pytest.approx(2 / 0.7)]
    assert abs((found == 0).float().mean() - 0.3) < 0.005
    found.sum().backward()
    torch.testing.assert_close(x.grad, found.detach() / 2)
    assert not torch.equal(dropout(x), found)
    assert dropout.eval()(x) is x


def test_dropout_draws_by_the_generator_that_is_alike_on_every_cpu():
    torch.manual_seed(3)
    kept = Dropout(0.3)(torch.ones(1000)) > 0
    torch.manual_seed(3)
    assert torch.equal(kept, torch.rand(1000) >= 0.3)


@pytest.mark.parametrize("network", ["transformer", "lstm"])
@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("layers", [0, 1])
@pytest.mark.parametrize("garbage", [0.0, 1e3])
def test_more_padding_changes_no_prediction_whatever_it_holds(garbage, layers, pooling, network):
    changes = {"text_layers": layers, "text_pooling": pooling, "network": network}
    network, corpus = model(SETTINGS.model_copy(update=changes)), data()
    batch = corpus.batch(torch.arange(4))
    padded = {}
    for name, (values, lengths) in batch.items():
        longer = torch.cat([values, values], dim=1)
        valid = torch.arange(longer.shape[1]) < lengths[:, None]
        padded[name] = PaddedBatch(torch.where(valid[..., None], longer, garbage), lengths)
    for before, after in zip(network(batch), network(padded), strict=True):
        torch.testing.assert_close(before, after, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_network_takes_every_fusion(fusion):
    network, corpus = model(SETTINGS.model_copy(update={"fusion": fusion})), data()
    output = network(corpus.batch(torch.arange(4)))
    assert output.fused.shape == (4, network.fusion.dimension)
    assert output.prediction.shape == (4,)
    counts = parameter_counts(network)
    assert counts["all"] == sum(p.numel() for p in network.parameters())
    assert counts["fusion"] == sum(p.numel() for p in network.fusion.parameters())


def test_a_prediction_does_not_depend_on_the_others_in_its_batch():
    network, corpus = model(), data()
    together = network(corpus.batch(torch.arange(4))).prediction
    alone = torch.cat([network(corpus.batch(torch.tensor([i]))).prediction for i in range(4)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_inference_returns_rows_in_the_order_asked_for():
    network, corpus = model(), data((5, 1, 9, 2, 4))
    rows = torch.tensor([3, 0, 4, 1])
    expected = torch.cat([network(corpus.batch(row[None])).prediction for row in rows])
    torch.testing.assert_close(
        infer(network, corpus, rows).prediction, expected, rtol=1e-5, atol=1e-6
    )


def test_a_representation_is_the_state_of_the_last_valid_step():
    torch.manual_seed(0)
    encoder = UnimodalEncoder(3, 0, "last", 0.5, SETTINGS).eval()  # no layer: the projection alone
    values = torch.randn(2, 4, 3)
    found = encoder(PaddedBatch(values, torch.tensor([2, 4])))
    expected = encoder.projection(torch.stack([values[0, 1], values[1, 3]]))
    torch.testing.assert_close(found, expected)


def test_the_last_step_sees_the_steps_before_it_and_their_order():
    torch.manual_seed(0)
    encoder = UnimodalEncoder(3, 1, "last", 0.5, SETTINGS).eval()
    values = torch.randn(1, 4, 3)
    base = encoder(PaddedBatch(values, torch.tensor([4])))
    swapped = encoder(PaddedBatch(values[:, [1, 0, 2, 3]], torch.tensor([4])))
    assert (base - swapped).abs().max() > 1e-4


def test_fusion_by_addition_is_the_sum_of_the_representations():
    output = model()(data().batch(torch.arange(4)))
    torch.testing.assert_close(output.fused, sum(output.representations.values()))


def test_classes_have_one_logit_each():
    assert model(outputs=4)(data().batch(torch.arange(4))).prediction.shape == (4, 4)


def test_position_codes_are_the_sinusoids_of_the_transformer():
    codes = positions(3, 6, torch.zeros(1))
    for step in range(3):
        for pair in range(3):
            angle = step / 10_000 ** (2 * pair / 6)
            expected = [np.sin(angle), np.cos(angle)]
            np.testing.assert_allclose(codes[step, 2 * pair : 2 * pair + 2], expected, atol=1e-6)


def test_standardising_uses_the_training_rows_only_and_keeps_constant_columns():
    values = np.array([[1.0, 5.0], [3.0, 5.0], [100.0, 7.0]], dtype=np.float32)
    scaled = standardise(values, *scale_of(values, np.array([True, True, False])))
    np.testing.assert_allclose(scaled[:2], [[-1, 0], [1, 0]])
    assert scaled[2].tolist() == [10.0, 2.0]  # 98 deviations, cut at 10; a constant has no spread


def test_what_is_unknown_counts_in_no_statistic_and_becomes_the_mean():
    values = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, np.nan]], dtype=np.float32)
    scaled = standardise(values, *scale_of(values, np.array([True, True, True])))
    np.testing.assert_allclose(scaled, [[-1, 0], [0, 0], [1, 0]])


def test_standardising_block_by_block_is_standardising_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    values = rng.normal(50, 3, (100, 4)).astype(np.float32)
    values[rng.random((100, 4)) < 0.1] = np.nan
    values[5, 1], values[7, 2] = np.inf, -np.inf
    train = rng.random(100) < 0.6
    train[:16] = False  # a block of none
    known = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    expected = (known - np.nanmean(known[train], 0)) / np.nanstd(known[train], 0)
    monkeypatch.setattr(ragged_module, "BLOCK", 16)
    monkeypatch.setattr(ragged_module, "CACHED", 5)
    found = standardise(values, *scale_of(values, train))
    np.testing.assert_allclose(found, np.nan_to_num(expected), atol=1e-6)


def test_features_that_are_in_memory_are_not_copied_and_mapped_ones_are(tmp_path):
    values, offsets = np.ones((3, 2), np.float32), np.array([0, 1, 3])
    assert RaggedTensor.of(values, offsets, "cpu").values.data_ptr() == values.ctypes.data
    np.save(tmp_path / "values.npy", values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    held = RaggedTensor.of(mapped, offsets, "cpu").values
    assert held.data_ptr() != mapped.ctypes.data
    held += 1  # writable
    assert mapped.sum() == 6


def test_who_meets_whom_in_a_batch_changes_from_epoch_to_epoch():
    corpus = data([1 + i % 9 for i in range(128)])
    order = torch.Generator().manual_seed(1)
    together = []
    for _ in range(2):
        number = torch.empty(128, dtype=torch.long)
        for place, batch in enumerate(corpus.shuffled(torch.arange(128), 16, order)):
            number[batch] = place
        together.append((number[:, None] == number).fill_diagonal_(False))
    again = (together[0] & together[1]).sum() / together[0].sum()
    assert again < 0.25  # by chance 15 / 127 = 0.12; batches sorted by length give 0.6


def test_batches_of_an_epoch_hold_every_row_once_and_differ_between_epochs():
    corpus = data([1 + i % 7 for i in range(50)])
    order = torch.Generator().manual_seed(3)
    first, second = (corpus.shuffled(torch.arange(50), 8, order) for _ in range(2))
    for epoch in (first, second):
        assert sorted(torch.cat(epoch).tolist()) == list(range(50))
        assert max(len(batch) for batch in epoch) == 8
    assert torch.cat(first).tolist() != torch.cat(second).tolist()
    again = corpus.shuffled(torch.arange(50), 8, torch.Generator().manual_seed(3))
    assert torch.cat(first).tolist() == torch.cat(again).tolist()


@pytest.mark.parametrize("pooling", ["last", "first", "mean"])
def test_a_texts_representation_is_that_of_the_step_asked_for_or_their_mean(pooling):
    torch.manual_seed(0)
    encoder = UnimodalEncoder(3, 1, pooling, 0.5, SETTINGS).eval()
    values, lengths = torch.randn(2, 4, 3), (2, 4)
    found = encoder(PaddedBatch(values, torch.tensor(lengths)))
    for row, length in enumerate(lengths):
        states = []
        for step in range(length):  # the state of each step, asked for as the last of one layer
            one = UnimodalEncoder(3, 1, "last", 0.5, SETTINGS).eval()
            one.load_state_dict(encoder.state_dict())
            order = [s for s in range(length) if s != step] + [step]
            hidden = one.projection(values[row, order]) + positions(length, 8, values)[order]
            alone = [PackedBatch(torch.tensor([length])).whole()]
            states.append(one.network.after(one.network.layers[0](hidden, alone)[-1]))
        wanted = {"last": states[-1], "first": states[0], "mean": sum(states) / length}
        torch.testing.assert_close(found[row], wanted[pooling], rtol=1e-4, atol=1e-5)


def test_a_recurrent_representation_is_the_state_after_the_last_valid_step():
    torch.manual_seed(0)
    settings = SETTINGS.model_copy(update={"network": "lstm"})
    encoder = UnimodalEncoder(3, 2, "last", 0.5, settings).eval()
    values, lengths = torch.randn(2, 4, 3), torch.tensor([2, 4])
    found = encoder(PaddedBatch(values, lengths))
    for row, length in enumerate(lengths):
        alone, _ = encoder.network.layers(encoder.projection(values[row : row + 1, :length]))
        torch.testing.assert_close(found[row], alone[0, -1])


@pytest.mark.parametrize("modalities", [["text"], ["audio", "vision"], ["text", "vision"]])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_network_reads_its_modalities_and_no_other(modalities, fusion):
    settings = SETTINGS.model_copy(update={"modalities": modalities, "fusion": fusion})
    corpus = data()
    network = model(settings)
    output = infer(network, corpus, torch.arange(4))
    assert list(output.representations) == modalities
    assert set(network.parts()) == {*modalities, "fusion", "head"}
    for name in MODALITIES:
        features = {**corpus.features, name: ragged(WIDTHS[name], (3, 1, 7, 2), seed=9)}
        changed = infer(network, replace(corpus, features=features), torch.arange(4)).prediction
        assert torch.equal(changed, output.prediction) == (name not in modalities)


def test_without_modalities_the_network_predicts_a_constant():
    output = infer(model(SETTINGS.model_copy(update={"modalities": []})), data(), torch.arange(4))
    assert output.representations == {}
    assert len(output.prediction.unique()) == 1


def test_a_single_modality_is_fused_by_addition_as_it_is():
    settings = SETTINGS.model_copy(update={"modalities": ["audio"]})
    output = infer(model(settings), data(), torch.arange(4))
    assert torch.equal(output.fused, output.representations["audio"])


def test_a_shuffled_modality_stays_in_its_fold_and_others_stay_where_they_are():
    lengths = (3, 1, 7, 2, 5, 4)
    corpus = data(lengths)
    folds = {
        "train": torch.tensor([0, 2, 4]),
        "valid": torch.tensor([1]),
        "test": torch.tensor([3, 5]),
    }
    corpus = replace(corpus, folds=folds)
    found = {seed: corpus.with_shuffled(["audio"], seed).features for seed in range(20)}
    for features in found.values():
        assert features["text"] is corpus.features["text"]
        for rows in folds.values():
            kept, mixed = (
                sorted(each.starts[rows].tolist())
                for each in (corpus.features["audio"], features["audio"])
            )
            assert kept == mixed
    orders = {tuple(features["audio"].starts.tolist()) for features in found.values()}
    assert len(orders) > 6  # of 3! * 2!
    again = corpus.with_shuffled(["audio"], 3).features["audio"]
    assert torch.equal(again.lengths, found[3]["audio"].lengths)
