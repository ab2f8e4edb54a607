"""Align a corpus's files to its words and segments (rule `align`)."""

from pathlib import Path

from hycon.atomic_io import atomic_folder
from hycon.corpus import from_mmsa, from_mult, from_sequences, from_table
from hycon.corpus.build import MANY_WORDS, Report, build
from hycon.corpus.transfer import digest_of
from hycon.errors import HyConError
from hycon.logs import log
from hycon.params import Corpus
from hycon.plan.tasks import AlignTask
from hycon.stages import Machine

FORMATS = {
    "sequences": from_sequences.read,
    "mmsa": from_mmsa.read,
    "mult": from_mult.read,
    "table": from_table.read,
}


def main(task: AlignTask, _: Machine) -> None:
    files = {name: task.raw / file.name for name, file in task.corpus.files.items()}
    for path in files.values():
        _check(path)
    report = Report()
    found = FORMATS[task.corpus.format](files, task.corpus, task.settings, report)
    where = next(files[name] for name in ("labels", "features", "table") if name in files)
    with atomic_folder(task.output) as folder:
        content = build(found, report, folder, where)
        _check_known(report, content, files, "text" in task.corpus.modalities)
    _summarise(task.output, content, task.corpus)


def _check(path: Path) -> None:
    """Refuse a file that is not the one that was fetched."""
    record = path.with_name(f"{path.name}.sha256")
    if not (record.is_file() and path.is_file()):
        return
    expected = record.read_text(encoding="utf-8").split()[:1]
    if [found := digest_of(path)] != expected:
        raise HyConError(
            f"{path}: sha256 is {found}, expected {' '.join(expected)} as {record.name} says: it "
            f"changed after it was fetched; put it back, or delete {record} to check it again"
        )


def _check_known(report: Report, content: dict, files: dict[str, Path], text: bool) -> None:
    """Refuse a corpus in which a whole modality is missing: a network would learn from zeros."""
    whole = files.get("features") or files.get("table")
    if text and not content["words"]:
        raise HyConError(
            f"{whole or files['words']}: no word lies within a labelled segment; are the times in "
            "seconds, and of the same videos? Take words and labels from one source"
        )
    for name, counts in report.counts.items():
        if counts["rows"] and not report.known_rows[name]:
            raise HyConError(
                f"{files.get(name, whole)}: found nothing of {name} in any utterance: "
                f"{counts['rows without a frame']} of {counts['rows']} rows have no frame, the "
                "others NaN or infinities only; are the times in seconds, and of the same videos? "
                "Take another file"
            )


def _summarise(output: Path, report: dict, corpus: Corpus) -> None:
    sizes = list(report["utterances"].values())
    log.info("%s: %d / %d / %d utterances, %d words", output, *sizes, report["words"])
    if corpus.fold_sizes and sizes != corpus.fold_sizes:
        log.warning(
            "%s: found %s utterances in train, validation and test, expected %s; see report.json",
            output,
            " / ".join(map(str, sizes)),
            " / ".join(map(str, corpus.fold_sizes)),
        )
    cut = report["segment boundaries that cut a word"]
    if cut > corpus.cut_boundaries:
        log.warning(
            "%s: %.1f%% of the segment boundaries cut a word, expected at most %.1f%%: words and "
            "labels may come from different alignments, and texts be those of other segments; take "
            "both from one source, or raise cut_boundaries in corpora.yaml",
            output,
            100 * cut,
            100 * corpus.cut_boundaries,
        )
    if missing := report.get("videos of the folds without labels"):
        log.warning(
            "%s: %d videos of the folds have no labels (%s); see report.json",
            output,
            len(missing),
            _named(missing),
        )
    if repeated := report.get("segments with the times of another"):
        log.warning("%s: %d segments have the times of another; see report.json", output, repeated)
    if long := report.get(f"utterances of more than {MANY_WORDS} words"):
        log.warning(
            "%s: %d utterances have more than %d words (%s): training needs memory by the square "
            "of them; see report.json",
            output,
            len(long),
            MANY_WORDS,
            _named(long),
        )
    for reason, count in report["dropped, by reason"].items():
        log.warning("%s: %d segments dropped: %s; see report.json", output, count, reason)


def _named(names: list[str]) -> str:
    return names[0] + (", ..." if names[1:] else "")
