"""A text encoder that is trained with the rest: the same as cached states until it moves."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
import transformers

from hycon.commands import predict
from hycon.encoders import text
from hycon.encoders.language_model import LanguageModel, upper_layers
from hycon.encoders.tiny import BUILDERS
from hycon.errors import HyConError
from hycon.networks.hycon import HyCon, parameter_counts
from hycon.params import Encoder
from hycon.training import optimiser
from hycon.training.batches import CorpusTensors
from hycon.training.loop import infer, train
from hycon.training.ragged import RaggedTensor
from tests.training.test_checkpoint import in_sittings, same
from tests.training.test_loop import corpus, quiet, settings

WORDS = [
    "the",
    "film",
    "was",
    "a",
    "good",
    "bad",
    "long",
    "short",
    "one",
    "and",
    "she",
    "liked",
    "it",
]


@pytest.fixture(scope="module", params=BUILDERS)
def texts(request, tmp_path_factory):
    """Return (a corpus of cached states, the same of tokens, what makes states of these)."""
    generator = np.random.default_rng(0)
    sentences = [" ".join(generator.choice(WORDS, 1 + i % 9)) for i in range(60)]
    folder = tmp_path_factory.mktemp(request.param)
    BUILDERS[request.param](sentences, folder)
    tokenizer, model = text.load(str(folder))
    states, offsets, _ = text.encode(sentences, tokenizer, model, 16, 7)
    tokens, token_offsets, names, _ = text.tokenise(sentences, tokenizer, model, 16)
    np.testing.assert_array_equal(offsets, token_offsets)
    return with_text(states, offsets), with_text(tokens, offsets), LanguageModel(model, names)


def with_text(values, offsets):
    data = corpus()
    features = {**data.features, "text": RaggedTensor.of(values, offsets, "cpu")}
    return CorpusTensors(features, data.labels, data.classes, data.folds, 1)


def finetuning(rate, precision="float32", **changes):
    tuned = {"learning_rate": rate, "warmup": 0.0, "weight_decay": 0.1, "precision": precision}
    return settings(finetuning=tuned, **changes)


def predictions(data, trained):
    return infer(trained.model, data, torch.arange(60)).prediction


def test_with_learning_rate_0_it_predicts_what_cached_states_predict(texts):
    states, tokens, language_model = texts
    cached = train(states, finetuning(0.0, epochs=3), 1, quiet)
    tuned = train(tokens, finetuning(0.0, epochs=3), 1, quiet, language_model)
    expected, found = predictions(states, cached), predictions(tokens, tuned)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    assert "language model" not in parameter_counts(cached.model)
    assert parameter_counts(tuned.model)["language model"] == 0


def test_with_a_learning_rate_a_copy_of_it_is_trained_and_predicts_otherwise(texts):
    _, tokens, language_model = texts
    before = {name: value.clone() for name, value in language_model.state_dict().items()}
    frozen = train(tokens, finetuning(0.0, epochs=1), 1, quiet, language_model)
    tuned = train(tokens, finetuning(1e-3, epochs=1), 1, quiet, language_model)
    again = train(tokens, finetuning(1e-3, epochs=1), 1, quiet, language_model)
    assert not torch.allclose(predictions(tokens, tuned), predictions(tokens, frozen), atol=1e-4)
    assert torch.equal(predictions(tokens, tuned), predictions(tokens, again))
    for name, value in language_model.state_dict().items():
        assert torch.equal(value, before[name]), name
        kept = frozen.model.language_model.state_dict()[name]
        assert torch.equal(kept, before[name]), name
    moved = tuned.model.language_model.state_dict()
    assert any(not torch.equal(moved[name], value) for name, value in before.items())


def test_it_has_a_learning_rate_warm_up_and_weight_decay_of_its_own(texts):
    _, tokens, language_model = texts
    options = finetuning(2e-5, learning_rate=5e-4, weight_decay=0.3, warmup=0.25).train
    network = HyCon(
        {**tokens.widths, "text": language_model.width}, 1, settings().model, language_model
    )
    language_model.requires_grad_(True)
    groups, warmups = optimiser._parameter_groups(network, options)
    found = [(group["lr"], group["weight_decay"]) for group in groups]
    assert found == [(5e-4, 0.3), (2e-5, 0.1), (2e-5, 0.0)]
    assert warmups == [0.25, 0.0, 0.0]
    inside = {id(parameter) for parameter in language_model.parameters()}
    rest, matrices, others = (group["params"] for group in groups)
    assert {id(p) for p in matrices + others} == inside
    assert not {id(p) for p in rest} & inside
    assert len(rest) + len(inside) == len(list(network.parameters()))
    names = {id(p): name for name, p in language_model.named_parameters()}
    assert {names[id(p)].rsplit(".")[-1] for p in matrices} <= {
        "weight", "q", "k", "v", "o", "r", "seg_embed", "mask_emb",
    }  # fmt: skip
    assert not any("LayerNorm" in names[id(p)] or "layer_norm" in names[id(p)] for p in matrices)
    assert any("LayerNorm" in names[id(p)] or "layer_norm" in names[id(p)] for p in others)
    assert sum(names[id(p)].endswith("bias") for p in matrices) == 0


def test_dropout_of_the_encoder_is_on_in_training_and_off_when_frozen_or_in_inference(texts):
    _, tokens, language_model = texts
    batch = tokens.features["text"].pad(torch.arange(8))
    read = partial(language_model, *batch)
    try:
        language_model.requires_grad_(True).train()
        assert not torch.equal(read(), read())
        language_model.eval()
        assert torch.equal(read(), read())
        language_model.requires_grad_(False).train()
        assert torch.equal(read(), read())
    finally:
        language_model.requires_grad_(True).eval()


def test_states_do_not_depend_on_padding_or_on_the_others_of_the_batch(texts):
    states, tokens, language_model = texts
    rows = torch.tensor([8, 0, 17, 3, 25, 4, 5, 6, 7, 1])  # more than one piece
    batch = tokens.features["text"].pad(rows)
    longer = torch.nn.functional.pad(batch.values, (0, 0, 0, 5), value=3)
    with torch.no_grad():
        found = language_model(longer, batch.lengths)
    for row, of in enumerate(rows):
        begin, length = states.features["text"].starts[of], batch.lengths[row]
        expected = states.features["text"].values[begin : begin + length]
        torch.testing.assert_close(found[row, :length], expected, rtol=1e-4, atol=1e-5)
        assert not found[row, length:].any()


@pytest.mark.parametrize("rate", [1e-2, 0.0])
def test_a_language_model_broken_off_after_each_step_ends_in_the_same_bits(rate, texts, tmp_path):
    _, tokens, encoder = texts
    arguments = (tokens, finetuning(rate, epochs=2), 1, quiet, encoder)
    same(in_sittings(tmp_path / "run.checkpoint", 1, *arguments), train(*arguments))


def test_in_bfloat16_only_the_products_are_and_training_stays_near(texts):
    _, tokens, language_model = texts
    whole = train(tokens, finetuning(1e-3, epochs=2), 1, quiet, language_model)
    half = train(tokens, finetuning(1e-3, "bfloat16", epochs=2), 1, quiet, language_model)
    assert {value.dtype for value in half.model.parameters()} == {torch.float32}
    expected, found = predictions(tokens, whole), predictions(tokens, half)
    assert not found.equal(expected)
    assert found.isfinite().all()
    torch.testing.assert_close(found, expected, rtol=0, atol=0.1)


def test_states_in_bfloat16_are_those_of_float32_to_its_eight_bits(texts):
    _, tokens, language_model = texts
    steps = tokens.batch(torch.arange(8))["text"]
    whole = copy.deepcopy(language_model).eval()
    half = copy.deepcopy(whole)
    half.precision = "bfloat16"
    expected, found = whole(*steps), half(*steps)
    assert found.dtype == torch.float32
    assert not found.equal(expected)
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)
    assert (found[steps.lengths < steps.values.shape[1], -1] == 0).all()


def mpnet(folder):
    """Return tokenizer and model of a small MPNet with random weights."""
    BUILDERS["bert"](["the film was good"], folder)
    tokenizer, _ = text.load(str(folder))
    torch.manual_seed(0)
    sizes = {"hidden_size": 20, "num_attention_heads": 2, "intermediate_size": 40}
    config = transformers.MPNetConfig(vocab_size=len(tokenizer), num_hidden_layers=3, **sizes)
    return tokenizer, transformers.MPNetModel(config).eval()


def bert(folder):
    BUILDERS["bert"](["the film was good"], folder)
    return text.load(str(folder))


SENTENCES = ["the film was good", "good", "was the good film the good film", "film good"]


@pytest.mark.parametrize("build", [bert, mpnet])
def test_upper_layers_on_the_states_of_the_frozen_ones_are_the_whole_model(build, tmp_path):
    tokenizer, model = build(tmp_path)
    layers = len(model.encoder.layer)
    whole, offsets, _ = text.encode(SENTENCES, tokenizer, model, 16, 2)
    below, same_offsets, _ = text.encode(
        SENTENCES, tokenizer, copy.deepcopy(model), 16, 2, layers=1
    )
    upper = LanguageModel(upper_layers(copy.deepcopy(model), 1), ())
    assert len(upper.model.encoder.layer) == layers - 1
    np.testing.assert_array_equal(offsets, same_offsets)
    assert not np.allclose(whole, below, atol=1e-2)
    batch = RaggedTensor.of(below, offsets, "cpu").pad(torch.arange(len(SENTENCES)))
    found = upper.eval()(*batch)
    for row, states in enumerate(found):
        expected = whole[offsets[row] : offsets[row + 1]]
        np.testing.assert_allclose(states[: len(expected)].detach(), expected, atol=1e-5)


@pytest.mark.parametrize("frozen", [0, 1])
@pytest.mark.parametrize("build", [bert, mpnet])
def test_a_gate_changes_the_states_below_the_layers_of_its_utterances_only(build, frozen, tmp_path):
    tokenizer, model = build(tmp_path)
    values, offsets, names, _ = text.tokenise(SENTENCES, tokenizer, model, 16)
    if frozen:
        values, offsets, _ = text.encode(
            SENTENCES, tokenizer, copy.deepcopy(model), 16, 2, layers=1
        )
        names, model = (), upper_layers(model, 1)
    reader = LanguageModel(model, names, chunk=3).eval()
    batch = RaggedTensor.of(values, offsets, "cpu").pad(torch.arange(len(SENTENCES)))
    plain, seen = reader(*batch), {}

    def gate(states, rows):
        seen.update(zip(rows.tolist(), states, strict=True))
        return states + (rows == 2)[:, None, None] * torch.linspace(0, 5, states.shape[2])

    gated = reader(*batch, gate)
    assert sorted(seen) == [0, 1, 2, 3]
    if frozen:
        for row, length in enumerate(batch.lengths.tolist()):
            assert torch.equal(seen[row][:length], batch.values[row, :length])
    assert not torch.allclose(gated[2], plain[2], atol=0.1)
    assert torch.equal(gated[[0, 1, 3]], plain[[0, 1, 3]])
    assert torch.equal(reader(*batch), plain)  # it does not stay


def test_a_gate_needs_a_model_like_bert(tmp_path):
    BUILDERS["xlnet"](["the film was good"], tmp_path)
    tokenizer, model = text.load(str(tmp_path))
    values, offsets, names, _ = text.tokenise(SENTENCES, tokenizer, model, 16)
    batch = RaggedTensor.of(values, offsets, "cpu").pad(torch.arange(2))
    with pytest.raises(HyConError, match="gate after the embeddings: xlnet has another structure"):
        LanguageModel(model, names)(*batch, lambda states, rows: states)


def test_what_frozen_layers_share_with_trained_ones_is_not_trained(tmp_path):
    upper = LanguageModel(upper_layers(mpnet(tmp_path)[1], 2), ()).requires_grad_(True)
    trained = {name for name, weight in upper.named_parameters() if weight.requires_grad}
    assert trained
    assert all(name.startswith("model.encoder.layer.0.") for name in trained)
    others = {name for name, _ in upper.named_parameters()} - trained
    assert others == {"model.encoder.relative_attention_bias.weight"}


def test_frozen_layers_need_a_model_like_bert_with_more_layers(tmp_path):
    folder = tmp_path / "xlnet"
    folder.mkdir()
    BUILDERS["xlnet"](["the film was good"], folder)
    with pytest.raises(HyConError, match="xlnet has another structure than BERT"):
        upper_layers(text.load(str(folder))[1], 1)
    with pytest.raises(HyConError, match="3, but the model has 3 layers"):
        upper_layers(mpnet(tmp_path)[1], 3)


def test_predictions_of_new_texts_read_frozen_layers_and_those_above_as_training_does(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data/models/sample/tiny-bert"
    folder.mkdir(parents=True)
    tokenizer, model = bert(folder)
    encoder = Encoder(
        label="B", kind="transformer", model="tiny:bert", finetune=True, frozen_layers=1
    )
    run = tmp_path / "results/runs/sample/hycon-bert/seed-1"
    found = predict.Input([], SENTENCES, [], {}, tmp_path)
    (below, offsets), upper = predict._text(run, encoder, found, "cpu")
    whole, expected, _ = text.encode(SENTENCES, tokenizer, model, 128, 2)
    np.testing.assert_array_equal(offsets, expected)
    batch = RaggedTensor.of(below, offsets, "cpu").pad(torch.arange(len(SENTENCES)))
    for row, states in enumerate(upper.eval()(*batch)):
        rows = whole[offsets[row] : offsets[row + 1]]
        np.testing.assert_allclose(states[: len(rows)].detach(), rows, atol=1e-5)
