"""One job trains some seeds of a row, and only those that are not trained already."""

import contextlib
import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from hycon.atomic_io import sha256_of
from hycon.corpus.utterances import Utterance, read_table, write_table
from hycon.params import load
from hycon.plan.tasks import TrainTask
from hycon.stages import train
from tests.running import run_stage
from tests.test_params import ROOT

PARAMS = load(ROOT, {"per_corpus": {"sample": {"train": {"epochs": 2}}}})
FILES = ("run.json", *train.WRITTEN)


@pytest.fixture
def row(tmp_path):
    """Return a function that trains seeds of a row on a few utterances, into a folder."""
    generator = np.random.default_rng(0)
    folds = ["train"] * 12 + ["valid"] * 4 + ["test"] * 4
    lengths = generator.integers(1, 6, len(folds))
    utterances = [
        Utterance(f"v{n}[0]", f"v{n}", 0, fold, 0.0, 1.0, int(length), f"{1 - n % 3}.0", "a")
        for n, (fold, length) in enumerate(zip(folds, lengths, strict=True))
    ]
    write_table(tmp_path / "utterances.csv", utterances)
    for name, width in (("audio", 4), ("vision", 3), ("states", 6)):
        values = generator.standard_normal((lengths.sum(), width)).astype(np.float32)
        np.save(tmp_path / f"{name}.npy", values)
        np.save(tmp_path / f"{name}.offsets.npy", np.concatenate([[0], lengths.cumsum()]))

    def run(folder, *seeds, settings=None, **machine):
        task = TrainTask(
            name="sample/hycon-bert",
            corpus=PARAMS.catalogue["sample"].as_input(),
            encoder=PARAMS.encoders["bert"].as_input(),
            settings=settings or PARAMS.settings("sample", "hycon", "bert"),
            aligned=tmp_path,
            states=tmp_path,
            tiny=None,
            inputs=sorted(tmp_path.glob("*.[cn]*")),
            seeds=list(seeds),
            output=tmp_path / folder,
            record=tmp_path / folder / "runs-1.json",
        )
        run_stage("train", task, **machine)
        return tmp_path / folder

    return run


def recorded(folder):
    """Return the seeds that the job says are trained, with the digest of each one's record."""
    return json.loads((folder / "runs-1.json").read_text())["seeds"]


def contents(folder):
    return {name: (folder / name).read_bytes() for name in train.WRITTEN}


def stamps(folder):
    return {name: (folder / name).stat().st_mtime_ns for name in FILES}


def test_seeds_of_one_process_are_those_of_a_process_each(row):
    together = row("together", 1, 2, 3)
    for seed in (3, 1, 2):
        alone = row(f"alone-{seed}", seed)
        assert contents(together / f"seed-{seed}") == contents(alone / f"seed-{seed}")
    assert contents(together / "seed-1") != contents(together / "seed-2")


def test_features_in_files_give_the_same_run_and_do_not_train_it_again(row, capsys):
    memory, files = row("memory", 1, features_in="memory"), row("files", 1, features_in="files")
    assert "features are read batch by batch" in capsys.readouterr().err
    assert contents(memory / "seed-1") == contents(files / "seed-1")
    before = stamps(memory / "seed-1")
    row("memory", 1, features_in="files")
    assert stamps(memory / "seed-1") == before


def test_a_seed_more_trains_that_seed_only(row, capsys):
    folder = row("runs", 1, 2)
    before = stamps(folder / "seed-1")
    capsys.readouterr()
    row("runs", 1, 2, 3)
    assert "sample/hycon-bert: 2 of 3 seeds are trained already\n" in capsys.readouterr().err
    assert stamps(folder / "seed-1") == before
    assert recorded(folder) == {
        str(seed): sha256_of(folder / f"seed-{seed}/run.json") for seed in (1, 2, 3)
    }


@pytest.mark.parametrize("name", FILES)
def test_a_run_with_a_damaged_or_missing_file_is_trained_again_to_the_same_bytes(row, name):
    folder = row("runs", 1, 2)
    whole, other = contents(folder / "seed-1"), stamps(folder / "seed-2")
    path = folder / "seed-1" / name
    path.write_bytes(path.read_bytes()[:-3])
    row("runs", 1, 2)
    assert contents(folder / "seed-1") == whole
    path.unlink()
    row("runs", 1, 2)
    assert contents(folder / "seed-1") == whole
    assert stamps(folder / "seed-2") == other


def test_runs_of_other_settings_other_inputs_or_another_seed_are_trained_again(row, tmp_path):
    folder = row("runs", 1)
    before = contents(folder / "seed-1")
    row("runs", 1, settings=PARAMS.settings("sample", "hycon-v2", "bert"))
    other = contents(folder / "seed-1")
    assert other != before
    np.save(tmp_path / "audio.npy", 1 + 2 * np.load(tmp_path / "audio.npy")[::-1])
    row("runs", 1, settings=PARAMS.settings("sample", "hycon-v2", "bert"))
    assert contents(folder / "seed-1") != other
    shutil.copytree(folder / "seed-1", folder / "seed-2")
    row("runs", 2, settings=PARAMS.settings("sample", "hycon-v2", "bert"))
    assert contents(folder / "seed-1") != contents(folder / "seed-2")


def test_runs_of_other_code_are_trained_again(row, monkeypatch):
    folder = row("runs", 1)
    before = stamps(folder / "seed-1")
    monkeypatch.setattr(train, "code_digest", lambda stage: "another")
    row("runs", 1)
    assert stamps(folder / "seed-1") != before


def test_a_row_that_was_broken_off_goes_on_with_the_seeds_that_it_lacks(row, tmp_path, monkeypatch):
    real = train.train

    def killed(data, settings, seed, *rest):
        if seed == 2:
            raise KeyboardInterrupt
        return real(data, settings, seed, *rest)

    monkeypatch.setattr(train, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        row("runs", 1, 2)
    folder = tmp_path / "runs"
    assert not (folder / "runs-1.json").exists()
    before = stamps(folder / "seed-1")
    monkeypatch.setattr(train, "train", real)
    row("runs", 1, 2)
    assert stamps(folder / "seed-1") == before
    assert (folder / "seed-2/run.json").exists()


def test_a_seed_trained_with_other_versions_is_kept_and_says_so(row, capsys):
    folder = row("runs", 1)
    capsys.readouterr()
    path = folder / "seed-1/run.json"
    record = json.loads(path.read_text())
    record["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(record))
    row("runs", 1, 2)
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "other versions" in line)
    assert line.startswith(
        "warning: sample/hycon-bert seed 1: kept, but trained with other versions"
    )
    assert "(torch 1.0, now " in line
    assert line.endswith(f"; to train it again, delete {folder}/seed-1")


def test_a_seed_that_another_process_trains_meanwhile_is_waited_for_and_not_trained_again(
    row, tmp_path, monkeypatch, capsys
):
    elsewhere = row("elsewhere", 1, 2)

    @contextlib.contextmanager
    def waits(folder, busy):
        if folder.name == "seed-1":
            busy()
            shutil.copytree(elsewhere / "seed-1", folder)
        yield

    monkeypatch.setattr(train, "exclusive", waits)
    capsys.readouterr()
    folder = row("runs", 1, 2)
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == [
        "sample/hycon-bert seed 1: waits for another process",
        "sample/hycon-bert seed 1: trained by another process",
    ]
    assert said[2].startswith("sample/hycon-bert seed 2: epoch ")
    for seed in ("seed-1", "seed-2"):
        assert contents(folder / seed) == contents(elsewhere / seed)
    assert set(recorded(folder)) == {"1", "2"}


def test_each_seed_is_trained_under_a_lock_of_its_own(row, tmp_path, monkeypatch):
    real, held = train.train, []

    def seen(*given):
        held.append([path.name for path in (tmp_path / "runs").glob(".*.lock")])
        return real(*given)

    monkeypatch.setattr(train, "train", seen)
    row("runs", 1, 2)
    assert held == [[".seed-1.lock"], [".seed-2.lock"]]


@pytest.fixture
def grouped(row, tmp_path):
    """Return the row's function; each of its utterances has a group to be held out with."""
    utterances = [
        dataclasses.replace(each, fold="test", held_out=f"s{number % 4}")
        for number, each in enumerate(read_table(tmp_path / "utterances.csv"))
    ]
    write_table(tmp_path / "utterances.csv", utterances)
    return row


def test_each_group_is_predicted_by_the_network_that_has_not_seen_it(grouped, tmp_path):
    folder = grouped("runs", 1) / "seed-1"
    output = load_file(folder / "representations.safetensors")
    record = json.loads((folder / "run.json").read_text())
    assert record["selection"]["held out"] == ["s0", "s1", "s2", "s3"]
    assert len(record["selection"]["epoch"]) == len(record["selection"]["value"]) == 4
    assert not (tmp_path / "runs/seed-1.rounds").exists()
    with (folder / "history.csv").open() as file:
        assert {line["held_out"] for line in csv.DictReader(file)} == {"s0", "s1", "s2", "s3"}
    # the same, by hand: a corpus whose folds are those of the second round
    utterances = read_table(tmp_path / "utterances.csv")
    folds = {"s1": "test", "s2": "valid"}
    fixed = [
        dataclasses.replace(each, fold=folds.get(each.held_out, "train"), held_out="")
        for each in utterances
    ]
    write_table(tmp_path / "utterances.csv", fixed)
    alone = load_file(grouped("fixed", 1) / "seed-1/representations.safetensors")
    tested = [number for number, each in enumerate(fixed) if each.fold == "test"]
    valid = [number for number, each in enumerate(fixed) if each.fold == "valid"]
    for name in ("prediction", "fused", "text"):
        np.testing.assert_array_equal(output[name][tested], alone[name][tested])
    np.testing.assert_array_equal(output["validation"][valid], alone["prediction"][valid])


def test_a_round_that_is_finished_is_not_trained_again(grouped, monkeypatch, tmp_path):
    whole = grouped("whole", 1) / "seed-1/representations.safetensors"
    trained = []
    real = train.train

    def killed(data, *given):
        trained.append(data)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return real(data, *given)

    monkeypatch.setattr(train, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        grouped("runs", 1)
    assert sorted(path.name for path in (tmp_path / "runs/seed-1.rounds").iterdir())[:2] == [
        "1",
        "2",
    ]
    assert not (tmp_path / "runs/seed-1").exists()
    folder = grouped("runs", 1) / "seed-1"
    assert len(trained) == 3 + 2
    assert sha256_of(folder / "representations.safetensors") == sha256_of(whole)


def test_a_row_without_text_reads_no_text(row, tmp_path):
    for name in ("states.npy", "vision.npy"):
        (tmp_path / name).unlink()
    folder = row("runs", 1, settings=PARAMS.settings("sample", "audio-only", "bert"))
    output = load_file(folder / "seed-1/representations.safetensors")
    assert set(output) == {"audio", "fused", "prediction"}
