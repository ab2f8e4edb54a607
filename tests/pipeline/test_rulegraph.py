"""The picture of the rules is of the rules that there are."""

import re

from tests.pipeline.test_sample import ROOT, copy, snakemake


def test_the_picture_has_every_rule_of_the_sample_and_no_other(tmp_path):
    folder = copy(tmp_path)
    (folder / "mini.yaml").write_text("{}\n")
    code, printed = snakemake(folder, "evidence", "--rulegraph")
    assert code == 0, printed
    rules = re.findall(r'label = "([^"]+)"', printed)
    drawn = re.findall(r"<text [^>]*>([^<]+)</text>", (ROOT / "docs/rulegraph.svg").read_text())
    assert sorted(drawn) == sorted(rules), "run `make rulegraph`"
