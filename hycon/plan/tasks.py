"""The arguments of each stage: one frozen, typed task per stage.

The planner creates tasks from the parameters, and a stage reads the same type from standard input.
Paths are relative to the project's folder.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from hycon.params import (
    AlignConfig,
    Claim,
    Corpus,
    Encoder,
    FigureConfig,
    Generator,
    InferenceConfig,
    MetricsConfig,
    Preregistration,
    Published,
    Settings,
    TuningConfig,
)
from hycon.params.base import Strict

TABLE_FORMATS = ("csv", "md", "tex", "html")
FIGURE_FORMATS = ("svg", "pdf", "png", "txt")
# the module that writes each kind of table
TABLE_CODE = {
    "scores": "hycon.reporting.tables",
    "differences": "hycon.reporting.differences",
    "published": "hycon.reporting.published",
    "costs": "hycon.reporting.cost_table",
    "robustness": "hycon.reporting.robustness",
    "claims": "hycon.reporting.claims",
    "protocols": "hycon.reporting.protocols",
    "representations": "hycon.reporting.representations",
}


class GenerateTask(Strict):
    """Generate a sample corpus."""

    task: Literal["regression", "classification"]
    generator: Generator
    output: Path  # folder


class FetchTask(Strict):
    """Fetch one file of a corpus, or check the existing one."""

    corpus: str
    file: str
    sources: list[str]  # addresses and paths, in the order in which they are tried
    sha256: str | None
    size: int | None  # bytes
    manifest: Path | None  # the manifest; None for generated files
    output: Path  # FILE.sha256, the record next to the file


class AlignTask(Strict):
    """Align the files of a corpus to its words and segments."""

    corpus: Corpus
    settings: AlignConfig
    raw: Path  # folder
    output: Path  # folder


class TinyTask(Strict):
    """Build a tiny text encoder for a corpus."""

    kind: Literal["bert", "xlnet"]
    aligned: Path  # folder
    output: Path  # folder


class EncodeTask(Strict):
    """Cache the text states of a corpus for one encoder."""

    encoder: Encoder
    aligned: Path  # folder
    tiny: Path | None  # folder of the tiny model; None for other encoders
    output: Path  # folder


class RowTask(Strict):
    """The common arguments of tasks on one row (a variant with a text encoder) of one corpus."""

    name: str  # CORPUS/ROW, used in messages
    corpus: Corpus
    encoder: Encoder
    settings: Settings
    aligned: Path  # folder

    @property
    def modalities(self) -> list[str]:
        """Modalities to load."""
        return self.settings.reads(self.corpus)


class TrainedRowTask(RowTask):
    """The inputs of tasks that train a row."""

    # folder of the cached text states; None if the encoder is fine-tuned or the text is not read
    states: Path | None
    tiny: Path | None  # folder of the tiny model if it is fine-tuned, else None
    inputs: list[Path]  # every input file


class TrainTask(TrainedRowTask):
    """Train one row with several seeds."""

    seeds: list[int]
    output: Path  # folder of the row; the files of each run go to its subfolder seed-N
    record: Path  # file that lists the trained seeds


class EvaluateTask(RowTask):
    """Score every run of one row."""

    metrics: MetricsConfig
    seeds: list[int]
    runs: Path  # folder of the row
    output: Path  # resampled.safetensors is written next to it


class TuneTask(TrainedRowTask):
    """Search for better hyperparameters of one row."""

    tuning: TuningConfig
    places: dict[str, list[str]]  # for each key, its path in an overlay
    study: Path  # journal file, from which the search resumes
    output: Path  # without file extension


class Scores(Strict):
    """The scores of one row."""

    row: str
    scores: Path
    parameters_digest: str  # of the parameters that the scores must have been computed with


class ScoredRow(Scores):
    """The scores of one row and its labels."""

    model: str
    encoder: str

    def unlabelled(self) -> Scores:
        """Return the scores without labels, for outputs that do not show them."""
        return Scores(row=self.row, scores=self.scores, parameters_digest=self.parameters_digest)


def digests(rows: Iterable[Scores]) -> dict[Path, str]:
    """Return the parameters digest that each row's scores must have, by path of the scores."""
    return {row.scores: row.parameters_digest for row in rows}


class AggregateTask(Strict):
    """Aggregate the scores of a corpus."""

    corpus: str
    experiments: dict[str, list[Scores]]
    output: Path


class CurvePoint(Strict):
    """A point of a curve: one metric of one row at one value of a parameter."""

    panel: str
    x: float
    metric: str
    row: ScoredRow


class PlottedRuns(Strict):
    """The runs of one row in a plot."""

    panel: str
    runs: Path  # folder of the row
    seeds: list[int]
    corpus: Corpus
    aligned: Path  # folder


class CollectTask(Strict):
    """Collect all corpora: metrics, a summary, and data for `dvc plots`."""

    metrics: dict[str, Path]  # by corpus
    summary: dict[str, list[str]]  # the metrics in the summary, by corpus
    curves: list[CurvePoint]
    training: list[PlottedRuns]
    confusion: list[PlottedRuns]
    output: Path  # folder


class ClaimsTask(Strict):
    """Write the table of claims over corpora."""

    tables: dict[str, Path]  # CSV by corpus
    corpora: dict[str, Corpus]
    output: Path  # without file extension


class ScoreTable(Strict):
    """Means and standard deviations of an experiment's rows."""

    kind: Literal["scores"] = "scores"
    experiment: str
    title: str
    rows: list[ScoredRow]
    controls: list[ScoredRow] = Field(default=[])  # rows of another experiment
    show_controls: bool = False  # below its own; otherwise only for the warning
    left_out: str  # which rows are missing, and why
    note: str  # additional remarks for the caption
    inference: InferenceConfig


class RowPair(Strict):
    """A row and its reference row."""

    row: ScoredRow
    reference: ScoredRow


class DifferenceTable(Strict):
    """Differences between an experiment's rows and its reference row."""

    kind: Literal["differences"] = "differences"
    title: str
    reference: str  # its label
    pairs: list[RowPair]
    inference: InferenceConfig


class PublishedTable(Strict):
    """Published numbers and ours."""

    kind: Literal["published"] = "published"
    published: list[Published]
    rows: list[ScoredRow]
    inference: InferenceConfig


class CostTable(Strict):
    """Complexity of each row: what is the same on every machine, or what was measured on one."""

    kind: Literal["costs"] = "costs"
    part: Literal["counted", "measured"]
    measured: Path
    labels: dict[str, tuple[str, str]]  # model and text encoder by row


class RobustnessTable(Strict):
    """Scores of an experiment's rows on incomplete and noisy input."""

    kind: Literal["robustness"] = "robustness"
    title: str
    measured: Path
    rows: list[ScoredRow]
    metrics: list[str]  # that are shown


class ProtocolTable(Strict):
    """What rows report if epochs or seeds are chosen on the test fold."""

    kind: Literal["protocols"] = "protocols"
    title: str
    rows: Annotated[list[ScoredRow], Field(min_length=1)]
    aligned: Path  # folder
    inference: InferenceConfig


class RepresentationTable(Strict):
    """How similar the representations of rows are, and their gradients."""

    kind: Literal["representations"] = "representations"
    title: str
    rows: Annotated[list[ScoredRow], Field(min_length=1)]
    modalities: dict[str, list[str]]  # by row
    scheme: str  # classes of scores
    aligned: Path  # folder


class PlannedClaim(Strict):
    """A claim with the rows of one text encoder that it is about."""

    claim: Claim
    encoder: str  # name of the text encoder
    label: str  # of the text encoder
    pairs: list[RowPair]
    missing: list[str]  # labels of variants that were not run


class ClaimsTable(Strict):
    """The paper's claims, judged on one corpus."""

    kind: Literal["claims"] = "claims"
    claims: list[PlannedClaim]
    controls: dict[str, list[ScoredRow]]  # rows by name of the text encoder
    costs: Path | None  # measurements of complexity
    preregistered: list[Preregistration]  # of this corpus
    inference: InferenceConfig


class TableTask(Strict):
    """Write one table in every format."""

    key: str  # name of the corpus
    corpus: Corpus
    table: Annotated[
        ScoreTable
        | DifferenceTable
        | PublishedTable
        | CostTable
        | RobustnessTable
        | ClaimsTable
        | ProtocolTable
        | RepresentationTable,
        Field(discriminator="kind"),
    ]
    output: Path  # without file extension


class CurveRow(Strict):
    """A row at one value of a curve's parameter."""

    x: float
    row: ScoredRow


class CurveFigure(Strict):
    """Metrics as a function of a parameter."""

    kind: Literal["curve"] = "curve"
    points: Annotated[list[CurveRow], Field(min_length=1)]
    metrics: list[str]
    x_label: str


class ShownRun(Strict):
    """One run whose representations are shown."""

    title: str
    folder: Path
    row: ScoredRow


class TsneFigure(Strict):
    """The representations of two runs next to each other."""

    kind: Literal["tsne"] = "tsne"
    runs: Annotated[list[ShownRun], Field(min_length=2, max_length=2)]
    aligned: Path  # folder
    seed: int  # of t-SNE


class RobustnessFigure(Strict):
    """Scores of several rows as a function of what is missing, and of noise."""

    kind: Literal["robustness"] = "robustness"
    measured: Path
    rows: Annotated[list[ScoredRow], Field(min_length=1)]
    metrics: list[str]


class ComparisonFigure(Strict):
    """Differences of an experiment's rows from their reference, or its single seeds and chances."""

    kind: Literal["forest", "seeds"]
    reference: str  # its label
    pairs: list[RowPair]  # of all text encoders, for which the verdicts are corrected
    shown: Annotated[list[str], Field(min_length=1)]  # rows of one text encoder
    inference: InferenceConfig


class EffectPoint(Strict):
    """A variant and its reference under one condition."""

    panel: str  # what differs between the conditions of a panel
    x: float | str  # how much, or which
    variant: str  # its label, without the condition
    row: ScoredRow
    reference: ScoredRow
    alone: ScoredRow | None  # with one modality


class EffectFigure(Strict):
    """Differences from the reference under several conditions."""

    kind: Literal["effects"] = "effects"
    points: Annotated[list[EffectPoint], Field(min_length=1)]
    reference: str  # its label
    alone: str | None  # label of the row with one modality
    inference: InferenceConfig


class ProtocolFigure(ProtocolTable):
    """The same as a figure, of one text encoder."""

    metrics: list[str]


class FigureTask(Strict):
    """Draw one figure in every format."""

    key: str  # name of the corpus
    corpus: Corpus
    title: str
    colours: FigureConfig
    figure: Annotated[
        CurveFigure
        | TsneFigure
        | RobustnessFigure
        | ComparisonFigure
        | EffectFigure
        | ProtocolFigure,
        Field(discriminator="kind"),
    ]
    output: Path  # without file extension


class MeasuredRow(Strict):
    """A row whose complexity is measured."""

    row: str
    encoder_name: str
    settings: Settings
    encoder: Encoder
    states: Path | None  # folder
    tiny: Path | None  # folder


class ComplexityTask(Strict):
    """Measure the complexity of the rows of one corpus, interleaved on one machine."""

    corpus: Corpus
    rows: Annotated[list[MeasuredRow], Field(min_length=1)]
    aligned: Path  # folder
    repeats: Annotated[int, Field(ge=1)]  # timed rounds
    output: Path


class RobustRow(Strict):
    """A row whose trained networks are scored on incomplete and noisy input."""

    row: str
    settings: Settings
    encoder: Encoder
    states: Path | None  # folder
    runs: Path  # folder


class RobustnessTask(Strict):
    """Score trained networks on incomplete and noisy input."""

    name: str  # CORPUS/EXPERIMENT
    corpus: Corpus
    rows: Annotated[list[RobustRow], Field(min_length=1)]
    aligned: Path  # folder
    seeds: list[int]
    missing: list[float]
    noise: list[float]
    metrics: MetricsConfig
    output: Path


class PageItem(Strict):
    """A table or figure of the report: its name, kind and title."""

    name: str
    kind: Literal[
        "claims", "scores", "differences", "published", "costs", "robustness", "protocols",
        "representations", "curve", "tsne", "forest", "seeds", "effects",
    ]  # fmt: skip
    title: str


class PageRow(Strict):
    """A row of the report, listed under the first experiment that includes it."""

    row: ScoredRow
    experiment: str


class PageCorpus(Strict):
    """A corpus and its sections of the report."""

    key: str
    corpus: Corpus
    tables: list[PageItem]
    figures: list[PageItem]
    rows: list[PageRow]


class ReportTask(Strict):
    """Write the report, one page with all results."""

    corpora: list[PageCorpus]
    seeds: list[int]
    files: list[str]  # parameter files
    options: str  # Snakemake options, quoted for the shell
    graph: Path | None  # drawing of the rules
    results: Path  # folder
    output: Path


TASKS: dict[str, type[Strict]] = {
    "generate": GenerateTask,
    "fetch": FetchTask,
    "align": AlignTask,
    "tiny": TinyTask,
    "encode": EncodeTask,
    "train": TrainTask,
    "evaluate": EvaluateTask,
    "tune_row": TuneTask,
    "aggregate": AggregateTask,
    "collect": CollectTask,
    "claims": ClaimsTask,
    "tables": TableTask,
    "figures": FigureTask,
    "complexity": ComplexityTask,
    "robustness": RobustnessTask,
    "report": ReportTask,
}
