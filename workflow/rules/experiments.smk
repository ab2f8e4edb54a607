# One run per corpus, row (variant and text encoder) and seed; then its scores.


def run_folder(row="{row}", seed="{seed}", corpus="{corpus}"):
    return f"results/runs/{corpus}/{row}/seed-{seed}"


def rows_of(experiment):
    """Return the names of an experiment's rows, in the order of its table."""
    return [f"{variant}-{encoder}" for variant, encoder in PARAMS.rows(experiment)]


def features_of(wildcards):
    """Return the files that training reads."""
    aligned = f"data/aligned/{wildcards.corpus}"
    states = f"data/features/{wildcards.corpus}/{encoder_of(wildcards)}"
    names = ("utterances.csv", "offsets.npy", "audio.npy", "vision.npy")
    return [f"{aligned}/{name}" for name in names] + [
        f"{states}/{name}" for name in ("states.npy", "offsets.npy")
    ]


rule train:
    input:
        features_of,
    output:
        record=run_folder() + "/run.json",
        weights=run_folder() + "/model.safetensors",
        history=run_folder() + "/history.csv",
        representations=run_folder() + "/representations.safetensors",
    log:
        "logs/train/{corpus}/{row}/seed-{seed}.log",
    threads: 1
    resources:
        mem_mb=2000,
    params:
        code=code("train"),
        corpus=corpus_json,
        encoder=encoder_json,
        settings=settings_json,
        states=lambda wildcards: f"data/features/{wildcards.corpus}/{encoder_of(wildcards)}",
    shell:
        "{PYTHON} -m hycon.stages.train --name {wildcards.corpus}/{wildcards.row}"
        " --corpus {params.corpus:q} --encoder {params.encoder:q} --settings {params.settings:q}"
        " --seed {wildcards.seed} --aligned data/aligned/{wildcards.corpus}"
        " --states {params.states} --device {DEVICE} --threads {threads}"
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
            for row in rows_of(experiment)
            for path in [
                f"results/runs/{corpus}/{row}/scores.json",
                *[
                    f"{run_folder(row, seed, corpus)}/run.json"
                    for seed in PARAMS.seeds
                ],
            ]
        ],
