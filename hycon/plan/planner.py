"""The plan: every job that the parameters ask for."""

import contextlib
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hycon.errors import HyConError
from hycon.params import (
    ADAPTED,
    MISSING,
    Corpus,
    ModelConfig,
    Params,
    Published,
    Settings,
    get_path,
)
from hycon.plan import tasks
from hycon.plan.job import Job
from hycon.plan.tasks import FIGURE_FORMATS, TABLE_CODE, TABLE_FORMATS, ScoredRow
from hycon.provenance import ROOT, parameters_digest

DATA, RESULTS = Path("data"), Path("results")
MANIFEST = Path("corpora.manifest.json")  # what came from where, with digests; in git
GRAPH = Path("docs/rulegraph.svg")
DAY = 1440  # minutes
GENERATED = ("words.csd", "vectors.csd", "audio.csd", "vision.csd", "labels.csd", "folds.json")
TINY = ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json")


def ragged(path: Path) -> list[str]:
    """Return the two files of a ragged array."""
    return [str(path), str(path.with_suffix(".offsets.npy"))]


def with_formats(path: Path, formats: tuple[str, ...]) -> tuple[str, ...]:
    """Return the files of a table or a figure, one a format."""
    return tuple(f"{path}.{each}" for each in formats)


class Plan:
    """Every job that the parameters ask for, in an order in which they could run.

    Args:
        params: all parameters.
        published: published rows, to stand beside ours.
        files: parameter files, as the page names them.
        options: Snakemake's options that change results, for a shell.

    `job` and `files` raise HyConError where the search for better parameters cannot be planned.
    """

    def __init__(
        self,
        params: Params,
        published: list[Published] | None = None,
        files: list[str] | None = None,
        options: str = "",
    ) -> None:
        self.params, self.published = params, published or []
        self.parameter_files, self.options = files or ["params.yaml", "corpora.yaml"], options
        # a row is named VARIANT-ENCODER
        self.rows = {
            f"{variant}-{encoder}": (variant, encoder)
            for variant in params.variants
            for encoder in params.encoders
        }
        # what numbers depend on, without what only readers see
        self.corpora = {name: each.as_input() for name, each in params.catalogue.items()}
        self.encoders = {name: each.as_input() for name, each in params.encoders.items()}
        self._settings: dict[tuple[str, str], Settings] = {}
        self._scored: dict[tuple[str, str], ScoredRow] = {}
        size = params.seeds_per_job or len(params.seeds)
        seeds = params.seeds
        # the seeds that one job trains, by the number of the block
        self.blocks = {
            str(number): seeds[start : start + size]
            for number, start in enumerate(range(0, len(seeds), size), start=1)
        }

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

    def files(self, phase: str) -> list[str]:
        """Return the outputs of a phase: raw, features, runs, evidence or tune."""
        searches = (job for corpus in self.params.corpora for job in self._search(corpus))
        jobs = searches if phase == "tune" else self.jobs.values()
        return [path for job in jobs if job.phase == phase for path in job.writes]

    def outputs_here(self) -> list[Job]:
        """Return the jobs whose outputs may be here: all, and those of corpora with a folder."""
        found = list(self.jobs.values())
        for corpus in self.params.catalogue:
            if corpus in self.params.corpora or (RESULTS / corpus).exists():
                with contextlib.suppress(HyConError, ValueError):
                    found += self._search(corpus)
                    found += [] if corpus in self.params.corpora else self._corpus(corpus)
        return found

    def _all(self) -> Iterator[Job]:
        for corpus in self.params.corpora:
            yield from self._corpus(corpus)
        yield self._collect()
        yield self._report()

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
            yield self._aggregate(corpus)
        yield from self._complexity(corpus)
        for name, table in self.tables(corpus).items():
            yield self._table(corpus, name, table)
        for name, figure in self.figures(corpus).items():
            yield self._figure(corpus, name, figure)

    def _by_name(self, stage: str, corpus: str = "", row: str = "", *_: str) -> Iterator[Job]:
        """Yield jobs that `all` may not ask for: of another corpus, row or text encoder."""
        if corpus not in self.params.catalogue:
            return
        if stage == "tune_row":
            yield from self._search(corpus)
        elif stage in ("encode", "tiny"):
            yield from self._features(corpus, list(self.params.encoders))
        elif row in self.rows:
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
            if encoder.finetune:
                continue
            vectors = encoder.kind == "vectors"
            own = ragged(aligned(corpus) / "vectors.npy") if vectors else self.tiny(corpus, name)
            yield Job(
                stage="encode", name=f"{corpus}/{name}", phase="features",
                code=("hycon.stages.encode",),
                task=tasks.EncodeTask(
                    encoder=self.encoders[name], aligned=aligned(corpus),
                    tiny=tiny_folder(corpus, encoder.tiny), output=folder,
                ),
                reads=(table, *own),
                writes=(*ragged(folder / "states.npy"), f"{folder}/encoder.json"),
                # a model, and the states of 1 MB of text take 1 GB
                memory_mb=1000 if vectors else 3000, memory_per_mb=0 if vectors else 1000,
                minutes=120,
            )  # fmt: skip

    def tiny(self, corpus: str, encoder: str) -> list[str]:
        """Return the weights of an encoder's tiny model as a list, empty if it is none."""
        folder = tiny_folder(corpus, self.params.encoders[encoder].tiny)
        return [f"{folder}/model.safetensors"] if folder else []

    # rows

    def rows_of(self, corpus: str, experiment: str | None = None) -> list[str]:
        """Return the rows of an experiment on a corpus in the order of its table, or of all."""
        chosen = [experiment] if experiment else self.params.experiments
        found = [pair for name in chosen for pair in self.params.rows(name, corpus)]
        return list(dict.fromkeys(f"{variant}-{encoder}" for variant, encoder in found))

    def experiments_of(self, corpus: str) -> list[str]:
        """Return the experiments that have rows on a corpus."""
        return [name for name in self.params.experiments if self.params.rows(name, corpus)]

    def settings(self, corpus: str, row: str) -> Settings:
        """Return what a row is trained with."""
        if (corpus, row) not in self._settings:
            self._settings[corpus, row] = self.params.settings(corpus, *self.rows[row])
        return self._settings[corpus, row]

    def scored(self, corpus: str, row: str) -> ScoredRow:
        """Return where the scores of a row lie, and what a reader calls it."""
        if (corpus, row) not in self._scored:
            self._scored[corpus, row] = self._scored_row(corpus, row)
        return self._scored[corpus, row]

    def _scored_row(self, corpus: str, row: str) -> ScoredRow:
        variant, encoder = self.rows[row]
        return ScoredRow(
            row=row,
            model=self.params.variants[variant].label,
            encoder=self.encoder_label(corpus, encoder),
            scores=runs(corpus, row) / "scores.json",
            parameters_digest=scores_digest(
                self.corpora[corpus],
                self.encoders[encoder],
                self.settings(corpus, row),
                self.params.metrics,
                self.params.seeds,
            ),
        )

    def encoder_label(self, corpus: str, encoder: str) -> str:
        """Return what a reader calls a text encoder; vectors are what the corpus has."""
        chosen = self.params.encoders[encoder]
        named = self.params.catalogue[corpus].vectors
        return named if chosen.kind == "vectors" else chosen.label

    def records(self, corpus: str, row: str) -> list[str]:
        """Return the records of a row's trained seeds, one a block."""
        return [f"{runs(corpus, row)}/runs-{block}.json" for block in self.blocks]

    def _given(self, corpus: str, row: str) -> dict[str, Any]:
        """Return what `train` and `tune_row` are given of a row."""
        encoder = self.params.encoders[self.rows[row][1]]
        folder = aligned(corpus)
        text = (
            self.tiny(corpus, self.rows[row][1])
            if encoder.finetune
            else ragged(states(corpus, self.rows[row][1]) / "states.npy")
        )
        arrays = [*ragged(folder / "audio.npy"), *ragged(folder / "vision.npy")]
        files = [f"{folder}/utterances.csv", *arrays, *text]
        return {
            "name": f"{corpus}/{row}",
            "corpus": self.corpora[corpus],
            "encoder": self.encoders[self.rows[row][1]],
            "settings": self.settings(corpus, row),
            "aligned": folder,
            "states": None if encoder.finetune else states(corpus, self.rows[row][1]),
            "tiny": tiny_folder(corpus, encoder.tiny) if encoder.finetune else None,
            "inputs": [Path(file) for file in files],
        }

    def _training(self, corpus: str, row: str, seeds: int) -> dict[str, Any]:
        """Return the memory and time that training some seeds of a row needs."""
        settings = self.settings(corpus, row)
        weights = 0
        if isinstance(settings.model, ModelConfig) and settings.model.fusion == "tensor":
            weights = settings.model.dimension * (settings.model.dimension + 1) ** 3
        finetuned = settings.train.finetuning is not None
        return {
            # weights, gradient, two moments, the best and the averaged ones, 4 bytes each
            "memory_mb": 1000 + (3000 if finetuned else 0) + 24 * weights // 1_000_000,
            "memory_per_mb": 3,  # measured: 2.1 times the files
            "minutes": min(seeds * (240 if finetuned else 60), DAY),
            "resumes": True,
        }

    def _row(self, corpus: str, row: str) -> Iterator[Job]:
        """Yield the jobs that train a row, and the one that scores it."""
        given, folder = self._given(corpus, row), runs(corpus, row)
        for block, seeds in self.blocks.items():
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
        given = {key: value for key, value in self._given(corpus, row).items() if key in names}
        target = self.scored(corpus, row).scores
        return Job(
            stage="evaluate", name=f"{corpus}/{row}", phase="runs", code=("hycon.stages.evaluate",),
            task=tasks.EvaluateTask(
                **given, metrics=self.params.metrics, seeds=self.params.seeds,
                runs=runs(corpus, row), output=target,
            ),
            reads=(f"{aligned(corpus)}/utterances.csv", *self.records(corpus, row)),
            writes=(str(target),),
        )  # fmt: skip

    def _search(self, corpus: str) -> Iterator[Job]:
        """Yield the search for better parameters on a corpus, which `all` does not ask for."""
        row = f"{self.params.tuning.variant}-{self.params.tuning.encoder}"
        try:
            tuning, places = self.params.tuning_of(corpus)
        except ValueError as error:
            raise HyConError(str(error)) from None
        given, stem = self._given(corpus, row), RESULTS / corpus / "tuning" / row
        yield Job(
            stage="tune_row", name=f"{corpus}/{row}", phase="tune", code=("hycon.stages.tune_row",),
            task=tasks.TuneTask(
                **given, tuning=tuning, places=places, output=stem,
                study=stem.with_name(f"{row}.journal"),
            ),
            reads=tuple(map(str, given["inputs"])), writes=(f"{stem}.yaml", f"{stem}.csv"),
            **self._training(corpus, row, len(self.params.seeds)),
        )  # fmt: skip

    # metrics, tables, figures

    def _aggregate(self, corpus: str) -> Job:
        rows = {
            name: [self.scored(corpus, row).unlabelled() for row in self.rows_of(corpus, name)]
            for name in self.experiments_of(corpus)
        }
        target = RESULTS / corpus / "metrics.json"
        return Job(
            stage="aggregate", name=corpus, phase="evidence", code=("hycon.stages.aggregate",),
            task=tasks.AggregateTask(corpus=corpus, experiments=rows, output=target),
            reads=scores_of(row for each in rows.values() for row in each),
            writes=(str(target),),
        )  # fmt: skip

    def headline(self, corpus: str) -> list[str]:
        """Return the two metrics that stand for all of a corpus where there is little room."""
        emotions = self.params.catalogue[corpus].emotions
        return ["acc", "f1"] if emotions else ["mae_all", "acc2_pos"]

    def _collect(self) -> Job:
        corpora = self.params.corpora
        metrics = {corpus: RESULTS / corpus / "metrics.json" for corpus in corpora}
        # the first experiment's rows, whose training is drawn, and the first of them
        first = {name: self.rows_of(name, self.experiments_of(name)[0]) for name in corpora}
        training = [self._plotted(corpus, row) for corpus in corpora for row in first[corpus]]
        curves = [point for corpus in corpora for point in self._curve_points(corpus)]
        records = [
            path
            for corpus in corpora
            for row in first[corpus]
            for path in self.records(corpus, row)
        ]
        tables = [f"{aligned(corpus)}/utterances.csv" for corpus in corpora]
        scores = scores_of(point.row for point in curves)
        plots = [RESULTS / "plots" / f"{kind}.csv" for kind in ("curves", "training", "confusion")]
        return Job(
            stage="collect", name="", phase="evidence", code=("hycon.stages.collect",),
            task=tasks.CollectTask(
                metrics=metrics, summary={corpus: self.headline(corpus) for corpus in corpora},
                curves=curves, training=training, output=RESULTS,
                confusion=[self._plotted(corpus, first[corpus][0]) for corpus in corpora],
            ),
            reads=unique([*map(str, metrics.values()), *scores, *records, *tables]),
            writes=(f"{RESULTS}/metrics.json", f"{RESULTS}/summary.json", *map(str, plots)),
        )  # fmt: skip

    def _plotted(self, corpus: str, row: str) -> tasks.PlottedRuns:
        labels = self.scored(corpus, row)
        return tasks.PlottedRuns(
            panel=f"{corpus}: {labels.model}, {labels.encoder}",
            runs=runs(corpus, row),
            seeds=self.params.seeds,
            corpus=self.corpora[corpus],
            aligned=aligned(corpus),
        )

    def _curve_points(self, corpus: str) -> list[tasks.CurvePoint]:
        points = []
        for name in self.experiments_of(corpus):
            key = self.params.experiments[name].curve
            for row in self.rows_of(corpus, name) if key else []:
                labels = self.scored(corpus, row)
                x = get_path(self.settings(corpus, row), key)
                points += [
                    tasks.CurvePoint(
                        panel=f"{corpus}: {metric} over {key}, {labels.encoder}",
                        x=x,
                        metric=metric,
                        row=labels,
                    )
                    for metric in self.headline(corpus)
                ]
        return sorted(points, key=lambda point: (point.panel, point.x))

    def tables(self, corpus: str) -> dict[str, Any]:
        """Return the tables of a corpus by name, in the order of the page."""
        found: dict[str, Any] = {}
        for name in self.experiments_of(corpus):
            found[name] = self._score_table(corpus, name)
            if pairs := self._pairs(corpus, name):
                experiment = self.params.experiments[name]
                found[f"{name}-differences"] = tasks.DifferenceTable(
                    title=experiment.title,
                    reference=self.params.variants[experiment.reference].label,
                    pairs=pairs,
                    aligned=aligned(corpus),
                )
        if published := [each for each in self.published if each.corpus == corpus]:
            here = set(self.rows_of(corpus))
            rows = [self.scored(corpus, each.row) for each in published if each.row in here]
            found["published"] = tasks.PublishedTable(published=published, rows=list(unique(rows)))
        if measured := self.measured(corpus):
            found["complexity"] = tasks.CostTable(
                measured=RESULTS / corpus / "complexity.json",
                labels={
                    row: (self.scored(corpus, row).model, self.scored(corpus, row).encoder)
                    for row in measured
                },
            )
        return found

    def _score_table(self, corpus: str, name: str) -> tasks.ScoreTable:
        return tasks.ScoreTable(
            experiment=name,
            title=self.params.experiments[name].title,
            rows=[self.scored(corpus, row) for row in self.rows_of(corpus, name)],
            left_out=self._left_out(corpus, name),
            note=self._adaptations(name),
        )

    def _pairs(self, corpus: str, experiment: str) -> list[tasks.RowPair]:
        """Return an experiment's rows beside its reference; none without a reference of its own."""
        reference = self.params.experiments[experiment].reference
        rows = self.params.rows(experiment, corpus)
        if reference not in {variant for variant, _ in rows}:
            return []
        return [
            tasks.RowPair(
                row=self.scored(corpus, f"{variant}-{encoder}"),
                reference=self.scored(corpus, f"{reference}-{encoder}"),
            )
            for variant, encoder in rows
            if variant != reference
        ]

    def _left_out(self, corpus: str, name: str) -> str:
        """Return which rows an experiment lacks on a corpus, and why; "" if none."""
        experiment = self.params.experiments[name]
        tried = experiment.encoders
        if experiment.first_encoder_only:
            tried = tried[: tried.index(self.params.encoders_of(name, corpus)[0])]
        reasons = [self.params.unusable(corpus, encoder) for encoder in tried]
        there = self.params.variants_of(name)
        gone = [self.params.variants[each].label for each in experiment.variants
                if each not in there]  # fmt: skip
        if gone:
            reasons.append(f"{', '.join(gone)} ({MISSING})")
        return "; ".join(filter(None, reasons))

    def _adaptations(self, experiment: str) -> str:
        """Return what was adapted of an experiment's peers; "" if it has none."""
        changed: dict[str, list[str]] = {}
        for name in self.params.variants_of(experiment):
            variant = self.params.variants[name]
            if variant.peer:
                changed.setdefault(ADAPTED[variant.peer.network], []).append(variant.label)
        if not changed:
            return ""
        each = "; ".join(f"{', '.join(labels)}: {what}" for what, labels in changed.items())
        return f"Peers are networks of the package MMSA in this training. Adapted: {each}."

    def _table(self, corpus: str, name: str, table: Any) -> Job:
        stem = RESULTS / corpus / "tables" / name
        reads: list[str] = []
        if table.kind == "costs":
            reads = [str(table.measured)]
        elif table.kind == "differences":
            rows = [row for pair in table.pairs for row in (pair.row, pair.reference)]
            reads = [*scores_of(rows), f"{table.aligned}/utterances.csv"]
            # predictions are read too
            reads += [path for row in unique(rows) for path in self.records(corpus, row.row)]
        else:
            reads = list(scores_of(table.rows))
        return Job(
            stage="tables", name=f"{corpus}/{name}", phase="evidence", code=("hycon.stages.tables", TABLE_CODE[table.kind]),
            task=tasks.TableTask(
                key=corpus, corpus=self.params.catalogue[corpus], table=table, output=stem
            ),
            reads=unique(reads), writes=with_formats(stem, TABLE_FORMATS),
            memory_mb=1000 if table.kind == "differences" else 500,
        )  # fmt: skip

    def measured(self, corpus: str) -> list[str]:
        """Return the rows whose cost is measured, each once."""
        if self.params.complexity is None:
            return []
        names = [
            name for name in self.experiments_of(corpus) if self.params.experiments[name].costs
        ]
        return list(unique(row for name in names for row in self.rows_of(corpus, name)))

    def _complexity(self, corpus: str) -> Iterator[Job]:
        names = self.measured(corpus)
        if not names:
            return
        target = RESULTS / corpus / "complexity.json"
        given = {row: self._given(corpus, row) for row in names}
        yield Job(
            stage="complexity", name=corpus, phase="evidence", code=("hycon.stages.complexity",),
            task=tasks.ComplexityTask(
                corpus=self.corpora[corpus],
                rows=[
                    tasks.MeasuredRow(
                        row=row, encoder_name=self.rows[row][1],
                        settings=each["settings"].as_cost(),
                        encoder=each["encoder"], states=each["states"], tiny=each["tiny"],
                    )
                    for row, each in given.items()
                ],
                aligned=aligned(corpus), repeats=self.params.complexity.repeats, output=target,
            ),
            reads=unique(str(path) for each in given.values() for path in each["inputs"]),
            writes=(str(target),), memory_mb=1000, memory_per_mb=3, minutes=60,
        )  # fmt: skip

    def figures(self, corpus: str) -> dict[str, Any]:
        """Return the figures of a corpus by name: EXPERIMENT-curve-ENCODER, -tsne-."""
        found: dict[str, Any] = {}
        for name in self.experiments_of(corpus):
            experiment, rows = self.params.experiments[name], self.params.rows(name, corpus)
            pair = experiment.tsne or []
            for encoder in unique(encoder for _, encoder in rows) if experiment.curve else ():
                found[f"{name}-curve-{encoder}"] = self._curve(corpus, name, encoder)
            if pair and set(pair) <= {variant for variant, _ in rows}:
                for encoder in unique(encoder for _, encoder in rows):
                    found[f"{name}-tsne-{encoder}"] = self._tsne(corpus, pair, encoder)
        return found

    def _curve(self, corpus: str, name: str, encoder: str) -> tasks.CurveFigure:
        key = self.params.experiments[name].curve
        rows = [f"{variant}-{encoder}" for variant in self.params.variants_of(name)]
        points = [
            tasks.CurveRow(
                x=get_path(self.settings(corpus, row), key), row=self.scored(corpus, row)
            )
            for row in rows
        ]
        return tasks.CurveFigure(
            points=sorted(points, key=lambda point: (point.x, str(point.row.scores))),
            metrics=self.headline(corpus),
            x_label=key.split(".")[-1],
        )

    def _tsne(self, corpus: str, variants: list[str], encoder: str) -> tasks.TsneFigure:
        rows = [self.scored(corpus, f"{variant}-{encoder}") for variant in variants]
        shown = [
            tasks.ShownRun(
                title=row.model,
                folder=runs(corpus, row.row) / f"seed-{self.params.seeds[0]}",
                row=row,
            )
            for row in rows
        ]
        return tasks.TsneFigure(runs=shown, aligned=aligned(corpus), seed=0)

    def _figure(self, corpus: str, name: str, figure: Any) -> Job:
        experiment, _, encoder = name.partition(f"-{figure.kind}-")
        stem = RESULTS / corpus / "figures" / name
        label = self.encoder_label(corpus, encoder)
        title = f"{self.params.experiments[experiment].title}. Text encoder: {label}"
        if figure.kind == "curve":
            reads = scores_of(point.row for point in figure.points)
        else:
            title = f"Multimodal representations with and without contrastive learning. {title}"
            rows = [run.row for run in figure.runs]
            records = [path for row in rows for path in self.records(corpus, row.row)]
            reads = (*scores_of(rows), f"{figure.aligned}/utterances.csv", *records)
        return Job(
            stage="figures", name=f"{corpus}/{name}", phase="evidence", code=("hycon.stages.figures",),
            task=tasks.FigureTask(
                key=corpus, corpus=self.params.catalogue[corpus], title=title,
                colours=self.params.figures, figure=figure, output=stem,
            ),
            reads=unique(reads), writes=with_formats(stem, FIGURE_FORMATS), memory_mb=1000,
        )  # fmt: skip

    # the page

    def _report(self) -> Job:
        corpora = [self._page_corpus(corpus) for corpus in self.params.corpora]
        graph = GRAPH if GRAPH.exists() else None
        reads = [str(graph)] if graph else []
        for page in corpora:
            folder = RESULTS / page.key
            for item in page.tables:
                reads += with_formats(folder / "tables" / item.name, ("csv", "html"))
            for item in page.figures:
                reads += with_formats(folder / "figures" / item.name, ("svg", "txt"))
            reads += scores_of(each.row for each in page.rows)
            reads += [path for each in page.rows for path in self.records(page.key, each.row.row)]
        target = RESULTS / "report.html"
        page_folder = ROOT / "reporting/page"
        return Job(
            stage="report", name="", phase="evidence", code=("hycon.stages.report",),
            data=tuple(sorted(str(path.relative_to(ROOT)) for path in page_folder.iterdir())),
            task=tasks.ReportTask(
                corpora=corpora, seeds=self.params.seeds, files=self.parameter_files,
                options=self.options, graph=graph, results=RESULTS, output=target,
            ),
            reads=unique(reads), writes=(str(target),),
        )  # fmt: skip

    def _page_corpus(self, corpus: str) -> tasks.PageCorpus:
        titles = {"published": "Published numbers beside ours", "complexity": "Complexity"}
        items = []
        for name, table in self.tables(corpus).items():
            more = ": differences" if table.kind == "differences" else ""
            title = titles.get(name) or table.title + more
            items.append(tasks.PageItem(name=name, kind=table.kind, title=title))
        rows: dict[str, tasks.PageRow] = {}
        for name in self.experiments_of(corpus):
            title = self.params.experiments[name].title
            for row in self.rows_of(corpus, name):
                labels = self.scored(corpus, row)
                rows.setdefault(row, tasks.PageRow(row=labels, experiment=title))
        figures = [
            tasks.PageItem(name=name, kind=figure.kind, title="")
            for name, figure in self.figures(corpus).items()
        ]
        return tasks.PageCorpus(
            key=corpus,
            corpus=self.params.catalogue[corpus],
            tables=items,
            figures=figures,
            rows=list(rows.values()),
        )


def aligned(corpus: str) -> Path:
    return DATA / "aligned" / corpus


def states(corpus: str, encoder: str) -> Path:
    return DATA / "features" / corpus / encoder


def tiny_folder(corpus: str, kind: str | None) -> Path | None:
    return DATA / "models" / corpus / f"tiny-{kind}" if kind else None


def runs(corpus: str, row: str) -> Path:
    return RESULTS / "runs" / corpus / row


def scores_of(rows: Any) -> tuple[str, ...]:
    """Return the files of some rows' scores, each once."""
    return unique(str(row.scores) for row in rows)


def unique(values: Iterable[Any]) -> tuple:
    """Return values without repetition, in order."""
    return tuple(dict.fromkeys(values))


def scores_digest(
    corpus: Corpus, encoder: Any, settings: Settings, metrics: Any, seeds: list[int]
) -> str:
    """Return the digest of the parameters that scores are made with, as `evaluate` records it."""
    values = {"corpus": corpus, "encoder": encoder, "settings": settings, "metrics": metrics}
    plain = {name: value.model_dump(mode="json") for name, value in values.items()}
    return parameters_digest({**plain, "seeds": sorted(seeds)})
