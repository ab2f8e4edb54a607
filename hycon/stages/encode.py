"""Cache the text states of a corpus for one encoder (rule `encode`)."""

import numpy as np

from hycon.atomic_io import atomic_folder, write_json
from hycon.corpus.utterances import offsets_path, read_ragged, read_table
from hycon.errors import HyConError
from hycon.logs import log
from hycon.plan.tasks import EncodeTask
from hycon.stages import Machine


def main(task: EncodeTask, machine: Machine) -> None:
    utterances = read_table(task.aligned / "utterances.csv")
    if task.encoder.kind == "vectors" and task.encoder.model:
        from hycon.encoders.word_vectors import encode_words

        texts = [utterance.text for utterance in utterances]
        states, offsets, unknown = encode_words(texts, task.encoder.model, task.encoder.sha256)
        cut = 0
        log.info("%s: %.1f%% of the words have no vector", task.output, 100 * unknown)
    elif task.encoder.kind == "vectors":
        states, offsets = read_ragged(task.aligned / "vectors.npy", len(utterances))
        cut = 0
        if not states.shape[1]:
            raise HyConError(
                f"{task.aligned / 'vectors.npy'}: the corpus has no word vectors; take a text "
                "encoder of kind: transformer"
            )
    else:
        states, offsets, cut = _transformer(task, machine, [u.text for u in utterances])
        if not np.isfinite(states).all():
            raise HyConError(f"{task.output}: the encoder gave NaN or infinite states")
    with atomic_folder(task.output) as folder:
        path = folder / "states.npy"
        np.save(path, states)
        np.save(offsets_path(path), offsets)
        write_json(
            folder / "encoder.json",
            {
                **task.encoder.model_dump(),
                "utterances": len(utterances),
                "utterances cut": cut,
                "dimension": states.shape[1],
            },
        )
    log.info("%s: %d states of %d numbers", task.output, *states.shape)
    if cut:
        log.warning("%s: %d texts cut to %d tokens", task.output, cut, task.encoder.max_tokens)


def _transformer(
    task: EncodeTask, machine: Machine, texts: list[str]
) -> tuple[np.ndarray, np.ndarray, int]:
    from hycon.encoders.text import encode, load, locate
    from hycon.training.device import pick_device, set_threads

    set_threads(machine.threads)
    encoder = task.encoder
    tokenizer, model = load(locate(encoder.model, task.tiny, encoder.sha256))
    return encode(
        texts,
        tokenizer,
        model,
        encoder.max_tokens,
        encoder.batch_size,
        pick_device(machine.device),
        encoder.frozen_layers,
    )
