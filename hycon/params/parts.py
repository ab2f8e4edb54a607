"""Parts of the configuration that are no settings of a row: alignment, metrics, costs, figures."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from hycon.params.base import Count, Name, Positive, Strict


class ComplexityConfig(Strict):
    """Measurement of complexity."""

    repeats: Count
    """Timed rounds."""
    table: Annotated[Name, StringConstraints(pattern=r"^complexity(-[a-z0-9]+)*$")] = "complexity"
    """Name of the table; that of times and memory is NAME-measured. complexity-NAME in an overlay
    keeps the table of another overlay of the same corpus."""


class Longest(Strict):
    """Maximum frames per utterance in unaligned mode."""

    audio: Count
    """Audio frames kept of an utterance, from its start."""
    vision: Count
    """Vision frames kept of an utterance, from its start."""


class MetricsConfig(Strict):
    """Choices where the field computes one metric in several ways."""

    f1: Literal["weighted", "macro"]
    """weighted: each class counts by its number of utterances; macro: classes count equally.
    Published F1 is weighted."""


Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9A-Fa-f]{6}$")]


class FigureConfig(Strict):
    """Appearance of figures."""

    line: Colour
    """Colour of curves and their bands."""
    classes: Annotated[list[Colour], Field(min_length=4)]
    """Colours of classes in t-SNE figures."""


class AlignConfig(Strict):
    """Alignment of frames to words, and of words to segments."""

    epsilon: Positive
    """Tolerance at the edges of a word, in seconds. The SDK's main branch has 1e-5, its PyPI
    release 1e-3."""
    mode: Literal["words", "unaligned"]
    """words: mean of the frames within each word; unaligned: frames at their own rate."""
    longest: Longest
    """Frames kept of an utterance if mode is unaligned."""
