"""Checkpoints are read without running any code of theirs, and fill a network key by key or not at all."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edge_sacro.errors import BundleContractBroken, UsageError

Weights = Mapping[str, torch.Tensor]

PLAIN = ""
"""In :attr:`Layout.under`: the file's own content is the state dict."""

_NAMED_AT_MOST = 8


@dataclass(frozen=True)
class Layout:
    """Where a checkpoint file keeps its tensors.

    Attributes:
        under: keys of the file's dictionary, the first one that is there counts; :data:`PLAIN` for the file itself.
        prefixes: taken off each key that begins with one, in this order.
        remedy: how a user makes such a file.
    """

    under: tuple[str, ...]
    prefixes: tuple[str, ...] = ()
    remedy: str = "Save it anew by torch.save(model.state_dict(), file)."


def weights_from_checkpoint(path: Path, layout: Layout) -> Weights:
    """The tensors of a checkpoint under the network's own keys. Classes that the file names are replaced by inert ones.

    Raises:
        UsageError: no checkpoint of this layout can be read from the file.
        BundleContractBroken: two keys are one without their prefixes.
    """
    content = _content(path, layout)
    found: dict[str, torch.Tensor] = {}
    for key, value in _tensors(content, path, layout).items():
        bare = key
        for prefix in layout.prefixes:
            bare = bare.removeprefix(prefix)
        if bare in found:
            raise BundleContractBroken(f"two keys are {bare} without prefix", source=str(path), remedy=layout.remedy)
        found[bare] = value
    return found


def filled(net: nn.Module, weights: Weights, source: str) -> nn.Module:
    """Load every weight into a network, in evaluation mode.

    Raises:
        BundleContractBroken: keys, shapes or types are not the network's, or a weight is not finite; they are named.
    """
    expected = net.state_dict()
    both = [key for key in expected if key in weights]
    faults = {
        "missing": [key for key in expected if key not in weights],
        "unexpected": [key for key in weights if key not in expected],
        "of another shape": [
            f"{key} {tuple(weights[key].shape)}, not {tuple(expected[key].shape)}"
            for key in both
            if weights[key].shape != expected[key].shape
        ],
        "of another type": [
            f"{key} {weights[key].dtype}, not {expected[key].dtype}"
            for key in both
            if weights[key].is_floating_point() != expected[key].is_floating_point()
        ],
        "not finite": [key for key in both if not torch.isfinite(weights[key]).all()],
    }
    if any(faults.values()):
        remedy = "Give the checkpoint of this very network; another architecture cannot be loaded into it."
        raise BundleContractBroken(_named(faults), source=source, remedy=remedy)
    net.load_state_dict(dict(weights))
    return net.eval()


def _named(faults: Mapping[str, list[str]]) -> str:
    return "; ".join(
        f"{len(keys)} {kind}: {', '.join(keys[:_NAMED_AT_MOST])}{', …' if len(keys) > _NAMED_AT_MOST else ''}"
        for kind, keys in faults.items()
        if keys
    )


class _Inert:
    """Stands in for any class that a checkpoint names beside its tensors; it takes everything and does nothing."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Ignore everything."""

    def __setstate__(self, state: object) -> None:
        """Ignore the state."""


def _content(path: Path, layout: Layout) -> object:
    try:
        # PyTorch can list the classes of its zip format alone; a file of the older one must do without any.
        named = torch.serialization.get_unsafe_globals_in_checkpoint(path) if zipfile.is_zipfile(path) else []
        stand_ins: list[Any] = [(dict if name.endswith(".AttributeDict") else _Inert, name) for name in named]
        with torch.serialization.safe_globals(stand_ins):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        first_line = str(error).split("\n", maxsplit=1)[0]
        raise UsageError(f"no checkpoint can be read: {first_line}", source=str(path), remedy=layout.remedy) from error


def _tensors(content: object, path: Path, layout: Layout) -> Weights:
    if isinstance(content, _Inert):
        what = "the file holds a whole pickled object, not tensors by key"
        raise UsageError(what, source=str(path), remedy=layout.remedy)
    entries = content if isinstance(content, Mapping) else {}
    for name in layout.under:
        weights = entries if name == PLAIN else entries.get(name)
        if isinstance(weights, Mapping) and _all_tensors(weights) and (weights or name != PLAIN):
            return weights
    places = " or ".join("the file itself" if name == PLAIN else repr(name) for name in layout.under)
    raise UsageError(f"the checkpoint holds no tensors under {places}", source=str(path), remedy=layout.remedy)


def _all_tensors(weights: Mapping[Any, Any]) -> bool:
    return all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in weights.items())
