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
from hycon.params import load, load_published, merge, read_texts, setting_at
from hycon.provenance import code_digest

min_version("9.10")

try:
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
PLACES = json.dumps({name: places_of(name) for name in PARAMS.catalogue})

# what came from where, with digests; in git
MANIFEST = "corpora.manifest.json"
PYTHON = shlex.quote(sys.executable)

# a fetched file is no output, which Snakemake would delete before it makes it anew; its record is,
# and without the file it says nothing
for record in Path("data/raw").glob("*/*.sha256"):
    if not record.with_suffix("").exists():
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
    seed=r"\d+",
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


def settings_json(wildcards):
    """Return a row's resolved network and training parameters, and nothing else."""
    return PARAMS.settings(wildcards.corpus, *ROWS[wildcards.row]).as_json()


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


def align_memory(wildcards):
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


def memory(wildcards):
    """Return what training a row needs in MB: with a model of its own, or a tensor of weights."""
    settings = PARAMS.settings(wildcards.corpus, *ROWS[wildcards.row])
    tensor = settings.model.fusion == "tensor"
    weights = settings.model.dimension * (settings.model.dimension + 1) ** 3 * tensor
    own = 3000 if settings.train.finetuning else 0
    # weights, gradient, two moments, the best and the averaged ones, 4 bytes each
    return 2000 + own + 24 * weights // 1_000_000


def metrics_plan():
    return {
        corpus: {experiment: scores_of(corpus, experiment) for experiment in experiments_of(corpus)}
        for corpus in PARAMS.corpora
    }


def table_rows(wildcards):
    """Return an experiment's rows as JSON: model, text encoder, path of the scores."""
    paths = scores_of(wildcards.corpus, wildcards.experiment)
    rows = [
        [PARAMS.variants[variant].label, encoder_label(wildcards.corpus, encoder), path]
        for (variant, encoder), path in zip(
            PARAMS.rows(wildcards.experiment, wildcards.corpus), paths.values(), strict=True
        )
    ]
    return json.dumps(rows)


def pairs_of(wildcards):
    """Return the rows that are compared with a reference, and its own, as (row, variant, encoder)."""
    reference = PARAMS.experiments[wildcards.experiment].reference
    return [
        (f"{variant}-{encoder}", f"{reference}-{encoder}", variant, encoder)
        for variant, encoder in PARAMS.rows(wildcards.experiment, wildcards.corpus)
        if variant != reference
    ]


def pairs_json(wildcards):
    """Return what the stage `compare` takes: model, text encoder, both scores."""
    folder = f"results/runs/{wildcards.corpus}"
    pairs = [
        [
            PARAMS.variants[variant].label,
            encoder_label(wildcards.corpus, encoder),
            f"{folder}/{row}/scores.json",
            f"{folder}/{reference}/scores.json",
        ]
        for row, reference, variant, encoder in pairs_of(wildcards)
    ]
    return json.dumps(pairs)


def compared_of(wildcards):
    """Return the files that a comparison reads: scores, and every run's predictions."""
    rows = {row for pair in pairs_of(wildcards) for row in pair[:2]}
    return [
        path
        for row in sorted(rows)
        for path in [
            f"results/runs/{wildcards.corpus}/{row}/scores.json",
            *[
                f"{run_folder(row, seed, wildcards.corpus)}/representations.safetensors"
                for seed in PARAMS.seeds
            ],
        ]
    ]


def tables_of(corpus):
    """Return the names of a corpus's tables: experiments, each against its reference, published."""
    names = []
    for name in experiments_of(corpus):
        reference = PARAMS.experiments[name].reference
        variants = {variant for variant, _ in PARAMS.rows(name, corpus)}
        compared = reference in variants and len(variants) > 1
        names += [name, *([f"{name}-differences"] if compared else [])]
    if any(published.corpus == corpus for published in PUBLISHED):
        names.append("published")
    return [*names, *(["complexity"] if PARAMS.complexity else [])]


def measured_rows(corpus):
    """Return the rows whose cost is measured: those of the first experiment."""
    return rows_of(experiments_of(corpus)[0], corpus)


def measured_labels(wildcards):
    """Return what a table calls the rows whose cost is measured, by row: model, text encoder."""
    return json.dumps(
        {
            name: [
                PARAMS.variants[ROWS[name][0]].label,
                encoder_label(wildcards.corpus, ROWS[name][1]),
            ]
            for name in measured_rows(wildcards.corpus)
        }
    )


def measured_files(wildcards):
    """Return the files that measuring reads: those that training its rows does."""
    files = {}
    for row in measured_rows(wildcards.corpus):
        files |= dict.fromkeys(features_of(Row(wildcards.corpus, row)))
    return list(files)


def measured_json(wildcards):
    """Return what the stage `complexity` takes: names, settings, encoder, states, tiny model."""
    rows = []
    for name in measured_rows(wildcards.corpus):
        row, encoder = Row(wildcards.corpus, name), ROWS[name][1]
        tiny = PARAMS.encoders[encoder].tiny
        rows.append(
            [
                name,
                encoder,
                settings_json(row),
                encoder_json(row),
                states_folder(row),
                tiny_folder(row) if tiny else None,
            ]
        )
    return json.dumps(rows)


def figures_of(corpus):
    """Return the names of a corpus's figures, EXPERIMENT-curve-ENCODER or EXPERIMENT-tsne-ENCODER."""
    names = []
    for name in experiments_of(corpus):
        experiment, rows = PARAMS.experiments[name], PARAMS.rows(name, corpus)
        drawn = ["curve"] if experiment.curve else []
        drawn += ["tsne"] if set(experiment.tsne or ["none"]) <= {row[0] for row in rows} else []
        encoders = dict.fromkeys(encoder for _, encoder in rows)
        names += [f"{name}-{kind}-{encoder}" for kind in drawn for encoder in encoders]
    return names


def drawn_rows(wildcards):
    """Return label and row of what a figure shows: an experiment's variants, or the two of t-SNE."""
    experiment = PARAMS.experiments[wildcards.experiment]
    variants = experiment.variants if wildcards.kind == "curve" else experiment.tsne
    return [(variant, f"{variant}-{wildcards.encoder}") for variant in variants]


def drawn_files(wildcards):
    """Return the files that a figure reads."""
    folder = f"results/runs/{wildcards.corpus}"
    if wildcards.kind == "curve":
        return [f"{folder}/{row}/scores.json" for _, row in drawn_rows(wildcards)]
    runs = [run_folder(row, PARAMS.seeds[0], wildcards.corpus) for _, row in drawn_rows(wildcards)]
    names = ("representations.safetensors", "run.json")
    aligned = f"data/aligned/{wildcards.corpus}/utterances.csv"
    return [aligned, *[f"{run}/{name}" for run in runs for name in names]]


def drawing(wildcards):
    """Return the options of the stage `figures` for a figure."""
    experiment, corpus = PARAMS.experiments[wildcards.experiment], wildcards.corpus
    rows = drawn_rows(wildcards)
    title = f"{experiment.title}. Text encoder: {encoder_label(corpus, wildcards.encoder)}"
    if wildcards.kind == "curve":
        points = [
            [setting_at(PARAMS.settings(corpus, *ROWS[row]), experiment.curve), path]
            for (_, row), path in zip(rows, drawn_files(wildcards), strict=True)
        ]
        metrics = ["acc", "f1"] if corpus_of(wildcards).emotions else ["mae_all", "acc2_pos"]
        options = {"rows": json.dumps(sorted(points)), "metrics": json.dumps(metrics)}
        options["x-label"] = experiment.curve.split(".")[-1]
    else:
        runs = [
            [PARAMS.variants[variant].label, run_folder(row, PARAMS.seeds[0], corpus)]
            for variant, row in rows
        ]
        options = {"runs": json.dumps(runs), "aligned": f"data/aligned/{corpus}", "seed": "0"}
        title = f"Multimodal representations with and without contrastive learning. {title}"
    options |= {"title": title, "key": corpus, "corpus": corpus_of(wildcards).as_json()}
    return " ".join(f"--{key} {shlex.quote(value)}" for key, value in options.items())


def published_scores(wildcards):
    """Return the path of the scores of each row that a published one is held against."""
    rows = {
        row for name in experiments_of(wildcards.corpus) for row in rows_of(name, wildcards.corpus)
    }
    return {
        each.row: f"results/runs/{wildcards.corpus}/{each.row}/scores.json"
        for each in PUBLISHED
        if each.corpus == wildcards.corpus and each.row in rows
    }


def published_json(wildcards):
    """Return the published rows of a corpus."""
    rows = [each for each in PUBLISHED if each.corpus == wildcards.corpus]
    return json.dumps([each.model_dump() for each in rows])


def encoder_label(corpus, encoder):
    """Return what a table calls a text encoder; vectors are what the corpus has."""
    chosen = PARAMS.encoders[encoder]
    return PARAMS.catalogue[corpus].vectors if chosen.kind == "vectors" else chosen.label


def left_out(wildcards):
    """Return why text encoders of an experiment have no rows on this corpus; "" if all have."""
    reasons = [
        PARAMS.unusable(wildcards.corpus, encoder)
        for encoder in PARAMS.experiments[wildcards.experiment].encoders
    ]
    return "; ".join(filter(None, reasons))
