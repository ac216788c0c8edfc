"""A compiled plan as TensorRT 10.3 to 11.x or TensorRT-RTX 1.7 opens and runs it.

The two differ at two places, both of TensorRT-RTX: it says beforehand whether a plan runs here, and it is told to leave
graphs to us. Most of this vendor's errors are a None, a False or a line in the log: each is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from edge_sacro.engine import trt_build
from edge_sacro.engine.base import NetworkSpec, TensorSpec
from edge_sacro.engine.trt_log import VendorLog
from edge_sacro.errors import BackendFailed, BackendUnavailable, EdgeSacroError, EngineStale

ERROR_FROM_DIAGNOSTIC: dict[str, type[EdgeSacroError]] = {
    "MALFORMED_ENGINE": EngineStale,
    "UNSUPPORTED_CC": EngineStale,
    "VERSION_MISMATCH": EngineStale,
    "OLD_CUDA_DRIVER": BackendUnavailable,
    "OLD_CUDA_RUNTIME": BackendUnavailable,
    "CUDA_ERROR": BackendFailed,
    "INSUFFICIENT_GPU_MEMORY": BackendFailed,
}
"""Why TensorRT-RTX does not run a plan, by its own names, the first that is true first."""

_VENDORS_EXCEPTIONS = (TypeError, ValueError, RuntimeError, MemoryError)
"""What pybind11 makes of the vendor's."""

_KEPT_MESSAGES = 32


class OpenedPlan:
    """A plan with its execution context. The GPU's context is current while any method runs; one thread at a time.

    Args:
        builder: whose plan it is.
        plan: its bytes.
        source: whose errors it tells.

    Attributes:
        version: the vendor's.
        validity: what the vendor said of running the plan here, ``"SUBOPTIMAL"`` for instance; ``""`` where it says
            nothing beforehand.

    Raises:
        BackendFailed: the vendor refuses it; with the vendor's own words.
        BackendUnavailable: the vendor's library, or the driver, is absent or too old for it.
        EngineStale: it is for another GPU or version.
        ModuleNotFoundError: the vendor's package is not installed.
    """

    def __init__(self, builder: str, plan: bytes, source: str) -> None:
        self._source = source
        trt = self._trt = _imported(builder)
        self.version = str(trt.__version__)
        self.validity = ""
        self._log = VendorLog(trt, _KEPT_MESSAGES)
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        try:
            with self._asked("opening the runtime"):
                self._runtime = trt.Runtime(self._log.logger)
            if builder == "tensorrt-rtx":
                with self._asked("asking whether the plan runs here"):
                    self._check_validity(plan)
            with self._asked("opening the plan"):
                # A plan for several versions holds a runtime's code. It is sealed, as all that is opened here.
                self._runtime.engine_host_code_allowed = True
                self._engine = self._given(self._runtime.deserialize_cuda_engine(plan), "opening the plan")
            with self._asked("making a context"):
                self._context = self._given(self._made_context(builder), "making a context")
        except BaseException:
            self.close()
            raise

    def fixed(self, expected: NetworkSpec) -> NetworkSpec:
        """Fix an axis that may vary to the expected length; what the plan takes and gives then, as it says itself.

        A tensor of another type, layout or place than float32 values in the GPU's memory shows in the name. Tensors
        that are expected are in that order.

        Raises:
            BackendFailed: the vendor fails.
        """
        with self._asked("reading the tensors"):
            for spec in expected.inputs:
                self._fix(spec)
            names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
            inputs = {n for n in names if self._engine.get_tensor_mode(n) == self._trt.TensorIOMode.INPUT}
            return NetworkSpec(
                expected.name,
                self._described([name for name in names if name in inputs], expected.inputs),
                self._described([name for name in names if name not in inputs], expected.outputs),
            )

    def bind(self, name: str, address: int) -> None:
        """Tell where a tensor is.

        Raises:
            BackendFailed: the vendor does not take the address.
        """
        with self._asked(f"placing {name}"):
            self._given(self._context.set_tensor_address(name, address), f"placing {name}")

    def enqueue(self, stream: int) -> None:
        """Queue one run on a stream.

        Raises:
            BackendFailed: the vendor refuses.
        """
        with self._asked("queueing a run"):
            self._given(self._context.execute_async_v3(stream), "queueing a run")

    def refuses_capture(self, stream: int) -> bool:
        """Whether the vendor says that its work on this stream is none for a graph; False where it does not say.

        Raises:
            BackendFailed: the vendor fails.
        """
        if not hasattr(self._context, "is_stream_capturable"):
            return False
        with self._asked("asking for a capture"):
            return not self._context.is_stream_capturable(stream)

    def close(self) -> None:
        """Give everything back, the last made first."""
        self._context = None
        self._engine = None
        self._runtime = None

    def _check_validity(self, plan: bytes) -> None:
        found, diagnostics = self._runtime.get_engine_validity(plan[: self._runtime.engine_header_size])
        self.validity = str(found.name)
        if found != self._trt.EngineValidity.INVALID:
            return
        kinds = self._trt.EngineInvalidityDiagnostics
        reasons = [
            name for name in ERROR_FROM_DIAGNOSTIC if hasattr(kinds, name) and int(getattr(kinds, name)) & diagnostics
        ]
        error = ERROR_FROM_DIAGNOSTIC[reasons[0]] if reasons else BackendFailed
        told = ", ".join(reasons) or f"diagnostics {diagnostics}"
        raise error(f"the plan does not run here: {told}{self._said()}", source=self._source)

    def _made_context(self, builder: str) -> Any:
        if builder == "tensorrt":
            return self._engine.create_execution_context()
        config = self._given(self._engine.create_runtime_config(), "making a runtime configuration")
        config.cuda_graph_strategy = self._trt.CudaGraphStrategy.DISABLED
        return self._engine.create_execution_context(config)

    def _fix(self, spec: TensorSpec) -> None:
        """Set a shape that is not fixed yet. Where the plan does not take it, its own one stays to be seen."""
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        if spec.name in names and -1 in tuple(self._engine.get_tensor_shape(spec.name)):
            self._context.set_input_shape(spec.name, spec.shape)

    def _described(self, names: Sequence[str], expected: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        order = [spec.name for spec in expected if spec.name in names]
        order += [name for name in names if name not in order]
        return tuple(TensorSpec(self._named(name), tuple(self._context.get_tensor_shape(name))) for name in order)

    def _named(self, name: str) -> str:
        trt, engine = self._trt, self._engine
        found = {
            "type": (engine.get_tensor_dtype(name), trt.DataType.FLOAT),
            "layout": (engine.get_tensor_format(name), trt.TensorFormat.LINEAR),
            "place": (engine.get_tensor_location(name), trt.TensorLocation.DEVICE),
        }
        strange = [f"{what} {value.name}" for what, (value, wanted) in found.items() if value != wanted]
        return f"{name}: {', '.join(strange)}" if strange else name

    def _given(self, value: Any, doing: str) -> Any:
        """What the vendor answered, unless that is its None or False."""
        if value is None or value is False:
            raise BackendFailed(f"{doing} failed{self._said()}", source=self._source)
        return value

    @contextmanager
    def _asked(self, doing: str) -> Iterator[None]:
        self._log.clear()
        try:
            yield
        except _VENDORS_EXCEPTIONS as error:
            what = f"{doing}: {type(error).__name__}: {error}{self._said()}"
            raise BackendFailed(what, source=self._source) from error

    def _said(self) -> str:
        errors = self._log.errors()
        return f" ({'; '.join(errors[-3:])})" if errors else ""


def _imported(builder: str) -> Any:
    try:
        return trt_build.vendor_from_builder(builder)
    except ModuleNotFoundError:
        raise
    except (ImportError, OSError) as error:
        raise BackendUnavailable(
            f"{builder} cannot be loaded: {error}", source="backend", remedy="Install the vendor's libraries whole."
        ) from error
