"""OpenVINO on the CPU, in single precision where the network says so: never in bfloat16 behind the caller's back."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from edge_sacro.engine.base import Array, Engine, NetworkSpec, TensorSpec
from edge_sacro.engine.ov_concat import check_concatenations
from edge_sacro.engine.silence import silence
from edge_sacro.errors import BackendFailed, BundleContractBroken, DeadlineExceeded, EdgeSacroError, Int8Inexact

ERROR_FROM_VENDOR: dict[str, type[EdgeSacroError]] = {
    "GeneralFailure": BackendFailed,
    "IndexError": BackendFailed,
    "InitializationFailure": BackendFailed,
    "MemoryError": BackendFailed,
    "NotImplementedFailure": BackendFailed,
    "OVError": BackendFailed,
    "OVTypeError": BackendFailed,
    "OpConversionFailure": BackendFailed,
    "OpValidationFailure": BackendFailed,
    "OverflowError": BackendFailed,
    "RuntimeError": BackendFailed,
    "UserInputError": BackendFailed,
    "ValueError": BackendFailed,
}
"""OpenVINO's exception classes by name, and those of Python that its binding (pybind11) makes of C++'s own."""

SETTINGS: dict[str, object] = {
    "INFERENCE_PRECISION_HINT": "f32",
    "EXECUTION_MODE_HINT": "ACCURACY",
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": "1",
    "ENABLE_CPU_PINNING": False,
}
"""The plug-in defaults to bfloat16 on processors that have it (errors to 2e-2). The hint leaves INT8 operators INT8.

Threads are not pinned to cores, since a console has other work and a container's cores are not the machine's.
"""


class OpenVinoEngine(Engine):
    """One network compiled by OpenVINO's CPU plug-in. Each call has a request of its own.

    The same number of threads gives the same bits. Another number may not: the plug-in splits the sums of a
    normalisation among threads, which moved the demonstration segmenter's logits by 6e-5.
    """

    backend = "openvino"

    def __init__(self, spec: NetworkSpec, model: bytes, threads: int) -> None:
        silence()
        import openvino

        super().__init__(spec)
        self.vendor_version = str(openvino.get_version()).split("-", maxsplit=1)[0]
        try:
            compiled = self._opened(openvino.Core(), model, {**SETTINGS, "INFERENCE_NUM_THREADS": threads})
        except Int8Inexact as refusal:
            raise refusal.with_source(spec.name) from None
        except Exception as error:
            raise _mapped(error, spec.name) from error
        found = NetworkSpec(spec.name, _specs(compiled.inputs, spec.inputs), _specs(compiled.outputs, spec.outputs))
        if found != spec:
            raise BundleContractBroken(f"the network is {found}, the contract says {spec}", source=spec.name)
        self._compiled: Any = compiled

    @staticmethod
    def _opened(core: Any, model: bytes, settings: Mapping[str, object]) -> Any:
        """The network, compiled here."""
        network = core.read_model(model)
        check_concatenations(network)
        return core.compile_model(network, "CPU", settings)

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        given = {index: inputs[spec.name] for index, spec in enumerate(self.spec.inputs)}
        try:
            request = self._compiled.create_infer_request()
            request.start_async(given, share_inputs=False)
            if deadline is not None and not request.wait_for(_milliseconds(deadline)):
                request.cancel()
            request.wait()
            return {
                spec.name: np.array(request.get_output_tensor(index).data)
                for index, spec in enumerate(self.spec.outputs)
            }
        except Exception as error:
            if deadline is not None and time.monotonic() >= deadline:
                raise DeadlineExceeded("the network was stopped at the deadline", source=self.spec.name) from error
            raise _mapped(error, self.spec.name) from error

    def close(self) -> None:
        """Drop the compiled network with its memory."""
        self._compiled = None


class OpenVinoBlobEngine(OpenVinoEngine):
    """A network that this version of OpenVINO has compiled on this processor before.

    Args:
        spec, threads: as :class:`OpenVinoEngine` has them.
        model: as :func:`edge_sacro.engine.ov_build.blob_from_onnx` gives it.
    """

    @staticmethod
    def _opened(core: Any, model: bytes, settings: Mapping[str, object]) -> Any:
        """The network as it was compiled."""
        return core.import_model(model, "CPU", settings)


def _milliseconds(deadline: float) -> int:
    """What is left until the deadline, rounded up, as the vendor's wait takes it."""
    return max(math.ceil((deadline - time.monotonic()) * 1e3), 0)


def _specs(ports: list[Any], expected: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """The network's own account of its tensors; a dynamic axis or another type than float32 shows in the name.

    OpenVINO gives a tensor every name that ONNX's identities call it by; the contract's one is taken where it is there.
    """
    described = []
    for index, port in enumerate(ports):
        names = port.get_names()
        wanted = expected[index].name if index < len(expected) else ""
        name = wanted if wanted in names else ", ".join(sorted(names))
        kind, shape = port.get_element_type().get_type_name(), port.get_partial_shape()
        if kind != "f32" or not shape.is_static:
            described.append(TensorSpec(f"{name}: {kind} {shape}", ()))
        else:
            described.append(TensorSpec(name, tuple(int(length) for length in port.get_shape())))
    return tuple(described)


def _mapped(error: Exception, source: str) -> EdgeSacroError:
    """Our error for a vendor's. What the table does not list is not caught: it goes up as it is."""
    known = ERROR_FROM_VENDOR.get(type(error).__name__)
    if known is None:
        raise error
    return known(f"OpenVINO: {type(error).__name__}: {' '.join(str(error).split())}", source=source)
