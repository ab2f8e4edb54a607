"""Training of one seed of one row; the epoch is selected by validation score only."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hycon.encoders.language_model import LanguageModel
from hycon.losses import BaselineLoss, HybridContrastiveLoss, Modification, PairSelection
from hycon.networks.hycon import HyCon, Output
from hycon.networks.own import AnyNetwork, Own
from hycon.networks.packing import PaddedBatch
from hycon.networks.peers import Peer
from hycon.params import ModelConfig, OwnNetwork, Settings, TrainConfig
from hycon.training.batches import CorpusTensors
from hycon.training.checkpoint import Checkpoint, State, named
from hycon.training.optimiser import OptimizerStep

PROBED = 8  # batches over which gradients are compared
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
        kind = Own if isinstance(settings.model, OwnNetwork) else Peer
        sizes = longest or data.longest
        model = kind(widths, data.outputs, settings.model, sizes, language_model)
    return model.to(data.labels.device)


def contrastive_loss(options: TrainConfig) -> HybridContrastiveLoss | BaselineLoss | None:
    """Return the contrastive loss that the options describe, or None if all its weights are 0."""
    lambdas = options.lambdas
    weights = (lambdas.intra, lambdas.inter, lambdas.semi)
    if not any(weights):
        return None
    # options that are None are not used by any loss with a weight above 0
    alpha = 1.0 if options.alpha is None else options.alpha
    similarity = options.similarity or "shifted"
    if options.pair_loss not in ("hycon", None):
        return BaselineLoss(options.pair_loss, alpha, weights, similarity)
    chosen = options.selection
    selection = PairSelection(chosen.beta, chosen.gamma, chosen.weighted) if chosen else None
    changes = Modification(**dict(options.modified or {}))
    return HybridContrastiveLoss(
        alpha, weights, selection, bool(options.refinement), similarity, changes
    )


def task_loss(prediction: Tensor, labels: Tensor, emotion_decision: str) -> Tensor:
    """Compute the mean absolute error of scores, or the cross-entropy of emotions.

    Args:
        prediction: (K,) scores, or (K, C) logits.
        labels: (K,) float scores, or int64 classes.
        emotion_decision: "joint" for one softmax over the classes, or "one-against-rest" for a
            binary decision per class.

    Returns:
        A scalar.
    """
    if prediction.dim() == 1:
        return nn.functional.l1_loss(prediction, labels)
    if emotion_decision == "joint":
        return nn.functional.cross_entropy(prediction, labels)
    yes = nn.functional.one_hot(labels, prediction.shape[1]).to(prediction.dtype)
    return nn.functional.binary_cross_entropy_with_logits(prediction, yes)


def run_epoch(
    model: AnyNetwork,
    data: CorpusTensors,
    options: TrainConfig,
    order: torch.Generator,
    contrastive: HybridContrastiveLoss | BaselineLoss | None,
    step: Callable[[Tensor], None],
    position: EpochProgress | None = None,
    after_step: Callable[[], object] = lambda: None,
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

    Returns:
        The mean over utterances of the task loss and of each contrastive loss with a weight above
        0. A peer with auxiliary losses has another entry, their weighted sum.
    """
    model.train()
    rows = data.folds["train"]
    position = position or EpochProgress.start(rows.device)
    weighted = [name for name, weight in options.lambdas if weight]
    names = ["task", *weighted]
    batches = [
        batch
        for _ in range(data.passes)
        for batch in data.shuffled(rows, options.batch_size, order)
    ]
    for batch in batches[position.batches :]:
        output = model(data.batch(batch, options.missing))
        task = task_loss(output.prediction, data.labels[batch], options.emotion_decision)
        loss, parts = task, [task]
        if contrastive is not None:
            terms = contrastive(output.representations, data.classes[batch])
            loss = task + terms.total
            parts += [getattr(terms, name) for name in weighted]
        if (auxiliary := model.auxiliary_loss()) is not None:
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


def gradient_balance(
    model: AnyNetwork,
    data: CorpusTensors,
    options: TrainConfig,
    contrastive: HybridContrastiveLoss | BaselineLoss,
) -> dict[str, float]:
    """Compare the gradients of the contrastive losses and of the task loss, without dropout.

    Both are with respect to the weights that the contrastive losses reach, on the first batches of
    the training fold.

    Returns:
        `gradient_ratio`, the norm of the contrastive losses' gradient (with their lambdas) divided
        by that of the task loss's, and `gradient_cosine` between the two; means over the batches.
    """
    model.eval()
    rows = data.folds["train"]
    mixed = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
    ratios, cosines = [], []
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    for batch in mixed.split(options.batch_size)[:PROBED]:
        output = model(data.batch(batch))
        task = task_loss(output.prediction, data.labels[batch], options.emotion_decision)
        total = contrastive(output.representations, data.classes[batch]).total
        ours = torch.autograd.grad(total, weights, retain_graph=True, allow_unused=True)
        theirs = torch.autograd.grad(task, weights, allow_unused=True)
        both = [pair for pair in zip(ours, theirs, strict=True) if None not in pair]
        a, b = (torch.cat([each.flatten() for each in side]) for side in zip(*both, strict=True))
        ratios.append(a.norm() / b.norm())
        cosines.append(nn.functional.cosine_similarity(a, b, dim=0))
    means = torch.stack([torch.stack(ratios), torch.stack(cosines)]).mean(1).tolist()
    return dict(zip(("gradient_ratio", "gradient_cosine"), means, strict=True))


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
