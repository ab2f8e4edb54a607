"""Training of one seed of one row; the epoch is selected by validation score only."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hycon.encoders.language_model import LanguageModel
from hycon.losses import BaselineLoss, HybridContrastiveLoss
from hycon.networks.hycon import HyCon, Output, TrainingStep
from hycon.networks.own import AnyNetwork, Own
from hycon.networks.packing import PaddedBatch
from hycon.networks.peers import Peer
from hycon.params import ModelConfig, OwnNetwork, Reimplemented, Settings, TrainConfig
from hycon.training.batches import CorpusTensors
from hycon.training.checkpoint import Checkpoint, State, named
from hycon.training.objective import contrastive_loss, gradient_balance, task_loss
from hycon.training.optimiser import OptimizerStep

INFERENCE_BATCH = 64  # tensor fusion needs 0.5 MB per utterance at d = 50, and 4 MB at d = 100


@dataclass(frozen=True)
class TrainingResult:
    """A trained network, with the weights of the selected epoch, and its training history."""

    model: AnyNetwork
    epoch: int  # the selected epoch, from 1
    score: float  # its validation score: MAE or cross-entropy
    history: list[dict[str, float]]  # one row per epoch
    epochs: dict[str, Tensor]  # predictions (E, N) of each fold, if `every_epoch`; else empty


@dataclass
class EpochProgress:
    """The progress of an epoch: the number of finished batches, and the sums of their losses."""

    batches: int
    names: list[str]
    sums: Tensor  # (5,), in the order of `names`, of which there can be fewer

    @classmethod
    def start(cls, device: torch.device) -> "EpochProgress":
        return cls(0, [], torch.zeros(5, device=device))


def train(
    data: CorpusTensors,
    settings: Settings,
    seed: int,
    on_epoch_end: Callable[[dict[str, float]], None],
    language_model: LanguageModel | None = None,
    checkpoint: Checkpoint | None = None,
) -> TrainingResult:
    """Train one network, and select the epoch with the lowest validation MAE or cross-entropy.

    The seed determines initial weights, the order of utterances and dropout. The contrastive losses
    use no random numbers, so variants with the same seed start from the same weights and see the
    same batches.

    Args:
        data: the corpus.
        settings: network and training parameters.
        seed: seed of all random numbers.
        on_epoch_end: called with the history row of each epoch.
        language_model: text encoder if the text is tokens; a copy of it is fine-tuned.
        checkpoint: where to save the run, and where to resume it from. A resumed run is
            bit-identical to an uninterrupted one.

    Returns:
        The network with the weights of the selected epoch, and the history.

    Raises:
        FloatingPointError: the validation score of every epoch is NaN or infinite.
        Terminated: the process received SIGTERM; the checkpoint is written.
    """
    training = Training(data, settings, seed, language_model)
    if checkpoint is not None and (found := checkpoint.load()) is not None:
        training.restore(found)
    while not training.ended:
        training.run_epoch(lambda: checkpoint and checkpoint.within_epoch(training.state))
        on_epoch_end(training.history[-1])
        if checkpoint is not None and not training.ended:
            checkpoint.after_epoch(training.state)
    return training.result()


class Training:
    """A run whose complete state can be saved and restored."""

    def __init__(
        self,
        data: CorpusTensors,
        settings: Settings,
        seed: int,
        language_model: LanguageModel | None,
    ) -> None:
        self.data, self.options = data, settings.train
        torch.manual_seed(seed)
        self.model = make_network(data, settings, language_model)
        per_epoch = data.passes * math.ceil(len(data.folds["train"]) / self.options.batch_size)
        self.stepper = OptimizerStep(self.model, self.options, self.options.epochs * per_epoch)
        self.contrastive = contrastive_loss(self.options)
        self.order = torch.Generator().manual_seed(seed)
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}
        self.epochs: dict[str, list[Tensor]] = {}
        self.best_epoch, self.best_score = 0, float("inf")
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self.position = EpochProgress.start(self.data.labels.device)
        self.order_of_epoch = self.order.get_state()  # needed to resume within an epoch

    @property
    def ended(self) -> bool:
        """Whether all epochs are done, or `patience` epochs have passed since the best one."""
        epochs = len(self.history)
        return epochs >= self.options.epochs or epochs - self.best_epoch >= self.options.patience

    def run_epoch(self, after_step: Callable[[], object]) -> None:
        """Train for the rest of an epoch, validate, and keep the weights if they are the best.

        Args:
            after_step: called after each step.
        """
        losses = run_epoch(
            self.model,
            self.data,
            self.options,
            self.order,
            self.contrastive,
            self.stepper,
            self.position,
            after_step,
            len(self.history) + 1,
        )
        score = validation_score(self.stepper.kept, self.data, self.options)
        for fold in ("valid", "test") if self.options.every_epoch else ():
            found = infer(self.stepper.kept, self.data, self.data.folds[fold]).prediction
            self.epochs.setdefault(fold, []).append(found.float().cpu())
        row = {"epoch": len(self.history) + 1, **losses, "validation": score}
        if self.options.gradients and self.contrastive is not None:
            row |= gradient_balance(self.model, self.data, self.options, self.contrastive)
        self.history.append(row)
        if score < self.best_score:
            self.best_epoch, self.best_score = len(self.history), score
            kept = self.stepper.kept.state_dict()
            self.best = {name: value.clone() for name, value in kept.items()}
        self._begin_epoch()

    def result(self) -> TrainingResult:
        """Return the network with the weights of the best epoch.

        Raises:
            FloatingPointError: the validation score of every epoch is NaN or infinite.
        """
        if not self.best:
            score = self.history[-1]["validation"]
            raise FloatingPointError(f"validation score is {score} from the first epoch on")
        self.model.load_state_dict(self.best)
        epochs = {fold: torch.stack(each) for fold, each in self.epochs.items()}
        return TrainingResult(
            self.model.eval(), self.best_epoch, self.best_score, self.history, epochs
        )

    def state(self) -> State:
        """Return the state of the run, without copying its tensors."""
        device = self.data.labels.device
        steps = self.stepper.state()
        tensors = {
            "order": self.order_of_epoch,
            "random": torch.get_rng_state(),
            "sums": self.position.sums,
            **named("model", self.model.state_dict()),
            **named("memory", self.model.memory),
            **named("best", self.best),
            **named("steps", steps.tensors),
            **named("epochs", {fold: torch.stack(each) for fold, each in self.epochs.items()}),
        }
        if device.type == "cuda":
            tensors["random of device"] = torch.cuda.get_rng_state(device)
        return State(
            tensors,
            {
                "position": [self.position.batches, self.position.names],
                "history": self.history,
                "best": [self.best_epoch, self.best_score],
                "steps": steps.values,
            },
        )

    def restore(self, state: State) -> None:
        """Restore the state of a run with the same parameters, seed, inputs and code."""
        tensors, values = state
        device = self.data.labels.device
        self.model.load_state_dict(state.group("model"))
        self.model.memory = {
            name: value.to(device) for name, value in state.group("memory").items()
        }
        self.best = state.group("best")
        self.stepper.restore(State(state.group("steps"), values["steps"]))
        self.epochs = {fold: list(each) for fold, each in state.group("epochs").items()}
        self.history = values["history"]
        self.best_epoch, self.best_score = values["best"]
        self.order.set_state(tensors["order"])
        self._begin_epoch()
        self.position = EpochProgress(*values["position"], tensors["sums"].to(device))
        torch.set_rng_state(tensors["random"])
        if device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random of device"], device)


def make_network(
    data: CorpusTensors,
    settings: Settings,
    language_model: LanguageModel | None,
    longest: dict[str, int] | None = None,
) -> AnyNetwork:
    """Build the network for a corpus, with a copy of the language model if there is one.

    Args:
        data: the corpus, which determines the sizes of input and output.
        settings: network and training parameters.
        language_model: text encoder if the text is tokens, else None.
        longest: steps of the longest utterance by modality, which is the size of some peers; None
            for those of the corpus.

    Returns:
        A new network on the device of the corpus.
    """
    widths = data.widths
    if language_model is not None:
        language_model = copy.deepcopy(language_model)
        language_model.requires_grad_(settings.train.finetuning.learning_rate > 0)
        language_model.precision = settings.train.finetuning.precision
        widths["text"] = language_model.width
    if isinstance(settings.model, ModelConfig):
        model = HyCon(widths, data.outputs, settings.model, language_model)
    else:
        kind = Own if isinstance(settings.model, OwnNetwork | Reimplemented) else Peer
        sizes = longest or data.longest
        model = kind(widths, data.outputs, settings.model, sizes, language_model)
    return model.to(data.labels.device)


def run_epoch(
    model: AnyNetwork,
    data: CorpusTensors,
    options: TrainConfig,
    order: torch.Generator,
    contrastive: HybridContrastiveLoss | BaselineLoss | None,
    step: Callable[[Tensor], None],
    position: EpochProgress | None = None,
    after_step: Callable[[], object] = lambda: None,
    epoch: int = 1,
) -> dict[str, float]:
    """Train for one epoch.

    Args:
        model, data, options: the network, the corpus and the training parameters.
        order: random generator of the order of utterances.
        contrastive: output of `contrastive_loss`.
        step: the optimiser step.
        position: progress of the epoch, updated after each step; training resumes from it. None
            starts at the first batch.
        after_step: called after each step.
        epoch: number of the epoch, from 1.

    Returns:
        The mean over utterances of the task loss and of each contrastive loss with a weight above
        0. A network with losses of its own has another entry, their weighted sum.
    """
    model.train()
    rows = data.folds["train"]
    labels, places = data.labels[rows], torch.empty_like(data.labels, dtype=torch.int64)
    places[rows] = torch.arange(len(rows), device=rows.device)
    position = position or EpochProgress.start(rows.device)
    weighted = [name for name, weight in options.lambdas if weight]
    names = ["task", *weighted]
    batches = [
        batch
        for _ in range(data.passes)
        for batch in data.shuffled(rows, options.batch_size, order)
    ]
    for batch in batches[position.batches :]:
        model.step = TrainingStep(places[batch], epoch, labels)
        output = model(data.batch(batch, options.missing))
        task = task_loss(output.prediction, data.labels[batch], options.emotion_decision)
        loss, parts = task, [task]
        if contrastive is not None:
            terms = contrastive(output.representations, data.classes[batch])
            loss = task + terms.total
            parts += [getattr(terms, name) for name in weighted]
        if (auxiliary := model.auxiliary_loss(data.labels[batch])) is not None:
            loss = loss + auxiliary
            names, parts = ["task", *weighted, "auxiliary"], [*parts, auxiliary]
        step(loss)
        losses = torch.stack([part.detach() for part in parts])
        position.names, position.batches = names, position.batches + 1
        position.sums[: len(parts)] += losses * len(batch)
        after_step()
    return dict(
        zip(position.names, (position.sums / (data.passes * len(rows))).tolist(), strict=False)
    )


@torch.no_grad()
def validation_score(model: nn.Module, data: CorpusTensors, options: TrainConfig) -> float:
    """Compute the task loss on the validation fold: MAE or cross-entropy."""
    rows = data.folds["valid"]
    prediction = infer(model, data, rows).prediction
    return float(task_loss(prediction, data.labels[rows], options.emotion_decision))


@torch.inference_mode()
def infer(
    model: nn.Module,
    data: CorpusTensors,
    rows: Tensor,
    change: Callable[[dict[str, PaddedBatch]], dict[str, PaddedBatch]] = lambda batch: batch,
) -> Output:
    """Return the network's output for the utterances `rows` (K,), in their order.

    Args:
        model, data: the network and the corpus.
        rows: row numbers (K,).
        change: applied to each padded batch before the network reads it.
    """
    model.eval()
    found: dict[str, Tensor] = {}
    for places in data.by_length(rows).split(INFERENCE_BATCH):
        output = model(change(data.batch(rows[places])))
        for name, part in output.tensors().items():
            if name not in found:
                found[name] = part.new_empty(len(rows), *part.shape[1:])
            found[name][places] = part
    fused, prediction = found.pop("fused"), found.pop("prediction")
    return Output(found, fused, prediction)
