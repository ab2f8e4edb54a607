"""The plan: every job that the parameters ask for."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from hycon.errors import HyConError
from hycon.params import MOST_IN_MEMORY, ModelConfig
from hycon.plan import evidence, figures, tables, tasks
from hycon.plan.job import Job
from hycon.plan.paths import (
    DATA,
    MANIFEST,
    RESAMPLED,
    RESULTS,
    aligned,
    ragged,
    runs,
    states,
    tiny_folder,
)
from hycon.plan.rows import Rows

DAY = 1440  # minutes
GENERATED = ("words.csd", "vectors.csd", "audio.csd", "vision.csd", "labels.csd", "folds.json")
TINY = ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json")


class Plan(Rows):
    """Every job that the parameters ask for, in an order in which they could run.

    `job` and `files` raise HyConError where the search for better parameters cannot be planned.
    """

    @functools.cached_property
    def jobs(self) -> dict[tuple[str, str], Job]:
        """Every job of `all` by its stage and its name."""
        return {(job.stage, job.name): job for job in self._all()}

    def job(self, stage: str, name: str) -> Job:
        """Return a job by its stage and its name; also one that `all` does not ask for.

        Raises:
            HyConError: the parameters allow no such job.
        """
        if (stage, name) in self.jobs:
            return self.jobs[stage, name]
        for job in self._by_name(stage, *name.split("/")):
            if (job.stage, job.name) == (stage, name):
                return job
        raise HyConError(f"{stage} {name}: no such job; see the names in params.yaml, corpora.yaml")

    @functools.cached_property
    def _priorities(self) -> dict[tuple[str, str], int]:
        """The priority of each job that a table of scores needs, by its stage and its name.

        The tables of the first experiment come first, then those of the next, each corpus in turn.
        """
        makers = {path: job for job in self.jobs.values() for path in job.writes}
        goals = [table for each in self._tables_of_scores() for table in each]
        found: dict[tuple[str, str], int] = {}
        for priority, goal in zip(range(len(goals), 0, -1), goals, strict=True):
            waiting = [goal]
            while waiting:
                job = waiting.pop()
                if (job.stage, job.name) not in found:
                    found[job.stage, job.name] = priority
                    waiting += [makers[path] for path in job.reads if path in makers]
        return found

    def priority(self, stage: str, name: str) -> int:
        """Return the priority of a job: of those that are ready, the highest runs first."""
        return self._priorities.get((stage, name), 0)

    def main_tables(self) -> list[Job]:
        """Return the jobs that write the first table of each corpus, which a run prints."""
        return next(self._tables_of_scores(), [])

    def _tables_of_scores(self) -> Iterator[list[Job]]:
        """Yield the jobs that write the table of an experiment, one for each corpus."""
        for experiment in self.params.experiments:
            here = [self.jobs.get(("tables", f"{corpus}/{experiment}"))
                    for corpus in self.params.corpora]  # fmt: skip
            if found := [job for job in here if job]:
                yield found

    def files(self, phase: str) -> list[str]:
        """Return the outputs of a phase: raw, features, runs, evidence or tune."""
        searches = (job for corpus in self.params.corpora for job in self._search(corpus))
        jobs = searches if phase == "tune" else self.jobs.values()
        return [path for job in jobs if job.phase == phase for path in job.writes]

    def outputs_here(self) -> list[Job]:
        """Return all jobs, and those of other corpora that have a folder in results."""
        found = list(self.jobs.values())
        for corpus in self.params.catalogue:
            asked = corpus in self.params.corpora
            if asked or (RESULTS / corpus).exists():
                # the parameters may not fit a corpus that they do not name
                for jobs in (self._search, *(() if asked else (self._corpus,))):
                    with contextlib.suppress(HyConError, ValueError):
                        found += jobs(corpus)
        return found

    def _all(self) -> Iterator[Job]:
        for corpus in self.params.corpora:
            yield from self._corpus(corpus)
        yield evidence.collect(self)
        yield from evidence.claims(self)
        yield evidence.report(self)

    def _corpus(self, corpus: str) -> Iterator[Job]:
        """Yield every job of one corpus."""
        encoders = {
            encoder
            for name in self.params.experiments
            for encoder in self.params.encoders_of(name, corpus)
        }
        yield from self._raw(corpus)
        yield self._align(corpus)
        yield from self._features(corpus, sorted(encoders))
        for row in self.rows_of(corpus):
            yield from self._row(corpus, row)
        if self.experiments_of(corpus):
            yield evidence.aggregate(self, corpus)
        yield from evidence.complexity(self, corpus)
        yield from evidence.robustness(self, corpus)
        for name, table in tables.tables(self, corpus).items():
            yield tables.table_job(self, corpus, name, table)
        for name, figure in figures.figures(self, corpus).items():
            yield figures.figure_job(self, corpus, name, figure)

    def _by_name(self, stage: str, corpus: str = "", row: str = "", *_: str) -> Iterator[Job]:
        """Yield jobs that `all` may not ask for: of another corpus, row or text encoder."""
        if corpus not in self.params.catalogue:
            return
        if stage == "tune_row":
            yield from self._search(corpus)
        elif stage in ("encode", "tiny"):
            yield from self._features(corpus, list(self.params.encoders))
        elif stage in ("train", "evaluate") and row in self.rows:
            yield from self._row(corpus, row)
        else:
            yield from self._corpus(corpus)

    # corpora and features

    def _raw(self, name: str) -> Iterator[Job]:
        corpus = self.params.catalogue[name]
        made = DATA / "generated" / name
        if corpus.generator:
            yield Job(
                stage="generate", name=name, phase="raw", code=("hycon.stages.generate",),
                task=tasks.GenerateTask(
                    task=corpus.task, generator=corpus.generator, output=made
                ),
                writes=tuple(str(made / file) for file in GENERATED),
                memory_mb=1000,
            )  # fmt: skip
        for file in corpus.files.values():
            own = str(made / file.name)
            target = DATA / "raw" / name / file.name
            sources = (
                [own] if corpus.generator else file.addresses(self.params.mirror, corpus.mirrors)
            )
            record = target.with_name(f"{file.name}.sha256")
            # a file that was fetched stays: neither code nor addresses make it another
            yield Job(
                stage="fetch", name=f"{name}/{file.name}", phase="raw", code=(),
                task=tasks.FetchTask(
                    corpus=name, file=file.name, sources=sources, sha256=file.sha256,
                    size=file.size, output=record,
                    manifest=None if corpus.generator else MANIFEST,
                ),
                reads=(own,) if corpus.generator else (),
                writes=(str(record),), keeps=(str(target),), disposable=True,
            )  # fmt: skip

    def _align(self, name: str) -> Job:
        corpus, folder = self.params.catalogue[name], DATA / "aligned" / name
        arrays = [path for each in ("audio", "vision", "vectors")
                  for path in ragged(folder / f"{each}.npy")]  # fmt: skip
        sizes = [file.size or 4_000_000_000 for file in corpus.files.values()]
        return Job(
            stage="align", name=name, phase="features", code=("hycon.stages.align",),
            task=tasks.AlignTask(
                corpus=self.corpora[name], settings=self.params.align,
                raw=DATA / "raw" / name, output=folder,
            ),
            reads=tuple(f"{DATA}/raw/{name}/{file.name}.sha256" for file in corpus.files.values()),
            writes=(f"{folder}/utterances.csv", *arrays, f"{folder}/report.json"),
            # sequences are read by video, other files as a whole
            memory_mb=1000 + (0 if corpus.format == "sequences" else sum(sizes) // 1_000_000),
            minutes=60,
        )  # fmt: skip

    def _features(self, corpus: str, encoders: list[str]) -> Iterator[Job]:
        table = f"{aligned(corpus)}/utterances.csv"
        for kind in sorted({self.params.encoders[each].tiny or "" for each in encoders} - {""}):
            folder = DATA / "models" / corpus / f"tiny-{kind}"
            yield Job(
                stage="tiny", name=f"{corpus}/{kind}", phase="features",
                code=("hycon.stages.tiny",),
                task=tasks.TinyTask(kind=kind, aligned=aligned(corpus), output=folder),
                reads=(table,), writes=tuple(str(folder / file) for file in TINY),
                memory_mb=1500,
            )  # fmt: skip
        for name in encoders:
            encoder, folder = self.params.encoders[name], states(corpus, name)
            if not encoder.cached:
                continue
            vectors = encoder.kind == "vectors"
            own = self.tiny(corpus, name)
            if encoder.of_corpus:
                own = ragged(aligned(corpus) / "vectors.npy")
            yield Job(
                stage="encode", name=f"{corpus}/{name}", phase="features",
                code=("hycon.stages.encode",),
                task=tasks.EncodeTask(
                    encoder=self.encoders[name], aligned=aligned(corpus),
                    tiny=tiny_folder(corpus, encoder.tiny), output=folder,
                ),
                reads=(table, *own),
                writes=(*ragged(folder / "states.npy"), f"{folder}/encoder.json"),
                # a model, and the tokens of 1 MB of text
                memory_mb=1000 if vectors else 3000, memory_per_mb=0 if vectors else 50,
                minutes=120,
            )  # fmt: skip

    # rows

    def _training(self, corpus: str, row: str, seeds: int) -> dict[str, Any]:
        """Return the memory and time that training some seeds of a row needs."""
        settings = self.settings(corpus, row)
        weights = 0
        if isinstance(settings.model, ModelConfig) and settings.model.fusion == "tensor":
            weights = settings.model.dimension * (settings.model.dimension + 1) ** 3
        finetuned = settings.train.finetuning is not None
        where = self.params.features_in
        return {
            # weights, gradient, two moments, the best and the averaged ones, 4 bytes each
            "memory_mb": 1000 + (3000 if finetuned else 0) + 24 * weights // 1_000_000,
            # features in memory; of those in files there are the utterances and the results
            "memory_per_mb": 0.1 if where == "files" else 3,
            "most_input_mb": MOST_IN_MEMORY / 1e6 if where == "auto" else None,
            "minutes": min(seeds * (240 if finetuned else 60), DAY),
            "resumes": True,
        }

    def _row(self, corpus: str, row: str) -> Iterator[Job]:
        """Yield the jobs that train a row, and the one that scores it."""
        given, folder = self.given(corpus, row), runs(corpus, row)
        for block, seeds in self.blocks_of(row).items():
            record = folder / f"runs-{block}.json"
            yield Job(
                stage="train", name=f"{corpus}/{row}/{block}", phase="runs",
                code=("hycon.stages.train",),
                task=tasks.TrainTask(**given, seeds=seeds, output=folder, record=record),
                reads=tuple(map(str, given["inputs"])), writes=(str(record),),
                keeps=tuple(f"{folder}/seed-{seed}/run.json" for seed in seeds),
                **self._training(corpus, row, len(seeds)),
            )  # fmt: skip
        yield self._evaluate(corpus, row)

    def _evaluate(self, corpus: str, row: str) -> Job:
        names = ("name", "corpus", "encoder", "settings", "aligned")
        given = {key: value for key, value in self.given(corpus, row).items() if key in names}
        target = self.scored(corpus, row).scores
        return Job(
            stage="evaluate", name=f"{corpus}/{row}", phase="runs", code=("hycon.stages.evaluate",),
            task=tasks.EvaluateTask(
                **given, metrics=self.params.metrics, seeds=self.seeds_of(row),
                runs=runs(corpus, row), output=target,
            ),
            reads=(f"{aligned(corpus)}/utterances.csv", *self.records(corpus, row)),
            writes=(str(target), str(target.with_name(RESAMPLED))),
            memory_per_mb=10,  # utterances and predictions, for each MB of utterances.csv
        )  # fmt: skip

    def _search(self, corpus: str) -> Iterator[Job]:
        """Yield the searches for better parameters on a corpus, which `all` does not ask for."""
        for variant in self.params.tuning.variants:
            row = f"{variant}-{self.params.tuning.encoder}"
            try:
                tuning, places = self.params.tuning_of(corpus, variant)
            except ValueError as error:
                raise HyConError(str(error)) from None
            given, stem = self.given(corpus, row), RESULTS / corpus / "tuning" / row
            yield Job(
                stage="tune_row", name=f"{corpus}/{row}", phase="tune",
                code=("hycon.stages.tune_row",),
                task=tasks.TuneTask(
                    **given, tuning=tuning, places=places, output=stem,
                    study=stem.with_name(f"{row}.journal"),
                ),
                reads=tuple(map(str, given["inputs"])), writes=(f"{stem}.yaml", f"{stem}.csv"),
                **self._training(corpus, row, len(self.params.seeds)),
            )  # fmt: skip
