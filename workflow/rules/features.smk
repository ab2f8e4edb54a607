# Cached text states: one folder per corpus and text encoder.


rule tiny:
    input:
        reads("tiny"),
    output:
        "data/models/{corpus}/tiny-{tiny}/model.safetensors",
        "data/models/{corpus}/tiny-{tiny}/config.json",
        "data/models/{corpus}/tiny-{tiny}/tokenizer.json",
        "data/models/{corpus}/tiny-{tiny}/tokenizer_config.json",
    log:
        "logs/tiny/{corpus}-{tiny}.log",
    priority: priority_of("tiny")
    resources:
        **needs("tiny"),
    params:
        **given("tiny"),
    shell:
        STAGE


rule encode:
    input:
        reads("encode"),
    output:
        states="data/features/{corpus}/{encoder}/states.npy",
        offsets="data/features/{corpus}/{encoder}/states.offsets.npy",
        record="data/features/{corpus}/{encoder}/encoder.json",
    log:
        "logs/encode/{corpus}/{encoder}.log",
    priority: priority_of("encode")
    threads: 1
    resources:
        **needs("encode"),
        gpu=GPU,
    params:
        **given("encode"),
    shell:
        STAGE


# all corpora, aligned and encoded
rule features:
    input:
        files("features"),
