"""No shell reads data: texts of parameters reach a step as one argument, names cannot hurt."""

import json
import re
import subprocess

import pytest

from hycon.errors import HyConError
from hycon.params import load
from tests.test_params import ROOT
from tests.untrusted_input.project import copy_project, plan

TEXT = """-x; touch pwned $(touch pwned) `touch pwned` '"{corpus} {wildcards.x}" $HOME \\ * > é"""
NAMES = (
    *("x; touch pwned", "$(touch pwned)", "`touch pwned`", "-x", "x'", 'x"', "x\n", "x y", "x*"),
    *("../x", "/x", ".", "..", "x\0", "x\\y", "{x}", "x/y", "X", "x" * 81, "", "é", "~"),
)
COMMAND = re.compile(r"^Shell command: exec (.*?\nEND_OF_JOB)$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """Return a folder, and the (arguments, standard input) that bash hands to each stage of a plan
    full of traps.
    """
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
    commands = COMMAND.findall(done.stdout + done.stderr)
    assert len(commands) > 100
    # in place of each stage, one that shows what it is given
    show = "show() { shift 3; printf '%s\\0' \"$@\"; cat; printf '\\1\\0'; }"
    script = "\n".join([show, *(f"show {command}" for command in commands)])
    shown = subprocess.run(["bash"], input=script, cwd=folder, capture_output=True, text=True)
    assert shown.stderr == ""
    stages = [step.split("\0") for step in shown.stdout.split("\1\0")[:-1]]
    assert len(stages) == len(commands)
    return folder, [(arguments, json.loads(job)) for *arguments, job in stages]


def test_titles_labels_notes_mirrors_and_overlays_run_nothing(planned):
    folder, _ = planned
    assert not list(folder.rglob("pwned"))


def test_the_arguments_of_a_stage_are_short_and_hold_no_text_of_the_parameters(planned):
    for (stage, *options), job in planned[1]:
        assert stage == job["stage"]
        assert options[::2] == ["--device", "--features-in", "--threads", "--log"]
        assert options[1::2][:3] == ["auto", "auto", "1"]
        assert re.fullmatch(r"logs/[\w./+-]{1,200}\.log", options[7])


def test_a_text_of_the_parameters_reaches_its_stage_whole(planned):
    jobs = {(job["stage"], job["name"]): job["task"] for _, job in planned[1]}
    tables = [job["table"] for (stage, _), job in jobs.items() if stage == "tables"]
    assert {table["title"] for table in tables if table["kind"] == "scores"} == {TEXT}
    fetch = jobs["fetch", "mosi/CMU_MOSI_COVAREP.csd"]
    assert any(source.startswith(TEXT) for source in fetch["sources"])
    assert jobs["report", ""]["corpora"][0]["corpus"]["note"] == TEXT


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
