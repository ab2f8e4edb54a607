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
    priority: priority_of("generate")
    resources:
        **needs("generate"),
    params:
        **given("generate"),
    shell:
        STAGE


# The output is the file's record, not the file: Snakemake deletes outputs before a rerun, and an
# existing file is checked and kept.
rule fetch:
    input:
        reads("fetch"),
    output:
        "data/raw/{corpus}/{file}.sha256",
    log:
        "logs/fetch/{corpus}/{file}.log",
    priority: priority_of("fetch")
    # not on a cluster's nodes, which often have no network
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
    priority: priority_of("align")
    resources:
        **needs("align"),
    params:
        **given("align"),
    shell:
        STAGE
