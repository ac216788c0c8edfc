"""A runtime on TensorRT's engines: kernels write what the networks see, and every answer is that of the host's inputs.

The GPU and the vendor are made up (``kernel_gpu``, ``onnx_plans``): the kernels are compiled for the processor, and a
plan computes with ONNX Runtime what stands in the engine's memory when its turn comes.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.cuda import contrast, inputs
from edge_sacro.cuda.inputs import InPlaceInput
from edge_sacro.engine import Engine, NetworkSpec, open_engine
from edge_sacro.engine.serve import SwappingEngine
from edge_sacro.errors import BackendFailed, BackendUnavailable, BundleContractBroken, InternalError
from edge_sacro.report import Result
from edge_sacro.runtime import Runtime
from edge_sacro.systems import SYSTEMS
from edge_sacro.types import Box, State
from tests.cuda.kernel_gpu import Workplace, opener
from tests.systems import toy2026
from tests.systems.bundles import Watcher, write_classifier_bundle, write_detector_bundle, write_slice
from tests.tiny import drawn_pelvis, write_bundle, write_dicom, write_standard_bundle

SLICE_TOLERANCE = 1e-6
"""Of fu2024's input, as ``docs/cuda.md`` has it."""

OVERLAPPING = {"size": 192, "window": 128, "overlap": 0.5, "dilation_fraction": 0.05}
STORED, RANK, LEVELS, VALUES = range(4)


@dataclass(frozen=True)
class Kind:
    """A system's bundle and what it reads.

    Attributes:
        write: writes the bundle.
        file: writes a DICOM file.
        uploads: copies to the GPU that one image takes: its stored pixels, and tables of its values.
        tolerance: of what the networks see; 0 for the same bits.
    """

    write: Callable[[Path], Path]
    file: Callable[[Path], Path]
    uploads: int
    tolerance: float = 0.0


def _slanted(brighter: int = 0) -> npt.NDArray[np.uint16]:
    """The drawn pelvis with bones of many gray levels, so that one pixel to the side is another image."""
    image, (rows, columns) = drawn_pelvis(), np.mgrid[0:512, 0:512]
    bones = (image > 1500) & (image < 3500)
    return np.where(bones, image + (rows * 3 + columns * 5) % 201 - 100 + brighter, image).astype(np.uint16)


def _radiograph(path: Path) -> Path:
    return write_dicom(path, _slanted())


def _turned(path: Path) -> Path:
    return write_dicom(path, _slanted()[:, ::-1].T.copy(), PatientOrientation=["F", "R"])


def _halves(path: Path) -> Path:
    """A radiograph whose halves differ, and which differs along rows and columns."""
    rows, columns = np.mgrid[0:300, 0:400]
    image = np.where(columns < 200, 900, 2200) + (rows * 3 + columns * 5) % 401
    image[50:250, 10:40], image[50:250, -40:-10] = 300, 4000
    return write_dicom(path, image.astype(np.uint16))


KINDS = {
    "dorfner2024": Kind(write_bundle, _radiograph, 5),
    "dorfner2024, turned": Kind(write_bundle, _turned, 5),
    "dorfner2024, windows that overlap": Kind(
        lambda folder: write_bundle(folder, segmentation=OVERLAPPING), _radiograph, 5
    ),
    "dorfner2024, published numerics": Kind(lambda folder: write_bundle(folder, numerics="published"), _radiograph, 4),
    "dorfner2024-standard": Kind(write_standard_bundle, _radiograph, 5),
    "bressem2021": Kind(lambda folder: write_classifier_bundle(folder, "bressem2021", True), _radiograph, 4),
    "poddubnyy2020": Kind(lambda folder: write_classifier_bundle(folder, "poddubnyy2020"), _turned, 4),
    "noh2021": Kind(write_detector_bundle, _halves, 4),
    "fu2024-resnext50": Kind(
        lambda folder: write_classifier_bundle(folder, "fu2024-resnext50", True), write_slice, 2, SLICE_TOLERANCE
    ),
}


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, library: Path) -> Iterator[Workplace]:
    found = Workplace(monkeypatch, library)
    yield found
    gc.collect()  # what the frames of errors held
    assert found.gpu.leaks() == {}
    assert {name: count for name, count in found.trt.live.items() if count} == {}


@pytest.fixture(scope="module")
def anatomy(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write_bundle(tmp_path_factory.mktemp("anatomy") / "tiny"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Radiographs of one size, all different, and a smaller one."""
    folder = tmp_path_factory.mktemp("images")
    made = [write_dicom(folder / f"{n}.dcm", _slanted(40 * n)) for n in range(3)]
    return [*made, write_dicom(folder / "small.dcm", _slanted(-60)[::2, ::2].copy())]


def on_gpu(bundle: Bundle | Path, **options: Any) -> Runtime:
    return Runtime(bundle, backend="tensorrt", opener=opener, threads=1, **options)


def answer(result: Result) -> dict[str, Any]:
    """All that a result says, save what computed it and how long it took."""
    return result.model_dump(mode="json", exclude={"timings_ms", "backend"})


def on_host(bundle: Bundle | Path, *files: Path) -> list[dict[str, Any]]:
    with Runtime(bundle, threads=1) as runtime:
        return [answer(runtime.infer(file)) for file in files]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_system_answers_as_on_the_host_and_its_networks_see_the_same(
    place: Workplace, tmp_path: Path, kind: Kind
) -> None:
    bundle, file, watcher = kind.write(tmp_path / "bundle"), kind.file(tmp_path / "a.dcm"), Watcher()
    with Runtime(bundle, threads=1, opener=watcher) as runtime:
        expected = runtime.infer(file)
    with on_gpu(bundle) as runtime:
        copies, runs = place.gpu.count("htod"), len(place.trt.seen)
        found = runtime.infer(file)
        copies = place.gpu.count("htod") - copies
    assert expected.state in {State.POSITIVE, State.NEGATIVE}
    if kind.tolerance == 0:
        assert answer(found) == answer(expected)
    else:
        assert answer(found) | {"probability": 0, "reason": ""} == answer(expected) | {"probability": 0, "reason": ""}
        assert found.probability == pytest.approx(expected.probability, abs=kind.tolerance)
    assert found.backend.name == "tensorrt"
    assert copies == kind.uploads, "the stored pixels and small tables, and no network's input"
    assert place.gpu.count("dtod") == 0
    seen = [values for _, values in place.trt.seen[runs:]]
    given = [values for engine in watcher.engines.values() for values in engine.seen]
    assert len(seen) == len(given)
    for one, other in zip(seen, given, strict=True):
        assert np.abs(one - other).max() <= kind.tolerance
        assert np.abs(np.roll(one, 1, axis=-1) - other).max() > 1e3 * kind.tolerance, "control: one pixel to the side"


def test_explanations_are_the_hosts(place: Workplace, tmp_path: Path) -> None:
    bundle, file = write_classifier_bundle(tmp_path / "bundle", "bressem2021", True), _radiograph(tmp_path / "a.dcm")
    with Runtime(bundle, threads=1) as runtime:
        *_, expected = runtime.infer_explained(file)
    with on_gpu(bundle) as runtime:
        *_, found = runtime.infer_explained(file)
    assert expected is not None
    assert found is not None
    np.testing.assert_array_equal(found.strength, expected.strength)
    assert place.gpu.launched


def test_a_crop_one_pixel_to_the_side_is_another_probability(
    place: Workplace, anatomy: Bundle, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of every comparison here: the results would show it."""
    crops = contrast._crops

    def shifted(image: Any, boxes: Any, geometry: Any) -> Any:
        return crops(image, [Box(box.x0 + 1, box.y0, box.x1 + 1, box.y1) for box in boxes], geometry)

    monkeypatch.setattr(contrast, "_crops", shifted)
    with on_gpu(anatomy) as runtime:
        found = runtime.infer(images[0])
    (expected,) = on_host(anatomy, images[0])
    assert found.probability is not None
    assert found.probability != expected["probability"]
    assert answer(found) | {"probability": 0, "reason": ""} == expected | {"probability": 0, "reason": ""}


def test_a_run_that_did_not_wait_for_the_kernels_would_be_wrong(
    place: Workplace, anatomy: Bundle, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the order of streams: the made-up GPU does nothing that nobody waits for."""

    def careless(self: InPlaceInput, engine: Engine, deadline: float | None) -> dict[str, Any]:
        (given,) = engine.spec.inputs
        with engine.in_place(deadline) as lent:
            self._fill(lent.device_input(given.name), engine)
            return lent.run(None, deadline=deadline)

    monkeypatch.setattr(InPlaceInput, "run", careless)
    with on_gpu(anatomy) as runtime:
        assert answer(runtime.infer(images[0])) != on_host(anatomy, images[0])[0]


def test_a_warm_runtime_allocates_nothing(place: Workplace, anatomy: Bundle, images: list[Path]) -> None:
    with on_gpu(anatomy) as runtime:
        opened = place.gpu.allocated_so_far()
        runtime.infer(images[0])
        warm = place.gpu.allocated_so_far()
        for file in images:
            runtime.infer(file)
        assert place.gpu.allocated_so_far() == warm > opened
        runtime.infer(write_dicom(images[0].with_name("large.dcm"), np.pad(_slanted(), 40, mode="edge")))
        assert place.gpu.allocated_so_far() > warm, "control: a larger image than any before takes more memory"


def test_threads_each_get_their_own_image_answered(place: Workplace, anatomy: Bundle, images: list[Path]) -> None:
    expected = on_host(anatomy, *images)
    assert len({each["probability"] for each in expected}) == len(images)
    wrong: list[int] = []
    with on_gpu(anatomy) as runtime:

        def work(number: int) -> None:
            for turn in range(4):
                index = (number + turn) % len(images)
                if answer(runtime.infer(images[index])) != expected[index]:
                    wrong.append(index)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert wrong == []
    assert place.gpu.launched


def test_on_shared_memory_nothing_is_copied_to_the_gpu(
    monkeypatch: pytest.MonkeyPatch, library: Path, anatomy: Bundle, images: list[Path]
) -> None:
    place = Workplace(monkeypatch, library, integrated=True)
    with on_gpu(anatomy) as runtime:
        found = [answer(runtime.infer(file)) for file in images]
        state = runtime._engines["classifier"].state()
    assert found == on_host(anatomy, *images)
    assert state["memory"] == "mapped"
    assert (place.gpu.count("htod"), place.gpu.count("dtod")) == (0, 0)
    gc.collect()
    assert place.gpu.leaks() == {}


@pytest.mark.parametrize("call", ["launch_kernel", "htod", "memset", "graph_launch", "synchronize", "event_record"])
def test_a_gpu_that_fails_is_an_error_and_never_the_hosts_turn(
    place: Workplace, anatomy: Bundle, images: list[Path], call: str
) -> None:
    runtime = on_gpu(anatomy)
    kind = place.gpu.driver.LogicError
    place.gpu.fails[call] = 1 if call in {"graph_launch", "event_record"} else kind("told to fail")
    with pytest.raises(BackendFailed, match="told to fail"):
        runtime.infer(images[0])
    place.gpu.fails.clear()
    assert answer(runtime.infer(images[0])) == on_host(anatomy, images[0])[0]
    runtime.close()


def test_a_gpu_that_does_not_take_the_kernels_is_told_before_the_first_image(
    place: Workplace, anatomy: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place.gpu.driver, "get_driver_version", lambda: 12020)
    with pytest.raises(BackendUnavailable, match=r"the driver has CUDA 12\.2"):
        on_gpu(anatomy)


def test_a_gpu_that_does_not_end_in_time_leaves_no_kernel_under_way(
    place: Workplace, anatomy: Bundle, images: list[Path]
) -> None:
    with on_gpu(anatomy, deadline_s=0.5) as runtime:
        runtime.infer(images[0])
        place.gpu.busy = None
        found = runtime.infer(images[1])
        assert (found.state, found.reason_code) == (State.NOT_ASSESSABLE, "deadline_exceeded")
        assert found.timings_ms["total"] >= 400
        place.gpu.busy = 0
        runtime.deadline_s = None
        assert answer(runtime.infer(images[2])) == on_host(anatomy, images[2])[0]


def test_a_deadline_between_kernel_and_run_lets_the_kernel_end_first(
    place: Workplace, anatomy: Bundle, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would write into an engine that another thread has by then."""
    fill = InPlaceInput._fill

    def slowly(self: InPlaceInput, given: Any, engine: Engine) -> None:
        fill(self, given, engine)
        time.sleep(0.6)

    monkeypatch.setattr(inputs.InPlaceInput, "_fill", slowly)
    with on_gpu(anatomy, deadline_s=0.5) as runtime:
        assert runtime.infer(images[0]).reason_code == "deadline_exceeded"
        assert "segmenter_windows" in place.gpu.launched
        assert [len(stream.work) - stream.done for stream in place.gpu.streams.values()] == [0, 0, 0]


def test_threads_wait_for_the_gpu_no_longer_than_their_deadline(
    place: Workplace, anatomy: Bundle, images: list[Path]
) -> None:
    with on_gpu(anatomy, deadline_s=0.3) as runtime, runtime._assessor._lock:
        found = runtime.infer(images[0])
    assert (found.state, found.reason_code) == (State.NOT_ASSESSABLE, "deadline_exceeded")


def test_inputs_follow_an_engine_that_takes_anothers_place(place: Workplace, tmp_path: Path) -> None:
    """The processor's engines serve until those of the GPU have qualified, and again after a rollback."""
    bundle, file = load_bundle(write_bundle(tmp_path / "bundle")), _radiograph(tmp_path / "a.dcm")
    expected, serving = on_host(bundle, file)[0], dict[str, SwappingEngine]()

    def swapping(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        serving[spec.name] = SwappingEngine(spec, "first", open_engine("onnxruntime", spec, model, threads))
        return serving[spec.name]

    with Runtime(bundle, opener=swapping, threads=1) as runtime:
        assert answer(runtime.infer(file)) == expected
        assert place.gpu.calls == [], "nobody has asked for the GPU"
        for network in ("segmenter", "classifier"):
            spec = bundle.manifest.networks[network].spec(network)  # type: ignore[index]
            serving[network].swap("second", opener("tensorrt", spec, bundle.model(network, "fp32", ""), 1))  # type: ignore[arg-type]
            found = runtime.infer(file)
            assert answer(found) == expected
            assert bool(place.gpu.launched) == (network == "classifier"), "only where all of them lend their inputs"
        assert found.backend.name == "tensorrt"


def test_a_system_that_makes_its_own_inputs_runs_on_the_gpus_engines_too(
    place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = replace(SYSTEMS["dorfner2024-standard"], assess_with=None)
    monkeypatch.setitem(SYSTEMS, "dorfner2024-standard", made)
    bundle, file = write_standard_bundle(tmp_path / "bundle"), _radiograph(tmp_path / "a.dcm")
    with on_gpu(bundle) as runtime:
        assert answer(runtime.infer(file)) == on_host(bundle, file)[0]
    assert place.gpu.launched == []
    assert toy2026.SYSTEM.assess_with is None, "as the one of the guide"


def test_every_published_system_has_its_inputs_made_on_the_gpu() -> None:
    assert [name for name, system in SYSTEMS.items() if system.assess_with is None] == []


def test_an_engine_that_does_not_lend_its_inputs_says_so(anatomy: Bundle) -> None:
    spec = anatomy.manifest.networks["classifier"].spec("classifier")
    engine = open_engine("onnxruntime", spec, anatomy.model("classifier", "fp32", "onnxruntime"), 1)
    assert not engine.lends
    with pytest.raises(InternalError, match="does not lend its inputs"):
        engine.in_place()


def test_an_input_of_another_shape_is_refused(
    place: Workplace, anatomy: Bundle, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = InPlaceInput.run

    def other_way(self: InPlaceInput, engine: Engine, deadline: float | None) -> dict[str, Any]:
        write = self.write

        def turned(memory: Any) -> Any:
            made = write(memory)
            return replace(made, shape=(*made.shape[:2], made.shape[3] * 2, made.shape[2] // 2))

        return run(replace(self, write=turned), engine, deadline)

    monkeypatch.setattr(InPlaceInput, "run", other_way)
    with on_gpu(anatomy) as runtime, pytest.raises(BundleContractBroken, match="the kernels wrote"):
        runtime.infer(images[0])


def test_a_closed_runtime_opens_no_gpu_again(place: Workplace, anatomy: Bundle, images: list[Path]) -> None:
    runtime = on_gpu(anatomy)
    runtime.close()
    runtime.close()
    with pytest.raises(InternalError, match="closed"):
        runtime.infer(images[0])
