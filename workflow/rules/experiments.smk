# One run per corpus, row (variant and text encoder) and seed; then its scores.


rule train:
    input:
        features_of,
    output:
        record="results/runs/{corpus}/{row}/seed-{seed}/run.json",
        weights="results/runs/{corpus}/{row}/seed-{seed}/model.safetensors",
        history="results/runs/{corpus}/{row}/seed-{seed}/history.csv",
        representations="results/runs/{corpus}/{row}/seed-{seed}/representations.safetensors",
    log:
        "logs/train/{corpus}/{row}/seed-{seed}.log",
    threads: 1
    resources:
        mem_mb=memory,
    params:
        code=code("train"),
        corpus=corpus_json,
        encoder=encoder_json,
        settings=settings_json,
        states=states_folder,
        tiny=tiny_folder,
    shell:
        "{PYTHON} -m hycon.stages.train --name {wildcards.corpus}/{wildcards.row}"
        " --corpus {params.corpus:q} --encoder {params.encoder:q} --settings {params.settings:q}"
        " --seed {wildcards.seed} --aligned data/aligned/{wildcards.corpus}"
        " --states {params.states} --tiny {params.tiny} --device {DEVICE} --threads {threads}"
        " --output results/runs/{wildcards.corpus}/{wildcards.row}/seed-{wildcards.seed}"
        " --log {log}"


rule evaluate:
    input:
        utterances="data/aligned/{corpus}/utterances.csv",
        records=expand(rules.train.output.record, seed=PARAMS.seeds, allow_missing=True),
        representations=expand(
            rules.train.output.representations, seed=PARAMS.seeds, allow_missing=True
        ),
    output:
        "results/runs/{corpus}/{row}/scores.json",
    log:
        "logs/evaluate/{corpus}/{row}.log",
    resources:
        mem_mb=500,
    params:
        code=code("evaluate"),
        corpus=corpus_json,
        encoder=encoder_json,
        settings=settings_json,
        runs=lambda wildcards: [
            run_folder(wildcards.row, seed, wildcards.corpus) for seed in PARAMS.seeds
        ],
    shell:
        "{PYTHON} -m hycon.stages.evaluate --name {wildcards.corpus}/{wildcards.row}"
        " --corpus {params.corpus:q} --encoder {params.encoder:q} --settings {params.settings:q}"
        " --aligned data/aligned/{wildcards.corpus} --runs {params.runs} --output {output}"
        " --log {log}"


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
                *[f"{run_folder(row, seed, corpus)}/run.json" for seed in PARAMS.seeds],
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
        mem_mb=memory,
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
        "{PYTHON} -m hycon.stages.tune --name {wildcards.corpus}/{wildcards.row}"
        " --corpus {params.corpus:q} --encoder {params.encoder:q} --settings {params.settings:q}"
        " --tuning {params.tuning:q} --places {params.places:q}"
        " --aligned data/aligned/{wildcards.corpus} --states {params.states} --tiny {params.tiny}"
        " --device {DEVICE} --threads {threads}"
        " --study results/{wildcards.corpus}/tuning/{wildcards.row}.journal"
        " --output results/{wildcards.corpus}/tuning/{wildcards.row} --log {log}"


rule tune:
    input:
        expand("results/{corpus}/tuning/{row}.yaml", corpus=PARAMS.corpora, row=tuned_row()),
