"""`hycon audit` on arrays of any framework."""

import json

import numpy as np
import pytest

from hycon.commands import audit
from hycon.errors import HyConError

RANDOM = np.random.default_rng(2)
VALID, TEST = (np.round(RANDOM.uniform(-3, 3, n) * 5) / 5 for n in (20, 30))


def arrays(path, **changes):
    content = {
        "valid": VALID + RANDOM.normal(size=(3, 5, 20)),
        "test": TEST + RANDOM.normal(size=(3, 5, 30)),
        "valid_labels": VALID,
        "test_labels": TEST,
    }
    np.savez(
        path, **{key: each for key, each in {**content, **changes}.items() if each is not None}
    )
    return path


def test_two_rows_are_audited_in_every_format(tmp_path, capsys):
    files = [f"{name}={arrays(tmp_path / f'{name}.npz')}" for name in ("a", "b")]
    audit.main([*files, "--figure", str(tmp_path / "f")])
    printed = capsys.readouterr().out
    for part in ("epoch by validation loss", "best test epoch of each metric", "n = 3 seeds",
                 "any of the above", "best row, test epoch and seed of each metric"):  # fmt: skip
        assert part in printed
    assert (tmp_path / "f.svg").stat().st_size > 1000
    audit.main([*files, "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"a", "b", "any of the above"}
    assert len(found["a"]["last"]["mae_all"]) == 3
    for form, part in (("csv", "protocol,honest"), ("latex", r"\toprule")):
        audit.main([*files, "--format", form])
        assert part in capsys.readouterr().out


def test_emotions_are_numbers_with_scores(tmp_path, capsys):
    labels = RANDOM.integers(0, 3, 20)
    path = arrays(
        tmp_path / "e.npz", valid=RANDOM.normal(size=(1, 2, 20, 3)),
        test=RANDOM.normal(size=(1, 2, 20, 3)), valid_labels=labels, test_labels=labels,
    )  # fmt: skip
    audit.main([str(path), "--format", "json"])
    assert len(json.loads(capsys.readouterr().out)["e"]["validation"]["acc"]) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"valid": None}, "lacks valid; found test"),
        ({"valid": VALID}, r"valid is \(20,\)"),
        ({"test_labels": TEST[1:]}, "a.npz"),
        ({"valid_labels": VALID[1:]}, r"expected \(E, 19\)"),
        ({"test_labels": np.array(["x"] * 30)}, "expected numbers"),
        ({"test": np.full((3, 5, 30), np.inf)}, "found NaN or infinity"),
    ],
)
def test_arrays_that_do_not_fit_are_one_line(changes, said, tmp_path):
    with pytest.raises(HyConError, match=said):
        audit.main([str(arrays(tmp_path / "a.npz", **changes))])


def test_another_file_or_name_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    with pytest.raises(HyConError, match=r"expected an \.npz file"):
        audit.main([str(tmp_path / "a.csv")])
    path = arrays(tmp_path / "b.npz")
    with pytest.raises(HyConError, match="two rows are named 'b'"):
        audit.main([str(path), str(path)])
