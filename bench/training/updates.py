"""What every method's updates have in common: the optimiser, its learning rate over time, clipping and averaging.

All of it acts inside the optimiser's step, through its hooks, so that no method needs to know of it. A method with
several optimisers (one for each block) has each of them clipped, scheduled and averaged by itself, so that blocks stay
independent. Where one optimiser has the stacked parameters of several blocks, each block is clipped by itself too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from bench.training.optimizers import OPTIMIZERS
from methods.core.method import STACKED, Method, ParameterGroups
from results.schema import CellConfig

_AVERAGE = "average"
"""The key of a parameter's average in its optimiser's state: it is counted, moved and kept as that is."""
_DONE = "updates"
"""The key of the number of updates so far in an optimiser's first group."""
MEASURED_EVERY = 4
"""Steps from one measured gradient norm to the next, where nothing is clipped: a norm takes 0.5 to 0.7% of a step on
the smallest images (8x8, one thread)."""
_TINY = 1e-12


class Updates:
    """Makes the optimisers of a cell, as its configuration says.

    `per_batch` is how often an optimiser steps for a batch, as the method says: a learning rate holds for a batch.
    """

    def __init__(self, config: CellConfig, steps: int) -> None:
        """With the number of training steps, one a batch, over which a cosine goes down."""
        self._config, self._steps = config, steps
        self.per_batch = 1
        self._norms: list[Tensor] = []

    def make(self, parameters: ParameterGroups) -> Optimizer:
        """The cell's optimiser for these parameters, with hooks for what was asked for beyond a plain step."""
        config = self._config
        kind = OPTIMIZERS[config.optimizer]
        optimizer = kind(parameters, lr=config.lr, weight_decay=config.weight_decay, fused=True)
        first = optimizer.param_groups[0]  # its numbers are in a checkpoint
        first[_DONE] = 0

        def before(optimizer: Optimizer, *_: Any) -> None:
            done = first[_DONE]
            if config.clip is not None or done % MEASURED_EVERY == 0:
                gradients, norm = measure_gradients(optimizer)
                self._norms.append(norm)
                if config.clip is not None:
                    scale_down(gradients, norm, config.clip)
            if config.lr_schedule != "constant" or config.warmup_steps:
                for group in optimizer.param_groups:
                    group["lr"] = config.lr * self.factor(done // self.per_batch)

        def after(optimizer: Optimizer, *_: Any) -> None:
            done = first[_DONE] = first[_DONE] + 1
            if config.ema is not None:
                _average(optimizer, min(config.ema, done / (9 + done)))

        optimizer.register_step_pre_hook(before)
        optimizer.register_step_post_hook(after)
        return optimizer

    @property
    def norms(self) -> Tensor:
        """The gradients' norms measured since the last `take_norms`, (norms,); a later process can be given them."""
        return torch.cat([norm.flatten().cpu() for norm in self._norms]) if self._norms else torch.empty(0)

    @norms.setter
    def norms(self, norms: Tensor) -> None:
        self._norms = [norms]

    def take_norms(self) -> tuple[float, float] | tuple[None, None]:
        """Median and maximum of the gradients' norms measured since the last call; none, if there were none."""
        norms = self.norms.nan_to_num(math.inf, math.inf)
        self._norms.clear()
        return (float(norms.median()), float(norms.max())) if len(norms) else (None, None)

    def factor(self, step: int) -> float:
        """Of the learning rate at a step from 0: up in equal steps to 1, then constant or half a cosine down to 0."""
        warmup = self._config.warmup_steps
        if step < warmup:
            return (step + 1) / warmup
        if self._config.lr_schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, self._steps - warmup))))


@torch.no_grad()
def measure_gradients(optimizer: Optimizer) -> tuple[list[Tensor], Tensor]:
    """The gradients of an optimiser's parameters and their Euclidean norm, all together; of each block's, if stacked.

    The norm is a scalar, or (blocks,).
    """
    groups = optimizer.param_groups
    gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
    if not gradients or not any(group.get(STACKED, False) for group in groups):
        return gradients, torch.nn.utils.get_total_norm(gradients)
    of_each = [torch.linalg.vector_norm(gradient.flatten(start_dim=1), dim=1) for gradient in gradients]
    return gradients, torch.linalg.vector_norm(torch.stack(of_each), dim=0)


@torch.no_grad()
def scale_down(gradients: list[Tensor], norm: Tensor, largest: float) -> None:
    """Multiply gradients by min(1, largest / norm), the arguments as `measure_gradients` gives them."""
    scale = (largest / norm.clamp(min=_TINY)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale if scale.dim() == 0 else scale.view(-1, *(1 for _ in gradient.shape[1:])))


@torch.no_grad()
def _average(optimizer: Optimizer, decay: float) -> None:
    """After a step: average <- decay average + (1 - decay) parameter.

    The n-th decay is min(`CellConfig.ema`, n / (9 + n)), so that the initial values do not last.
    """
    for p, state in optimizer.state.items():
        if _AVERAGE not in state:
            state[_AVERAGE] = p.detach().clone()
        else:
            state[_AVERAGE].lerp_(p.detach(), 1 - decay)


@torch.no_grad()
def _swap(method: Method) -> None:
    for optimizer in method.optimizers():
        for p, state in optimizer.state.items():
            if _AVERAGE in state:
                kept = p.detach().clone()
                p.copy_(state[_AVERAGE])
                state[_AVERAGE].copy_(kept)


@contextmanager
def averaged(method: Method, *, for_good: bool) -> Iterator[None]:
    """With the averages of the parameters in their place, if there are any; afterwards too if `for_good`.

    Running statistics of batch norm are averages already and stay as they are.
    """
    _swap(method)
    yield
    if not for_good:
        _swap(method)
