"""A bundle's networks as engines on the GPU, against ONNX Runtime and against the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_sacro.benchmark.quantiles import quantiles_from_samples, rounded
from edge_sacro.bundle import Bundle
from edge_sacro.engine import Engine, NetworkSpec
from edge_sacro.engine.base import Array
from edge_sacro.engine.build import Built, engine_from_onnx
from edge_sacro.engine.compiled import open_compiled
from edge_sacro.engine.ort import OrtEngine
from edge_sacro.engine.profiles import Precision, profile_from_name
from edge_sacro.engine.qualify import LIMITS
from edge_sacro.engine.serve import order_from_bundle
from edge_sacro.engine.trt import TensorRtEngine
from edge_sacro.engine.trt_build import PlanOrder
from edge_sacro.manifest import NetworkName
from edge_sacro.parity.control import perturbed_weights
from edge_sacro.runtime import Runtime

Undone = Callable[[str, Exception], None]
"""Told what could not be done, and why."""

Inputs = Mapping[NetworkName, Sequence[Mapping[str, Array]]]


@dataclass(frozen=True)
class Made:
    """An engine that was built, and what from."""

    network: NetworkName
    precision: Precision
    order: PlanOrder
    built: Built


def engines_from_bundle(
    bundle: Bundle, profile: str, precisions: Sequence[Precision], undone: Undone
) -> tuple[list[Made], list[dict[str, Any]]]:
    """Build every network in every precision that the bundle has; the engines and a row for each."""
    made, rows = [], []
    device = profile_from_name(profile)
    for precision in (p for p in precisions if p in bundle.manifest.precisions and p in device.precisions):
        for network in bundle.manifest.networks:
            order = order_from_bundle(bundle, network, precision, device)
            try:
                built = engine_from_onnx(order)
            except Exception as error:  # noqa: BLE001 - whatever a builder does costs this engine alone
                undone(f"build {network} {precision}", error)
                continue
            made.append(Made(network, precision, order, built))
            row = {"network": network, "precision": precision, "seconds": rounded(built.seconds)}
            rows.append({**row, "bytes": len(built.engine), "builder_version": built.seal.builder_version})
    return made, rows


def rows_from_engines(
    bundle: Bundle, made: Sequence[Made], golden: Inputs, runs: int, undone: Undone
) -> Iterator[dict[str, Any]]:
    """Each engine's answers against ONNX Runtime's, node by node, on the same file, and what a run takes.

    The control is an engine of the same network with other weights, which must not pass.
    """
    for each in made:
        spec = bundle.manifest.networks[each.network].spec(each.network)
        reference = OrtEngine(spec, each.order.model, 1, optimise=False)
        expected = [reference.run(inputs) for inputs in golden[each.network]]
        limits = LIMITS[each.precision]
        row: dict[str, Any] = {"network": each.network, "precision": each.precision, "limit": limits.maximum}
        try:
            with _opened(each, each.built.engine, spec) as engine:
                row["state"] = engine.state()
                row["difference"] = _worst([engine.run(inputs) for inputs in golden[each.network]], expected)
                row["ms"] = timed(engine, golden[each.network][0], runs)
                if isinstance(engine, TensorRtEngine):
                    row["in_place_ms"] = _timed_in_place(engine, runs)
            other = PlanOrder(
                each.network,
                perturbed_weights(each.order.model, each.network),
                each.precision,
                each.order.profile,
            )
            with _opened(each, engine_from_onnx(other).engine, spec) as engine:
                row["control"] = _worst([engine.run(inputs) for inputs in golden[each.network]], expected)
        except Exception as error:  # noqa: BLE001 - as above
            undone(f"run {each.network} {each.precision}", error)
            continue
        finally:
            reference.close()
        row["passed"] = row["difference"] <= limits.maximum < row["control"]
        yield row


def assessed(bundle: Bundle, made: Sequence[Made], precision: Precision, image: bytes, runs: int) -> dict[str, Any]:
    """Milliseconds by stage of whole assessments, their networks on the GPU; the report's own backend beside them.

    Raises:
        BackendError: an engine cannot be opened or fails.
    """
    engines = {each.network: each for each in made if each.precision == precision}

    def opener(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        del backend, model
        each = next(found for name, found in engines.items() if name == spec.name)
        return open_compiled(each.built.seal.builder, spec, each.built.engine, threads)

    with Runtime(bundle, precision=precision, opener=opener) as runtime:
        results = [runtime.infer(image, name="phantom") for _ in range(runs + 1)][1:]
    stages = {name: [result.timings_ms.get(name, 0.0) for result in results] for name in results[0].timings_ms}
    return {
        "precision": precision,
        "backend": results[0].backend.name,
        "state": results[0].state.value,
        "stages_ms": {name: quantiles_from_samples(values).model_dump() for name, values in stages.items()},
    }


def timed(engine: Engine, inputs: Mapping[str, Array], runs: int) -> dict[str, Any]:
    """Milliseconds of one run from host arrays to host arrays, once it is warm."""
    return _quantiles(lambda: engine.run(inputs), runs)


def _timed_in_place(engine: TensorRtEngine, runs: int) -> dict[str, Any]:
    """Milliseconds of one run on inputs that are on the GPU already."""
    with engine.in_place() as lent:
        return _quantiles(lent.run, runs)


def _quantiles(work: Callable[[], Any], runs: int) -> dict[str, Any]:
    milliseconds = []
    for _ in range(runs + 3):
        start = time.perf_counter()
        work()
        milliseconds.append(1e3 * (time.perf_counter() - start))
    return quantiles_from_samples(milliseconds[3:]).model_dump()


@contextmanager
def _opened(made: Made, engine: bytes, spec: NetworkSpec) -> Iterator[Engine]:
    opened = open_compiled(made.built.seal.builder, spec, engine, 1)
    try:
        yield opened
    finally:
        opened.close()


def _worst(found: Sequence[Mapping[str, Array]], expected: Sequence[Mapping[str, Array]]) -> float:
    """Largest difference of any output, as a fraction of the largest magnitude that the reference gave there."""
    worst = 0.0
    for name in expected[0]:
        scale = max(float(np.abs(each[name]).max()) for each in expected) or 1.0
        differences = [float(np.abs(a[name] - b[name]).max()) for a, b in zip(found, expected, strict=True)]
        worst = max(worst, max(differences) / scale)
    return worst
