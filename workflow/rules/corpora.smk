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
        mem_mb=1000,
    params:
        code=code("generate"),
        task=lambda wildcards: corpus_of(wildcards).task,
        generator=lambda wildcards: corpus_of(wildcards).generator.as_json(),
    shell:
        "{PYTHON} -m hycon.stages.generate --task {params.task} --generator {params.generator:q}"
        " --output data/generated/{wildcards.corpus} --log {log}"


# a file that was fetched stays: neither code nor addresses are parameters of it
rule fetch:
    input:
        generated,
    output:
        "data/raw/{corpus}/{file}",
    log:
        "logs/fetch/{corpus}/{file}.log",
    resources:
        mem_mb=500,
    params:
        path=lambda wildcards: source(wildcards).path,
        sha256=lambda wildcards: source(wildcards).sha256 or "",
    shell:
        "{PYTHON} -m hycon.stages.fetch --path {params.path:q} --sha256={params.sha256:q}"
        " --corpus {wildcards.corpus} --servers {SERVERS:q} --output {output:q} --log {log:q}"


rule align:
    input:
        files_of,
    output:
        **{
            name: f"data/aligned/{{corpus}}/{name}"
            for name in (
                "utterances.csv",
                "offsets.npy",
                "audio.npy",
                "vision.npy",
                "vectors.npy",
                "report.json",
            )
        },
    log:
        "logs/align/{corpus}.log",
    resources:
        mem_mb=1000,
    params:
        code=code("align"),
        corpus=corpus_json,
        settings=PARAMS.align.as_json(),
    shell:
        "{PYTHON} -m hycon.stages.align --corpus {params.corpus:q} --settings {params.settings:q}"
        " --raw data/raw/{wildcards.corpus} --output data/aligned/{wildcards.corpus} --log {log}"
