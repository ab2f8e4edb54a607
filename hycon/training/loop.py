"""Training: one seed of one variant, selected on validation only."""

import copy
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import swa_utils

from hycon.encoders.language_model import LanguageModel
from hycon.losses import HybridContrastiveLoss, PairSelection, SubstituteLoss
from hycon.model import HyCon, Output
from hycon.params import Model, Settings, Train
from hycon.peers import Peer
from hycon.training.batches import Data

INFERENCE_BATCH = 64  # of tensor fusion, half a megabyte an utterance at d = 50, 4 at d = 100


@dataclass(frozen=True)
class Trained:
    """A trained network (with the best epoch's weights) and how it came about."""

    model: HyCon | Peer
    epoch: int  # the selected one, from 1
    score: float  # its validation MAE, or cross-entropy
    history: list[dict[str, float]]  # one row an epoch


def train(
    data: Data,
    settings: Settings,
    seed: int,
    tell: Callable[[dict[str, float]], None],
    language_model: LanguageModel | None = None,
) -> Trained:
    """Train one network; keep the epoch with the lowest validation MAE (or cross-entropy).

    The seed governs the weights, the order of the utterances and dropout. Contrastive terms draw
    nothing at random, so that variants of one seed start alike and see the same batches.

    Args:
        data: the corpus.
        settings: network and training parameters.
        seed: of all that is random.
        tell: receives each epoch's row of the history.
        language_model: what reads the text, if that is tokens; a copy of it is fine-tuned.
    """
    options = settings.train
    torch.manual_seed(seed)
    model = make_network(data, settings, language_model)
    per_epoch = math.ceil(len(data.folds["train"]) / options.batch_size)
    step, kept = make_stepper(model, options, options.epochs * per_epoch)
    contrastive = contrastive_loss(options)
    order = torch.Generator().manual_seed(seed)
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] = {}
    best_epoch, best_score = 0, float("inf")
    for epoch in range(1, options.epochs + 1):
        losses = run_epoch(model, data, options, order, contrastive, step)
        score = validation_score(kept, data, options)
        history.append({"epoch": epoch, **losses, "validation": score})
        tell(history[-1])
        if score < best_score:
            best_epoch, best_score = epoch, score
            best = {name: value.clone() for name, value in kept.state_dict().items()}
        if epoch - best_epoch >= options.patience:
            break
    if not best:
        raise FloatingPointError(f"validation score is {score} from the first epoch on")
    model.load_state_dict(best)
    return Trained(model.eval(), best_epoch, best_score, history)


def make_network(
    data: Data, settings: Settings, language_model: LanguageModel | None
) -> HyCon | Peer:
    """Return a new network, with a copy of the language model if there is one."""
    widths = data.widths
    if language_model is not None:
        language_model = copy.deepcopy(language_model)
        language_model.requires_grad_(settings.train.finetuning.learning_rate > 0)
        widths["text"] = language_model.width
    if isinstance(settings.model, Model):
        model = HyCon(widths, data.outputs, settings.model, language_model)
    else:
        model = Peer(widths, data.outputs, settings.model, data.longest, language_model)
    return model.to(data.labels.device)


def make_stepper(
    model: HyCon | Peer, options: Train, steps: int
) -> tuple[Callable[[Tensor], None], HyCon | Peer]:
    """Return a function that takes one step down a loss, and the network whose weights are kept.

    That is the network itself or, with `averaging`, one that follows it as a moving average.
    """
    groups, warmups = _parameter_groups(model, options)
    optimiser = torch.optim.AdamW(groups, fused=True)
    factors = [
        functools.partial(learning_rate_factor, steps=steps, warmup=warmup, kind=options.schedule)
        for warmup in warmups
    ]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factors)
    averaged = None
    if options.averaging:
        decay = swa_utils.get_ema_multi_avg_fn(options.averaging)
        averaged = swa_utils.AveragedModel(model, multi_avg_fn=decay)

    def step(loss: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if options.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), options.clip_norm)
        optimiser.step()
        schedule.step()
        if averaged is not None:
            averaged.update_parameters(model)

    return step, averaged.module if averaged is not None else model


def _parameter_groups(model: nn.Module, options: Train) -> tuple[list[dict], list[float]]:
    """Return the optimiser's groups of parameters, and the warm-up of each.

    A language model has its own learning rate, warm-up and weight decay; its biases and norms are
    not decayed, as is the custom.
    """
    inside: dict[bool, list[nn.Parameter]] = {True: [], False: []}  # by whether they are decayed
    others = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and name.startswith("language_model."):
            inside[not (name.endswith("bias") or "norm" in name.lower())].append(parameter)
        elif parameter.requires_grad:
            others.append(parameter)
    groups = [{"params": others, "lr": options.learning_rate, "weight_decay": options.weight_decay}]
    warmups = [options.warmup]
    for decayed, chosen in inside.items():
        if chosen:
            decay = options.finetuning.weight_decay if decayed else 0.0
            rate = options.finetuning.learning_rate
            groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
            warmups.append(options.finetuning.warmup)
    return groups, warmups


def learning_rate_factor(step: int, steps: int, warmup: float, kind: str) -> float:
    """Return what the learning rate is multiplied by at a step (from 0) of all `steps`."""
    rising = warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    if kind == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def contrastive_loss(options: Train) -> HybridContrastiveLoss | SubstituteLoss | None:
    """Return the contrastive part, or None where every weight is 0."""
    lambdas = options.lambdas
    weights = (lambdas.intra, lambdas.inter, lambdas.semi)
    if not any(weights):
        return None
    # what is None is read by no term that has a weight, and others are neither summed nor logged
    alpha = 1.0 if options.alpha is None else options.alpha
    similarity = options.similarity or "shifted"
    if options.pair_loss not in ("hycon", None):
        return SubstituteLoss(options.pair_loss, alpha, weights, similarity)
    chosen = options.selection
    selection = PairSelection(chosen.beta, chosen.gamma, chosen.weighted) if chosen else None
    return HybridContrastiveLoss(alpha, weights, selection, bool(options.refinement), similarity)


def task_loss(prediction: Tensor, labels: Tensor, emotion_decision: str) -> Tensor:
    """Return the mean absolute error of scores, or the cross-entropy of emotions.

    Args:
        prediction: (K,) scores, or (K, C) logits.
        labels: (K,) scores, or class numbers.
        emotion_decision: "joint", one choice among the classes; or "one-against-rest", a yes or no
            for each of them.
    """
    if prediction.dim() == 1:
        return nn.functional.l1_loss(prediction, labels)
    if emotion_decision == "joint":
        return nn.functional.cross_entropy(prediction, labels)
    yes = nn.functional.one_hot(labels, prediction.shape[1]).to(prediction.dtype)
    return nn.functional.binary_cross_entropy_with_logits(prediction, yes)


def run_epoch(model, data, options, order, contrastive, step) -> dict[str, float]:
    """Train for one epoch; return the mean over the utterances of each term that has a weight.

    A peer with losses of its own has one term more, their weighted sum.
    """
    model.train()
    rows = data.folds["train"]
    weighted = [name for name, weight in options.lambdas if weight]
    names, sums = ["task", *weighted], torch.zeros(5, device=rows.device)
    for batch in data.shuffled(rows, options.batch_size, order):
        output = model(data.batch(batch))
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
        sums[: len(parts)] += torch.stack([part.detach() for part in parts]) * len(batch)
    return dict(zip(names, (sums / len(rows)).tolist(), strict=False))


@torch.no_grad()
def validation_score(model: nn.Module, data: Data, options: Train) -> float:
    """Return the task's loss over the validation fold: MAE, or cross-entropy."""
    rows = data.folds["valid"]
    prediction = infer(model, data, rows).prediction
    return float(task_loss(prediction, data.labels[rows], options.emotion_decision))


@torch.inference_mode()
def infer(model: nn.Module, data: Data, rows: Tensor) -> Output:
    """Return the network's output for the chosen utterances (K,), in their order."""
    model.eval()
    batches = list(data.by_length(rows).split(INFERENCE_BATCH))
    parts = [model(data.batch(batch)) for batch in batches]
    # bring the rows, which were sorted by length, back into the order that was asked for
    place = torch.argsort(torch.cat(batches))[torch.argsort(torch.argsort(rows))]
    return Output(*(torch.cat(values)[place] for values in zip(*parts, strict=True)))
