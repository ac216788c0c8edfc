"""One builder for TensorRT 10.3 to 11.x and TensorRT-RTX 1.7: an ONNX file to a plan.

Precision lives in the graph (fp16 tensors, Q/DQ) and the network is strongly typed, so that every version builds the
same arithmetic. Four things differ, each in one function: TensorRT-RTX is told the compute capabilities, TensorRT keeps
a timing cache and may build compatible engines, and TensorRT 10's deep learning accelerator is typed weakly, from
ranges. Errors of this vendor are mostly a None, a False or a line in the log: each is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_sacro.engine.profiles import DeviceProfile, Precision, release
from edge_sacro.engine.trt_log import VendorLog
from edge_sacro.errors import EngineBuildFailed

Progress = Callable[[str, float], None]
"""Told the phase's name and how much of it is done, 0 to 1. It may be called from the vendor's threads."""


@dataclass(frozen=True)
class PlanOrder:
    """What to build.

    Attributes:
        name: of the network, for messages.
        model: the ONNX file's bytes.
        precision: of the engine; for a strongly typed profile, that of the file too.
        profile: of the device.
        ranges: largest magnitude by tensor name; a weakly typed int8 engine needs them.
        timing_cache: what an earlier build on this device measured, or empty.
    """

    name: str
    model: bytes
    precision: Precision
    profile: DeviceProfile
    ranges: Mapping[str, float] | None = None
    timing_cache: bytes = b""


@dataclass(frozen=True)
class Plan:
    """What was built.

    Attributes:
        content: the plan's bytes.
        timing_cache: for the next build, or empty where the builder keeps none.
        layers: of the network before fusion.
        messages: the vendor's warnings.
    """

    content: bytes
    timing_cache: bytes
    layers: int
    messages: tuple[str, ...]


def vendor_from_builder(builder: str) -> Any:
    """The vendor's module.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    if builder == "tensorrt-rtx":
        import tensorrt_rtx

        return tensorrt_rtx
    import tensorrt

    return tensorrt


def plan_from_onnx(order: PlanOrder, progress: Progress | None = None) -> Plan:
    """Build a plan.

    Raises:
        EngineBuildFailed: the builder refused the file or a setting, or ended without a plan; with its own message.
        ModuleNotFoundError: the builder is not installed.
    """
    trt = vendor_from_builder(order.profile.builder)
    log = VendorLog(trt)
    try:
        builder = trt.Builder(log.logger)
        network = _network(trt, builder, log.logger, order)
        config = builder.create_builder_config()
        if config is None:
            raise _failed(order, "it gave no configuration", log.errors())
        _configure(trt, builder, network, config, order)
        monitor = None if progress is None else _monitor(trt, progress)
        if monitor is not None:
            config.progress_monitor = monitor
        timings = _timing_cache(config, order)
        plan = builder.build_serialized_network(network, config)
    except (TypeError, ValueError, RuntimeError) as error:  # what pybind11 makes of the vendor's exceptions
        raise _failed(order, f"{type(error).__name__}: {error}", log.errors()) from error
    if plan is None:
        raise _failed(order, "it ended without a plan", log.errors())
    return Plan(bytes(plan), b"" if timings is None else _kept(config), int(network.num_layers), log.warnings())


def _kept(config: Any) -> bytes:
    """The timing cache, which shortens a later build; empty where the builder gives none, for the plan is made."""
    cache = config.get_timing_cache()
    text = None if cache is None else cache.serialize()
    return b"" if text is None else bytes(text)


def _network(trt: Any, builder: Any, logger: Any, order: PlanOrder) -> Any:
    """Parse the file into a network of the typing that the profile asks for."""
    typing = 0 if order.profile.weakly_typed else 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typing)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(order.model):
        problems = [parser.get_error(index) for index in range(parser.num_errors)]
        what = "; ".join(f"{each.node_operator()} {each.node_name()}: {each.desc()}" for each in problems)
        raise _failed(order, f"the parser refuses the file: {what or 'it names no error'}", [])
    return network


def _configure(trt: Any, builder: Any, network: Any, config: Any, order: PlanOrder) -> None:
    profile = order.profile
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, profile.workspace_mib << 20)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.clear_flag(trt.BuilderFlag.TF32)
    _fix_shapes(builder, network, config, order)
    if profile.builder == "tensorrt-rtx":
        _target(trt, config, order)
    if profile.hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if profile.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if profile.dla_core is not None:
        if builder.num_DLA_cores <= profile.dla_core:
            raise _failed(order, f"core {profile.dla_core} is asked for and there are {builder.num_DLA_cores}", [])
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = profile.dla_core
        config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    if profile.weakly_typed:
        _type_weakly(trt, network, config, order)


def _fix_shapes(builder: Any, network: Any, config: Any, order: PlanOrder) -> None:
    """Fix a dynamic first axis to the profile's batch; no other axis may be dynamic."""
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    dynamic = [each for each in inputs if -1 in tuple(each.shape)]
    if not dynamic:
        return
    shapes = builder.create_optimization_profile()
    for each in dynamic:
        first, *rest = each.shape
        if -1 in rest or (first == -1 and not rest):
            raise _failed(order, f"input {each.name} has the shape {tuple(each.shape)}; only a batch may vary", [])
        shape = (order.profile.batch, *rest)
        shapes.set_shape(each.name, shape, shape, shape)
    if config.add_optimization_profile(shapes) < 0:
        raise _failed(order, f"the shapes of {[each.name for each in dynamic]} are not accepted", [])


def _target(trt: Any, config: Any, order: PlanOrder) -> None:
    """Name the compute capabilities to TensorRT-RTX. One that it does not know would end the build without a reason."""
    targets = order.profile.targets
    if not targets:
        return
    config.num_compute_capabilities = len(targets)
    for index, name in enumerate(targets):
        capability = getattr(trt.ComputeCapability, name, None)
        if capability is None or not config.set_compute_capability(capability, index):
            raise _failed(order, f"it does not compile for {name}", [])


def _timing_cache(config: Any, order: PlanOrder) -> Any:
    """Attach the timings of earlier builds. The cache has to live until the plan is built."""
    if not order.profile.timing_cache:
        return None
    cache = config.create_timing_cache(order.timing_cache)
    if cache is None or not config.set_timing_cache(cache, False):
        raise _failed(order, "the timing cache is of another device; delete it from the store", [])
    return cache


def _type_weakly(trt: Any, network: Any, config: Any, order: PlanOrder) -> None:
    """TensorRT 10 alone: let the builder choose between fp16 and int8 by ranges, for an accelerator without Q/DQ."""
    if release(trt.__version__) >= (11, 0):
        raise _failed(order, f"TensorRT {trt.__version__} types strongly alone", [])
    if order.precision == "fp32":
        raise _failed(order, "the accelerator computes in fp16 or int8", [])
    config.set_flag(trt.BuilderFlag.FP16)
    if order.precision == "fp16":
        return
    if not order.ranges:
        raise _failed(order, "int8 needs the ranges of the network's tensors: --ranges", [])
    config.set_flag(trt.BuilderFlag.INT8)
    missing = [tensor.name for tensor in _tensors(network) if tensor.name not in order.ranges]
    if missing:
        raise _failed(order, f"there is no range of {len(missing)} tensors, the first of them {missing[0]}", [])
    for tensor in _tensors(network):
        limit = order.ranges[tensor.name]
        if not tensor.set_dynamic_range(-limit, limit):
            raise _failed(order, f"the range {limit} of {tensor.name} is not accepted", [])


def _tensors(network: Any) -> list[Any]:
    """Inputs of the network and outputs of its layers, constants apart, since their ranges are their own."""
    found = [network.get_input(index) for index in range(network.num_inputs)]
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.num_inputs:
            found += [layer.get_output(output) for output in range(layer.num_outputs)]
    return found


def _monitor(trt: Any, progress: Progress) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc] # the vendor's module is untyped
        """Tells how far each phase is."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            del parent_phase
            self._steps[phase_name] = max(num_steps, 1)
            progress(phase_name, 0.0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            progress(phase_name, min((step + 1) / self._steps.get(phase_name, step + 1), 1.0))
            return True

        def phase_finish(self, phase_name: str) -> None:
            progress(phase_name, 1.0)

    return Monitor()


def _failed(order: PlanOrder, what: str, messages: list[str]) -> EngineBuildFailed:
    said = f" ({'; '.join(messages[-3:])})" if messages else ""
    return EngineBuildFailed(f"{order.profile.builder}, profile {order.profile.name}: {what}{said}", source=order.name)
