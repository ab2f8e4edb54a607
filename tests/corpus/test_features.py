"""Feature files of MulT and MMSA: in, and out again as MMSA's."""

import pickle

import numpy as np
import pytest

from hycon.corpus import from_mmsa, from_mult
from hycon.corpus.build import Report, build
from hycon.corpus.utterances import read_ragged, read_split, read_table
from hycon.errors import HyConError
from hycon.params import AlignConfig, Corpus

ALIGN = AlignConfig.model_validate(
    {"epsilon": 1e-5, "mode": "words", "longest": {"audio": 4, "vision": 3}}
)
READERS = {"mult": from_mult.read, "mmsa": from_mmsa.read}
EMOTIONS = ["neutral", "happy", "sad", "angry"]


def entry(form, emotions=None):
    task = "classification" if emotions else "regression"
    files = {"features": {"path": "features.pkl"}}
    return Corpus(title="t", task=task, emotions=emotions, format=form, files=files)


def imported(folder, content, form, emotions=None):
    """Return the report, the table and the three ragged arrays of a feature file."""
    path = folder / "features.pkl"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
    report, out = Report(), folder / "out"
    out.mkdir()
    found = READERS[form]({"features": path}, entry(form, emotions), ALIGN, report)
    content = build(found, report, out, path)
    table = read_table(out / "utterances.csv")
    names = ("vectors", "audio", "vision")
    return content, table, {name: read_ragged(out / f"{name}.npy", len(table)) for name in names}


def in_front(rows, steps):
    """Return rows (n, D) padded in front to (steps, D)."""
    return np.concatenate([np.zeros((steps - len(rows), rows.shape[1])), rows])


def mult(labels, ids=None, noalign=False):
    """Return MulT's content: utterance k of a fold has k + 1 steps of k + 1, padded in front."""
    folds = {}
    for fold in ("train", "valid", "test"):
        part = {"labels": np.array(labels, dtype=np.float64)}
        for name, width in (("text", 3), ("audio", 2), ("vision", 2)):
            steps = 6 + noalign * ("text", "audio", "vision").index(name)
            part[name] = np.stack(
                [in_front(np.full((k + 1, width), k + 1.0), steps) for k in range(len(labels))]
            )
        if ids:
            part["id"] = np.array([[f"{fold}-{one}", *rest] for one, *rest in ids], dtype=object)
        folds[fold] = part
    return folds


def test_scores_of_mult_come_with_their_steps_and_names(tmp_path):
    ids = [("a", "0.5", "2.0"), ("a", "2.0", "3.5"), ("b", "0", "1")]
    report, table, arrays = imported(tmp_path, mult([[[1.4]], [[-3.0]], [[0.0]]], ids), "mult")
    assert [(u.id, u.video, u.fold, u.label, u.text, u.words, u.start) for u in table[:3]] == [
        ("train-a[0]", "train-a", "train", "1.4", "", 1, 0.5),
        ("train-a[1]", "train-a", "train", "-3.0", "", 2, 2.0),
        ("train-b[0]", "train-b", "train", "0.0", "", 3, 0.0),
    ]
    for name, width in (("vectors", 3), ("audio", 2), ("vision", 2)):
        np.testing.assert_array_equal(np.diff(arrays[name].offsets), [1, 2, 3] * 3)
        assert arrays[name].values.shape == (18, width)
        np.testing.assert_array_equal(arrays[name].values[:6, 0], [1, 2, 2, 3, 3, 3])
    assert report["utterances"] == {"train": 3, "valid": 3, "test": 3}


def test_emotions_of_mult_are_those_present_and_utterances_without_a_name_stand_alone(tmp_path):
    absent, present = [1, 0], [0, 1]
    labels = [
        [absent, present, absent, absent],
        [absent, absent, absent, present],
        [absent, absent, absent, absent],
        [present, absent, present, absent],
    ]
    report, table, _ = imported(tmp_path, mult(labels), "mult", EMOTIONS)
    assert [(u.id, u.label) for u in table[:2]] == [
        ("train-00000[0]", "happy"),
        ("train-00001[0]", "angry"),
    ]
    assert report["dropped, by reason"] == {"expected exactly one of 4 emotions": 6}
    assert report["dropped"][0] == {
        "video": "train-00002",
        "segment": 0,
        "reason": "expected exactly one of 4 emotions",
    }


def test_unaligned_modalities_keep_their_own_steps_up_to_the_longest(tmp_path):
    content = mult([[[1.0]]] * 5, noalign=True)
    report, _, arrays = imported(tmp_path, content, "mult")
    np.testing.assert_array_equal(np.diff(arrays["vectors"].offsets), [1, 2, 3, 4, 5] * 3)
    np.testing.assert_array_equal(np.diff(arrays["audio"].offsets), [1, 2, 3, 4, 4] * 3)
    np.testing.assert_array_equal(np.diff(arrays["vision"].offsets), [1, 2, 3, 3, 3] * 3)
    assert report["modalities"]["audio"]["utterances cut"] == 3
    assert report["modalities"]["vision"]["utterances cut"] == 6


def test_rows_of_zeros_within_are_unknown_and_nan_and_infinity_are_counted(tmp_path):
    content = mult([[[1.0]]] * 4)
    content["train"]["audio"][3, 4] = 0  # the second-last step, where text and vision have values
    content["train"]["audio"][3, 5] = [-np.inf, np.nan]
    content["train"]["vision"][2] = 0
    report, _, arrays = imported(tmp_path, content, "mult")
    np.testing.assert_array_equal(arrays["audio"].values[6:10, 0], [4, 4, np.nan, np.nan])
    assert np.isnan(arrays["vision"].values[3:6]).all()
    audio, vision = report["modalities"]["audio"], report["modalities"]["vision"]
    assert (audio["infinite"], audio["NaN"], audio["rows without a frame"]) == (1, 1, 1)
    assert (vision["utterances without a frame"], vision["rows without a frame"]) == (1, 3)


def mmsa(unaligned=False):
    """Return MMSA's content: two utterances a fold, of two and four tokens, padded behind."""
    folds = {}
    for fold in ("train", "valid", "test"):
        steps = {"text": 5, "audio": 9 if unaligned else 5, "vision": 7 if unaligned else 5}
        tokens = np.zeros((2, 3, 5))
        tokens[0, :2, :2] = tokens[1, :2, :4] = 1
        folds[fold] = {
            "raw_text": np.array(["A FILM", "it  was not bad"]),
            "id": [f"{fold}_x$_$7", f"{fold}_x$_$12"],
            "regression_labels": np.array([2.4, -0.2], dtype=np.float32),
            "text_bert": tokens,
            # MMSA's BERT has states for padding too
            "text": np.ones((2, 5, 3), dtype=np.float32),
            **{
                name: np.arange(1, 1 + 2 * steps[name], dtype=np.float32).reshape(2, -1, 1)
                for name in ("audio", "vision")
            },
        }
        if unaligned:
            folds[fold] |= {"audio_lengths": [3, 9], "vision_lengths": [0, 2]}
    return folds


def test_utterances_of_mmsa_have_texts_and_as_many_steps_as_tokens(tmp_path):
    _, table, arrays = imported(tmp_path, mmsa(), "mmsa")
    assert [(u.id, u.video, u.segment, u.label, u.text, u.words) for u in table[:2]] == [
        ("train_x[7]", "train_x", 7, "2.4", "A FILM", 2),
        ("train_x[12]", "train_x", 12, "-0.2", "it was not bad", 4),
    ]
    for name in ("vectors", "audio", "vision"):
        np.testing.assert_array_equal(np.diff(arrays[name].offsets), [2, 4] * 3)
    np.testing.assert_array_equal(arrays["audio"].values[:6, 0], [1, 2, 6, 7, 8, 9])


def test_unaligned_utterances_of_mmsa_have_the_lengths_that_the_file_says(tmp_path):
    _, _, arrays = imported(tmp_path, mmsa(unaligned=True), "mmsa")
    np.testing.assert_array_equal(np.diff(arrays["vectors"].offsets), [2, 4] * 3)
    np.testing.assert_array_equal(np.diff(arrays["audio"].offsets), [3, 4] * 3)  # 9, cut to 4
    np.testing.assert_array_equal(np.diff(arrays["vision"].offsets), [1, 2] * 3)


def changed(content, fold, key, value):
    if value is None:
        del content[fold][key]
    else:
        content[fold][key] = value
    return content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: [1, 2], "found no fold train"),
        (lambda: {"train": 3}, "found no fold train"),
        (lambda: changed(mmsa(), "valid", "raw_text", None), "valid lacks raw_text; found id, "),
        (lambda: changed(mmsa(), "test", "audio", np.ones((2, 5))), "test/audio is (2, 5), ex"),
        (lambda: changed(mmsa(), "test", "audio", [1, 2]), "test/audio is list, expected numbers"),
        (lambda: changed(mmsa(), "test", "id", ["a$_$1"]), "test has 2 of text and 1 of id"),
        (lambda: changed(mmsa(), "test", "id", ["a", "b"]), "test has the id 'a', expected VIDEO"),
        (lambda: changed(mmsa(), "test", "id", [["a"], ["b"]]), "test/id contains list, expected"),
        (lambda: changed(mmsa(), "test", "text_bert", np.ones((2, 5))), "expected (N, 3, T)"),
        (lambda: changed(mmsa(), "test", "regression_labels", ["a", "b"]), "more than numbers"),
        (lambda: changed(mmsa(), "test", "id", ["train_x$_$1", "b$_$2"]),
         "video train_x is in the folds train and test"),
        (lambda: b"<html>", "features.pkl"),
        (lambda: pickle.dumps(print), "contains builtins.print, expected numpy arrays"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_refused_in_one_line(tmp_path, content, said):
    with pytest.raises(HyConError) as caught:
        imported(tmp_path, content(), "mmsa")
    message = str(caught.value)
    assert said in message
    assert str(tmp_path / "features.pkl") in message
    assert "\n" not in message


def test_a_label_that_is_none_drops_its_utterance_only(tmp_path):
    content = changed(mmsa(), "train", "regression_labels", np.array([np.nan, 1.0]))
    report, table, _ = imported(tmp_path, content, "mmsa")
    assert [u.id for u in table][:1] == ["train_x[12]"]
    assert report["dropped"] == [
        {"video": "train_x", "segment": 7, "reason": "label is not a finite number"}
    ]


def test_a_split_of_what_was_imported_is_a_fold_of_the_file(tmp_path):
    imported(tmp_path, mmsa(), "mmsa")
    utterances, rows = read_split(tmp_path / "out", "valid")
    assert [u.segment for u in utterances] == [7, 12]
    np.testing.assert_array_equal(rows["audio"].padded(5)[1, :, 0], [6, 7, 8, 9, 0])


def test_ch_sims_has_a_label_for_each_modality_and_other_names(tmp_path):
    content = mmsa(unaligned=True)
    for fold in content.values():
        count = len(fold["id"])
        fold["id"] = [name.replace("$_$", "/") for name in fold["id"]]
        fold["regression_labels_A"] = np.linspace(-1, 1, count).astype(np.float32)
    path = tmp_path / "features.pkl"
    path.write_bytes(pickle.dumps(content))

    def labels(modality):
        corpus = entry("mmsa", None).model_copy(update={"label_of": modality})
        found = from_mmsa.read({"features": path}, corpus, ALIGN, Report())
        return [(u.id, u.label) for u, _ in found if u.fold == "test"]

    assert [label for _, label in labels("audio")] == ["-1.0", "1.0"]
    assert [name for name, _ in labels("audio")] == [name for name, _ in labels(None)]
    with pytest.raises(HyConError, match="train lacks regression_labels_V; found "):
        labels("vision")
