"""Cache the text states of a corpus for one encoder (rule `encode`)."""

import shutil
from contextlib import closing
from pathlib import Path

import numpy as np

from hycon.atomic_io import atomic_folder, write_json
from hycon.corpus.utterances import FloatFile, offsets_path, read_ragged, read_table
from hycon.errors import HyConError
from hycon.logs import log
from hycon.plan.tasks import EncodeTask
from hycon.stages import Machine


def main(task: EncodeTask, machine: Machine) -> None:
    texts = [utterance.text for utterance in read_table(task.aligned / "utterances.csv")]
    with atomic_folder(task.output) as folder:
        path = folder / "states.npy"
        if task.encoder.of_corpus:
            (rows, dimension), cut = _of_corpus(task, len(texts), path), 0
        else:
            (rows, dimension), cut = _encoded(task, machine, texts, path)
        write_json(
            folder / "encoder.json",
            {
                **task.encoder.model_dump(),
                "utterances": len(texts),
                "utterances cut": cut,
                "dimension": dimension,
            },
        )
    log.info("%s: %d states of %d numbers", task.output, rows, dimension)
    if cut:
        log.warning("%s: %d texts cut to %d tokens", task.output, cut, task.encoder.max_tokens)


def _of_corpus(task: EncodeTask, utterances: int, path: Path) -> tuple[int, int]:
    """Copy the word vectors of the corpus, and return their shape."""
    source = task.aligned / "vectors.npy"
    shape = read_ragged(source, utterances).values.shape
    if not shape[1]:
        raise HyConError(
            f"{source}: the corpus has no word vectors; take a text encoder of kind: transformer"
        )
    for of in (Path, offsets_path):
        shutil.copyfile(of(source), of(path))
    return shape


def _encoded(
    task: EncodeTask, machine: Machine, texts: list[str], path: Path
) -> tuple[tuple[int, int], int]:
    """Write the states of texts as they are made; return their shape, and how many were cut."""
    with closing(FloatFile(path)) as file:
        if task.encoder.kind == "vectors":
            from hycon.encoders.word_vectors import encode_words

            model = task.encoder.model, task.encoder.sha256
            _, offsets, unknown = encode_words(texts, *model, file.start)
            cut = 0
            log.info("%s: %.1f%% of the words have no vector", task.output, 100 * unknown)
        else:
            offsets, cut = _transformer(task, machine, texts, file)
    np.save(offsets_path(path), offsets)
    return file.shape, cut


def _transformer(
    task: EncodeTask, machine: Machine, texts: list[str], file: FloatFile
) -> tuple[np.ndarray, int]:
    from hycon.encoders.text import encode, load, locate
    from hycon.training.device import pick_device, set_threads

    set_threads(machine.threads)
    encoder = task.encoder
    tokenizer, model = load(locate(encoder.model, task.tiny, encoder.sha256))
    _, offsets, cut = encode(
        texts,
        tokenizer,
        model,
        encoder.max_tokens,
        encoder.batch_size,
        pick_device(machine.device),
        encoder.frozen_layers,
        file.start,
    )
    return offsets, cut
