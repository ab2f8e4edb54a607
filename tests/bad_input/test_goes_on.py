"""What is broken in a part only does not stop the rest: it goes on, and counts what it found."""

import json
from typing import Any, NamedTuple

import numpy as np
import pytest

from hycon.corpus.utterances import read_table
from hycon.params import Encoder
from tests.bad_input.breaks import every, first, folds

FIRST = "sample_00"  # the first video in the order of reading
STRANGE = "a\u200bb \u202eright to left\u202c שלום مرحبا 🎬👩‍👩‍👧 ﬁ\u0301 \u2067x\u2069 \x00 ..."


class Case(NamedTuple):
    """A name, how the input is broken, and what more the report then says, by its keys."""

    name: str
    breaks: Any
    counts: dict[str, Any]


# how things are broken


def without(name, *videos):
    def breaks(place):
        with place.sequence(name) as data:
            for video in videos:
                del data[video]

    return breaks


def rows(name, change):
    """Change intervals and features of the first video, in place; take rows away with a slice."""

    def changed(times, values):
        result = change(times, values)
        return (times, values) if result is None else result

    return first(name, changed)


def marked(row, column, value):
    """Set a start (column 0) or an end (1)."""

    def change(times, values):
        times[row, column] = value

    return change


def valued(row, value):
    def change(times, values):
        values[row] = value

    return change


def turned(row):
    """Let a row end before it starts."""

    def change(times, values):
        times[row] = times[row, ::-1]

    return change


def instant(times, values):
    times[0, 1] = times[0, 0]


def unfold(content):
    for videos in content.values():
        if FIRST in videos:
            videos.remove(FIRST)


def twice(times, values):
    return np.concatenate([times, times[:1]]), np.concatenate([values, values[:1]])


def nothing(times, values):
    return times[:0], values[:0]


def unseen(place):
    """Take the visual frames away that overlap the first labelled segment."""
    with place.sequence("labels") as data:
        start, end = data[FIRST]["intervals"][0]

    def change(times, values):
        kept = (times[:, 1] <= start) | (times[:, 0] >= end)
        return times[kept], values[kept]

    rows("vision", change)(place)


def pause(place):
    """Leave no word but a pause in the first labelled segment."""
    with place.sequence("labels") as data:
        start, end = data[FIRST]["intervals"][0]

    def change(times, values):
        values[(times[:, 1] > start) & (times[:, 0] < end)] = b"sp"

    rows("words", change)(place)


def said(*words):
    """Say other words, one after the other, in the first word of the first labelled segment."""

    def breaks(place):
        with place.sequence("labels") as data:
            start = data[FIRST]["intervals"][0, 0]

        def change(times, values):
            row = int(np.searchsorted(times[:, 0], start + 1e-4, side="right")) - 1
            edges = np.linspace(*times[row], len(words) + 1)
            spans = np.column_stack([edges[:-1], edges[1:]])
            others = np.array([[word.encode()] for word in words])
            return (
                np.concatenate([times[:row], spans, times[row + 1 :]]),
                np.concatenate([values[:row], others, values[row + 1 :]]),
            )

        rows("words", change)(place)

    return breaks


def label(row, value):
    return rows("labels", valued(row, value))


CASES = [
    Case("a video all NaN in one modality", rows("audio", valued(slice(None), np.nan)),
         {"modalities.audio.NaN": lambda more: more > 1000}),
    Case("infinities", rows("vision", valued((slice(None), 0), np.inf)),
         {"modalities.vision.infinite": lambda more: more > 10}),
    Case("a video missing in one modality", without("audio", FIRST),
         {"modalities.audio.videos missing": 1,
          "modalities.audio.utterances without a frame": lambda more: more > 3}),
    Case("a video missing in all modalities but the words",
         lambda place: [without(name, FIRST)(place) for name in ("audio", "vision", "vectors")],
         {f"modalities.{name}.videos missing": 1 for name in ("audio", "vision", "vectors")}),
    Case("a video without words", without("words", FIRST),
         {"dropped, by reason.the video has no words": lambda more: more > 3}),
    Case("a video of no words", rows("words", nothing),
         {"utterances without words": lambda more: len(more) > 3}),
    Case("a video of no frames", rows("vision", nothing),
         {"modalities.vision.videos without a frame": 1}),
    Case("a video of no segments", rows("labels", nothing), {"videos": -1}),
    Case("an utterance without visual frames", unseen,
         {"modalities.vision.utterances without a frame": 1}),
    Case("an empty utterance", pause, {"utterances without words": [f"{FIRST}[0]"]}),
    Case("a segment that ends before it starts", rows("labels", turned(0)),
         {"dropped, by reason.it ends before it starts": 1}),
    Case("a segment of no length", rows("labels", instant),
         {"segments of no length": 1, "utterances without words": [f"{FIRST}[0]"]}),
    Case("a segment without a start", rows("labels", marked(0, 0, np.nan)),
         {"dropped, by reason.its start or end is not a finite number": 1}),
    Case("a segment that ends never", rows("labels", marked(0, 1, np.inf)),
         {"dropped, by reason.its start or end is not a finite number": 1}),
    Case("a segment twice", rows("labels", twice),
         {"segments with the times of another": 1, "videos": 0}),
    Case("a label NaN", label(0, np.nan), {"dropped, by reason.label is not a finite number": 1}),
    Case("a label infinite", label(0, np.inf),
         {"dropped, by reason.label is not a finite number": 1}),
    Case("a label outside [-3, 3]", label(0, 3.5),
         {"dropped, by reason.score 3.5 is outside [-3, 3]": 1}),
    Case("labels missing", without("labels", FIRST),
         {"videos of the folds without labels": [FIRST]}),
    Case("5,000 words of 36 letters", said(*["interminable" * 3] * 5000),
         {"dropped, by reason.its text or name is longer than 100000 characters": 1}),
    Case("a video in no fold", folds(unfold),
         {"dropped, by reason.the video is in no fold": lambda more: more > 3}),
    Case("an unknown video in a fold", folds(lambda content: content["test"].append("smaple_9")),
         {"videos of the folds without labels": ["smaple_9"]}),
    Case("a word that ends before it starts", rows("words", turned(1)),
         {"left out of the words file.words that end before they start": 1}),
    Case("a word without a time", rows("words", marked(1, 0, np.nan)),
         {"left out of the words file.words without a time": 1}),
    Case("a word without a letter", rows("words", valued(1, b"  ")),
         {"left out of the words file.words without a letter": 1}),
    Case("frames that end before they start", rows("audio", turned([5, 6])),
         {"modalities.audio.frames that end before they start": 2}),
    Case("frames without a time", rows("audio", marked([5, 6], 1, np.nan)),
         {"modalities.audio.frames without a time": 2}),
]  # fmt: skip


def at(report, keys):
    """Return what a report says at a dotted key; 0 or nothing where it says nothing."""
    value = report
    for key in keys.split(".", maxsplit=2 if keys.startswith("modalities") else 1):
        value = value.get(key, 0)
    return value


@pytest.fixture(scope="module")
def before(whole):
    return json.loads((whole / "aligned/report.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_part_that_is_broken_is_counted_and_the_rest_goes_on(case, place, before):
    case.breaks(place)
    place.start("align")
    report = place.report()
    for keys, expected in case.counts.items():
        found, usual = at(report, keys), at(before, keys)
        if isinstance(found, list):
            more = [one for one in found if one not in (usual or [])]
        else:
            more = found - usual
        assert expected(more) if callable(expected) else more == expected
    assert all(report["utterances"].values())


def test_of_a_whole_corpus_the_report_speaks_of_nothing_rare(before):
    rare = (
        "before they start",
        "more than",
        "without a time",
        "without a letter",
        "without labels",
        "another",
    )
    assert not [word for word in rare if word in json.dumps(before)]


def test_training_goes_on_with_what_all_of_it_leaves(place):
    for breaks in (
        rows("audio", valued(slice(None), np.nan)),
        without("vision", FIRST),
        rows("words", turned(1)),
        pause,
        every("vectors", lambda times, values: (times, values * np.float32(1e30))),
    ):
        breaks(place)
    place.start("align")
    (place / "aligned").rename(place / "before")
    (place / "out").rename(place / "aligned")
    for stage, output in (("encode", "states"), ("train", "runs")):
        (place / output).rename(place / f"{output} before")
        place.start(stage)
        (place / "out").rename(place / output)
    place.start("evaluate")
    scores = json.loads((place / "out").read_text())["seeds"]["1"]
    assert np.isfinite(list(scores["test"].values())).all()


@pytest.mark.parametrize("words", [STRANGE.split(" "), ["\u200b", "\u202e"], ["e\u0301"] * 3])
def test_strange_letters_come_through_as_they_are_and_are_encoded(place, words):
    said(*words)(place)
    place.start("align")
    spoken = " ".join(word for word in words if word.strip("\0"))
    text = next(u.text for u in read_table(place / "out/utterances.csv") if u.video == FIRST)
    assert spoken in text
    states = encoded(place)
    assert np.isfinite(states).all()


def test_bytes_that_are_no_text_become_marks(place):
    rows("words", valued(slice(1, None), b"\xff\xfe"))(place)
    place.start("align")
    texts = [u.text for u in read_table(place / "out/utterances.csv") if u.video == FIRST]
    assert any("\ufffd\ufffd" in text for text in texts)


def test_an_utterance_of_5000_words_is_read_and_cut_for_the_encoder(place, capsys):
    said(*["interminable"] * 5000)(place)
    place.start("align")
    said_of = capsys.readouterr().err
    assert "1 utterances have more than 1000 words (sample_00[" in said_of
    assert len(place.report()["utterances of more than 1000 words"]) == 1
    utterance = max(read_table(place / "out/utterances.csv"), key=lambda one: one.words)
    assert utterance.words >= 5000
    assert len(utterance.text) > 60_000
    encoded(place)
    assert "1 texts cut to 128 tokens" in capsys.readouterr().err
    assert json.loads((place / "out/encoder.json").read_text())["utterances cut"] == 1


def encoded(place):
    """Encode what was aligned with the tiny model; return its states."""
    (place / "aligned").rename(place / "before")
    (place / "out").rename(place / "aligned")
    place.encoder = Encoder(label="e", kind="transformer", model="tiny:bert")
    place.start("encode")
    return np.load(place / "out/states.npy")
