"""Graphs as Keras exports them are fitted to the contract with the same answers, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_sacro.classify import softmax
from edge_sacro.errors import GraphRefused
from export.adopted import adopted, answer_of_given
from export.gate import check_graph, describe
from tests.export.graphs import CONTRACT, SOURCE, good, keras, tensor

IMAGE = np.random.default_rng(4).normal(size=(1, 3, 8, 12)).astype(np.float32)


def saved(folder: Path, model: onnx.ModelProto) -> Path:
    path = folder / "keras.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def logits_of(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": image})
    return np.asarray(logits)


@pytest.mark.parametrize(("ending", "units"), [("Softmax", 2), ("none", 2), ("Sigmoid", 1), ("none", 1)], ids=str)
@pytest.mark.parametrize("form", [("nhwc", 15, "unk__6"), ("nchw", 13, 1), ("nhwc", 18, 1)], ids=lambda form: form[0])
def test_an_adopted_graph_keeps_the_contract_and_its_answers(
    tmp_path: Path, ending: str, units: int, form: tuple[str, int, int | str]
) -> None:
    first, opset, batch = form
    path = saved(tmp_path, keras(ending, units, first=first, opset=opset, batch=batch))
    model = describe(adopted(path, CONTRACT), CONTRACT.metadata(SOURCE))
    check_graph(model, CONTRACT, "keras.onnx")
    expected = answer_of_given(path, IMAGE)
    assert expected.shape == (1, 2)
    assert abs(expected.sum() - 1) < 1e-6
    np.testing.assert_allclose(softmax(logits_of(model, IMAGE)), expected, atol=1e-6)
    mirrored = softmax(logits_of(model, np.ascontiguousarray(IMAGE[:, ::-1])))
    assert np.abs(mirrored - expected).max() > 1e-3, "negative control: other channels, another answer"


def test_a_softmax_left_in_place_would_be_another_answer(tmp_path: Path) -> None:
    path = saved(tmp_path, keras("Softmax"))
    expected = answer_of_given(path, IMAGE)
    assert np.abs(softmax(expected) - expected).max() > 1e-2


def test_an_inner_tensor_of_the_contracts_name_is_moved_aside(tmp_path: Path) -> None:
    model = keras("Softmax")
    for node in model.graph.node:
        node.input[:] = ["logits" if name == "maps" else "image" if name == "nchw" else name for name in node.input]
        node.output[:] = ["logits" if name == "maps" else "image" if name == "nchw" else name for name in node.output]
    path = saved(tmp_path, model)
    fitted = describe(adopted(path, CONTRACT), CONTRACT.metadata(SOURCE))
    check_graph(fitted, CONTRACT, "keras.onnx")
    np.testing.assert_allclose(softmax(logits_of(fitted, IMAGE)), answer_of_given(path, IMAGE), atol=1e-6)


def doubled() -> onnx.ModelProto:
    model = keras()
    model.graph.input.append(tensor("keras_tensor_1", (1, 2)))
    return model


def of_doubles() -> onnx.ModelProto:
    model = keras("none")
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    model.graph.node.insert(0, helper.make_node("Cast", ["keras_tensor"], ["cast"], to=TensorProto.FLOAT))
    model.graph.node[1].input[0] = "cast"
    return model


def of_another_size() -> onnx.ModelProto:
    model = keras()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 9
    return model


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (keras("Tanh"), "it ends with Tanh, so that it is not known whether it gives logits"),
        (keras("Softmax", 1), "it ends with Softmax over 1 units"),
        (keras("Sigmoid", 2), "it ends with Sigmoid over 2 units"),
        (keras("Softmax", 3), "it has 3 output units, the contract says 2"),
        (keras(opset=12), "its operator set is 12, and 13 to 18 are taken"),
        (doubled(), "it takes 2 inputs"),
        (of_doubles(), "its input is not float32"),
        (of_another_size(), r"its input is \(1, 9, 12, 3\), the contract says \(1, 3, 8, 12\) or channels last"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_told_apart_is_refused(tmp_path: Path, model: onnx.ModelProto, named: str) -> None:
    with pytest.raises(GraphRefused, match=named):
        adopted(saved(tmp_path, model), CONTRACT)


def test_an_operator_that_not_every_backend_takes_is_refused_by_the_same_gate(tmp_path: Path) -> None:
    model = keras("none")
    model.graph.node.insert(0, helper.make_node("Dropout", ["keras_tensor"], ["dropped"], "dropout"))
    model.graph.node[1].input[0] = "dropped"
    fitted = describe(adopted(saved(tmp_path, model), CONTRACT), CONTRACT.metadata(SOURCE))
    with pytest.raises(GraphRefused, match="operator Dropout"):
        check_graph(fitted, CONTRACT, "keras.onnx")


def test_a_graph_that_keeps_the_contract_already_stays_as_it_is(tmp_path: Path) -> None:
    fitted = adopted(saved(tmp_path, good()), CONTRACT)
    np.testing.assert_array_equal(logits_of(fitted, IMAGE), logits_of(good(), IMAGE))
