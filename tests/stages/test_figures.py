"""The stage `figures` reads scores and runs, and says in the caption whose numbers they are."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from hycon.corpus.utterances import Utterance, write_table
from hycon.errors import HyConError
from hycon.evidence.tables import SENTIMENT
from hycon.params import load
from hycon.stages import figures
from tests.test_params import ROOT

PARAMS = load(ROOT)
LABELS = (-1.5, 0.0, 2.0)


def scores(path, values, seeds=(1, 2)):
    runs = {
        str(seed): {"test": dict.fromkeys(SENTIMENT, value)}
        for seed, value in zip(seeds, values, strict=True)
    }
    settings = {"train": {"emotion_decision": "joint"}}
    content = {"settings": settings, "seeds": runs, "metrics": {"f1": "weighted"}}
    path.write_text(json.dumps({**content, "parameters digest": "of"}))
    return str(path)


def draw(output, kind, key="sample", **options):
    texts = {name: value if isinstance(value, str) else json.dumps(value)
             for name, value in options.items()}  # fmt: skip
    given = {"kind": kind, "title": "A title", "key": key, "output": str(output),
             "expected": "{}", "colours": PARAMS.figures.as_json(), **texts}  # fmt: skip
    given["corpus"] = PARAMS.catalogue[key].as_json()
    figures.main([f"--{name.replace('_', '-')}={value}" for name, value in given.items()])
    return output.with_suffix(".txt").read_text()


@pytest.fixture
def rows(tmp_path):
    return [
        [0.2, scores(tmp_path / "a.json", [0.5, 0.75])],
        [0.8, scores(tmp_path / "b.json", [0.25, 0.5])],
    ]


def test_a_curve_draws_the_scores_and_its_caption_says_whose_they_are(rows, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(figures, "write_curve", lambda *given: seen.append(given))
    with pytest.raises(FileNotFoundError):  # nothing was written
        draw(tmp_path / "c", "curve", rows=rows, metrics=["mae_all", "acc2_pos"], x_label="alpha",
             reference=["without", scores(tmp_path / "r.json", [0.25, 0.75])])  # fmt: skip
    (((mae, acc), x_label, caption, _, colours),) = seen
    assert colours == PARAMS.figures
    assert x_label == "alpha"
    assert mae.points == acc.points == [(0.2, [0.5, 0.75]), (0.8, [0.25, 0.5])]
    assert mae.reference == acc.reference == ("without", 0.5)
    assert (mae.label, mae.factor, mae.lowest_is_best) == ("MAE all", 1, True)
    assert (acc.label, acc.factor, acc.lowest_is_best) == ("Acc2 pos", 100, False)
    for part in ("A title. Corpus: Sample (made up)", "SAMPLE NUMBERS, not results.", "Test fold",
                 "seeds 1, 2 (n = 2)", "ddof 1", "y > 0 against y < 0"):  # fmt: skip
        assert part in caption


def test_a_real_corpus_is_no_sample_and_one_seed_has_no_spread(tmp_path):
    rows = [[1, scores(tmp_path / "a.json", [0.5], [7])]]
    options = {"rows": rows, "metrics": ["acc7"], "x_label": "x", "reference": None}
    caption = draw(tmp_path / "c", "curve", "mosi-utterance", **options)
    assert "SAMPLE" not in caption
    assert "random 64%" in caption
    assert "one seed (7), so without a spread" in caption


def test_other_seeds_and_unknown_metrics_are_refused(rows, tmp_path):
    rows.append([1, scores(tmp_path / "c.json", [0.5, 0.5], [1, 3])])
    with pytest.raises(HyConError, match=r"c\.json: found seeds 1, 3, expected .* 1, 2;"):
        draw(tmp_path / "c", "curve", rows=rows, metrics=["acc7"], x_label="x")
    with pytest.raises(HyConError, match="no rows to draw"):
        draw(tmp_path / "c", "curve", rows=[], metrics=["acc7"], x_label="x")
    with pytest.raises(HyConError, match="metric 'acc8' is none of sample; choose from acc7,"):
        draw(tmp_path / "c", "curve", rows=rows, metrics=["acc8"], x_label="x")


def test_a_kind_without_what_it_needs_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        draw(tmp_path / "c", "tsne", seed=1)
    assert stopped.value.code == 2
    assert "--kind tsne needs --aligned" in capsys.readouterr().err


@pytest.fixture
def runs(tmp_path):
    """Return two runs over 30 utterances, of which the last 15 are the test fold."""
    utterances = [
        Utterance(f"u{i}", "v", i, "test" if i >= 15 else "train", 0, 1, 1, str(LABELS[i % 3]), "t")
        for i in range(30)
    ]
    write_table(tmp_path / "utterances.csv", utterances)
    fused = np.random.default_rng(1).standard_normal((30, 5)).astype(np.float32)
    for seed in (4, 5):
        folder = tmp_path / f"run-{seed}"
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps({"seed": seed}))
        save_file({"fused": fused * seed}, folder / "representations.safetensors")
    return [["With", str(tmp_path / "run-4")], ["Without", str(tmp_path / "run-5")]]


def test_a_pair_is_of_the_test_fold_with_classes_by_sign(runs, tmp_path, monkeypatch):
    seen, embed = [], figures.embed
    monkeypatch.setattr(figures, "embed", lambda *given: seen.append(given) or embed(*given))
    caption = draw(tmp_path / "p", "tsne", aligned=str(tmp_path), runs=runs, seed=9)
    fused = np.random.default_rng(1).standard_normal((30, 5)).astype(np.float32)
    np.testing.assert_array_equal(seen[1][0], fused[15:] * 5)
    assert seen[0][1].tolist() == ["negative", "neutral", "positive"] * 5
    assert seen[0][2] == 9
    for part in (
        "n = 15 utterances (negative 5, neutral 5, positive 5)",
        "(With: seed 4; Without: seed 5)",
        "SAMPLE NUMBERS",
        "neutral: y = 0",
        "perplexity 4.67, seed 9",
    ):
        assert part in caption
    assert (tmp_path / "p.svg").is_file()


def test_a_run_that_cannot_be_drawn_is_named(runs, tmp_path):
    save_file({"fused": np.ones((3, 5))}, tmp_path / "run-5/representations.safetensors")
    with pytest.raises(HyConError, match=r"run-5/repr.*: 3 of fused, expected 30; train again"):
        draw(tmp_path / "p", "tsne", aligned=str(tmp_path), runs=runs, seed=9)
    (tmp_path / "run-4/run.json").unlink()
    with pytest.raises(HyConError, match=r"run-4/run\.json: cannot be read"):
        draw(tmp_path / "p", "tsne", aligned=str(tmp_path), runs=runs, seed=9)


def test_emotions_have_their_own_metrics_and_their_own_note(tmp_path):
    path = tmp_path / "e.json"
    settings = {"train": {"emotion_decision": "one-against-rest"}}
    content = {"settings": settings, "metrics": {"f1": "macro"}}
    path.write_text(json.dumps({**content, "seeds": {"1": {"test": {"f1_sad": 0.5}}}}))
    options = {"rows": [[1, str(path)]], "metrics": ["f1_sad"], "x_label": "x"}
    caption = draw(tmp_path / "c", "curve", "sample-emotion", **options)
    assert "F1 macro" in caption
    assert "Each emotion: a yes or no for it, trained against the rest" in caption
    assert "<!-- F1 sad (%) -->" in (tmp_path / "c.svg").read_text()
