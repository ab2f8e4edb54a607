"""One job trains all seeds of a row, and only those that do not stand already."""

import json
import shutil

import numpy as np
import pytest

from hycon.corpus.utterances import Utterance, write_table
from hycon.params import load
from hycon.stages import train
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

    def run(folder, *seeds, settings=None):
        arguments = {
            "name": "sample/hycon-bert",
            "corpus": PARAMS.catalogue["sample"].as_input(),
            "encoder": PARAMS.encoders["bert"].as_input(),
            "settings": (settings or PARAMS.settings("sample", "hycon", "bert")).as_json(),
            "aligned": tmp_path,
            "states": tmp_path,
            "device": "cpu",
            "output": tmp_path / folder,
        }
        options = [str(part) for name, value in arguments.items() for part in (f"--{name}", value)]
        inputs = [str(path) for path in sorted(tmp_path.glob("*.[cn]*"))]
        train.main([*options, "--inputs", *inputs, "--seeds", *map(str, seeds)])
        return tmp_path / folder

    return run


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


def test_a_seed_more_trains_that_seed_only(row):
    folder = row("runs", 1, 2)
    before = stamps(folder / "seed-1")
    row("runs", 1, 2, 3)
    assert stamps(folder / "seed-1") == before
    assert set(json.loads((folder / "runs.json").read_text())["seeds"]) == {"1", "2", "3"}


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


def test_runs_of_other_settings_other_inputs_or_another_seed_do_not_stand(row, tmp_path):
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


def test_runs_of_other_code_do_not_stand(row, monkeypatch):
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
    assert not (folder / "runs.json").exists()
    before = stamps(folder / "seed-1")
    monkeypatch.setattr(train, "train", real)
    row("runs", 1, 2)
    assert stamps(folder / "seed-1") == before
    assert (folder / "seed-2/run.json").exists()


def test_a_seed_trained_with_other_versions_stands_and_says_so(row, capsys):
    folder = row("runs", 1)
    capsys.readouterr()
    path = folder / "seed-1/run.json"
    record = json.loads(path.read_text())
    record["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(record))
    row("runs", 1, 2)
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "other versions" in line)
    assert line.startswith("warning: sample/hycon-bert seed 1: stands, but was trained with other")
    assert "(torch 1.0, now " in line
    assert line.endswith(f"delete {folder}/seed-1")
