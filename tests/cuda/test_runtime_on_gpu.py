"""A runtime on TensorRT's engines: kernels write what the networks see, and every answer is that of the host's inputs.

The GPU and the vendor are made up (``kernel_gpu``, ``onnx_plans``): the kernels are compiled for the processor, and a
plan computes with ONNX Runtime what stands in the engine's memory when its turn comes.
"""

from __future__ import annotations

import gc
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.cuda import contrast
from edge_sacro.cuda.inputs import InPlaceInput
from edge_sacro.engine import Engine, NetworkSpec, open_engine
from edge_sacro.engine.swapping import SwappingEngine
from edge_sacro.errors import InternalError
from edge_sacro.phantom import render
from edge_sacro.phantom.dx import bytes_from_phantom
from edge_sacro.runtime import Runtime
from edge_sacro.systems import SYSTEMS
from edge_sacro.types import Box, State
from tests.cuda.kernel_gpu import Workplace, on_gpu, opener
from tests.cuda.kinds import KINDS, Kind, answer, on_host, slanted, write_radiograph
from tests.engines.fake_trt import VERSIONS
from tests.systems import toy2026
from tests.systems.bundles import Watcher, write_classifier_bundle
from tests.tiny import write_bundle, write_dicom, write_standard_bundle


def _aside(box: Box) -> Box:
    """A box one pixel to the side."""
    return Box(box.x0 + 1, box.y0, box.x1 + 1, box.y1)


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


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_of_both_vendors_has_its_inputs_made_on_the_gpu(
    monkeypatch: pytest.MonkeyPatch, library: Path, anatomy: Bundle, images: list[Path], version: str
) -> None:
    place, backend = Workplace(monkeypatch, library, version=version), version.split(maxsplit=1)[0]
    with on_gpu(anatomy, backend) as runtime:
        found = runtime.infer(images[0])
    assert answer(found) == on_host(anatomy, images[0])[0]
    assert found.backend.name == backend
    assert "classifier_input" in place.gpu.launched


def test_explanations_are_the_hosts(place: Workplace, tmp_path: Path) -> None:
    bundle, file = (
        write_classifier_bundle(tmp_path / "bundle", "bressem2021", True),
        write_radiograph(tmp_path / "a.dcm"),
    )
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
        return crops(image, [_aside(box) for box in boxes], geometry)

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
        runtime.infer(write_dicom(images[0].with_name("large.dcm"), np.pad(slanted(), 40, mode="edge")))
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


def test_inputs_follow_an_engine_that_takes_anothers_place(place: Workplace, tmp_path: Path) -> None:
    """The processor's engines serve until those of the GPU have qualified, and again after a rollback."""
    bundle, file = load_bundle(write_bundle(tmp_path / "bundle")), write_radiograph(tmp_path / "a.dcm")
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
    bundle, file = write_standard_bundle(tmp_path / "bundle"), write_radiograph(tmp_path / "a.dcm")
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


def test_the_demonstration_answers_to_every_digit_as_on_the_host(place: Workplace) -> None:
    """Networks of real size on a radiograph of real size, whose probability follows each pixel."""
    bundle, image = load_bundle("demonstration"), bytes_from_phantom(render((979_003, 0)))
    with Runtime(bundle, threads=1) as runtime:
        expected = runtime.infer(image, name="phantom")
    with on_gpu(bundle) as runtime:
        found = runtime.infer(image, name="phantom")
        shifted = contrast._crops
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(contrast, "_crops", lambda given, boxes, size: shifted(given, [_aside(boxes[0])], size))
            control = runtime.infer(image, name="phantom")
    assert expected.state in {State.POSITIVE, State.NEGATIVE}
    assert answer(found) == answer(expected)
    assert control.probability != expected.probability, "control: one pixel to the side"
    assert control.joints == expected.joints
    assert place.gpu.launched
