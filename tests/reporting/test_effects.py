"""The figure of effects: what is compared, and what is drawn."""

import numpy as np
import pytest

from hycon.params import load
from hycon.plan.tasks import EffectFigure, EffectPoint, FigureTask
from hycon.reporting import effects
from hycon.stages import Machine
from hycon.stages.figures import main
from tests.reporting.scored_rows import scored_row
from tests.test_params import ROOT

PARAMS = load(ROOT)
SEEDS = (1, 2, 3, 4)
NOISE = np.array([-0.03, 0.01, 0.02, 0.0])


def row(folder, name, mean, spread):
    seeds = {
        str(seed): {"test": {"mae_all": float(mean + spread * value)}}
        for seed, value in zip(SEEDS, NOISE, strict=True)
    }
    settings = {"settings": {"train": {"emotion_decision": None}}}
    return scored_row(folder / name / "scores.json", seeds, settings, row=name)


def figure(folder, alone=True):
    reference, text = row(folder, "none", 1.0, 1), row(folder, "text", 1.2, 0)
    points = [
        EffectPoint(
            panel=panel, x=x, variant="HyCon", row=row(folder, f"hycon-{x}", 1.0 + gap, -1),
            reference=reference, alone=text if alone else None,
        )
        for panel, x, gap in (("share", 0.05, -0.1), ("share", 1.0, 0.0), ("encoder", "BERT", 0.2))
    ]  # fmt: skip
    return EffectFigure(
        points=points, reference="None", alone="Text" if alone else None,
        inference=PARAMS.inference,
    )  # fmt: skip


def test_differences_and_gains_are_those_of_a_paired_t_test(tmp_path):
    found, seeds = effects.compare_points(figure(tmp_path), "mae_all")
    assert seeds == set(SEEDS)
    assert [round(each.found.difference, 6) for each in found] == [-0.1, 0.0, 0.2]
    assert all(each.gain.difference == pytest.approx(-0.2) for each in found)
    error = np.std(2 * NOISE, ddof=1) / len(SEEDS) ** 0.5
    assert found[0].found.error == pytest.approx(error, rel=1e-4)


@pytest.mark.parametrize("alone", [True, False])
def test_it_is_drawn_with_a_panel_for_each_kind_of_condition(tmp_path, alone, monkeypatch):
    drawn = {}

    def kept(shown, caption, path):
        drawn["labels"] = [axes.get_xlabel() for axes in shown.axes if axes.axison]
        drawn["scales"] = [axes.get_xscale() for axes in shown.axes if axes.axison]
        drawn["caption"] = caption

    monkeypatch.setattr(effects, "save", kept)
    task = FigureTask(
        key="sample", corpus=PARAMS.catalogue["sample"], title="Effects", colours=PARAMS.figures,
        figure=figure(tmp_path, alone), output=tmp_path / "effects",
    )  # fmt: skip
    main(task, Machine("cpu", 1))
    assert drawn["labels"][:2] == ["share", "encoder"]
    assert drawn["scales"][:2] == ["log", "linear"]
    assert len(drawn["labels"]) == 2 + alone
    assert ("Last panel" in drawn["caption"]) == alone
    assert "SAMPLE NUMBERS" in drawn["caption"]
    assert "seeds 1-4" in drawn["caption"]
    assert "±0.02" in drawn["caption"]
