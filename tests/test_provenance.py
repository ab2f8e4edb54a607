"""A stage's code digest changes with its code and with nothing else."""

import ast
import re

import pytest

from hycon import provenance
from hycon.provenance import code_digest, commit, environment


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a small package `hycon` in which stages/a.py imports losses/b.py."""
    root = tmp_path / "hycon"
    for folder in ("", "stages", "losses"):
        (root / folder).mkdir()
        (root / folder / "__init__.py").touch()
    (root / "stages/a.py").write_text("from hycon.losses import b\n\n\ndef f():\n    return b.x\n")
    (root / "losses/b.py").write_text('"""Doc."""\nx = 1  # one\n')
    (root / "losses/c.py").write_text("y = 1\n")
    monkeypatch.setattr(provenance, "ROOT", root)

    def digest():
        for cached in (
            provenance._source,
            provenance._tree,
            provenance._syntax,
            provenance._imports,
            code_digest,
        ):
            cached.cache_clear()
        return code_digest("hycon.stages.a")

    yield root, digest
    digest()


def test_comments_docstrings_and_layout_do_not_count(package):
    root, digest = package
    before = digest()
    (root / "losses/b.py").write_text('"""Another."""\n\n# two\nx = (1)\n')
    (root / "stages/a.py").write_text(
        'from hycon.losses import b\ndef f():\n    """Say x."""\n    return b.x\n'
    )
    assert digest() == before


def test_code_of_an_imported_module_counts_and_that_of_others_does_not(package):
    root, digest = package
    before = digest()
    (root / "losses/c.py").write_text("y = 2\n")
    assert digest() == before
    (root / "losses/b.py").write_text("x = 2\n")
    assert digest() != before


@pytest.mark.parametrize("module", ["params", "plan", "logs", "progress"])
def test_how_parameters_are_read_and_planned_and_what_is_logged_does_not_count(package, module):
    root, digest = package
    (root / "stages/a.py").write_text(f"from hycon.{module} import x\n")
    (root / f"{module}.py").write_text("x = 1\n")
    before = digest()
    (root / f"{module}.py").write_text("x = 2\n")
    assert digest() == before


def test_files_of_the_package_that_are_named_count(package):
    root, digest = package
    digest()
    (root / "page.css").write_text("a {}")
    before = code_digest("hycon.stages.a", ("page.css",))
    assert before != code_digest("hycon.stages.a")
    (root / "page.css").write_text("b {}")
    code_digest.cache_clear()
    assert code_digest("hycon.stages.a", ("page.css",)) != before


def test_imports_inside_functions_and_packages_on_the_way_count(package):
    root, digest = package
    (root / "stages/a.py").write_text("def f():\n    from hycon.losses.c import y\n    return y\n")
    before = digest()
    (root / "losses/c.py").write_text("y = 3\n")
    changed = digest()
    assert changed != before
    (root / "losses/__init__.py").write_text("z = 1\n")
    assert digest() != changed


def test_no_stage_depends_on_a_later_one():
    provenance._imports.cache_clear()
    for stage, later in (
        ("stages.align", ("training", "reporting", "losses")),
        ("stages.encode", ("reporting", "losses", "networks")),
        ("stages.train", ("reporting", "evaluation")),
        ("stages.tune_row", ("reporting", "evaluation")),
        ("stages.evaluate", ("reporting", "training", "networks")),
        *((f"reporting.{name}", ("training", "networks", "losses")) for name in (
            "tables", "differences", "published", "cost_table", "figures", "report")),
    ):  # fmt: skip
        assert provenance._source(f"hycon.{stage}")
        for module in provenance._closure(f"hycon.{stage}"):
            assert module.split(".")[1:2] not in [[name] for name in later], (stage, module)


def test_heavy_packages_are_imported_in_their_rooms_only():
    rooms = {
        "torch": r"(encoders|losses|networks|training)/|stages/(train|encode|complexity|robustness)"
        "|commands/predict",
        "transformers": r"encoders/",
        "mmsdk": r"corpus/|sample/",
        "snakemake": r"plan/snakemake",
        "optuna": r"training/tuning|stages/tune_row",
        "pytorch_metric_learning": r"losses/baseline_losses",
        "matplotlib": r"reporting/",
        "pandas": r"reporting/|commands/score",
        "pyarrow": r"corpus/arrays|encoders/word_vectors",
    }
    for path in provenance.ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                room = rooms.get(name.split(".")[0])
                place = str(path.relative_to(provenance.ROOT))
                assert room is None or re.match(room, place), f"{place} imports {name}"


def test_environment_and_commit_say_where_a_result_comes_from():
    assert {"python", "torch", "numpy"} <= set(environment())
    assert set(commit()) == {"commit", "clean"}
