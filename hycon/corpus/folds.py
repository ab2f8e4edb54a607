"""Which video belongs to which fold."""

import importlib.util
from pathlib import Path

from hycon.corpus.utterances import FOLDS
from hycon.errors import HyConError
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
