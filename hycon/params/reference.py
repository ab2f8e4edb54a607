"""The parameter reference and the JSON schema, generated from the typed parameters.

`python -m hycon.params.reference` writes both; a test fails if they are out of date.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hycon.atomic_io import atomic_file
from hycon.params.base import NAME
from hycon.params.loading import read_yaml
from hycon.params.schema import Params

Node = dict[str, Any]  # of a JSON schema
SCHEMA = Path("config/schema.json")
PAGE = Path("docs/parameter-reference.md")
LONGEST = 100  # characters of a default
HEAD = """# Parameter reference

Generated from the types that validate the parameters; defaults are those of params.yaml.
[Parameters](parameters.md) explains how to change them, and [the method](method.md) explains the
symbols. NAME is a name of your choice: lower-case letters and digits, with hyphens between words.

Editors with a YAML language server complete and check params.yaml, corpora.yaml and overlays,
because the first line of each file names the JSON schema, `config/schema.json`.
"""


def schema() -> Node:
    """Return the JSON schema of params.yaml, corpora.yaml and overlays.

    No key is required, because each of these files has only some of the keys.
    """
    full = _without_required(Params.model_json_schema())
    kinds = full["$defs"]
    for name in ("Changes", "CorpusChanges", "VariantChanges", "Variant"):
        keys = kinds[name]["properties"]
        keys["model"]["anyOf"] = [{"$ref": "#/$defs/ModelConfig"}]
        keys["train"]["anyOf"] = [{"$ref": "#/$defs/TrainConfig"}]
    kinds["VariantChanges"]["properties"]["peer"]["anyOf"] = [
        each for each in kinds["Variant"]["properties"]["peer"]["anyOf"] if each != {"type": "null"}
    ]
    kinds["CorpusChanges"]["properties"]["complexity"]["anyOf"] = [
        {"$ref": "#/$defs/ComplexityConfig"}
    ]
    experiments = full["properties"]["experiments"]["patternProperties"]
    experiments[NAME] = {"anyOf": [experiments[NAME], {"type": "null"}]}
    return full


def _without_required(node: Any) -> Any:
    """Drop `required`, and `oneOf`, which needs it to tell the peers apart."""
    if isinstance(node, list):
        return [_without_required(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if key not in ("required", "discriminator")}
    return {
        "anyOf" if key == "oneOf" else key: _without_required(value) for key, value in kept.items()
    }


def page() -> str:
    """Return the parameter reference as Markdown."""
    full = Params.model_json_schema()
    defaults = {**read_yaml(Path("params.yaml")), "catalogue": {}}
    sections: dict[str, list[str]] = {}
    for key, node, default in _keys("", full, full, defaults):
        meaning = " ".join(node.get("description", "").split())
        cells = [f"`{key}`", default, _values(node, full), meaning]
        row = " | ".join(cell.replace("|", r"\|") for cell in cells)
        sections.setdefault(key.split(".")[0] if "." in key else "", []).append(f"| {row} |\n")
    text = HEAD
    for name, rows in sections.items():
        text += f"\n## {f'`{name}`' if name else 'Top level'}\n\n"
        if name:
            text += f"{full['properties'][name]['description']}\n\n"
        text += f"| key | default | values | meaning |\n|---|---|---|---|\n{''.join(rows)}"
    return text


def _keys(prefix: str, node: Node, full: Node, defaults: Any) -> Iterator[tuple[str, Node, str]]:
    """Yield each key below a node with its schema and default, as Markdown."""
    for name, entry in node["properties"].items():
        key = f"{prefix}{name}"
        known = isinstance(defaults, dict) and name in defaults
        default = defaults[name] if known else entry.get("default", "")
        kinds = [_resolve(kind, full) for kind in entry.get("anyOf", [entry])]
        nested = next((kind for kind in kinds if "properties" in kind), None)
        named = _resolve(_any_name(kinds[0]), full)
        if not (nested or "properties" in named) or len(kinds) > 1:
            text = f"`{json.dumps(default)}`" if known or "default" in entry else ""
            yield key, entry, text if len(text) < LONGEST else "see params.yaml"
        if nested:
            yield from _keys(f"{key}.", nested, full, default)
        elif "properties" in named:
            yield from _keys(f"{key}.NAME.", named, full, None)


def _resolve(node: Node, full: Node) -> Node:
    reference = node.get("$ref", "").removeprefix("#/$defs/")
    return full["$defs"][reference] if reference else node


def _any_name(node: Node) -> Node:
    """Return the schema of the values of a mapping whose keys are names; {} for others."""
    values = node.get("additionalProperties")
    return next(iter(node.get("patternProperties", {}).values()), None) or (
        values if isinstance(values, dict) else {}
    )


def _values(node: Node, full: Node) -> str:
    """Return the allowed values of a key in words."""
    if "anyOf" in node:
        return " or ".join(_values(kind, full) for kind in node["anyOf"])
    node = _resolve(node, full)
    if choices := node.get("enum", [node["const"]] if "const" in node else []):
        return ", ".join(f"`{choice}`" for choice in choices)
    kind = node.get("type")
    if kind in ("integer", "number"):
        return f"{kind}{_bounds(node)}"
    if kind == "array":
        return f"list of {_values(node['items'], full)}"
    if kind == "string" and "pattern" in node:
        return "name" if node["pattern"] == NAME else f"text matching `{node['pattern']}`"
    return {
        "string": "text",
        "boolean": "`true`, `false`",
        "null": "`null`",
        "object": "keys and values",
    }.get(kind, "keys of one network")


def _bounds(node: Node) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f" {sign} {node[key]}" for key, sign in signs.items() if key in node]
    return ",".join(found)


def main() -> None:
    for path, text in ((SCHEMA, json.dumps(schema(), indent=1) + "\n"), (PAGE, page())):
        with atomic_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
