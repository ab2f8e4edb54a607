"""A row with its scores and their resamples, as a task names it."""

import json

import numpy as np
from safetensors.numpy import save_file

from hycon.atomic_io import sha256_of
from hycon.plan.tasks import ScoredRow

DIGEST = "0123456789abcdef"  # of the parameters that the scores are made with
GROUPS = 30


def scored_row(path, seeds, content=None, model="HyCon", encoder="BERT", row="hycon-bert"):
    """Write the scores of some seeds with what else the file has; return the row of them.

    On resamples of the utterances each metric is the same, so that only seeds make an error.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tests = [run.get("test", {}) for run in seeds.values()]
    resampled = {
        name: np.repeat(np.array([test[name] for test in tests], np.float32)[:, None], 20, axis=1)
        for name in tests[0]
        if all(name in test for test in tests)
    }
    file = path.with_name("resampled.safetensors")
    save_file(resampled, file)
    whole = {
        "metrics": {"f1": "weighted"},
        "parameters digest": DIGEST,
        "resampled": {"sha256": sha256_of(file), "groups": GROUPS},
        "seeds": seeds,
    }
    path.write_text(json.dumps(whole | (content or {})))
    return ScoredRow(row=row, scores=path, parameters_digest=DIGEST, model=model, encoder=encoder)


def with_other_parameters(row):
    """Return a row whose scores are not made with the parameters that it must have."""
    return row.model_copy(update={"parameters_digest": "f" * 16})
