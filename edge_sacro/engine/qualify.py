"""Qualification: an engine answers golden inputs as ONNX Runtime does on the same ONNX file, or it may not serve.

The reference runs the file node by node, with no optimisation, so that ONNX Runtime's own engines are held to it too.
Golden inputs are what the networks of this very bundle are given for a few fixed phantoms, and noise over the same
range. Both are the same on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from edge_sacro.bundle import Bundle
from edge_sacro.engine import open_engine
from edge_sacro.engine.base import Array, Engine, NetworkSpec
from edge_sacro.engine.ort import OrtEngine
from edge_sacro.engine.profiles import Precision, profile_from_name
from edge_sacro.engine.saturation import check_engines
from edge_sacro.engine.serve import open_sealed, order_from_bundle
from edge_sacro.engine.store import EngineStore, Qualification
from edge_sacro.manifest import NetworkName

REFERENCE = "onnxruntime"
PHANTOMS = 2
"""Radiographs that are rendered, at seconds each; each gives several inputs of a segmenter."""

_PHANTOM_SEED = 20260
_INPUTS_A_PHANTOM = 4
_NOISE_INPUTS = 4


@dataclass(frozen=True)
class Limits:
    """Allowed difference of outputs, as a fraction of the largest magnitude of the reference's: at most, on average."""

    maximum: float
    mean: float


LIMITS: dict[Precision, Limits] = {
    "fp32": Limits(1e-3, 1e-4),
    "fp16": Limits(2e-2, 2e-3),
    "int8": Limits(5e-2, 5e-3),
}
"""By precision. Both sides run the same graph, so that what is allowed is another order of sums and another rounding:
half a thousandth for fp16 and an int8 step of 1/127 for a few values. Chosen, with room for several layers of it."""


@dataclass(frozen=True)
class GoldenInputs:
    """Inputs by network, the phantoms' ones first.

    Attributes:
        inputs: named arrays for each run of a network.
        phantom_inputs: how many of a network's inputs come from phantoms.
    """

    inputs: Mapping[NetworkName, list[dict[str, Array]]]
    phantom_inputs: Mapping[NetworkName, int]

    def sha256(self, network: NetworkName) -> str:
        """Of a network's inputs, with their names."""
        digest = hashlib.sha256()
        for inputs in self.inputs[network]:
            for name, array in sorted(inputs.items()):
                digest.update(name.encode() + array.tobytes())
        return digest.hexdigest()


@dataclass
class _Recorder:
    """An opener whose engines keep what they are given."""

    seen: dict[str, list[dict[str, Array]]] = field(default_factory=dict)

    def __call__(self, backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        return _Recording(open_engine(backend, spec, model, threads), self.seen.setdefault(spec.name, []))


class _Recording(Engine):
    backend = REFERENCE

    def __init__(self, inner: Engine, seen: list[dict[str, Array]]) -> None:
        super().__init__(inner.spec)
        self.vendor_version = inner.vendor_version
        self._inner, self._seen = inner, seen

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        self._seen.append({name: array.copy() for name, array in inputs.items()})
        return self._inner.run(inputs, deadline=deadline)


def golden_inputs(bundle: Bundle, precision: Precision, phantoms: int = PHANTOMS) -> GoldenInputs:
    """Record what the bundle's networks are given for fixed phantoms, and add noise over the same range.

    A network that no phantom reaches, as those of a CT system, has noise alone; the record says so.

    Args:
        bundle: whose runtime is watched.
        precision: that the runtime runs in.
        phantoms: how many; 0 leaves noise alone.
    """
    from edge_sacro.phantom import render
    from edge_sacro.phantom.dx import bytes_from_phantom
    from edge_sacro.runtime import Runtime

    recorder = _Recorder()
    kept: dict[str, list[dict[str, Array]]] = {name: [] for name in bundle.manifest.networks}
    if phantoms:
        with Runtime(bundle, backend=REFERENCE, precision=precision, opener=recorder) as runtime:
            for number in range(phantoms):
                runtime.infer(bytes_from_phantom(render((_PHANTOM_SEED, number))), name=f"phantom {number}")
                for name, seen in recorder.seen.items():
                    step = max(len(seen) // _INPUTS_A_PHANTOM, 1)
                    kept[name] += seen[::step][:_INPUTS_A_PHANTOM]
                    seen.clear()
    networks = bundle.manifest.networks
    return GoldenInputs(
        {name: kept[name] + _noise(network.spec(name), kept[name]) for name, network in networks.items()},
        {name: len(kept[name]) for name in networks},
    )


def qualify(
    store: EngineStore, bundle: Bundle, network: NetworkName, key: str, golden: GoldenInputs, threads: int = 1
) -> Qualification:
    """Run golden inputs through an engine and the reference, compare, and keep the record, passed or not.

    An earlier record is dropped first, so that an engine that crashes here is left without one.

    Raises:
        BackendUnavailable: no backend of this version runs the engine.
        EngineStale: it is sealed for something else.
        BackendFailed: it cannot be opened, or fails on a golden input.
        Int8Inexact: it is INT8 of a backend whose sums this processor cuts off. Golden inputs need not reach them.
    """
    store.forget_qualification(key)
    spec = bundle.manifest.networks[network].spec(network)
    seal = store.seal(key)
    with ExitStack() as opened:
        candidate = open_sealed(store, bundle, key, spec, threads)
        opened.callback(candidate.close)
        if seal.precision == "int8":
            check_engines([candidate])  # once: the seal holds the engine to this processor and this version
        model = order_from_bundle(bundle, network, seal.precision, profile_from_name(seal.profile)).model
        reference = OrtEngine(spec, model, threads, optimise=False)
        opened.callback(reference.close)
        maximum, mean = _differences(candidate, reference, golden.inputs[network])
        state = candidate.state()
    limits = LIMITS[seal.precision]
    record = Qualification(
        key=key,
        engine_sha256=seal.engine_sha256,
        reference=f"{REFERENCE} {reference.vendor_version}",
        inputs_sha256=golden.sha256(network),
        phantom_inputs=golden.phantom_inputs[network],
        noise_inputs=len(golden.inputs[network]) - golden.phantom_inputs[network],
        max_difference=maximum,
        mean_difference=mean,
        max_limit=limits.maximum,
        mean_limit=limits.mean,
        passed=maximum <= limits.maximum and mean <= limits.mean,
        state=state,
    )
    store.write_qualification(record)
    return record


def _differences(candidate: Engine, reference: Engine, golden: list[dict[str, Array]]) -> tuple[float, float]:
    """Largest and mean difference of the worst output, as fractions of the reference's largest magnitude there."""
    answers = [(candidate.run(inputs), reference.run(inputs)) for inputs in golden]
    worst = (0.0, 0.0)
    for name in (spec.name for spec in reference.spec.outputs):
        scale = max(float(np.abs(expected[name]).max()) for _, expected in answers) or 1.0
        differences = [np.abs(found[name] - expected[name]) for found, expected in answers]
        maximum = max(float(each.max()) for each in differences) / scale
        mean = float(np.mean([float(each.mean()) for each in differences])) / scale
        worst = (max(worst[0], maximum), max(worst[1], mean))
    return worst


def _noise(spec: NetworkSpec, recorded: list[dict[str, Array]]) -> list[dict[str, Array]]:
    """Uniform noise over the range that was recorded for each input, or -1 to 1 where nothing was."""
    found: list[dict[str, Array]] = []
    for number in range(_NOISE_INPUTS):
        generator = np.random.Generator(np.random.PCG64([_PHANTOM_SEED, number]))
        inputs: dict[str, Array] = {}
        for tensor in spec.inputs:
            seen = [array[tensor.name] for array in recorded]
            low = min((float(each.min()) for each in seen), default=-1.0)
            high = max((float(each.max()) for each in seen), default=1.0)
            inputs[tensor.name] = generator.uniform(low, high, tensor.shape).astype(np.float32)
        found.append(inputs)
    return found
