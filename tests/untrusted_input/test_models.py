"""A model brings no code along and no pickle, whatever its files say."""

import importlib.util
import json
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from hycon.encoders import text
from hycon.encoders.tiny import build_bert
from hycon.errors import HyConError
from hycon.params import Encoder
from hycon.training.text import read_text

CODE = """
open({ran!r}, "w").close()
from transformers import BertConfig, BertModel, BertTokenizer
class Model(BertModel): pass
class Config(BertConfig): pass
class Tokenizer(BertTokenizer): pass
"""


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    build_bert(["a good movie"], folder)
    return folder


@pytest.fixture
def model(tiny, tmp_path):
    """Return a copy of a tiny model, with code beside it that says if it ran."""
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    (folder / "evil.py").write_text(CODE.format(ran=str(tmp_path / "ran")))
    yield folder
    assert not (tmp_path / "ran").exists()


def change(path, **entries):
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def refusal(folder):
    with pytest.raises(HyConError) as caught:
        text.load(str(folder))
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_code_that_a_config_maps_a_model_to_is_not_run(model):
    change(model / "config.json", auto_map={"AutoModel": "evil.Model", "AutoConfig": "evil.Config"})
    change(model / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Tokenizer", None]})
    assert type(text.load(str(model))[1]).__module__.startswith("transformers.")
    change(model / "config.json", model_type="evil")
    assert "contains custom code" in refusal(model)
    change(model / "config.json", auto_map={"AutoModel": "someone/else--evil.Model"})
    refusal(model)


@pytest.mark.parametrize("key", ["_attn_implementation", "attn_implementation"])
def test_kernels_of_a_hub_that_a_config_names_are_not_asked_for(model, key):
    kernels = "kernels-community/flash-attn"
    change(model / "config.json", **{key: kernels})
    assert f"its config.json takes code from {kernels} ({key})" in refusal(model)
    (model / "config.json").write_bytes(b"{}")
    change(model / "config.json", model_type="bert", text_config={"part": [{key: kernels}]})
    assert f"takes code from {kernels}" in refusal(model)


@pytest.mark.parametrize(
    "target", ["../outside.safetensors", "pytorch_model.bin", "/x.safetensors"]
)
def test_an_index_that_leads_out_of_the_folder_or_to_a_pickle_is_refused(model, target):
    weights = load_file(model / "model.safetensors")
    save = torch.save if target.endswith(".bin") else save_file
    if not target.startswith("/"):
        save(weights, model / target)
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(weights, target)}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    assert f"model.safetensors.index.json names '{target}', expected safetensors" in refusal(model)
    (model / "model.safetensors").unlink()
    assert f"names '{target}'" in refusal(model)
    with pytest.raises(HyConError, match="only safetensors are loaded"):
        text.locate(str(model))


def test_an_index_of_safetensors_beside_it_is_followed(model):
    weights = load_file(model / "model.safetensors")
    (model / "model.safetensors").rename(model / "model-00001-of-00001.safetensors")
    index = {"weight_map": dict.fromkeys(weights, "model-00001-of-00001.safetensors")}
    (model / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}} | index))
    found = text.load(str(model))[1].state_dict()
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_an_adapter_of_another_model_is_refused(model):
    (model / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/else"}')
    assert "is an adapter of another model" in refusal(model)


def test_pickled_weights_are_not_opened_for_caching_or_for_fine_tuning(model, tmp_path):
    (model / "model.safetensors").unlink()
    for name in ("pytorch_model.bin", "adapter_model.bin", "tf_model.h5"):
        (model / name).write_bytes(pickle.dumps(Trap(str(tmp_path / "ran"))))
    assert "no file named model.safetensors" in refusal(model)
    row = tmp_path / "utterances.csv"
    row.write_text("id,video,segment,fold,start,end,words,label,text\nv[0],v,0,train,0,1,1,1.0,a\n")
    encoder = Encoder(label="x", kind="transformer", model=str(model), finetune=True)
    with pytest.raises(HyConError, match="only safetensors are loaded"):
        read_text(encoder, tmp_path, tmp_path, None)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("config.json", text) for text in ("{", "[]", "[" * 200_000, '{"model_type": "bert"')),
        *(("config.json", {key: value}) for key, value in (
            ("hidden_size", "x"), ("hidden_size", -64), ("hidden_act", "__import__"),
            ("vocab_size", 10**10), ("quantization_config", {"quant_method": "gptq", "bits": 4}),
        )),
        *(("tokenizer.json", text) for text in ("{", "[]", "[" * 200_000)),
        ("tokenizer_config.json", "[" * 200_000),
        *(("model.safetensors", text) for text in ("", "x" * 100, "\xff" * 8)),
    ],
)  # fmt: skip
def test_files_of_a_model_that_are_damaged_end_in_one_line(model, name, content):
    if isinstance(content, dict):
        change(model / name, **content)
    else:
        (model / name).write_text(content, encoding="latin-1")
    assert f"encoder {model}: cannot be loaded (" in refusal(model)


@pytest.mark.parametrize("name", ["os", "os.path", "../x", "x; touch ran", "", "x/y", "\x00"])
def test_a_package_is_looked_for_by_its_name_and_not_imported(name, monkeypatch):
    imported = []
    monkeypatch.setattr(importlib, "import_module", imported.append)
    with pytest.raises(HyConError) as caught:
        text.locate(f"package:{name}")
    assert str(caught.value).isprintable()
    assert not imported
