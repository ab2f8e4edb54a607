"""Tables and figures of the plan: their names, and what they read."""

from hycon.params import load, load_published
from hycon.plan.figures import COMPARED, figures
from hycon.plan.planner import Plan
from hycon.plan.tables import tables
from tests.test_params import ROOT

PARAMS = load(ROOT)
PLAN = Plan(PARAMS, load_published(ROOT))


def test_an_experiment_with_a_reference_has_both_figures_for_each_text_encoder():
    found = figures(PLAN, "sample")
    names = [name for name, figure in found.items() if figure.kind in ("forest", "seeds")]
    assert names == [
        f"{name}-{kind}-{encoder}"
        for name in PLAN.experiments_of("sample")
        for encoder in PARAMS.encoders_of(name, "sample")
        for kind in ("forest", "seeds")
    ]
    main = found["main-forest-glove"]
    assert main.shown == ["hycon-glove", "hycon-v2-glove"]
    # the verdicts are those of the table of differences
    assert main.pairs == tables(PLAN, "sample")["main-differences"].pairs
    assert main.reference == "No contrastive learning"


def test_they_read_scores_and_resamples_of_all_compared_rows_only():
    for kind, title in COMPARED.items():
        job = PLAN.job("figures", f"sample/main-{kind}-bert")
        rows = [f"{variant}-{encoder}" for variant in ("hycon", "hycon-v2", "no-contrastive")
                for encoder in ("glove", "bert", "xlnet")]  # fmt: skip
        assert set(job.reads) == {
            f"results/runs/sample/{row}/{file}"
            for row in rows
            for file in ("scores.json", "resampled.safetensors")
        }
        assert job.task.title.startswith(f"{title}. HyCon, HyCon-v2 and ")
        assert job.task.title.endswith("Text encoder: tiny BERT")


def test_without_a_reference_there_is_no_such_figure():
    overlay = {"experiments": {"main": {"reference": None}}}
    found = figures(Plan(load(ROOT, overlay), []), "sample")
    assert not [name for name in found if name.startswith(("main-forest", "main-seeds"))]
    assert "main-tsne-glove" in found


def test_tables_of_complexity_can_have_another_name():
    changed = Plan(load(ROOT, {"complexity": {"table": "complexity-peers"}}), [])
    names = [name for name, table in tables(changed, "sample").items() if table.kind == "costs"]
    assert names == ["complexity-peers", "complexity-peers-measured"]
    shown = {item.name: item.title for item in changed.job("report", "").task.corpora[0].tables}
    assert [shown[name] for name in names] == ["Complexity", "Complexity: times and memory"]
