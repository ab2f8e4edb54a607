"""Read predictions and labels of any framework, for `hycon score` and `hycon compare`."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hycon.commands.prediction_files import (
    PICKLES,
    SUFFIXES,
    Columns,
    check,
    read_array,
    read_columns_of,
)
from hycon.errors import HyConError

# names that frameworks give to columns, in lower case; the first that is there is taken
GUESSES = {
    "name": ("name", "names", "id", "ids", "utterance", "utterance_id", "segment_id", "sample",
             "index"),
    "label": ("label", "labels", "truth", "truths", "y_true", "true", "target", "targets", "gold",
              "test_truth"),
    "prediction": ("prediction", "predictions", "pred", "preds", "y_pred", "predicted", "output",
                   "outputs", "sresults", "score", "logits", "test_preds"),
    "seed": ("seed", "run", "seeds"),
    "group": ("group", "video", "video_id", "dialogue", "dialog", "session"),
}  # fmt: skip
# one column for each seed, such as seed_1, pred-2 or prediction3; or for each emotion
NUMBERED = re.compile(r"(?:seed|run|pred|prediction|y_pred)s?[ _.-]?(\d+)", re.IGNORECASE)
# video and number of names such as VIDEO[3], VIDEO$_$3, VIDEO_3 and VIDEO/3
OF_VIDEO = re.compile(r"(.+?)(?:\[(\d+)\]|\$_\$(\d+)|[_/](\d+))")


@dataclass(frozen=True)
class Predictions:
    """Runs of one system, of N utterances."""

    where: str
    runs: dict[str, np.ndarray]
    """By seed: (N,) or (N, C)."""
    names: tuple[str, ...] | None = None
    labels: np.ndarray | None = None
    groups: tuple[str, ...] | None = None
    emotions: tuple[str, ...] | None = None
    said: tuple[str, ...] = field(default=())
    """What was guessed."""


def add_options(options: argparse.ArgumentParser) -> None:
    """Add the options that say where things are in a file."""
    for role, guesses in GUESSES.items():
        options.add_argument(
            f"--{role}",
            metavar="COLUMN",
            help=f"column or array of the {role}; default: {', '.join(guesses[:4])}, ...",
        )
    options.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="labels, if the predictions' file has none: the same formats",
    )
    options.add_argument(
        "--task",
        choices=("sentiment", "sims", "emotions"),
        help="scores in [-3, 3], in [-1, 1] (CH-SIMS), or emotions; default: by the labels",
    )
    options.add_argument(
        "--emotions", metavar="NAME,NAME", help="emotions in the order of the scores' columns"
    )


def read(path: Path, arguments: argparse.Namespace) -> Predictions:
    """Return the runs of a file, or of a folder with a file for each seed.

    Args:
        path: a file of `SUFFIXES`, a folder of them, or a row's folder of this project
            (`results/runs/CORPUS/ROW`).
        arguments: of `add_options`.

    Raises:
        HyConError: there is no such file, or it is not of this form.
    """
    if path.is_dir():
        found = _ours(path) if list(path.glob("seed-*/run.json")) else _folder(path, arguments)
    else:
        found = _file(path, arguments)
    if arguments.labels:
        found = _with_labels(found, arguments)
    if found.labels is None:
        raise HyConError(
            f"{found.where}: has no labels; name their column with --label, or a file with --labels"
        )
    for seed, run in found.runs.items():
        if len(run) != len(found.labels):
            raise HyConError(
                f"{found.where}: seed {seed} has {len(run)} predictions, but there are "
                f"{len(found.labels)} labels"
            )
    if arguments.emotions:
        found = replace(found, emotions=tuple(arguments.emotions.split(",")))
    if found.groups is None and found.names:
        found = _grouped(found)
    return found


def in_order_of(first: Predictions, other: Predictions) -> Predictions:
    """Return the runs of `other` in the order of the utterances of `first`.

    Raises:
        HyConError: they have other utterances, or other labels.
    """
    if len(first.labels) != len(other.labels):
        raise HyConError(
            f"{other.where}: has {len(other.labels)} utterances, {first.where} has "
            f"{len(first.labels)}; expected the same ones"
        )
    if first.names and other.names:
        places = {name: place for place, name in enumerate(other.names)}
        if missing := [name for name in first.names if name not in places]:
            raise HyConError(
                f"{other.where}: lacks {len(missing)} utterances of {first.where}, such as "
                f"{missing[0][:60]!r}"
            )
        order = [places[name] for name in first.names]
        other = replace(
            other,
            runs={seed: run[order] for seed, run in other.runs.items()},
            names=first.names, labels=other.labels[order], groups=first.groups,
        )  # fmt: skip
    same = first.labels == other.labels
    if first.labels.dtype.kind == "f" and other.labels.dtype.kind == "f":
        same = np.isclose(first.labels, other.labels, rtol=0, atol=1e-4)
    if not np.all(same):
        place = int(np.argmin(same))
        raise HyConError(
            f"{other.where}: {np.count_nonzero(~np.asarray(same))} labels differ from those of "
            f"{first.where}, such as number {place + 1}: {other.labels[place]}, not "
            f"{first.labels[place]}; give names, or the same order"
        )
    return other


def _folder(path: Path, arguments: argparse.Namespace) -> Predictions:
    files = sorted(
        (each for each in path.iterdir() if each.suffix.lower() in (*SUFFIXES, *PICKLES)),
        key=lambda each: [int(part) if part.isdigit() else part
                          for part in re.split(r"(\d+)", each.name)],
    )  # fmt: skip
    if not files:
        raise HyConError(f"{path}: has no file of predictions; expected {', '.join(SUFFIXES)}")
    if len(files) > 10_000:
        raise HyConError(f"{path}: has {len(files)} files, expected one for each seed")
    found = [_file(each, arguments) for each in files]
    if arguments.labels:
        found = [_with_labels(each, arguments) for each in found]
    runs: dict[str, np.ndarray] = {}
    first = found[0]
    for file, each in zip(files, found, strict=True):
        if first.labels is not None and each.labels is not None:
            each = in_order_of(first, each)
        number = re.findall(r"\d+", file.stem)
        seed = number[-1] if number else file.stem
        for name, run in each.runs.items():
            key = seed if len(each.runs) == 1 else f"{seed}.{name}"
            if key in runs:
                raise HyConError(f"{file}: seed {key} again; name files by their seeds")
            runs[key] = run
    said = f"{path}: {len(files)} files, one for each seed: {', '.join(runs)[:200]}"
    return replace(first, where=str(path), runs=runs, said=(*first.said, said))


def _file(path: Path, arguments: argparse.Namespace) -> Predictions:
    check(path)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return Predictions(str(path), {"1": read_array(path)})
    columns = read_columns_of(path, suffix)
    if not columns or not len(next(iter(columns.values()))):
        raise HyConError(f"{path}: is empty; expected a prediction for each utterance")
    return _parse(path, columns, arguments)


def _parse(path: Path, columns: Columns, arguments: argparse.Namespace) -> Predictions:
    names = _roles(path, columns, arguments)
    used, shown = {}, []
    for role, column in names.items():
        used[role] = columns[column]
        shown.append(f"{role}: {column}")
    numbered = {
        match[1]: name
        for name in columns
        if name not in names.values() and (match := NUMBERED.fullmatch(name))
    }
    of_emotions = _of_emotions(columns, names, arguments)
    if "prediction" in used and (arguments.prediction or not of_emotions):
        runs = {"1": used["prediction"]}
    elif of_emotions:
        runs = {"1": np.stack([columns[name] for name in of_emotions.values()], axis=1)}
        shown.append(f"scores: {', '.join(of_emotions.values())}")
    elif numbered:
        runs = {seed: columns[name] for seed, name in numbered.items()}
        shown.append(f"predictions by seed: {', '.join(numbered.values())[:200]}")
    else:
        raise HyConError(
            f"{path}: has no predictions; found {', '.join(columns)[:200]}, expected one of "
            f"{', '.join(GUESSES['prediction'][:5])}, or name it with --prediction"
        )
    runs = {seed: _numbers(path, seed, run) for seed, run in runs.items()}
    labels = _numbers(path, "label", used["label"]) if "label" in used else None
    if "name" in used:
        used["name"] = np.array(list(map(_name, used["name"].ravel().tolist())))
    texts = {
        role: tuple(map(str, used[role].ravel().tolist())) for role in ("name", "group", "seed")
        if role in used
    }  # fmt: skip
    found = Predictions(
        str(path), runs, texts.get("name"), labels if labels is None else labels.squeeze(),
        texts.get("group"), tuple(of_emotions) or None, (f"{path}: {', '.join(shown)}",),
    )  # fmt: skip
    for what, size in (
        ("labels", labels), ("names", found.names), ("groups", found.groups),
    ):  # fmt: skip
        count = len(next(iter(runs.values())))
        if size is not None and len(size) != count:
            raise HyConError(f"{path}: found {count} predictions and {len(size)} {what}")
    if "seed" in texts:
        found = _split(found, texts["seed"])
    _check_names(found)
    return found


def _roles(
    path: Path,
    columns: Columns,
    arguments: argparse.Namespace,
    roles: Sequence[str] = tuple(GUESSES),
) -> dict[str, str]:
    """Return the column of each role that is there."""
    lower = {name.lower(): name for name in columns}
    found = {}
    for role in roles:
        if wanted := getattr(arguments, role):
            if wanted not in columns:
                raise HyConError(
                    f"{path}: has no column {wanted!r} (--{role}); found {', '.join(columns)[:200]}"
                )
            found[role] = wanted
        elif known := [lower[each] for each in GUESSES[role] if each in lower]:
            found[role] = known[0]
    return found


def _of_emotions(
    columns: Columns, names: Mapping[str, str], arguments: argparse.Namespace
) -> dict[str, str]:
    """Return the columns with the emotions' scores by emotion, if there is one for each."""
    if arguments.emotions:
        wanted = arguments.emotions.split(",")
    elif "label" in names and columns[names["label"]].dtype.kind in "UO":
        wanted = sorted(set(map(str, columns[names["label"]].tolist())))
    else:
        return {}
    found = {}
    for emotion in wanted:
        for prefix in ("", "score_", "prediction_", "pred_", "logit_"):
            if f"{prefix}{emotion}" in columns:
                found[emotion] = f"{prefix}{emotion}"
    return found if len(found) == len(wanted) > 1 else {}


def _numbers(path: Path, what: str, column: np.ndarray) -> np.ndarray:
    """Return a column as float64 if all of it is numbers, else as texts."""
    column = column[:, 0] if column.ndim == 2 and column.shape[1] == 1 else column
    if column.dtype.kind in "fiu":
        return column.astype(np.float64)
    try:
        return column.astype(np.float64)
    except (ValueError, TypeError):
        pass
    texts = [str(each).strip() for each in column.ravel().tolist()]
    numeric = [_is_number(text) for text in texts]
    if any(numeric):
        line = numeric.index(False)
        raise HyConError(
            f"{path}: {what} number {line + 1} is {texts[line][:40]!r}, expected a number as the "
            "others are"
        )
    return np.array(texts)


def _name(name: object) -> str:
    """Return the name of an utterance in one form, VIDEO[3], whatever framework wrote it."""
    match = OF_VIDEO.fullmatch(str(name))
    return f"{match[1]}[{next(filter(None, match.groups()[1:]))}]" if match else str(name)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _split(found: Predictions, seeds: Sequence[str]) -> Predictions:
    """Return a table with a column of seeds as one run for each seed."""
    if len(found.runs) > 1:
        raise HyConError(
            f"{found.where}: has a column of seeds and one column for each seed; drop one"
        )
    (values,) = found.runs.values()
    places = {seed: np.flatnonzero(np.array(seeds) == seed) for seed in dict.fromkeys(seeds)}
    sizes = {seed: len(each) for seed, each in places.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{seed} {size}" for seed, size in list(sizes.items())[:5])
        raise HyConError(f"{found.where}: seeds have other numbers of utterances: {shown}")
    parts = [
        replace(
            found,
            runs={seed: values[place]},
            names=found.names and tuple(found.names[k] for k in place),
            labels=None if found.labels is None else found.labels[place],
            groups=found.groups and tuple(found.groups[k] for k in place),
        )
        for seed, place in places.items()
    ]
    for part in parts:
        _check_names(part)
    first = parts[0]
    if first.labels is not None:
        parts = [first, *(in_order_of(first, part) for part in parts[1:])]
    return replace(first, runs={seed: run for part in parts for seed, run in part.runs.items()})


def _check_names(found: Predictions) -> None:
    if found.names and len(set(found.names)) < len(found.names):
        seen: set[str] = set()
        twice = next(name for name in found.names if name in seen or seen.add(name))
        raise HyConError(f"{found.where}: utterance {twice[:60]!r} is there twice in one run")


def _with_labels(found: Predictions, arguments: argparse.Namespace) -> Predictions:
    path = arguments.labels
    check(path)
    if path.suffix.lower() == ".npy":
        return replace(found, labels=_numbers(path, "label", read_array(path)))
    columns = read_columns_of(path, path.suffix.lower())
    names = _roles(path, columns, arguments, ("name", "label", "group"))
    column = names.get("label", next(iter(columns)) if len(columns) == 1 else None)
    if column is None:
        raise HyConError(
            f"{path}: has no column of labels; found {', '.join(columns)[:200]}; name it with "
            "--label"
        )
    labels = _numbers(path, "label", columns[column]).squeeze()
    groups = columns[names["group"]].tolist() if "group" in names else None
    if not found.names or "name" not in names:
        given = groups and tuple(map(str, groups))
        return replace(found, labels=labels, groups=found.groups or given)
    keys = list(map(_name, columns[names["name"]].ravel().tolist()))
    places = {key: place for place, key in enumerate(keys)}
    if missing := [name for name in found.names if name not in places]:
        raise HyConError(
            f"{path}: lacks {len(missing)} utterances of {found.where}, such as {missing[0][:60]!r}"
        )
    order = [places[name] for name in found.names]
    given = groups and tuple(str(groups[place]) for place in order)
    return replace(found, labels=labels[order], groups=found.groups or given)


def _grouped(found: Predictions) -> Predictions:
    """Return predictions with the videos that the names of utterances begin with."""
    matches = [OF_VIDEO.fullmatch(name) for name in found.names]
    if not all(matches):
        return found
    groups = tuple(match[1] for match in matches)
    if not 1 < len(set(groups)) < len(groups):
        return found
    said = f"groups: {len(set(groups))} videos, by the names, such as {groups[0][:40]}"
    return replace(found, groups=groups, said=(*found.said, said))


def _ours(folder: Path) -> Predictions:
    """Return the runs of a row of this project: those that its scores.json lists."""
    from hycon.corpus.utterances import read_table
    from hycon.evaluation.aggregation import read_output, read_scores

    scores, table = read_scores(folder / "scores.json"), aligned_of(folder)
    utterances = read_table(table / "utterances.csv")
    test = [place for place, each in enumerate(utterances) if each.fold == "test"]
    chosen = [utterances[place] for place in test]
    runs = {}
    for seed in scores["seeds"]:
        output = read_output(folder / f"seed-{int(seed)}", len(utterances))
        runs[seed] = output[test].astype(np.float64)
    labels = _numbers(table, "label", np.array([each.label for each in chosen]))
    emotions = scores.get("corpus", {}).get("emotions") if labels.dtype.kind == "U" else None
    return Predictions(
        str(folder), runs, tuple(each.id for each in chosen), labels,
        tuple(each.video for each in chosen), emotions and tuple(emotions),
        (f"{folder}: test fold of {table}",),
    )  # fmt: skip


def aligned_of(row: Path) -> Path:
    """Return the folder of the aligned corpus of a row of this project, RESULTS/runs/CORPUS/ROW."""
    row = row.resolve()
    return row.parents[3] / "data/aligned" / row.parent.name


def named_paths(texts: Sequence[str], what: str) -> dict[str, Path]:
    """Return the paths of arguments NAME=PATH or PATH by name.

    Args:
        texts: the arguments.
        what: what they are, for the message: such as "systems".

    Raises:
        HyConError: two have the same name.
    """
    found: dict[str, Path] = {}
    for given in texts:
        name, separator, path = given.partition("=")
        if not separator or Path(given).exists():
            name, path = Path(given).stem, given
        if name in found:
            raise HyConError(f"{given}: two {what} are named {name!r}; write NAME=FILE")
        found[name] = Path(path)
    return found
