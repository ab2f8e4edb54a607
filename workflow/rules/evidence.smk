# Metrics, tables, figures and the report.


rule aggregate:
    input:
        reads("aggregate"),
    output:
        "results/{corpus}/metrics.json",
    log:
        "logs/aggregate/{corpus}.log",
    priority: priority_of("aggregate")
    resources:
        **needs("aggregate"),
    params:
        **given("aggregate"),
    shell:
        STAGE


# all corpora
rule collect:
    input:
        reads("collect"),
    output:
        metrics="results/metrics.json",
        summary="results/summary.json",
        plots=expand("results/plots/{kind}.csv", kind=("curves", "training", "confusion")),
    log:
        "logs/collect.log",
    priority: priority_of("collect")
    resources:
        **needs("collect"),
    params:
        **given("collect"),
    shell:
        STAGE


# the paper's claims over all corpora
rule claims:
    input:
        reads("claims"),
    output:
        csv="results/claims.csv",
        markdown="results/claims.md",
        latex="results/claims.tex",
        html=report(
            "results/claims.html",
            caption="../report/claims.rst",
            category="The paper's claims",
        ),
    log:
        "logs/claims.log",
    priority: priority_of("claims")
    resources:
        **needs("claims"),
    params:
        **given("claims"),
    shell:
        STAGE


# scores, differences, published numbers, complexity
rule tables:
    input:
        reads("tables"),
    output:
        csv="results/{corpus}/tables/{table}.csv",
        markdown="results/{corpus}/tables/{table}.md",
        latex="results/{corpus}/tables/{table}.tex",
        html=report(
            "results/{corpus}/tables/{table}.html",
            caption="../report/table.rst",
            category="Tables",
            subcategory="{corpus}",
            labels={"table": "{table}"},
        ),
    log:
        "logs/tables/{corpus}/{table}.log",
    priority: priority_of("tables")
    resources:
        **needs("tables"),
    params:
        **given("tables"),
    shell:
        STAGE


rule figures:
    input:
        reads("figures"),
    output:
        svg=report(
            "results/{corpus}/figures/{figure}.svg",
            caption="../report/figure.rst",
            category="Figures",
            subcategory="{corpus}",
            labels={"figure": "{figure}"},
        ),
        pdf="results/{corpus}/figures/{figure}.pdf",
        png="results/{corpus}/figures/{figure}.png",
        caption="results/{corpus}/figures/{figure}.txt",
    log:
        "logs/figures/{corpus}/{figure}.log",
    priority: priority_of("figures")
    resources:
        **needs("figures"),
    params:
        **given("figures"),
    shell:
        STAGE


# alone on the machine, because it measures times
rule complexity:
    input:
        reads("complexity"),
    output:
        "results/{corpus}/complexity.json",
    log:
        "logs/complexity/{corpus}.log",
    priority: priority_of("complexity")
    threads: workflow.cores
    resources:
        **needs("complexity"),
        gpu=GPU,
    params:
        **given("complexity"),
    shell:
        STAGE.replace("{threads}", "1")


rule robustness:
    input:
        reads("robustness"),
    output:
        "results/{corpus}/robustness/{experiment}.json",
    log:
        "logs/robustness/{corpus}/{experiment}.log",
    priority: priority_of("robustness")
    resources:
        **needs("robustness"),
        gpu=GPU,
    params:
        **given("robustness"),
    shell:
        STAGE


rule report:
    input:
        reads("report"),
    output:
        report(
            "results/report.html",
            caption="../report/page.rst",
            category="Everything on one page",
        ),
    log:
        "logs/report.log",
    priority: priority_of("report")
    resources:
        **needs("report"),
    params:
        **given("report"),
    shell:
        STAGE


# all metrics, tables and figures, and the report
rule evidence:
    input:
        files("evidence"),
