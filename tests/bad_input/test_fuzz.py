"""Whatever stands in a file, there is a value or an error for people: no crash, no endless memory.

Pickles have the same in tests/untrusted_input/test_pickles.py.
"""

import tracemalloc

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hycon.corpus.sequences import open_sequence, words_of
from hycon.errors import HyConError
from hycon.params import Params, load, loading, read_texts, read_yaml
from tests.bad_input.miniature import ROOT

FILES = {name: read_yaml(ROOT / name) for name in loading.FILES}
WHOLE = {name: (ROOT / name).read_bytes() for name in loading.FILES}
MEMORY = 64 * 2**20  # bytes

# parameters


def paths(content, before=()):
    """Return the place of every key, as a tuple."""
    for key, value in content.items():
        yield (*before, key)
        if isinstance(value, dict):
            yield from paths(value, (*before, key))


PLACES = sorted({place for content in FILES.values() for place in paths(content)}, key=str)
WORDS = sorted({str(part) for place in PLACES for part in place})
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(WORDS) | st.binary(max_size=4) | st.dates()
    | st.builds(pow, st.just(10), st.sampled_from([40, 5000]))
    | st.sampled_from([-(2**63), 1e308, "9" * 5000, "1e999", "\x00", "\ud800", "a\nb"])
)  # fmt: skip
keys = st.sampled_from(WORDS) | scalars.filter(lambda value: value == value)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)


def endless():
    ring = {"model": []}
    ring["model"].append(ring)
    return ring


def at(place, value):
    """Return an overlay that has a value at a place."""
    for part in reversed(place):
        value = {part: value}
    return value


overlays = st.dictionaries(st.sampled_from([place[0] for place in PLACES]) | keys, values) | (
    st.builds(at, st.sampled_from(PLACES), values)
)


def refusal(function, *given):
    """Call a function; return what it gives, and what it says if it refuses: in one short line."""
    value, said = None, ""
    try:
        value = function(*given)
    except HyConError as error:
        said = str(error)
        line = len(said.splitlines()) == 1 and len(said) < 3000
        assert line, said
    return value, said


def accepted(overlay):
    """Return whether parameters with an overlay are taken."""
    return isinstance(refusal(load, ROOT, overlay)[0], Params)


@pytest.fixture(scope="module", autouse=True)
def read_once():
    """Take the real files as they were read once: reading them is most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "read_yaml", lambda path: FILES[path.name])
        yield


@settings(max_examples=200, deadline=None, derandomize=True)
@given(overlays)
def test_any_values_anywhere_are_taken_or_refused_in_one_line(overlay):
    accepted(overlay)


@pytest.mark.parametrize("overlay", [endless(), at(("train", "lambdas"), endless())])
def test_an_overlay_without_end_is_refused(overlay):
    assert not accepted(overlay)


def mutated(whole, edits):
    """Return bytes with some taken away, replaced, or repeated from elsewhere."""
    content = bytearray(whole)
    for place, length, new, source in edits:
        place, source = place % len(content), source % len(content)
        content[place : place + length] = new or content[source : source + length]
    return bytes(content)


edits = st.lists(
    st.tuples(
        st.integers(0, 2**20), st.integers(0, 20), st.binary(max_size=8), st.integers(0, 2**20)
    ),
    min_size=1,
    max_size=5,
)
# what means something in YAML
signs = st.lists(
    st.sampled_from([*"[]{}:,-?&*!|>'\"#%@`\n \t", "&a", "*a", "<<", ": ", "- ", "!!", "!!set",
                     "!!binary", "!!timestamp", "!!int", "!!python/name:os", "0x", "1_0:9", ".inf",
                     "2001-99-99", "a", "seeds", "train", "---\n", "...\n", "\ufeff", "\\x"]),
    max_size=25,
).map("".join)  # fmt: skip


@settings(max_examples=200, deadline=None, derandomize=True)
@given(signs | st.text(max_size=40), st.sampled_from([None, "train", "seeds", "catalogue"]))
def test_any_text_is_read_or_refused_and_may_be_an_overlay(tmp_path_factory, text, key):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    overlay, said = refusal(read_yaml, path)
    if not said:
        accepted(overlay)
    accepted({key: read_texts(text)} if key else read_texts({"x": [text]}))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.sampled_from(loading.FILES), edits)
def test_the_real_files_are_read_or_refused_whatever_is_changed_in_them(
    tmp_path_factory, name, edits
):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(mutated(WHOLE[name], edits))
    content, said = refusal(read_yaml, path)
    if said:
        return
    before = FILES[name]
    FILES[name] = content
    try:
        accepted({})
    finally:
        FILES[name] = before


# sequences


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    """Return small sequences as bytes: plain, of words, packed, of the newest format, of texts."""
    folder, made = tmp_path_factory.mktemp("sequences"), []
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    for version, features, options in (
        (None, numbers, {}),
        (None, np.array([[b"good"], [b"sp"]]), {}),
        (None, numbers, {"chunks": (1, 3), "compression": 4, "shuffle": True}),
        ("latest", numbers, {"chunks": (2, 3), "fletcher32": True}),
        ("latest", np.array([["a"], ["b"]], dtype=h5py.string_dtype()), {}),
    ):
        path = folder / f"{len(made)}.csd"
        with h5py.File(path, "w", libver=version) as file:
            file["root/metadata/root name"] = b"x"
            for video in ("v1", "v2"):
                file[f"root/data/{video}/intervals"] = [[0, 1], [1, 2.5]]
                file.create_dataset(f"root/data/{video}/features", data=features, **options)
        made.append(path.read_bytes())
    return made


def read_all(path):
    with open_sequence(path) as sequence:
        for video in sequence.videos:
            assert video in sequence
            intervals, features = sequence.read(video)
            assert intervals.shape == (len(features), 2)
            if features.dtype.kind == "S" and features.shape[1]:
                assert len(words_of(features)) == len(features)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.integers(0, 4), edits)
def test_any_bytes_are_a_sequence_or_refused_and_take_little_memory(
    tmp_path_factory, sequences, which, edits
):
    path = tmp_path_factory.getbasetemp() / "any.csd"
    content = mutated(sequences[which], edits)
    path.write_bytes(content)
    tracemalloc.start()
    try:
        said = refusal(read_all, path)[1]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MEMORY
    assert not said or str(path) in said


def test_the_sequences_themselves_are_read(tmp_path, sequences):
    for number, content in enumerate(sequences):
        path = tmp_path / "whole.csd"
        path.write_bytes(content)
        if number < 4:
            read_all(path)
        else:
            with pytest.raises(HyConError, match="texts of a fixed length"):
                read_all(path)
