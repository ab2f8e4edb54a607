"""What is claimed of the alignment: faster than mmsdk and equal to it, small, and linear.

Run `python -m benchmarks.align`: three minutes and 2 GB of temporary files, with --whole ten and
12 GB. The stand-ins are shaped as CMU-MOSEI. HyCon and mmsdk take turns on the same input in the
same run; mmsdk gets a subset that it can finish.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import sdk
from benchmarks.standins import files_of, write
from benchmarks.table import Line, write_tables
from benchmarks.timing import exponent, peak_memory, say
from hycon.corpus import from_sequences
from hycon.corpus.align import pool_frames
from hycon.corpus.build import Report, build
from hycon.corpus.folds import standard_folds
from hycon.corpus.sequences import open_sequence
from hycon.corpus.utterances import MODALITIES, read_ragged, read_table
from hycon.params import AlignConfig, Corpus

VIDEOS, SEGMENTS = 3228, 22856  # of CMU-MOSEI
PARTS = {"a fortieth": 40, "a tenth": 10}  # of them
PACKAGES = ("numpy", "h5py", "cmu-multimodal-sdk")
MEASURED = ("seconds", "peak", "before")  # time; peak memory in MiB; the same after the imports
SHORT, LONG = 150, 600  # seconds of one video
REPEATS, REPEATS_AT_SCALE = 5, 3
MEMORY_LIMIT = 1024  # MiB
LINEAR = 1.1  # the exponent that still counts as linear
LINEARLY = f"exponent at most {LINEAR} (linear)"
FRAMES = ("audio", "vision")
SETTINGS = AlignConfig(epsilon=sdk.EPSILON, mode="words", longest={"audio": 500, "vision": 375})


def align(corpus: str, root: Path, folder: Path) -> dict[str, Any]:
    """Align a corpus's stand-ins with HyCon, and return its report.

    Args:
        corpus: mosi or mosei.
        root: what `write` was given.
        folder: where the aligned utterances go; it must not exist yet.
    """
    files = files_of(corpus, root)
    paths = {name: {"path": path.name} for name, path in files.items()}
    entry = Corpus(title=corpus, task="regression", standard_folds=f"cmu_{corpus}", files=paths)
    folder.mkdir()
    report = Report()
    found = from_sequences.read(files, entry, SETTINGS, report)
    return build(found, report, folder, files["labels"])


def main() -> None:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.align", description=__doc__.splitlines()[0]
    )
    options.add_argument("--videos", type=int, default=50, help="that mmsdk gets (default: 50)")
    options.add_argument(
        "--output", type=Path, default=Path("benchmarks/results"), help="folder of the tables"
    )
    options.add_argument("--whole", action="store_true", help="measure all of CMU-MOSEI too")
    options.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        lines, notes = against_mmsdk(Path(scratch) / "subset", arguments.videos)
        parts = PARTS | ({"all": 1} if arguments.whole else {})
        more, note = at_scale(Path(scratch), parts)
    print(write_tables(arguments.output / "align", lines + more, [*notes, note], "mmsdk", PACKAGES))


def against_mmsdk(root: Path, videos: int) -> tuple[list[Line], list[str]]:
    """Return what HyCon and mmsdk take on the same input, and notes on their results."""
    counts = write("mosei", root, videos, round(videos * SEGMENTS / VIDEOS))
    size = f"{videos} videos, {counts.rows['labels']:,} segments, {counts.rows['vectors']:,} words"
    arrays = load(root)
    *times, pooled, data = in_turns(
        "memory to memory", lambda _: pool(arrays), lambda: sdk.in_memory(arrays), sdk.align_frames
    )
    memory = Line("memory to memory", f"{len(arrays['audio'])} of these videos", "s", *times)
    words = sdk.compare_words(data, arrays, pooled)
    *times, _, data = in_turns(
        "end to end",
        lambda repeat: align("mosei", root, root / f"aligned-{repeat}"),
        lambda: files_of("mosei", root),
        sdk.align_files,
    )
    files = Line("end to end, reading included", size, "s", *times)
    folder = root / "aligned-0"
    table = read_table(folder / "utterances.csv")
    ragged = {name: read_ragged(folder / f"{name}.npy", len(table)) for name in MODALITIES}
    spans = {video: each["intervals"] for video, each in arrays[sdk.REFERENCE].items()}
    segments = sdk.compare_utterances(data, table, ragged, spans)
    lines = [
        files._replace(claim="8x or more", holds=files.ratio >= 8),
        memory._replace(claim="50x or more", holds=memory.ratio >= 50),
        *one_video(arrays),
        *(each.line(what) for what, each in (("words", words), ("segments", segments))),
    ]
    return lines, [
        "mmsdk: its own mean, its bars off, its epsilon set to 1e-5 as on its main branch; it "
        "aligns to the words and then to the labels, and writes nothing, where HyCon writes files.",
        f"Words: {words}.",
        f"Segments: {segments}.",
    ]


def load(root: Path) -> sdk.Arrays:
    """Return vectors, audio and vision of the videos that have all three, as arrays in memory."""
    arrays: sdk.Arrays = {}
    for name in (sdk.REFERENCE, *FRAMES):
        with open_sequence(files_of("mosei", root)[name]) as sequence:
            arrays[name] = {
                video: dict(zip(("intervals", "features"), sequence.read(video), strict=True))
                for video in sequence.videos
            }
    whole = set.intersection(*(set(videos) for videos in arrays.values()))
    return {
        name: {video: videos[video] for video in sorted(whole)} for name, videos in arrays.items()
    }


def pool(arrays: sdk.Arrays) -> sdk.Pooled:
    """Return means and covered of every word by sequence and video."""
    words = arrays[sdk.REFERENCE]
    return {
        name: {
            video: pool_frames(each["intervals"], each["features"], words[video]["intervals"])
            for video, each in arrays[name].items()
        }
        for name in FRAMES
    }


def in_turns(
    what: str,
    ours: Callable[[int], Any],
    prepare: Callable[[], Any],
    theirs: Callable[[Any], Any],
) -> tuple[list[float], list[float], Any, Any]:
    """Return the times of HyCon and of mmsdk, in seconds, and what each returned last."""
    times: tuple[list[float], list[float]] = ([], [])
    for repeat in range(REPEATS):
        say(f"{what}: {repeat + 1} of {REPEATS}")
        started = time.perf_counter()
        mine = ours(repeat)
        times[0].append(time.perf_counter() - started)
        prepared = prepare()
        started = time.perf_counter()
        others = theirs(prepared)
        times[1].append(time.perf_counter() - started)
    return *times, mine, others


def one_video(arrays: sdk.Arrays) -> list[Line]:
    """Return what a short and a long video take, and with which power of their frames it grows."""
    lines, frames = [], []
    for seconds in (SHORT, LONG):
        video = joined(arrays, seconds)
        *times, _, _ = in_turns(
            f"a video of {seconds} s",
            lambda _, video=video: pool(video),
            lambda video=video: sdk.in_memory(video),
            sdk.align_frames,
        )
        frames.append(sum(len(video[name]["joined"]["intervals"]) for name in FRAMES))
        lines.append(Line("one video, in memory", f"{frames[-1]:,} frames", "s", *times))
    ours = exponent(frames, [line.hycon for line in lines])
    theirs = exponent(frames, [line.other for line in lines])
    size = f"{SHORT} s to {LONG} s"
    linear = ours <= LINEAR
    return [*lines, Line("growth in one video", size, "", [ours], [theirs], "", LINEARLY, linear)]


def joined(arrays: sdk.Arrays, seconds: float) -> sdk.Arrays:
    """Return one video of a length, made of others one after the other."""
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in arrays}
    begin = 0.0
    while begin < seconds:
        for video in arrays["audio"]:
            for name, videos in arrays.items():
                times, features = videos[video]["intervals"] + begin, videos[video]["features"]
                kept = times[:, 1] <= seconds
                parts[name].append((times[kept], features[kept]))
            begin += arrays["audio"][video]["intervals"][-1, 1]
    return {
        name: {
            "joined": {
                "intervals": np.concatenate([times for times, _ in pairs]),
                "features": np.concatenate([features for _, features in pairs]),
            }
        }
        for name, pairs in parts.items()
    }


def at_scale(scratch: Path, parts: dict[str, int]) -> tuple[list[Line], str]:
    """Return what parts of CMU-MOSEI on disk take, each time in a process of its own."""
    lines, sizes, times, peaks = [], [], [], []
    for part, share in parts.items():
        root = scratch / part.replace(" ", "-")
        counts = write("mosei", root, round(VIDEOS / share), round(SEGMENTS / share))
        sizes.append(sum(counts.rows[name] for name in FRAMES))
        size = f"{round(VIDEOS / share):,} videos, {sizes[-1]:,} frames"
        seconds, peak, before = apart(part, root)
        times.append(seconds)
        peaks.append(statistics.median(peak))
        lines += of_part(f"{part} of CMU-MOSEI", size, root, seconds, peak)
        if hasattr(os, "posix_fadvise"):
            cold = apart(f"{part}, files not cached", root, cold=True)[0]
            lines.append(Line(f"{part} of CMU-MOSEI, files not cached", size, "s", cold, []))
    first, *_, last = parts
    power = exponent([sizes[0], sizes[-1]], [times[0], times[-1]])
    size, linear = f"{first} to {last}", power <= LINEAR
    lines.append(Line("growth with the corpus", size, "", [power], [], "", LINEARLY, linear))
    return lines, (
        "Peak memory: of a process that does nothing else, of which "
        f"{statistics.median(before):.0f} MiB are there once everything is imported; from {size} "
        f"it grows by {peaks[-1] - peaks[0]:.0f} MiB."
    )


def of_part(
    what: str, size: str, root: Path, seconds: list[float], peak: list[float]
) -> list[Line]:
    """Return time, throughput and peak memory as lines."""
    megabytes = sum(path.stat().st_size for path in files_of("mosei", root).values()) / 1e6
    rates = [megabytes / each for each in seconds]
    small = max(peak) < MEMORY_LIMIT
    return [
        Line(what, size, "s", seconds, []),
        Line(what, f"{megabytes:,.0f} MB", "MB/s", rates, []),
        Line(f"{what}, peak memory", size, "MiB", peak, [], "", "under 1024 MiB", small),
    ]


def apart(what: str, root: Path, cold: bool = False) -> tuple[list[float], ...]:
    """Return by MEASURED what fresh processes took; cold: the files must come from disk."""
    command = [sys.executable, "-m", "benchmarks.align", "--measure", str(root)]
    found = []
    for repeat in range(REPEATS_AT_SCALE):
        say(f"{what}: {repeat + 1} of {REPEATS_AT_SCALE}")
        if cold:
            forget(files_of("mosei", root).values())
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return tuple([each[name] for each in found] for name in MEASURED)


def forget(paths: Iterable[Path]) -> None:
    """Have the system drop what it caches of files."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(root: Path) -> dict[str, float]:
    """Align the stand-ins of a folder in this process, and return its MEASURED."""
    standard_folds("cmu_mosei")  # imports mmsdk
    before = peak_memory()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        align("mosei", root, Path(folder) / "aligned")
        seconds = time.perf_counter() - started
    return dict(zip(MEASURED, (seconds, peak_memory(), before), strict=True))


if __name__ == "__main__":
    main()
