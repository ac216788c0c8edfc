"""Engines built for the GPU at hand, once for all tests on it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import pytest

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.engine import Engine
from edge_sacro.engine.build import Built, engine_from_onnx
from edge_sacro.engine.compiled import open_compiled
from edge_sacro.engine.ort import OrtEngine
from edge_sacro.engine.profiles import PROFILES, DeviceProfile, Precision
from edge_sacro.engine.qualify import GoldenInputs, golden_inputs
from edge_sacro.engine.serve import order_from_bundle
from edge_sacro.engine.trt import TensorRtEngine
from edge_sacro.engine.trt_memory import pycuda_driver
from edge_sacro.errors import BackendUnavailable, EngineStale
from edge_sacro.manifest import NetworkName

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
BUILDERS = {"tensorrt_rtx": "rtx-any", "tensorrt": "datacentre"}
"""Packages and the profile that each builds with; a Jetson's TensorRT builds as for any GPU at hand."""


@dataclass(frozen=True)
class Shop:
    """What engines are made from and held to."""

    bundle: Bundle
    profile: DeviceProfile
    golden: GoldenInputs
    built: dict[tuple[NetworkName, Precision], Built]

    def open(self, network: NetworkName, precision: Precision) -> TensorRtEngine:
        built = self.built[network, precision]
        spec = self.bundle.manifest.networks[network].spec(network)
        engine = open_compiled(built.seal.builder, spec, built.engine, 1)
        assert isinstance(engine, TensorRtEngine)
        return engine

    def worst(self, engine: Engine, network: NetworkName, precision: Precision) -> float:
        """Largest difference from ONNX Runtime on the same file, of the largest magnitude of the output."""
        model = order_from_bundle(self.bundle, network, precision, self.profile).model
        reference = OrtEngine(engine.spec, model, 1, optimise=False)
        answers = [(engine.run(given), reference.run(given)) for given in self.golden.inputs[network]]
        reference.close()
        scale = {name: max(np.abs(expected[name]).max() for _, expected in answers) for name in answers[0][1]}
        return max(float(np.abs(found[n] - expected[n]).max() / scale[n]) for found, expected in answers for n in found)


def opened_shop(builder: str) -> Shop:
    """Build every engine with a package; the test is skipped where there is no GPU or no such package."""
    try:
        pycuda_driver()
    except BackendUnavailable as error:
        pytest.skip(f"no GPU: {error.what}")
    if find_spec(builder) is None:
        pytest.skip(f"{builder} is not installed")
    bundle, profile = load_bundle("demonstration"), PROFILES[BUILDERS[builder]]
    try:
        built = {
            (network, precision): engine_from_onnx(order_from_bundle(bundle, network, precision, profile))
            for network in bundle.manifest.networks
            for precision in PRECISIONS
        }
        found = Shop(bundle, profile, golden_inputs(bundle, "fp32", phantoms=1), built)
        found.open("classifier", "fp32").close()
    except (BackendUnavailable, EngineStale) as error:
        pytest.skip(f"{profile.builder} does not run on this GPU: {error.what}")
    return found
