"""Committed numbers and those of a run: exact, within rounding, within their spread, or not met."""

import math

import pytest

from hycon.errors import HyConError
from hycon.reporting.table_formats import html, is_table, markdown
from hycon.reporting.verification import STATUSES, Verification, compare, table

SCORES = "corpus,model,n,mae_mean,mae_std,caption\n"
DIFFERENCES = "model,metric,difference,low,high,p_t_test\nA,mae,0.5,0.2,0.6,0.04\n"


def compared(folder, before, after, name="a.csv"):
    """Return the status and distance of each number by column."""
    committed, found = folder / "before" / name, folder / "after" / name
    for path, text in ((committed, before), (found, after)):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return {
        (number.row, number.column): (number.status, pytest.approx(number.distance))
        for number in compare(f"results/x/tables/{name}", committed, found)
    }


@pytest.mark.parametrize(
    ("mean", "status", "distance"),
    [
        ("0.8", "exact", 0),
        ("0.80", "exact", 0),
        ("0.8000004", "within rounding", 4e-7 / 0.1),  # relative 5e-7
        ("0.800001", "within the spread", 1e-6 / 0.1),  # relative 1.25e-6
        ("0.89", "within the spread", 0.9),
        ("0.71", "within the spread", 0.9),
        ("0.91", "not met", 1.1),
        ("0.69", "not met", 1.1),
        ("", "not met", math.inf),
        ("many", "not met", math.inf),
        ("nan", "not met", math.inf),
    ],
)
def test_a_mean_is_compared_with_its_deviation_over_seeds(tmp_path, mean, status, distance):
    before = SCORES + "x,A,3,0.8,0.1,C\n"
    found = compared(tmp_path, before, SCORES + f"x,A,3,{mean},0.1,another caption\n")
    assert found == {
        ("x, A", "n"): ("exact", 0),
        ("x, A", "mae_mean"): (status, distance),
        ("x, A", "mae_std"): ("exact", 0),
    }


def test_a_mean_of_one_seed_has_no_spread_and_counts_have_none(tmp_path):
    found = compared(tmp_path, SCORES + "x,A,1,0.8,,C\n", SCORES + "x,A,2,0.9,0.5,C\n")
    assert found == {
        ("x, A", "n"): ("not met", 1),
        ("x, A", "mae_mean"): ("not met", 0.125),
    }


@pytest.mark.parametrize(
    ("difference", "status"), [("0.25", "within the spread"), ("0.1", "not met")]
)
def test_a_difference_is_compared_with_its_interval_and_what_follows_is_not(
    tmp_path, difference, status
):
    after = DIFFERENCES.replace("0.5,0.2,0.6,0.04", f"{difference},-0.1,0.5,0.2")
    found = compared(tmp_path, DIFFERENCES, after)
    assert {column: each for (_, column), (each, _) in found.items()} == {
        "difference": status, "low": "not judged", "high": "not judged", "p_t_test": "not judged",
    }  # fmt: skip


def test_numbers_of_tables_without_any_spread_must_be_met(tmp_path):
    before = "label,encoder,parameters,inside,multiply-adds\nA,b,100,False,2.5\nB,b,7,False,1.5\n"
    after = before.replace("2.5", "2.6").replace("7", "8")
    found = compared(tmp_path, before, after)
    assert {key: status for key, (status, _) in found.items()} == {
        ("A, b", "parameters"): "exact", ("A, b", "multiply-adds"): "not met",
        ("B, b", "parameters"): "not met", ("B, b", "multiply-adds"): "exact",
    }  # fmt: skip


def test_rows_are_found_by_name_and_missing_ones_are_not_met(tmp_path):
    before = SCORES + "x,A,3,0.8,0.1,C\nx,B,3,0.5,0.1,C\n"
    after = SCORES + "x,C,3,0.5,0.1,C\nx,A,3,0.8,0.1,C\n"
    found = compared(tmp_path, before, after)
    assert {key[0]: status for key, (status, _) in found.items()} == {
        "x, A": "exact", "x, B": "not met",
    }  # fmt: skip
    without = "corpus,model,n,mae_mean,caption\nx,A,3,0.8,C\nx,B,3,0.5,C\n"
    found = compared(tmp_path, before, without)
    assert found["x, A", "mae_std"] == ("not met", math.inf)


def test_of_a_row_per_seed_the_means_are_compared(tmp_path):
    # mean 0.5, then 0.75; deviation sqrt(0.125) in both
    before = "model,kind,amount,seed,mae\nA,noise,0.1,1,0.25\nA,noise,0.1,2,0.75\n"
    found = compared(tmp_path, before, before.replace("0.75", "1.0").replace("0.25", "0.5"))
    assert found == {
        ("A, noise, 0.1, mae", "mean"): ("within the spread", 0.25 / math.sqrt(0.125)),
        ("A, noise, 0.1, mae", "std"): ("exact", 0),
        ("A, noise, 0.1, mae", "n"): ("exact", 0),
    }
    found = compared(tmp_path, before, before.replace("0.75", "1.75"))
    assert found["A, noise, 0.1, mae", "mean"][0] == "not met"


def test_metrics_have_their_deviation_beside_them(tmp_path):
    text = '{"main": {"a-bert": {"mae": {"mean": 0.8, "std": 0.1, "n": 3}}}}'
    found = compared(tmp_path, text, text.replace("0.8", "0.85"), "metrics.json")
    assert found == {
        ("main, a-bert, mae", "mean"): ("within the spread", 0.5),
        ("main, a-bert, mae", "std"): ("exact", 0),
        ("main, a-bert, mae", "n"): ("exact", 0),
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", ""),
        ("a.csv", "model,mae\n"),
        ("a.csv", "model,mae\nA,0.5,0.6\n"),
        ("a.csv", "model,mae\nA\n"),
        ("a.csv", 'model,mae\n"A,0.5\n'),
        ("a.csv", "model,seed,mae\nA,1,0.5\nA,2,many\n"),
        ("metrics.json", "{"),
        ("metrics.json", "[]"),
        ("metrics.json", '{"main": {"a": {"mae": {"mean": 0.5}}, "b": 1}}'),
        ("metrics.json", '{"main": {"mean": NaN}}'),
    ],
)
def test_a_file_that_is_no_table_is_named(tmp_path, name, text):
    good = {"a.csv": "model,mae\nA,0.5\n", "metrics.json": '{"main": {"mean": 0.5}}'}[name]
    with pytest.raises(HyConError, match=rf"results/x/tables/{name}: cannot be read"):
        compared(tmp_path, good, text, name)
    with pytest.raises(HyConError, match=rf"results/x/tables/{name} of HEAD: cannot be read"):
        compared(tmp_path, text, good, name)


def test_the_table_counts_each_files_numbers(tmp_path):
    for side, low in (("before", "0.2"), ("after", "0.1")):
        (tmp_path / side).mkdir()
        (tmp_path / side / "a.csv").write_text(DIFFERENCES.replace("0.2", low))
    numbers = compare(
        "results/x/tables/a.csv", *(tmp_path / s / "a.csv" for s in ("before", "after"))
    )
    sheet = table(Verification("abc", numbers, [], []))
    assert [cell.text for cell in sheet.rows[0]] == ["x", "a.csv", "3", "0", "0", "0", "1"]
    assert "commit abc" in sheet.caption
    assert is_table(html(sheet))
    assert all(each.capitalize() in markdown(sheet) for each in STATUSES)
