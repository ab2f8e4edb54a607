# Train a row (a variant with a text encoder) on a corpus, one run per seed, and score the runs.


# One job trains several seeds, because starting Python and torch takes as long as a small run. The
# runs (seed-N) are not outputs: Snakemake deletes outputs before a rerun, and the job keeps runs with
# the same parameters, inputs and code.
rule train:
    input:
        reads("train"),
    output:
        "results/runs/{corpus}/{row}/runs-{block}.json",
    log:
        "logs/train/{corpus}/{row}-{block}.log",
    priority: priority_of("train")
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
        scores="results/runs/{corpus}/{row}/scores.json",
        resampled="results/runs/{corpus}/{row}/resampled.safetensors",
    log:
        "logs/evaluate/{corpus}/{row}.log",
    priority: priority_of("evaluate")
    group:
        GROUP
    resources:
        **needs("evaluate"),
    params:
        **given("evaluate"),
    shell:
        STAGE


# all runs of all rows, scored
rule runs:
    input:
        files("runs"),


# The study is not an output: Snakemake deletes outputs after a failure, and an interrupted search
# resumes from it.
rule tune_row:
    input:
        reads("tune_row"),
    output:
        overlay="results/{corpus}/tuning/{row}.yaml",
        trials="results/{corpus}/tuning/{row}.csv",
    log:
        "logs/tune/{corpus}/{row}.log",
    priority: priority_of("tune_row")
    threads: 1
    resources:
        **needs("tune_row"),
        gpu=GPU,
    params:
        **given("tune_row"),
    shell:
        STAGE


# better parameters for the row in `tuning`, for every corpus
rule tune:
    input:
        files("tune"),
