"""Where a result comes from: commit, versions, and a digest of the code that made it."""

import ast
import functools
import hashlib
import importlib.metadata
import json
import platform
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
# Modules that change no result: parameters (their values count instead), the plan, and logging.
APART = ("hycon.params", "hycon.plan", "hycon.logs", "hycon.progress")
PACKAGES = ("torch", "transformers", "numpy", "scikit-learn", "snakemake", "MMSA")


def environment() -> dict[str, str]:
    """Return the versions that numbers depend on."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> dict[str, str | bool | None]:
    """Return the commit of the working tree and whether it was clean; None outside git."""
    try:
        head = git("rev-parse", "HEAD").strip()
        # results and records of data change while the pipeline runs and make no other code
        apart = (":!results", ":!dvc.lock", ":!corpora.manifest.json")
        changed = git("status", "--porcelain", "--", ".", *apart)
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "clean": None}
    return {"commit": head, "clean": not changed.strip()}


def git(*arguments: str) -> str:
    """Return what a git command prints about the repository of this code.

    Raises:
        OSError: there is no git.
        subprocess.CalledProcessError: the command fails.
    """
    command = ["git", "-C", str(ROOT.parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def parameters_digest(values: Any) -> str:
    """Return a digest of parameters, whatever the order of their keys."""
    text = json.dumps(values, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def code_digest(module: str, data: tuple[str, ...] = ()) -> str:
    """Return a digest of a module and of all modules of this package that it imports.

    Comments, docstrings and layout do not count, nor do the modules of `APART`: editing them reruns
    nothing.

    Args:
        module: its dotted name.
        data: files of the package that count too, relative to the package's folder.
    """
    digest = hashlib.sha256()
    for name in sorted(_closure(module)):
        digest.update(f"{name}\0{_syntax(name)}\0".encode())
    for name in data:
        digest.update(f"{name}\0".encode() + (ROOT / name).read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _closure(module: str) -> set[str]:
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen and _source(name) is not None and not name.startswith(APART):
            seen.add(name)
            waiting += _imports(name)
    return seen


@functools.cache
def _source(module: str) -> Path | None:
    """Return a module's file, or None if it is not one of this package's modules."""
    parts = module.split(".")
    if parts[0] != ROOT.name:
        return None
    base = ROOT.joinpath(*parts[1:])
    return next(
        (path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None
    )


@functools.cache
def _tree(module: str) -> ast.Module:
    tree = ast.parse(_source(module).read_bytes())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        documented = isinstance(
            node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        )
        if documented and body and ast.get_docstring(node, clean=False) is not None:
            node.body = body[1:] or [ast.Pass()]
    return tree


@functools.cache
def _syntax(module: str) -> str:
    return ast.dump(_tree(module))


@functools.cache
def _imports(module: str) -> tuple[str, ...]:
    """Return the names that may be modules of this package, with the packages around them."""
    found = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    parents = {
        name.rsplit(".", depth)[0] for name in found for depth in range(1, name.count(".") + 1)
    }
    return tuple(sorted(found | parents))
