"""A module becomes one ONNX file that gives its answers, with nothing of the exporter's machine in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("torch")

import torch

from export.onnx_graph import onnx_from_module, round_to_half, store_in_half
from tests.golden.arrays import worst

pytestmark = pytest.mark.heavy


def test_an_exported_graph_has_names_and_static_shapes_and_nothing_of_this_machine(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.PReLU(), torch.nn.InstanceNorm2d(4))
    path = onnx_from_module(net, tmp_path / "net.onnx", (1, 1, 32, 48))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (source,), (result,) = session.get_inputs(), session.get_outputs()
    assert (source.name, source.shape, result.name, result.shape) == (
        "image",
        [1, 1, 32, 48],
        "logits",
        [1, 4, 32, 48],
    )
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]
    assert b"site-packages" not in path.read_bytes()
    image = np.random.default_rng(8).random((1, 1, 32, 48), np.float32)
    with torch.inference_mode():
        expected = net(torch.from_numpy(image)).numpy()
    (found,) = session.run(None, {"image": image})
    assert worst(found, expected) <= 1e-5
    assert worst(session.run(None, {"image": image[..., ::-1].copy()})[0], expected) > 1e-1


def test_export_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.ReLU())
    first, second = (onnx_from_module(net, tmp_path / f"{name}.onnx", (1, 1, 16, 16)) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_weights_stored_in_half_give_the_same_answer_in_half_the_bytes(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 64, 7, padding=3), torch.nn.ReLU(), torch.nn.Conv2d(64, 8, 5))
    values = np.random.default_rng(1).normal(size=(1, 1, 32, 32)).astype(np.float32)

    def answer(path: Path) -> np.ndarray:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"image": values})
        return np.asarray(found)

    plain = onnx_from_module(net, tmp_path / "plain.onnx", (1, 1, 32, 32))
    rounded = onnx_from_module(round_to_half(net), tmp_path / "rounded.onnx", (1, 1, 32, 32))
    stored = store_in_half(Path(shutil.copy(rounded, tmp_path / "stored.onnx")))
    np.testing.assert_array_equal(answer(stored), answer(rounded))
    assert stored.stat().st_size < 0.6 * rounded.stat().st_size
    unrounded = store_in_half(Path(shutil.copy(plain, tmp_path / "unrounded.onnx")))
    assert np.abs(answer(unrounded) - answer(plain)).max() > 0, "negative control: rounding is a change"
