"""Engines on a real GPU against ONNX Runtime: the demonstration bundle in every precision, in service and by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sacro.cuda.gpu import open_gpu
from edge_sacro.cuda.session import Session
from edge_sacro.cuda.systems import anatomy_case
from edge_sacro.dicom import ReadLimits
from edge_sacro.dicom.reader import radiograph_from_bytes
from edge_sacro.engine.build import engine_from_onnx
from edge_sacro.engine.compiled import open_compiled
from edge_sacro.engine.profiles import Precision
from edge_sacro.engine.qualify import LIMITS, qualify
from edge_sacro.engine.serve import QualifiedEngines, order_from_bundle
from edge_sacro.engine.store import EngineStore
from edge_sacro.engine.trt import TensorRtEngine
from edge_sacro.engine.trt_driver import CudaDriver
from edge_sacro.engine.trt_memory import pycuda_driver
from edge_sacro.errors import BackendError, DeadlineExceeded
from edge_sacro.locate import SegmentationGeometry
from edge_sacro.manifest import NetworkName
from edge_sacro.parity.control import perturbed_weights
from edge_sacro.phantom import render
from edge_sacro.phantom.dx import bytes_from_phantom
from edge_sacro.runtime import Runtime
from tests.gpu.shop import PRECISIONS, Shop

pytestmark = [pytest.mark.gpu, pytest.mark.heavy]


@pytest.fixture
def engine(shop: Shop) -> Iterator[TensorRtEngine]:
    opened = shop.open("classifier", "fp32")
    yield opened
    opened.close()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("network", ["segmenter", "classifier"])
def test_an_engine_answers_as_onnx_runtime_does_and_other_weights_do_not(
    shop: Shop, network: NetworkName, precision: Precision
) -> None:
    opened = shop.open(network, precision)
    assert opened.state()["launch"] in {"graph", "enqueue"}
    assert (opened.state()["launch"] == "graph") != ("no_graph" in opened.state())
    assert shop.worst(opened, network, precision) <= LIMITS[precision].maximum
    opened.close()
    order = order_from_bundle(shop.bundle, network, precision, shop.profile)
    other = engine_from_onnx(
        type(order)(network, perturbed_weights(order.model, network), precision, shop.profile)
    ).engine
    control = open_compiled(shop.profile.builder, opened.spec, other, 1)
    assert shop.worst(control, network, precision) > LIMITS[precision].maximum
    control.close()


def test_a_run_gives_the_same_bits_each_time_and_results_are_kept(shop: Shop, engine: TensorRtEngine) -> None:
    first, other = shop.golden.inputs["classifier"][:2]
    found = engine.run(first)
    kept = {name: array.copy() for name, array in found.items()}
    engine.run(other)
    again = engine.run(first)
    for name, array in kept.items():
        np.testing.assert_array_equal(found[name], array)
        np.testing.assert_array_equal(again[name], array)


def test_several_threads_each_get_their_own_answer(shop: Shop, engine: TensorRtEngine) -> None:
    golden = shop.golden.inputs["classifier"]
    expected = [engine.run(given) for given in golden]
    wrong: list[int] = []

    def work(number: int) -> None:
        for turn in range(20):
            place = (number + turn) % len(golden)
            found = engine.run(golden[place])
            if any(not np.array_equal(found[name], expected[place][name]) for name in found):
                wrong.append(place)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert wrong == []


def test_nothing_is_allocated_by_runs_and_closing_gives_memory_back(shop: Shop) -> None:
    driver = pycuda_driver()
    if driver.Device(0).get_attribute(driver.device_attribute.INTEGRATED):
        pytest.skip("the GPU's memory is the host's, which other processes use too")
    context = driver.Device(0).retain_primary_context()
    context.push()
    try:
        shop.open("segmenter", "fp32").close()  # what the vendor keeps for the process
        before = driver.mem_get_info()[0]
        opened = shop.open("segmenter", "fp32")
        warm = driver.mem_get_info()[0]
        for given in shop.golden.inputs["segmenter"]:
            opened.run(given)
        assert driver.mem_get_info()[0] >= warm
        closer = threading.Thread(target=opened.close)
        closer.start()
        closer.join(60)
        assert driver.mem_get_info()[0] >= before - (8 << 20)
        assert warm < before
    finally:
        CudaDriver().pop_context()
        context.detach()


def test_a_deadline_that_is_too_short_ends_the_run_and_the_next_one_is_right(shop: Shop) -> None:
    opened = shop.open("segmenter", "fp32")
    given = shop.golden.inputs["segmenter"][0]
    expected = opened.run(given)
    with pytest.raises(DeadlineExceeded):
        opened.run(given, deadline=time.monotonic() + 2e-5)
    again = opened.run(given, deadline=time.monotonic() + 60)
    np.testing.assert_array_equal(again["logits"], expected["logits"])
    opened.close()


def test_kernels_feed_the_segmenter_without_the_host(shop: Shop) -> None:
    radiograph = radiograph_from_bytes(bytes_from_phantom(render((979_002, 0))), limits=ReadLimits())
    opened = shop.open("segmenter", "fp32")
    side = opened.spec.inputs[0].shape[-1]
    geometry = SegmentationGeometry(side * 3 // 2, side)
    device = open_gpu()
    with Session(device) as session:
        windows = anatomy_case(session, radiograph, "corrected").segmenter_windows(geometry)
        with opened.in_place() as lent:
            for number in range(3):
                address = windows.buffer.address + number * side * side * 4
                found = lent.run(device.stream, copies={opened.spec.inputs[0].name: address})
                found = {name: array.copy() for name, array in found.items()}
        values = windows.copy()
    expected = opened.run({opened.spec.inputs[0].name: np.ascontiguousarray(values[2:3])})
    np.testing.assert_array_equal(found["logits"], expected["logits"])
    opened.close()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_engines_qualify_and_serve_a_runtime(shop: Shop, tmp_path: Path, precision: Precision) -> None:
    store, image = EngineStore(tmp_path), bytes_from_phantom(render((979_003, 0)))
    keys: dict[Any, str] = {}
    for network in shop.bundle.manifest.networks:
        keys[network] = store.add(shop.built[network, precision])
        record = qualify(store, shop.bundle, network, keys[network], shop.golden)
        assert record.passed
        assert record.state["gpu"]
    engines = QualifiedEngines(store, shop.bundle, precision)
    engines.put_into_service(keys)
    with Runtime(shop.bundle, precision=precision, opener=engines) as runtime:
        found = runtime.infer(image, name="phantom")
    with Runtime(shop.bundle, precision=precision) as runtime:
        expected = runtime.infer(image, name="phantom")
    assert found.backend.name == shop.profile.builder
    assert found.state is expected.state
    assert found.probability is not None
    assert expected.probability is not None
    assert found.probability == pytest.approx(expected.probability, abs=0.02)


def test_a_plan_that_was_cut_off_is_refused(shop: Shop) -> None:
    built = shop.built["classifier", "fp32"]
    spec = shop.bundle.manifest.networks["classifier"].spec("classifier")
    with pytest.raises(BackendError):
        open_compiled(built.seal.builder, spec, built.engine[: len(built.engine) // 2], 1)
