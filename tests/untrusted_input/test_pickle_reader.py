"""A stranger's pickle: arrays and plain containers come through, all else is refused unrun."""

import functools
import os
import pickle
import struct
import tracemalloc
from collections import OrderedDict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hycon.errors import HyConError
from hycon.untrusted.pickles import load_pickle

PROTOCOLS = range(6)
BLOCK = np.arange(24.0).reshape(2, 3, 4)
NESTED = np.array([np.array(["a", None], dtype=object), 0], dtype=object)
ARRAYS = [
    *(np.arange(6).reshape(2, 3).astype(kind) for kind in ("?", "i1", "<i2", ">i4", "i8", "g")),
    *(np.linspace(-1, 1, 6).astype(kind) for kind in ("f2", "<f4", ">f8")),
    *(np.arange(3).astype(kind) for kind in ("u1", "<u2", ">u4", "u8")),
    *(np.array(["", "a", "café 🎬"], kind) for kind in ("<U7", ">U7")),
    np.array([b"", b"ab\xff"]),
    np.array([np.nan, np.inf, -0.0], np.float32),
    np.array(5.0),
    np.zeros((0, 3), np.float32),
    np.zeros((2, 0), "U3"),
    np.asfortranarray(BLOCK),
    BLOCK.transpose(2, 0, 1),
    BLOCK[::2, ::-1],
    np.asfortranarray(np.array([["a", b"b"], [None, [1.5]]], dtype=object)),
    np.array([], dtype=object),
]


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Return a function that writes bytes to a file and reads them as a pickle."""
    path = tmp_path_factory.mktemp("pickles") / "features.pkl"

    def read(content):
        path.write_bytes(content)
        return load_pickle(path)

    return read


def refused(read, content):
    """Return what is said of a pickle, which is one line about the file."""
    with pytest.raises(HyConError) as caught:
        read(content)
    assert "features.pkl: " in str(caught.value)
    assert str(caught.value).isprintable()
    return str(caught.value)


def named(name):
    """Return the opcode that asks for a module's name."""
    return b"c%b\n%b\n" % tuple(name.encode().rsplit(b".", 1))


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value


NDARRAY = named("numpy.ndarray")
MINUS = b"J\xff\xff\xff\xff"  # -1
HUGE = b"\x8a\x08" + struct.pack("<q", 2**62)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype.str}{array.shape}")
def test_arrays_of_every_kind_shape_and_order_come_back_as_they_were(read, array, protocol):
    found = read(pickle.dumps({"x": array}, protocol))["x"]
    assert type(found) is np.ndarray
    assert (found.dtype, found.dtype.byteorder) == (array.dtype, array.dtype.byteorder)
    assert found.shape == array.shape
    assert found.tolist() == array.tolist() or np.isnan(array.ravel()[0])
    assert array.dtype == object or found.tobytes() == array.tobytes()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_containers_and_numbers_come_back_as_they_were(read, protocol):
    value = {
        "a": [1, (2.5, None), [], (), {}, set(), frozenset()],
        b"b\xff": {True: "café", ("v1", 3): -(2**70), 1.5: bytearray(b"\xffq"), None: bytearray()},
        2**31: ({1, 2}, frozenset(["x"]), b"", "\ud800", b"\x00" * 300, "y" * 300),
        np.str_("text"): [np.float32(1.5), np.int64(-3), np.bool_(True), np.bytes_(b"q")],
    }
    found = read(pickle.dumps(value, protocol))
    assert repr(found) == repr(value)
    assert found == value
    ordered = read(pickle.dumps(OrderedDict(b=1, a=[2]), protocol))
    assert (type(ordered), repr(ordered)) == (dict, "{'b': 1, 'a': [2]}")
    many = set(range(10_000))
    assert read(pickle.dumps(many, protocol)) == many


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_was_shared_is_shared_and_arrays_hold_arrays(read, protocol):
    ring = [BLOCK, {"x": BLOCK}, NESTED]
    ring.append(ring)
    first, second, nested, again = found = read(pickle.dumps(ring, protocol))
    assert first is second["x"]
    assert again is found
    assert type(nested[0]) is np.ndarray
    assert nested[0].tolist() == ["a", None]


def test_pickles_of_python_2_are_read(read):
    # {"x": array([[1, -2]], dtype=float32), "n": float32(1), "id": ["a\xe9"]} in protocol 2
    data = struct.pack("<2f", 1, -2)
    dtype = named("numpy.dtype") + b"U\x02f4K\x00K\x01\x87Rq\x03(K\x03U\x01<NNN"
    dtype += MINUS * 2 + b"K\x00tb"
    array = RECONSTRUCT + NDARRAY + b"K\x00\x85U\x01b\x87Rq\x04"
    array += b"(K\x01K\x01K\x02\x86" + dtype + b"\x89T\x08\x00\x00\x00" + data + b"tb"
    scalar = named("numpy.core.multiarray.scalar") + b"h\x03U\x04" + data[:4] + b"\x86R"
    found = read(b"\x80\x02}(U\x01x" + array + b"U\x01n" + scalar + b"U\x02id]U\x02a\xe9au.")
    assert found["x"].dtype == "<f4"
    assert found["x"].tolist() == [[1.0, -2.0]]
    assert (type(found["n"]), found["n"], found["id"]) == (np.float32, 1.0, ["a\xe9"])
    # array([258], dtype='>i2') of pickle, protocol 0
    old = RECONSTRUCT + b"(" + NDARRAY + b"(I0\ntS'b'\ntRp1\n"
    old += b"(I1\n(I1\nt" + named("numpy.dtype") + b"(S'i2'\nI0\nI1\ntRp2\n(I3\nS'>'\nNNN"
    old += b"I-1\nI-1\nI0\ntbI00\nS'\\x01\\x02'\ntb."
    assert read(old).tolist() == [258]
    assert read(named("collections.OrderedDict") + b"(]](U\x01aK\x01eatR.") == {"a": 1}
    assert read(named("__builtin__.set") + b"(]K\x01atR.") == {1}


@pytest.mark.parametrize(
    "name",
    [
        *("os.system", "posix.system", "builtins.eval", "builtins.getattr", "functools.partial"),
        *("torch._utils._rebuild_tensor_v2", "pandas.core.frame.DataFrame", "numpy.load"),
    ],
)
def test_any_other_name_is_refused_by_name_and_not_run(read, tmp_path, name):
    command = text(f"touch {tmp_path}/ran".encode())
    module, _, function = name.encode().rpartition(b".")
    for content in (
        named(name) + command + b"\x85R.",
        b"\x80\x04" + text(module) + text(function) + b"\x93" + command + b"\x85R.",
        b"(" + command + b"i" + named(name)[1:] + b".",
        b"(" + named(name) + command + b"o.",
        named(name) + command + b"\x85\x81.",
    ):
        said = refused(read, content)
        assert f"contains {name}, expected" in said
        assert "nothing was executed" in said
    assert not list(tmp_path.iterdir())


class Calls:
    """A value whose pickle calls something."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_python_and_numpy_pickle_beyond_plain_data_is_refused(read, tmp_path, protocol):
    for value, name in (
        (Calls(os.system, f"touch {tmp_path}/ran"), "system"),
        (Calls(functools.partial, print), "functools.partial"),
        (
            pd.DataFrame({"a": [1]}),
            "contains pandas." if protocol > 1 else "copy_reg._reconstructor",
        ),
        (np.ma.array([1]), "numpy.ma.core._mareconstruct"),
        (np.float32, "numpy.float32"),
        (np.zeros(1, [("a", "i4"), ("b", "O")]), "an array of type V"),
        (np.zeros(1, "M8[D]"), "an array of type M8"),
        (np.zeros(1, complex), "an array of type c16"),
        (np.void(b"a"), "an array of type V1"),
    ):
        assert name in refused(read, pickle.dumps(value, protocol))
    assert not list(tmp_path.iterdir())


def typed(name, order=b"|", structure=b"NNN"):
    return named("numpy.dtype") + text(name) + b"\x85R(K\x03" + text(order) + structure + b"tb"


def state(shape, dtype, data, version=b"K\x01"):
    return b"(" + version + shape + dtype + b"\x89" + data + b"t"


def built(*parts):
    return EMPTY + state(*parts) + b"b"


RECONSTRUCT, ENCODE = named("numpy.core.multiarray._reconstruct"), named("_codecs.encode")
EMPTY = RECONSTRUCT + NDARRAY + b"K\x00\x85C\x01b\x87R"
U1, O8, A = typed(b"u1"), typed(b"O8"), b"C\x01a"
LETTER = state(b")", U1, A) + b"b"
OBJECT = EMPTY + b"(K\x01)" + O8 + b"\x89]"  # up to its only item
DEEP = b")" + b"\x85" * 100_000
LAUGHS = b")q\x00" + b"".join(b"0h%ch%c\x86q%c" % (n, n, n + 1) for n in range(100))
REFUSED = {
    "a call of": [b"]K\x01\x85R", EMPTY + LETTER + b")R", b"Nr\x00\x00\x00\x80)R"],
    "a state for": [NDARRAY + b"}" + text(b"x") + b"K\x01sb", ENCODE + b"N}\x86b", b"]}b"],
    # NEWOBJ, EXT1, PERSID, BINPERSID, NEXT_BUFFER, OBJ
    "where an opcode of plain data should be": [
        *(NDARRAY + b")\x81", b"\x82\x01", b"Pname\n", b"NQ", b"\x97", b"(" + NDARRAY + b"o")
    ],
    "a name without a call": [NDARRAY, OBJECT + b"(" + NDARRAY + b"latb"],
    "an array without its content": [
        EMPTY,
        NDARRAY + b")R",
        b"]q\x00" + EMPTY + b"q\x01a0h\x01" + LETTER + b"0h\x00",  # in a list before it is built
        b"]" + EMPTY + b"2" + LETTER + b"0a",  # in two places, built in one
        EMPTY + b"q\x00" + OBJECT[len(EMPTY) :] + b"h\x00atb",  # in itself
    ],
    "an array of another class": [RECONSTRUCT + ENCODE + b"K\x00\x85C\x01b\x87R"],
    "expected an array's type": [built(b")", named("numpy.dtype") + text(b"u1") + b"\x85R", A)],
    "expected a type's name": [named("numpy.dtype") + LAUGHS + b"\x85R"],
    "a structured array": [built(b")", typed(b"u1", b"|", b"N)}"), A)],
    "an unknown order of bytes": [typed(b"u1", b"i4,")],
    "an unknown version": [built(b")", U1, A, b"K\x02")],
    "3 bytes for an array of float32 ()": [built(b")", typed(b"f4"), b"C\x03abc")],
    "0 bytes for an array of": [
        built(HUGE + b"\x85", U1, b"C\x00"),
        built(HUGE + b"K\x04\x86", U1, b"C\x00"),  # 2**64, which is 0 where numbers have 64 bits
        built(b"K\x01\x85", typed(b"S1000000000"), b"C\x00"),
    ],
    "1 objects for an array (2,)": [built(b"K\x02\x85", O8, b"]K\x01a")],
    "an impossible shape": [
        built(MINUS + b"\x85", U1, b"C\x00"),
        built(MINUS + b"2\x86", U1, A),
        built(b"\x8a\xff" + b"\x7f" * 255 + b"\x85", U1, A),
        built(b"(" + b"K\x01" * 65 + b"t", U1, A),
        built(LAUGHS, U1, A),
    ],
    "too big": [built(HUGE + b"K\x00\x86", typed(b"f8"), b"C\x00")],
    "bytes that are no": [
        built(b")", typed(b"U1"), b"C\x04\xff\xff\xff\xff"),
        built(b")", typed(b"b1"), b"C\x01\x02"),
    ],
    "expected a list": [named("builtins.set") + b"K\x01\x85R"],
    "expected bytes": [named("builtins.bytearray") + HUGE + b"\x85R"],
    "apply to a 'numpy.ndarray'": [OBJECT + b"NatbK\x00Ns"],
    "a container as a key": [
        *(b"}" + key + b"K\x01s" for key in (b"]", NDARRAY + b"\x85", DEEP, LAUGHS)),
        *(b"\x8f(" + DEEP + b"\x90", b"(" + LAUGHS + b"\x91"),
    ],
    "too many arrays of arrays": [OBJECT * 5000 + b"N" + b"atb" * 5000],
    "more memory than its size explains": [
        text(b"x" * 2**20) + b"q\x00" + (ENCODE + b"h\x00" + text(b"latin1") + b"\x86R") * 100,
        b"(" + b"K\x01" * 5000 + b"lq\x00" + O8 + b"q\x01"
        + (EMPTY + state(b"M\x88\x13\x85", b"h\x01", b"h\x00") + b"b") * 1500,
    ],
    "it is cut short": [
        b"\x8e" + struct.pack("<Q", 2**40),  # BINBYTES8
        b"\x96" + struct.pack("<Q", 2**33),  # BYTEARRAY8
        b"T" + struct.pack("<i", 2**31 - 1),  # BINSTRING
        b"\x8b" + struct.pack("<i", 2**30),  # LONG4
    ],
    "contains a??[2J.b, expected": [text(b"a\n\x1b[2J") + text(b"b") + b"\x93"],
    "not a readable pickle": [b"h\x07", b"0", b"I1x\n", b"L" + b"9" * 9000 + b"L\n", b"\x80\x06N"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "program"),
    [(said, program) for said in REFUSED for program in REFUSED[said]],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_programs_that_are_no_data_are_refused_and_take_no_memory(read, said, program):
    tracemalloc.start()
    try:
        assert said in refused(read, program + b".")
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()


def test_shared_and_deep_values_that_are_no_key_are_read_at_once(read):
    assert len(read(LAUGHS + b".")) == 2
    assert len(read(DEEP + b".")) == 1
    assert read(b"\x95" + struct.pack("<Q", 2**40) + b"K\x01.") == 1  # a frame allocates nothing


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html>busy</html>", "it is an HTML page"),
        (b"version https://git-lfs", "the byte 0x76 where an opcode"),
        (b"(lp0", "it is cut short"),
    ],
)
def test_files_that_are_something_else_are_refused(read, content, said):
    assert said in refused(read, content)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_that_is_cut_short_anywhere_is_refused(read, protocol):
    whole = pickle.dumps([np.arange(2.0), b"b", {1}], protocol)
    for length in range(len(whole)):
        refused(read, whole[:length])


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(HyConError, match="no such file; fetch it"):
        load_pickle(tmp_path / "nothing.pkl")
    with pytest.raises(HyConError, match="cannot be read"):
        load_pickle(tmp_path)


VALID = [
    pickle.dumps({"x": ARRAYS[1], "o": [NESTED, {b"y"}], "n": (np.int8(1), 2.5)}, protocol)
    for protocol in PROTOCOLS
]


PLAIN = (
    *(type(None), bool, int, float, str, bytes, bytearray, dict, list, tuple, set, frozenset),
    *(np.ndarray, np.generic, np.dtype),
)


def mutated(seed, edits):
    for place, new in edits:
        place %= len(seed)
        seed = seed[:place] + new + seed[place + len(new) :]
    return seed


edits = st.lists(st.tuples(st.integers(0, 999), st.binary(min_size=1, max_size=3)), max_size=4)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60) | st.builds(mutated, st.sampled_from(VALID), edits))
def test_any_bytes_give_plain_data_or_an_error_for_people(read, content):
    try:
        waiting = [read(content)]
    except HyConError:
        return
    seen = set()
    while waiting:
        one = waiting.pop()
        assert isinstance(one, PLAIN)
        if isinstance(one, (dict, list, tuple, set, frozenset)) and id(one) not in seen:
            seen.add(id(one))
            waiting.extend([*one, *one.values()] if isinstance(one, dict) else one)
        elif isinstance(one, np.ndarray) and one.dtype.hasobject:
            waiting.extend(one.ravel())
