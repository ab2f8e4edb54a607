"""What benchmarks say of what they measured: ratios, powers, costs, and the losses they compare."""

import argparse
import csv
import functools
import sys

import numpy as np
import pytest
import torch

from benchmarks import align, claims, losses, scaling, seeds
from benchmarks.networks import corpus, settings, trainer
from benchmarks.processes import cost
from benchmarks.table import Line, write_tables
from benchmarks.timing import exponent, in_turns
from hycon.logs import log
from tests.test_params import ROOT


def test_a_ratio_says_how_many_times_as_fast_hycon_is():
    assert Line("a", "", "s", [1.0, 2.0, 9.0], [8.0]).ratio == 4
    assert Line("a", "", "utterances/s", [8.0], [1.0, 2.0, 9.0]).ratio == 4


def test_tables_name_what_hycon_is_set_against_and_whether_the_claim_holds(tmp_path):
    lines = [
        Line("a", "K = 2", "ms", [2.0, 1.0, 3.0], [5.0], "", "2x or more", True),
        Line("b", "K = 2", "ms", [2.0], [1.0], "another", "1x or more", False),
    ]
    text = write_tables(tmp_path / "new" / "name", lines, ["a note"], "the usual", ("numpy",))
    assert f"numpy {np.__version__}" in text
    assert "| a | K = 2 | ms | 2 (1–3) | 5 | the usual | 2.5x | 2x or more | yes |" in text
    assert "| b | K = 2 | ms | 2 | 1 | another | 0.5x | 1x or more | **no** |" in text
    with (tmp_path / "new" / "name.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = [(row["what"], row["by"], row["median"], row["least"], row["repeats"]) for row in rows]
    assert found == [
        ("a", "hycon", "2.0", "1.0", "3"),
        ("a", "the usual", "5.0", "5.0", "1"),
        ("b", "hycon", "2.0", "2.0", "1"),
        ("b", "another", "1.0", "1.0", "1"),
    ]


def test_all_claims_are_in_one_table_and_those_that_fail_come_first(tmp_path):
    held = Line("a", "K = 2", "ms", [2.0, 1.0, 3.0], [5.0], "", "2x or more", True)
    write_tables(tmp_path / "one", [held, Line("c", "", "s", [1.0], [])], [], "loop", ("numpy",))
    failed = Line("b", "all", "%", [9.0], [], "", "5% or less", False)
    write_tables(tmp_path / "two", [failed], [], "", ("numpy",))
    text = claims.overview(tmp_path)
    assert text.startswith("1 of 2 claims hold.")
    assert ": one, two." in text
    assert [row for row in text.splitlines() if row.startswith("| ")][2:] == [
        "| two | b | all | % | 9 |  |  |  | 5% or less | **no** |",
        "| one | a | K = 2 | ms | 2 (1–3) | 5 | loop | 2.5x | 2x or more | yes |",
    ]


def test_the_committed_table_of_claims_is_that_of_the_committed_benchmarks():
    committed = ROOT / "benchmarks" / "results"
    expected = claims.overview(committed)
    assert (committed / claims.NAME).read_text() == expected, "run: python -m benchmarks.claims"


def test_as_many_rows_are_planned_as_the_line_says():
    scaling.plan(8)  # it counts them


def test_works_take_turns_after_one_of_each():
    order = []
    works = {name: lambda name=name: order.append(name) for name in "ab"}
    found = in_turns(works, 2, {"a": 2})
    assert "".join(order) == "ab" + "aab" * 2
    assert {name: len(times) for name, times in found.items()} == {"a": 4, "b": 2}


def test_the_power_of_growth_is_that_of_the_medians():
    assert exponent([2, 6], [[1.0, 5.0, 5.0], [45.0, 45.0, 99.0]]) == pytest.approx(2)


def test_a_command_costs_its_processes_memory_and_a_failure_is_not_measured(tmp_path):
    code = "import time; held = bytearray(200 * 2**20); held[::4096] = held[::4096]; time.sleep(1)"
    held = cost([sys.executable, "-c", code], tmp_path)
    assert held.peak > 200
    assert held.cpu > 0
    with pytest.raises(RuntimeError, match="exit code 3\nsaid"):
        cost([sys.executable, "-c", "print('said'); raise SystemExit(3)"], tmp_path)


def test_the_loop_that_is_timed_gives_the_value_and_gradients_of_the_loss():
    x, classes = next(losses.batches(6))
    loop = losses.loop_reference.hybrid(
        losses.RowsInALoop(x, classes), losses.ALPHA, losses.WEIGHTS
    )
    found = losses.LOSSES["HyCon"](x, classes).total
    torch.testing.assert_close(found, loop)
    values = list(x.values())
    torch.testing.assert_close(
        torch.autograd.grad(found, values), torch.autograd.grad(loop, values)
    )


@pytest.mark.parametrize("compiler", [sys.executable, "no-such-compiler"])
def test_the_losses_in_plain_torch_are_compiled_where_there_is_a_compiler(compiler, monkeypatch):
    # tracing alone: to compile takes minutes
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    monkeypatch.setattr(losses, "PLAIN", (4, 5, 2))
    monkeypatch.setattr(losses, "LOSSES", {"HyCon": losses.LOSSES["HyCon"]})
    monkeypatch.setenv("CXX", compiler)
    plain, compiled = losses.against_plain()
    assert [len(plain.hycon), len(plain.other)] == [2, 2]
    if compiler == sys.executable:
        assert len(compiled.other) == 2
    else:
        assert compiled.other == []
        assert compiled.what == "HyCon (not plain, torch.compile: no C++ compiler no-such-compiler)"


@pytest.mark.parametrize("name", ["no-contrastive", "hycon"])
def test_seeds_at_once_end_where_the_training_loop_does(name):
    row = seeds.without_text_layers(settings("small", name))
    still = {"dropout": 0.0, "feature_dropout": 0.0}  # at once, other random numbers are drawn
    row = row.model_copy(update={"model": row.model.model_copy(update=still)})
    data = corpus("small", 96).with_pooled_text("mean")
    model, train = trainer(data, row)
    at_once = seeds.SeedsAtOnce(data, row, 2)
    before = {name: value.detach().clone() for name, value in at_once.weights.items()}
    train()
    at_once.epoch()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(at_once.weights[name][0], value, rtol=0, atol=1e-6)
        assert not torch.allclose(at_once.weights[name][1], value, atol=1e-3)
        assert not torch.allclose(at_once.weights[name][0], before[name][0], atol=1e-3)


def test_seeds_at_once_draw_dropout_each_for_itself():
    row = seeds.without_text_layers(settings("small", "no-contrastive"))
    data = corpus("small", 32).with_pooled_text("mean")
    at_once = seeds.SeedsAtOnce(data, row, 2)
    with torch.no_grad():
        for weights in at_once.weights.values():
            weights[1] = weights[0]
    at_once.orders[1].manual_seed(1)
    first, second = at_once.epoch()
    assert first != second


def benchmark_of_a_gpu(monkeypatch, device, output):
    """Return the benchmark, as if it had been called with a device."""
    gpu = pytest.importorskip("benchmarks.gpu", reason="needs the extra `minilm`")
    options = argparse.Namespace(device=device, mirror=None, threads=1, output=output)
    monkeypatch.setattr(gpu, "arguments_of", lambda *_, **__: options)
    return gpu


def test_two_runs_that_differ_in_a_bit_are_not_equal():
    gpu = pytest.importorskip("benchmarks.gpu", reason="needs the extra `minilm`")
    signs = iter([0.0, 0.0, 0.0, -0.0])

    def make():
        network = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(network.weight, next(signs))
        return network, lambda: None

    same, other = gpu.equality("a", "", make), gpu.equality("a", "", make)
    assert (same.hycon, same.holds) == ([0], True)
    assert (other.hycon, other.holds) == ([1], False)


def test_without_a_gpu_its_benchmark_is_refused_in_one_line(tmp_path, monkeypatch, capsys):
    gpu = benchmark_of_a_gpu(monkeypatch, "cuda", tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(log, "handlers", [])  # other tests may have left some
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: no GPU found")


@pytest.mark.slow
def test_the_benchmark_of_a_gpu_can_be_tried_on_a_cpu(tmp_path, monkeypatch):
    gpu = benchmark_of_a_gpu(monkeypatch, "cpu", tmp_path)
    monkeypatch.setattr(gpu, "SHAPES", {"small": ("small", 1, 1)})
    for name, value in {"REPEATS": 1, "EPOCHS": 1}.items():
        monkeypatch.setattr(gpu, name, value)
    for name, value in {"REPEATS": 1, "SEEDS": 2, "UTTERANCES": 64}.items():
        monkeypatch.setattr(seeds, name, value)
    monkeypatch.setattr(gpu.finetune, "UTTERANCES", 4)
    gpu.main()
    with (tmp_path / "gpu.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    equal = {row["what"]: row["median"] for row in rows if row["what"].startswith("two runs")}
    assert equal == {
        "two runs, HyCon": "0",
        "two runs, HyCon-v2": "0",
        "two runs, fine-tuning, float32": "0",
        "two runs, fine-tuning, bfloat16": "0",
    }
    assert {row["by"] for row in rows} == {"hycon", "CPU", "float32", "one after the other"}


def test_alignment_is_timed_and_compared_beside_mmsdk(tmp_path, monkeypatch):
    for name, value in {"REPEATS": 1, "SHORT": 2, "LONG": 8}.items():
        monkeypatch.setattr(align, name, value)
    lines, notes = align.against_mmsdk(tmp_path, 3)
    assert [len(line.other) for line in lines] == [1, 1, 1, 1, 1, 0, 0]
    equal = [line.holds for line in lines if line.what.startswith("largest difference")]
    assert equal == [True, True]
    write_tables(tmp_path / "align", lines, notes, "mmsdk", align.PACKAGES)


@pytest.mark.parametrize("shape", ["paper", "small"])
def test_what_is_timed_trains(shape):
    data = corpus(shape, 32)
    model, train = trainer(data, settings(shape, "hycon-v2"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    losses_of_epoch = train()
    assert set(losses_of_epoch) == {"task", "intra", "inter", "semi"}
    assert all(np.isfinite(value) for value in losses_of_epoch.values())
    assert any(not value.equal(before[name]) for name, value in model.state_dict().items())
