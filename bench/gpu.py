"""What this machine's GPU computes and what it takes: kernels, engines, whole assessments, and its memory's speed."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.gpu_engines import Undone, assessed, engines_from_bundle, rows_from_engines
from bench.gpu_kernels import rows_from_comparison, timed_stages
from bench.table import machine
from calibration.reader import versions
from edge_sacro.benchmark.quantiles import rounded
from edge_sacro.bundle import Bundle
from edge_sacro.dicom import ReadLimits
from edge_sacro.dicom.reader import radiograph_from_bytes
from edge_sacro.engine.base import TensorSpec
from edge_sacro.engine.profiles import Precision
from edge_sacro.engine.qualify import golden_inputs
from edge_sacro.engine.trt_memory import Gpu
from edge_sacro.errors import EdgeSacroError, InternalError
from edge_sacro.phantom import render
from edge_sacro.phantom.dx import bytes_from_phantom

PHANTOM = (979_001, 0)
"""Seed of the radiograph; no training, calibration or guard band uses it."""

COPIED = 32 << 20
"""Float32 values of the copy that bandwidth is measured by: more than the caches of any GPU hold."""

_COPIES = 20


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        profile: device profile that engines are built for.
        precisions: of the engines, of those that the bundle has.
        runs: timed of each, once it is warm.
        phantoms: radiographs whose inputs engines are compared on, beside noise.
    """

    profile: str = "rtx-any"
    precisions: Sequence[Precision] = ("fp32", "fp16", "int8")
    runs: int = 100
    phantoms: int = 1


@dataclass
class Measured:
    """What was found.

    Attributes:
        device: the GPU's name and compute capability, or None where there is none.
        record: for JSON.
        undone: what could not be done, and why.
    """

    device: str | None = None
    record: dict[str, Any] = field(default_factory=dict)
    undone: list[tuple[str, EdgeSacroError]] = field(default_factory=list)

    @property
    def broken(self) -> list[str]:
        """Comparisons that did not hold, or whose control passed."""
        rows = [*self.record.get("kernels", []), *self.record.get("engines", [])]
        return [str(row.get("input") or f"{row['network']} {row['precision']}") for row in rows if not row["passed"]]

    @property
    def file_name(self) -> str:
        """``gpu-<device name>.json``."""
        return f"gpu-{re.sub(r'[^a-z0-9]+', '-', (self.device or 'none').lower()).strip('-')}.json"


def measure(
    bundle: Bundle,
    options: Options,
    tell: Callable[[str], None],
    keep: Callable[[Measured], None] = lambda _: None,
) -> Measured:
    """Do all that this machine can; what it cannot is kept with the reason, and nothing of it ends the rest.

    Args:
        bundle: whose networks run.
        options: how.
        tell: is given a line for each step.
        keep: is given what was found so far after each step: time on a device may end in the middle.
    """
    found = Measured()

    def undone(what: str, error: Exception) -> None:
        known = error if isinstance(error, EdgeSacroError) else InternalError(f"{type(error).__name__}: {error}")
        found.undone.append((what, known))
        record["undone"] = [{"what": each, "why": str(why)} for each, why in found.undone]
        tell(f"not done: {what}: {known.what}")

    tell("a radiograph at full size")
    image = bytes_from_phantom(render(PHANTOM))
    record = found.record = {"machine": machine(), "system": platform.platform(), "versions": versions()}
    record["profile"], record["runs"] = options.profile, options.runs
    record.update(builds=[], engines=[], assessments=[], undone=[])
    copy = _copy(found, undone)
    if copy is not None:
        record["copy_gb_s"] = rounded(copy)
    record["device"] = found.device
    tell("kernels")
    _kernels(found, image, options, copy, undone)
    keep(found)
    tell("builds")
    made, record["builds"] = engines_from_bundle(bundle, options.profile, options.precisions, undone)
    keep(found)
    tell("answers of ONNX Runtime")
    golden = golden_inputs(bundle, bundle.manifest.default_precision, options.phantoms)
    tell("engines")
    for row in rows_from_engines(bundle, made, golden.inputs, options.runs, undone):
        record["engines"].append(row)
        keep(found)
    for precision in dict.fromkeys(each.precision for each in made):
        tell(f"assessments in {precision}")
        try:
            record["assessments"].append(assessed(bundle, made, precision, image, options.runs))
        except Exception as error:  # noqa: BLE001 - whatever a GPU or its library does costs this row alone
            undone(f"assess in {precision}", error)
        keep(found)
    return found


def text_from_measured(found: Measured) -> str:
    """A line for each result."""
    lines = [f"GPU: {found.device or 'none'}"]
    if "copy_gb_s" in found.record:
        lines.append(f"copy within the GPU's memory: {found.record['copy_gb_s']:g} GB/s")
    lines += [
        f"{row['input']}: differs by {row['difference']:g}, {row['tolerance']:g} allowed, {_held(row)}"
        for row in found.record.get("kernels", [])
    ]
    for name, stage in found.record.get("stages", {}).items():
        part = "" if stage["of_copy"] is None else f", {100 * stage['of_copy']:.0f} % of the copy"
        lines.append(f"{name}: {_times(stage['ms'])}, {stage['gb_s']:g} GB/s{part}")
    lines += [
        f"{row['network']} {row['precision']}: built in {row['seconds']:g} s, {row['bytes'] / 1e6:.1f} MB"
        for row in found.record["builds"]
    ]
    for row in found.record["engines"]:
        named = f"{row['network']} {row['precision']}: differs by {row['difference']:.2g}, {row['limit']:g} allowed"
        lines.append(f"{named}, {_held(row)}; {_times(row['ms'])}; {row['state']}")
    lines += [
        f"assessment in {row['precision']}: {_times(row['stages_ms']['total'])}" for row in found.record["assessments"]
    ]
    lines += [f"not done: {what}: {error.what}" for what, error in found.undone]
    return "\n".join(lines)


def _copy(found: Measured, undone: Undone) -> float | None:
    """Gigabytes a second that a copy within the GPU's memory reads and writes; None where there is no GPU."""
    try:
        gpu = Gpu("bench")
    except Exception as error:  # noqa: BLE001 - as above
        undone("use a GPU", error)
        return None
    found.device = gpu.name
    try:
        with gpu.current("copying"):
            # the kernels' buffers are the GPU's own memory too, also where engines share the host's
            tensors = [gpu.tensor(TensorSpec(name, (COPIED,)), "copied") for name in ("from", "to")]
            source, to = tensors
            gpu.copy(to.address, source.address, source.nbytes)
            gpu.wait()
            start = time.perf_counter()
            for _ in range(_COPIES):
                gpu.copy(to.address, source.address, source.nbytes)
            gpu.wait()
            seconds = time.perf_counter() - start
            nbytes = source.nbytes
            for tensor in tensors:
                tensor.free()
    except Exception as error:  # noqa: BLE001 - as above
        undone("copy within the GPU's memory", error)
        return None
    finally:
        gpu.close()
    return 2 * nbytes * _COPIES / seconds / 1e9


def _kernels(found: Measured, image: bytes, options: Options, copy: float | None, undone: Undone) -> None:
    from edge_sacro.cuda.gpu import open_gpu
    from edge_sacro.cuda.session import Session

    try:
        with Session(open_gpu()) as session:
            radiograph = radiograph_from_bytes(image, limits=ReadLimits())
            found.record["kernels"] = rows_from_comparison(session, radiograph)
            found.record["stages"] = timed_stages(session, radiograph, options.runs, copy)
    except Exception as error:  # noqa: BLE001 - as above
        undone("run the kernels", error)


def _held(row: dict[str, Any]) -> str:
    return "held" if row["passed"] else "NOT HELD"


def _times(quantiles: dict[str, Any]) -> str:
    told = [f"{name} {quantiles[name]:g}" for name in ("p50", "p90", "p99") if quantiles[name] is not None]
    return f"{' '.join(told)} ms"
