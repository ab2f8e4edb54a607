"""A corpus as tensors, and padded batches of it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hycon.corpus.folds import training_rounds
from hycon.corpus.labels import SCORE_LIMIT, sentiment_classes
from hycon.corpus.utterances import FOLDS, Utterance, in_file, read_ragged, read_table
from hycon.errors import HyConError
from hycon.logs import log
from hycon.networks.packing import PaddedBatch, without_steps
from hycon.params import MODALITIES, ModelConfig, Settings
from hycon.training.ragged import Ragged, RaggedFile, RaggedTensor, Scale, fits, scale_of
from hycon.training.text import TextFeatures


@dataclass(frozen=True)
class CorpusTensors:
    """A corpus: features by modality, in memory or in files, and labels, pair classes and folds."""

    features: dict[str, Ragged]
    labels: Tensor  # (N,) float32 scores or int64 classes
    classes: Tensor  # (N,) int64, the classes that define pairs
    folds: dict[str, Tensor]  # (n,) int64 row numbers
    outputs: int
    scales: dict[str, Scale] = field(default_factory=dict)  # of the standardised modalities
    passes: int = 1  # how often an epoch reads the training fold

    def batch(self, rows: Tensor, missing: float = 0.0) -> dict[str, PaddedBatch]:
        """Return the utterances `rows` (K,) as padded batches by modality.

        Args:
            rows: row numbers (K,).
            missing: share of the steps of each modality that are replaced by zeros.
        """
        batch = {name: ragged.pad(rows) for name, ragged in self.features.items()}
        if not missing:
            return batch
        return {name: without_steps(steps, missing, None) for name, steps in batch.items()}

    def by_length(self, rows: Tensor) -> Tensor:
        """Return the places (n,) of row numbers (n,) in order of length of the first modality."""
        lengths = next(iter(self.features.values())).lengths
        return torch.argsort(lengths[rows], stable=True)

    def shuffled(self, rows: Tensor, size: int, order: torch.Generator) -> list[Tensor]:
        """Split all rows into the batches of an epoch, in random order.

        There is no bucketing by length, although it would save much padding. Pairs form within a
        batch, so buckets would only ever pair utterances of similar length.
        """
        mixed = rows[torch.randperm(len(rows), generator=order).to(rows.device)]
        return list(mixed.split(size))

    @property
    def widths(self) -> dict[str, int]:
        return {name: ragged.width for name, ragged in self.features.items()}

    @property
    def longest(self) -> dict[str, int]:
        """Number of steps of the longest utterance in all folds, by modality."""
        return {name: int(ragged.lengths.max()) for name, ragged in self.features.items()}

    def prepared(self, settings: Settings, seed: int) -> "CorpusTensors":
        """Return the corpus as a run sees it: fewer labels, shuffled or noisy modalities.

        Args:
            settings: network and training parameters.
            seed: seed of the run, which draws all of these.
        """
        options = settings.train
        data = self.with_shuffled(options.shuffled, seed)
        data = data.with_noise(options.noise, seed).with_labelled(options.labelled, seed)
        own = isinstance(settings.model, ModelConfig)
        once = own and not settings.model.text_layers and not options.missing
        if once and "text" in data.features and options.finetuning is None:
            return data.with_pooled_text(settings.model.text_pooling)
        return data

    def with_pooled_text(self, pooling: str) -> "CorpusTensors":
        """Return the corpus with one vector for each text, which a network without text layers
        would compute anew in each batch.

        Args:
            pooling: "last", "first" or "mean" of its steps.
        """
        text = self.features["text"].pooled(pooling)
        return dataclasses.replace(self, features={**self.features, "text": text})

    def with_labelled(self, share: float, seed: int) -> "CorpusTensors":
        """Return the corpus with a share of its training fold, and as many steps in an epoch.

        A smaller share with the same seed is part of a larger one. Features stay standardised by
        the whole fold.

        Args:
            share: in (0, 1].
            seed: seed of the choice.
        """
        if share == 1:
            return self
        rows = self.folds["train"]
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
        chosen = rows[order[: max(2, round(share * len(rows)))].to(rows.device)]
        return dataclasses.replace(
            self, folds={**self.folds, "train": chosen}, passes=round(1 / share)
        )

    def with_noise(self, deviation: float, seed: int) -> "CorpusTensors":
        """Return the corpus with normal noise added to audio and vision, in all folds.

        They are in memory then, because the noise is drawn for all utterances at once.

        Args:
            deviation: standard deviation, in those of each feature.
            seed: seed of the noise.
        """
        if not deviation:
            return self
        draw = torch.Generator().manual_seed(seed)
        features = dict(self.features)
        for name in sorted(features.keys() - {"text"}):
            ragged = features[name].loaded()
            noise = torch.randn(ragged.values.shape, generator=draw).to(ragged.values.device)
            features[name] = dataclasses.replace(ragged, values=ragged.values + deviation * noise)
        return dataclasses.replace(self, features=features)

    def with_shuffled(self, modalities: Sequence[str], seed: int) -> "CorpusTensors":
        """Return the corpus with some modalities shuffled among the utterances of each fold.

        Args:
            modalities: names of modalities; each is permuted independently.
            seed: seed of the permutations.
        """
        if not modalities:
            return self
        draw = torch.Generator().manual_seed(seed)
        features = dict(self.features)
        for name in modalities:
            order = torch.arange(len(self.labels), device=self.labels.device)
            for rows in self.folds.values():
                order[rows] = rows[torch.randperm(len(rows), generator=draw).to(rows.device)]
            ragged = features[name]
            features[name] = dataclasses.replace(
                ragged, starts=ragged.starts[order], lengths=ragged.lengths[order]
            )
        return dataclasses.replace(self, features=features)


def load_data(
    aligned: Path,
    text: TextFeatures | None,
    emotions: list[str] | None,
    scheme: str | None,
    device: str,
    fold: np.ndarray | None = None,
    modalities: Sequence[str] = MODALITIES,
    features_in: str = "memory",
) -> CorpusTensors:
    """Load the aligned utterances of a corpus, together with its text.

    Audio, vision and word vectors are standardised by mean and standard deviation of the training
    fold. A constant column becomes zeros.

    Args:
        aligned: folder written by `hycon.corpus.utterances`.
        text: output of `read_text`; None if the text is not read.
        emotions: names of the classes, or None for scores.
        scheme: how scores are divided into classes for pairs (method, section 7); None if no loss
            uses the classes.
        device: device of the tensors.
        fold: (N,) fold names that replace those of the corpus; of its first round if it tests each
            group once.
        modalities: modalities to read.
        features_in: `memory`, on `device`; `files`, which batches are read from; or `auto`, in
            memory if they fit (`hycon.training.ragged.fits`). Batches are the same bit for bit.

    Returns:
        The corpus as tensors on `device`, or the places of its features in files.

    Raises:
        HyConError: a file is missing, damaged, or does not match the others; the corpus lacks a
            modality; or all training utterances are of one class.
    """
    table = aligned / "utterances.csv"
    utterances = read_table(table)
    raw = {"text": (text.values, text.offsets)} if text is not None else {}
    for name in ("audio", "vision"):
        if name in modalities:
            raw[name] = read_ragged(aligned / f"{name}.npy", len(utterances))
    if absent := [name for name in modalities if name not in raw or not raw[name][0].shape[1]]:
        raise HyConError(f"{aligned}: has no {absent[0]}; leave it out of model.modalities")
    if fold is None:
        fold = next(iter(training_rounds(utterances).values()))
    size = sum(4 * values.size for values, _ in raw.values())
    from_files = features_in == "files" or (features_in == "auto" and not fits(size, device))
    if from_files:
        log.info("%s: %.1f GB of features are read batch by batch", aligned, size / 1e9)
    features, scales = {}, {}
    for name, (values, bounds) in raw.items():
        if name != "text" or text.standardise:
            scales[name] = scale_of(values, np.repeat(fold == "train", np.diff(bounds)))
        if from_files and in_file(values):
            features[name] = RaggedFile.of(values, bounds, device, scales.get(name))
        else:
            features[name] = RaggedTensor.of(values, bounds, device, scales.get(name))
    labels, classes, outputs = _labels(utterances, emotions, scheme, table)
    _check_several(classes[torch.from_numpy(fold == "train")], emotions, scheme, table)
    folds = {name: torch.from_numpy(np.flatnonzero(fold == name)).to(device) for name in FOLDS}
    return CorpusTensors(features, labels.to(device), classes.to(device), folds, outputs, scales)


def _labels(
    utterances: list[Utterance], emotions: list[str] | None, scheme: str | None, table: Path
) -> tuple[Tensor, Tensor, int]:
    """Return labels (N,), classes for pairs (N,), and the number of outputs."""
    if emotions is None:
        scores = np.array([_score(utterance, table) for utterance in utterances])
        classes = torch.from_numpy(sentiment_classes(scores, scheme or "sign"))
        return torch.from_numpy(scores).float(), classes, 1
    labels = [utterance.label for utterance in utterances]
    if strangers := set(labels) - set(emotions):
        raise HyConError(
            f"{table}: found the emotion {min(strangers)}, expected {', '.join(emotions)}; align "
            "the corpus again"
        )
    classes = torch.tensor([emotions.index(label) for label in labels])
    return classes, classes, len(emotions)


def _score(utterance: Utterance, table: Path) -> float:
    try:
        score = float(utterance.label)
    except ValueError:
        score = np.nan
    if not abs(score) <= SCORE_LIMIT:  # nor if it is NaN
        raise HyConError(
            f"{table}: utterance {utterance.id} has the label {utterance.label!r}, expected a "
            f"score in [-{SCORE_LIMIT:g}, {SCORE_LIMIT:g}]; align the corpus again"
        )
    return score


def _check_several(
    classes: Tensor, emotions: list[str] | None, scheme: str | None, table: Path
) -> None:
    """Raise if all training utterances are of one class."""
    found = classes.unique().tolist()
    if len(found) < 2:
        what = f"the emotion {emotions[found[0]]}" if emotions and found else "one class"
        by = "" if emotions else f" of scheme {scheme or 'sign'}"
        raise HyConError(
            f"{table}: all {len(classes)} training utterances are of {what}{by}, expected several "
            "classes; check the labels and the folds, or set train.classes to a finer scheme"
        )
