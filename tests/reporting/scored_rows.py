"""A row with its scores, as a task names it."""

import json

from hycon.plan.tasks import ScoredRow

DIGEST = "0123456789abcdef"  # of the parameters that the scores are made with


def scored_row(path, seeds, content=None, model="HyCon", encoder="BERT", row="hycon-bert"):
    """Write the scores of some seeds with what else the file has; return the row of them."""
    whole = {"metrics": {"f1": "weighted"}, "parameters digest": DIGEST, "seeds": seeds}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole | (content or {})))
    return ScoredRow(row=row, scores=path, parameters_digest=DIGEST, model=model, encoder=encoder)


def with_other_parameters(row):
    """Return a row whose scores are not made with the parameters that it must have."""
    return row.model_copy(update={"parameters_digest": "f" * 16})
