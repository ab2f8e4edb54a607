"""The rows of every experiment, with their settings and labels."""

from pathlib import Path
from typing import Any, NamedTuple

from hycon.params import (
    Claim,
    Corpus,
    Encoder,
    MetricsConfig,
    Params,
    Preregistration,
    Published,
    Settings,
    get_value,
    swept_name,
)
from hycon.plan.paths import aligned, ragged, runs, states, tiny_folder, unique
from hycon.plan.tasks import ScoredRow
from hycon.provenance import parameters_digest


class Condition(NamedTuple):
    """A condition under which an experiment compares its variants."""

    panel: str  # of the figure of effects: what differs between its conditions
    x: float | str  # how much, or which
    rows: dict[str, str]  # by variant


class Rows:
    """The rows of the plan; a row is a variant with a text encoder, named VARIANT-ENCODER.

    Args:
        params: all parameters.
        published: published results, one per row.
        claims: the paper's claims.
        preregistered: what was fixed before runs.
        files: names of the parameter files, shown in the report.
        options: Snakemake options that change results, quoted for the shell.
    """

    def __init__(
        self,
        params: Params,
        published: list[Published] | None = None,
        claims: list[Claim] | None = None,
        preregistered: list[Preregistration] | None = None,
        files: list[str] | None = None,
        options: str = "",
    ) -> None:
        self.params, self.published = params, published or []
        self.claims, self.preregistered = claims or [], preregistered or []
        self.parameter_files, self.options = files or ["params.yaml", "corpora.yaml"], options
        self.rows = {
            f"{variant}-{encoder}": (variant, encoder)
            for variant in params.variants
            for encoder in params.encoders
        }
        # without labels and titles, on which results do not depend
        self.corpora = {name: each.as_input() for name, each in params.catalogue.items()}
        self.encoders = {name: each.as_input() for name, each in params.encoders.items()}
        self._pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self._settings: dict[tuple[str, str], Settings] = {}
        self._scored: dict[tuple[str, str], ScoredRow] = {}
        size = params.seeds_per_job or len(params.seeds)
        seeds = params.seeds
        # the seeds that one job trains, by block number
        self.blocks = {
            str(number): seeds[start : start + size]
            for number, start in enumerate(range(0, len(seeds), size), start=1)
        }

    def experiments_of(self, corpus: str) -> list[str]:
        """Return the experiments that have rows on a corpus."""
        return [name for name in self.params.experiments if self.pairs(corpus, name)]

    def pairs(self, corpus: str, experiment: str) -> list[tuple[str, str]]:
        """Return the variant and text encoder of each row of an experiment, in order."""
        if (corpus, experiment) not in self._pairs:
            swept = [
                self.rows[row]
                for condition in self.conditions(corpus, experiment)
                for row in condition.rows.values()
            ]
            self._pairs[corpus, experiment] = list(
                unique([*self.params.rows(experiment, corpus), *swept])
            )
        return self._pairs[corpus, experiment]

    def conditions(self, corpus: str, experiment: str) -> list[Condition]:
        """Return the conditions of an experiment's sweeps, and its text encoders if it has several.

        Empty without sweeps. A value that changes no row is left out. A row that a value does not
        change, such as one without contrastive learning by a lambda, is the unchanged variant's.
        """
        chosen = self.params.experiments[experiment]
        variants = self.params.variants_of(experiment, corpus)
        encoders = self.params.encoders_of(experiment, corpus)
        compared = [name for name in variants if name not in (chosen.reference, chosen.alone)]
        if not (chosen.sweeps and compared and chosen.reference in variants and encoders):
            return []
        found = [
            Condition(
                "text encoder",
                self.encoder_label(corpus, encoder),
                {variant: f"{variant}-{encoder}" for variant in variants},
            )
            for encoder in encoders
        ]
        encoder, unchanged = encoders[0], found[0].rows
        found = found if len(encoders) > 1 else []
        for name, sweep in chosen.sweeps.items():
            value = get_value(self.settings(corpus, f"{compared[0]}-{encoder}"), sweep.keys[0])
            points = {str(value): Condition(sweep.label, _coordinate(value), unchanged)}
            for number, value in enumerate(sweep.values, start=1):
                rows = {
                    variant: f"{swept_name(variant, name, number)}-{encoder}"
                    for variant in variants
                }
                rows = {
                    variant: unchanged[variant]
                    if self.settings(corpus, row) == self.settings(corpus, unchanged[variant])
                    else row
                    for variant, row in rows.items()
                }
                if rows != unchanged:  # variants can set the key themselves
                    points.setdefault(str(value), Condition(sweep.label, _coordinate(value), rows))
            both = list(points.values())
            if all(isinstance(each.x, float) for each in both):
                both.sort(key=lambda each: each.x)
            found += both
        return found

    def rows_of(self, corpus: str, experiment: str | None = None) -> list[str]:
        """Return the rows of one experiment, or of all, on a corpus, in the order of the tables."""
        chosen = [experiment] if experiment else self.params.experiments
        found = [pair for name in chosen for pair in self.pairs(corpus, name)]
        return list(unique(f"{variant}-{encoder}" for variant, encoder in found))

    def settings(self, corpus: str, row: str) -> Settings:
        """Return the settings of a row."""
        if (corpus, row) not in self._settings:
            self._settings[corpus, row] = self.params.settings(corpus, *self.rows[row])
        return self._settings[corpus, row]

    def scored(self, corpus: str, row: str) -> ScoredRow:
        """Return the path of a row's scores and its labels."""
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
                self.seeds_of(row),
            ),
        )

    def seeds_of(self, row: str) -> list[int]:
        """Return the seeds of a row."""
        return self.params.seeds_of(self.rows[row][0])

    def blocks_of(self, row: str) -> dict[str, list[int]]:
        """Return the seeds that each job of a row trains, by block number."""
        chosen = set(self.seeds_of(row))
        found = {name: [each for each in seeds if each in chosen]
                 for name, seeds in self.blocks.items()}  # fmt: skip
        return {name: seeds for name, seeds in found.items() if seeds}

    def encoder_label(self, corpus: str, encoder: str) -> str:
        """Return the label of a text encoder; for word vectors, the corpus names them."""
        chosen = self.params.encoders[encoder]
        named = self.params.catalogue[corpus].vectors
        return named if chosen.of_corpus else chosen.label

    def records(self, corpus: str, row: str) -> list[str]:
        """Return the records of a row's trained seeds, one per block."""
        return [f"{runs(corpus, row)}/runs-{block}.json" for block in self.blocks_of(row)]

    def tiny(self, corpus: str, encoder: str) -> list[str]:
        """Return the weights file of an encoder's tiny model, as a list; empty if it has none."""
        folder = tiny_folder(corpus, self.params.encoders[encoder].tiny)
        return [f"{folder}/model.safetensors"] if folder else []

    def given(self, corpus: str, row: str) -> dict[str, Any]:
        """Return the arguments that `train` and `tune_row` share."""
        name = self.rows[row][1]
        encoder, folder = self.params.encoders[name], aligned(corpus)
        settings = self.settings(corpus, row)
        modalities = settings.reads(self.corpora[corpus])
        text = "text" in modalities
        cached = states(corpus, name) if text and encoder.cached else None
        files = [f"{folder}/utterances.csv"]
        for modality in modalities:
            if modality != "text":
                files += ragged(folder / f"{modality}.npy")
        if cached:
            files += ragged(cached / "states.npy")
        elif text:
            files += self.tiny(corpus, name)
        return {
            "name": f"{corpus}/{row}",
            "corpus": self.corpora[corpus],
            "encoder": self.encoders[name],
            "settings": settings,
            "aligned": folder,
            "states": cached,
            "tiny": tiny_folder(corpus, encoder.tiny) if text and encoder.finetune else None,
            "inputs": [Path(file) for file in files],
        }


def _coordinate(value: Any) -> float | str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number else str(value)


def scores_digest(
    corpus: Corpus, encoder: Encoder, settings: Settings, metrics: MetricsConfig, seeds: list[int]
) -> str:
    """Return the digest of the parameters behind a row's scores, as `evaluate` records it."""
    values = {"corpus": corpus, "encoder": encoder, "settings": settings, "metrics": metrics}
    plain = {name: value.model_dump(mode="json") for name, value in values.items()}
    return parameters_digest({**plain, "seeds": sorted(seeds)})
