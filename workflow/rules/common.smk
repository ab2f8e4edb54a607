# The door: parameters are read and checked here, once. A mistake in them is one line and exit
# code 2, before anything starts.
import functools
import json
import shlex
import sys

from snakemake.utils import min_version

from hycon.errors import HyConError
from hycon.params import load
from hycon.provenance import code_digest

min_version("9.10")

try:
    PARAMS = load(overlay=config)
except HyConError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


def servers_of(params, name):
    """Return where a corpus's files are looked for, in order."""
    corpus = params.catalogue[name]
    made_up = ["data/generated"] if corpus.generator else []
    return [*([params.mirror] if params.mirror else []), *made_up, *corpus.servers]


# these change where and how a step runs, not what comes of it: they are no rule's params, so that
# naming a mirror or another device reruns nothing
DEVICE = PARAMS.device
SERVERS = json.dumps({name: servers_of(PARAMS, name) for name in PARAMS.catalogue})

PYTHON = shlex.quote(sys.executable)
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


@functools.cache
def code(stage):
    """Return the digest of a stage's code, so that an edit of it reruns the stage."""
    return code_digest(f"hycon.stages.{stage}")


def corpus_of(wildcards):
    return PARAMS.catalogue[wildcards.corpus]


def corpus_json(wildcards):
    return corpus_of(wildcards).as_json()


def encoder_of(wildcards):
    """Return the text encoder of a row, or the one that a wildcard names."""
    row = wildcards.get("row")
    return ROWS[row][1] if row else wildcards.encoder


def encoder_json(wildcards):
    return PARAMS.encoders[encoder_of(wildcards)].as_json()


def settings_json(wildcards):
    """Return a row's resolved network and training parameters, and nothing else."""
    return PARAMS.settings(ROWS[wildcards.row][0]).as_json()
