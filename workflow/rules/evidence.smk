# What a reader sees: metrics.json and the tables.


rule aggregate:
    input:
        [
            path
            for experiments in metrics_plan().values()
            for rows in experiments.values()
            for path in rows.values()
        ],
    output:
        "results/metrics.json",
    log:
        "logs/aggregate.log",
    resources:
        mem_mb=500,
    params:
        code=code("aggregate"),
        plan=json.dumps(metrics_plan()),
    shell:
        "{PYTHON} -m hycon.stages.aggregate --plan {params.plan:q} --output {output} --log {log}"


rule tables:
    input:
        lambda wildcards: scores_of(wildcards.corpus, wildcards.experiment).values(),
    output:
        csv="results/{corpus}/tables/{experiment}.csv",
        markdown="results/{corpus}/tables/{experiment}.md",
        latex="results/{corpus}/tables/{experiment}.tex",
    log:
        "logs/tables/{corpus}/{experiment}.log",
    resources:
        mem_mb=500,
    params:
        code=code("tables"),
        title=lambda wildcards: PARAMS.experiments[wildcards.experiment].title,
        corpus=lambda wildcards: corpus_of(wildcards).as_json(),
        rows=table_rows,
        left_out=left_out,
    shell:
        "{PYTHON} -m hycon.stages.tables --experiment {wildcards.experiment}"
        " --title {params.title:q} --key {wildcards.corpus} --corpus {params.corpus:q}"
        " --rows {params.rows:q} --left-out={params.left_out:q}"
        " --output results/{wildcards.corpus}/tables/{wildcards.experiment}"
        " --log {log}"


# metrics.json and every table
rule evidence:
    input:
        "results/metrics.json",
        [
            path
            for corpus in PARAMS.corpora
            for path in expand(
                rules.tables.output, corpus=corpus, experiment=experiments_of(corpus)
            )
        ],
