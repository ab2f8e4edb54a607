"""A stranger's pickle: arrays and plain containers come through, all else is named and not run."""

import collections
import fractions
import functools
import os
import pickle
import struct
import subprocess
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hycon.corpus.pickles import load_pickle
from hycon.errors import HyConError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@pytest.fixture
def read(tmp_path):
    """Return a function that writes bytes to a file and reads them as a pickle."""

    def read(content):
        path = tmp_path / "features.pkl"
        path.write_bytes(content)
        return load_pickle(path)

    return read


def same(found, expected):
    """Return whether two values are equal, arrays by type, shape and content."""
    if isinstance(expected, np.ndarray):
        alike = found.shape == expected.shape and found.dtype == expected.dtype
        pairs = zip(found.ravel().tolist(), expected.ravel().tolist(), strict=True)
        return type(found) is np.ndarray and alike and all(same(*pair) for pair in pairs)
    if isinstance(expected, (list, tuple)):
        pairs = zip(found, expected, strict=True)
        return type(found) is type(expected) and all(same(*pair) for pair in pairs)
    return found == expected and type(found) is type(expected)


SHARED = np.arange(4)
ARRAYS = [
    *(np.arange(12).reshape(3, 4).astype(kind) for kind in ("f2", "f4", "f8", ">f4", "i1", "u8")),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)[::2],
    np.array([[True, False]]),
    np.array(["", "a", "café"]),
    np.array([b"", b"ab"]),
    np.array(["x"], dtype=">U3"),
    np.array(5.0),
    np.zeros((0, 3), np.float32),
    np.array([["a", b"b"], [None, 1.5]], dtype=object),
    np.array([SHARED, None], dtype=object),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_of_every_kind_come_back_as_they_were(read, array, protocol):
    assert same(read(pickle.dumps(array, protocol)), array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_containers_and_numbers_come_back_as_they_were(read, protocol):
    for value in (
        {"a": [1, (2.5, None)], b"b": {True: "c"}},
        [10**40, -1, "\ud83d\ude00", b"", bytearray(b"q"), {1, 2}, frozenset([3]), (), {}, []],
        [np.float32(1.5), np.int64(3), np.bool_(True), np.str_("text")],
    ):
        assert same(read(pickle.dumps(value, protocol)), value)
    ordered = collections.OrderedDict(b=1, a=2)
    assert list(read(pickle.dumps(ordered, protocol)).items()) == [("b", 1), ("a", 2)]
    twice = read(pickle.dumps([SHARED, {"x": SHARED}], protocol))
    assert twice[0] is twice[1]["x"]


def test_an_array_that_python_2_wrote_is_read(read):
    data = np.array([1.0, -2.0], "<f4").tobytes()
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87Rq\x01"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U" + bytes([len(data)]) + data
        + b"tb."
    )  # fmt: skip
    assert same(read(content), np.array([1.0, -2.0], "<f4"))
    assert same(read(content), pickle.loads(content, encoding="latin-1"))


class Calls:
    """A value whose pickle calls something."""

    def __init__(self, call, *arguments):
        self.parts = call, arguments

    def __reduce__(self):
        return self.parts


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_names_are_refused_by_name_and_nothing_runs(read, tmp_path, protocol):
    mark = tmp_path / "ran"
    for value, name in (
        (Calls(os.system, f"touch {mark}"), f"{os.system.__module__}.system"),
        (Calls(eval, f"open({str(mark)!r}, 'w')"), "eval"),
        (Calls(getattr, "a", "upper"), "getattr"),
        (Calls(functools.partial, print), "functools.partial"),
        (Calls(subprocess.call, ["touch", str(mark)]), ".call"),
        (fractions.Fraction(1, 2), "fractions.Fraction"),
        (np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]), "array of type V"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "array of type M8"),
    ):
        with pytest.raises(HyConError) as caught:
            read(pickle.dumps(value, protocol))
        assert name in str(caught.value), (name, str(caught.value))
        assert "nothing of it was run" in str(caught.value)
    assert not mark.exists()


def test_tensors_and_data_frames_are_refused_by_name(read):
    with pytest.raises(HyConError, match=r"holds pandas\."):
        read(pickle.dumps(pd.DataFrame({"a": [1]})))
    torch = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n."
    with pytest.raises(HyConError, match=r"holds torch\._utils\._rebuild_tensor_v2"):
        read(torch)


ARRAY = b"cnumpy\nndarray\n"
UNFINISHED = b"cnumpy.core.multiarray\n_reconstruct\n" + ARRAY + b"K\x00\x85C\x01b\x87R"


def dtype(name, order):
    """Return the program that makes an array's type."""
    call = b"cnumpy\ndtype\nX\x02\x00\x00\x00" + name + b"K\x00K\x01\x87R"
    unset = b"J\xff\xff\xff\xff"
    return call + b"(K\x03X\x01\x00\x00\x00" + order + b"NNN" + unset + unset + b"K\x00tb"


DTYPE = dtype(b"f4", b"<")


@pytest.mark.parametrize(
    "program",
    [
        b"]K\x01\x85R.",  # a call of a list
        ARRAY + b"}X\x01\x00\x00\x00xK\x01sb.",  # attributes for a class
        ARRAY + b"N}X\x04\x00\x00\x00makeK\x01s\x86b.",  # slots of a constructor
        b"(" + ARRAY + b"i os\nsystem\n.",
        b"(X\x02\x00\x00\x00ls" + b"ios\nsystem\n.",
        b"(cos\nsystem\nX\x02\x00\x00\x00lso.",
        ARRAY + b")\x81.",  # __new__
        b"\x82\x01.",  # the registry of extensions
        b"Pname\n.",
        b"X\x01\x00\x00\x00aQ.",
        UNFINISHED + b".",
        b"]" + UNFINISHED + b"a.",  # an array without its content in a list
        b"]" + UNFINISHED + b"2a0.",  # and a copy of it
        UNFINISHED + b"q\x00h\x00a.",
        UNFINISHED + b"q\x00(K\x01)h\x00\x89C\x00tb.",  # its type is itself
        UNFINISHED + b"(K\x01)" + DTYPE + b"\x89C\x00tb.",  # 0 bytes for 1 element
        UNFINISHED + b"(K\x01J\xff\xff\xff\xff\x85" + DTYPE + b"\x89C\x00tb.",  # -1 elements
        b"cnumpy\nndarray\n)R.",
        b"cnumpy.core.multiarray\nscalar\n" + dtype(b"O8", b"|") + b"]\x86R.",
        b"}]K\x01s.",  # a list as a key
        b"h\x07.",  # never remembered
        b"0.",
        b"t.",
        b"I12x\n.",
        b"L" + b"9" * 9000 + b"L\n.",
        b"\xfe.",
        b"<html><body>busy</body></html>",
        b"",
    ],
)
def test_programs_that_are_no_data_are_refused(read, program):
    with pytest.raises(HyConError) as caught:
        read(program)
    assert "features.pkl: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "program",
    [
        b"\x8e" + struct.pack("<Q", 1 << 40) + b"x.",  # BINBYTES8
        b"\x96" + struct.pack("<Q", 1 << 33) + b"x.",  # BYTEARRAY8
        b"B" + struct.pack("<I", 1 << 31) + b"x.",
        b"X" + struct.pack("<I", 1 << 31) + b"x.",
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.",  # FRAME
        b"\x8b" + struct.pack("<i", 1 << 30) + b"\x01.",  # LONG4
        b"K\x01r" + struct.pack("<I", (1 << 31) - 1) + b"K\x02R.",  # a memo's last place
        UNFINISHED + b"(K\x01\x8a\x08" + struct.pack("<q", 1 << 62) + b"\x85" + DTYPE
        + b"\x89C\x00tb.",
        b"cbuiltins\nbytearray\n\x8a\x06" + struct.pack("<q", 1 << 40)[:6] + b"\x85R.",
        # the same long text encoded again and again
        b"(X" + struct.pack("<I", 1 << 20) + b"x" * (1 << 20) + b"q\x00"
        + b"0c_codecs\nencode\nq\x01" + b"0h\x01h\x00X\x06\x00\x00\x00latin1\x86R" * 2000 + b"t.",
    ],
)  # fmt: skip
def test_no_file_makes_the_reader_take_more_memory_than_its_size_explains(read, program):
    tracemalloc.start()
    try:
        with pytest.raises(HyConError):
            read(program)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_a_file_that_is_cut_short_anywhere_is_refused(read):
    for protocol in PROTOCOLS:
        whole = pickle.dumps({"text": np.arange(3.0), "id": ["a$_$1", "b"]}, protocol)
        for length in range(len(whole)):
            with pytest.raises(HyConError):
                read(whole[:length])


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(HyConError, match="no such file; fetch it"):
        load_pickle(tmp_path / "nothing.pkl")
    with pytest.raises(HyConError, match="not a readable pickle"):
        load_pickle(tmp_path)


PLAIN = (
    type(None), bool, int, float, str, bytes, bytearray, np.ndarray, np.generic, np.dtype,
         dict, list, tuple, set, frozenset)  # fmt: skip
SEEDS = [pickle.dumps({"t": ARRAYS[:3], "i": ["a", (1, b"2")]}, p) for p in PROTOCOLS]


@settings(max_examples=400, deadline=None)
@given(
    st.binary(max_size=80)
    | st.builds(
        lambda seed, at, new: seed[: at % len(seed)] + new + seed[at % len(seed) + len(new) :],
        st.sampled_from(SEEDS),
        st.integers(0, 10_000),
        st.binary(min_size=1, max_size=4),
    )
)
def test_any_bytes_give_a_value_or_our_own_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.pkl"
    path.write_bytes(content)
    try:
        value = load_pickle(path)
    except HyConError:
        return
    # a name that was mentioned and not called stands for itself, and can do nothing
    assert isinstance(value, PLAIN) or type(value).__module__ == "hycon.corpus.pickles"
