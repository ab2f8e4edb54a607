"""What is claimed of training: at least twice as fast as MulT and MISA, with fewer parameters.

Run `python -m benchmarks.peers`: three minutes; it needs the extra `peers`. The networks of the
package MMSA, in the same training on the same batches; what else they cost is in the table
`complexity` of every corpus.
"""

from benchmarks.networks import arguments_of, corpus, settings, trainer
from benchmarks.table import Line, write_tables
from benchmarks.timing import in_turns, say
from hycon.networks.hycon import parameter_counts
from hycon.params import Settings

BATCH = 32
OURS = {"HyCon": "hycon", "HyCon-v2": "hycon-v2"}
PEERS = {"MulT": "mult", "MISA": "misa", "TFN": "tfn", "LMF": "lmf"}
SLOWER = ("MulT", "MISA")
LEAST = 2  # times as fast as these
# shape: title; utterances; measurements
SHAPES = {
    "paper": ("the paper's: 50 steps of each modality, BERT's 768", 2 * BATCH, 5),
    "small": ("small: 32 steps of text, MiniLM's 384, one of audio and vision", 4 * BATCH, 7),
}


def main() -> None:
    arguments = arguments_of("peers", __doc__)
    lines = [line for shape in SHAPES for line in of_shape(shape)]
    notes = [
        f"Threads: {arguments.threads}. Batches of {BATCH} for all, cached text states, the same "
        "training loop; the networks as MMSA ships them for CMU-MOSI (params.yaml).",
        "HyCon's time with sequences of 50 steps is that of its three Transformer layers for each "
        "modality: when this was profiled, 32% products of linear layers, 30% attention, 3% the "
        "drawing of what dropout leaves out.",
        "Parameters: trained ones, in thousands.",
    ]
    print(write_tables(arguments.output / "peers", lines, notes, "", ("torch", "MMSA")))


def of_shape(shape: str) -> list[Line]:
    """Return throughput and parameters of HyCon beside those of its peers."""
    title, count, repeats = SHAPES[shape]
    say(f"peers: {shape}")
    data = corpus(shape, count)
    made = {
        label: trainer(data, _with_batch(settings(shape, name)))
        for label, name in {**OURS, **PEERS}.items()
    }
    took = in_turns({label: work for label, (_, work) in made.items()}, repeats)
    rates = {label: [count / each for each in times] for label, times in took.items()}
    thousands = {label: parameter_counts(model)["all"] / 1e3 for label, (model, _) in made.items()}
    lines = []
    for label in OURS:
        for peer in PEERS:
            line = Line(
                f"training, {label}", title, "utterances/s", rates[label], rates[peer], peer
            )
            if peer in SLOWER:
                line = line._replace(claim=f"{LEAST}x or more", holds=line.ratio >= LEAST)
            lines.append(line)
    for peer in PEERS:
        ours, others = thousands["HyCon"], thousands[peer]
        line = Line("parameters", title, "", [ours], [others], peer)
        lines.append(line._replace(claim="fewer", holds=ours < others))
    return lines


def _with_batch(row: Settings) -> Settings:
    return row.model_copy(update={"train": row.train.model_copy(update={"batch_size": BATCH})})


if __name__ == "__main__":
    main()
