"""Read the feature files of MulT (`mosi_data.pkl`, `iemocap_data.pkl`, ...).

Each fold has `text` (N, T, 300) GloVe vectors, `audio` (N, T, 74), `vision` (N, T, 35), `labels`
(N, 1, 1) scores or (N, 4, 2) a pair of absent and present for each emotion, and perhaps `id`
(N, 3): video, start, end. T is one for all (aligned to words) or each modality's own (`_noalign`).
Words are not included. Rows of zeros pad the start of an utterance, as in the SDK.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hycon.corpus.build import Report
from hycon.corpus.features import NAMES, numbers_of, read_folds, rows_of, spans_of, text_of
from hycon.corpus.labels import read_label
from hycon.corpus.utterances import Utterance
from hycon.params import AlignConfig, Corpus


def read(
    files: dict[str, Path], corpus: Corpus, settings: AlignConfig, report: Report
) -> Iterator[tuple[Utterance, dict[str, np.ndarray]]]:
    """Yield every utterance with its rows of every modality; `words` counts the steps of the text.

    Args:
        files: the file, as `features`.
        corpus: its entry in the catalogue; `emotions` in the order of the file's labels.
        settings: how many frames are kept where they are not aligned to words.
        report: records what is missing, dropped and counted.

    Raises:
        HyConError: the file is invalid.
    """
    path = files["features"]
    for fold, content in read_folds(path, ["labels"]):
        where = f"{path}: {fold}"
        arrays = {name: content[name] for name in NAMES}
        steps = spans_of(arrays, f"{path.name} {fold}")
        seen: dict[str, int] = {}
        for number, row in enumerate(_labels(numbers_of(content, "labels", where))):
            video, start, end = _identity(content.get("id"), fold, number, where)
            segment = seen[video] = seen.get(video, -1) + 1
            try:
                label = read_label(row, corpus.emotions)
            except ValueError as reason:
                report.drop(video, segment, str(reason))
                continue
            mine = {name: spans[number] for name, spans in steps.items()}
            utterance = Utterance(
                id=f"{video}[{segment}]",
                video=video,
                segment=segment,
                fold=fold,
                start=start,
                end=end,
                words=mine["text"].length,
                label=label,
                text="",
            )
            yield utterance, rows_of(arrays, number, mine, settings, report)


def _labels(labels: np.ndarray) -> np.ndarray:
    """Return (N, C) float32: the score first, or 1 for each emotion that is present."""
    if labels.ndim == 3 and labels.shape[2] == 2:
        return (labels[:, :, 1] > labels[:, :, 0]).astype(np.float32)
    return labels.reshape(len(labels), -1).astype(np.float32)


def _identity(ids: Any, fold: str, number: int, where: str) -> tuple[str, float, float]:
    """Return video, start and end of an utterance; one without a name is a video of its own."""
    if ids is None:
        return f"{fold}-{number:05d}", np.nan, np.nan
    entry = ids[number]
    parts = list(entry) if isinstance(entry, (list, tuple, np.ndarray)) else [entry]
    texts = [text_of(part, f"{where}/id") for part in parts[:3]]
    video = texts[0].partition("[")[0] if texts else f"{fold}-{number:05d}"
    try:
        return video, float(texts[1]), float(texts[2])
    except (IndexError, ValueError):
        return video, np.nan, np.nan
