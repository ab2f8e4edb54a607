# Cached text states: one folder per corpus and text encoder.


rule tiny:
    input:
        "data/aligned/{corpus}/utterances.csv",
    output:
        "data/models/{corpus}/tiny-{tiny}/model.safetensors",
        "data/models/{corpus}/tiny-{tiny}/config.json",
        "data/models/{corpus}/tiny-{tiny}/tokenizer.json",
        "data/models/{corpus}/tiny-{tiny}/tokenizer_config.json",
    log:
        "logs/tiny/{corpus}-{tiny}.log",
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        code=code("tiny"),
    shell:
        "{PYTHON} -m hycon.stages.tiny --kind {wildcards.tiny}"
        " --aligned data/aligned/{wildcards.corpus}"
        " --output data/models/{wildcards.corpus}/tiny-{wildcards.tiny} --log {log}"


rule encode:
    input:
        encoder_input,
    output:
        states="data/features/{corpus}/{encoder}/states.npy",
        offsets="data/features/{corpus}/{encoder}/states.offsets.npy",
        record="data/features/{corpus}/{encoder}/encoder.json",
    log:
        "logs/encode/{corpus}/{encoder}.log",
    threads: 1
    resources:
        mem_mb=growing(encode_memory),
        runtime=growing(120),
        gpu=GPU,
    params:
        code=code("encode"),
        encoder=encoder_json,
        tiny=tiny_folder,
    shell:
        "{PYTHON} -m hycon.stages.encode --encoder {params.encoder:q}"
        " --aligned data/aligned/{wildcards.corpus}"
        " --tiny {params.tiny}"
        " --device {DEVICE} --threads {threads}"
        " --output data/features/{wildcards.corpus}/{wildcards.encoder} --log {log}"


# every corpus with every text encoder that its experiments use
rule features:
    input:
        # asked for by name: what only later steps read would not be missed if it were deleted
        expand(rules.align.output, corpus=PARAMS.corpora),
        [
            f"data/features/{corpus}/{encoder}/states.npy"
            for corpus in PARAMS.corpora
            for encoder in sorted(
                {row[1] for name in PARAMS.experiments for row in PARAMS.rows(name, corpus)}
            )
            if not PARAMS.encoders[encoder].finetune
        ],
