"""The door: files and overlay merged, checked, and turned into one `Params` value."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from hycon.errors import HyConError
from hycon.params.base import merge
from hycon.params.messages import explain, shown
from hycon.params.schema import Params

FILES = ("params.yaml", "corpora.yaml")
# an alias costs a few letters and stands for all that it names: with every alias written out, a
# configuration may have so many values, and so many lists or pairs in one another
MOST_VALUES, DEEPEST = 100_000, 100


class _Loader(yaml.SafeLoader):
    """Safe YAML of bounded size, in which a key may stand only once."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if problem := too_large(node, lambda one: getattr(one, "value", None)):
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, (str, int)) and key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key '{key}' stands twice", problem_mark=key_node.start_mark
                )
            seen.add(key if isinstance(key, (str, int)) else None)
        return super().construct_mapping(node, deep)


def too_large(whole: Any, inside: Callable[[Any], Any]) -> str | None:
    """Return what is wrong with a structure that has no end, or too many parts; None if nothing is.

    Args:
        whole: what is counted, each part as often as it is referred to.
        inside: of a part: a list or a mapping of further parts, or anything else.
    """
    waiting, count = [(whole, 0)], 0
    while waiting:
        part, depth = waiting.pop()
        held = part if isinstance(part, tuple) else inside(part)
        if isinstance(held, dict):
            held = list(held.items())
        if not isinstance(held, (list, tuple)):
            continue
        count += len(held)
        if depth > DEEPEST:
            return "nested too deeply, or without end; no alias may stand inside what it names"
        if count > MOST_VALUES:
            return f"more than {MOST_VALUES} values with all aliases written out; use fewer"
        waiting += [(one, depth + 1) for one in held]
    return None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping; raise HyConError naming file, line and problem."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise HyConError(f"{path}: cannot be read ({error.strerror}); restore it") from None
    except UnicodeDecodeError as error:
        raise HyConError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = " ".join(str(error.problem).split())
        raise HyConError(f"{where}: not valid YAML: {problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else "nested too deeply"
        raise HyConError(f"{path}: not valid YAML: {first}") from None
    if not isinstance(content, dict):
        raise HyConError(f"{path}: found {shown(content)}, expected keys and values")
    return content


def read_texts(values: Any) -> Any:
    """Return the values of `--config` with nested numbers as numbers.

    Snakemake reads what stands inside a list or mapping of `--config` as text, whatever it is.
    """
    if isinstance(values, dict):
        return {key: read_texts(value) for key, value in values.items()}
    if isinstance(values, list):
        return [read_texts(value) for value in values]
    try:
        return yaml.load(values, Loader=_Loader) if isinstance(values, str) else values
    except (yaml.YAMLError, ValueError, RecursionError):
        return values


def load(root: Path = Path(), overlay: dict[str, Any] | None = None) -> Params:
    """Return the parameters of `root`'s files with an overlay's values in front.

    Args:
        root: folder that holds params.yaml and corpora.yaml.
        overlay: values of `--configfile` and `--config`.

    Raises:
        HyConError: a file cannot be read, or a value is not allowed; one line.
    """
    merged: dict[str, Any] = {}
    for name in FILES:
        content = read_yaml(root / name)
        clash = [key for key in content if key in merged]
        if clash:
            raise HyConError(f"{name}: the key '{clash[0]}' stands in params.yaml already")
        merged = merge(merged, content)
    overlay = overlay or {}
    if problem := too_large(overlay, lambda part: part):
        raise HyConError(f"--configfile or --config: {problem}")
    try:
        return Params.model_validate(merge(merged, overlay))
    except ValidationError as error:
        problem = explain(Params, error.errors()[0])
    raise HyConError(f"{_origin(problem, overlay)}: {problem}")


def _origin(problem: str, overlay: dict[str, Any]) -> str:
    """Return where the key that a problem starts with was set."""
    place: Any = overlay
    for part in problem.split(":")[0].split("."):
        if isinstance(place, list):  # lists come from one place as a whole
            break
        if not isinstance(place, dict) or part not in place:
            return "corpora.yaml" if problem.startswith("catalogue") else "params.yaml"
        place = place[part]
    return "--configfile or --config"
