"""Load and validate the configuration: files and overlay become one `Params` value."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from hycon.errors import HyConError
from hycon.params.base import merge
from hycon.params.messages import explain, shown
from hycon.params.schema import Params

FILES = ("params.yaml", "corpora.yaml")
# limits of one file; params.yaml has 14 kB, corpora.yaml 9 kB
LARGEST_YAML = 2**20  # bytes
MOST_VALUES = 100_000  # keys and values; those of an alias count at each use
DEEPEST = 100  # levels of nesting
MOST_BITS = 256  # of an integer
LONGEST_LINE = 2000  # characters of an error message


class _Loader(yaml.SafeLoader):
    """Safe YAML without duplicate keys, and with limits on what aliases expand to."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._count = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        mark, before = self.peek_event().start_mark, self._count
        alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        if alias and id(node) not in self._sizes:
            raise yaml.MarkedYAMLError(problem="an alias contains itself", problem_mark=mark)
        self._count += self._sizes[id(node)] if alias else 1
        if self._count > MOST_VALUES:
            problem = f"more than {MOST_VALUES} values, which is the limit"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        if not alias:
            self._sizes[id(node)] = self._count - before
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, (str, int)) and key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"duplicate key '{key}'", problem_mark=key_node.start_mark
                )
            seen.add(key if isinstance(key, (str, int)) else None)
        return super().construct_mapping(node, deep)


def _unfit(values: dict[str, Any]) -> str | None:
    """Return why values cannot be parameters, or None.

    Snakemake reads overlays itself, without limits on aliases.
    """
    waiting: list[tuple[Any, int]] = [(values, 0)]
    count = 0
    while waiting:
        part, depth = waiting.pop()
        if isinstance(part, int) and part.bit_length() > MOST_BITS:
            return f"found an integer of {part.bit_length()} bits, expected {MOST_BITS} at most"
        if isinstance(part, str) and any("\ud800" <= letter <= "\udfff" for letter in part):
            found = ascii(part)[:60]
            return f"found {found}, which contains half of a surrogate pair; write the character"
        parts = list(part.items()) if isinstance(part, dict) else part
        if not isinstance(parts, (list, tuple)):
            continue
        count += len(parts)
        if depth > DEEPEST:
            return "nested too deeply; does an alias contain itself?"
        if count > MOST_VALUES:
            return f"more than {MOST_VALUES} values, which is the limit; use fewer aliases"
        waiting += [(one, depth + 1) for one in parts]
    return None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        HyConError: the file cannot be read or is not valid; names file, line and problem.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_YAML + 1)
    except OSError as error:
        raise HyConError(f"{path}: cannot be read ({error.strerror}); restore it") from None
    return parse_yaml(content, path)


def parse_yaml(text: bytes, path: Path) -> dict[str, Any]:
    """Return the YAML mapping that a file contains.

    Raises:
        HyConError: it is not valid; names file, line and problem.
    """
    if len(text) > LARGEST_YAML:
        raise HyConError(f"{path}: larger than {LARGEST_YAML} bytes, which is the limit")
    try:
        content = yaml.load(text.decode("utf-8"), Loader=_Loader)
    except UnicodeDecodeError as error:
        raise HyConError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = " ".join(str(error.problem).split())
        raise HyConError(f"{where}: not valid YAML: {problem}") from None
    except RecursionError:
        raise HyConError(f"{path}: not valid YAML: nested too deeply") from None
    except Exception as error:  # YAML tags such as !!int can fail in many ways
        first = " ".join(str(error).split())[:200] or type(error).__name__
        raise HyConError(f"{path}: not valid YAML: {first}") from None
    if not isinstance(content, dict):
        raise HyConError(f"{path}: found {shown(content)}, expected keys and values")
    return content


def read_texts(values: Any) -> Any:
    """Return the values of `--config` with nested numbers as numbers.

    Snakemake reads every value inside a list or mapping of `--config` as text.
    """
    if isinstance(values, dict):
        return {key: read_texts(value) for key, value in values.items()}
    if isinstance(values, list):
        return [read_texts(value) for value in values]
    try:
        return yaml.load(values, Loader=_Loader) if isinstance(values, str) else values
    except Exception:  # not YAML, so it is text
        return values


def load(root: Path = Path(), overlay: dict[str, Any] | None = None) -> Params:
    """Return the parameters of `root`'s files, overridden by an overlay.

    Args:
        root: folder that holds params.yaml and corpora.yaml.
        overlay: values of `--configfile` and `--config`.

    Raises:
        HyConError: a file cannot be read, or a value is not allowed.
    """
    merged: dict[str, Any] = {}
    for name in FILES:
        content = read_yaml(root / name)
        clash = [key for key in content if key in merged]
        if clash:
            raise HyConError(f"{name}: the key '{clash[0]}' is in params.yaml already")
        merged = merge(merged, content)
    overlay = overlay or {}
    for origin, values in (
        ("params.yaml or corpora.yaml", merged),
        ("--configfile or --config", overlay),
    ):
        if problem := _unfit(values):
            raise HyConError(f"{origin}: {problem}")
    try:
        return Params.model_validate(merge(merged, overlay), context={"root": root})
    except ValidationError as error:
        problem = explain(Params, error.errors()[0])
    said = problem if len(problem) <= LONGEST_LINE else f"{problem[:LONGEST_LINE]}..."
    raise HyConError(f"{_origin(problem, overlay)}: {said}")


def _origin(problem: str, overlay: dict[str, Any]) -> str:
    """Return where the key was set that a problem starts with."""
    place: Any = overlay
    for part in problem.split(":")[0].split("."):
        if isinstance(place, list):  # a list comes from one place as a whole
            break
        if not isinstance(place, dict) or part not in place:
            return "corpora.yaml" if problem.startswith("catalogue") else "params.yaml"
        place = place[part]
    return "--configfile or --config"
