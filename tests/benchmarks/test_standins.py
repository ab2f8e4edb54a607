"""The stand-ins of the benchmarks: as the originals are laid out, and good to align."""

import numpy as np
import pytest

from benchmarks.align import align
from benchmarks.standin_pickles import write_mmsa, write_mult
from benchmarks.standins import SHAPES, files_of, write
from hycon.corpus import from_mmsa, from_mult
from hycon.corpus.build import Report
from hycon.corpus.folds import standard_folds
from hycon.corpus.sequences import open_sequence, words_of
from hycon.corpus.utterances import FOLDS, read_split
from hycon.params import AlignConfig, Corpus
from hycon.untrusted.pickles import load_pickle

VIDEOS, SEGMENTS = 9, 40
# path, root, dtype, width, dtype of the intervals
EXPECTED = {
    "mosi": {
        "words": ("language/CMU_MOSI_TimestampedWords.csd", "CMU_MOSI_ModifiedTimestampedWords",
                  "|S12", 1, "float64"),
        "vectors": ("language/CMU_MOSI_TimestampedWordVectors.csd", "glove_vectors",
                    "float32", 300, "float64"),
        "audio": ("acoustic/CMU_MOSI_COVAREP.csd", "COVAREP", "float32", 74, "float32"),
        "vision": ("visual/CMU_MOSI_Visual_Facet_41.csd", "FACET_4.1", "float32", 47, "float32"),
        "labels": ("labels/CMU_MOSI_Opinion_Labels.csd", "Opinion Segment Labels",
                   "float32", 1, "float32"),
    },
    "mosei": {
        "words": ("language/CMU_MOSEI_TimestampedWords.csd", "words", "|S32", 1, "float64"),
        "vectors": ("language/CMU_MOSEI_TimestampedWordVectors.csd", "glove_vectors",
                    "float32", 300, "float64"),
        "audio": ("acoustic/CMU_MOSEI_COVAREP.csd", "COVAREP", "float32", 74, "float32"),
        "vision": ("visual/CMU_MOSEI_VisualFacet42.csd", "FACET 4.2", "float32", 35, "float32"),
        "labels": ("labels/CMU_MOSEI_Labels.csd", "All Labels", "float32", 7, "float64"),
    },
}  # fmt: skip
ALIGN = AlignConfig(epsilon=1e-5, mode="words", longest={"audio": 500, "vision": 375})


@pytest.fixture(scope="module", params=["mosi", "mosei"])
def written(request, tmp_path_factory):
    """Return a corpus, the root of its stand-ins, and their counts."""
    root = tmp_path_factory.mktemp(request.param)
    return request.param, root, write(request.param, root, VIDEOS, SEGMENTS, seconds=2.0)


def read(corpus, root):
    """Return every video's intervals and features by sequence."""
    found = {}
    for name, path in files_of(corpus, root).items():
        with open_sequence(path) as sequence:
            found[name] = {video: sequence.read(video) for video in sequence.videos}
    return found


def test_stand_ins_have_the_paths_roots_widths_and_dtypes_of_the_originals(written):
    import h5py

    corpus, root, counts = written
    found = {}
    for name, path in files_of(corpus, root).items():
        with h5py.File(path) as file:
            ((named, group),) = file.items()
            video = next(iter(group["data"].values()))
            features, intervals = video["features"], video["intervals"]
            assert group["metadata/root name"].shape == (1,)
            found[name] = (
                path.relative_to(root / f"CMU-{corpus.upper()}").as_posix(),
                named,
                str(features.dtype),
                features.shape[1],
                str(intervals.dtype),
            )
    assert found == EXPECTED[corpus]
    rows = {
        name: sum(len(features) for _, features in videos.values())
        for name, videos in read(corpus, root).items()
    }
    assert counts.rows == rows
    assert rows["labels"] == sum(counts.segments.values()) == SEGMENTS


def test_stand_ins_have_the_flaws_of_the_originals(written):
    corpus, root, _ = written
    content = read(corpus, root)
    audio = np.concatenate([features for _, features in content["audio"].values()])
    words = np.concatenate([words_of(features) for _, features in content["words"].values()])
    times = np.concatenate([intervals for intervals, _ in content["words"].values()])
    assert np.isneginf(audio).any()
    assert np.isnan(audio).any()
    assert len(content["vision"]) < len(content["audio"]) == VIDEOS
    assert (times[:, 1] == times[:, 0]).any()
    assert 0.1 < (words == "sp").mean() < 0.2
    assert any((np.diff(times[:, 0]) < 0).any() for times, _ in content["labels"].values())


def test_videos_bear_names_of_the_standard_folds_and_none_is_empty(written):
    corpus, root, counts = written
    folds = standard_folds(f"cmu_{corpus}")
    videos = read(corpus, root)["labels"]
    assert {name: sum(video in folds[name] for video in videos) for name in FOLDS} == {
        "mosi": {"train": 5, "valid": 1, "test": 3},
        "mosei": {"train": 6, "valid": 1, "test": 2},
    }[corpus]
    assert list(counts.segments) == list(FOLDS)


def test_the_same_seed_gives_the_same_arrays_whichever_sequences_are_written(written, tmp_path):
    corpus, root, _ = written
    again = tmp_path / "again"
    write(corpus, again, VIDEOS, SEGMENTS, seconds=2.0)
    write(corpus, tmp_path / "some", VIDEOS, SEGMENTS, seconds=2.0, modalities=["vision"])
    write(corpus, tmp_path / "other", VIDEOS, SEGMENTS, seconds=2.0, seed=1)
    first, second = read(corpus, root), read(corpus, again)
    for name, videos in first.items():
        assert videos.keys() == second[name].keys()
        for video, arrays in videos.items():
            for one, other in zip(arrays, second[name][video], strict=True):
                assert one.tobytes() == other.tobytes()
    assert not files_of(corpus, tmp_path / "some")["audio"].exists()
    for root_, same in ((tmp_path / "some", True), (tmp_path / "other", False)):
        with open_sequence(files_of(corpus, root_)["vision"]) as vision:
            video = vision.videos[0]
            equal = np.array_equal(vision.read(video)[1], first["vision"][video][1])
        assert equal == same


def test_stand_ins_align_to_utterances_of_every_fold(written, tmp_path):
    corpus, root, counts = written
    report = align(corpus, root, tmp_path / "aligned")
    assert report["utterances"] == counts.segments
    assert report["dropped"] == []
    assert report["modalities"]["vision"]["videos missing"] == 1
    assert report["modalities"]["audio"]["infinite"] > 0
    utterances, rows = read_split(tmp_path / "aligned", "train")
    assert len(utterances) == counts.segments["train"]
    assert rows["audio"].values.shape[1] == SHAPES[corpus].tracks["audio"].width
    assert np.isfinite(rows["vectors"].values).all()


def test_at_full_size_the_folds_have_the_sizes_of_the_originals(tmp_path):
    counts = write("mosi", tmp_path, 93, 2199, modalities=["labels"])
    assert counts.segments == {"train": 1284, "valid": 229, "test": 686}


@pytest.mark.parametrize(("videos", "segments"), [(2, 10), (94, 2199), (9, 8)])
def test_sizes_that_no_corpus_can_have_are_refused(tmp_path, videos, segments):
    with pytest.raises(ValueError, match="mosi: cannot make"):
        write("mosi", tmp_path, videos, segments)


def imported(read_, path, corpus):
    """Return what a format's reader makes of a feature file."""
    return list(read_({"features": path}, corpus, ALIGN, Report()))


@pytest.mark.parametrize(
    ("corpus", "steps", "widths", "labels"),
    [
        ("iemocap", 20, (300, 74, 35), (4, 2)),
        ("mosi", 50, (300, 5, 20), (1, 1)),
        ("mosei", 50, (300, 74, 35), (1, 1)),
    ],
)
def test_files_of_mult_have_its_shapes_and_pad_in_front(tmp_path, corpus, steps, widths, labels):
    path = tmp_path / "features.pkl"
    write_mult(path, corpus, (8, 4, 5))
    content = load_pickle(path)
    for fold, count in zip(FOLDS, (8, 4, 5), strict=True):
        for name, width in zip(("text", "audio", "vision"), widths, strict=True):
            assert content[fold][name].shape == (count, steps, width)
            assert content[fold][name].dtype == np.float32
        assert content[fold]["labels"].shape == (count, *labels)
        assert content[fold]["text"][:, -1].any(axis=1).all()
        assert not content[fold]["text"][:, 0].any(axis=1).all()
        assert np.isneginf(content[fold]["audio"]).any()
        assert ("id" in content[fold]) == (corpus != "iemocap")
    if corpus == "iemocap":
        assert (content["train"]["labels"][:, :, 1].sum(axis=1) == 1).all()
        assert (content["train"]["labels"].sum(axis=2) == 1).all()
    else:
        assert content["train"]["id"].shape == (8, 3)
        assert content["train"]["id"].dtype.kind == {"mosi": "S", "mosei": "O"}[corpus]
    emotions = ["neutral", "happy", "sad", "angry"] if corpus == "iemocap" else None
    task = "classification" if emotions else "regression"
    files = {"features": {"path": path.name}}
    entry = Corpus(title="t", task=task, emotions=emotions, format="mult", files=files)
    assert len(imported(from_mult.read, path, entry)) == 17


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize(("corpus", "widths"), [("mosi", (5, 20)), ("mosei", (74, 35))])
def test_files_of_mmsa_have_its_shapes_and_pad_behind(tmp_path, corpus, widths, aligned):
    path = tmp_path / "features.pkl"
    write_mmsa(path, corpus, aligned, (4, 3, 2))
    content = load_pickle(path)
    part, steps = content["train"], (50, 50) if aligned else (500, 375)
    assert [len(content[fold]["id"]) for fold in FOLDS] == [4, 3, 2]
    assert part["text"].shape == (4, 50, 768)
    assert part["text_bert"].shape == (4, 3, 50)
    for name, length, width in zip(("audio", "vision"), steps, widths, strict=True):
        assert part[name].shape == (4, length, width)
        assert part[name][:, 0].any(axis=1).all()
        lengths = part["text_bert"][:, 1].sum(axis=1) if aligned else part[f"{name}_lengths"]
        used = [np.flatnonzero(rows.any(axis=1))[-1] + 1 for rows in part[name]]
        np.testing.assert_array_equal(used, lengths)
    assert part["regression_labels"].shape == (4,)
    assert set(part["annotations"]) <= {"Negative", "Neutral", "Positive"}
    entry = Corpus(
        title="t", task="regression", format="mmsa", files={"features": {"path": path.name}}
    )
    found = imported(from_mmsa.read, path, entry)
    first = found[0][0]
    assert first.video in standard_folds(f"cmu_{corpus}")["train"]
    assert first.words == part["text_bert"][0, 1].sum() - 2
