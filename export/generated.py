"""Weights made from key names alone: any network at its full size, the same on every machine, with no file to share.

Each tensor is drawn from NumPy's PCG64, seeded with the SHA-256 of ``<network>/<key>``, and scaled so that signals stay
finite through every architecture. They say nothing of any image; they are for tests, timing and demonstrations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]

PUBLISHED = ("seg", "cls")
"""The anatomy-aware networks, whose weights other people's measurements are held to; their rule never changes."""

_FACTORS = {"cls/model.conv1.weight": 3.0, "cls/model.fc.4.weight": 0.5}


def generated_tensor(network: str, key: str, shape: tuple[int, ...]) -> Array:
    """The tensor of one key: float32, or int64 for a batch norm's counter.

    Args:
        network: any name; ``"seg"`` and ``"cls"`` are the published segmenter and classifier.
        key: as the checkpoint has it.
        shape: its own.
    """
    if key.endswith(".num_batches_tracked"):
        return np.zeros(shape, np.int64)
    seed = int.from_bytes(hashlib.sha256(f"{network}/{key}".encode()).digest(), "big")
    unit = np.random.Generator(np.random.PCG64(seed)).random(int(np.prod(shape, dtype=np.int64))).reshape(shape)
    return _scaled(network, key, shape, unit).astype(np.float32)


def generated_tensors(network: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Every tensor by its key."""
    return {key: generated_tensor(network, key, shape) for key, shape in shapes.items()}


def digest(tensors: Mapping[str, Array]) -> str:
    """SHA-256 over the keys in order, each followed by its tensor's bytes."""
    total = hashlib.sha256()
    for key in sorted(tensors):
        total.update(key.encode())
        total.update(np.ascontiguousarray(tensors[key]).tobytes())
    return total.hexdigest()


def _scaled(network: str, key: str, shape: tuple[int, ...], unit: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    signed = 2.0 * unit - 1.0
    if key.endswith("adn.A.weight"):
        return np.full(shape, 0.25)
    if key.endswith(".running_var"):
        return 0.5 + unit
    if key.endswith((".running_mean", ".bias")):
        return 0.1 * signed
    if len(shape) == 1:  # a batch norm's
        return (1.0 + 0.1 * signed) * (0.3 if ".bn3." in key else 1.0)
    weight = signed * np.sqrt(3.0) * np.sqrt(2.0 / int(np.prod(shape[1:], dtype=np.int64)))
    if network not in PUBLISHED and shape[0] == 2:
        # Logits near one another, and one class's explanation where the other has none.
        weight = np.stack([0.03 * weight[0], -0.03 * weight[0]])
    return np.asarray(weight * _FACTORS.get(f"{network}/{key}", 1.0))
