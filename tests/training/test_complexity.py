"""What rows cost: what is counted agrees with counts by hand, and every row is measured alike."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from hycon.corpus.utterances import Utterance, write_table
from hycon.encoders.language_model import LanguageModel
from hycon.encoders.text import load as load_model
from hycon.encoders.text import tokenise
from hycon.encoders.tiny import build_bert
from hycon.errors import HyConError
from hycon.networks.hycon import HyCon
from hycon.params import load
from hycon.plan.job import Job, read_document
from hycon.plan.tasks import ComplexityTask, MeasuredRow
from hycon.training.complexity import (
    MEANINGS,
    TimedRow,
    measure,
    multiply_adds,
    saved_bytes,
    summary,
)
from hycon.training.device import make_deterministic
from tests.networks.test_hycon import SETTINGS, WIDTHS, data
from tests.running import run_stage
from tests.test_params import ROOT
from tests.training.test_finetuning import finetuning, with_text
from tests.training.test_loop import corpus, settings

NONE = {"intra": 0, "inter": 0, "semi": 0}
SENTENCES = [" ".join(["a", "good", "film", "and", "long"][: 1 + i % 5]) for i in range(60)]


@pytest.fixture(autouse=True)
def _as_in_training():
    torch.set_num_threads(1)
    make_deterministic()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def turns():
    return []


@pytest.fixture(scope="module")
def measured(turns):
    """Return what the same network costs with and without contrastive learning."""

    def show(all_turns):
        turns.extend(all_turns)
        return all_turns

    data = corpus()
    return measure([TimedRow(data, settings()), TimedRow(data, settings(lambdas=NONE))], 2, show)


def test_a_linear_layer_multiplies_and_adds_inputs_times_outputs_for_each_row():
    assert multiply_adds(nn.Linear(5, 3), torch.ones(4, 5)) == 4 * 5 * 3


# Four utterances of 13 steps, padded to 7 steps where they attend and recur: 28 rows. The
# projections of 5 + 3 + 4 features to 8 take 13 * 8 * 12 = 1248, the head 4 * (8 * 8 + 8) = 288.
# Text has one layer, audio and vision two.
@pytest.mark.parametrize(
    ("network", "expected"),
    [
        # the last layer: keys and values 13 * 128, query and output 4 * 64 each, feed-forward
        # 4 * 512, attention 2 * 4 * 7 * 8: 4672. Another: 13 * (64 + 128 + 64 + 512) and
        # 2 * 4 * 7 * 7 * 8: 13120
        ("transformer", 1248 + 3 * 4672 + 2 * 13120 + 288),
        # four gates, of the input and of the state: 28 * 4 * 2 * 64 = 14336 a layer
        ("lstm", 1248 + 5 * 14336 + 288),
    ],
)
def test_multiply_adds_of_the_network_are_those_counted_by_hand(network, expected):
    model = HyCon(WIDTHS, 1, SETTINGS.model_copy(update={"network": network}))
    assert multiply_adds(model, data().batch(torch.arange(4))) == expected


def test_counting_leaves_the_fast_kernels_switched_on():
    before = torch.backends.mkldnn.enabled, torch.backends.cuda.flash_sdp_enabled()
    multiply_adds(nn.Linear(5, 3), torch.ones(4, 5))
    assert (torch.backends.mkldnn.enabled, torch.backends.cuda.flash_sdp_enabled()) == before


def test_what_the_largest_batch_keeps_for_its_backward_pass_is_counted_without_weights():
    model = nn.Sequential(nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 2))

    def epoch(step):
        for count in (2, 7, 4):
            step(model(torch.ones(count, 5)).sum())

    # float32: 5 inputs and 3 hidden values a row
    assert saved_bytes(model, torch.Tensor.backward, epoch) == 7 * (5 + 3) * 4


def test_a_summary_is_the_median_and_the_quartiles():
    assert summary([4.0, 1.0, 3.0, 2.0, 5.0]) == {"median": 3.0, "iqr": [2.0, 4.0], "n": 5}


def test_parameters_are_all_numbers_that_are_trained(measured):
    model = HyCon(WIDTHS, 1, settings().model)
    expected = sum(parameter.numel() for parameter in model.parameters())
    for row in measured:
        assert row["trainable parameters"] == expected
        assert row["trainable parameters without text encoder"] == expected
        # float32 weights, their gradients, two moments
        assert row["training memory bytes"] > 4 * 4 * expected


def test_a_fine_tuned_encoder_is_counted_and_can_be_told_apart(tmp_path):
    build_bert(SENTENCES, tmp_path)
    tokenizer, model = load_model(str(tmp_path))
    tokens, offsets, names, _ = tokenise(SENTENCES, tokenizer, model, 16)
    encoder, data = LanguageModel(model, names), with_text(tokens, offsets)
    size = sum(parameter.numel() for parameter in encoder.parameters())
    tuned, frozen = (
        measure([TimedRow(data, finetuning(rate), encoder)], 1)[0] for rate in (1e-3, 0.0)
    )
    without = tuned["trainable parameters without text encoder"]
    assert tuned["trainable parameters"] == without + size
    assert frozen["trainable parameters"] == without
    assert tuned["text encoder in network"] is frozen["text encoder in network"] is True
    assert tuned["multiply-adds per utterance"] == frozen["multiply-adds per utterance"]
    # a gradient and two moments of each of its numbers, and what its backward pass needs
    assert tuned["training memory bytes"] > frozen["training memory bytes"] + 3 * 4 * size


def test_contrastive_learning_costs_time_in_training(measured):
    hybrid, plain = (row["contrastive share of training step"] for row in measured)
    assert 0 < hybrid["median"] < 1
    assert plain == {"median": 0.0, "iqr": [0.0, 0.0], "n": 0}
    assert measured[0]["training memory bytes"] > measured[1]["training memory bytes"]


def test_contrastive_learning_costs_nothing_at_inference(measured):
    hybrid, plain = measured
    for key in ("multiply-adds per utterance", "trainable parameters"):
        assert hybrid[key] == plain[key] > 0


def test_averaged_weights_take_memory_of_their_own():
    data = corpus()
    plain, averaged = measure(
        [TimedRow(data, settings()), TimedRow(data, settings(averaging=0.5))], 1
    )
    difference = averaged["training memory bytes"] - plain["training memory bytes"]
    assert difference == 4 * plain["trainable parameters"]


@pytest.mark.usefixtures("measured")
def test_rows_take_turns(turns):
    assert turns == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]


def write_corpus(folder):
    """Write the aligned utterances of a corpus of 60 and states of their text."""
    generator = np.random.default_rng(0)
    folds = ["train"] * 40 + ["valid"] * 10 + ["test"] * 10
    write_table(
        folder / "utterances.csv",
        [
            Utterance(
                f"v{i}[0]", f"v{i}", 0, fold, 0.0, 1.0, 1 + i % 5, str(i % 7 - 3.0), SENTENCES[i]
            )
            for i, fold in enumerate(folds)
        ],
    )
    offsets = np.concatenate([[0], np.cumsum([1 + i % 5 for i in range(60)])])
    for name, width in (("audio", 3), ("vision", 4), ("states", 5)):
        values = generator.standard_normal((offsets[-1], width)).astype(np.float32)
        np.save(folder / f"{name}.npy", values)
        np.save(folder / f"{name}.offsets.npy", offsets)


@pytest.fixture
def task(tmp_path):
    params = load(ROOT)
    return ComplexityTask(
        corpus=params.catalogue["sample"].as_input(),
        rows=[
            MeasuredRow(
                row=row, encoder_name="glove", settings=chosen,
                encoder=params.encoders["glove"].as_input(), states=tmp_path, tiny=None,
            )
            for row, chosen in (("hycon", settings()), ("none", settings(lambdas=NONE)))
        ],
        aligned=tmp_path, repeats=1, output=tmp_path / "complexity.json",
    )  # fmt: skip


def test_the_stage_writes_every_figure_of_every_row_and_the_machine(task, tmp_path):
    write_corpus(tmp_path)
    run_stage("complexity", task)
    record = json.loads((tmp_path / "complexity.json").read_text())
    assert [row["label"] for row in record["rows"]] == ["hycon", "none"]
    assert [row["encoder"] for row in record["rows"]] == ["glove", "glove"]
    for row in record["rows"]:
        assert set(row) == {"label", "encoder", "measured with", *MEANINGS}
        assert row["peak device memory bytes"] is None
        assert row["seconds per epoch"]["n"] == 1
    assert record["machine"]["threads"] == 1
    assert record["machine"]["processor"]
    assert record["training utterances"] == 40


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rows", []),
        ("rows", [[1]]),
        ("rows", {}),
        ("rows", [{"row": "a", "encoder_name": "b", "settings": {}, "encoder": {}}]),
        ("repeats", 0),
    ],
)
def test_a_job_without_rows_or_rounds_to_measure_is_refused(task, key, value):
    job = Job(stage="complexity", name="", phase="evidence", task=task, writes=(), code=())
    document = json.loads(job.document())
    assert read_document(json.dumps(document), "complexity").task == task
    document["task"][key] = value
    with pytest.raises(HyConError, match=rf"not a job of stage complexity .*\({key}"):
        read_document(json.dumps(document), "complexity")
