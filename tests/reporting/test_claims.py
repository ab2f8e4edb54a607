"""Claims are judged by the stated rule, and are not tested where a corpus cannot show them."""

import json
import subprocess

import pandas as pd
import pytest

from hycon.errors import HyConError
from hycon.params import Claim, Preregistration, load, load_claims
from hycon.params.claims import PREREGISTRATION
from hycon.plan.planner import Plan
from hycon.plan.tasks import ClaimsTable, PlannedClaim, RowPair
from hycon.reporting import preregistration
from hycon.reporting.claims import make, write
from tests.reporting.scored_rows import scored_row
from tests.test_params import ROOT

PARAMS = load(ROOT)
MOSI = PARAMS.catalogue["mosi"]
ALL = ["text", "audio", "vision"]
REFERENCE = [0.90, 0.91, 0.89, 0.92]
VALUES = {
    "better": [0.80, 0.82, 0.81, 0.80],
    "near": [0.901, 0.911, 0.889, 0.921],
    "unsure": [0.95, 0.85, 0.99, 0.87],
    "worse": [1.00, 1.02, 1.01, 1.00],
}
COMMIT = "a" * 40
ENTRY = {
    "claims": ["helps"], "corpus": "mosi", "encoder": "bert", "metric": "mae_all", "margin": 0.02,
    "seeds": [1, 2, 3, 4], "looks": [2, 4], "note": "A note.",
}  # fmt: skip


def row(folder, name, values, modalities=ALL, lambdas=0.1, commit=COMMIT, clean=True, count=100):
    seeds = {
        str(seed): {
            "test": {"mae_all": value}, "commit": commit, "clean": clean,
            "parameters": {"all": count},
        }
        for seed, value in enumerate(values, 1)
    }  # fmt: skip
    settings = {"model": {"modalities": modalities}, "train": {"lambdas": {"intra": lambdas}}}
    path = folder / name / "scores.json"
    return scored_row(path, seeds, {"settings": settings}, model=name, row=name)


def claim(**more):
    base = {"name": "helps", "claim": "It helps.", "source": "Here", "rows": ["hycon"],
            "against": ["no-contrastive"]}  # fmt: skip
    return Claim.model_validate(base | more)


@pytest.fixture
def judged(tmp_path):
    """Return a function that judges one claim, given the values of its rows."""

    def judge(rows, missing=(), controls=(), entries=(), costs=None, **more):
        reference = row(tmp_path, "reference", REFERENCE, count=50)
        pairs = [RowPair(row=each, reference=reference) for each in rows]
        planned = PlannedClaim(
            claim=claim(**more), encoder="bert", label="BERT", pairs=pairs, missing=list(missing)
        )
        table = ClaimsTable(
            claims=[planned], controls={"bert": list(controls)} if controls else {}, costs=costs,
            preregistered=[Preregistration.model_validate(each) for each in entries],
            inference=PARAMS.inference,
        )  # fmt: skip
        return make(table, "mosi", MOSI)

    return judge


@pytest.mark.parametrize(
    ("names", "missing", "expected"),
    [
        (["better"], [], "supported"),
        (["better", "better"], [], "supported"),
        (["better"], ["TFN"], "undecided"),
        (["better", "unsure"], [], "undecided"),
        (["better", "near"], [], "not supported"),
        (["better", "near", "worse"], [], "contradicted"),
        ([], ["TFN"], "not run"),
    ],
)
def test_a_claim_holds_if_every_comparison_does(tmp_path, judged, names, missing, expected):
    rows = [row(tmp_path, f"{name}-{n}", VALUES[name]) for n, name in enumerate(names)]
    (result,) = judged(rows, missing).results
    assert result.verdict == expected


def controls(folder, whole):
    return [
        row(folder, "all", whole, ALL, 0),
        row(folder, "text", [0.85, 0.86, 0.87, 0.86], ["text"], 0),
        row(folder, "audio", [1.2, 1.21, 1.2, 1.22], ["audio"], 0),
        row(folder, "vision", [1.3, 1.31, 1.3, 1.32], ["vision"], 0),
        row(folder, "constant", [1.45, 1.45, 1.46, 1.45], [], 0),
    ]


def test_a_claim_cannot_be_tested_where_modalities_add_nothing(tmp_path, judged):
    rows = [row(tmp_path, "better", VALUES["better"])]
    needs = ["informative", "together"]
    (result,) = judged(rows, controls=controls(tmp_path, REFERENCE), needs=needs).results
    assert (result.verdict, result.evidence) == ("not testable", "supported")
    assert result.testable == "no: text, audio and vision together against text alone: worse"
    (result,) = judged(
        rows, controls=controls(tmp_path, [0.7, 0.71, 0.7, 0.7]), needs=needs
    ).results
    assert (result.verdict, result.testable) == ("supported", "yes")
    (result,) = judged(rows, needs=needs).results
    assert (result.verdict, result.testable) == ("supported", "unknown: no control rows")
    near = [row(tmp_path, "near", VALUES["near"])]
    assert judged(near, needs=needs).results[0].verdict == "undecided"
    unsure = controls(tmp_path, [0.80, 0.90, 0.85, 0.86])
    (result,) = judged(rows, controls=unsure, needs=needs).results
    assert result.verdict == "supported"
    assert result.testable == (
        "unknown: text, audio and vision together against text alone: undecided"
    )
    some = controls(tmp_path, [0.7, 0.71, 0.7, 0.7])[:2]
    (result,) = judged(rows, controls=some, needs=needs).results
    assert result.testable == "unknown: control rows are missing"


@pytest.mark.parametrize(("count", "expected"), [(49, "supported"), (50, "contradicted")])
def test_parameters_are_counted(tmp_path, judged, count, expected):
    rows = [row(tmp_path, "ours", REFERENCE, count=count)]
    (result,) = judged(rows, kind="parameters").results
    assert result.verdict == expected
    assert result.detail == f"ours {count}; reference 50"


@pytest.mark.parametrize(("share", "expected"), [(0.19, "supported"), (0.21, "contradicted")])
def test_the_time_of_a_step_is_held_against_its_bound(tmp_path, judged, share, expected):
    costs = tmp_path / "complexity.json"
    measured = {"label": "hycon-bert", "contrastive share of training step": {"median": share}}
    costs.write_text(json.dumps({"rows": [measured]}))
    # 1 / (1 - 0.2) is 1.25
    (result,) = judged([], costs=costs, kind="time", at_most=1.25).results
    assert result.verdict == expected
    costs.write_text('{"rows": [{"label": "hycon-bert"}]}')
    with pytest.raises(HyConError, match=r"complexity\.json: cannot be read .*measure again"):
        judged([], costs=costs, kind="time", at_most=1.25)


def test_the_table_has_the_rule_and_the_csv_every_comparison(tmp_path, judged):
    rows = [row(tmp_path, name, VALUES[name]) for name in ("better", "unsure")]
    found = judged(rows)
    write(found, tmp_path / "claims")
    markdown = (tmp_path / "claims.md").read_text()
    for part in ("It helps.", "1 better, 1 undecided", "unsure – reference: +0.010 [", "undecided",
                 "margin 0.020", "A claim is supported if every comparison"):  # fmt: skip
        assert part in markdown
    frame = pd.read_csv(tmp_path / "claims.csv")
    assert frame.model.tolist() == ["better", "unsure"]
    assert frame.comparison.tolist() == ["better", "undecided"]
    assert frame.seeds_to_decide[0] > 4


def fixed(monkeypatch, entries):
    """Make the entries those that git has at the commit of the runs."""
    lines = json.dumps({"preregistered": entries})

    def git(*arguments):
        if arguments != ("show", f"{COMMIT}:{PREREGISTRATION.as_posix()}"):
            raise subprocess.CalledProcessError(128, "git")
        return lines

    preregistration._entries.cache_clear()
    monkeypatch.setattr(preregistration, "git", git)


def test_a_verdict_is_preregistered_if_the_entry_was_in_the_commit_of_every_run(
    tmp_path, judged, monkeypatch
):
    fixed(monkeypatch, [ENTRY])
    rows = [row(tmp_path, "better", VALUES["better"])]
    assert judged(rows, entries=[ENTRY]).results[0].preregistered == "yes"
    assert judged(rows).results[0].preregistered == "no"
    # the file had another entry then
    fixed(monkeypatch, [ENTRY | {"margin": 0.05}])
    assert judged(rows, entries=[ENTRY]).results[0].preregistered == (
        "no: better, seed 1 ran at commit aaaaaaa, which lacks the entry"
    )


@pytest.mark.parametrize(
    ("more", "entry", "expected"),
    [
        ({"commit": "b" * 40}, {}, "no: ours, seed 1 ran at commit bbbbbbb, which lacks the entry"),
        ({"commit": "--exec=x"}, {}, "no: ours, seed 1 ran at commit --exec="),
        (
            {"clean": False},
            {},
            "no: ours, seed 1 ran without a commit, or with uncommitted changes",
        ),
        (
            {"commit": None},
            {},
            "no: ours, seed 1 ran without a commit, or with uncommitted changes",
        ),
        ({}, {"metric": "corr_all"}, "no: fixed for corr_all, margin 0.02; found mae_all, 0.02"),
        ({}, {"margin": 0.05}, "no: fixed for mae_all, margin 0.05; found mae_all, 0.02"),
        ({}, {"seeds": [1, 2, 3, 5]}, "no: the seeds of ours are not those that were fixed"),
        ({}, {"claims": ["other"]}, "no"),
        ({}, {"encoder": "glove"}, "no"),
    ],
)
def test_the_word_is_refused_where_the_order_of_commits_does_not_bear_it_out(
    tmp_path, judged, monkeypatch, more, entry, expected
):
    fixed(monkeypatch, [ENTRY | entry])
    found = judged([row(tmp_path, "ours", VALUES["better"], **more)], entries=[ENTRY | entry])
    assert found.results[0].preregistered.startswith(expected)


def test_each_of_several_looks_has_its_share_of_the_level(tmp_path, judged, monkeypatch):
    # p between 0.025 and 0.05
    values = [0.82, 0.895, 0.85, 0.87]
    fixed(monkeypatch, [ENTRY])
    rows = [row(tmp_path, "ours", values)]
    (once,) = judged(rows).results
    (p,) = [each.found.p for each in once.comparisons]
    assert 0.025 < p < 0.05
    assert once.verdict == "supported"
    (twice,) = judged(rows, entries=[ENTRY]).results
    assert (twice.preregistered, twice.verdict) == ("yes", "undecided")


def test_the_shipped_claims_name_variants_and_are_planned():
    claims = load_claims(PARAMS, ROOT)
    assert {"contrastive-learning", "alpha", "peers", "fewest-parameters"} <= {
        each.name for each in claims
    }
    plan = Plan(PARAMS, claims=claims)
    job = plan.job("tables", "sample/claims")
    planned = job.task.table.claims
    assert {each.claim.name for each in planned} == {each.name for each in claims}
    # the main table has three text encoders, the others one
    assert [each.encoder for each in planned if each.claim.name == "contrastive-learning"] == [
        "glove", "bert", "xlnet",
    ]  # fmt: skip
    assert [each.encoder for each in planned if each.claim.name == "peers"] == ["bert"]
    assert set(job.task.table.controls) == {"glove", "bert", "xlnet"}
    read = {row.scores for each in planned for pair in each.pairs for row in (pair.row,)}
    assert {str(path) for path in read} < set(job.reads)
    assert "results/sample/complexity.json" in job.reads


def test_what_was_not_run_is_named(tmp_path):
    params = load(ROOT, {"experiments": {"peers": None}})
    plan = Plan(params, claims=load_claims(params, ROOT))
    planned = plan.job("tables", "sample/claims").task.table.claims
    (peers,) = [each for each in planned if each.claim.name == "peers"]
    assert (peers.pairs, peers.missing[0]) == ([], "EF-LSTM")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"rows": ["hicon"]}, "variants: unknown name 'hicon'"),
        ({"rows": ["no-contrastive"]}, "no-contrastive is both in `rows` and in `against`"),
        ({"at_most": 1.2}, "at_most belongs to kind: time"),
        ({"needs": ["luck"]}, "needs"),
    ],
)
def test_a_claim_that_is_none_ends_in_one_line(tmp_path, change, problem):
    base = {"name": "helps", "claim": "It helps.", "source": "Here", "rows": ["hycon"],
            "against": ["no-contrastive"]}  # fmt: skip
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper/claims.yaml").write_text(json.dumps({"claims": [base | change]}))
    with pytest.raises(HyConError, match=r"^paper/claims\.yaml: ") as caught:
        load_claims(PARAMS, tmp_path)
    assert problem in str(caught.value)
    assert load_claims(PARAMS, tmp_path / "nowhere") == []
