"""From computational sequences to aligned utterances, on a corpus small enough to check by hand."""

import json

import h5py
import numpy as np
import pytest

from hycon.corpus.build import build
from hycon.corpus.folds import fold_of_video, read_folds, standard_folds
from hycon.corpus.labels import read_label, sentiment_classes
from hycon.corpus.utterances import read_offsets, read_rows, read_table
from hycon.errors import HyConError
from hycon.stages import align

FOLD_OF = {"v1": "train", "v10": "valid", "v2": "test", "v3": "test"}


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
    return paths


def built(files, folder):
    folder.mkdir()
    report = build(files, FOLD_OF, None, 1e-5, folder)
    table = read_table(folder / "utterances.csv")
    offsets = read_offsets(folder / "offsets.npy", len(table))
    return report, table, offsets


def test_utterances_keep_the_files_order_and_hold_the_words_that_their_rows_stand_on(
    files, tmp_path
):
    _, table, offsets = built(files, tmp_path / "out")
    assert [(u.id, u.fold, u.label, u.text) for u in table] == [
        ("v1[0]", "train", "2.4", "good one"),
        ("v1[1]", "train", "-1.0", "a"),
        ("v1[2]", "train", "0.0", ""),
        ("v10[0]", "valid", "3.0", "the film was good"),
        ("v2[0]", "test", "-0.2", "it is"),  # `is` is cut by the boundary and counts
        ("v3[0]", "test", "1.0", "the film"),
    ]
    assert [u.words for u in table] == [2, 1, 0, 4, 2, 2]
    np.testing.assert_array_equal(np.diff(offsets), [2, 1, 1, 4, 2, 2])


def test_rows_are_means_over_whole_words_and_a_pause_has_the_mean_of_its_segment(files, tmp_path):
    _, _, offsets = built(files, tmp_path / "out")
    audio = read_rows(tmp_path / "out/audio.npy", offsets[-1])
    vision = read_rows(tmp_path / "out/vision.npy", offsets[-1])
    nan = np.nan  # at first where a frame held -inf, later where there is no frame
    expected = [nan, 6.5, 0.5, 2.5, 0.5, 2.5, 4.5, 6.5, 0.5, 2.5, 0.5, 2.5]
    np.testing.assert_array_equal(audio[:, 0], expected)
    np.testing.assert_array_equal(
        vision[:, 0], [nan, nan, 1.5, nan, 1.5, nan, nan, nan, 1.5, nan, nan, nan]
    )
    assert audio.dtype == np.float32


def test_the_report_counts_what_was_missing_and_names_what_was_dropped(files, tmp_path):
    report, _, _ = built(files, tmp_path / "out")
    assert report == json.loads((tmp_path / "out/report.json").read_text())
    assert report["utterances"] == {"train": 3, "valid": 1, "test": 2}
    assert report["utterances without words"] == ["v1[2]"]
    assert {(d["video"], d["segment"], d["reason"]) for d in report["dropped"]} == {
        ("v2", 1, "label is not a finite number"),
        ("v4", 0, "the video is in no fold"),
    }
    assert report["modalities"]["audio"]["infinite"] == 1
    assert report["left out of the words file"] == {"pauses": 1, "words of no length": 1}
    assert report["modalities"]["vision"]["videos missing"] == 1
    # v1[0], v1[2], v3[0] see no vision frame
    assert report["modalities"]["vision"]["utterances without a frame"] == 3
    # of twelve boundaries those at 1.5 s cut `is` (the dropped segment's own do not count)
    assert report["segment boundaries that cut a word"] == pytest.approx(1 / 12)


@pytest.mark.parametrize(("shift", "warned"), [(0.0, False), (0.5, True)])
def test_words_and_labels_of_different_alignments_are_noticed(
    files, tmp_path, shift, warned, capsys
):
    videos = ("v1", "v10", "v2", "v3")
    times = np.array([[0, 2], [2, 4]]) + shift
    write(files["labels"], {v: (times, np.ones((2, 1), np.float32)) for v in videos})
    folds = {"train": ["v1"], "valid": ["v10"], "test": ["v2", "v3"]}
    (tmp_path / "folds.json").write_text(json.dumps(folds))
    paths = {name: {"path": f"{name}.csd"} for name in files} | {"folds": {"path": "folds.json"}}
    options = {
        "--corpus": json.dumps({"title": "t", "task": "regression", "files": paths}),
        "--settings": '{"epsilon": 1e-5}',
        "--raw": str(tmp_path),
        "--output": str(tmp_path / "out"),
    }
    align.main([part for option in options.items() for part in option])
    assert ("boundaries cut a word" in capsys.readouterr().err) == warned


def test_a_corpus_without_word_vectors_has_vectors_of_width_zero(files, tmp_path):
    _, _, offsets = built(files, tmp_path / "out")
    assert read_rows(tmp_path / "out/vectors.npy", offsets[-1]).shape == (12, 0)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(b"html"), "not a readable HDF5 file"),
        (lambda path: path.write_bytes(path.read_bytes()[:900]), "not a readable HDF5 file"),
        (lambda path: path.unlink(), "no such file"),
        (lambda path: h5py.File(path, "w").close(), "expected one root group"),
        (lambda path: write(path, {}), "holds no video"),
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


def test_external_links_of_a_sequence_are_not_followed(files, tmp_path):
    with h5py.File(tmp_path / "evil.csd", "w") as file:
        file["root"] = h5py.ExternalLink(str(files["audio"]), "/audio_root")
    files["audio"] = tmp_path / "evil.csd"
    with pytest.raises(HyConError, match="expected one root group"):
        built(files, tmp_path / "out")


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


def test_damaged_arrays_are_refused_with_their_name(files, tmp_path):
    _, table, _ = built(files, tmp_path / "out")
    path = tmp_path / "out/offsets.npy"
    np.save(path, np.array([0, 2, 1, 5, 6, 7, 8]))
    with pytest.raises(HyConError, match="do not ascend"):
        read_offsets(path, len(table))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(HyConError, match=r"offsets\.npy: missing or damaged"):
        read_offsets(path, len(table))
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(HyConError, match=r"offsets\.npy: missing or damaged"):
        read_rows(path)
