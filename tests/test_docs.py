"""The documentation: examples run, links lead somewhere, commands are tested or marked as not."""

import re
import subprocess
import sys

import pytest
import torch
import yaml

from tests.test_params import ROOT

# docs/day.md is the output of docs/day.py
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md")),
        *sorted((ROOT / "docs").glob("*.md")),
    ]
    if path.name != "day.md"
}
UNTESTED = "not tested"
SAMPLE = "tests/pipeline/test_sample.py::"
OWN = "tests/own_network/test_pipeline.py::"
DVC = "tests/pipeline/test_dvc.py::"
# what runs a command, or the same with smaller settings: a test, or a command of CI
RUN_BY = {
    "make setup": "make lint",
    "make reproduce": SAMPLE + "test_all_ends_in_tables_that_say_they_are_samples",
    "make test": "make test-all",
    "make test-all": "make test-all",
    "make lint": "make lint",
    "make format": "make lint",
    "make docs": "make docs",
    "pip install .": "tests/test_wheel.py::test_the_wheel_works_in_an_empty_environment",
    "pip install -c constraints.txt -e": "make lint",
    "snakemake --cores 1 all": SAMPLE + "test_all_ends_in_tables_that_say_they_are_samples",
    "snakemake --cores 1 all --dry-run": "tests/pipeline/test_reading.py::"
    "test_reading_changes_not_a_byte_even_of_a_folder_that_is_in_disorder",
    "snakemake --cores 1 all --config 'experiments=": SAMPLE
    + "test_numbers_in_lists_and_mappings_can_be_given_on_the_command_line",
    "snakemake --cores 1 all --configfile config/mine.yaml": "tests/commands/test_export.py::"
    "test_what_was_exported_is_imported_again",
    "snakemake --cores 1 tune": SAMPLE
    + "test_xlnet_fine_tuning_another_fusion_another_loss_and_tuning_run_through",
    **dict.fromkeys(
        (
            "hycon corpora new my-corpus",
            "snakemake --cores 1 all --configfile config/own-corpus.yaml",
            "hycon show",
        ),
        "tests/pipeline/test_own_corpus.py::test_the_commands_of_the_page_end_in_tables",
    ),
    "snakemake --cores 1 results/sample/tables/mine.md": OWN
    + "test_the_example_of_the_page_stands_in_tables_beside_hycon",
    "hycon predict --run results/runs/sample/mine-glove/seed-1 --corpus sample": OWN
    + "test_it_predicts_with_an_overlay_or_parameters_that_name_it",
    "hycon corpora mosi": "tests/commands/test_corpora.py::"
    "test_a_corpus_is_missing_partly_here_verified_or_different",
    **dict.fromkeys(
        ("make verify", "hycon verify"),
        "tests/commands/test_verify.py::test_a_run_that_met_every_number_ends_with_0",
    ),
    "hycon export --format mmsa": "tests/commands/test_export.py::"
    "test_with_an_encoder_every_token_has_the_audio_and_vision_of_its_word",
    "dvc repro": DVC + "test_a_second_repro_changes_nothing_and_runs_no_phase",
    "dvc metrics diff": DVC + "test_the_workspace_is_compared_with_head",
    "dvc params diff": DVC + "test_differences_between_commits_are_readable",
    "dvc plots diff": DVC + "test_plots_show_both_versions_of_curves_training_and_confusion",
    "dvc remote add --default store": "tests/pipeline/test_versions.py::"
    "test_a_fresh_clone_needs_no_training",
    "dvc push": "tests/pipeline/test_versions.py::test_a_fresh_clone_needs_no_training",
}
SHELL = {"mkdir", "cp", "."}


def commands(text):
    """Yield the commands of the shell blocks of a page that are not marked as untested."""
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        if block.startswith(f"# {UNTESTED}"):
            continue
        joined = re.sub(r"\\\n|\n  +", " ", block)
        yield from (line for line in joined.splitlines() if line and UNTESTED not in line)


@pytest.mark.parametrize("name", PAGES)
def test_every_command_is_run_by_a_test_or_marked_as_untested(name):
    known = sorted(RUN_BY, key=len)
    for command in commands(PAGES[name]):
        if command.split()[0] not in SHELL:
            assert any(command.startswith(each) for each in known), command


@pytest.mark.parametrize("runner", sorted(set(RUN_BY.values())))
def test_what_runs_a_command_exists(runner):
    if runner.startswith("make"):
        assert f"\n{runner}" in (ROOT / ".ci/run").read_text()
        return
    path, test = runner.split("::")
    assert f"def {test}" in (ROOT / path).read_text()


@pytest.mark.parametrize("name", PAGES)
def test_every_link_to_a_file_or_heading_leads_somewhere(name):
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[name]):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings]
            assert anchor in slugs, target


def python_blocks(name):
    return re.findall(r"```python\n(.*?)```", PAGES[name], re.DOTALL)


@pytest.mark.parametrize("name", ["README.md", "docs/getting-started.md", "docs/evaluation.md"])
def test_python_examples_run(name):
    for code in python_blocks(name):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_example_of_the_loss_gives_gradients():
    (example,) = python_blocks("README.md")
    code = f"{example}\nassert all(x.grad.abs().sum() > 0 for x in representations.values())"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_loss_that_the_page_adds_is_one(monkeypatch):
    from hycon.losses import baseline_losses

    line, _ = python_blocks("docs/extending.md")
    monkeypatch.setattr(baseline_losses, "SUBSTITUTES", eval("{" + line + "}"))
    loss = baseline_losses.BaselineLoss("multi-similarity", alpha=0.8)
    x = {name: torch.randn(8, 4, requires_grad=True) for name in ("text", "audio", "vision")}
    loss(x, torch.arange(8) % 2).total.backward()
    assert x["audio"].grad.abs().sum() > 0


def test_the_fusion_that_the_page_adds_is_one():
    from hycon.networks import fusion

    _, code = python_blocks("docs/extending.md")
    names = dict(vars(fusion))
    exec(code, names)
    settings = type("Settings", (), {"dimension": 3})
    found = names["Maximum"](settings)(*torch.tensor([[[1, 5, 2]], [[4, 0, 2]], [[3, 3, 9]]]))
    assert found.tolist() == [[4, 5, 9]]


def test_the_entry_of_your_own_corpus_is_valid():
    from hycon.params import load

    (block,) = re.findall(r"```yaml\n(.*?)```", PAGES["docs/own-corpus.md"], re.DOTALL)
    params = load(ROOT, yaml.safe_load(block))
    assert params.corpora == ["mine"]
    assert [variant for variant, _ in params.rows("main", "mine")][:1] == ["hycon"]


def test_the_readme_fits_a_screen_or_two():
    assert len(PAGES["README.md"].splitlines()) <= 150
