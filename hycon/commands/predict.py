"""Predict with a trained run on another corpus, or on a table of your own."""

import argparse
import copy
import csv
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from hycon.atomic_io import atomic_file
from hycon.corpus.arrays import read_arrays
from hycon.corpus.from_table import read_columns
from hycon.corpus.labels import SCORE_LIMIT
from hycon.corpus.utterances import FOLDS, RaggedArray, read_ragged, read_table
from hycon.encoders.language_model import LanguageModel, upper_layers
from hycon.encoders.text import encode, load, locate, tokenise
from hycon.encoders.word_vectors import encode_words
from hycon.errors import HyConError
from hycon.evaluation.metrics import label_metrics
from hycon.logs import log
from hycon.params import Corpus, Encoder, OwnNetwork, Settings, merge, read_yaml
from hycon.params import load as load_params
from hycon.params.own import locate as locate_network
from hycon.training.batches import CorpusTensors
from hycon.training.device import pick_device
from hycon.training.loop import infer
from hycon.training.ragged import RaggedTensor, Scale
from hycon.training.trained import load_network, load_tensors, read_record


class Input(NamedTuple):
    """N utterances: names, texts, labels ("" if unknown), and arrays by part."""

    names: list[str]
    texts: list[str]
    labels: list[str]
    arrays: dict[str, RaggedArray]  # audio, vision, vectors: those that are there
    where: Path


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(prog="hycon predict", description=__doc__)
    options.add_argument("--run", type=Path, required=True, help="folder of a run, .../seed-N")
    source = options.add_mutually_exclusive_group(required=True)
    source.add_argument("--corpus", help="an aligned corpus: data/aligned/CORPUS")
    source.add_argument("--table", type=Path, help="a CSV or Parquet file of utterances")
    options.add_argument("--fold", choices=FOLDS, help="of the corpus; default: all utterances")
    options.add_argument("--name", default="name", help="column of the name (default: %(default)s)")
    options.add_argument("--text", default="text", help="column of the text (default: %(default)s)")
    options.add_argument("--label", default="label", help="column of the label, if there is one")
    for part in ("audio", "vision", "vectors"):
        options.add_argument(f"--{part}", type=Path, help=f"features of the table: {part}")
    options.add_argument("--output", type=Path, required=True, help="CSV to write")
    options.add_argument("--device", default="auto")
    options.add_argument(
        "--configfile", type=Path, nargs="+", default=[],
        help="overlays that name a network of your own, as for snakemake",
    )  # fmt: skip
    arguments = options.parse_args(argv)
    record = read_record(arguments.run)
    settings, corpus, encoder = _settings(arguments.run, record)
    if isinstance(settings.model, OwnNetwork):
        network = _registered(arguments.run, settings.model, arguments.configfile)
        settings = settings.model_copy(update={"model": network})
    found = _corpus(arguments) if arguments.corpus else _table(arguments)
    device = pick_device(arguments.device)
    tensors, language_model = _tensors(arguments.run, settings, corpus, encoder, found, device)
    model = load_network(
        arguments.run, tensors, settings, language_model, longest=record.get("longest")
    )
    rows = torch.arange(len(found.names), device=device)
    predictions = infer(model, tensors, rows).prediction.float().cpu().numpy()
    _write(arguments.output, found, predictions, corpus.emotions)
    log.info("%s: %d predictions", arguments.output, len(predictions))
    if scores := _scores(found, predictions, corpus.emotions, settings):
        print(json.dumps(scores, indent=1))
    else:
        log.info("no labels, so no scores")


def _settings(folder: Path, record: dict[str, Any]) -> tuple[Settings, Corpus, Encoder]:
    """Return settings, corpus and text encoder of a run."""
    try:
        kinds = {"settings": Settings, "corpus": Corpus, "encoder": Encoder}
        parts = [kind.model_validate(record[name]) for name, kind in kinds.items()]
    except (KeyError, ValueError) as error:
        first = " ".join(str(error).split())[:200]
        raise HyConError(f"{folder}/run.json: its parameters are not valid ({first})") from None
    if "held out" in record["selection"]:
        raise HyConError(
            f"{folder}: has a network for each held-out group; take a run on fixed folds"
        )
    return tuple(parts)


def _registered(run: Path, network: OwnNetwork, overlays: list[Path]) -> OwnNetwork:
    """Return a run's network as the parameters here, or an entry point, have its code.

    A run can come from a stranger, so it only names the network: it does not say which code to
    import.
    """
    params = load_params(overlay=functools.reduce(merge, map(read_yaml, overlays), {}))
    try:
        found = locate_network(params.networks, network.name, Path())
    except ValueError as error:
        raise HyConError(f"{run}/run.json: needs the network {network.name}; {error}") from None
    names = [source.rpartition(":")[2] for source in (found.source, network.source)]
    if found.sha256 != network.sha256 or names[0] != names[1]:
        raise HyConError(
            f"{run}/run.json: found {found.source} with digest {found.sha256[:12]}, expected "
            f"{network.source} with {network.sha256[:12]}; restore the code that it was trained "
            "with, or train again"
        )
    return network.model_copy(update={"source": found.source})


def _corpus(arguments: argparse.Namespace) -> Input:
    """Return the utterances of an aligned corpus."""
    folder = Path("data/aligned") / Path(arguments.corpus).name
    table = folder / "utterances.csv"
    if not table.is_file():
        raise HyConError(
            f"{table}: not found; snakemake --cores 1 {table} --config "
            f"'corpora=[{arguments.corpus}]' aligns it"
        )
    utterances = read_table(table)
    rows = np.array(
        [i for i, each in enumerate(utterances) if arguments.fold in (None, each.fold)], int
    )
    if not len(rows):
        raise HyConError(f"{table}: has no utterance in the fold {arguments.fold}")
    arrays = {
        name: read_ragged(folder / f"{name}.npy", len(utterances))
        for name in ("audio", "vision", "vectors")
    }
    chosen = [utterances[row] for row in rows]
    return Input(
        [each.id for each in chosen],
        [each.text for each in chosen],
        [each.label for each in chosen],
        {name: each.of(rows) for name, each in arrays.items() if each.values.shape[1]},
        table,
    )


def _table(arguments: argparse.Namespace) -> Input:
    """Return the utterances of a table, with the arrays that options name."""
    table = read_columns(arguments.table)
    count = len(next(iter(table.values())))
    if arguments.fold:
        raise HyConError("--fold: a table has none; remove it")
    names = table.get(arguments.name) or [str(number) for number in range(count)]
    arrays = {}
    for part in ("audio", "vision", "vectors"):
        if path := getattr(arguments, part):
            rows = read_arrays(path, names)
            each = [np.asarray(rows(number), np.float32) for number in range(count)]
            if len({one.shape[1] for one in each}) > 1:
                raise HyConError(f"{path}: utterances have different numbers of features")
            offsets = np.concatenate([[0], np.cumsum([len(one) for one in each])])
            arrays[part] = RaggedArray(np.concatenate(each), offsets.astype(np.int64))
    texts = [" ".join(text.split()) for text in table.get(arguments.text, [])]
    labels = table.get(arguments.label) or [""] * count
    return Input(names, texts, labels, arrays, arguments.table)


def _tensors(
    run: Path, settings: Settings, corpus: Corpus, encoder: Encoder, found: Input, device: str
) -> tuple[CorpusTensors, LanguageModel | None]:
    """Return the utterances as a network reads them, standardised as in training."""
    scales = load_tensors(run / "scales.safetensors")
    features, language_model = {}, None
    for name in settings.reads(corpus):
        part = "vectors" if name == "text" and encoder.of_corpus else name
        if part == "text":
            raw, language_model = _text(run, encoder, found, device)
        elif part in found.arrays:
            raw = found.arrays[part]
        else:
            raise HyConError(f"{found.where}: has no {part}, which the run was trained on")
        values, offsets = raw
        scale = None
        if f"{name}.mean" in scales:
            scale = Scale(*(scales[f"{name}.{each}"].numpy() for each in ("mean", "deviation")))
            if len(scale.mean) != values.shape[1]:
                raise HyConError(
                    f"{found.where}: {part} has {values.shape[1]} features, the run was trained on "
                    f"{len(scale.mean)}"
                )
        features[name] = RaggedTensor.of(values, offsets, device, scale)
    blank = torch.zeros(len(found.names), device=device)
    outputs = len(corpus.emotions or [""])
    return CorpusTensors(features, blank, blank.long(), {}, outputs), language_model


def _text(
    run: Path, encoder: Encoder, found: Input, device: str
) -> tuple[RaggedArray, LanguageModel | None]:
    """Return the states of the texts, or their tokens and the model that reads them."""
    if not any(found.texts):
        raise HyConError(f"{found.where}: has no text, which the run was trained on; name --text")
    if encoder.kind == "vectors":
        values, offsets, _ = encode_words(found.texts, encoder.model, encoder.sha256)
        return RaggedArray(values, offsets), None
    # results/runs/CORPUS/ROW/seed-N
    tiny = Path("data/models") / run.resolve().parts[-3] / f"tiny-{encoder.tiny}"
    tokenizer, model = load(locate(encoder.model, tiny, encoder.sha256))
    if encoder.finetune and not encoder.frozen_layers:
        tokens, offsets, names, _ = tokenise(found.texts, tokenizer, model, encoder.max_tokens)
        return RaggedArray(tokens, offsets), LanguageModel(model, names)
    upper = None
    if encoder.frozen_layers:  # a copy, because encoding cuts the model
        upper = LanguageModel(upper_layers(copy.deepcopy(model), encoder.frozen_layers), ())
    states, offsets, _ = encode(
        found.texts,
        tokenizer,
        model,
        encoder.max_tokens,
        encoder.batch_size,
        device,
        encoder.frozen_layers,
    )
    return RaggedArray(states, offsets), upper


def _write(path: Path, found: Input, predictions: np.ndarray, emotions: list[str] | None) -> None:
    """Write a line for each utterance: name, label if known, score or emotion with all scores."""
    labelled = any(found.labels)
    heading = ["name", *(["label"] if labelled else []), "prediction", *(emotions or [])]
    with (
        atomic_file(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(heading)
        for name, label, row in zip(found.names, found.labels, predictions, strict=True):
            numbers = [f"{value:.6g}" for value in np.atleast_1d(row)]
            chosen = [emotions[int(np.argmax(row))], *numbers] if emotions else numbers
            writer.writerow([name, *([label] if labelled else []), *chosen])


def _scores(
    found: Input, predictions: np.ndarray, emotions: list[str] | None, settings: Settings
) -> dict[str, Any]:
    """Return every metric over the utterances whose label is known; empty without any."""
    if emotions:
        rows = [i for i, label in enumerate(found.labels) if label in emotions]
    else:
        rows = [i for i, label in enumerate(found.labels) if _is_score(label)]
    if left_out := len([label for label in found.labels if label]) - len(rows):
        log.warning("%s: %d labels are none of the run's; not scored", found.where, left_out)
    if not rows:
        return {}
    labels, decision = [found.labels[row] for row in rows], settings.train.emotion_decision
    try:
        metrics = label_metrics(predictions[rows], labels, emotions, decision)
    except ValueError as error:  # such as neutral labels only
        log.warning("%s: not scored: %s", found.where, error)
        return {}
    return {"n": len(rows), "F1": "weighted", **metrics}


def _is_score(label: str) -> bool:
    try:
        return abs(float(label)) <= SCORE_LIMIT
    except ValueError:
        return False
