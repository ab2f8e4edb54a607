# What a reader sees: metrics.json and the tables.


rule aggregate:
    input:
        [
            path
            for experiments in metrics_plan().values()
            for rows in experiments.values()
            for path in rows.values()
        ],
        plotted_files(),
    output:
        metrics="results/metrics.json",
        summary="results/summary.json",
        plots=expand("results/plots/{kind}.csv", kind=("curves", "training", "confusion")),
    log:
        "logs/aggregate.log",
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        code=code("aggregate"),
        plan=json.dumps(metrics_plan()),
        expected=json.dumps(all_expected()),
        shown=json.dumps({corpus: headline(corpus) for corpus in PARAMS.corpora}),
        # as functions: Snakemake takes braces of a label for a wildcard
        plotted=lambda wildcards: json.dumps(plots_plan()),
    shell:
        "{PYTHON} -m hycon.stages.aggregate --plan {params.plan:q} --expected {params.expected:q}"
        " --shown {params.shown:q} --output {output.metrics} --summary {output.summary}"
        " --plotted {params.plotted:q} --plots results/plots"
        " --log {log}"


rule tables:
    input:
        lambda wildcards: scores_of(wildcards.corpus, wildcards.experiment).values(),
    output:
        csv="results/{corpus}/tables/{experiment}.csv",
        markdown="results/{corpus}/tables/{experiment}.md",
        latex="results/{corpus}/tables/{experiment}.tex",
        html=report(
            "results/{corpus}/tables/{experiment}.html",
            caption="../report/table.rst",
            category="Tables",
            subcategory="{corpus}",
            labels={"experiment": "{experiment}", "shows": "scores"},
        ),
    log:
        "logs/tables/{corpus}/{experiment}.log",
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        code=code("tables"),
        title=lambda wildcards: PARAMS.experiments[wildcards.experiment].title,
        corpus=lambda wildcards: corpus_of(wildcards).as_json(),
        rows=table_rows,
        left_out=left_out,
        note=adaptations,
        expected=experiment_expected,
    shell:
        "{PYTHON} -m hycon.stages.tables --experiment {wildcards.experiment}"
        " --title={params.title:q} --key {wildcards.corpus} --corpus {params.corpus:q}"
        " --rows {params.rows:q} --left-out={params.left_out:q} --note={params.note:q}"
        " --expected {params.expected:q} --output results/{wildcards.corpus}/tables/{wildcards.experiment}"
        " --log {log}"


rule compare:
    input:
        compared_of,
        "data/aligned/{corpus}/utterances.csv",
    output:
        csv="results/{corpus}/tables/{experiment}-differences.csv",
        markdown="results/{corpus}/tables/{experiment}-differences.md",
        latex="results/{corpus}/tables/{experiment}-differences.tex",
        html=report(
            "results/{corpus}/tables/{experiment}-differences.html",
            caption="../report/differences.rst",
            category="Tables",
            subcategory="{corpus}",
            labels={"experiment": "{experiment}", "shows": "differences"},
        ),
    log:
        "logs/compare/{corpus}/{experiment}.log",
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("compare"),
        title=lambda wildcards: PARAMS.experiments[wildcards.experiment].title,
        reference=lambda wildcards: PARAMS.variants[
            PARAMS.experiments[wildcards.experiment].reference
        ].label,
        corpus=lambda wildcards: corpus_of(wildcards).as_json(),
        pairs=pairs_json,
        expected=compared_expected,
    shell:
        "{PYTHON} -m hycon.stages.compare --title={params.title:q}"
        " --reference={params.reference:q} --key {wildcards.corpus} --corpus {params.corpus:q}"
        " --aligned data/aligned/{wildcards.corpus} --pairs {params.pairs:q}"
        " --expected {params.expected:q}"
        " --output results/{wildcards.corpus}/tables/{wildcards.experiment}-differences"
        " --log {log}"


rule published:
    input:
        lambda wildcards: published_scores(wildcards).values(),
    output:
        csv="results/{corpus}/tables/published.csv",
        markdown="results/{corpus}/tables/published.md",
        latex="results/{corpus}/tables/published.tex",
        html=report(
            "results/{corpus}/tables/published.html",
            caption="../report/published.rst",
            category="Tables",
            subcategory="{corpus}",
            labels={"experiment": "all", "shows": "published"},
        ),
    log:
        "logs/published/{corpus}.log",
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        code=code("published"),
        corpus=lambda wildcards: corpus_of(wildcards).as_json(),
        published=published_json,
        scores=lambda wildcards: json.dumps(published_scores(wildcards)),
        expected=published_expected,
    shell:
        "{PYTHON} -m hycon.stages.published --key {wildcards.corpus} --corpus {params.corpus:q}"
        " --published {params.published:q} --scores {params.scores:q}"
        " --expected {params.expected:q}"
        " --output results/{wildcards.corpus}/tables/published --log {log}"


rule figures:
    input:
        drawn_files,
    output:
        svg=report(
            "results/{corpus}/figures/{experiment}-{kind}-{encoder}.svg",
            caption="../report/figure.rst",
            category="Figures",
            subcategory="{corpus}",
            labels={"experiment": "{experiment}", "shows": "{kind}", "encoder": "{encoder}"},
        ),
        pdf="results/{corpus}/figures/{experiment}-{kind}-{encoder}.pdf",
        png="results/{corpus}/figures/{experiment}-{kind}-{encoder}.png",
        caption="results/{corpus}/figures/{experiment}-{kind}-{encoder}.txt",
    log:
        "logs/figures/{corpus}/{experiment}-{kind}-{encoder}.log",
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("figures"),
        drawing=drawing,
        colours=PARAMS.figures.as_json(),
        expected=drawn_expected,
    shell:
        "{PYTHON} -m hycon.stages.figures --kind {wildcards.kind} {params.drawing}"
        " --colours {params.colours:q} --expected {params.expected:q}"
        " --output results/{wildcards.corpus}/figures/{wildcards.experiment}-{wildcards.kind}"
        "-{wildcards.encoder} --log {log}"


# alone on the machine, so that the times are its own
rule complexity:
    input:
        measured_files,
    output:
        "results/{corpus}/complexity.json",
    log:
        "logs/complexity/{corpus}.log",
    threads: workflow.cores
    resources:
        mem_mb=growing(features_memory),
        runtime=growing(60),
        gpu=GPU,
    params:
        code=code("complexity"),
        corpus=corpus_json,
        rows=measured_json,
        repeats=PARAMS.complexity.repeats if PARAMS.complexity else 0,
    shell:
        "{PYTHON} -m hycon.stages.complexity --corpus {params.corpus:q} --rows {params.rows:q}"
        " --aligned data/aligned/{wildcards.corpus} --device {DEVICE} --threads 1"
        " --repeats {params.repeats} --output {output} --log {log}"


rule costs:
    input:
        "results/{corpus}/complexity.json",
    output:
        csv="results/{corpus}/tables/complexity.csv",
        markdown="results/{corpus}/tables/complexity.md",
        latex="results/{corpus}/tables/complexity.tex",
        html=report(
            "results/{corpus}/tables/complexity.html",
            caption="../report/complexity.rst",
            category="Tables",
            subcategory="{corpus}",
            labels={"experiment": "first", "shows": "complexity"},
        ),
    log:
        "logs/costs/{corpus}.log",
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        code=code("costs"),
        corpus=lambda wildcards: corpus_of(wildcards).as_json(),
        labels=measured_labels,
    shell:
        "{PYTHON} -m hycon.stages.costs --key {wildcards.corpus} --corpus {params.corpus:q}"
        " --labels {params.labels:q}"
        " --measured {input} --output results/{wildcards.corpus}/tables/complexity --log {log}"


# metrics.json, every table and every figure, and the page of them
rule evidence:
    input:
        rules.aggregate.output,
        "results/report.html",
        [
            path
            for corpus in PARAMS.corpora
            for table in tables_of(corpus)
            for path in expand(
                f"results/{corpus}/tables/{table}.{{form}}", form=("csv", "md", "tex", "html")
            )
        ],
        [
            path
            for corpus in PARAMS.corpora
            for figure in figures_of(corpus)
            for path in expand(
                f"results/{corpus}/figures/{figure}.{{form}}", form=("svg", "pdf", "png", "txt")
            )
        ],
