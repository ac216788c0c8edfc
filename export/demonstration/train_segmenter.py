"""Training of the segmenter: new views of the same simulations at every step, cross-entropy and Dice."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from edge_sacro.preprocess.intensity import minus_one_to_one
from export.demonstration.augment import augmented
from export.demonstration.data import Example
from export.demonstration.labels import LEFT_JOINT, RIGHT_JOINT, labels_from_bits
from export.demonstration.networks import SEGMENTER_SIZE

PAINTED_DILATION = 0.06
"""Of the sacrum's height; the painted ring's width. A little more than the rule's, since networks blur the ring."""

DILATION = 0.05
"""Of the sacrum's height; the rule's, as published."""

JOINT_WEIGHT = 4.0
"""How much more a pixel at a joint counts: the ring there decides the box."""

NEAR = 27
"""Side of the square by which a joint grows for that weight, in pixels: the gap around its ring decides as much."""

Log = Callable[[dict[str, float | int | str]], None]
Item = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: ``steps`` of ``batch`` images, learning rate rising to ``rate`` and falling to 0."""

    steps: int
    batch: int = 8
    rate: float = 2.5e-3
    workers: int = 1
    seed: int = 0
    log_every: int = 20


class Views(Dataset[Item]):
    """An endless row of augmented images; number and seed decide each, whatever worker draws it."""

    def __init__(self, examples: Sequence[Example], count: int, seed: int, size: int) -> None:
        self.examples, self.count, self.seed, self.size = examples, count, seed, size

    def __len__(self) -> int:
        """Images in the row."""
        return self.count

    def __getitem__(self, index: int) -> Item:
        """Input (1, size, size), labels (size, size), weights (size, size)."""
        cv2.setNumThreads(1)
        random = np.random.default_rng((self.seed, index))
        example = self.examples[int(random.integers(len(self.examples)))]
        values, bits, frame = augmented(example.image, example.bits, example.frame, self.size, random)
        labels = labels_from_bits(bits, frame, PAINTED_DILATION)
        joint = (bits & (LEFT_JOINT | RIGHT_JOINT)) > 0
        grown = cv2.dilate(joint.view(np.uint8), np.ones((NEAR, NEAR), np.uint8)) > 0
        weights: npt.NDArray[np.float32] = np.where(grown, np.float32(JOINT_WEIGHT), np.float32(1))
        eight_bit = np.rint(np.clip(values, 0, 1) * 255).astype(np.float32)
        image = torch.from_numpy(minus_one_to_one(eight_bit)[None])
        return image, torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(weights)


def train_segmenter(net: nn.Module, examples: Sequence[Example], schedule: Schedule, log: Log) -> nn.Module:
    """Train in place on the CPU and return the averaged weights' network.

    Args:
        net: an :class:`export.demonstration.networks.Segmenter`.
        examples: simulated radiographs.
        schedule: length and speed.
        log: takes a row of figures now and then.
    """
    torch.manual_seed(schedule.seed)
    views = Views(examples, schedule.steps * schedule.batch, schedule.seed, SEGMENTER_SIZE)
    loader = DataLoader(views, schedule.batch, num_workers=schedule.workers)
    optimizer = torch.optim.AdamW(net.parameters(), schedule.rate, weight_decay=1e-4)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, schedule.rate, schedule.steps, pct_start=0.15)
    averaging = torch.optim.swa_utils.get_ema_multi_avg_fn(0.99)  # type: ignore[no-untyped-call]
    average = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=averaging)
    net.train()
    start, recent = time.monotonic(), []
    for step, (images, labels, weights) in enumerate(loader, 1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = net(images)
        loss = segmentation_loss(logits.float(), labels, weights)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        rates.step()
        average.update_parameters(net)
        recent.append(float(loss.detach()))
        if step % schedule.log_every == 0 or step == schedule.steps:
            mean, recent = float(np.mean(recent)), []
            log({"network": "segmenter", "step": step, "loss": mean, "seconds": time.monotonic() - start})
    trained: nn.Module = average.module
    return trained.eval()


def segmentation_loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy plus one minus the mean soft Dice of the three structures over the batch."""
    entropy = nn.functional.cross_entropy(logits, labels, reduction="none")
    entropy = (entropy * weights).sum() / weights.sum()
    share = torch.softmax(logits, dim=1)[:, 1:]
    truth = nn.functional.one_hot(labels, logits.shape[1]).movedim(3, 1)[:, 1:].float()
    both = (share * truth * weights[:, None]).sum(dim=(0, 2, 3))
    either = ((share + truth) * weights[:, None]).sum(dim=(0, 2, 3))
    return entropy + 1 - (2 * both / (either + 1)).mean()
