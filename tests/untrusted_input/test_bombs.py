"""What claims or unpacks to more than its size explains is stopped by a stated limit."""

import gzip
import itertools
import re
import tracemalloc

import numpy as np
import pytest

from hycon.corpus import download
from hycon.corpus.utterances import read_ragged
from hycon.errors import HyConError
from hycon.params import base, loading, read_texts, read_yaml
from hycon.untrusted import safe_json
from tests.corpus.conftest import direct, serve  # noqa: F401
from tests.corpus.servers import get, part_of, refusal
from tests.untrusted_input.project import copy_project, plan

LAUGHS = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 30)
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (LAUGHS, ":6: not valid YAML: more than 100000 values, which is the limit"),
        (MERGES, "which is the limit"),
        ("a: [" + "1, " * 200_000 + "]", "more than 100000 values, which is the limit"),
        ("a: &a [*a]", ":1: not valid YAML: an alias contains itself"),
        ("a: &a {b: *a}", ":1: not valid YAML: an alias contains itself"),
        ("a: " + "[" * 10_000, "not valid YAML: "),
        ("a: " + "x" * 2**20, "larger than 1048576 bytes, which is the limit"),
    ],
)
def test_yaml_that_multiplies_or_holds_itself_is_refused(tmp_path, content, said):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(HyConError) as caught:
        read_yaml(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_yaml_makes_no_objects_whoever_gives_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "!!python/object/apply:os.system ['touch ran']"
    (tmp_path / "params.yaml").write_text(f"a: {text}\n")
    with pytest.raises(HyConError, match="could not determine a constructor for the tag"):
        read_yaml(tmp_path / "params.yaml")
    assert read_texts({"mirror": text}) == {"mirror": text}
    assert not (tmp_path / "ran").exists()
    assert issubclass(loading._Loader, loading.yaml.SafeLoader)


def test_aliases_as_the_projects_own_files_use_them_are_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {x: 1}\nb: *a\nc: [*a, *a]\n")
    assert read_yaml(path) == {"a": {"x": 1}, "b": {"x": 1}, "c": [{"x": 1}, {"x": 1}]}


def test_many_seeds_or_corpora_are_checked_at_once():
    base.check_distinct("seeds", list(range(90_000)))
    with pytest.raises(ValueError, match="seeds: 7 is repeated"):
        base.check_distinct("seeds", [*range(90_000), 7])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"NaN", "found NaN, expected a finite number"),
        (b'{"a": -Infinity}', "found -Infinity, expected a finite number"),
        (b"1e999", "found 1e999, expected a finite number"),
        (b"9" * 31, "found an integer of 31 digits, expected 30 at most"),
        (b"9" * 100_000, "found an integer of 100000 digits"),
        (b'{"a": 1, "a": 2}', "duplicate key 'a'"),
        (b'"\xff"', "can't decode byte 0xff"),
        (b" " * (2**24 + 1), "larger than the limit of 16777216 bytes"),
    ],
)
def test_json_that_is_no_plain_data_is_refused_with_a_reason(tmp_path, content, said):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(said)):
        safe_json.read_json(tmp_path / "run.json")


def header(shape, kind="<f4", literal=None):
    text = (literal or repr({"descr": kind, "fortran_order": False, "shape": shape})).encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        *(header((2**40, 1)), header((2**62, 2**62)), header((-1, 1)), header((0, 2**70))),
        *(header((True,)) + bytes(4), header((1, 1), "|O") + b"\x80\x04cos\nsystem\n."),
        *(header(0, literal="[" * 9000), header(0, literal="-" * 9000 + "1")),
        *(b"\x93NUMPY\x02\x00\xff\xff\xff\xff", b"PK\x05\x06" + bytes(18), b"\x80\x04K\x01."),
    ],
)
def test_an_array_that_claims_more_than_it_has_or_is_something_else_is_refused(tmp_path, content):
    np.save(tmp_path / "audio.offsets.npy", [0, 1])
    (tmp_path / "audio.npy").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(HyConError, match=r"audio\.npy: .*; make it again"):
            read_ragged(tmp_path / "audio.npy", 1)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


def test_a_compressed_answer_that_grows_without_end_is_stopped(serve, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(download, "SMALL", 10**6)
    packed = gzip.compress(bytes(50 * 10**6))
    server = serve(b"", itertools.repeat({"body": packed, "headers": {"Content-Encoding": "gzip"}}))
    target = tmp_path / "words.csd"
    message = refusal(target, server)
    assert "(decompresses to more than 100 times its length, which is the limit)" in message
    assert not part_of(target).exists()
    assert len(server.log) == 1


def test_more_than_the_limit_is_taken_only_if_the_catalogue_says_so(serve, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(download, "LARGEST", 100_000)
    body = b'{"train": "' + b"x" * 200_000 + b'"}'
    target = tmp_path / "folds.json"
    endless = serve(body, itertools.repeat({"length": None}))
    assert "(offers 200013 bytes, the limit is 100000; give the file's size" in refusal(
        target, serve(body)
    )
    assert "(sends more than 100000 bytes, the limit; give the file's size" in refusal(
        target, endless
    )
    assert not part_of(target).exists()
    get(target, serve(body), size=len(body))
    assert target.read_bytes() == body


def test_an_overlay_that_multiplies_or_has_a_key_twice_is_refused_before_anything_starts(tmp_path):
    copy_project(tmp_path)
    (tmp_path / "a.yaml").write_text(LAUGHS + "model: {dropout: *a29}\n")
    (tmp_path / "b.yaml").write_text("model: {dropout: 0.1, dropout: 0.2}\n")
    for name, said in (("a", "which is the limit"), ("b", "duplicate key 'dropout'")):
        done = plan(tmp_path, f"--configfile={name}.yaml", "--", "raw")
        assert done.returncode == 2
        assert re.search(rf"^error: .*{name}\.yaml:[0-9]+: .*{said}$", done.stderr, re.M)
