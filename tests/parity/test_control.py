"""Negative controls: what is wrong on purpose is wrong in that way alone, and breaks the budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_sacro.bundle import Bundle
from edge_sacro.engine import NetworkSpec, TensorSpec, open_engine
from edge_sacro.errors import BundleContractBroken
from edge_sacro.parity.control import CONTROLS, Control, perturbed_weights, with_control
from edge_sacro.parity.measure import Setup, measure
from tests.parity.conftest import AGAINST
from tests.parity.variants import half, quantised
from tests.tiny import CLASSIFIER, classifier, segmenter


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_breaks_the_budget_of_every_contender(
    bundle: Bundle, images: list[Path], control: Control
) -> None:
    measured = measure(bundle, images, Setup(against=AGAINST, control=control, threads=1))
    assert measured.control == control
    assert not measured.holds
    for each in measured.contenders:
        assert "flips" in {breach.measure for breach in each.breaches}, each.name
        assert any("sacrum" in breach.sentence for breach in each.breaches), "the breach names an image"


@pytest.mark.parametrize("model", [segmenter(), classifier(), half(segmenter()), quantised(segmenter())])
def test_perturbed_weights_differ_in_their_weights_alone(model: bytes) -> None:
    before, after = (onnx.load_from_string(each) for each in (model, perturbed_weights(model, "network")))
    onnx.checker.check_model(after)
    assert list(before.graph.node) == list(after.graph.node)
    changed = 0
    for old, new in zip(before.graph.initializer, after.graph.initializer, strict=True):
        a, b = numpy_helper.to_array(old).astype(float), numpy_helper.to_array(new).astype(float)
        if a.ndim < 2:
            np.testing.assert_array_equal(a, b)
            continue
        changed += 1
        assert not np.array_equal(a, b)
        assert np.all(np.abs(b - a) <= np.maximum(np.abs(a) * 0.5001, 1e-3) + (0.5 if old.data_type == 3 else 0))
    assert changed == 1


def test_perturbing_is_reproducible_and_depends_on_the_seed() -> None:
    one, same, other = (perturbed_weights(segmenter(), "network", seed=seed) for seed in (0, 0, 1))
    assert one == same
    assert one != other


def test_weights_that_are_stored_as_a_list_of_floats_are_perturbed_too() -> None:
    model = onnx.load_from_string(segmenter())
    listed = helper.make_tensor("weight", TensorProto.FLOAT, [4, 1, 1, 1], [1.0, 2.0, 3.0, 4.0])
    model.graph.initializer[0].CopyFrom(listed)
    changed = onnx.load_from_string(perturbed_weights(model.SerializeToString(), "network"))
    assert len(changed.graph.initializer[0].float_data) == 4
    assert list(changed.graph.initializer[0].float_data) != [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("content", [b"", b"\x3a\xff", b"not a network at all", b"\x0b" * 9])
def test_what_is_no_network_is_refused_and_not_passed_on(content: bytes) -> None:
    with pytest.raises(BundleContractBroken):
        perturbed_weights(content, "network")


def test_swapped_classes_are_the_same_answers_in_the_other_order() -> None:
    spec = NetworkSpec("classifier", (TensorSpec("image", (1, 1, *CLASSIFIER)),), (TensorSpec("logits", (1, 2)),))
    image = {"image": np.full((1, 1, *CLASSIFIER), 0.9, np.float32)}
    right = open_engine("onnxruntime", spec, classifier(), 1).run(image)["logits"]
    opener = with_control(open_engine, "swapped-classes")
    wrong = opener("onnxruntime", spec, classifier(), 1).run(image)["logits"]
    np.testing.assert_array_equal(wrong, right[:, ::-1])
    assert not np.array_equal(wrong, right)
