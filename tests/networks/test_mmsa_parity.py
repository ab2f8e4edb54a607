"""Peers beside MMSA: the same weights give the same gradients, the same seed the same training.

Networks have MMSA's sizes for CMU-MOSI (CH-SIMS for multi-task ones), read from MMSA's own
configuration; the two with tensor fusion are smaller. The deviations that are taken away are named
at each test.
"""

import dataclasses
import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import default_collate

from hycon.corpus.to_mmsa import Longest, Tokens, fold_content, write
from hycon.corpus.utterances import FOLDS, RaggedArray, Utterance
from hycon.networks.hycon import PaddedBatch, TrainingStep
from hycon.params import MODALITIES, Settings, installed, load
from hycon.training import loop
from hycon.training.batches import CorpusTensors
from tests.networks.test_hycon import ragged
from tests.test_params import ROOT
from tests.training.test_loop import quiet, settings

if not installed():
    reason = "MMSA is not installed (pip install -c constraints.txt -e '.[peers]'): NO PARITY TEST"
    warnings.warn(reason, stacklevel=1)
    pytest.skip(reason, allow_module_level=True)

from hycon.networks.peers import Peer, mmsa
from tests.networks.test_peers import Trainer, trainer_of

VARIANTS = load(ROOT).variants
CLASSES = {  # folder, class, and key of the configuration in MMSA
    "tfn": ("singleTask", "TFN", "tfn"), "lmf": ("singleTask", "LMF", "lmf"),
    "lf-dnn": ("singleTask", "LF_DNN", "lf_dnn"), "ef-lstm": ("singleTask", "EF_LSTM", "ef_lstm"),
    "mfn": ("singleTask", "MFN", "mfn"), "graph-mfn": ("singleTask", "Graph_MFN", "graph_mfn"),
    "mult": ("singleTask", "MULT", "mult"), "misa": ("singleTask", "MISA", "misa"),
    "self-mm": ("multiTask", "SELF_MM", "self_mm"), "mtfn": ("multiTask", "MTFN", "mtfn"),
    "mlf-dnn": ("multiTask", "MLF_DNN", "mlf_dnn"), "mlmf": ("multiTask", "MLMF", "mlmf"),
}  # fmt: skip
MEANS = {"tfn", "lmf", "lf-dnn", "mtfn", "mlf-dnn", "mlmf"}  # need_normalized in MMSA
LENGTHS = [9, 4, 6, 2, 9, 5, 7, 3]
CHANGED = {
    "tfn": {"hidden_dims": [32, 8, 16], "text_out": 16},  # 9 million weights otherwise
    "mtfn": {"hidden_dims": [32, 8, 16], "text_out": 16},  # 140 million
    "self-mm": {"text_pooling": "first"},  # [CLS]
}


def configuration(name, **changes):
    """Return MMSA's own configuration of a network, as its trainers and classes read it."""
    folder = Path(mmsa.load("models.subNets.FeatureNets").__file__).parents[2] / "config"
    found = json.loads((folder / "config_regression.json").read_text())[CLASSES[name][2]]
    sizes = found["datasetParams"].get("mosi") or found["datasetParams"]["sims"]
    common = {
        "model_name": name, "train_mode": "regression", "num_classes": 3, "device": "cpu",
        "dataset_name": "mosi", "feature_dims": [768, 5, 20], "seq_lens": 9, "use_bert": False,
        "use_finetune": False, "KeyEval": "Loss", "model_save_path": "", "cur_seed": 1,
        "custom_feature": None, "feature_T": "", "feature_A": "", "feature_V": "",
        "train_samples": 40,
    }  # fmt: skip
    return SimpleNamespace(**{**common, **found["commonParams"], **sizes, **changes})


def original(name, given):
    """Return a network of MMSA's class."""
    folder, kind, _ = CLASSES[name]
    with warnings.catch_warnings(action="ignore"):
        return getattr(mmsa.load(f"models.{folder}.{kind}"), kind)(given)


def ours(name):
    """Return the settings of the shipped variant."""
    shipped = VARIANTS[name].peer
    return type(shipped).model_validate({**shipped.model_dump(), **CHANGED.get(name, {})})


def batch():
    """Return 8 utterances with as many steps in each modality, padded with what is not read."""
    draw = torch.Generator().manual_seed(1)
    steps = {}
    for name, width in zip(MODALITIES, (768, 5, 20), strict=True):
        values = torch.randn(8, 9, width, generator=draw)
        for row, length in enumerate(LENGTHS):
            values[row, length:] = 1e3
        steps[name] = PaddedBatch(values, torch.tensor(LENGTHS))
    return steps


def called(name, network, steps):
    """Call a network of MMSA with what MMSA's loader gives it, made with plain loops."""
    lengths = torch.tensor(LENGTHS)
    rows = [[values[i, :n] for i, n in enumerate(LENGTHS)] for values, _ in steps.values()]
    behind = [nn.utils.rnn.pad_sequence(each, batch_first=True) for each in rows]
    front = [torch.stack([nn.functional.pad(x, (0, 0, 9 - len(x), 0)) for x in r]) for r in rows]
    mask = (torch.arange(9) < lengths[:, None]).float()
    tokens = torch.stack([0 * mask, mask, 0 * mask], dim=1)
    if name in MEANS:
        return network(front[0], *(torch.stack([x.mean(0)[None] for x in r]) for r in rows[1:]))
    if name == "misa":
        network.bertmodel.states = behind[0]
        return network(tokens, *behind[1:])
    if name == "self-mm":
        network.text_model.states = behind[0]
        return network(tokens, *((each, lengths) for each in behind[1:]))
    return network(*front)


def total(name, given, network, result, labels):
    """Return the loss of MMSA's trainer, with an absolute error and a weight of 1 on the fusion."""
    loss = nn.L1Loss()(result["M"].view(-1, 1), labels.view(-1, 1))
    if name == "misa":
        trainer = trainer_of(network)
        loss = (
            loss
            + given.diff_weight * trainer.get_diff_loss()
            + given.sim_weight * trainer.get_cmd_loss()
            + given.recon_weight * trainer.get_recon_loss()
        )
    if name in ("mtfn", "mlf-dnn", "mlmf"):
        for task in "TAV":
            more = nn.L1Loss()(result[task], labels.view(-1, 1))
            loss = loss + getattr(given, task) / given.M * more
    return loss


@pytest.mark.parametrize("name", CLASSES)
def test_sizes_and_training_are_those_that_mmsa_ships(name):
    found = dict(vars(configuration(name)))
    for key in [key for key in found if key.endswith("Config")]:
        part = key.removesuffix("Config").lower()
        found |= {f"{part}_shapes": found[key]["shapes"], f"{part}_drop": found[key]["drop"]}
    variant = VARIANTS[name]
    if name == "mult":
        found["dst_feature_dim"], found["nheads"] = found["dst_feature_dim_nheads"]
    if name == "self-mm":
        found["learning_rate"] = found["learning_rate_other"]
        found["weight_decay"] = found["weight_decay_other"]
        found["audio_rate"] = found["learning_rate_audio"] / found["learning_rate_other"]
        found["video_rate"] = found["learning_rate_video"] / found["learning_rate_other"]
    sizes = variant.peer.model_dump(exclude={"network", "longest", "text_pooling"})
    assert {key: found[key] for key in sizes} == sizes
    for key in ("batch_size", "learning_rate"):
        assert variant.train[key] == found[key]


@pytest.mark.parametrize("name", CLASSES)
def test_the_same_weights_give_mmsas_predictions_and_gradients(name):
    """In training, with dropout: the same seed draws the same masks."""
    given = configuration(name, **CHANGED.get(name, {}))
    torch.manual_seed(3)
    theirs = original(name, given).train()
    peer = Peer(dict(zip(MODALITIES, (768, 5, 20), strict=True)), 1, ours(name),
                dict.fromkeys(MODALITIES, 9)).train()  # fmt: skip
    unexpected = peer.network.load_state_dict(theirs.state_dict(), strict=False)
    assert not unexpected.unexpected_keys
    pairs = [(theirs, peer.network)]
    if name == "graph-mfn":
        graphs = theirs.graph_mfn.networks, peer.network.graph_mfn.networks
        pairs += [(part, graphs[1][nodes]) for nodes, part in graphs[0].items()]
        for part, own in pairs[1:]:
            own.load_state_dict(part.state_dict())
    else:
        assert not unexpected.missing_keys
    labels = torch.tensor([-1.0, 2.0, 0.0, 0.5, -2.5, 1.5, -0.5, 3.0])
    trainer = Trainer(peer, labels) if name == "self-mm" else None
    places = torch.arange(8)
    for epoch in (1, 2, 3) if trainer else (1,):  # its labels have moved in the third
        torch.manual_seed(4)
        result = called(name, theirs, batch())
        loss = total(name, given, theirs, result, labels)
        if trainer:
            loss = trainer.loss(result, places, epoch)
        torch.manual_seed(4)
        peer.step = TrainingStep(places, epoch, labels)
        prediction = peer(batch()).prediction
        own = nn.functional.l1_loss(prediction, labels)
        own = own + (0.0 if (more := peer.auxiliary_loss(labels)) is None else more)
    torch.testing.assert_close(prediction, result["M"].view(-1))
    torch.testing.assert_close(own, loss)
    loss.backward()
    own.backward()
    compared = 0
    for part, mine in pairs:
        found = dict(mine.named_parameters())
        for key, parameter in part.named_parameters():
            gradient = found[key].grad
            assert (gradient is None) == (parameter.grad is None), key
            if gradient is not None:
                torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-6)
                compared += bool((gradient != 0).any())
    assert compared >= 8


class Wrapped(nn.Module):
    """A network as MMSA's trainers get it, with states of a table in place of BERT."""

    def __init__(self, network, table):
        super().__init__()
        self.Model, self.table = network, table

    def forward(self, text, audio, vision):
        if hasattr(self.Model, "text_model"):
            self.Model.text_model.states = self.table[text[:, 0].long()]
        return self.Model(text, audio, vision)


class Loader:
    """The batches of MMSA's dataset, in the order of this project's loop."""

    def __init__(self, dataset, size, order, before=0):
        self.dataset, self.size, self.order, self.before = dataset, size, order, before

    def __len__(self):
        return -(-len(self.dataset) // self.size)

    def __iter__(self):
        self.before -= 1  # readings before the training: Self-MM's for the labels
        count = len(self.dataset)
        shuffled = self.order is not None and self.before < 0
        rows = torch.randperm(count, generator=self.order) if shuffled else torch.arange(count)
        for part in rows.split(self.size):
            yield default_collate([self.dataset[int(row)] for row in part])


class Ended(Exception):
    pass


def exported(path, data, table, ids):
    """Write a corpus as `hycon export` does; with ids of tokens, in place of word vectors."""
    whole = {
        name: RaggedArray(
            each.values.numpy(), np.append(each.starts.numpy(), len(each.values)).astype(np.int64)
        )
        for name, each in data.features.items()
    }
    longest, folds = Longest(*data.longest.values()), {}
    for fold in FOLDS:
        rows = data.folds[fold].numpy()
        ragged = {name: each.of(rows) for name, each in whole.items()}
        utterances = [
            Utterance(
                f"v{i}_{i}", f"v{i}", int(i), fold, 0.0, 1.0, 1, str(float(data.labels[i])), ""
            )
            for i in rows
        ]
        tokens = None
        if ids is not None:
            states = ragged["text"]
            mine = RaggedArray(ids.numpy()[:, None], whole["text"].offsets).of(rows).values[:, 0]
            tokens = Tokens(states.values, mine, 0 * mine, 0 * mine, states.offsets)
        ragged["vectors"] = ragged.pop("text")
        folds[fold] = fold_content(utterances, ragged, tokens, False, longest)
    write(path, folds)


def corpus(varied, table=None):
    """Return a corpus with scores, and with a table the ids of its texts' tokens."""
    lengths = [1 + i % 5 if varied else 4 for i in range(60)]
    features = {
        name: ragged(width, lengths, seed)
        for seed, (name, width) in enumerate({"text": 6, "audio": 3, "vision": 4}.items())
    }
    ids = None
    if table is not None:
        ids = torch.randint(len(table), (sum(lengths),), generator=torch.Generator().manual_seed(7))
        features["text"] = dataclasses.replace(features["text"], values=table[ids])
    sums = [part[0].sum() for part in features["text"].values.split(lengths)]
    scores = torch.stack(sums).clamp(-3, 3)
    rows = torch.arange(60)
    folds = {"train": rows[:40], "valid": rows[40:50], "test": rows[50:]}
    return CorpusTensors(features, scores, (scores >= 0).long(), folds, 1), ids


@pytest.mark.parametrize("name", ["tfn", "lf-dnn", "ef-lstm", "self-mm"])
def test_mmsas_own_loader_and_trainer_give_the_validation_curve_of_this_projects(
    name, tmp_path, monkeypatch
):
    """Taken away: MMSA's L2 penalty and accumulation, this project's clipping of gradients, means
    over padding (utterances of TFN and LF-DNN are equally long), BERT, and standardisation."""
    table = torch.randn(30, 6, generator=torch.Generator().manual_seed(5))
    data, ids = corpus(name not in MEANS, table if name == "self-mm" else None)
    exported(tmp_path / "features.pkl", data, table, ids)
    epochs, shipped = 5, VARIANTS[name]
    options = settings(
        epochs=epochs, patience=epochs, batch_size=8, clip_norm=None, weight_decay=0.0,
        learning_rate=shipped.train["learning_rate"], lambdas={"intra": 0, "inter": 0, "semi": 0},
    )  # fmt: skip
    curve = [
        row["validation"]
        for row in loop.train(
            data, Settings(model=ours(name), train=options.train), 1, quiet
        ).history
    ]

    given = configuration(
        name, feature_dims=[6, 3, 4], seq_lens=5, custom_feature=tmp_path / "features.pkl",
        weight_decay=0.0, early_stop=100, update_epochs=1,
        **({"text_out": 6} if name == "self-mm" else CHANGED.get(name, {})),
        **{f"weight_decay_{part}": 0.0 for part in ("bert", "audio", "video", "other")},
    )  # fmt: skip
    folder, kind, _ = CLASSES[name]
    trains, reader = mmsa.load(f"trains.{folder}.{kind}"), mmsa.load("data_loader")
    datasets = {fold: reader.MMDataset(vars(given), fold) for fold in FOLDS}
    order = torch.Generator().manual_seed(1)
    before = int(name == "self-mm")
    loaders = {
        fold: Loader(each, 8 if fold == "train" else 10, order if fold == "train" else None, before)
        for fold, each in datasets.items()
    }
    reports = SimpleNamespace(getMetics=lambda corpus: lambda prediction, label: {})
    monkeypatch.setattr(trains, "MetricsTop", lambda mode: reports)
    monkeypatch.setattr(trains, "dict_to_str", str)
    monkeypatch.setattr(trains.torch, "save", lambda *_: None)
    theirs = []

    class Watched(getattr(trains, kind)):
        def do_test(self, *arguments, **options):
            found = super().do_test(*arguments, **options)
            theirs.append(found["Loss"])
            if len(theirs) == epochs:
                raise Ended
            return found

    torch.manual_seed(1)
    network = Wrapped(original(name, given), table)
    with pytest.raises(Ended):
        Watched(given).do_train(network, loaders)
    assert theirs == pytest.approx(curve, abs=1.01e-4)  # MMSA's has 4 places
    assert len(set(theirs)) == epochs
