"""The catalogue of corpora, and the text encoders."""

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from hycon.params.base import Count, Name, Strict, check_distinct

# what hycon.corpus.sample makes
GENERATED = ("words", "vectors", "audio", "vision", "labels", "folds")
GENERATED_EMOTIONS = ("happy", "sad", "angry", "neutral")
# what hycon.encoders.tiny builds
TINY = ("bert", "xlnet")
Modality = Literal["words", "vectors", "audio", "vision", "labels", "folds"]


class SourceFile(Strict):
    """One file of a corpus: its path on a server, and what is known of it."""

    path: str
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @model_validator(mode="after")
    def _stays_inside(self) -> Self:
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts or not path.name or "\0" in self.path:
            raise ValueError("must be a relative path without '..'")
        return self


class Generator(Strict):
    """How a made-up corpus is made."""

    videos: Annotated[int, Field(ge=8, le=10_000)]
    utterances_per_video: Annotated[int, Field(ge=3, le=1_000)]
    seed: Annotated[int, Field(ge=0)]


class Corpus(Strict):
    """One entry of the catalogue (corpora.yaml)."""

    title: str
    task: Literal["regression", "classification"]
    emotions: Annotated[list[Name], Field(min_length=2)] | None = None
    standard_folds: Literal["cmu_mosi", "cmu_mosei"] | None = None
    fold_sizes: Annotated[list[Count], Field(min_length=3, max_length=3)] | None = None
    servers: list[str] = Field(default=[])
    generator: Generator | None = None
    note: str = ""
    citation: str = ""
    licence: str = ""
    files: dict[Modality, SourceFile]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        missing = {"words", "audio", "vision", "labels"} - set(self.files)
        if missing:
            raise ValueError(f"files lacks {', '.join(sorted(missing))}")
        if ("folds" in self.files) == (self.standard_folds is not None):
            raise ValueError("needs either standard_folds or a file `folds`, not both")
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
            raise ValueError(f"files of a made-up corpus are {', '.join(made.values())}")
        if self.emotions not in (None, list(GENERATED_EMOTIONS)):
            raise ValueError(f"emotions of a made-up corpus are {', '.join(GENERATED_EMOTIONS)}")

    def as_input(self) -> str:
        """Return as JSON what the numbers depend on: not how a corpus is described or found."""
        bare = {"title": "", "note": "", "citation": "", "licence": "", "servers": []}
        return self.model_copy(update=bare).as_json()


class Encoder(Strict):
    """A text encoder: the corpus's own word vectors, or a pretrained Transformer's states."""

    label: str
    kind: Literal["vectors", "transformer"]
    model: str | None = None
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    max_tokens: Annotated[int, Field(ge=3, le=4096)] = 128
    batch_size: Count = 64
    finetune: bool = False

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
        """Which tiny model is built here, if it is one."""
        found = (self.model or "").startswith("tiny:")
        return self.model.removeprefix("tiny:") if found else None

    def as_input(self) -> str:
        """Return as JSON what the states depend on: all but the label."""
        return self.model_copy(update={"label": ""}).as_json()
