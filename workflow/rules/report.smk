# One page of everything that a run left behind.


rule report:
    input:
        [path for corpus in PARAMS.corpora for path in report_files(corpus)],
        graph=[GRAPH] if GRAPH.exists() else [],
    output:
        report(
            "results/report.html",
            caption="../report/page.rst",
            category="Everything on one page",
        ),
    log:
        "logs/report.log",
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        code=code("report"),
        page=[sha256_of(path) for path in sorted((PACKAGE / "evidence/page").iterdir())],
        plan=lambda wildcards: report_plan(),
        expected=json.dumps(all_expected()),
        graph=lambda wildcards, input: f"--graph {input.graph}" if input.graph else "",
    shell:
        "{PYTHON} -m hycon.stages.report --plan {params.plan:q} {params.graph}"
        " --expected {params.expected:q} --output {output} --log {log}"
