"""The optimisation step: optimiser, learning-rate schedule and averaged weights."""

import functools
import math

import torch
from torch import Tensor, nn
from torch.optim import swa_utils

from hycon.networks.own import AnyNetwork
from hycon.params import TrainConfig
from hycon.training.checkpoint import State, named


class OptimizerStep:
    """Call with a loss to take one step of the optimiser and its schedule.

    `kept` is the network to validate and save: the trained network or, with `averaging`, its
    exponential moving average.

    Args:
        model: the network to train.
        options: training parameters.
        steps: number of steps of the whole training, for the schedule.
    """

    def __init__(self, model: AnyNetwork, options: TrainConfig, steps: int) -> None:
        self.model, self.clip_norm = model, options.clip_norm
        self.parameters = list(model.parameters())  # finding them takes 3% of a small step
        groups, warmups = _parameter_groups(model, options)
        self.optimiser = torch.optim.AdamW(groups, fused=True)
        factors = [
            functools.partial(
                learning_rate_factor, steps=steps, warmup=warmup, kind=options.schedule
            )
            for warmup in warmups
        ]
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, factors)
        self.averaged = None
        if options.averaging:
            decay = swa_utils.get_ema_multi_avg_fn(options.averaging)
            self.averaged = swa_utils.AveragedModel(model, multi_avg_fn=decay)

    @property
    def kept(self) -> AnyNetwork:
        return self.averaged.module if self.averaged is not None else self.model

    def __call__(self, loss: Tensor) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        self.optimiser.step()
        self.schedule.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)

    def state(self) -> State:
        """Return the state of the optimiser, the schedule and the averaged weights."""
        optimiser = self.optimiser.state_dict()
        tensors = {}
        for number, moments in optimiser["state"].items():
            tensors |= named(f"optimiser.{number}", moments)
        if self.averaged is not None:
            tensors |= named("averaged", self.averaged.state_dict())
        rates = [group["lr"] for group in optimiser["param_groups"]]
        return State(tensors, {"rates": rates, "schedule": self.schedule.state_dict()})

    def restore(self, state: State) -> None:
        """Restore a state saved from the same network and options."""
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in state.group("optimiser").items():
            number, _, name = key.partition(".")
            moments.setdefault(int(number), {})[name] = value
        groups = self.optimiser.state_dict()["param_groups"]
        for group, rate in zip(groups, state.values["rates"], strict=True):
            group["lr"] = rate
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        self.schedule.load_state_dict(state.values["schedule"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state.group("averaged"))


def _parameter_groups(model: AnyNetwork, options: TrainConfig) -> tuple[list[dict], list[float]]:
    """Return the optimiser's parameter groups, and the warm-up of each.

    A language model has its own learning rate, warm-up and weight decay. As usual, its biases and
    norms have no weight decay. `TrainableNetwork.learning_rate_factors` make further groups.
    """
    inside: dict[bool, list[nn.Parameter]] = {True: [], False: []}  # with and without weight decay
    factors = model.learning_rate_factors
    others: dict[str, list[nn.Parameter]] = {prefix: [] for prefix in ("", *factors)}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and name.startswith("language_model."):
            inside[not (name.endswith("bias") or "norm" in name.lower())].append(parameter)
        elif parameter.requires_grad:
            prefix = next((each for each in factors if name.startswith(each)), "")
            others[prefix].append(parameter)
    groups, warmups = [], []
    for prefix, chosen in others.items():
        rate = options.learning_rate * factors.get(prefix, 1.0)
        groups.append({"params": chosen, "lr": rate, "weight_decay": options.weight_decay})
        warmups.append(options.warmup)
    for decayed, chosen in inside.items():
        if chosen:
            decay = options.finetuning.weight_decay if decayed else 0.0
            rate = options.finetuning.learning_rate
            groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
            warmups.append(options.finetuning.warmup)
    return groups, warmups


def learning_rate_factor(step: int, steps: int, warmup: float, kind: str) -> float:
    """Return the factor by which the schedule scales the learning rate.

    Args:
        step: number of the step, from 0.
        steps: total number of steps.
        warmup: share of the steps with a linearly rising rate.
        kind: "constant" or "cosine", the schedule after the warm-up.
    """
    rising = warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    if kind == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
