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
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("generate"),
        task=lambda wildcards: corpus_of(wildcards).task,
        generator=lambda wildcards: corpus_of(wildcards).generator.as_json(),
    shell:
        "{PYTHON} -m hycon.stages.generate --task {params.task} --generator {params.generator:q}"
        " --output data/generated/{wildcards.corpus} --log {log}"


# A file that was fetched stays: neither code nor addresses are parameters of it. It lies beside its
# record, data/raw/CORPUS/FILE; one that was put there by hand is checked and kept.
rule fetch:
    input:
        generated,
    output:
        "data/raw/{corpus}/{file}.sha256",
    log:
        "logs/fetch/{corpus}/{file}.log",
    # where Snakemake itself runs: nodes of a cluster often see no network
    localrule: True
    resources:
        mem_mb=500,
    params:
        sha256=lambda wildcards: source(wildcards).sha256 or "",
        size=lambda wildcards: source(wildcards).size or 0,
        manifest=lambda wildcards: "" if corpus_of(wildcards).generator else MANIFEST,
    shell:
        "{PYTHON} -m hycon.stages.fetch --corpus {wildcards.corpus} --file {wildcards.file:q}"
        " --sha256={params.sha256:q} --size {params.size} --manifest={params.manifest:q}"
        " --places {PLACES:q} --output {output:q} --log {log:q}"


# every file of every corpus, fetched or checked
rule raw:
    input:
        [
            f"data/raw/{corpus}/{file.name}.sha256"
            for corpus in PARAMS.corpora
            for file in PARAMS.catalogue[corpus].files.values()
        ],


rule align:
    input:
        records_of,
    output:
        **{
            name: f"data/aligned/{{corpus}}/{name}"
            for name in (
                "utterances.csv",
                "audio.npy",
                "audio.offsets.npy",
                "vision.npy",
                "vision.offsets.npy",
                "vectors.npy",
                "vectors.offsets.npy",
                "report.json",
            )
        },
    log:
        "logs/align/{corpus}.log",
    resources:
        mem_mb=growing(align_memory),
        runtime=growing(60),
    params:
        code=code("align"),
        corpus=corpus_json,
        settings=PARAMS.align.as_json(),
    shell:
        "{PYTHON} -m hycon.stages.align --corpus {params.corpus:q} --settings {params.settings:q}"
        " --raw data/raw/{wildcards.corpus} --output data/aligned/{wildcards.corpus} --log {log}"
