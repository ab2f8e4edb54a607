"""From computational sequences to aligned utterances, on a corpus small enough to check by hand."""

import hashlib
import json
import shutil

import h5py
import numpy as np
import pytest

from hycon.corpus import from_sequences
from hycon.corpus.build import Report, build
from hycon.corpus.folds import fold_of_video, read_folds, standard_folds
from hycon.corpus.labels import read_label, sentiment_classes
from hycon.corpus.utterances import read_ragged, read_split, read_table
from hycon.errors import HyConError
from hycon.params import AlignConfig, Corpus
from hycon.plan.tasks import AlignTask
from tests.running import run_stage

FOLDS = {"train": ["v1"], "valid": ["v10"], "test": ["v2", "v3"]}
ALIGN = AlignConfig(epsilon=1e-5, mode="words", longest={"audio": 3, "vision": 500})


def write(path, videos):
    """Write a computational sequence: {video: (intervals, features)}."""
    with h5py.File(path, "w") as file:
        data = file.create_group(f"{path.stem}_root/data")
        for video, (intervals, features) in videos.items():
            group = data.create_group(video)
            group["intervals"] = np.asarray(intervals)
            group["features"] = np.asarray(features)


def words(*tokens):
    return np.array([[token.encode()] for token in tokens])


@pytest.fixture
def files(tmp_path):
    """Return a corpus in which every second of a video is a word, and a frame half a second."""
    seconds = np.stack([np.arange(4.0), np.arange(1.0, 5.0)], axis=1)
    halves = np.stack([np.arange(8) / 2, np.arange(1, 9) / 2], axis=1)
    frames = np.arange(8, dtype=np.float32)[:, None]
    plain = (seconds, words("the", "film", "was", "good"))
    content = {
        "words": {
            "v1": (seconds, words("a", "sp", "good", "one")),
            "v10": plain,
            "v2": (np.array([[0, 1], [1, 1], [1, 2], [2, 4]]), words("it", "zero", "is", "bad")),
            "v3": plain,
        },
        "audio": dict.fromkeys(("v1", "v10", "v2", "v3"), (halves, frames)),
        "vision": dict.fromkeys(("v10", "v1", "v2"), (halves[:2], frames[:2] + 1)),
        "labels": {
            # not in time order; the last of v1 is a pause
            "v1": ([[2, 4], [0, 1], [1, 2]], np.array([[2.4], [-1.0], [0.0]], np.float32)),
            "v10": ([[0, 4]], np.array([[3.0]], np.float32)),
            "v2": ([[0, 1.5], [1.5, 4]], np.array([[-0.2], [np.nan]], np.float32)),
            "v3": ([[0, 2]], np.array([[1.0]], np.float32)),
            "v4": ([[0, 2]], np.array([[1.0]], np.float32)),
        },
    }
    content["audio"]["v1"] = (halves, frames.copy())
    content["audio"]["v1"][1][5] = -np.inf
    paths = {name: tmp_path / f"{name}.csd" for name in content}
    for name, videos in content.items():
        write(paths[name], videos)
    paths["folds"] = tmp_path / "folds.json"
    paths["folds"].write_text(json.dumps(FOLDS))
    return paths


def entry(files, **more):
    """Return a catalogue's entry of the files."""
    paths = {name: {"path": path.name} for name, path in files.items()}
    return Corpus.model_validate({"title": "t", "task": "regression", "files": paths, **more})


def aligned(files, folder, **more):
    """Run the stage on the files; its output goes to `out`."""
    corpus = entry(files, **more)
    run_stage("align", AlignTask(corpus=corpus, settings=ALIGN, raw=folder, output=folder / "out"))


def built(files, folder, mode="words"):
    """Return the report, the table, and audio and vision."""
    folder.mkdir()
    report = Report()
    settings = ALIGN.model_copy(update={"mode": mode})
    found = from_sequences.read(files, entry(files), settings, report)
    content = build(found, report, folder, files["labels"])
    table = read_table(folder / "utterances.csv")
    arrays = (read_ragged(folder / f"{name}.npy", len(table)) for name in ("audio", "vision"))
    return content, table, *arrays


def test_utterances_keep_the_files_order_and_hold_the_words_that_their_rows_stand_on(
    files, tmp_path
):
    _, table, audio, vision = built(files, tmp_path / "out")
    assert [(u.id, u.fold, u.label, u.text) for u in table] == [
        ("v1[0]", "train", "2.4", "good one"),
        ("v1[1]", "train", "-1.0", "a"),
        ("v1[2]", "train", "0.0", ""),
        ("v10[0]", "valid", "3.0", "the film was good"),
        ("v2[0]", "test", "-0.2", "it is"),  # `is` is cut by the boundary and counts
        ("v3[0]", "test", "1.0", "the film"),
    ]
    assert [u.words for u in table] == [2, 1, 0, 4, 2, 2]
    np.testing.assert_array_equal(np.diff(audio.offsets), [2, 1, 1, 4, 2, 2])
    np.testing.assert_array_equal(audio.offsets, vision.offsets)


def test_rows_are_means_over_whole_words_and_a_pause_has_the_mean_of_its_segment(files, tmp_path):
    _, _, (audio, _), (vision, _) = built(files, tmp_path / "out")
    nan = np.nan  # at first where a frame held -inf, later where there is no frame
    expected = [nan, 6.5, 0.5, 2.5, 0.5, 2.5, 4.5, 6.5, 0.5, 2.5, 0.5, 2.5]
    np.testing.assert_array_equal(audio[:, 0], expected)
    np.testing.assert_array_equal(
        vision[:, 0], [nan, nan, 1.5, nan, 1.5, nan, nan, nan, 1.5, nan, nan, nan]
    )
    assert audio.dtype == np.float32


def test_the_report_counts_what_was_missing_and_names_what_was_dropped(files, tmp_path):
    report, *_ = built(files, tmp_path / "out")
    assert report == json.loads((tmp_path / "out/report.json").read_text())
    assert report["utterances"] == {"train": 3, "valid": 1, "test": 2}
    assert report["utterances without words"] == ["v1[2]"]
    assert {(d["video"], d["segment"], d["reason"]) for d in report["dropped"]} == {
        ("v2", 1, "label is not a finite number"),
        ("v4", 0, "the video is in no fold"),
    }
    assert report["dropped, by reason"] == {
        "label is not a finite number": 1,
        "the video is in no fold": 1,
    }
    assert report["modalities"]["audio"]["infinite"] == 1
    assert report["left out of the words file"] == {"pauses": 1, "words of no length": 1}
    assert report["modalities"]["vision"]["videos missing"] == 1
    # v1[0], v1[2], v3[0] see no vision frame
    assert report["modalities"]["vision"]["utterances without a frame"] == 3
    # of twelve boundaries those at 1.5 s cut `is` (the dropped segment's own do not count)
    assert report["segment boundaries that cut a word"] == pytest.approx(1 / 12)


@pytest.mark.parametrize(
    ("shift", "allowed", "warned"),
    [(0.0, {}, False), (0.5, {}, True), (0.5, {"cut_boundaries": 1.0}, False)],
)
def test_words_and_labels_of_different_alignments_are_noticed(
    files, tmp_path, shift, allowed, warned, capsys
):
    videos = ("v1", "v10", "v2", "v3")
    times = np.array([[0, 2], [2, 4]]) + shift
    write(files["labels"], {v: (times, np.ones((2, 1), np.float32)) for v in videos})
    aligned(files, tmp_path, **allowed)
    assert ("boundaries cut a word" in capsys.readouterr().err) == warned


def test_a_file_that_changed_after_it_was_fetched_is_refused(files, tmp_path):
    digest = hashlib.sha256(files["audio"].read_bytes()).hexdigest()
    record = tmp_path / "audio.csd.sha256"
    record.write_text(f"{digest}  audio.csd\n")
    aligned(files, tmp_path)
    shutil.copy(files["vision"], files["audio"])
    with pytest.raises(HyConError, match=f"audio.csd: sha256 is .*, expected {digest} as audio"):
        aligned(files, tmp_path)


def test_a_corpus_without_word_vectors_has_vectors_of_width_zero(files, tmp_path):
    _, table, *_ = built(files, tmp_path / "out")
    assert read_ragged(tmp_path / "out/vectors.npy", len(table)).values.shape == (6, 0)


def test_unaligned_every_modality_keeps_its_own_frames_in_order_of_time(files, tmp_path):
    report, table, audio, vision = built(files, tmp_path / "out", "unaligned")
    # v1[0] lasts from 2 to 4 s: four frames of half a second, of which three are kept
    np.testing.assert_array_equal(np.diff(audio.offsets), [3, 2, 2, 3, 3, 3])
    np.testing.assert_array_equal(audio.values[:7, 0], [4, np.nan, 6, 0, 1, 2, 3])
    assert report["modalities"]["audio"]["utterances cut"] == 3
    # vision has the frames of the first second only; none is one row of which nothing is known
    np.testing.assert_array_equal(np.diff(vision.offsets), [1, 2, 1, 2, 2, 1])
    np.testing.assert_array_equal(vision.values[:4, 0], [np.nan, 1, 2, np.nan])
    assert [u.text for u in table][:2] == ["good one", "a"]


def test_a_split_is_its_utterances_with_their_rows(files, tmp_path):
    built(files, tmp_path / "out")
    utterances, rows = read_split(tmp_path / "out", "test")
    assert [u.id for u in utterances] == ["v2[0]", "v3[0]"]
    np.testing.assert_array_equal(rows["audio"].offsets, [0, 2, 4])
    np.testing.assert_array_equal(rows["audio"].values[:, 0], [0.5, 2.5, 0.5, 2.5])
    np.testing.assert_array_equal(
        rows["audio"].padded(3)[:, :, 0], [[0.5, 2.5, 0.0], [0.5, 2.5, 0.0]]
    )
    np.testing.assert_array_equal(rows["audio"].padded(1)[:, :, 0], [[0.5], [0.5]])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(b"html"), "not a readable HDF5 file"),
        (lambda path: path.write_bytes(path.read_bytes()[:900]), "not a readable HDF5 file"),
        (lambda path: path.unlink(), "no such file"),
        (lambda path: h5py.File(path, "w").close(), "expected one root group"),
        (lambda path: write(path, {}), "no video has rows"),
        (lambda path: write(path, {"v1": ([[0, 1]], [[1.0], [2.0]])}), "1 intervals but 2 rows"),
        (lambda path: write(path, {"v1": ([[0, 1]], [1.0])}), r"expected (n, 2) and (n, D)"),
        (lambda path: h5py.File(path, "w").create_dataset("a/data/v1", data=1), "lacks intervals"),
    ],
)
def test_a_broken_sequence_is_refused_with_its_name_and_what_is_wrong(
    files, tmp_path, damage, said
):
    damage(files["audio"])
    with pytest.raises(HyConError) as caught:
        built(files, tmp_path / "out")
    assert said in str(caught.value)
    assert str(files["audio"]) in str(caught.value)


def test_a_video_in_two_folds_is_refused():
    with pytest.raises(HyConError, match="video b is in the folds train and test"):
        fold_of_video({"train": ["a", "b"], "valid": ["c"], "test": ["b"]}, "folds.json")
    with pytest.raises(HyConError, match="the fold valid is empty"):
        fold_of_video({"train": ["a"], "valid": [], "test": ["b"]}, "folds.json")


@pytest.mark.parametrize(
    "text", ["[]", '{"train": []}', '{"train": 1, "valid": 2, "test": 3}', "<"]
)
def test_folds_of_another_form_are_refused(tmp_path, text):
    path = tmp_path / "folds.json"
    path.write_text(text)
    with pytest.raises(HyConError, match=r"folds\.json"):
        read_folds(path)


def test_the_standard_folds_of_mosi_hold_52_10_and_31_videos():
    folds = standard_folds("cmu_mosi")
    assert [len(folds[name]) for name in ("train", "valid", "test")] == [52, 10, 31]
    assert len(fold_of_video(folds, "cmu_mosi")) == 93


def test_labels_are_scores_as_they_were_meant_or_one_emotion():
    assert read_label(np.array([2.4], np.float32), None) == "2.4"
    assert read_label(np.array([0, 1, 0]), ["a", "b", "c"]) == "b"
    for row, emotions in (
        ([3.2], None),
        ([np.nan], None),
        ([0, 0], ["a", "b"]),
        ([1, 1], ["a", "b"]),
    ):
        with pytest.raises(ValueError, match=r"outside|finite|exactly one"):
            read_label(np.array(row), emotions)


def test_classes_of_scores_by_each_scheme():
    scores = np.array([-3.0, -0.4, 0.0, 0.5, 1.5, 2.6])
    assert sentiment_classes(scores, "sign").tolist() == [0, 0, 1, 1, 1, 1]
    assert sentiment_classes(scores, "polarity").tolist() == [0, 0, 1, 2, 2, 2]
    assert sentiment_classes(scores, "seven").tolist() == [0, 3, 3, 3, 5, 6]
    with pytest.raises(ValueError, match="sign, polarity or seven"):
        sentiment_classes(scores, "two")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-8]), "missing or damaged"),
        (lambda path: path.write_bytes(path.read_bytes() + b"more"), "bytes, expected"),
        (lambda path: path.write_bytes(b""), "missing or damaged"),
        (lambda path: path.unlink(), "missing or damaged"),
        (lambda path: np.save(path, np.array([{}]), allow_pickle=True), "missing or damaged"),
        (lambda path: np.save(path, np.array(["text"])), "expected numbers"),
    ],
)
@pytest.mark.parametrize("name", ["audio.npy", "audio.offsets.npy"])
def test_damaged_arrays_are_refused_with_their_name(files, tmp_path, name, damage, said):
    _, table, *_ = built(files, tmp_path / "out")
    path = tmp_path / "out" / name
    damage(path)
    with pytest.raises(HyConError) as caught:
        read_ragged(tmp_path / "out/audio.npy", len(table))
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)


def test_arrays_and_offsets_that_do_not_fit_are_refused(files, tmp_path):
    _, table, audio, _ = built(files, tmp_path / "out")
    path = tmp_path / "out/audio.npy"
    with pytest.raises(HyConError, match=r"audio\.offsets\.npy: found offsets"):
        read_ragged(path, len(table) + 1)
    np.save(path, audio.values[:-1])
    with pytest.raises(HyConError, match=r"expected 12 rows as its offsets say"):
        read_ragged(path, len(table))
    np.save(tmp_path / "out/audio.offsets.npy", np.array([0, 2, 1, 5, 6, 7, 8]))
    with pytest.raises(HyConError, match="ascend from 0"):
        read_ragged(path, len(table))


def test_without_words_a_segment_has_the_mean_of_its_frames(files, tmp_path):
    del files["words"]
    report, table, audio, _ = built(files, tmp_path / "out")
    assert {(u.words, u.text) for u in table} == {(0, "")}
    assert np.diff(audio.offsets).tolist() == [1] * len(table)
    (last,) = (number for number, u in enumerate(table) if u.id == "v3[0]")
    assert audio.values[last].tolist() == [1.5]  # of the frames 0 to 3
    assert report["segment boundaries that cut a word"] == 0
