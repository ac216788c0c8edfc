"""A runtime on a real GPU's engines: kernels make what its networks see, and it answers as with the host's inputs."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.cuda import contrast
from edge_sacro.engine import Engine, NetworkSpec
from edge_sacro.engine.base import Array
from edge_sacro.engine.build import engine_from_onnx
from edge_sacro.engine.compiled import open_compiled
from edge_sacro.engine.serve import order_from_bundle
from edge_sacro.engine.trt_driver import CudaDriver
from edge_sacro.engine.trt_memory import pycuda_driver
from edge_sacro.phantom import render
from edge_sacro.phantom.dx import bytes_from_phantom
from edge_sacro.runtime import Runtime
from edge_sacro.types import Box, State
from tests.cuda.kinds import KINDS, Kind, answer
from tests.gpu.shop import Shop

pytestmark = [pytest.mark.gpu, pytest.mark.heavy]

PROBABILITY = 0.02
"""Largest difference from ONNX Runtime: an engine in fp32 may compute in TF32."""


class FedByHost(Engine):
    """A GPU's engine that does not lend its inputs, and keeps what it is given."""

    def __init__(self, inner: Engine) -> None:
        super().__init__(inner.spec)
        self.inner, self.vendor_version = inner, inner.vendor_version
        self.backend = inner.backend  # type: ignore[misc]
        self.seen: list[Array] = []

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        self.seen += [values.copy() for values in inputs.values()]
        return self.inner.run(inputs, deadline=deadline)

    def close(self) -> None:
        self.inner.close()


def runtimes(bundle: Bundle, shop: Shop) -> tuple[Runtime, Runtime]:
    """On the same engines: inputs made by kernels, and by the host."""
    built = {
        network: engine_from_onnx(order_from_bundle(bundle, network, "fp32", shop.profile)).engine
        for network in bundle.manifest.networks
    }

    def opened(_: str, spec: NetworkSpec, __: bytes, threads: int) -> Engine:
        network = next(each for each in built if each == spec.name)
        return open_compiled(shop.profile.builder, spec, built[network], threads)

    by_kernels = Runtime(bundle, backend=shop.profile.builder, opener=opened)
    by_host = Runtime(bundle, backend=shop.profile.builder, opener=lambda *given: FedByHost(opened(*given)))
    return by_kernels, by_host


@pytest.fixture(scope="module")
def phantoms() -> list[bytes]:
    return [bytes_from_phantom(render((979_004, number))) for number in range(3)]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_system_answers_as_with_inputs_made_on_the_host(shop: Shop, tmp_path: Path, kind: Kind) -> None:
    by_kernels, by_host = runtimes(load_bundle(kind.write(tmp_path / "bundle")), shop)
    file = kind.file(tmp_path / "a.dcm")
    with by_kernels, by_host:
        found, expected = by_kernels.infer(file), by_host.infer(file)
    assert expected.state in {State.POSITIVE, State.NEGATIVE}
    if kind.tolerance == 0:
        assert answer(found) == answer(expected)
    else:
        assert found.state is expected.state
        assert found.probability == pytest.approx(expected.probability, abs=1e-4)


def test_the_demonstration_is_the_hosts_and_near_onnx_runtimes(
    shop: Shop, phantoms: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_kernels, by_host = runtimes(shop.bundle, shop)
    with by_kernels, by_host, Runtime(shop.bundle) as on_processor:
        for image in phantoms:
            found, expected = by_kernels.infer(image), by_host.infer(image)
            reference = on_processor.infer(image)
            assert answer(found) == answer(expected)
            assert found.state is reference.state
            assert found.probability == pytest.approx(reference.probability, abs=PROBABILITY)
        crops = contrast._crops

        def shifted(image: Any, boxes: Any, geometry: Any) -> Any:
            return crops(image, [Box(box.x0 + 1, box.y0, box.x1 + 1, box.y1) for box in boxes], geometry)

        monkeypatch.setattr(contrast, "_crops", shifted)
        control = [by_kernels.infer(image).probability for image in phantoms]
        monkeypatch.undo()
        assert control != [by_host.infer(image).probability for image in phantoms], "one pixel to the side"


def test_threads_each_get_their_own_image_answered(shop: Shop, phantoms: list[bytes]) -> None:
    by_kernels, by_host = runtimes(shop.bundle, shop)
    wrong: list[int] = []
    with by_kernels, by_host:
        expected = [answer(by_host.infer(image, name="a")) for image in phantoms]

        def work(number: int) -> None:
            for turn in range(6):
                index = (number + turn) % len(phantoms)
                if answer(by_kernels.infer(phantoms[index], name="a")) != expected[index]:
                    wrong.append(index)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert wrong == []


def test_a_warm_runtime_takes_no_more_of_the_gpus_memory(shop: Shop, phantoms: list[bytes]) -> None:
    driver = pycuda_driver()
    if driver.Device(0).get_attribute(driver.device_attribute.INTEGRATED):
        pytest.skip("the GPU's memory is the host's, which other processes use too")
    by_kernels, by_host = runtimes(shop.bundle, shop)
    by_host.close()
    context = driver.Device(0).retain_primary_context()
    context.push()
    try:
        with by_kernels:
            for image in phantoms:
                by_kernels.infer(image)
            session = by_kernels._assessor._session
            assert session is not None
            counted, warm = session.allocations, driver.mem_get_info()[0]
            for image in phantoms * 2:
                by_kernels.infer(image)
            assert session.allocations == counted > 0
            assert driver.mem_get_info()[0] >= warm
    finally:
        CudaDriver().pop_context()
        context.detach()


def test_what_the_networks_see_is_not_what_another_image_shows(shop: Shop, phantoms: list[bytes]) -> None:
    """The control of the comparisons above: different images do give different answers."""
    by_kernels, by_host = runtimes(shop.bundle, shop)
    with by_kernels, by_host:
        answers = [by_kernels.infer(image).probability for image in phantoms]
        assert len(set(answers)) > 1
        engine = by_host._engines["segmenter"]
        assert isinstance(engine, FedByHost)
        for image in phantoms[:2]:
            by_host.infer(image)
        assert np.abs(engine.seen[0] - engine.seen[1]).max() > 0
