"""The sample corpus looks like real files, dirt included, and its labels can be learnt."""

import hashlib
import json
import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest

from hycon.errors import HyConError
from hycon.sample import corpus as sample
from hycon.sample.language import (
    embed,
    read_emotion,
    read_sentiment,
    utter,
    vocabulary,
)

SIZES = {
    "sentiment": {"task": "sentiment", "videos": 40, "utterances_per_video": 9, "seed": 7},
    "small sentiment": {"task": "sentiment", "videos": 8, "utterances_per_video": 4, "seed": 7},
    "small emotion": {"task": "emotion", "videos": 8, "utterances_per_video": 4, "seed": 7},
}
TIME = 1e-6  # seconds, less than anything here lasts


class Part(NamedTuple):
    times: np.ndarray
    rows: np.ndarray


class Corpus(NamedTuple):
    folder: Path
    videos: dict[str, dict[str, Part]]  # by video, then by sequence
    metadata: dict[str, dict[str, str]]  # by sequence
    folds: dict[str, list[str]]

    def segments(self):
        """Yield (parts of the video, segment start, segment end, label) of every utterance."""
        for parts in self.videos.values():
            for (start, stop), label in zip(*parts["labels"], strict=True):
                yield parts, start, stop, label


def read(folder: Path) -> Corpus:
    videos: dict[str, dict[str, Part]] = {}
    metadata = {}
    for name in ("words", "vectors", "audio", "vision", "labels"):
        with h5py.File(folder / f"{name}.csd") as file:
            (root,) = file.values()
            metadata[name] = {key: text[0].decode() for key, text in root["metadata"].items()}
            for video, group in root["data"].items():
                part = Part(group["intervals"][()], group["features"][()])
                videos.setdefault(video, {})[name] = part
    return Corpus(folder, videos, metadata, json.loads((folder / "folds.json").read_text()))


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def within(part: Part, start: float, stop: float) -> np.ndarray:
    """Rows that overlap a segment."""
    touched = (part.times[:, 1] > start + TIME) & (part.times[:, 0] < stop - TIME)
    return part.rows[touched]


def words_within(parts: dict[str, Part], start: float, stop: float) -> list[str]:
    tokens = [token.decode() for token in within(parts["words"], start, stop)[:, 0]]
    return [token for token in tokens if token != "sp"]


@pytest.fixture(scope="module", params=SIZES)
def corpus(request, corpora) -> Corpus:
    return corpora[request.param]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> dict[str, Corpus]:
    made = {}
    for name, size in SIZES.items():
        folder = tmp_path_factory.mktemp("sample") / "corpus"
        sample.generate(folder, **size)
        made[name] = read(folder)
    return made


@pytest.fixture(scope="module")
def sentiment(corpora) -> Corpus:
    return corpora["sentiment"]


def test_every_sequence_has_the_form_of_the_real_ones(corpus):
    size = 4 if "emotion" in corpus.metadata["labels"]["dataset name"] else 1
    expected = {
        "words": (1, "S32"),
        "vectors": (50, "f4"),
        "audio": (74, "f4"),
        "vision": (35, "f4"),
        "labels": (size, "f4"),
    }
    for parts in corpus.videos.values():
        assert parts.keys() == expected.keys()
        for name, (columns, dtype) in expected.items():
            assert parts[name].rows.dtype == dtype
            assert parts[name].rows.shape == (len(parts[name].times), columns)
            assert parts[name].times.dtype == np.float64
            assert (parts[name].times[:, 1] >= parts[name].times[:, 0]).all()


@pytest.mark.parametrize(("name", "rate"), [("audio", 100), ("vision", 30)])
def test_frames_come_at_their_rate_and_cover_the_speech_but_do_not_start_at_zero(
    corpus, name, rate
):
    for parts in corpus.videos.values():
        times = parts[name].times
        np.testing.assert_allclose(times[:, 1] - times[:, 0], 1 / rate)
        steps = np.diff(times[:, 0]) * rate
        np.testing.assert_allclose(steps, steps.round(), atol=1e-6)
        assert np.median(steps) == pytest.approx(1)
        assert 0.5 < times[0, 0] < parts["words"].times[0, 0]
        assert times[-1, 1] > parts["words"].times[-1, 1]


def test_tokens_follow_one_another_and_every_word_has_a_vector(corpus):
    for parts in corpus.videos.values():
        times, tokens = parts["words"]
        np.testing.assert_array_equal(times[1:, 0], times[:-1, 1])
        spoken = tokens[:, 0] != b"sp"
        np.testing.assert_array_equal(parts["vectors"].times, times[spoken])
        vectors: dict[bytes, np.ndarray] = {}
        for token, vector in zip(tokens[spoken, 0], parts["vectors"].rows, strict=True):
            np.testing.assert_array_equal(vectors.setdefault(token, vector), vector)


def test_dimensions_have_their_own_ranges_and_some_are_constant(sentiment):
    audio, vision = (
        np.concatenate([parts[name].rows for parts in sentiment.videos.values()])
        for name in ("audio", "vision")
    )
    pitch, voicing = audio[:, 0], audio[:, 1]
    assert 150 < pitch.mean() < 210
    assert 0.4 < voicing.mean() < 0.8
    assert (np.ptp(audio, axis=0) == 0).sum() == 9
    assert (np.ptp(vision, axis=0) == 0).sum() == 1


def test_scores_are_means_of_five_votes(sentiment):
    labels = np.concatenate([parts["labels"].rows for parts in sentiment.videos.values()])
    assert np.abs(labels).max() <= 3
    np.testing.assert_array_equal(labels, ((labels * 5).round() / 5).astype(np.float32))
    assert len(np.unique(labels)) > 20


def test_emotions_are_one_hot_in_the_shares_of_iemocap(corpora):
    labels = np.concatenate([p["labels"].rows for p in corpora["small emotion"].videos.values()])
    assert set(labels.ravel()) == {0, 1}
    np.testing.assert_array_equal(labels.sum(axis=1), 1)
    np.testing.assert_allclose(labels.mean(axis=0), [0.18, 0.23, 0.23, 0.36], atol=0.03)


def test_folds_are_disjoint_and_complete(corpus):
    videos = [video for fold in ("train", "valid", "test") for video in corpus.folds[fold]]
    assert corpus.folds.keys() == {"train", "valid", "test"}
    assert sorted(videos) == sorted(corpus.videos)
    sizes = {8: [5, 1, 2], 40: [24, 6, 10]}
    assert [len(fold) for fold in corpus.folds.values()] == sizes[len(videos)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("task", ["sentiment", "emotion"])
def test_even_a_miniature_trains_on_every_class(tmp_path, task, seed):
    sample.generate(tmp_path / "c", task=task, videos=8, utterances_per_video=4, seed=seed)
    corpus = read(tmp_path / "c")
    labels = np.concatenate([corpus.videos[v]["labels"].rows for v in corpus.folds["train"]])
    if task == "sentiment":
        assert labels.min() < 0 < labels.max()
    else:
        assert labels.any(axis=0).all()


class TestDirt:
    """Each kind occurs in every corpus, and remains rare."""

    def test_there_are_pauses_within_and_between_utterances(self, corpus):
        tokens = np.concatenate([parts["words"].rows for parts in corpus.videos.values()])
        assert 0.05 < (tokens == b"sp").mean() < 0.35

    @pytest.mark.parametrize("bad", [np.isnan, np.isneginf], ids=["nan", "-inf"])
    def test_some_acoustic_frames_are_not_finite(self, corpus, bad):
        frames = np.concatenate([parts["audio"].rows for parts in corpus.videos.values()])
        assert 0 < bad(frames).any(axis=1).mean() < 0.005
        assert not np.isposinf(frames).any()

    def test_some_utterances_have_no_visual_frame(self, corpus):
        seen = [len(within(parts["vision"], *span)) > 0 for parts, *span, _ in corpus.segments()]
        assert 0 < seen.count(False) <= max(1, 0.02 * len(seen))

    def test_some_words_have_no_length(self, corpus):
        lengths = [
            stop - start
            for parts in corpus.videos.values()
            for (start, stop), token in zip(*parts["words"], strict=True)
            if token != b"sp"
        ]
        assert 0 < lengths.count(0) < 0.02 * len(lengths)

    def test_some_segments_end_inside_a_word(self, corpus):
        cut = [
            ((parts["words"].times[:, 0] < stop) & (stop < parts["words"].times[:, 1])).any()
            for parts, _, stop, _ in corpus.segments()
        ]
        assert 0 < sum(cut) <= max(1, 0.02 * len(cut))

    def test_one_segment_has_no_word(self, corpus):
        said = [words_within(parts, *span) for parts, *span, _ in corpus.segments()]
        assert said.count([]) == 1

    def test_labels_of_some_videos_are_not_in_order_of_time(self, corpus):
        ordered = [
            (np.diff(parts["labels"].times[:, 0]) > 0).all() for parts in corpus.videos.values()
        ]
        assert 0 < ordered.count(False) <= max(1, 0.06 * len(ordered))

    def test_metadata_of_the_words_are_bare_strings_and_the_others_json(self, corpus):
        for name, texts in corpus.metadata.items():
            if name == "words":
                with pytest.raises(json.JSONDecodeError):
                    json.loads(texts["root name"])
            else:
                assert {key: json.loads(text) for key, text in texts.items()}

    def test_the_root_of_the_words_is_not_named_after_the_file(self, corpus):
        with h5py.File(corpus.folder / "words.csd") as file:
            assert list(file) == ["Sample_ModifiedTimestampedWords"]
        assert corpus.metadata["words"]["root name"] == "Sample_ModifiedTimestampedWords"

    def test_one_id_is_a_prefix_of_another(self, corpus):
        assert any(b.startswith(a) for a, b in permutations(corpus.videos, 2))


class TestLanguage:
    @pytest.mark.parametrize(
        ("sentence", "value"),
        [
            ("the plot is good", 1.6),
            ("the plot is very good", 2.0),
            ("the plot is not good", -0.8),
            ("the plot is not very good", -1.0),
            ("the plot is a bit boring", -0.8),
            ("i could never hate the cast", 1.8),
            ("it runs for two hours", 0.0),
            ("the plot is not good but the cast is brilliant", -0.8 * 0.4 + 2.4),
            ("the plot is brilliant but the cast is not good", 2.4 * 0.4 - 0.8),
            ("it is a masterpiece and i love the cast", 3.0),
        ],
    )
    def test_sentiment_is_composed_in_order(self, sentence, value):
        assert read_sentiment(sentence.split()) == pytest.approx(value)

    @pytest.mark.parametrize(
        ("sentence", "evidence"),
        [
            ("i am glad", [1, 0, 0, 0.5]),
            ("my mother is angry but i am glad", [1, 0, 0.1, 0.5]),
            ("my mother is glad but i am angry", [0.1, 0, 1, 0.5]),
            ("i am not happy", [0, 0.5, 0, 0.5]),
            ("i am never angry", [0, 0, 0, 1.25]),
            ("the train leaves at nine", [0, 0, 0, 0.5]),
        ],
    )
    def test_emotion_is_the_speakers_own(self, sentence, evidence):
        np.testing.assert_allclose(read_emotion(sentence.split()), evidence)

    @pytest.mark.parametrize("task", ["sentiment", "emotion"])
    def test_utterances_are_short_and_the_vocabulary_is_closed(self, task):
        rng = np.random.default_rng(0)
        sentences = [utter(task, 25, 8, rng) for _ in range(2000)]
        lengths = [len(words) for words in sentences]
        words = vocabulary(task)
        assert 150 <= len(words) <= 300
        assert {word for sentence in sentences for word in sentence} <= words.keys()
        assert min(lengths) >= 3
        assert max(lengths) <= 25
        assert 8 < np.mean(lengths) < 10

    def test_vectors_of_words_of_one_meaning_are_near_each_other(self):
        vectors = embed("sentiment", np.random.default_rng(0))

        def cosine(one: str, other: str) -> float:
            a, b = vectors[one], vectors[other]
            return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

        assert cosine("brilliant", "wonderful") > cosine("brilliant", "terrible") + 0.3
        assert cosine("brilliant", "wonderful") > cosine("brilliant", "um") + 0.3
        assert cosine("monday", "friday") > cosine("monday", "um") + 0.2

    @pytest.mark.parametrize("task", ["sentiment", "emotion"])
    def test_speakers_use_as_few_words_as_they_are_given(self, task):
        rng = np.random.default_rng(0)
        sentences = [utter(task, 6, 2, rng) for _ in range(500)]
        said = {word for sentence in sentences for word in sentence}
        assert {len(words) for words in sentences} == {3, 4, 5, 6}
        assert {"brilliant", "wonderful", "fantastic"} & said <= {"brilliant", "wonderful"}
        assert {"happy", "glad", "thrilled"} & said <= {"happy", "glad"}


def test_the_same_arguments_give_the_same_bytes_in_any_process_and_nothing_is_printed(
    corpora, tmp_path, capfd
):
    program = f"""
from pathlib import Path
from hycon.sample.corpus import generate
generate(Path({str(tmp_path / "again")!r}), **{SIZES["small sentiment"]!r})
"""
    environment = os.environ | {"PYTHONHASHSEED": "123"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert digests(tmp_path / "again") == digests(corpora["small sentiment"].folder)
    assert capfd.readouterr() == ("", "")


def test_another_seed_gives_another_corpus(corpora, tmp_path):
    sample.generate(tmp_path / "other", **SIZES["small sentiment"] | {"seed": 8})
    ours, other = digests(corpora["small sentiment"].folder), digests(tmp_path / "other")
    assert all(ours[name] != other[name] for name in ours if name.endswith(".csd"))


def test_mmsdk_opens_every_file(corpus, capfd):
    from mmsdk import mmdatasdk

    for name in ("words", "vectors", "audio", "vision", "labels"):
        sequence = mmdatasdk.computational_sequence(str(corpus.folder / f"{name}.csd"))
        assert sorted(sequence.keys()) == sorted(corpus.videos)
        sequence.h5handle.close()
    assert "Error" not in capfd.readouterr().out


def test_an_older_sample_is_replaced(corpora, tmp_path):
    folder = tmp_path / "corpus"
    sample.generate(folder, **SIZES["small emotion"])
    sample.generate(folder, **SIZES["small sentiment"])
    assert digests(folder) == digests(corpora["small sentiment"].folder)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_failure_leaves_the_older_sample_as_it_was(tmp_path, monkeypatch):
    folder = tmp_path / "corpus"
    sample.generate(folder, **SIZES["small emotion"])
    before = digests(folder)

    def disk_is_full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(sample, "_write", disk_is_full)
    with pytest.raises(OSError, match="No space left"):
        sample.generate(folder, **SIZES["small sentiment"])
    assert digests(folder) == before
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(HyConError, match=r"thesis\.tex"):
        sample.generate(tmp_path, **SIZES["small sentiment"])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("task", "humour"), ("videos", 7), ("utterances_per_video", 1), ("seed", -1)],
)
def test_arguments_out_of_range_are_named(tmp_path, key, value):
    with pytest.raises(HyConError, match=f"{key}: expected .* found {value!r}"):
        sample.generate(tmp_path / "c", **SIZES["small sentiment"] | {key: value})
