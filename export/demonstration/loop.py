"""The training loop that both networks share: AdamW, one cycle of rates, clipped gradients, averaged weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

Log = Callable[[dict[str, float | int | str]], None]
"""Takes a row of figures now and then."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: ``steps`` of ``batch`` images, learning rate rising to ``rate`` and falling to 0."""

    steps: int
    batch: int = 8
    rate: float = 2.5e-3
    workers: int = 1
    seed: int = 0
    log_every: int = 20


@dataclass(frozen=True)
class Regularisation:
    """What keeps a network from its training images by heart: ``weight_decay``, and a ``warm_up`` part of the steps."""

    weight_decay: float
    warm_up: float


def trained(
    net: nn.Module, losses: Iterator[torch.Tensor], schedule: Schedule, kept: Regularisation, log: Callable[..., None]
) -> nn.Module:
    """Train in place on the CPU.

    Args:
        net: put into training mode.
        losses: gives each step's loss when it is asked for, after the step before was taken.
        schedule: length and speed.
        kept: weight decay and warm-up.
        log: takes ``step``, ``loss`` and ``seconds``.

    Returns:
        the network of the averaged weights, in evaluation mode.
    """
    optimizer = torch.optim.AdamW(net.parameters(), schedule.rate, weight_decay=kept.weight_decay)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, schedule.rate, schedule.steps, pct_start=kept.warm_up)
    averaging = torch.optim.swa_utils.get_ema_multi_avg_fn(0.99)  # type: ignore[no-untyped-call]
    average = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=averaging, use_buffers=True)
    net.train()
    start, recent = time.monotonic(), []
    for step, loss in enumerate(losses, 1):
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        rates.step()
        average.update_parameters(net)
        recent.append(float(loss.detach()))
        if step % schedule.log_every == 0 or step == schedule.steps:
            log(step=step, loss=float(np.mean(recent)), seconds=time.monotonic() - start)
            recent = []
    module: nn.Module = average.module
    return module.eval()
