"""Scores of single runs, and their mean and spread over seeds."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from hycon.atomic_io import sha256_of
from hycon.errors import HyConError
from hycon.evaluation.inference import Runs
from hycon.plan.paths import RESAMPLED
from hycon.untrusted.safe_json import read_json


def summarise(runs: Sequence[dict[str, float]]) -> dict[str, dict[str, float | int | None]]:
    """Return mean, std (ddof 1; None for a single run) and n of each metric over runs.

    Args:
        runs: each run's metrics, all with the same names.

    Raises:
        ValueError: no run, or runs with different metrics.
    """
    if not runs or any(set(run) != set(runs[0]) for run in runs):
        raise ValueError("runs must exist and have the same metrics")
    return {
        name: {
            "mean": math.fsum(run[name] for run in runs) / len(runs),
            "std": statistics.stdev(run[name] for run in runs) if len(runs) > 1 else None,
            "n": len(runs),
        }
        for name in runs[0]
    }


def read_scores(path: Path) -> dict[str, Any]:
    """Read a scores.json of the stage `evaluate`.

    Raises:
        HyConError: it cannot be read or lacks its seeds.
    """
    try:
        scores = read_json(path)
        if not scores["seeds"]:
            raise ValueError("no seeds")
        for seed, run in scores["seeds"].items():
            if not seed.isdecimal() or not all(map(_is_number, run.get("test", {}).values())):
                raise ValueError(f"seed {seed[:20]} has no numbers under `test`")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); evaluate the runs again") from None
    return scores


def read_runs(path: Path, metrics: Iterable[str]) -> Runs:
    """Read test metrics of a row's runs, on the test fold and on resamples of it.

    Args:
        path: scores.json of the stage `evaluate`; the resamples are in a file next to it.
        metrics: their names.

    Raises:
        HyConError: one cannot be read, or they do not belong together.
    """
    scores, file = read_scores(path), path.with_name(RESAMPLED)
    try:
        expected, seeds = scores["resampled"], scores["seeds"]
        if sha256_of(file) != expected["sha256"]:
            raise ValueError(f"not the file that {path.name} was written with")
        content = load_file(file)
        resampled = {name: content[name] for name in metrics}
        values = {
            name: np.array([run["test"][name] for run in seeds.values()], dtype=np.float64)
            for name in resampled
        }
        for name, each in resampled.items():
            if each.dtype.kind != "f" or each.ndim != 2 or len(each) != len(seeds):
                raise ValueError(f"{name} is {each.dtype} {each.shape}, of {len(seeds)} seeds")
        return Runs(tuple(seeds), values, resampled, int(expected["groups"]))
    except (OSError, ValueError, SafetensorError, KeyError, TypeError) as error:
        raise HyConError(f"{file}: cannot be read ({error}); evaluate the runs again") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_parameters(digests: Mapping[Path, str]) -> None:
    """Refuse scores that were made with other parameters than the present ones.

    Args:
        digests: the digest of its parameters that each scores.json must have, by path.

    Raises:
        HyConError: one cannot be read, or was made with other parameters.
    """
    for path, digest in digests.items():
        found = read_scores(path).get("parameters digest")
        if found != digest:
            raise HyConError(
                f"{path}: made with other parameters (digest {found}) than the present ones "
                f"({digest}); delete it and run snakemake --cores 1 all again"
            )


def over_seeds(path: Path) -> dict[str, dict[str, float | int | None]]:
    """Return mean, std and n of each test metric of a scores.json.

    Raises:
        HyConError: it cannot be read, or its seeds do not have the same metrics.
    """
    seeds = read_scores(path)["seeds"]
    try:
        return summarise([run["test"] for run in seeds.values()])
    except (KeyError, ValueError) as error:
        raise HyConError(f"{path}: its seeds differ ({error}); evaluate the runs again") from None


def read_output(folder: Path, utterances: int, name: str = "prediction") -> np.ndarray:
    """Return a run's predictions or representations of every utterance of its corpus.

    Args:
        folder: folder of the run.
        utterances: expected number of utterances, N.
        name: `prediction`, (N,) or (N, C), or a representation (N, d) such as `fused`.

    Raises:
        HyConError: the file cannot be read, or has another number of utterances.
    """
    path = folder / "representations.safetensors"
    try:
        with safe_open(path, "np") as file:
            output = file.get_tensor(name)
        if output.dtype.kind != "f" or output.ndim not in (1, 2) or not np.isfinite(output).all():
            raise ValueError(f"{name} is {output.dtype} {output.shape}, expected finite numbers")
    except (OSError, ValueError, SafetensorError, KeyError, TypeError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); delete it and train again") from None
    if len(output) != utterances:
        raise HyConError(f"{path}: {len(output)} of {name}, expected {utterances}; train again")
    return output
