"""Results, weights and records that someone else put there end in one line, or are made anew."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hycon.atomic_io import sha256_of
from hycon.corpus.folds import read_folds
from hycon.errors import HyConError
from hycon.evaluation.aggregation import read_output, read_scores
from hycon.params import load
from hycon.plan.planner import Plan
from hycon.plan.records import RECORDS, SEEN, modified, record, refresh
from hycon.plan.tasks import CostTable, ScoreTable
from hycon.reporting import cost_table, tables
from hycon.reporting.captions import SENTIMENT
from hycon.stages.evaluate import _record
from hycon.training.tuning import open_study
from tests.reporting.scored_rows import scored_row
from tests.test_params import ROOT

PARAMS = load(ROOT)
CORPUS = PARAMS.catalogue["sample"]
DEEP = "[" * 100_000
JSON = {
    "deep": DEEP,
    "deep below": '{"seeds": ' + '{"a":' * 100_000,
    "not JSON": "{",
    "NaN": '{"seeds": {"1": {"test": {"mae_all": NaN}}}}',
    "beyond a double": '{"seeds": {"1": {"test": {"mae_all": 1e999}}}}',
    "beyond an integer": '{"seeds": {"1": {"test": {"mae_all": %s}}}}' % ("9" * 5000),
    "a list": "[]",
    "a number": "1",
    "null": "null",
    "seeds are a list": '{"seeds": [1]}',
    "a seed is a path": '{"seeds": {"../../x": {"test": {}}}}',
    "a seed is a list": '{"seeds": {"1": []}}',
    "a metric is a text": '{"seeds": {"1": {"test": {"mae_all": "0.5"}}}}',
    "a metric is a list": '{"seeds": {"1": {"test": {"mae_all": [0.5]}}}}',
    "a key twice": '{"seeds": {"1": {"test": {}}}, "seeds": {"1": {"test": {}}}}',
}
READERS = {
    "scores.json": read_scores,
    "run.json": lambda path: _record(path, {"corpus": {}, "encoder": {}, "settings": {}}),
    "complexity.json": lambda path: cost_table.make(
        CostTable(part="measured", measured=path, labels={}), "sample", CORPUS
    ),
    "folds.json": read_folds,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", JSON.values(), ids=JSON)
def test_json_of_a_result_that_is_none_ends_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(HyConError) as caught:
        READERS[name](tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: ")
    assert message.isprintable()
    assert len(message) < 500


def test_scores_that_lack_what_a_table_shows_end_in_one_line(tmp_path):
    whole = {"test": dict.fromkeys(SENTIMENT, 0.5), "parameters": {"all": 1}}
    for run in (
        *({"test": {"mae_all": 0.5}, "parameters": {"all": 1}}, {"test": whole["test"]}),
        *(whole | {"parameters": value} for value in ({}, [], 1, {"all": "x"}, {"all": None})),
    ):
        row = scored_row(tmp_path / "scores.json", {"1": run})
        table = ScoreTable(
            experiment="main", title="T", rows=[row], left_out="", note="",
            inference=PARAMS.inference,
        )  # fmt: skip
        with pytest.raises(HyConError, match=r"scores\.json: lacks .*; evaluate the runs again"):
            tables.make(table, "sample", CORPUS)


def tensors(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\x80\x04K\x01.", struct.pack("<Q", 2**63), struct.pack("<Q", 2**27) + b"{}"),
        *(tensors(b"[" * 100_000), tensors(b"{"), tensors({"prediction": ONE})),
        tensors({"prediction": ONE | {"shape": [2**40], "data_offsets": [0, 2**42]}}),
        tensors({"prediction": ONE | {"data_offsets": [2**63, 2**64 - 1]}}, bytes(8)),
        tensors({"prediction": ONE | {"dtype": "../x"}}, bytes(8)),
        tensors({"prediction": ONE | {"dtype": "BF16", "data_offsets": [0, 4]}}, bytes(4)),
        tensors({"other": ONE}, bytes(8)),
        tensors({"prediction": ONE}, struct.pack("<2f", 1.0, float("nan"))),
        tensors({"prediction": ONE}, struct.pack("<2f", 1.0, float("inf"))),
        tensors({"prediction": ONE | {"dtype": "I32"}}, bytes(8)),
        tensors({"prediction": ONE | {"shape": [], "data_offsets": [0, 4]}}, bytes(4)),
        tensors({"prediction": ONE | {"shape": [1, 2, 1]}}, bytes(8)),
    ],
)
def test_tensors_of_a_run_that_are_none_end_in_one_line(tmp_path, content):
    (tmp_path / "representations.safetensors").write_bytes(content)
    with pytest.raises(HyConError, match=r"representations\.safetensors: .*train again"):
        read_output(tmp_path, 2)
    save_file({"prediction": np.zeros(2, np.float32)}, tmp_path / "representations.safetensors")
    assert read_output(tmp_path, 2).tolist() == [0, 0]


@pytest.fixture
def scored(tmp_path, monkeypatch):
    """Return a job that has made its one output, in the current folder, and the output."""
    monkeypatch.chdir(tmp_path)
    job = Plan(PARAMS).job("evaluate", "sample/hycon-bert")
    output, other = job.writes
    Path(output).parent.mkdir(parents=True)
    Path(output).write_text("{}")
    Path(other).touch()
    job = job.model_copy(update={"writes": (output,)})
    record(job)
    assert modified([job]) == []
    return job, output


REMEMBERED = (
    *(DEEP, "", "{", "[]", "5", "null", "\x00", '{"a": 5}', '{"a": [1]}', '{"../../x": [0, 0, 0]}'),
    *('{"key": 5}', '{"outputs": 5}', '{"outputs": [1]}', '{"outputs": null}', '{"outputs": {}}'),
    *('{"outputs": {"OUTPUT": 5}}', '{"outputs": {"OUTPUT": null}}', '{"outputs": "OUTPUT"}'),
    *(
        '{"OUTPUT": [SIZE, TIME, null]}',
        '{"OUTPUT": 5}',
        '{"OUTPUT": [SIZE, TIME]}',
        '{"OUTPUT": [0, 0, "x"]}',
        '{"OUTPUT": null}',
    ),
)


@pytest.mark.parametrize("content", REMEMBERED)
def test_what_snakemake_remembers_may_be_anyones(scored, content):
    job, output = scored
    status = Path(output).stat()
    for word, value in (
        ("OUTPUT", output), ("SIZE", status.st_size), ("TIME", status.st_mtime_ns),
    ):  # fmt: skip
        content = content.replace(word, str(value))
    SEEN.write_text(content)
    assert modified([job]) == []
    (kept,) = (path for path in RECORDS.rglob("*") if path.is_file())
    kept.write_text(content)
    assert modified([job]) == [output]
    assert SEEN.read_text() == kept.read_text() == content
    refresh([job])
    assert json.loads(SEEN.read_text()) == {
        output: [status.st_size, status.st_mtime_ns, sha256_of(Path(output))]
    }
    record(job)
    assert modified([job]) == []


def test_records_of_runs_may_be_anyones_and_are_not_believed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = ("hycon-bert", "hycon-glove", "hycon-xlnet", "hycon-v2-bert")
    seeds = (
        DEEP,
        '{"seeds": {"../../../x": 1}}',
        '{"seeds": {"%s": 1}}' % ("1" * 300),
        '{"seeds": 1}',
    )
    plan, written = Plan(PARAMS), {}
    for row, content in zip(rows, seeds, strict=True):
        job = plan.job("train", f"sample/{row}/1")
        written |= dict.fromkeys(job.writes, content)
        # runs are there too, so that the record alone is what may not be believed
        written |= dict.fromkeys(job.keeps, "{}")
    for path, content in written.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(content)
    records = {f"results/runs/sample/{row}/runs-1.json" for row in rows}
    assert records < set(written)
    for _ in range(2):
        assert sorted(modified(plan.outputs_here())) == sorted(records)
        refresh(plan.outputs_here())
    assert {path: Path(path).read_text() for path in written} == written


@pytest.mark.parametrize("line", [DEEP, "{}", "[]", '{"op_code": 99}', "9" * 9000, "\xff", "1"])
def test_a_study_that_is_none_ends_in_one_line(tmp_path, line):
    (tmp_path / "study.journal").write_bytes(f"{line}\n".encode("latin-1"))
    with pytest.raises(HyConError, match=r"study\.journal: damaged .*; delete it and tune again"):
        open_study(tmp_path / "study.journal", "name")
