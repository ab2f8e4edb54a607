"""A job goes to its stage as one line of JSON and comes out as it was."""

import importlib
import inspect
import json

import pytest
from pydantic import ValidationError

from hycon.errors import HyConError
from hycon.params import load, load_claims, load_published
from hycon.plan.job import read_document
from hycon.plan.planner import Plan
from hycon.plan.rows import scores_digest
from hycon.plan.tasks import TASKS
from hycon.stages import Machine
from tests.test_params import ROOT

SHIPPED = load(ROOT)
PLAN = Plan(SHIPPED, load_published(ROOT))
ROBUSTNESS = {"experiments": {"main": {"robustness": {"missing": [0, 0.5], "noise": [0, 1]}}}}
EVERY_CORPUS = {
    **ROBUSTNESS,
    "corpora": list(SHIPPED.catalogue),
    "seeds_per_job": 1,
    "encoders": {"bert": {"finetune": True}},
}
OVERLAYS = {"as shipped, and robustness": ROBUSTNESS, "every corpus": EVERY_CORPUS}


def everything(plan):
    """Return every job of a plan, with the searches for better parameters."""
    tuning = plan.params.tuning
    searches = [
        plan.job("tune_row", f"{corpus}/{tuning.variants[0]}-{tuning.encoder}")
        for corpus in plan.params.corpora
        if not plan.params.unusable(corpus, tuning.encoder)
        and not plan.params.catalogue[corpus].leaves_one_out
    ]
    return [*plan.jobs.values(), *searches]


@pytest.mark.parametrize("overlay", OVERLAYS.values(), ids=OVERLAYS)
def test_every_job_comes_out_of_its_document_as_it_went_in(overlay):
    params = load(ROOT, overlay)
    jobs = everything(Plan(params, load_published(ROOT), load_claims(params, ROOT)))
    for job in jobs:
        text = job.document()
        assert "\n" not in text
        found = read_document(text, job.stage)
        assert found.task == job.task
        assert type(found.task) is TASKS[job.stage]
        assert (found.stage, found.name, found.key) == (job.stage, job.name, job.key)
        assert found.writes == list(job.writes)
    assert {job.stage for job in jobs} == set(TASKS)


@pytest.mark.parametrize("stage", TASKS)
def test_a_stage_takes_its_own_task_and_a_machine(stage):
    main = importlib.import_module(f"hycon.stages.{stage}").main
    first, second = inspect.signature(main, eval_str=True).parameters.values()
    assert first.annotation is TASKS[stage]
    assert second.annotation is Machine


def test_tasks_are_frozen_and_refuse_what_they_do_not_know():
    for job in everything(PLAN):
        with pytest.raises(ValidationError, match="frozen"):
            job.task.output = "elsewhere"
        document = json.loads(job.document())
        document["task"]["more"] = 1
        with pytest.raises(
            HyConError, match=f"not a job of stage {job.stage} .* \\(more: unknown key"
        ):
            read_document(json.dumps(document), job.stage)


def test_a_job_of_another_stage_is_refused_with_its_name():
    text = PLAN.job("align", "sample").document()
    with pytest.raises(HyConError, match=r"not a job of stage encode .*found one of stage align"):
        read_document(text, "encode")


def test_a_job_that_the_parameters_do_not_allow_is_refused_by_name():
    for stage, name in (("align", "mosy"), ("train", "sample/hycon-brt/1"), ("tables", "")):
        with pytest.raises(HyConError, match=f"{stage} {name}: no such job"):
            PLAN.job(stage, name)


def test_other_addresses_change_the_document_of_a_fetch_and_not_its_key():
    here, there = (
        Plan(load(ROOT, {"corpora": ["mosi-utterance"], "mirror": mirror}))
        for mirror in (None, "/elsewhere")
    )
    jobs = [job for job in here.jobs.values() if job.stage == "fetch"]
    assert jobs
    for job in jobs:
        other = there.job("fetch", job.name)
        assert (other.document() == job.document(), other.key == job.key) == (False, True)


def test_another_value_of_a_task_is_another_key():
    other = Plan(load(ROOT, {"train": {"alpha": 0.3}}), load_published(ROOT))
    for stage, name, same in (
        ("align", "sample", True),
        ("encode", "sample/bert", True),
        ("train", "sample/hycon-bert/1", False),
        ("evaluate", "sample/hycon-bert", False),
        ("aggregate", "sample", False),
    ):
        assert (other.job(stage, name).key == PLAN.job(stage, name).key) == same


def test_scores_are_asked_for_with_the_parameters_that_evaluate_is_given():
    for job in PLAN.jobs.values():
        if job.stage == "evaluate":
            task = job.task
            corpus, row = job.name.split("/")
            assert PLAN.scored(corpus, row).parameters_digest == scores_digest(
                task.corpus, task.encoder, task.settings, task.metrics, task.seeds
            )


@pytest.mark.parametrize("phase", ["raw", "features", "runs", "evidence"])
def test_the_files_of_a_phase_are_each_written_by_one_job(phase):
    files = PLAN.files(phase)
    assert files
    assert len(set(files)) == len(files)


def test_what_a_table_needs_runs_before_what_the_next_one_needs():
    makers = {path: job for job in PLAN.jobs.values() for path in job.writes}

    def needed(job):
        found, waiting = {}, [job]
        while waiting:
            each = waiting.pop()
            found[each.stage, each.name] = each
            waiting += [makers[path] for path in each.reads if path in makers]
        return found

    tables = [PLAN.job("tables", f"{corpus}/{experiment}")
              for experiment in SHIPPED.experiments for corpus in SHIPPED.corpora]  # fmt: skip
    assert [job.name for job in PLAN.main_tables()] == ["sample/main", "sample-emotion/main"]
    assert tables[:2] == PLAN.main_tables()
    priorities = [PLAN.priority("tables", table.name) for table in tables]
    assert priorities == sorted(priorities, reverse=True)
    assert len(set(priorities)) == len(priorities)
    before = set()
    for table, priority in zip(tables, priorities, strict=True):
        new = needed(table).keys() - before
        assert {PLAN.priority(*each) for each in new} == {priority}
        before |= new
    others = {PLAN.priority(*each) for each in PLAN.jobs.keys() - before}
    assert others == {0} < set(priorities) | {0}
    # a job of a corpus that was not asked for
    assert PLAN.priority("align", "mosi") == 0


def test_what_a_job_reads_another_has_written():
    written = {path for job in PLAN.jobs.values() for path in job.writes}
    for job in everything(PLAN):
        missing = set(job.reads) - written - {"docs/rulegraph.svg"}
        assert not missing, (job.stage, job.name, missing)
