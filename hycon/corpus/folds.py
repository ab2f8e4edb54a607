"""Which group (a video or a dialogue) belongs to which fold."""

import importlib.util
import random
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from hycon.corpus.utterances import FOLDS, Utterance
from hycon.errors import HyConError
from hycon.params.catalogue import FoldRule
from hycon.untrusted.safe_json import read_json


def standard_folds(dataset: str) -> dict[str, list[str]]:
    """Return the folds that mmsdk publishes for `cmu_mosi` or `cmu_mosei`, by fold name."""
    # loads only the file with the lists: importing mmsdk would import torch
    package = importlib.util.find_spec("mmsdk")
    root = Path(next(iter(package.submodule_search_locations)))
    folder = root / "mmdatasdk" / "dataset" / "standard_datasets" / dataset.upper()
    spec = importlib.util.spec_from_file_location(dataset, folder / f"{dataset}_std_folds.py")
    published = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(published)
    return {fold: list(getattr(published, f"standard_{fold}_fold")) for fold in FOLDS}


def read_folds(path: Path) -> dict[str, list[str]]:
    """Read folds.json: {"train": [videos], "valid": [...], "test": [...]}.

    Raises:
        HyConError: not of this form.
    """
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise HyConError(f"{path}: cannot be read as JSON ({error}); fetch it again") from None
    whole = isinstance(content, dict) and set(content) == set(FOLDS)
    if not whole or not all(
        isinstance(videos, list) and all(isinstance(video, str) for video in videos)
        for videos in content.values()
    ):
        raise HyConError(f"{path}: expected lists of videos under {', '.join(FOLDS)}")
    return content


def fold_of_video(folds: dict[str, list[str]], where: str) -> dict[str, str]:
    """Return the fold of each video.

    Raises:
        HyConError: a video is in two folds, or a fold is empty.
    """
    fold_of: dict[str, str] = {}
    for fold, videos in folds.items():
        if not videos:
            raise HyConError(f"{where}: the fold {fold} is empty; give it at least one video")
        for video in videos:
            if fold_of.setdefault(video, fold) != fold:
                raise HyConError(
                    f"{where}: video {video} is in the folds {fold_of[video]} and {fold}; "
                    "keep it in one"
                )
    return fold_of


OTHER_NAMES = {"training": "train", "val": "valid", "validation": "valid", "dev": "valid"}


def folds_by_rule(rule: FoldRule, groups: Sequence[str], values: Sequence[str] | None) -> list[str]:
    """Return the fold of each utterance of a table.

    Args:
        rule: how they are divided; not with `leave_one_out`.
        groups: (N,) group of each utterance, which stays in one fold.
        values: (N,) values of `rule.column`; None if the rule has none.

    Raises:
        ValueError: a value names no fold, or a value of the rule does not occur.
    """
    if values is None:
        test = _drawn(set(groups), rule.test_share, rule.seed)
        folds = ["test" if group in test else "train" for group in groups]
    elif rule.test is None:
        return [_fold_named(value) for value in values]
    else:
        named = {"test": rule.test, "valid": rule.valid or []}
        if absent := sorted({each for part in named.values() for each in part} - set(values)):
            raise ValueError(f"column {rule.column} has no value {absent[0]}")
        of = {value: fold for fold, part in named.items() for value in part}
        folds = [of.get(value, "train") for value in values]
    if rule.valid is None:
        rest = {group for group, fold in zip(groups, folds, strict=True) if fold == "train"}
        valid = _drawn(rest, rule.valid_share, rule.seed + 1)
        folds = [
            "valid" if fold == "train" and group in valid else fold
            for group, fold in zip(groups, folds, strict=True)
        ]
    return folds


def _fold_named(value: str) -> str:
    name = OTHER_NAMES.get(value.lower(), value.lower())
    if name not in FOLDS:
        raise ValueError(f"found the fold {value[:60]!r}, expected {', '.join(FOLDS)}")
    return name


def _drawn(groups: set[str], share: float, seed: int) -> set[str]:
    """Draw a share of the groups, at least one."""
    return set(random.Random(seed).sample(sorted(groups), max(1, round(share * len(groups)))))


def training_rounds(utterances: Iterable[Utterance]) -> dict[str, np.ndarray]:
    """Return the fold of every utterance (N,) for each network that is trained.

    There is one, named "", or one for each held-out group: its group is the test fold, the next
    group the validation fold.

    Raises:
        HyConError: fewer than three groups are held out.
    """
    found = list(utterances)
    held_out = np.array([utterance.held_out for utterance in found])
    groups = sorted({utterance.held_out for utterance in found} - {""}, key=_natural)
    if not groups:
        return {"": np.array([utterance.fold for utterance in found])}
    if len(groups) < len(FOLDS):
        raise HyConError(
            f"leave_one_out: found {len(groups)} groups, expected at least {len(FOLDS)}: one to "
            "test, one for validation, others to train on"
        )
    rounds = {}
    for number, group in enumerate(groups):
        following = groups[(number + 1) % len(groups)]
        fold = np.where(held_out == following, "valid", "train")
        rounds[group] = np.where(held_out == group, "test", fold)
    return rounds


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """Return a key that sorts 2 before 10."""
    parts = re.split(r"(\d+)", text)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
