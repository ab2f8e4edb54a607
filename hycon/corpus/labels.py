"""Labels of utterances, and the classes that pairs are formed by."""

import numpy as np

SCORE_LIMIT = 3.0  # scores are in [-3, 3]


def read_label(row: np.ndarray, emotions: list[str] | None) -> str:
    """Return one label as text: a score, or an emotion's name.

    Args:
        row: (C,) the label's features: the score first, or one number an emotion.
        emotions: names of the emotions, or None for a score.

    Raises:
        ValueError: not a label; the message is the reason.
    """
    if row.dtype.kind not in "iuf" or not len(row) or not np.isfinite(row).all():
        raise ValueError("label is not a finite number")
    if emotions is None:
        # a float32 score as the decimal that was meant: 2.4 and not 2.4000000953674316
        score = float(np.format_float_positional(row[0], unique=True))
        if abs(score) > SCORE_LIMIT:
            raise ValueError(f"score {score} is outside [-3, 3]")
        return repr(score)
    if len(row) != len(emotions) or np.count_nonzero(row > 0) != 1:
        raise ValueError(f"expected exactly one of {len(emotions)} emotions")
    return emotions[int(np.argmax(row))]


def sentiment_classes(scores: np.ndarray, scheme: str) -> np.ndarray:
    """Return the class of each score for forming pairs (method, section 7).

    Args:
        scores: (N,) in [-3, 3].
        scheme: `sign` (y < 0, y >= 0), `polarity` (negative, zero, positive) or `seven` (rounded
            half to even, clipped to [-3, 3]).

    Returns:
        (N,) int64, from 0.

    Raises:
        ValueError: unknown scheme.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scheme == "sign":
        return (scores >= 0).astype(np.int64)
    if scheme == "polarity":
        return np.sign(scores).astype(np.int64) + 1
    if scheme == "seven":
        return np.clip(np.round(scores), -SCORE_LIMIT, SCORE_LIMIT).astype(np.int64) + 3
    raise ValueError(f"scheme must be sign, polarity or seven, found {scheme!r}")
