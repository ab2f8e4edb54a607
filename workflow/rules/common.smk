# The door: parameters are read and checked here, once. A mistake in them is one line and exit
# code 2, before anything starts.
import functools
import json
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

from snakemake.utils import min_version

# the code beside this Snakefile, whatever else is installed
sys.path.insert(0, str(workflow.basedir))

from hycon.errors import HyConError
from hycon.params import (
    ADAPTED,
    MISSING,
    Model,
    load,
    load_published,
    merge,
    read_texts,
    read_yaml,
    setting_at,
)
from hycon.provenance import code_digest, parameters_digest
from hycon.reading import read_json

min_version("9.10")

try:
    # Snakemake has read the overlays, and lets a key stand twice and aliases multiply
    for path in map(Path, workflow.config_settings.configfiles):
        if path.is_file():
            read_yaml(path)
    given = read_texts(dict(workflow.config_settings.config or {}))
    PARAMS = load(overlay=merge(config, given))
    PUBLISHED = load_published()
except HyConError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


def places_of(name):
    """Return where each of a corpus's files is looked for, in order."""
    corpus = PARAMS.catalogue[name]
    if corpus.generator:
        return {file.name: [f"data/generated/{name}/{file.name}"] for file in corpus.files.values()}
    return {file.name: file.places(PARAMS.mirror, corpus.servers) for file in corpus.files.values()}


# these change where and how a step runs, not what comes of it: they are no rule's params, so that
# naming a mirror or another device reruns nothing
DEVICE = PARAMS.device
# what a cluster is asked for; `auto` takes a GPU where one is, and cannot know it beforehand
GPU = int(PARAMS.device.startswith("cuda"))
PLACES = json.dumps({name: places_of(name) for name in PARAMS.catalogue})

# what came from where, with digests; in git
MANIFEST = "corpora.manifest.json"
PYTHON = shlex.quote(sys.executable)

# folders that DVC keeps must be there, though a run may have nothing for them: no made-up corpus, no
# tiny model, or text encoders that are all fine-tuned
for folder in ("generated", "models", "features"):
    Path("data", folder).mkdir(parents=True, exist_ok=True)

# a fetched file is no output, which Snakemake would delete before it makes it anew; its record is,
# and without the file it says nothing
for record in Path("data/raw").glob("*/*.sha256"):
    if not record.with_suffix("").exists():
        record.unlink()
# and so with a row's runs
for record in Path("results/runs").glob("*/*/runs.json"):
    try:
        seeds = [int(seed) for seed in read_json(record)["seeds"]]
        whole = all((record.parent / f"seed-{seed}/run.json").exists() for seed in seeds)
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        record.unlink()

# a variant's runs are named VARIANT-ENCODER
ROWS = {
    f"{variant}-{encoder}": (variant, encoder)
    for variant in PARAMS.variants
    for encoder in PARAMS.encoders
}


wildcard_constraints:
    corpus="|".join(PARAMS.catalogue),
    encoder="|".join(PARAMS.encoders),
    row="|".join(ROWS),
    experiment="|".join(PARAMS.experiments),
    kind="curve|tsne",
    tiny="bert|xlnet",
    file=r"[^/]+(?<!\.sha256)",


@functools.cache
def code(stage):
    """Return the digest of a stage's code, so that an edit of it reruns the stage."""
    return code_digest(f"hycon.stages.{stage}")


class Row(NamedTuple):
    """A row of a corpus, where a rule's wildcards do not name one."""

    corpus: str
    row: str

    def get(self, name):
        return getattr(self, name, None)


def corpus_of(wildcards):
    return PARAMS.catalogue[wildcards.corpus]


def corpus_json(wildcards):
    """Return what a corpus's numbers depend on, so that another title or server reruns nothing."""
    return corpus_of(wildcards).as_input()


def encoder_of(wildcards):
    """Return the text encoder of a row, or the one that a wildcard names."""
    row = wildcards.get("row")
    return ROWS[row][1] if row else wildcards.encoder


def encoder_json(wildcards):
    return PARAMS.encoders[encoder_of(wildcards)].as_input()


def settings_of(wildcards):
    """Return a row's resolved network and training parameters, and nothing else."""
    return PARAMS.settings(wildcards.corpus, *ROWS[wildcards.row])


def settings_json(wildcards):
    return settings_of(wildcards).as_json()


def made_of(corpus, row):
    """Return the digest of the parameters that a row's scores are made of, as `evaluate` notes it."""
    row = Row(corpus, row)
    return parameters_digest(
        {
            "corpus": json.loads(corpus_json(row)),
            "encoder": json.loads(encoder_json(row)),
            "settings": json.loads(settings_json(row)),
            "metrics": json.loads(PARAMS.metrics.as_json()),
            "seeds": sorted(PARAMS.seeds),
        }
    )


def expected_of(corpus, rows):
    """Return the digest of the parameters that each row's scores must be made of, by their path."""
    return {f"results/runs/{corpus}/{row}/scores.json": made_of(corpus, row) for row in rows}


def generated(wildcards):
    """Return the made-up file that a fetch takes, if the corpus is made up."""
    if corpus_of(wildcards).generator is None:
        return []
    return f"data/generated/{wildcards.corpus}/{wildcards.file}"


def source(wildcards):
    """Return the catalogue's entry of a file."""
    files = corpus_of(wildcards).files.values()
    return next(file for file in files if file.name == wildcards.file)


def records_of(wildcards):
    """Return the records of a corpus's files: they are there once the files are."""
    files = corpus_of(wildcards).files.values()
    return [f"data/raw/{wildcards.corpus}/{file.name}.sha256" for file in files]


def align_memory(wildcards, input):
    """Return what aligning needs in MB: sequences are read by video, other files as a whole."""
    corpus = corpus_of(wildcards)
    if corpus.format == "sequences":
        return 1000
    return 1000 + sum((file.size or 4_000_000_000) for file in corpus.files.values()) // 1_000_000


def ragged(path):
    """Return the two files of a ragged array."""
    return [path, f"{path.removesuffix('.npy')}.offsets.npy"]


def encoder_input(wildcards):
    """Return what an encoder reads: texts, and its own word vectors or tiny model if it has one."""
    aligned = f"data/aligned/{wildcards.corpus}"
    if PARAMS.encoders[wildcards.encoder].kind == "vectors":
        needed = ragged(f"{aligned}/vectors.npy")
    else:
        needed = tiny_model(wildcards)
    return [f"{aligned}/utterances.csv", *needed]


def tiny_folder(wildcards):
    """Return where an encoder's tiny model lies, if it is one."""
    return f"data/models/{wildcards.corpus}/tiny-{PARAMS.encoders[encoder_of(wildcards)].tiny}"


def tiny_model(wildcards):
    """Return the weights of an encoder's tiny model as a list, empty if it is none."""
    made = PARAMS.encoders[encoder_of(wildcards)].tiny
    return [f"{tiny_folder(wildcards)}/model.safetensors"] if made else []


def run_folder(row, seed, corpus):
    return f"results/runs/{corpus}/{row}/seed-{seed}"


def rows_of(experiment, corpus):
    """Return the names of an experiment's rows on a corpus, in the order of its table."""
    return [f"{variant}-{encoder}" for variant, encoder in PARAMS.rows(experiment, corpus)]


def experiments_of(corpus):
    """Return the experiments that have rows on a corpus."""
    return [name for name in PARAMS.experiments if PARAMS.rows(name, corpus)]


def features_of(wildcards):
    """Return the files that training reads: text states, or the model that is fine-tuned."""
    aligned = f"data/aligned/{wildcards.corpus}"
    signals = [*ragged(f"{aligned}/audio.npy"), *ragged(f"{aligned}/vision.npy")]
    if PARAMS.encoders[encoder_of(wildcards)].finetune:
        text = tiny_model(wildcards)
    else:
        text = ragged(f"{states_folder(wildcards)}/states.npy")
    return [f"{aligned}/utterances.csv", *signals, *text]


def states_folder(wildcards):
    return f"data/features/{wildcards.corpus}/{encoder_of(wildcards)}"


def scores_of(corpus, experiment):
    """Return the path of each row's scores, by row."""
    return {row: f"results/runs/{corpus}/{row}/scores.json" for row in rows_of(experiment, corpus)}


def tuned_row():
    return f"{PARAMS.tuning.variant}-{PARAMS.tuning.encoder}"


def tuning_of(wildcards):
    """Return the search for a corpus, and where an overlay puts its keys; both as JSON."""
    try:
        tuning, places = PARAMS.tuning_of(wildcards.corpus)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    return tuning.as_json(), json.dumps(places)


def growing(amount):
    """Return a resource of which a job that failed gets more, up to four times as much."""

    def grown(wildcards, input, attempt):
        return min(attempt, 4) * (amount(wildcards, input) if callable(amount) else amount)

    return grown


def minutes(wildcards):
    """Return how long training a row may take: all its seeds, but a day at most.

    It does not grow: a job that was stopped goes on from what it left.
    """
    return min(len(PARAMS.seeds) * (240 if settings_of(wildcards).train.finetuning else 60), 1440)


def memory(wildcards, input):
    """Return what training a row needs in MB: its features, a model of its own, a tensor of weights."""
    settings = settings_of(wildcards)
    weights = 0
    if isinstance(settings.model, Model) and settings.model.fusion == "tensor":
        weights = settings.model.dimension * (settings.model.dimension + 1) ** 3
    own = 3000 if settings.train.finetuning else 0
    # weights, gradient, two moments, the best and the averaged ones, 4 bytes each
    return features_memory(wildcards, input) + own + 24 * weights // 1_000_000


def features_memory(wildcards, input):
    """Return what having a corpus's features in memory needs, in MB."""
    # measured: 2.1 times the files
    return int(1000 + 3 * input.size_mb)


def encode_memory(wildcards, input):
    """Return what encoding a corpus needs in MB: a model, and the states of a MB of text a GB."""
    if PARAMS.encoders[wildcards.encoder].kind == "vectors":
        return 1000
    return int(3000 + 1000 * Path(input[0]).stat().st_size / 1_000_000)
