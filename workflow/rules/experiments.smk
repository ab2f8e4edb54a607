# The runs of a row (a variant with a text encoder) on a corpus, one a seed; then their scores.


# One job for all seeds of a row: starting Python and torch takes as long as a small run. The runs
# themselves, seed-N beside the output, are undeclared: Snakemake would delete them before the job,
# which keeps those that came of the same parameters, inputs and code.
rule train:
    input:
        features_of,
    output:
        "results/runs/{corpus}/{row}/runs.json",
    log:
        "logs/train/{corpus}/{row}.log",
    threads: 1
    resources:
        mem_mb=growing(memory),
        runtime=minutes,
        gpu=GPU,
    params:
        code=code("train"),
        corpus=corpus_json,
        encoder=encoder_json,
        settings=settings_json,
        seeds=PARAMS.seeds,
        states=states_folder,
        tiny=tiny_folder,
    shell:
        "exec {PYTHON} -m hycon.stages.train --name {wildcards.corpus}/{wildcards.row}"
        " --corpus {params.corpus:q} --encoder {params.encoder:q} --settings {params.settings:q}"
        " --seeds {params.seeds} --inputs {input:q} --aligned data/aligned/{wildcards.corpus}"
        " --states {params.states} --tiny {params.tiny} --device {DEVICE} --threads {threads}"
        " --output results/runs/{wildcards.corpus}/{wildcards.row} --log {log}"


rule evaluate:
    input:
        utterances="data/aligned/{corpus}/utterances.csv",
        runs=rules.train.output,
    output:
        "results/runs/{corpus}/{row}/scores.json",
    log:
        "logs/evaluate/{corpus}/{row}.log",
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        code=code("evaluate"),
        corpus=corpus_json,
        encoder=encoder_json,
        settings=settings_json,
        metrics=PARAMS.metrics.as_json(),
        runs=lambda wildcards: [
            run_folder(wildcards.row, seed, wildcards.corpus) for seed in PARAMS.seeds
        ],
    shell:
        "{PYTHON} -m hycon.stages.evaluate --name {wildcards.corpus}/{wildcards.row}"
        " --corpus {params.corpus:q} --encoder {params.encoder:q} --settings {params.settings:q}"
        " --metrics {params.metrics:q} --aligned data/aligned/{wildcards.corpus}"
        " --runs {params.runs} --output {output} --log {log}"


# every run of every row of every experiment, scored
rule runs:
    input:
        [
            path
            for corpus in PARAMS.corpora
            for experiment in PARAMS.experiments
            for row in rows_of(experiment, corpus)
            for path in [
                f"results/runs/{corpus}/{row}/scores.json",
                f"results/runs/{corpus}/{row}/runs.json",
            ]
        ],


# the study beside the outputs is undeclared: Snakemake would delete it after a failure, and with it
# what a search that was broken off goes on from
rule tune_row:
    input:
        features_of,
    output:
        overlay="results/{corpus}/tuning/{row}.yaml",
        trials="results/{corpus}/tuning/{row}.csv",
    log:
        "logs/tune/{corpus}/{row}.log",
    wildcard_constraints:
        row=tuned_row(),
    threads: 1
    resources:
        mem_mb=growing(memory),
        runtime=minutes,
        gpu=GPU,
    params:
        code=code("tune"),
        corpus=corpus_json,
        encoder=encoder_json,
        settings=settings_json,
        tuning=lambda wildcards: tuning_of(wildcards)[0],
        places=lambda wildcards: tuning_of(wildcards)[1],
        states=states_folder,
        tiny=tiny_folder,
    shell:
        "exec {PYTHON} -m hycon.stages.tune --name {wildcards.corpus}/{wildcards.row}"
        " --corpus {params.corpus:q} --encoder {params.encoder:q} --settings {params.settings:q}"
        " --tuning {params.tuning:q} --places {params.places:q}"
        " --aligned data/aligned/{wildcards.corpus} --states {params.states} --tiny {params.tiny}"
        " --device {DEVICE} --threads {threads}"
        " --study results/{wildcards.corpus}/tuning/{wildcards.row}.journal"
        " --output results/{wildcards.corpus}/tuning/{wildcards.row} --log {log}"


rule tune:
    input:
        expand("results/{corpus}/tuning/{row}.yaml", corpus=PARAMS.corpora, row=tuned_row()),
