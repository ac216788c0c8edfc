"""Weights made from key names alone, so that full-size networks can be compared without a file to share.

Each tensor is drawn from NumPy's PCG64, seeded with the SHA-256 of ``<network>/<key>``; README.md beside
this file has the rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


def generated_tensor(network: str, key: str, shape: tuple[int, ...]) -> Array:
    """The tensor of one key of network ``"seg"`` or ``"cls"``: float32, or int64 for a batch counter."""
    if key.endswith(".num_batches_tracked"):
        return np.zeros(shape, np.int64)
    seed = int.from_bytes(hashlib.sha256(f"{network}/{key}".encode()).digest(), "big")
    unit = np.random.Generator(np.random.PCG64(seed)).random(int(np.prod(shape, dtype=np.int64))).reshape(shape)
    return (_scaled(network, key, shape, unit)).astype(np.float32)


def _scaled(network: str, key: str, shape: tuple[int, ...], unit: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    signed = 2.0 * unit - 1.0
    if key.endswith("adn.A.weight"):
        return np.full(shape, 0.25)
    if key.endswith(".running_var"):
        return 0.5 + unit
    if key.endswith((".running_mean", ".bias")):
        return 0.1 * signed
    if _is_batch_norm(key):
        return (1.0 + 0.1 * signed) * (0.3 if ".bn3." in key else 1.0)
    weight = signed * np.sqrt(3.0) * np.sqrt(2.0 / int(np.prod(shape[1:], dtype=np.int64)))
    return weight * {"cls/model.conv1.weight": 3.0, "cls/model.fc.4.weight": 0.5}.get(f"{network}/{key}", 1.0)


def _is_batch_norm(key: str) -> bool:
    return key.startswith("model.bn1") or any(part in key for part in (".bn", "downsample.1.", ".fc.2."))


def digest(tensors: Mapping[str, Array]) -> str:
    """SHA-256 over the keys in order, each followed by its tensor's bytes."""
    total = hashlib.sha256()
    for key in sorted(tensors):
        total.update(key.encode())
        total.update(np.ascontiguousarray(tensors[key]).tobytes())
    return total.hexdigest()
