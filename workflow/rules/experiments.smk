# The runs of a row (a variant with a text encoder) on a corpus, one a seed; then their scores.


# One job trains several seeds: starting Python and torch takes as long as a small run. The runs
# themselves, seed-N beside the output, are no outputs: Snakemake would delete them before the job,
# which keeps those that have the same parameters, inputs and code.
rule train:
    input:
        reads("train"),
    output:
        "results/runs/{corpus}/{row}/runs-{block}.json",
    log:
        "logs/train/{corpus}/{row}-{block}.log",
    group:
        GROUP
    threads: 1
    resources:
        **needs("train"),
        gpu=GPU,
    params:
        **given("train"),
    shell:
        STAGE


rule evaluate:
    input:
        reads("evaluate"),
    output:
        "results/runs/{corpus}/{row}/scores.json",
    log:
        "logs/evaluate/{corpus}/{row}.log",
    group:
        GROUP
    resources:
        **needs("evaluate"),
    params:
        **given("evaluate"),
    shell:
        STAGE


# every run of every row of every experiment, scored
rule runs:
    input:
        files("runs"),


# The study beside the outputs is no output: Snakemake would delete it after a failure, and with it
# what a search that was interrupted resumes from.
rule tune_row:
    input:
        reads("tune_row"),
    output:
        overlay="results/{corpus}/tuning/{row}.yaml",
        trials="results/{corpus}/tuning/{row}.csv",
    log:
        "logs/tune/{corpus}/{row}.log",
    threads: 1
    resources:
        **needs("tune_row"),
        gpu=GPU,
    params:
        **given("tune_row"),
    shell:
        STAGE


# better parameters of the row that `tuning` names, for every corpus
rule tune:
    input:
        files("tune"),
