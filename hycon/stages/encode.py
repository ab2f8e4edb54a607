"""Cache the text states of a corpus for one encoder (rule `encode`)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hycon.corpus.utterances import offsets_path, read_ragged, read_table
from hycon.errors import HyConError
from hycon.files import atomic_folder, write_json
from hycon.params import Encoder
from hycon.stages import log, parser, run, start


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--encoder", type=Encoder.model_validate_json, required=True)
    options.add_argument("--aligned", type=Path, required=True, help="folder")
    options.add_argument("--tiny", type=Path, help="folder of the tiny model, if it is one")
    options.add_argument("--device", default="auto")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--output", type=Path, required=True, help="folder")
    arguments = options.parse_args(argv)
    start(arguments)
    utterances = read_table(arguments.aligned / "utterances.csv")
    if arguments.encoder.kind == "vectors":
        states, offsets = read_ragged(arguments.aligned / "vectors.npy", len(utterances))
        cut = 0
        if not states.shape[1]:
            raise HyConError(
                f"{arguments.aligned / 'vectors.npy'}: the corpus has no word vectors; take a text "
                "encoder of kind: transformer"
            )
    else:
        states, offsets, cut = _transformer(arguments, [u.text for u in utterances])
        if not np.isfinite(states).all():
            raise HyConError(f"{arguments.output}: the encoder gave NaN or infinite states")
    with atomic_folder(arguments.output) as folder:
        path = folder / "states.npy"
        np.save(path, states)
        np.save(offsets_path(path), offsets)
        write_json(
            folder / "encoder.json",
            {
                **arguments.encoder.model_dump(),
                "utterances": len(utterances),
                "utterances cut": cut,
                "dimension": states.shape[1],
            },
        )
    log.info("%s: %d states of %d numbers", arguments.output, *states.shape)
    if cut:
        limit = arguments.encoder.max_tokens
        log.warning("%s: %d texts cut to %d tokens", arguments.output, cut, limit)


def _transformer(arguments, texts: list[str]) -> tuple[np.ndarray, np.ndarray, int]:
    from hycon.encoders.text import encode, load, locate
    from hycon.training.device import pick_device, set_threads

    set_threads(arguments.threads)
    settings = arguments.encoder
    tokenizer, model = load(locate(settings.model, arguments.tiny, settings.sha256))
    return encode(
        texts,
        tokenizer,
        model,
        settings.max_tokens,
        settings.batch_size,
        pick_device(arguments.device),
    )


if __name__ == "__main__":
    run(main)
