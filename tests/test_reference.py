"""The parameter reference and the JSON schema are those of the typed parameters."""

import json

import jsonschema
import pytest
import yaml

from hycon.params import reference
from tests.test_params import ROOT

FILES = [
    "params.yaml",
    "corpora.yaml",
    *(f"config/{path.name}" for path in (ROOT / "config").glob("*.yaml")),
]
SCHEMA = json.loads((ROOT / "config/schema.json").read_text())


def test_both_files_are_up_to_date(monkeypatch):
    monkeypatch.chdir(ROOT)
    advice = "run `python -m hycon.params.reference`"
    assert json.loads(reference.SCHEMA.read_text()) == reference.schema(), advice
    assert reference.PAGE.read_text() == reference.page(), advice


@pytest.mark.parametrize("name", FILES)
def test_every_file_names_the_schema_and_fits_it(name):
    text = (ROOT / name).read_text()
    schema = "schema.json" if name.startswith("config") else "config/schema.json"
    assert text.startswith(f"# yaml-language-server: $schema={schema}\n")
    jsonschema.validate(yaml.safe_load(text), SCHEMA)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("train", {"alhpa": 0.5}),
        ("train", {"alpha": 1.5}),
        ("model", {"fusion": "sum"}),
        ("variants", {"mine": {"train": {"lambda": {}}}}),
        ("variants", {"mine": {"peer": {"network": "tfn", "rank": 3}}}),
    ],
)
def test_the_schema_refuses_what_the_parameters_refuse(key, values):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({key: values}, SCHEMA)


def test_every_key_has_a_meaning():
    rows = [
        line.split(" | ")
        for line in (ROOT / reference.PAGE).read_text().splitlines()
        if line[:3] == "| `"
    ]
    assert len(rows) > 80
    assert not [key for key, *_, meaning in rows if len(meaning.strip(" |")) < 10]
