"""Results, weights and records that someone else put there end in one line, or are made anew."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from hycon.corpus.folds import read_folds
from hycon.errors import HyConError
from hycon.evaluation.aggregation import read_output, read_scores
from hycon.evidence.costs import read_costs
from hycon.evidence.tables import SENTIMENT, Row, make_table
from hycon.made import Outputs
from hycon.params import load
from hycon.stages.evaluate import _record
from hycon.training.tuning import open_study
from tests.hostile.project import copy_project, plan
from tests.test_params import ROOT

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
    "complexity.json": lambda path: read_costs(path, {}),
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
    corpus = load(ROOT).catalogue["sample"]
    whole = {"test": dict.fromkeys(SENTIMENT, 0.5), "parameters": {"all": 1}}
    for run in (
        *({"test": {"mae_all": 0.5}, "parameters": {"all": 1}}, {"test": whole["test"]}),
        *(whole | {"parameters": value} for value in ({}, [], 1, {"all": "x"}, {"all": None})),
    ):
        path = tmp_path / "scores.json"
        path.write_text(json.dumps({"seeds": {"1": run}, "metrics": {"f1": "weighted"}}))
        with pytest.raises(HyConError, match=r"scores\.json: lacks .*; evaluate the runs again"):
            make_table("main", "T", "sample", corpus, [Row("a", "b", path)])


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


def test_what_snakemake_remembers_may_be_anyones(tmp_path):
    for content in (DEEP, "[]", '{"a": 5}', '{"a": [1]}', "\x00", '{"../../x": [0, 0, 0]}'):
        for name in ("outputs.json", "seen.json"):
            (tmp_path / name).write_text(content)
        assert Outputs(tmp_path).check() == []
        file = tmp_path / "a"
        file.write_text("a")
        outputs = Outputs(tmp_path)
        assert len(outputs._digest(str(file))) == 64
        outputs.seen = {str(file): 5}
        assert len(outputs._digest(str(file))) == 64


def test_records_of_runs_may_be_anyones_and_are_then_made_anew(tmp_path):
    copy_project(tmp_path)
    rows = ("hycon-bert", "hycon-glove", "hycon-xlnet", "none-bert")
    seeds = (
        DEEP,
        '{"seeds": {"../../../x": 1}}',
        '{"seeds": {"%s": 1}}' % ("1" * 300),
        '{"seeds": 1}',
    )
    records = [tmp_path / "results/runs/sample" / row / "runs.json" for row in rows]
    for record, content in zip(records, seeds, strict=True):
        record.parent.mkdir(parents=True)
        record.write_text(content)
    done = plan(tmp_path, "--", "raw")
    assert done.returncode == 0, done.stderr
    assert not any(record.exists() for record in records)


@pytest.mark.parametrize("line", [DEEP, "{}", "[]", '{"op_code": 99}', "9" * 9000, "\xff", "1"])
def test_a_study_that_is_none_ends_in_one_line(tmp_path, line):
    (tmp_path / "study.journal").write_bytes(f"{line}\n".encode("latin-1"))
    with pytest.raises(HyConError, match=r"study\.journal: damaged .*; delete it and tune again"):
        open_study(tmp_path / "study.journal", "name")
