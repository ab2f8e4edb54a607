"""The table of costs: what was measured, on which machine, and what it does not count."""

import json

import pandas as pd
import pytest

from hycon.errors import HyConError
from hycon.evidence.costs import read_costs, write
from hycon.params import load
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


def test_the_table_shows_each_row_and_its_caption_the_machine(tmp_path):
    content = record(row("HyCon", figure(0.034)), row("None", figure(0.0, 0)))
    write(content, "sample", CORPUS, tmp_path / "complexity")
    markdown = (tmp_path / "complexity.md").read_text()
    for part in ("123,456", "2.35 M", "0.5 [0.45, 0.55]", "1,234", "9,876", "12 MB", "3.4%",
                 "A CPU, 2 cores, 1 thread, torch 2.0", "SAMPLE NUMBERS", "240 training utterances",
                 "no figure counts the text encoder"):  # fmt: skip
        assert part in markdown
    last = [cell.strip() for cell in markdown.splitlines()[3].split("|")]
    assert last[-2] == "0"
    frame = pd.read_csv(tmp_path / "complexity.csv")
    assert frame["seconds per epoch median"].tolist() == [0.5, 0.5]
    assert not [name for name in frame if name.startswith("measured with")]
    assert r"3.4\%" in (tmp_path / "complexity.tex").read_text()


def test_a_text_encoder_inside_and_a_gpus_peak_are_said(tmp_path):
    content = record(row("HyCon", figure(0.1), inside=True, peak=4_000_000_000), threads=2)
    write(content, "sample", CORPUS, tmp_path / "complexity")
    markdown = (tmp_path / "complexity.md").read_text()
    assert "4,000 MB" in markdown
    assert "2 threads" in markdown
    assert "Rows whose text encoder is fine-tuned count it" in markdown


@pytest.mark.parametrize("content", ["", "{}", '{"rows": []}', "[]"])
def test_a_broken_measurement_is_refused(tmp_path, content):
    path = tmp_path / "complexity.json"
    path.write_text(content)
    with pytest.raises(HyConError, match=r"complexity\.json: cannot be read"):
        read_costs(path, {})


def test_rows_get_the_names_that_a_reader_knows_and_others_are_refused(tmp_path):
    path = tmp_path / "complexity.json"
    path.write_text(json.dumps(record(row("hycon-bert", figure(0.1)))))
    (found,) = read_costs(path, {"hycon-bert": ["HyCon", "BERT"]})["rows"]
    assert (found["label"], found["encoder"]) == ("HyCon", "BERT")
    with pytest.raises(HyConError, match=r"complexity\.json: cannot be read"):
        read_costs(path, {"hycon-v2-bert": ["HyCon-v2", "BERT"]})
