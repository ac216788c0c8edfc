"""Run in a process of its own: TensorRT's engines under a runtime, through unmodified pycuda on the driver's stand-in.

``python -m tests.cuda.runtime_through_pycuda DRIVER FOLDER`` loads that library as libcuda and prints one JSON
document; FOLDER is for what it writes. The vendor's plans are ONNX files, whose runs stand in the driver's queue.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.cuda import contrast
from edge_sacro.engine import trt_build
from edge_sacro.errors import EdgeSacroError
from edge_sacro.phantom import render
from edge_sacro.phantom.dx import bytes_from_phantom
from edge_sacro.runtime import Runtime
from edge_sacro.types import Box
from tests.cuda.kernel_gpu import opener
from tests.cuda.onnx_plans import OnnxRuntimes
from tests.engines.through_pycuda import Emulated
from tests.systems.bundles import write_classifier_bundle, write_slice
from tests.tiny import write_bundle, write_dicom

ERRORS = {
    "cuMemcpyHtoDAsync_v2": 1,
    "cuMemcpyDtoHAsync_v2": 1,
    "cuLaunchKernel": 719,
    "cuStreamWaitEvent": 1,
    "cuGraphLaunch": 719,
    "cuStreamSynchronize": 700,
}
"""A status of the driver for each call of an assessment that can fail."""


class OnnxEmulated(Emulated):
    """The stand-in for the driver with a vendor whose plans are ONNX files."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.trt = OnnxRuntimes(self._queue)


def on_gpu(bundle: Bundle) -> Runtime:
    return Runtime(bundle, backend="tensorrt", opener=opener, threads=1)


def told(runtime: Runtime, image: Path | bytes) -> dict[str, Any]:
    """All that a result says, save what computed it and how long it took."""
    return runtime.infer(image, name="a").model_dump(mode="json", exclude={"timings_ms", "backend"})


def served(emulated: OnnxEmulated, bundle: Bundle, image: Path | bytes) -> dict[str, Any]:
    """Whether both kinds of memory give the host's answer, what a warm runtime allocates, and what is left of it."""
    with Runtime(bundle, threads=1) as host:
        expected = told(host, image)
    answer: dict[str, Any] = {"state": expected["state"], "probability": expected["probability"]}
    for memory, integrated in (("copied", 0), ("mapped", 1)):
        emulated.driver.fake_integrated(integrated)
        runtime = on_gpu(bundle)
        same = [told(runtime, image) == expected]
        warm = emulated.left()
        same += [told(runtime, image) == expected for _ in range(2)]
        answer[memory] = {"same": same, "allocated": emulated.left() - warm}
        runtime.close()
        answer[memory]["left"] = emulated.left()
    emulated.driver.fake_integrated(0)
    return answer


def shifted(bundle: Bundle, image: bytes) -> float | None:
    """The probability where the kernels cut the crop one pixel to the side."""
    crops = contrast._crops
    contrast._crops = lambda given, boxes, geometry: crops(
        given, [Box(box.x0 + 1, box.y0, box.x1 + 1, box.y1) for box in boxes], geometry
    )
    try:
        with on_gpu(bundle) as runtime:
            return runtime.infer(image).probability
    finally:
        contrast._crops = crops


def failure(emulated: OnnxEmulated, bundle: Bundle, image: Path, call: str) -> list[Any]:
    """Code and message of what an assessment becomes in which a call fails, and what is left when all is closed."""
    runtime, code, what = on_gpu(bundle), "none", ""
    emulated.fail(call, ERRORS[call])
    try:
        told(runtime, image)
    except EdgeSacroError as error:
        code, what = error.code, error.what
    emulated.fail(call, 0)
    runtime.close()
    return [code, what, emulated.left()]


def main(path: str, folder: Path) -> None:
    """Print what every check found."""
    emulated = OnnxEmulated(path)
    trt_build.vendor_from_builder = lambda _: emulated.trt
    demonstration, phantom = load_bundle("demonstration"), bytes_from_phantom(render((979_003, 0)))
    tiny, drawing = load_bundle(write_bundle(folder / "tiny")), write_dicom(folder / "a.dcm")
    sliced = load_bundle(write_classifier_bundle(folder / "ct", "fu2024-vgg16"))
    answer = {
        "demonstration": served(emulated, demonstration, phantom),
        "tiny": served(emulated, tiny, drawing),
        "slice": served(emulated, sliced, write_slice(folder / "b.dcm")),
        "shifted": shifted(demonstration, phantom),
        "failures": {call: failure(emulated, tiny, drawing, call) for call in ERRORS},
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
