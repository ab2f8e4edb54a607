"""MAG-BERT: MMSA's own BERT with a gate, in this project's text encoder or on cached states."""

import copy
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hycon.encoders import text
from hycon.encoders.language_model import LanguageModel, upper_layers
from hycon.encoders.tiny import HIDDEN, build_bert
from hycon.errors import HyConError
from hycon.networks.hycon import parameter_counts
from hycon.networks.packing import PaddedBatch, pooled
from hycon.networks.peers import Peer
from hycon.networks.peers.steps import resample
from hycon.params import MODALITIES
from hycon.training import loop
from hycon.training.batches import RaggedTensor
from tests.networks.test_peers import LONGEST, WIDTHS, batch, of_peer, peer, sizes
from tests.training.test_checkpoint import in_sittings, same
from tests.training.test_finetuning import WORDS, with_text
from tests.training.test_loop import quiet

SENTENCES = [" ".join(WORDS[i % 3 : 2 + i % 9]) for i in range(60)]
LABELS = torch.tensor([-1.0, 2.0, 0.5])


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """Return the tiny BERT without dropout, and the sentences as tokens."""
    folder = tmp_path_factory.mktemp("bert")
    build_bert(SENTENCES, folder)
    tokenizer, model = text.load(str(folder))
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
        if hasattr(part, "attention_dropout"):
            part.attention_dropout = 0.0
    return model, text.tokenise(SENTENCES, tokenizer, model, 16)


def gated(bert, outputs=1, frozen=0, absent=None, **changes):
    """Return MAG-BERT with a copy of the tiny BERT or its upper layers, and a batch."""
    model, (values, offsets, names, _) = copy.deepcopy(bert)
    if frozen:
        below = copy.deepcopy(model)
        below.encoder.layer = below.encoder.layer[:frozen]
        reader = LanguageModel(below, names)
        tokens = RaggedTensor.of(values, offsets, "cpu").pad(torch.arange(len(SENTENCES)))
        states = reader(*tokens).detach()
        values = torch.cat([each[:n] for each, n in zip(states, tokens.lengths, strict=True)])
        values, names, model = values.numpy(), (), upper_layers(model, frozen)
    widths = {**WIDTHS, "text": HIDDEN}
    widths.pop(absent, None)
    settings = sizes("mag-bert", text_pooling="first", **changes)
    torch.manual_seed(0)
    longest = {**LONGEST, "text": 16}
    network = Peer(widths, outputs, settings, longest, LanguageModel(model, names))
    steps = batch(((3, 5, 2), (9, 11, 7), (4, 2, 6)))
    steps["text"] = RaggedTensor.of(values, offsets, "cpu").pad(torch.tensor([8, 0, 25]))
    return network, steps


def published(network, outputs):
    """Return MMSA's MAG-BERT with the weights of a network, in transformers 5.

    MMSA's packages import all of its models, so the file is run by itself.
    """
    folder = Path(next(iter(importlib.util.find_spec("MMSA").submodule_search_locations)))
    spec = importlib.util.spec_from_file_location(
        "mmsa_bert_mag", folder / "models/singleTask/BERT_MAG.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for kind in (module.MAG_BertModel, module.MAG_BertForSequenceClassification):
        kind.all_tied_weights_keys = {}
    # of transformers 4, as its sources have them
    module.MAG_BertModel.get_head_mask = lambda self, mask, layers: [mask] * layers
    module.MAG_BertModel.get_extended_attention_mask = lambda self, mask, shape, device: (
        (1.0 - mask[:, None, None]) * torch.finfo(mask.dtype).min
    )
    bert = network.language_model.model
    config = copy.deepcopy(bert.config)
    config.num_labels = outputs
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    arguments = SimpleNamespace(
        feature_dims=[HIDDEN, WIDTHS["audio"], WIDTHS["vision"]],
        beta_shift=network.settings.beta_shift,
        dropout_prob=0.0,
        device="cpu",
    )
    model = module.MAG_BertForSequenceClassification(config, arguments)
    head = network.network
    assert "position_ids" not in dict(model.bert.named_parameters())
    weights = {
        **{f"bert.{name}": value for name, value in bert.state_dict().items()},
        **{f"bert.MAG.{name}": value for name, value in head.gate.state_dict().items()},
        **{f"bert.pooler.dense.{name}": value for name, value in head.pooler.state_dict().items()},
        **{f"classifier.{name}": value for name, value in head.classifier.state_dict().items()},
    }
    model.load_state_dict(weights)
    whole = object.__new__(module.BERT_MAG)
    nn.Module.__init__(whole)
    whole.model = model
    return whole


def own_name(name):
    """Return where this project has a parameter of MMSA's model."""
    for theirs, own in (
        ("bert.MAG.", "network.gate."), ("bert.pooler.dense.", "network.pooler."),
        ("classifier.", "network.classifier."), ("bert.", "language_model.model."),
    ):  # fmt: skip
        if name.startswith(theirs):
            return own + name.removeprefix(theirs)
    raise AssertionError(name)


@pytest.mark.parametrize("outputs", [1, 4])
def test_predictions_and_gradients_are_those_of_mmsas_module_with_the_same_weights(bert, outputs):
    network, steps = gated(bert, outputs, beta_shift=0.3)
    for layer in (network.network.gate.W_v, network.network.gate.W_a):
        nn.init.normal_(layer.weight, std=1.5)  # so that the shift of some steps is bounded
    model, tokens, seen = published(network, outputs), steps["text"], []
    for part in (network.network.gate, network.network.gate.LayerNorm):
        part.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    audio, vision = (resample(steps[name], tokens.lengths).values for name in ("audio", "vision"))
    names = network.language_model.inputs
    assert names == ("input_ids", "token_type_ids")
    time = torch.arange(tokens.values.shape[1])
    mask = time < tokens.lengths[:, None]
    ids, segments = tokens.values.unbind(2)
    found = network.train()(steps).prediction
    expected = model.train()(torch.stack([ids, mask, segments], dim=1), audio, vision)["M"]
    torch.testing.assert_close(found.reshape(3, outputs), expected, rtol=1e-5, atol=1e-6)
    states, shifted = seen
    share = ((shifted - states).norm(dim=2) / states.norm(dim=2)).detach()
    bounded = share > 0.2999
    assert share.max() < 0.3001
    assert 0.1 < bounded.float().mean() < 0.9
    (found.reshape(3, outputs) * LABELS[:, None]).sum().backward()
    (expected * LABELS[:, None]).sum().backward()
    own = dict(network.named_parameters())
    theirs = {own_name(name): parameter for name, parameter in model.model.named_parameters()}
    assert own.keys() == theirs.keys()
    for name, parameter in theirs.items():
        torch.testing.assert_close(own[name].grad, parameter.grad, rtol=1e-4, atol=1e-6)
        assert own[name].grad.any(), name


def test_the_weights_begin_as_mmsas_do(bert):
    network, _ = gated(bert)
    for name, parameter in network.network.named_parameters():
        if parameter.dim() > 1:
            assert 0.015 < parameter.std() < 0.025, name
        else:
            assert torch.equal(parameter, torch.full_like(parameter, "Norm.weight" in name))


@pytest.mark.parametrize("frozen", [0, 1])
def test_the_layers_behind_the_gate_read_what_it_gives(bert, frozen):
    network, steps = gated(bert, frozen=frozen)
    network.eval()
    encoder, seen = network.language_model.model, {}
    first = encoder.encoder.layer[0]
    first.register_forward_pre_hook(lambda _, given: seen.update(read=given[0]))
    network.network.gate.register_forward_hook(
        lambda _, given, out: seen.update(given=given[0], out=out)
    )
    network(steps)
    assert torch.equal(seen["read"], seen["out"])
    tokens, lengths = steps["text"]
    order = lengths.argsort(stable=True)
    for row, place in enumerate(order.tolist()):
        length = int(lengths[place])
        if frozen:
            expected = tokens[place, :length]
        else:
            ids, segments = tokens[place, :length].unbind(1)
            expected = encoder.embeddings(input_ids=ids[None], token_type_ids=segments[None])[0]
        torch.testing.assert_close(seen["given"][row, :length], expected)
    assert len(encoder.encoder.layer) == 2 - frozen


def test_on_cached_states_the_gate_comes_before_the_mean_and_the_pooler():
    network, steps = peer("mag-bert").eval(), batch()
    head, states = network.network, steps["text"]
    audio, vision = (resample(steps[name], states.lengths).values for name in ("audio", "vision"))
    shifted = PaddedBatch(head.gate(states.values, vision, audio), states.lengths)
    fused = head.pooler(pooled(shifted, "mean")).tanh()
    found = network(steps)
    torch.testing.assert_close(found.fused, fused)
    torch.testing.assert_close(found.prediction, head.classifier(fused).squeeze(1))
    torch.testing.assert_close(found.representations["text"], pooled(shifted, "mean"))
    for name in ("audio", "vision"):
        read = resample(steps[name], states.lengths)
        torch.testing.assert_close(found.representations[name], pooled(read, "mean"))


def test_an_utterance_is_read_alike_alone_and_beside_longer_ones_in_the_text_encoder(bert):
    network, steps = gated(bert)
    network.eval()
    together = network(steps)
    for row in range(3):
        alone = {}
        for name, (values, lengths) in steps.items():
            longer = torch.cat(
                [values[row : row + 1, : lengths[row]]] + 2 * [values[:1, :1]], dim=1
            )
            alone[name] = PaddedBatch(longer, lengths[row : row + 1])
        for name, found in network(alone).tensors().items():
            torch.testing.assert_close(
                found[0], together.tensors()[name][row], rtol=1e-5, atol=1e-5
            )


def test_a_corpus_without_vision_has_its_gate_in_the_text_encoder_too(bert):
    network, steps = gated(bert, absent="vision")
    del steps["vision"]
    found = network.eval()(steps)
    assert set(found.representations) == {"text", "audio"}
    audio = resample(steps["audio"], steps["text"].lengths).values
    zeros = torch.zeros(*audio.shape[:2], 1)
    seen = []
    network.network.gate.register_forward_pre_hook(lambda _, given: seen.extend(given[1:]))
    network(steps)
    order = steps["text"].lengths.argsort(stable=True)
    assert torch.equal(seen[0], zeros[order])
    assert torch.equal(seen[1], audio[order])


def test_tokens_beyond_the_longest_that_is_read_take_no_part(bert):
    network, steps = gated(bert, longest=5)
    network.eval()
    # audio and vision are resampled to the whole text first
    beside = {name: resample(each, steps["text"].lengths) for name, each in steps.items()
              if name != "text"}  # fmt: skip
    cut = {
        name: PaddedBatch(values[:, :5], lengths.clamp(max=5))
        for name, (values, lengths) in {**steps, **beside}.items()
    }
    with torch.no_grad():
        assert torch.equal(network(steps).prediction, network(cut).prediction)


def test_it_is_trained_with_the_text_encoder_and_resumed_in_the_same_bits(bert, tmp_path):
    model, (values, offsets, names, _) = copy.deepcopy(bert)
    data, encoder = with_text(values, offsets), LanguageModel(model, names)
    tuned = {"learning_rate": 1e-3, "warmup": 0.0, "weight_decay": 0.0, "precision": "float32"}
    options = of_peer("mag-bert", finetuning=tuned).model_copy(
        update={"model": sizes("mag-bert", dropout_prob=0.3, text_pooling="first")}
    )
    arguments = (data, options, 1, quiet, encoder)
    whole = loop.train(*arguments)
    same(in_sittings(tmp_path / "run.checkpoint", 1, *arguments), whole)
    size = sum(parameter.numel() for parameter in encoder.parameters())
    assert parameter_counts(whole.model)["language model"] == size
    before = dict(encoder.named_parameters())
    assert not all(
        torch.equal(value, before[name])
        for name, value in whole.model.language_model.named_parameters()
    )


def test_half_precision_is_the_text_encoders_and_not_the_gates(bert):
    network, steps = gated(bert)
    expected = network.eval()(steps).prediction
    network.language_model.precision = "bfloat16"
    seen = []
    network.network.gate.register_forward_hook(lambda _, given, out: seen.extend([*given, out]))
    found = network(steps).prediction
    assert {each.dtype for each in seen} == {torch.float32}
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.02)


def test_a_text_encoder_of_another_structure_is_refused(bert):
    network, steps = gated(bert)
    network.language_model.model.encoder.layers = nn.Identity()
    with pytest.raises(HyConError, match="gate after the embeddings: bert has another structure"):
        network(steps)


def test_every_modality_is_read_in_the_text_encoder_and_no_padding_is(bert):
    network, steps = gated(bert)
    for name in ("audio", "vision"):
        steps[name].values.requires_grad_()
    network.eval()(steps).prediction.sum().backward()
    for name in MODALITIES[1:]:
        read = (steps[name].values.grad != 0).any(dim=2)
        for row, length in enumerate(steps[name].lengths.tolist()):
            assert read[row].tolist() == [True] * length + [False] * (read.shape[1] - length)
