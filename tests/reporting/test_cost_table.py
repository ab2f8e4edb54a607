"""The tables of costs: what is counted, what was measured and on which machine."""

import json

import pandas as pd
import pytest

from hycon.errors import HyConError
from hycon.params import load
from hycon.plan.tasks import CostTable
from hycon.reporting.cost_table import make, write
from tests.test_params import ROOT

CORPUS = load(ROOT).catalogue["sample"]


def figure(median, count=3):
    return {"median": median, "iqr": [0.9 * median, 1.1 * median], "n": count}


def row(label, share, inside=False, peak=None):
    return {
        "label": label,
        "encoder": "tiny BERT",
        "measured with": {"model": {"dimension": 50}},
        "trainable parameters": 123456,
        "trainable parameters without text encoder": 123456,
        "text encoder in network": inside,
        "multiply-adds per utterance": 2_345_678,
        "seconds per epoch": figure(0.5),
        "training utterances per second": figure(1234.4),
        "inference utterances per second": figure(9876.0),
        "training memory bytes": 12_300_000,
        "peak device memory bytes": peak,
        "contrastive share of training step": share,
        "contrastive share of inference": 0.0,
    }


def record(*rows, threads=1):
    machine = {"processor": "A CPU", "cores": 2, "gpu": None, "torch": "2.0", "threads": threads}
    return {"machine": machine, "repeats": 3, "training utterances": 240, "rows": list(rows)}


def costs(folder, content, part="measured", **labels):
    """Return one of the tables; rows have the names that a reader knows."""
    path = folder / "complexity.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return make(CostTable(part=part, measured=path, labels=labels), "sample", CORPUS)


def test_the_table_shows_each_row_and_its_caption_the_machine(tmp_path):
    content = record(row("a", figure(0.034)), row("b", figure(0.0, 0)))
    found = costs(tmp_path, content, a=("HyCon", "tiny BERT"), b=("Plain", "GloVe"))
    write(found, tmp_path / "complexity")
    markdown = (tmp_path / "complexity.md").read_text()
    for part in ("HyCon", "tiny BERT", "0.5 [0.45, 0.55]", "1,234", "9,876",
                 "12 MB", "3.4%", "A CPU, 2 cores, 1 thread, torch 2.0", "SAMPLE NUMBERS",
                 "240 training utterances", "the text encoder is not included"):  # fmt: skip
        assert part in markdown
    last = [cell.strip() for cell in markdown.splitlines()[3].split("|")]
    assert last[1:3] == ["GloVe", "Plain"]
    assert last[-2] == "0"
    frame = pd.read_csv(tmp_path / "complexity.csv")
    assert frame["label"].tolist() == ["HyCon", "Plain"]
    assert frame["seconds per epoch median"].tolist() == [0.5, 0.5]
    assert not [name for name in frame if name.startswith("measured with")]
    assert r"3.4\%" in (tmp_path / "complexity.tex").read_text()


def test_one_round_has_no_spread(tmp_path):
    once = {name: {**each, "n": 1} if isinstance(each, dict) and "median" in each else each
            for name, each in row("a", figure(0.034, 8)).items()}  # fmt: skip
    write(costs(tmp_path, {**record(once), "repeats": 1}, a=("A", "BERT")), tmp_path / "complexity")
    markdown = (tmp_path / "complexity.md").read_text()
    assert "| 0.5 |" in " ".join(markdown.split())
    assert "one round, without a spread" in markdown
    assert "quartile" not in markdown


def test_what_is_counted_is_the_same_on_every_machine(tmp_path):
    written = {}
    for machine in ("A CPU", "Another"):
        content = record(row("a", figure(len(machine) / 100)))
        content["machine"]["processor"] = machine
        found = costs(tmp_path, content, "counted", a=("HyCon", "tiny BERT"))
        write(found, tmp_path / "complexity")
        written[machine] = [
            (tmp_path / f"complexity.{form}").read_bytes() for form in ("csv", "md", "tex", "html")
        ]
    assert written["A CPU"] == written["Another"]
    markdown = (tmp_path / "complexity.md").read_text()
    assert "| tiny BERT      | HyCon   |      123,456 |          2.35 M |" in markdown
    frame = pd.read_csv(tmp_path / "complexity.csv")
    assert frame["multiply-adds per utterance"].tolist() == [2_345_678]
    assert not [name for name in frame if "second" in name or "bytes" in name or "share" in name]


def test_a_text_encoder_inside_and_a_gpus_peak_are_said(tmp_path):
    content = record(row("a", figure(0.1), inside=True, peak=4_000_000_000), threads=2)
    write(costs(tmp_path, content, a=("HyCon", "BERT")), tmp_path / "complexity")
    markdown = (tmp_path / "complexity.md").read_text()
    assert "4,000 MB" in markdown
    assert "2 threads" in markdown
    assert "Rows with a fine-tuned text encoder include it" in markdown


@pytest.mark.parametrize("content", ["", "{}", '{"rows": []}', "[]"])
def test_a_broken_measurement_is_refused(tmp_path, content):
    with pytest.raises(HyConError, match=r"complexity\.json: cannot be read"):
        costs(tmp_path, content)


def test_rows_get_the_names_that_a_reader_knows_and_others_are_refused(tmp_path):
    content = record(row("hycon-bert", figure(0.1)))
    (found,) = costs(tmp_path, content, **{"hycon-bert": ("HyCon", "BERT")}).record["rows"]
    assert (found["label"], found["encoder"]) == ("HyCon", "BERT")
    with pytest.raises(HyConError, match=r"complexity\.json: cannot be read"):
        costs(tmp_path, content, **{"hycon-v2-bert": ("HyCon-v2", "BERT")})
