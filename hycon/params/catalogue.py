"""The catalogue of corpora, and the text encoders."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from hycon.params.base import Count, Fraction, Line, Name, Strict, Text, check_distinct

# files of hycon.sample.corpus
GENERATED = ("words", "vectors", "audio", "vision", "labels", "folds")
GENERATED_EMOTIONS = ("happy", "sad", "angry", "neutral")
# models of hycon.encoders.tiny
TINY = ("bert", "xlnet")
# roles of the files of each format
REQUIRED = {
    "sequences": ("words", "audio", "vision", "labels"),
    "mmsa": ("features",),
    "mult": ("features",),
}
OPTIONAL = {"sequences": ("vectors", "folds")}
Part = Literal["words", "vectors", "audio", "vision", "labels", "folds", "features"]
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


class Generator(Strict):
    """Size and seed of a generated corpus."""

    videos: Annotated[int, Field(ge=8, le=10_000)]
    """Number of videos."""
    utterances_per_video: Annotated[int, Field(ge=3, le=1_000)]
    """Utterances of each video."""
    seed: Annotated[int, Field(ge=0)]
    """Seed of the generator."""


class Corpus(Strict):
    """One entry of the catalogue (corpora.yaml)."""

    title: Line
    """Name in tables and figures."""
    task: Literal["regression", "classification"]
    """regression: scores in [-3, 3]; classification: emotions."""
    format: Literal["sequences", "mmsa", "mult"] = "sequences"
    """sequences: computational sequences of the CMU-Multimodal SDK; mmsa, mult: one feature
    file with its own folds."""
    emotions: Annotated[list[Name], Field(min_length=2)] | None = None
    """Emotions, in the order of the label's columns."""
    standard_folds: Literal["cmu_mosi", "cmu_mosei"] | None = None
    """Folds of the CMU-Multimodal SDK; otherwise a file `folds` has them."""
    fold_sizes: Annotated[list[Count], Field(min_length=3, max_length=3)] | None = None
    """Expected utterances in the training, validation and test folds."""
    cut_boundaries: Fraction = 0.04
    """Share of segment boundaries that may cut a word before `align` warns. In CMU-MOSI 2.4% do if
    words and labels come from one alignment, and 5.3% if they do not."""
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
        own = "folds" in self.files
        if self.format == "sequences" and own == (self.standard_folds is not None):
            raise ValueError("needs either standard_folds or a file `folds`, not both")
        if self.format != "sequences" and self.standard_folds:
            raise ValueError(f"standard_folds: a file of format {self.format} has its own")
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

    @property
    def has_text(self) -> bool:
        """Whether the corpus has words, not only word vectors."""
        return self.format != "mult"

    @property
    def has_vectors(self) -> bool:
        """Whether the corpus has word vectors."""
        return self.format != "sequences" or "vectors" in self.files

    def as_input(self) -> Self:
        """Return the entry without its descriptions and addresses, which no result depends on."""
        bare = dict.fromkeys(("title", "note", "homepage", "citation", "licence", "vectors"), "")
        files = {name: SourceFile(path=file.name) for name, file in self.files.items()}
        return self.model_copy(update={**bare, "mirrors": [], "files": files})


class Encoder(Strict):
    """A text encoder: the corpus's own word vectors, or a pretrained Transformer's states."""

    label: Line
    """Name in tables and figures."""
    kind: Literal["vectors", "transformer"]
    """vectors: the corpus's word vectors; transformer: states of `model`."""
    model: Line | None = None
    """Hugging Face id, local folder, `package:NAME` (an installed package that contains a
    model), or `tiny:bert` or `tiny:xlnet` (generated from the training words, random weights)."""
    sha256: Sha256 | None = None
    """Expected digest of model.safetensors."""
    max_tokens: Annotated[int, Field(ge=3, le=4096)] = 128
    """Tokens per utterance, [CLS] and [SEP] included; longer utterances are cut."""
    batch_size: Count = 64
    """Utterances per forward pass when encoding."""
    finetune: bool = False
    """Whether to train the encoder with the rest of the network instead of caching its states."""

    @model_validator(mode="after")
    def _names_a_model(self) -> Self:
        if (self.kind == "transformer") != bool(self.model):
            raise ValueError("model belongs to kind: transformer, and only there")
        if self.finetune and not self.model:
            raise ValueError("finetune belongs to kind: transformer, and only there")
        if self.tiny and self.tiny not in TINY:
            made = " and ".join(f"tiny:{name}" for name in TINY)
            raise ValueError(f"model {self.model} is unknown; the tiny models are {made}")
        return self

    @property
    def tiny(self) -> str | None:
        """Name of the tiny model, or None for another model."""
        found = (self.model or "").startswith("tiny:")
        return self.model.removeprefix("tiny:") if found else None

    def as_input(self) -> Self:
        """Return the entry without what its states do not depend on."""
        bare: dict[str, str | int] = {"label": ""}
        if self.kind == "vectors":
            bare |= {"max_tokens": 128, "batch_size": 64}
        return self.model_copy(update=bare)
