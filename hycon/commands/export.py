"""Write an aligned corpus for another framework: `hycon export --format mmsa ...`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hycon.corpus.to_mmsa import Longest, Tokens, fold_content, write
from hycon.corpus.utterances import FOLDS, RaggedArray, Utterance, read_split, read_table
from hycon.errors import HyConError
from hycon.logs import log
from hycon.params import MODALITIES, Encoder, Params, load, read_yaml


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(prog="hycon export", description=__doc__)
    options.add_argument("--format", choices=["mmsa"], required=True, help="the framework")
    options.add_argument("--corpus", required=True, help="name in corpora.yaml")
    options.add_argument("--output", type=Path, required=True, help="file to write, FEATURES.pkl")
    options.add_argument(
        "--encoder",
        help="a text encoder of params.yaml: the text as its states and tokens (text_bert); "
        "without one, the corpus's own word vectors",
    )
    options.add_argument("--longest", type=int, default=50, help="words or tokens kept, as MMSA")
    options.add_argument("--aligned", type=Path, help="folder, default data/aligned/CORPUS")
    options.add_argument("--configfile", type=Path, help="an overlay")
    options.add_argument("--device", default="auto")
    arguments = options.parse_args(argv)
    overlay = read_yaml(arguments.configfile) if arguments.configfile else {}
    params = load(overlay=overlay)
    _check(arguments, params)
    aligned = arguments.aligned or Path("data/aligned") / arguments.corpus
    utterances = read_table(aligned / "utterances.csv")
    splits = {fold: read_split(aligned, fold) for fold in FOLDS}
    tokens = _tokens(arguments, params, utterances) if arguments.encoder else None
    by_word = all(_has_a_row_a_word(*split) for split in splits.values())
    own = params.align.longest
    longest = arguments.longest
    lengths = (longest, longest) if by_word else (own.audio, own.vision)
    folds = {}
    for fold, (chosen, ragged) in splits.items():
        places = np.array([row for row, each in enumerate(utterances) if each.fold == fold], int)
        mine = tokens and _chosen(tokens, places)
        folds[fold] = fold_content(chosen, ragged, mine, by_word, Longest(longest, *lengths))
    write(arguments.output, folds)
    shapes = {name: folds["train"][name].shape[1:] for name in ("text", "audio", "vision")}
    log.info(
        "%s: %s utterances, %s", arguments.output,
        " / ".join(str(len(folds[fold]["id"])) for fold in FOLDS),
        ", ".join(f"{name} {steps} x {width}" for name, (steps, width) in shapes.items()),
    )  # fmt: skip
    if cut := sum(u.words > longest for u in utterances) if tokens is None else 0:
        log.warning("%s: %d utterances cut to %d words", arguments.output, cut, longest)


def _check(arguments, params: Params) -> None:
    """Raise HyConError for what cannot be exported."""
    corpus, name = params.catalogue.get(arguments.corpus), arguments.encoder
    if corpus is None:
        known = ", ".join(params.catalogue)
        raise HyConError(f"--corpus {arguments.corpus}: unknown; corpora.yaml has {known}")
    if corpus.emotions:
        raise HyConError(f"--corpus {arguments.corpus}: has emotions, and MMSA trains on scores")
    if missing := [each for each in MODALITIES if each not in corpus.modalities]:
        raise HyConError(f"--corpus {arguments.corpus}: has no {missing[0]}, and MMSA needs it")
    if corpus.leaves_one_out:
        raise HyConError(f"--corpus {arguments.corpus}: has no fixed folds, and MMSA needs them")
    if arguments.longest < 3:
        raise HyConError(f"--longest {arguments.longest}: expected 3 or more")
    if name is None:
        if not corpus.has_vectors:
            raise HyConError(
                f"--corpus {arguments.corpus}: has no word vectors; name a text encoder: --encoder"
            )
        return
    encoder = params.encoders.get(name)
    if encoder is None or encoder.kind != "transformer":
        known = [key for key, each in params.encoders.items() if each.kind == "transformer"]
        raise HyConError(f"--encoder {name}: expected one of {', '.join(known)} (params.yaml)")
    if reason := params.unusable(arguments.corpus, name):
        raise HyConError(f"--encoder {name}: {reason}")


def _has_a_row_a_word(utterances: list[Utterance], ragged: dict[str, RaggedArray]) -> bool:
    words = np.array([max(1, utterance.words) for utterance in utterances])
    return all(np.array_equal(np.diff(ragged[name].offsets), words) for name in ("audio", "vision"))


def _tokens(arguments, params: Params, utterances: list[Utterance]) -> Tokens:
    """Return all texts as tokens with their states, the last ones cut at --longest."""
    from hycon.encoders.text import encode, load, locate, tokenise, words_of_tokens
    from hycon.training.device import pick_device

    encoder: Encoder = params.encoders[arguments.encoder]
    tiny = Path("data/models") / arguments.corpus / f"tiny-{encoder.tiny}"
    tokenizer, model = load(locate(encoder.model, tiny, encoder.sha256))
    texts = [utterance.text for utterance in utterances]
    limit = min(encoder.max_tokens, arguments.longest)
    ids, offsets, names, cut = tokenise(texts, tokenizer, model, limit)
    states, _, _ = encode(
        texts, tokenizer, model, limit, encoder.batch_size, pick_device(arguments.device)
    )
    words = words_of_tokens(texts, tokenizer, model, limit)
    if cut:
        log.warning("%s: %d texts cut to %d tokens", arguments.output, cut, limit)
    types = ids[:, names.index("token_type_ids")] if "token_type_ids" in names else 0 * ids[:, 0]
    return Tokens(states, ids[:, names.index("input_ids")], types, words, offsets)


def _chosen(tokens: Tokens, utterances: np.ndarray) -> Tokens:
    """Return the tokens of the chosen utterances (n,)."""
    parts = [RaggedArray(part, tokens.offsets).of(utterances) for part in tokens[:-1]]
    return Tokens(*(part.values for part in parts), parts[0].offsets)
