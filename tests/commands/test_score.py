"""`hycon score` and `hycon compare` on files of several frameworks, anywhere."""

import csv
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from hycon.commands import compare, score
from hycon.errors import HyConError
from hycon.evaluation.metrics import sentiment_metrics

RANDOM = np.random.default_rng(3)
N = 60
LABELS = np.round(RANDOM.uniform(-3, 3, N) * 5) / 5
NAMES = [f"video{number // 6}[{number % 6}]" for number in range(N)]
RUNS = np.stack([0.7 * LABELS + RANDOM.normal(size=N) for _ in range(3)])
FIRST = sentiment_metrics(RUNS[0], LABELS)


def scored(capsys, *arguments):
    score.main([*map(str, arguments), "--format", "json"])
    return json.loads(capsys.readouterr().out)


def table(path, run=RUNS[0], labels=LABELS, names=NAMES):
    pd.DataFrame({"id": names, "label": labels, "pred": run}).to_csv(path, index=False)
    return path


def long_table(path, order):
    frame = pd.concat(
        pd.DataFrame({"ID": NAMES, "y_true": LABELS, "y_pred": run, "Seed": seed}).iloc[order(k)]
        for k, (seed, run) in enumerate(zip((5, 6, 7), RUNS, strict=True))
    )
    frame.to_csv(path, index=False)


def folder(path):
    path.mkdir()
    for seed, run in enumerate(RUNS, 11):
        table(path / f"model_seed{seed}.csv", run)


WRITERS = {
    "a.csv": table,
    "a.parquet": lambda path: pd.DataFrame(
        {"segment_id": NAMES, "targets": LABELS, "output": RUNS[0]}
    ).to_parquet(path),
    "a.npz": lambda path: np.savez(path, preds=RUNS[0][:, None], labels=LABELS[:, None]),
    "a.jsonl": lambda path: path.write_text(
        "".join(json.dumps({"label": y, "prediction": p}) + "\n"
                for y, p in zip(LABELS, RUNS[0], strict=True))
    ),
    # what MMSA's trainers return with return_sample_results
    "mmsa.json": lambda path: path.write_text(
        json.dumps({"MAE": 1.0, "Ids": NAMES, "SResults": RUNS[0].tolist(),
                    "Labels": LABELS.tolist(), "Features": {"Feature_t": [[1.0]]}})
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_one_run_is_read_from_every_format(name, tmp_path, capsys):
    WRITERS[name](tmp_path / name)
    found = scored(capsys, tmp_path / name)
    for metric, expected in FIRST.items():
        assert found["metrics"][metric]["mean"] == pytest.approx(expected, abs=1e-9)
    assert found["seeds"] == ["1"]
    assert found["metrics"]["mae_all"]["std"] is None


@pytest.mark.parametrize(
    ("write", "seeds"),
    [
        (lambda path: long_table(path, lambda k: np.arange(N)), ["5", "6", "7"]),
        # each seed's utterances in another order
        (lambda path: long_table(path, lambda k: np.roll(np.arange(N), k)), ["5", "6", "7"]),
        (folder, ["11", "12", "13"]),
    ],
)
def test_several_seeds_are_read_from_one_file_or_from_one_for_each(write, seeds, tmp_path, capsys):
    path = tmp_path / "all.csv"
    write(path)
    found = scored(capsys, path)
    assert found["seeds"] == seeds
    values = list(found["metrics"]["corr_all"]["values"].values())
    expected = [sentiment_metrics(run, LABELS)["corr_all"] for run in RUNS]
    assert values == pytest.approx(expected)


def test_labels_and_columns_are_named_by_options(tmp_path, capsys):
    np.save(tmp_path / "p.npy", RUNS[0])
    shuffled = RANDOM.permutation(N)
    table(tmp_path / "l.csv", RUNS[0][shuffled], LABELS[shuffled], [NAMES[k] for k in shuffled])
    pd.DataFrame({"a": NAMES, "b": RUNS[0]}).to_csv(tmp_path / "ab.csv", index=False)
    options = ("--name", "a", "--prediction", "b", "--labels")
    with pytest.raises(HyConError, match="has no column 'a'"):
        scored(capsys, tmp_path / "ab.csv", *options, tmp_path / "l.csv")
    pd.DataFrame({"a": NAMES, "label": LABELS}).iloc[shuffled].to_csv(tmp_path / "al.csv")
    found = scored(capsys, tmp_path / "ab.csv", *options, tmp_path / "al.csv")
    assert found["metrics"]["mae_all"]["mean"] == pytest.approx(FIRST["mae_all"])
    np.save(tmp_path / "l.npy", LABELS)
    found = scored(capsys, tmp_path / "p.npy", "--labels", tmp_path / "l.npy")
    assert found["metrics"]["mae_all"]["mean"] == pytest.approx(FIRST["mae_all"])


def test_emotions_as_names_or_as_a_column_of_scores_for_each(tmp_path, capsys):
    labels = RANDOM.choice(["happy", "sad"], N)
    scores = RANDOM.normal(size=(N, 2))
    frame = pd.DataFrame({"label": labels, "score_sad": scores[:, 1], "score_happy": scores[:, 0]})
    frame.to_csv(tmp_path / "s.csv", index=False)
    named = np.array(["happy", "sad"])[scores.argmax(1)]
    pd.DataFrame({"label": labels, "pred": named}).to_csv(tmp_path / "n.csv", index=False)
    means = [
        scored(capsys, tmp_path / name)["metrics"]["acc"]["mean"] for name in ("s.csv", "n.csv")
    ]
    assert means == [(named == labels).mean()] * 2


def test_the_terminal_shows_what_was_guessed_definitions_and_what_fits(tmp_path, capsys):
    path = table(tmp_path / "a.csv")
    numbers = f"acc2={100 * FIRST['acc2_pos']:.1f},f1={100 * FIRST['f1_nonneg']:.2f},mae=9.9"
    score.main([str(path), "--published", numbers])
    printed = capsys.readouterr().out
    for part in (
        "name: id, label: label, prediction: pred.",
        "groups: 10 videos, by the names",
        "task: sentiment, guessed",
        "y > 0 against y < 0, without labels of 0",
        "One seed, so no spread",
        "acc2_pos = ",
        "nothing fits; nearest: mae_",
    ):
        assert part in printed
    assert "arguments swapped" not in printed.partition("published")[0]
    score.main([str(path), "--all", "--format", "latex"])
    assert "arguments swapped" in capsys.readouterr().out
    score.main([str(path), "--format", "csv", "--output", str(tmp_path / "o.csv")])
    frame = pd.read_csv(tmp_path / "o.csv").set_index("metric")
    assert frame.loc["mae_all", "value"] == pytest.approx(FIRST["mae_all"])


def test_the_official_fold_is_checked(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data/aligned/mosi/utterances.csv"
    path.parent.mkdir(parents=True)
    columns = ("id", "video", "segment", "fold", "start", "end", "words", "label", "text",
               "held_out")  # fmt: skip
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for name, label in zip(NAMES, LABELS, strict=True):
            writer.writerow([name, name[:6], 0, "test", 0, 1, 1, label, "word", ""])
        writer.writerow(["other[0]", "other", 0, "train", 0, 1, 1, 1.0, "word", ""])

    def notes(*given):
        return " ".join(scored(capsys, table("a.csv", *given), "--corpus", "mosi")["notes"])

    assert "count (60), order and labels are those" in notes()
    back = slice(None, None, -1)
    assert "in another order" in notes(RUNS[0][back], LABELS[back], NAMES[back])
    with pytest.raises(HyConError, match="has 59 utterances, the test fold of mosi 60"):
        notes(RUNS[0][1:], LABELS[1:], NAMES[1:])
    with pytest.raises(HyConError, match="labels are not those"):
        notes(RUNS[0], np.clip(LABELS + 0.2, -3, 3))
    with pytest.raises(HyConError, match="aligns it"):
        scored(capsys, "a.csv", "--corpus", "iemocap")


def seeds(path, runs, names=NAMES, labels=LABELS):
    columns = {f"seed_{k}": run for k, run in enumerate(runs, 1)}
    pd.DataFrame({"name": names, "label": labels, **columns}).to_csv(path, index=False)
    return path


def test_names_of_other_frameworks_are_those_of_the_same_utterances(tmp_path, capsys):
    a = seeds(tmp_path / "a.csv", RUNS)
    theirs = [name.replace("[", "$_$").rstrip("]") for name in NAMES]
    b = seeds(tmp_path / "b.csv", RUNS[:, ::-1], theirs[::-1], LABELS[::-1])
    compare.main([str(a), str(b), "--format", "json"])
    assert json.loads(capsys.readouterr().out)["systems"]["b"]["difference"] == 0


def test_systems_are_compared_by_utterances_and_seeds(tmp_path, capsys):
    order = RANDOM.permutation(N)
    a = seeds(tmp_path / "a.csv", RUNS)
    b = seeds(tmp_path / "b.csv", (RUNS + 2)[:, order], [NAMES[k] for k in order], LABELS[order])
    figure, output = tmp_path / "f", tmp_path / "o.json"
    compare.main([str(a), f"worse={b}", "--figure", str(figure)])
    printed = capsys.readouterr().out
    assert "worse is worse than a in mae_all" in printed
    assert "10 groups of utterances drawn together" in printed
    assert figure.with_suffix(".svg").stat().st_size > 1000
    compare.main([str(a), str(b), "--metric", "acc2_pos", "--margin", "0.5", "--format", "json",
                  "--output", str(output)])  # fmt: skip
    found = json.loads(output.read_text())["systems"]["b"]
    assert found["paired"]
    assert found["n"] == 3
    expected = np.mean([sentiment_metrics(run + 2, LABELS)["acc2_pos"] for run in RUNS])
    expected -= np.mean([sentiment_metrics(run, LABELS)["acc2_pos"] for run in RUNS])
    assert found["difference"] == pytest.approx(expected)


BAD = {
    "empty.csv": (lambda path: path.touch(), "is empty"),
    "header.csv": (lambda path: path.write_text("label,pred\n"), "has no utterance"),
    "none.csv": (lambda path: path.write_text("label,x\n1,2\n"), "has no predictions; found label"),
    "no-label.csv": (lambda path: path.write_text("x,pred\n1,2\n"), "has no labels"),
    "word.csv": (lambda path: path.write_text("label,pred\n1,2\n2,two\n"), "number 2 is 'two'"),
    "nan.csv": (lambda path: path.write_text("label,pred\n1,nan\n2,1\n"), "found NaN"),
    "range.csv": (lambda path: path.write_text("label,pred\n1,1\n8,1\n"), "found 8, expected"),
    "twice.csv": (
        lambda path: path.write_text("id,label,pred\na,1,1\na,2,1\n"), "'a' is there twice",
    ),
    "uneven.csv": (
        lambda path: path.write_text("seed,label,pred\n1,1,1\n1,2,1\n2,1,1\n"), "1 2, 2 1",
    ),
    "lengths.npz": (lambda path: np.savez(path, preds=LABELS, labels=LABELS[1:]), "59 labels"),
    "objects.npz": (lambda path: np.savez(path, preds=np.array([{}])), "cannot be read"),
    "objects.npy": (lambda path: np.save(path, np.array([{}])), "cannot be read"),
    "a.pkl": (lambda path: path.write_bytes(pickle.dumps(1)), "is a pickle"),
    "disguised.csv": (lambda path: path.write_bytes(pickle.dumps(1)), "is a pickle"),
    "weights.pt": (lambda path: path.write_bytes(b"PK"), "is a pickle"),
    "broken.npz": (lambda path: path.write_bytes(b"PK\x03\x04"), "cannot be read"),
    "broken.parquet": (lambda path: path.write_bytes(b"PAR1"), "cannot be read"),
    "broken.json": (lambda path: path.write_text("{"), "cannot be read as JSON"),
    "list.json": (lambda path: path.write_text("[1]"), "expected an object"),
    "deep.json": (lambda path: path.write_text("[" * 10**5), "nested too deeply"),
    "nan.jsonl": (lambda path: path.write_text('{"label": NaN}'), "cannot be read as JSON"),
    "a.txt": (lambda path: path.write_text("1"), "format unknown"),
    "folder": (lambda path: path.mkdir(), "has no file of predictions"),
    "pipe.csv": (os.mkfifo, "is no regular file"),
    "terabyte.csv": (lambda path: (path.touch(), os.truncate(path, 2**40)), "the limit"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_scored_is_one_line(name, tmp_path):
    write, said = BAD[name]
    write(tmp_path / name)
    with pytest.raises(HyConError) as problem:
        score.main([str(tmp_path / name)])
    assert said in str(problem.value)
    assert str(problem.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize(
    ("names", "labels", "said"),
    [
        (["x[0]", *NAMES[1:]], LABELS, "lacks 1 utterances"),
        (NAMES, np.where(np.arange(N) == 4, -LABELS - 0.2, LABELS), "1 labels differ"),
        (NAMES[:-1], LABELS[:-1], "has 59 utterances"),
    ],
)
def test_systems_of_other_utterances_are_refused(names, labels, said, tmp_path):
    a = seeds(tmp_path / "a.csv", RUNS)
    b = seeds(tmp_path / "b.csv", RUNS[:, : len(names)], names, labels)
    with pytest.raises(HyConError, match=said):
        compare.main([str(a), str(b)])


def test_one_system_or_two_of_one_name_are_refused(tmp_path):
    a = seeds(tmp_path / "a.csv", RUNS)
    for systems, said in (([a], "found 1 system"), ([a, a], "two systems are named 'a'")):
        with pytest.raises(HyConError, match=said):
            compare.main(list(map(str, systems)))
    with pytest.raises(HyConError, match="'z' is none of"):
        compare.main([str(a), f"b={a}", "--reference", "z"])


def test_the_commands_work_outside_a_project_and_fail_with_code_2(tmp_path):
    table(tmp_path / "a.csv")
    for arguments, code in ((["score", "a.csv"], 0), (["score", "b.csv"], 2)):
        done = subprocess.run(
            [sys.executable, "-m", "hycon", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.count("\n") == (1 if code else 0)
