"""docs/method.md is what the code means by "method, section N", and names functions that exist."""

import re
import subprocess
from importlib import import_module

import pytest

from tests.test_params import ROOT

PAGE = (ROOT / "docs/method.md").read_text()
SECTIONS = {int(number) for number in re.findall(r"^## (\d+)\. ", PAGE, re.MULTILINE)}


def test_every_section_that_the_code_names_exists():
    files = subprocess.run(
        ["git", "ls-files", "hycon", "params.yaml", "paper", "config"],
        cwd=ROOT, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    if not files:
        pytest.skip("NOT TESTED: this is no git repository, so its files are not known")
    named = set()
    for name in files:
        text = (ROOT / name).read_text(errors="replace") if (ROOT / name).is_file() else ""
        for numbers in re.findall(r"[Mm]ethod(?:'s|,|:)? sections? ([\d, andto]+)", text):
            named |= set(map(int, re.findall(r"\d+", numbers)))
    assert len(named) >= 6
    assert named <= SECTIONS


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(hycon\.[\w.]+)`", PAGE))))
def test_what_the_page_names_exists(name):
    for cut in range(name.count("."), 0, -1):
        parts = name.split(".")
        try:
            found = import_module(".".join(parts[: cut + 1]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut + 1 :]:
            found = getattr(found, part)
        return
    pytest.fail(f"{name}: no such module")
