"""The table over corpora says of each claim what the corpora's tables say."""

import math
import re

import pandas as pd
import pytest

from hycon.errors import HyConError
from hycon.params import load
from hycon.plan.tasks import ClaimsTask
from hycon.reporting.claims_overview import read
from tests.reporting.claims_tables import judged, write_claims
from tests.running import run_stage
from tests.test_params import ROOT

CATALOGUE = load(ROOT).catalogue
SAMPLE, REAL = CATALOGUE["sample"], CATALOGUE["mosi-utterance"]


def test_a_claim_has_a_row_and_a_corpus_a_column_with_the_weakest_comparison(tmp_path):
    for key in ("sample", "mosi-utterance"):
        write_claims(
            tmp_path / key,
            judged("a", "supported", ("Tensor", -0.3, 0.1), ("Graph", -0.1, 0.05)),
            judged("b", "not testable", ("None", 0.01, 0.1), evidence="undecided",
                   testable="no: audio alone against a constant: undecided"),
            judged("c", "not run", missing="TFN, LMF"),
        )  # fmt: skip
    tables = {key: tmp_path / key / "claims.csv" for key in ("sample", "mosi-utterance")}
    corpora = {"sample": SAMPLE, "mosi-utterance": REAL}
    run_stage("claims", ClaimsTask(tables=tables, corpora=corpora, output=tmp_path / "claims"))
    text = (tmp_path / "claims.md").read_text()
    heading, _, first, second, third = text.splitlines()[:5]
    assert "Sample (generated) – sample numbers" in heading
    assert REAL.title in heading
    # lower MAE is better: -0.1 is the weaker support
    assert first.count("**supported (HyCon – Graph -0.100 [-0.150, -0.050], n = 5)**") == 2
    assert second.count("not testable (HyCon – None +0.010 [-0.090, +0.110]") == 2
    assert third.count("not run") == 2
    why = f"{REAL.title}: not testable, audio alone against a constant: undecided (1 claim)"
    gone = "not run, without TFN, LMF (1 claim)"
    for said in ("SAMPLE NUMBERS", "MAE all, margin 0.020", gone, why):
        assert said in text
    lines = pd.read_csv(tmp_path / "claims.csv")
    assert len(lines) == 8
    assert lines["sample"].tolist() == [True] * 4 + [False] * 4
    assert lines.difference[0] == -0.3
    for form in ("html", "tex"):
        assert (tmp_path / f"claims.{form}").exists()


def test_numbers_are_read_as_they_are_and_an_endless_number_of_seeds_too(tmp_path):
    write_claims(
        tmp_path,
        judged("a", "undecided", ("None", 0.01, 0.1), seeds_to_decide=math.inf),
        judged("b", "supported", detail="fewer"),
    )
    first, second = read(tmp_path / "claims.csv", "mosi-utterance", REAL).judged
    assert (first.seeds, first.effects[0].n, first.weakest.difference) == (math.inf, 5, 0.01)
    assert (second.seeds, second.effects, second.weakest) == (None, [], None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("undecided", "<b>great</b>"), "verdict '<b>great</b>' is none of supported, "),
        (("mae_all", "acc"), "lacks 'acc'"),
        (("0.02", "nan"), "found nan, expected a finite number"),
        (("0.02", "x"), "could not convert string to float: 'x'"),
        (("claim,words", "a,b"), "lacks 'claim'"),
    ],
)
def test_a_table_that_is_none_is_refused_in_a_line(tmp_path, change, said):
    write_claims(tmp_path, judged("a", "undecided", ("None", 0.5, 0.1)))
    path = tmp_path / "claims.csv"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(HyConError, match=re.escape(f"cannot be read ({said}")) as caught:
        read(path, "mosi-utterance", REAL)
    assert "\n" not in str(caught.value)
    path.write_text("")
    with pytest.raises(HyConError, match=r"claims\.csv: cannot be read"):
        read(path, "mosi-utterance", REAL)
