# What the page of everything shows and reads: helpers of report.smk.
from hycon.files import sha256_of
from hycon.provenance import ROOT as PACKAGE

RULE_OF = {"published": "published", "complexity": "costs"}
GRAPH = Path("docs/rulegraph.svg")


def shown_tables(corpus):
    """Return a corpus's tables as the page plans them: name, the rule that makes it, title."""
    titles = {"published": "Published numbers beside ours", "complexity": "Complexity"}
    tables = []
    for name in tables_of(corpus):
        compared = name not in PARAMS.experiments and name not in RULE_OF
        experiment = PARAMS.experiments.get(name.removesuffix("-differences") if compared else name)
        title = titles.get(name) or experiment.title + (": differences" if compared else "")
        made_by = RULE_OF.get(name, "compare" if compared else "tables")
        tables.append({"name": name, "rule": made_by, "title": title})
    return tables


def shown_rows(corpus):
    """Return a corpus's rows, each once, under the first experiment that has it."""
    rows = {}
    for name in experiments_of(corpus):
        for row, (variant, encoder) in zip(
            rows_of(name, corpus), PARAMS.rows(name, corpus), strict=True
        ):
            rows.setdefault(
                row,
                {
                    "name": row,
                    "model": PARAMS.variants[variant].label,
                    "encoder": encoder_label(corpus, encoder),
                    "experiment": PARAMS.experiments[name].title,
                },
            )
    return list(rows.values())


def given_files():
    """Return the overlays that Snakemake was given, as seen from here."""
    paths = [Path(path) for path in workflow.config_settings.configfiles]
    here = Path.cwd()
    return [str(path.relative_to(here) if path.is_relative_to(here) else path) for path in paths]


def given_options():
    """Return Snakemake's options of this run that change results, for a shell."""
    apart = ("mirror", "device")
    values = [f"{key}={json.dumps(value)}" for key, value in given.items() if key not in apart]
    options = [("--configfile", given_files()), ("--config", values)]
    return " ".join(f"{name} {shlex.join(found)}" for name, found in options if found)


def report_plan():
    """Return what the page has, as JSON."""
    corpora = [
        {
            "key": corpus,
            "corpus": json.loads(PARAMS.catalogue[corpus].as_json()),
            "tables": shown_tables(corpus),
            "figures": [
                {"name": name, "rule": "figures", "title": ""} for name in figures_of(corpus)
            ],
            "rows": shown_rows(corpus),
        }
        for corpus in PARAMS.corpora
    ]
    files = ["params.yaml", "corpora.yaml", *given_files()]
    plan = {"corpora": corpora, "seeds": PARAMS.seeds, "files": files, "options": given_options()}
    return json.dumps(plan, ensure_ascii=False)


def report_files(corpus):
    """Return the files that the page reads of a corpus."""
    rows = [row["name"] for row in shown_rows(corpus)]
    tables = expand(
        f"results/{corpus}/tables/{{name}}.{{form}}", name=tables_of(corpus), form=["csv", "html"]
    )
    figures = expand(
        f"results/{corpus}/figures/{{name}}.{{form}}", name=figures_of(corpus), form=["svg", "txt"]
    )
    scores = [f"results/runs/{corpus}/{row}/scores.json" for row in rows]
    runs = [f"results/runs/{corpus}/{row}/runs.json" for row in rows]
    return [*tables, *figures, *scores, *runs]
