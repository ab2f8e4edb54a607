# From servers and generators to aligned utterances.


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


# The fetched file lies beside its record and is no output: Snakemake would delete it before it
# fetches it again. A file that was put there by hand is checked and kept.
rule fetch:
    input:
        reads("fetch"),
    output:
        "data/raw/{corpus}/{file}.sha256",
    log:
        "logs/fetch/{corpus}/{file}.log",
    # where Snakemake itself runs: nodes of a cluster often see no network
    localrule: True
    resources:
        **needs("fetch"),
    params:
        **given("fetch"),
    shell:
        STAGE


# every file of every corpus, fetched or checked
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
