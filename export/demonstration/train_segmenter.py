"""Training of the segmenter: new views of the same simulations at every step, cross-entropy and Dice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
from export.demonstration.loop import Log, Regularisation, Schedule, trained
from export.demonstration.networks import SEGMENTER_SIZE

PAINTED_DILATION = 0.06
"""Of the sacrum's height; the painted ring's width. A little more than the rule's, since networks blur the ring."""

DILATION = 0.05
"""Of the sacrum's height; the rule's, as published."""

JOINT_WEIGHT = 4.0
"""How much more a pixel at a joint counts: the ring there decides the box."""

NEAR = 27
"""Side of the square by which a joint grows for that weight, in pixels: the gap around its ring decides as much."""

Item = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


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

    def losses() -> Iterator[torch.Tensor]:
        for images, labels, weights in loader:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = net(images)
            yield segmentation_loss(logits.float(), labels, weights)

    return trained(
        net, losses(), schedule, Regularisation(1e-4, 0.15), lambda **row: log({"network": "segmenter", **row})
    )


def segmentation_loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy plus one minus the mean soft Dice of the three structures over the batch."""
    entropy = nn.functional.cross_entropy(logits, labels, reduction="none")
    entropy = (entropy * weights).sum() / weights.sum()
    share = torch.softmax(logits, dim=1)[:, 1:]
    truth = nn.functional.one_hot(labels, logits.shape[1]).movedim(3, 1)[:, 1:].float()
    both = (share * truth * weights[:, None]).sum(dim=(0, 2, 3))
    either = ((share + truth) * weights[:, None]).sum(dim=(0, 2, 3))
    return entropy + 1 - (2 * both / (either + 1)).mean()
