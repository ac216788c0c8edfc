"""What a system's stages give its networks and want of them, held against a bundle before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge_sacro.classify import RADIOGRAPHIC
from edge_sacro.errors import BundleContractBroken, UsageError
from edge_sacro.explain import OUTPUT
from edge_sacro.manifest import Manifest, Network

Shape = tuple[int | str, ...]
"""Static sizes; a letter is any size, the same one wherever it stands in one network."""

CLASSES = 2
EXPLANATION: Mapping[str, Shape] = {OUTPUT: (1, CLASSES, "h", "w")}
"""A classifier may explain itself by a second output, which no decision depends on."""


@dataclass(frozen=True)
class NetworkContract:
    """One network's tensors, all float32.

    Attributes:
        image: shape of its one input, whatever its name.
        outputs: that it must have, by name.
        extras: that it may have.
    """

    image: tuple[int, ...]
    outputs: Mapping[str, Shape]
    extras: Mapping[str, Shape] = field(default_factory=dict)


@dataclass(frozen=True)
class BundleContract:
    """What a bundle must be for a system to run on it.

    Attributes:
        networks: by name.
        classes: accepted wordings of the manifest's ``classes``, each in the order of the outputs.
        normaliser: the only map from modality values to what the networks see that the stages have.
        numerics: the manifest's ``numerics`` that the stages have.
    """

    networks: Mapping[str, NetworkContract]
    classes: Sequence[tuple[str, ...]]
    normaliser: str
    numerics: frozenset[str] = frozenset({"corrected"})


def classifier_contract(channels: int, manifest: Manifest) -> NetworkContract:
    """A classifier of two classes whose input has the manifest's rows and columns."""
    settings = manifest.classification
    if settings is None:
        raise AssertionError("the manifest's schema lets no such bundle through")
    image = (1, channels, settings.rows, settings.columns)
    return NetworkContract(image, {"logits": (1, CLASSES)}, EXPLANATION)


def check_bundle(contract: BundleContract, manifest: Manifest) -> None:
    """Refuse a bundle whose networks are none that the stages can feed and read.

    Raises:
        BundleContractBroken: the message names every place.
    """
    broken = []
    if tuple(manifest.classes) not in {tuple(each) for each in contract.classes}:
        known = " or ".join(str(list(each)) for each in contract.classes)
        broken.append(f"classes are {manifest.classes}, and must be {known}")
    if manifest.normaliser != contract.normaliser:
        broken.append(f"normaliser is {manifest.normaliser!r}, and must be {contract.normaliser!r}")
    if manifest.numerics not in contract.numerics:
        broken.append(f"numerics are {manifest.numerics!r}, and this system has {', '.join(sorted(contract.numerics))}")
    for name, network in manifest.networks.items():
        broken += [f"{name}: {what}" for what in _broken_network(contract.networks[name], network)]
    if broken:
        raise BundleContractBroken("; ".join(broken), source=f"{manifest.name}, system {manifest.system}")


def check_explains(manifest: Manifest, class_index: int = RADIOGRAPHIC) -> None:
    """Refuse a bundle whose networks cannot explain themselves, or a class that it has not.

    Raises:
        UsageError: it says why, and how to get a bundle that can.
    """
    if not 0 <= class_index < len(manifest.classes):
        raise UsageError(f"there is no class {class_index}; there are {manifest.classes}", source="explain")
    network = manifest.networks.get("classifier")
    if network is None:
        raise UsageError(
            f"system {manifest.system} has no explanation: it detects joints and classifies each by its box",
            source="explain",
            remedy="Look at its boxes: edge-sacro infer --overlay.",
        )
    if OUTPUT not in {tensor.name for tensor in network.outputs}:
        raise UsageError(
            f"the classifier of bundle {manifest.name} has no explanation output",
            source="explain",
            remedy="Export it with one (python -m export model), or add one to its graph (python -m export explain).",
        )


def _broken_network(contract: NetworkContract, network: Network) -> list[str]:
    broken = []
    inputs = [tuple(tensor.shape) for tensor in network.inputs]
    if inputs != [contract.image]:
        broken.append(f"inputs are {inputs}, and the stages give {contract.image}")
    outputs = {tensor.name: tuple(tensor.shape) for tensor in network.outputs}
    sizes: dict[str, int] = {}
    for name, shape in {**contract.extras, **contract.outputs}.items():
        if name not in outputs:
            if name in contract.outputs:
                broken.append(f"there is no output {name!r}")
        elif not _fits(shape, outputs[name], sizes):
            broken.append(f"output {name!r} is {outputs[name]}, and must be {shape}")
    unknown = sorted(set(outputs) - set(contract.outputs) - set(contract.extras))
    return [*broken, *(f"output {name!r} is known to no stage" for name in unknown)]


def _fits(wanted: Shape, found: tuple[int, ...], sizes: dict[str, int]) -> bool:
    """Whether a shape is the wanted one; a letter that had no size yet takes the one found."""
    if len(wanted) != len(found):
        return False
    return all(
        size == (side if isinstance(side, int) else sizes.setdefault(side, size))
        for side, size in zip(wanted, found, strict=True)
    )
