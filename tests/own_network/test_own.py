"""The contract of a custom network, and what is said where one breaks it."""

import hashlib
import shutil
import sys
from pathlib import Path

import pytest
import torch

from hycon.encoders.language_model import LanguageModel
from hycon.encoders.text import load as load_model
from hycon.encoders.text import tokenise
from hycon.encoders.tiny import build_bert
from hycon.errors import HyConError
from hycon.networks.hycon import Output, PaddedBatch, parameter_counts, pooled
from hycon.networks.own import Own
from hycon.params import MODALITIES, OwnNetwork, Settings, load
from hycon.training import loop
from hycon.training.complexity import TimedRow, measure
from tests.test_params import ROOT
from tests.training.test_checkpoint import in_sittings, same
from tests.training.test_finetuning import WORDS, with_text
from tests.training.test_loop import corpus, quiet, settings

WIDTHS = {"text": 6, "audio": 3, "vision": 4}
LONGEST = {"text": 9, "audio": 9, "vision": 9}
TOY = Path(__file__).with_name("toy.py")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Go to a project's folder, which has the toy."""
    shutil.copy(TOY, tmp_path / "toy.py")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def of(kind="Toy", file="toy.py", reads=MODALITIES, **values):
    digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return OwnNetwork(
        network="own", name="toy", reads=list(reads), settings=values,
        source=f"{file}:{kind}", sha256=digest,
    )  # fmt: skip


def own(kind="Toy", outputs=1, **values):
    torch.manual_seed(0)
    return Own(WIDTHS, outputs, of(kind, **values), LONGEST)


def batch(count=5):
    generator = torch.Generator().manual_seed(0)
    lengths = torch.arange(count) % 4 + 1
    return {
        name: PaddedBatch(
            torch.randn(count, int(lengths.max()), width, generator=generator), lengths
        )
        for name, width in WIDTHS.items()
    }


def of_own(network, **changes):
    none = {"intra": 0, "inter": 0, "semi": 0}
    train = settings(epochs=2, patience=2, lambdas=none, **changes).train
    return Settings(model=network, train=train)


def of_result(result, outputs=1):
    network = own("Bare", outputs)
    type(network.network).result = result
    return network


@pytest.mark.parametrize(("outputs", "shape"), [(1, (5,)), (4, (5, 4))])
def test_predictions_alone_are_enough_and_the_means_of_the_inputs_go_with_them(outputs, shape):
    network, steps = own(outputs=outputs).eval(), batch()
    output = network(steps)
    expected = network.network(steps)
    assert output.prediction.shape == shape
    assert torch.equal(output.prediction, expected.reshape(shape))
    assert torch.equal(output.fused, expected)
    for name, each in steps.items():
        assert torch.equal(output.representations[name], pooled(each, "mean"))


def test_an_output_is_passed_on_as_it_is_but_for_the_shape_of_a_score():
    found = Output({"text": torch.rand(5, 2)}, torch.rand(5, 7), torch.rand(5, 1))
    output = of_result(found)(batch())
    assert output.representations is found.representations
    assert output.fused is found.fused
    assert torch.equal(output.prediction, found.prediction[:, 0])
    assert torch.equal(of_result(found.prediction[:, 0])(batch()).prediction, output.prediction)


@pytest.mark.parametrize(
    ("result", "outputs", "said"),
    [
        (torch.zeros(5, 2), 1, "predictions: found torch.float32 (5, 2), expected floating point "
                               "(5, 1) or (5,)"),
        (torch.zeros(4), 1, "predictions: found torch.float32 (4,)"),
        (torch.zeros(5), 3, "predictions: found torch.float32 (5,), expected floating point (5,"),
        (torch.zeros(5).long(), 1, "predictions: found torch.int64 (5,)"),
        ([0.0] * 5, 1, "predictions: found list"),
        (None, 1, "predictions: found NoneType"),
        (Output({}, torch.zeros(5), torch.zeros(5)), 1,
         "representation fused: found torch.float32 (5,), expected floating point (5, 5)"),
        (Output({"text": torch.zeros(4, 2)}, torch.zeros(5, 2), torch.zeros(5)), 1,
         "representation text: found torch.float32 (4, 2), expected floating point (5, 2)"),
    ],
)  # fmt: skip
def test_what_the_network_returns_is_checked(result, outputs, said):
    with pytest.raises(HyConError) as caught:
        of_result(result, outputs)(batch())
    assert str(caught.value).startswith(f"toy.py:Bare: {said}")


def test_a_loss_of_its_own_is_one_number():
    network = own(penalty=0.5)
    expected = 0.5 * network.network.last.weight.square().sum()
    labels = torch.zeros(5)
    assert torch.equal(network.auxiliary_loss(labels), expected)
    assert own().auxiliary_loss(labels) is None
    assert of_result(None).auxiliary_loss(labels) is None
    network.network.auxiliary_loss = lambda labels: labels.mean() + 2
    assert network.auxiliary_loss(labels) == 2
    network.network.auxiliary_loss = lambda labels: torch.zeros(2)
    with pytest.raises(HyConError, match=r"toy\.py:Toy: auxiliary_loss: found .* \(2,\), expected"):
        network.auxiliary_loss(labels)
    network.network.auxiliary_loss = lambda: torch.zeros(())
    with pytest.raises(
        HyConError, match=r"toy\.py:Toy: auxiliary_loss\(labels\): fails .*argument"
    ):
        network.auxiliary_loss(labels)


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("Toy", {"hiden": 3}, "toy.py:Toy with settings {'hiden': 3}: cannot be made (TypeError: "),
        ("Toy", {"hidden": -3}, "toy.py:Toy with settings {'hidden': -3}: cannot be made (Runtime"),
        ("Gone", {}, "toy.py:Gone: no such name in it, expected a class derived from nn.Module"),
        ("NUMBER", {}, "toy.py:NUMBER: found 3, expected a class derived from nn.Module"),
        ("torch", {}, "toy.py:torch: found <module 'torch'"),
    ],
)
def test_a_class_that_cannot_be_made_is_one_line(kind, values, said):
    with pytest.raises(HyConError) as caught:
        own(kind, **values)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_of_this_name\n", "(ModuleNotFoundError: No module named 'nothing_of"),
        ("class Toy(:\n", "(SyntaxError: invalid syntax (toy.py, line 1)); correct it"),
        ("1 / 0\n", "(ZeroDivisionError: division by zero); correct it"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_line(text, said):
    Path("toy.py").write_text(text)
    with pytest.raises(HyConError) as caught:
        own()
    assert str(caught.value).startswith(f"toy.py: cannot be imported {said}")


def test_code_with_another_digest_is_not_run():
    network = of()
    Path("toy.py").write_text("open('ran', 'w')\n")
    with pytest.raises(HyConError, match=r"toy\.py:Toy: found code with digest .{12}, expected"):
        Own(WIDTHS, 1, network, LONGEST)
    assert not Path("ran").exists()


@pytest.mark.parametrize("place", ["absolute", "../out.py", "linked.py", "none.py"])
def test_a_file_outside_the_folder_or_none_is_not_run(place, folder):
    outside = folder.parent / "out.py"
    outside.write_text("open('ran', 'w')\n")
    Path("linked.py").symlink_to(outside)
    source = str(outside) if place == "absolute" else place
    digest = hashlib.sha256(outside.read_bytes()).hexdigest()
    network = of().model_copy(update={"source": f"{source}:Toy", "sha256": digest})
    with pytest.raises(HyConError, match=r"expected a file in the proj|not found; make"):
        Own(WIDTHS, 1, network, LONGEST)
    assert not Path("ran").exists()


def test_an_import_that_draws_random_numbers_leaves_the_runs_alone():
    plain = own().state_dict()
    Path("toy.py").write_text(TOY.read_text() + "\ntorch.rand(3)\n")
    for name, value in own().state_dict().items():
        assert torch.equal(value, plain[name])


def test_it_gets_the_modalities_that_it_reads():
    torch.manual_seed(0)
    network = Own(WIDTHS, 1, of(reads=["text", "vision"]), LONGEST)
    assert set(network.network.first) == {"text", "vision"}


def test_a_batch_of_one_utterance_is_trained_with_running_statistics():
    network = own().train()
    network(batch(1)).prediction.sum().backward()
    assert network.network.norm.num_batches_tracked == 0
    network(batch(2))
    assert network.network.norm.num_batches_tracked == 1


@pytest.mark.parametrize("averaging", [0.0, 0.5])
@pytest.mark.parametrize(("kind", "values"), [("Toy", {"penalty": 0.1, "dropout": 0.5}),
                                              ("Tied", {})])  # fmt: skip
def test_a_run_broken_off_after_each_step_ends_in_the_same_bits(kind, values, averaging, tmp_path):
    arguments = (corpus(), of_own(of(kind, **values), averaging=averaging), 1, quiet)
    whole = loop.train(*arguments)
    assert ("auxiliary" in whole.history[0]) == (kind == "Toy")
    same(in_sittings(tmp_path / "run.checkpoint", 1, *arguments), whole)


def test_a_language_model_is_fine_tuned_under_it_if_it_reads_text(tmp_path):
    sentences = [" ".join(WORDS[: 1 + i % 9]) for i in range(60)]
    build_bert(sentences, tmp_path)
    tokenizer, model = load_model(str(tmp_path))
    tokens, offsets, names, _ = tokenise(sentences, tokenizer, model, 16)
    encoder, data = LanguageModel(model, names), with_text(tokens, offsets)
    tuned = {"learning_rate": 1e-3, "warmup": 0.0, "weight_decay": 0.0, "precision": "float32"}
    trained = loop.train(data, of_own(of(), finetuning=tuned), 1, quiet, encoder).model
    counts = parameter_counts(trained)
    size = sum(parameter.numel() for parameter in encoder.parameters())
    assert counts == {"network": counts["network"], "language model": size, "all": sum(
        parameter.numel() for parameter in trained.parameters())}  # fmt: skip
    before = dict(encoder.named_parameters())
    assert not all(
        torch.equal(value, before[key]) for key, value in trained.language_model.named_parameters()
    )


def test_its_cost_is_counted_as_for_every_row():
    (found,) = measure([TimedRow(corpus(), of_own(of()))], 1)
    model = loop.make_network(corpus(), of_own(of()), None)
    assert found["trainable parameters"] == parameter_counts(model)["all"]
    assert found["multiply-adds per utterance"] > 0


# by an entry point


@pytest.fixture
def package(folder, monkeypatch):
    """Install a package with a network and an entry point for it; return its folder."""
    site, name = folder / "site", "a_package_of_a_network"
    (site / name).mkdir(parents=True)
    shutil.copy(TOY, site / name / "toy.py")
    (site / name / "__init__.py").write_text("")
    (site / f"{name}-1.dist-info").mkdir()
    (site / f"{name}-1.dist-info/METADATA").write_text(f"Name: {name}\nVersion: 1\n")
    (site / f"{name}-1.dist-info/entry_points.txt").write_text(
        f"[hycon.networks]\ninstalled = {name}.toy:Toy\n"
    )
    monkeypatch.syspath_prepend(site)
    yield site / name
    for module in [each for each in sys.modules if each.startswith(name)]:
        del sys.modules[module]


def installed():
    peer = {"network": "own", "name": "installed", "settings": {"hidden": 2}}
    params = load(ROOT, {"variants": {"mine": {"label": "M", "peer": peer}}})
    return params.settings("sample", "mine", "bert").model


def test_an_entry_point_is_found_and_its_package_is_not_imported_before_training(package):
    found = installed()
    assert found.source == "a_package_of_a_network.toy:Toy"
    assert "a_package_of_a_network" not in sys.modules
    assert Own(WIDTHS, 1, found, LONGEST).network.last.in_features == 2 * 3


def test_an_edit_of_any_module_of_an_installed_package_changes_the_digest(package):
    before = installed()
    (package / "__init__.py").write_text("open('ran', 'w')\n")
    assert installed().sha256 != before.sha256
    with pytest.raises(HyConError, match="it has changed, so run the pipeline again"):
        Own(WIDTHS, 1, before, LONGEST)
    assert not Path("ran").exists()


def test_the_parameters_come_before_an_entry_point(package, folder):
    for name in ("params.yaml", "corpora.yaml"):
        shutil.copy(ROOT / name, folder)
    peer = {"network": "own", "name": "installed"}
    overlay = {
        "networks": {"installed": "toy.py:Toy"}, "variants": {"mine": {"label": "M", "peer": peer}}
    }  # fmt: skip
    found = load(folder, overlay).settings("sample", "mine", "bert").model
    assert (found.source, found.sha256) == (of().source, of().sha256)
