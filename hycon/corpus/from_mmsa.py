"""Read the feature files of MMSA (`aligned_50.pkl`, `unaligned_50.pkl`, CH-SIMS, CH-SIMS v2).

Each fold has `raw_text`, `id` (VIDEO$_$CLIP), `regression_labels` (N,), `text` (N, T, 768) states
of MMSA's BERT, `text_bert` (N, 3, T) with the mask in the middle, `audio` and `vision` (N, T, D),
and if they are not aligned, `audio_lengths` and `vision_lengths`. Zeros pad the end of an
utterance. CH-SIMS also has `regression_labels_T`, `_A` and `_V` (N,), labels of single modalities,
in [-1, 1] as all of its labels. CH-SIMS v2 may have VIDEO/CLIP as `id`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hycon.corpus.build import Report
from hycon.corpus.features import (
    NAMES,
    Steps,
    are_aligned,
    numbers_of,
    read_folds,
    rows_of,
    spans_of,
    text_of,
)
from hycon.corpus.labels import read_label
from hycon.corpus.utterances import Utterance
from hycon.errors import HyConError
from hycon.params import AlignConfig, Corpus

KEYS = ("raw_text", "id")
SEPARATOR = "$_$"
UNIMODAL = {"text": "regression_labels_T", "audio": "regression_labels_A",
            "vision": "regression_labels_V"}  # fmt: skip


def read(
    files: dict[str, Path], corpus: Corpus, settings: AlignConfig, report: Report
) -> Iterator[tuple[Utterance, dict[str, np.ndarray]]]:
    """Yield every utterance with its text, and its rows of every modality.

    Args:
        files: the file, as `features`.
        corpus: its entry in the catalogue.
        settings: how many frames are kept where they are not aligned to words.
        report: records what is missing, dropped and counted.

    Raises:
        HyConError: the file is invalid.
    """
    path = files["features"]
    key = UNIMODAL[corpus.label_of] if corpus.label_of else "regression_labels"
    for fold, content in read_folds(path, (*KEYS, key)):
        where = f"{path}: {fold}"
        arrays = {name: content[name] for name in NAMES}
        steps = _steps(content, arrays, where)
        scores = numbers_of(content, key, where).astype(np.float32)
        for number, name in enumerate(content["id"]):
            video, segment = _identity(text_of(name, f"{where}/id"), where)
            try:
                label = read_label(scores[number].reshape(-1), None)
            except ValueError as reason:
                report.drop(video, segment, str(reason))
                continue
            words = text_of(content["raw_text"][number], f"{where}/raw_text").split()
            utterance = Utterance(
                id=f"{video}[{segment}]",
                video=video,
                segment=segment,
                fold=fold,
                start=np.nan,
                end=np.nan,
                words=len(words),
                label=label,
                text=" ".join(words),
            )
            mine = {name: spans[number] for name, spans in steps.items()}
            yield utterance, rows_of(arrays, number, mine, settings, report)


def _identity(name: str, where: str) -> tuple[str, int]:
    """Return video and clip of VIDEO$_$CLIP."""
    video, _, clip = name.rpartition(SEPARATOR if SEPARATOR in name else "/")
    if not video or not clip.isdecimal():
        raise HyConError(
            f"{where} has the id {name[:60]!r}, expected VIDEO{SEPARATOR}NUMBER; this is not a "
            "feature file of MMSA"
        )
    return video, int(clip)


def _steps(
    content: dict[str, Any], arrays: dict[str, np.ndarray], where: str
) -> dict[str, list[Steps]]:
    """Return the valid steps of each utterance and modality."""
    steps = spans_of(arrays, where)
    lengths = {
        name: numbers_of(content, f"{name}_lengths", where)
        for name in ("audio", "vision")
        if f"{name}_lengths" in content and not are_aligned(arrays)
    }
    if "text_bert" in content:
        tokens = numbers_of(content, "text_bert", where)
        if tokens.ndim != 3 or tokens.shape[1] != 3:
            raise HyConError(f"{where}/text_bert is {tokens.shape}, expected (N, 3, T)")
        lengths["text"] = tokens[:, 1].sum(axis=1)
        if are_aligned(arrays):
            lengths["audio"] = lengths["vision"] = lengths["text"]
    for name, length in lengths.items():
        known = np.clip(np.nan_to_num(length.reshape(-1)), 1, arrays[name].shape[1])
        steps[name] = [Steps(0, int(one)) for one in known]
    return steps
