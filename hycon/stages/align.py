"""Align a corpus's files to its words and segments (rule `align`)."""

from collections.abc import Sequence
from pathlib import Path

from hycon.corpus.build import build
from hycon.corpus.folds import fold_of_video, read_folds, standard_folds
from hycon.files import atomic_folder
from hycon.params import Align, Corpus
from hycon.stages import log, parser, run, start

# CMU-MOSI's words against labels of their own alignment: 2.4%; of another one: 5.3%
USUAL_CUTS = 0.04


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--corpus", type=Corpus.model_validate_json, required=True)
    options.add_argument("--settings", type=Align.model_validate_json, required=True)
    options.add_argument("--raw", type=Path, required=True, help="folder of the fetched files")
    options.add_argument("--output", type=Path, required=True, help="folder")
    arguments = options.parse_args(argv)
    start(arguments)
    corpus = arguments.corpus
    files = {name: arguments.raw / file.name for name, file in corpus.files.items()}
    if corpus.standard_folds:
        folds, where = standard_folds(corpus.standard_folds), corpus.standard_folds
    else:
        where = files.pop("folds")
        folds = read_folds(where)
    fold_of = fold_of_video(folds, str(where))
    with atomic_folder(arguments.output) as folder:
        report = build(files, fold_of, corpus.emotions, arguments.settings.epsilon, folder)
    _tell(arguments.output, report, corpus)


def _tell(output: Path, report: dict, corpus: Corpus) -> None:
    sizes = list(report["utterances"].values())
    log.info("%s: %d / %d / %d utterances, %d words", output, *sizes, report["words"])
    if corpus.fold_sizes and sizes != corpus.fold_sizes:
        log.warning("%s: expected %s utterances; see report.json", output, corpus.fold_sizes)
    cut = report["segment boundaries that cut a word"]
    if cut > USUAL_CUTS:
        log.warning(
            "%s: %.1f%% of the segment boundaries cut a word, expected under %.0f%%: words and "
            "labels may come from different alignments; take both from one source",
            output,
            100 * cut,
            100 * USUAL_CUTS,
        )
    if report["dropped"]:
        log.warning("%s: %d segments dropped; see report.json", output, len(report["dropped"]))


if __name__ == "__main__":
    run(main)
