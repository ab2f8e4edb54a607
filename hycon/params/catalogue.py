"""The catalogue of corpora, and the text encoders."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from hycon.params.base import (
    MODALITIES,
    Count,
    Fraction,
    Line,
    Name,
    Strict,
    Text,
    check_distinct,
)

# files of hycon.sample.corpus
GENERATED = ("words", "vectors", "audio", "vision", "labels", "folds")
GENERATED_EMOTIONS = ("happy", "sad", "angry", "neutral")
# models of hycon.encoders.tiny
TINY = ("bert", "xlnet")
# roles of the files of each format
REQUIRED = {
    "sequences": ("labels",),
    "mmsa": ("features",),
    "mult": ("features",),
    "table": ("table",),
}
# of these, the ones that give a corpus its modalities
FEATURES = ("words", "vectors", "audio", "vision")
OPTIONAL = {"sequences": (*FEATURES, "folds"), "table": FEATURES[1:]}
TABLES = (".csv", ".parquet")
ARRAYS = (".npy", ".npz", ".parquet")
Part = Literal["words", "vectors", "audio", "vision", "labels", "folds", "features", "table"]
# a file's name becomes a path, a wildcard and part of a shell command
FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")
TAKEN = (".sha256", ".part", ".copy", ".lock")  # suffixes that `fetch` adds
ADDRESS = re.compile(r"https?://", re.IGNORECASE)
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class SourceFile(Strict):
    """One file of a corpus."""

    path: Line
    """Path on a mirror. Its last part is the file's name here."""
    sources: list[Line] = Field(default=[])
    """Other paths on a mirror, and whole addresses, of the same file."""
    sha256: Sha256 | None = None
    """Expected digest."""
    size: Count | None = None
    """Expected size in bytes."""

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @model_validator(mode="after")
    def _stays_inside(self) -> Self:
        for text in (self.path, *self.sources):
            if text != self.path and ADDRESS.match(text):
                continue
            path = PurePosixPath(text)
            if path.is_absolute() or {"..", "~"} & set(path.parts) or re.search(r"[\\:]", text):
                raise ValueError(f"{text!r} must be a relative path without '..', ':' and '\\\\'")
        if not FILE.fullmatch(self.name) or self.name.endswith(TAKEN):
            raise ValueError(
                f"path: {self.name[:100]!r} becomes a file's name here: a letter or digit, then at "
                f"most 199 of A-Z, a-z, 0-9 and . _ + -, none of {', '.join(TAKEN)} at the end"
            )
        return self

    def addresses(self, mirror: str | None, mirrors: list[str]) -> list[str]:
        """Return the addresses of the file in the order in which to try them."""
        whole = [text for text in self.sources if ADDRESS.match(text)]
        paths = [self.path, *(text for text in self.sources if text not in whole)]
        roots = [mirror, *mirrors] if mirror else mirrors
        return [f"{root.rstrip('/')}/{path}" for root in roots for path in paths] + whole


Strength = Annotated[list[Annotated[float, Field(ge=0, le=3)]], Field(min_length=2, max_length=2)]


class Planted(Strict):
    """What is true of a generated corpus, so that verdicts on it can be checked."""

    training: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """Share of the videos in the training fold; 3/8 of the others are for validation."""
    noise: Annotated[float, Field(ge=0, le=10)] = 0.8
    """Standard deviation of the cues in audio and vision; those of two signs, or of two emotions,
    are at least 2 apart."""
    strength: Strength = Field(default=[0.0, 3.0])
    """Least and largest absolute value of a score. Features show its sign, and nothing of its
    size. Unused by emotions."""
    longest: Annotated[int, Field(ge=5, le=25)] = 8
    """Words of the longest sentence. The text encoders with random weights read short ones best."""
    synonyms: Annotated[int, Field(ge=1, le=8)] = 1
    """Words of one meaning that speakers use."""


class Generator(Strict):
    """Size, seed and planted truth of a generated corpus."""

    videos: Annotated[int, Field(ge=8, le=10_000)]
    """Number of videos."""
    utterances_per_video: Annotated[int, Field(ge=3, le=1_000)]
    """Utterances of each video."""
    seed: Annotated[int, Field(ge=0)]
    """Seed of the generator."""
    planted: Planted = Planted()
    """What is true of the corpus."""


# a value of a column; YAML reads some as numbers
Value = Annotated[
    Line,
    BeforeValidator(lambda value: str(value) if type(value) is int else value),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
]


class FoldRule(Strict):
    """How the groups of a table are divided into training, validation and test."""

    column: Line | None = None
    """Column whose values decide: names of folds (train, valid or val or dev, test), or, with
    `test` or `leave_one_out`, values such as sessions. null draws groups at random."""
    test: Annotated[list[Value], Field(min_length=1)] | None = None
    """Values of `column` that are tested."""
    valid: Annotated[list[Value], Field(min_length=1)] | None = None
    """Values of `column` for validation; null draws groups of the rest at random."""
    leave_one_out: bool = False
    """Whether each value of `column` is tested once, by a network trained on the others, of which
    the next in order is for validation. Scores are then over all utterances."""
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the groups that are drawn for the test fold, if `column` is null."""
    valid_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the remaining groups that are drawn for validation, if no column says which."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of what is drawn."""

    @model_validator(mode="after")
    def _is_one_rule(self) -> Self:
        if self.column is None and (self.test or self.valid or self.leave_one_out):
            raise ValueError(
                "column: missing; `test`, `valid` and `leave_one_out` are about its values"
            )
        if self.leave_one_out and (self.test or self.valid):
            raise ValueError("leave_one_out tests every value of column; remove test and valid")
        if self.valid and not self.test:
            raise ValueError("test: missing; name the values that are tested, too")
        if both := set(self.test or ()) & set(self.valid or ()):
            raise ValueError(f"{min(both)} is in test and in valid; keep it in one")
        return self


class Columns(Strict):
    """What the columns of a table of utterances mean (format: table)."""

    group: Line
    """Column of what must stay in one fold: the video, the dialogue or the speaker."""
    label: Line
    """Column of the score in [-3, 3], or of the emotion."""
    name: Line | None = None
    """Column of the utterance's name; null names them by group and number."""
    text: Line | None = None
    """Column of the text; null for a corpus without one."""
    emotions: dict[Value, Name] = Field(default={})
    """Which value of the column `label` is which emotion, if they are not the same; utterances with
    other values are left out."""
    folds: FoldRule = Field(default=FoldRule())
    """How the groups are divided into folds."""


class Corpus(Strict):
    """One entry of the catalogue (corpora.yaml)."""

    title: Line
    """Name in tables and figures."""
    task: Literal["regression", "classification"]
    """regression: scores in [-3, 3]; classification: emotions."""
    format: Literal["sequences", "mmsa", "mult", "table"] = "sequences"
    """sequences: computational sequences of the CMU-Multimodal SDK; mmsa, mult: one feature
    file with its own folds; table: a table of utterances, and an array for each modality."""
    columns: Columns | None = None
    """Meaning of the columns of a table."""
    emotions: Annotated[list[Name], Field(min_length=2)] | None = None
    """Emotions, in the order of the label's columns."""
    standard_folds: Literal["cmu_mosi", "cmu_mosei"] | None = None
    """Folds of the CMU-Multimodal SDK; otherwise a file `folds` has them."""
    fold_sizes: Annotated[list[Count], Field(min_length=3, max_length=3)] | None = None
    """Expected utterances in the training, validation and test folds."""
    cut_boundaries: Fraction = 0.04
    """Share of segment boundaries that may cut a word before `align` warns. In CMU-MOSI 2.4% do if
    words and labels come from one alignment, and 5.3% if they do not."""
    label_of: Literal["text", "audio", "vision"] | None = None
    """Label of one modality, as CH-SIMS has them (format mmsa: regression_labels_T, _A, _V); null
    takes the label of all."""
    vectors: Line = "GloVe"
    """Name of the word vectors."""
    mirrors: list[Line] = Field(default=[])
    """Folders or addresses that have the files."""
    generator: Generator | None = None
    """How a generated corpus is generated; null for real corpora."""
    note: Text = ""
    """Remark shown with the tables."""
    homepage: Text = ""
    """Where the corpus is described."""
    citation: Text = ""
    """What to cite."""
    licence: Text = ""
    """Terms of use."""
    files: dict[Part, SourceFile]
    """Files by role."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        required = REQUIRED[self.format]
        if missing := set(required) - set(self.files):
            raise ValueError(f"files lacks {', '.join(sorted(missing))}")
        if strange := set(self.files) - {*required, *OPTIONAL.get(self.format, ())}:
            raise ValueError(
                f"files of format {self.format} are {', '.join(required)}, not {strange.pop()}"
            )
        if (self.format == "table") != (self.columns is not None):
            raise ValueError("columns belong to format: table, and only there")
        if not self.modalities:
            raise ValueError("files has no modality; add words, audio or vision")
        if self.format == "sequences" and "vectors" in self.files and not self.has_text:
            raise ValueError("files: vectors need words, whose times are theirs")
        if self.columns:
            self._check_table(self.columns)
        own = "folds" in self.files
        if self.format == "sequences" and own == (self.standard_folds is not None):
            raise ValueError("needs either standard_folds or a file `folds`, not both")
        if self.format != "sequences" and self.standard_folds:
            raise ValueError(f"standard_folds: not for format {self.format}; remove it")
        if self.label_of and self.format != "mmsa":
            raise ValueError("label_of belongs to format: mmsa, and only there")
        if self.format == "mmsa" and self.emotions:
            raise ValueError("a file of format mmsa has scores, so task: regression")
        if (self.task == "classification") != (self.emotions is not None):
            raise ValueError("emotions belong to task: classification, and only there")
        names = [file.name for file in self.files.values()]
        if len(set(names)) < len(names):
            raise ValueError("two files of a corpus have the same name")
        check_distinct("emotions", self.emotions or [])
        if self.generator:
            self._check_generated()
        return self

    def _check_generated(self) -> None:
        made = {name: f"{name}.{'json' if name == 'folds' else 'csd'}" for name in GENERATED}
        if {name: file.name for name, file in self.files.items()} != made:
            raise ValueError(f"files of a generated corpus are {', '.join(made.values())}")
        if self.emotions not in (None, list(GENERATED_EMOTIONS)):
            raise ValueError(f"emotions of a generated corpus are {', '.join(GENERATED_EMOTIONS)}")

    def _check_table(self, columns: Columns) -> None:
        for part, file in self.files.items():
            known = TABLES if part == "table" else ARRAYS
            if PurePosixPath(file.name).suffix not in known:
                raise ValueError(f"files.{part}: {file.name} must end in {' or '.join(known)}")
        for value, emotion in columns.emotions.items():
            if emotion not in (self.emotions or ()):
                raise ValueError(f"columns.emotions.{value}: {emotion} is not one of `emotions`")

    @property
    def modalities(self) -> list[str]:
        """Modalities that the corpus has, in the order text, audio, vision."""
        if self.format in ("mmsa", "mult"):
            return list(MODALITIES)
        text = self.has_text or self.has_vectors
        return [name for name in MODALITIES if (text if name == "text" else name in self.files)]

    @property
    def has_text(self) -> bool:
        """Whether the corpus has words, not only word vectors."""
        if self.columns:
            return self.columns.text is not None
        return self.format == "mmsa" or "words" in self.files

    @property
    def has_vectors(self) -> bool:
        """Whether the corpus has word vectors."""
        return self.format in ("mmsa", "mult") or "vectors" in self.files

    @property
    def leaves_one_out(self) -> bool:
        """Whether each group is tested once, by a network trained on the others."""
        return self.columns is not None and self.columns.folds.leave_one_out

    def as_input(self) -> Self:
        """Return the entry without its descriptions and addresses, which no result depends on."""
        bare = dict.fromkeys(("title", "note", "homepage", "citation", "licence", "vectors"), "")
        files = {name: SourceFile(path=file.name) for name, file in self.files.items()}
        return self.model_copy(update={**bare, "mirrors": [], "files": files})


class Encoder(Strict):
    """A text encoder: the corpus's own word vectors, or a pretrained Transformer's states."""

    label: Line
    """Name in tables and figures."""
    kind: Literal["vectors", "transformer", "none"]
    """vectors: word vectors of `model`, or else of the corpus; transformer: states of `model`;
    none: for corpora without text, which use it whatever their experiments name."""
    model: Line | None = None
    """Hugging Face id, local folder, `package:NAME` (an installed package that contains a model
    or word vectors), `package:PREFIX001..005` (a model split over packages), or `tiny:bert` or
    `tiny:xlnet` (generated from the training words, random weights)."""
    sha256: Sha256 | None = None
    """Expected digest of model.safetensors, or of the vectors' .npy."""
    max_tokens: Annotated[int, Field(ge=3, le=4096)] = 128
    """Tokens per utterance, [CLS] and [SEP] included; longer utterances are cut."""
    batch_size: Count = 64
    """Utterances per forward pass when encoding."""
    finetune: bool = False
    """Whether to train the encoder with the rest of the network instead of caching its states."""
    frozen_layers: Annotated[int, Field(ge=0)] = 0
    """Lowest layers that fine-tuning leaves as they are, with the embeddings; their states are
    cached. For BERT, MPNet and other models of their structure."""

    @model_validator(mode="after")
    def _names_a_model(self) -> Self:
        if self.kind == "transformer" and not self.model:
            raise ValueError("model: missing; kind: transformer needs one")
        if self.kind == "vectors" and self.model and not self.model.startswith("package:"):
            raise ValueError("model: word vectors come from a package, package:NAME")
        if self.kind == "none" and self.model:
            raise ValueError("model: not for kind: none; remove it")
        if self.finetune and self.kind != "transformer":
            raise ValueError("finetune belongs to kind: transformer, and only there")
        if self.frozen_layers and not self.finetune:
            raise ValueError("frozen_layers: only with finetune: true; remove it")
        if self.tiny and self.tiny not in TINY:
            made = " and ".join(f"tiny:{name}" for name in TINY)
            raise ValueError(f"model {self.model} is unknown; the tiny models are {made}")
        return self

    @property
    def cached(self) -> bool:
        """Whether states of the encoder, or of its frozen layers, are cached before training."""
        return self.kind != "none" and (not self.finetune or self.frozen_layers > 0)

    @property
    def of_corpus(self) -> bool:
        """Whether it is the corpus's own word vectors."""
        return self.kind == "vectors" and self.model is None

    @property
    def tiny(self) -> str | None:
        """Name of the tiny model, or None for another model."""
        found = (self.model or "").startswith("tiny:")
        return self.model.removeprefix("tiny:") if found else None

    def as_input(self) -> Self:
        """Return the entry without what its states do not depend on."""
        bare: dict[str, str | int] = {"label": ""}
        if self.kind != "transformer":
            bare |= {"max_tokens": 128, "batch_size": 64}
        return self.model_copy(update=bare)
