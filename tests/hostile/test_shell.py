"""No shell reads data: texts of parameters reach a step as one argument, names cannot hurt."""

import json
import re
import subprocess
import sys

import pytest

from hycon.errors import HyConError
from hycon.params import load
from tests.hostile.project import copy_project, plan
from tests.test_params import ROOT

TEXT = """-x; touch pwned $(touch pwned) `touch pwned` '"{corpus} {wildcards.x}" $HOME \\ * > é"""
NAMES = (
    *("x; touch pwned", "$(touch pwned)", "`touch pwned`", "-x", "x'", 'x"', "x\n", "x y", "x*"),
    *("../x", "/x", ".", "..", "x\0", "x\\y", "{x}", "x/y", "X", "x" * 81, "", "é", "~"),
)
# what stands in a command without quotes: our own words, numbers, and names of the pattern `Name`
PLAIN = {
    *("PYTHON", "DEVICE", "threads", "log", "input", "output", "output.metrics", "output.summary"),
    *("wildcards.corpus", "wildcards.row", "wildcards.encoder", "wildcards.experiment"),
    *("wildcards.kind", "wildcards.tiny", "params.states", "params.tiny", "params.runs"),
    *("params.seeds", "params.repeats", "params.size", "params.task", "params.graph"),
    "params.drawing",  # options, each quoted by itself
}


def shell_strings():
    """Return every command of every rule, by file and rule."""
    found = {}
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for rule, body in re.findall(r"^rule (\w+):\n((?:(?: .*)?\n)+)", path.read_text(), re.M):
            if "    shell:\n" in body:
                found[path.name, rule] = body.split("    shell:\n")[1]
    return found


def test_every_part_of_every_command_is_quoted_or_one_that_needs_no_quotes():
    commands = shell_strings()
    assert len(commands) >= 14
    for where, command in commands.items():
        parts = re.findall(r"\{([^{}]+)\}", command)
        assert parts, where
        assert {part for part in parts if not part.endswith(":q")} <= PLAIN, where


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """Return a folder, and the arguments that bash hands to each step of a plan full of traps."""
    folder = tmp_path_factory.mktemp("project")
    copy_project(folder)
    params = load(ROOT)
    overlay = {
        "corpora": ["sample", "mosi"],
        "experiments": {name: {"title": TEXT} for name in params.experiments},
        "variants": {name: {"label": f"{TEXT} {name}"} for name in params.variants},
        "encoders": {name: {"label": TEXT} for name in params.encoders},
        "catalogue": {"sample": {"title": TEXT, "note": TEXT, "vectors": TEXT}},
    }
    name = "-x; touch pwned $(touch pwned) 'a.yaml"
    (folder / name).write_text(json.dumps(overlay))
    options = (f"--configfile=./{name}", f"--config=mirror={TEXT}", "--quiet", "host")
    done = plan(folder, *options, "--", "all")
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout + done.stderr
    start = f"Shell command: {sys.executable} -m hycon.stages."
    script = [line.partition(start)[2] for line in said.splitlines() if line.startswith(start)]
    assert len(script) > 100
    # in place of each step, one that shows its arguments
    body = "\n".join(
        ["show() { printf '%s\\0' \"$@\"; printf '\\1\\0'; }", *map("show {}".format, script)]
    )
    shown = subprocess.run(["bash"], input=body, cwd=folder, capture_output=True, text=True)
    assert shown.stderr == ""
    steps = [step.split("\0")[:-1] for step in shown.stdout.split("\1\0")[:-1]]
    return folder, steps, len(script)


def test_titles_labels_notes_mirrors_and_overlays_run_nothing(planned):
    folder, steps, count = planned
    assert len(steps) == count
    assert not list(folder.rglob("pwned"))


def test_a_text_of_the_parameters_reaches_its_step_whole(planned):
    _, steps, _ = planned
    tables = [step for step in steps if step[0] == "tables"]
    assert tables
    assert all(f"--title={TEXT}" in step for step in tables)
    fetch = next(step for step in steps if step[0] == "fetch" and "mosi" in step)
    places = json.loads(fetch[fetch.index("--places") + 1])
    assert any(place.startswith(TEXT) for place in places["mosi"]["CMU_MOSI_COVAREP.csd"])
    page = next(step for step in steps if step[0] == "report")
    assert json.loads(page[page.index("--plan") + 1])["corpora"][0]["corpus"]["note"] == TEXT


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "overlay",
    [
        lambda name: {"catalogue": {name: {"title": "x"}}},
        lambda name: {"encoders": {name: {"label": "x", "kind": "vectors"}}},
        lambda name: {"variants": {name: {"label": "x"}}},
        lambda name: {"experiments": {name: {"title": "x", "variants": ["hycon"]}}},
        lambda name: {"corpora": [name]},
        lambda name: {"device": name},
    ],
)
def test_a_name_that_a_shell_or_a_path_would_read_is_none(name, overlay):
    with pytest.raises(HyConError) as caught:
        load(ROOT, overlay(name))
    message = str(caught.value)
    assert message.isprintable()
    assert "a text of the form" in message or "at most 80 characters" in message
