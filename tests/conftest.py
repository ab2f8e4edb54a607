"""Mark slow tests: `make test` skips them, `make test-all` runs them too."""

import pytest

# real runs of Snakemake and DVC, killed stages, fuzzing, and tests with hundreds of rows
SLOW = (
    "pipeline",
    "slurm",
    "untrusted_input/test_shell.py",
    "test_wheel.py",
    "sample/test_planted.py::test_contrastive_learning",
    "bad_input/test_fuzz.py",
    "plan/test_planner.py::test_300_rows",
    "plan/test_planner.py::test_the_rules_make",
)


def pytest_collection_modifyitems(items):
    for item in items:
        name = item.nodeid.split("tests/", 1)[-1]
        if name.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
