# Fetch, generate and align corpora.


rule generate:
    output:
        **{
            name: f"data/generated/{{corpus}}/{name}.csd"
            for name in ("words", "vectors", "audio", "vision", "labels")
        },
        folds="data/generated/{corpus}/folds.json",
    log:
        "logs/generate/{corpus}.log",
    resources:
        **needs("generate"),
    params:
        **given("generate"),
    shell:
        STAGE


# The output is the record of a file, not the file: Snakemake deletes outputs before a rerun, but
# this stage checks an existing file and keeps it.
rule fetch:
    input:
        reads("fetch"),
    output:
        "data/raw/{corpus}/{file}.sha256",
    log:
        "logs/fetch/{corpus}/{file}.log",
    # runs locally, because cluster nodes often have no network access
    localrule: True
    resources:
        **needs("fetch"),
    params:
        **given("fetch"),
    shell:
        STAGE


# all files of all corpora
rule raw:
    input:
        files("raw"),


rule align:
    input:
        reads("align"),
    output:
        utterances="data/aligned/{corpus}/utterances.csv",
        audio=multiext("data/aligned/{corpus}/audio", ".npy", ".offsets.npy"),
        vision=multiext("data/aligned/{corpus}/vision", ".npy", ".offsets.npy"),
        vectors=multiext("data/aligned/{corpus}/vectors", ".npy", ".offsets.npy"),
        report="data/aligned/{corpus}/report.json",
    log:
        "logs/align/{corpus}.log",
    resources:
        **needs("align"),
    params:
        **given("align"),
    shell:
        STAGE
