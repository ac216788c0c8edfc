"""A graph that any backend might refuse is refused here first, and every broken rule is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from edge_sacro.errors import GraphRefused
from export.cost import multiply_accumulates, parameters
from export.gate import CONTRACT as CONTRACT_VERSION
from export.gate import OPERATORS, check_graph, describe, read_graph
from tests.export.graphs import CONTRACT, DENSE, KERNEL, SOURCE, good, tensor

Change = Callable[[onnx.ModelProto], object]


def insert(
    model: onnx.ModelProto, operator: str, *outputs: str, inputs: tuple[str, ...] = (), **attributes: object
) -> None:
    """A node behind the rectifier that nothing else uses."""
    node = helper.make_node(operator, [*(inputs or ("rectified",))], [*outputs], f"the_{operator}", **attributes)
    model.graph.node.insert(2, node)


def constant(model: onnx.ModelProto, name: str, value: object, kind: type = np.float32) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array(value, kind), name))


def loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["condition"], ["again"])],
        "body",
        [tensor("turn", (), TensorProto.INT64), tensor("condition", (), TensorProto.BOOL)],
        [tensor("again", (), TensorProto.BOOL)],
    )
    constant(model, "turns", 1, np.int64)
    model.graph.node.insert(0, helper.make_node("Loop", ["turns", ""], [], "the_Loop", body=body))


def resize(model: onnx.ModelProto, **attributes: object) -> None:
    constant(model, "scales", [1, 1, 2, 2])
    insert(model, "Resize", "resized", inputs=("rectified", "", "scales"), **attributes)


def open_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"


def counted(model: onnx.ModelProto) -> None:
    """Arithmetic in int64 on what the image says."""
    insert(model, "Cast", "whole", to=TensorProto.INT64)
    model.graph.node.insert(3, helper.make_node("Add", ["whole", "whole"], ["twice"], "the_Add"))


def external(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "weights.bin"


def topk(model: onnx.ModelProto) -> None:
    model.graph.input.append(tensor("count", (1,), TensorProto.INT64))
    insert(model, "TopK", "best", "places", inputs=("rectified", "count"))


BROKEN: dict[str, tuple[Change, str]] = {
    "operator": (lambda m: insert(m, "NonZero", "places"), r"operator NonZero is not taken .*such as the_NonZero"),
    "dropout": (lambda m: insert(m, "Dropout", "dropped"), "operator Dropout"),
    "control flow": (loop, "operator Loop"),
    "foreign domain": (
        lambda m: (m.opset_import.append(helper.make_opsetid("com.microsoft", 1)), insert(m, "Gelu", "g", domain="x")),
        "operator sets are",
    ),
    "antialias": (lambda m: resize(m, mode="linear", antialias=1), "the_Resize: Resize with antialias 1"),
    "cubic": (lambda m: resize(m, mode="cubic"), "the_Resize: Resize with mode cubic"),
    "training": (
        lambda m: (
            [constant(m, name, [1, 1, 1, 1]) for name in "abcd"],
            insert(m, "BatchNormalization", "n", "p", "q", inputs=("rectified", *"abcd"), training_mode=1),
        ),
        "BatchNormalization in training form",
    ),
    "indices": (lambda m: insert(m, "MaxPool", "p", "i", kernel_shape=[2, 2]), "MaxPool with indices"),
    "count": (topk, "TopK whose count is no constant"),
    "integers": (counted, "the_Add: Add in int64"),
    "open batch": (open_batch, r"inputs are image \(-1, 3, 8, 12\), the contract says image \(1, 3, 8, 12\)"),
    "input's name": (
        lambda m: (setattr(m.graph.input[0], "name", "x"), m.graph.node[0].input.__setitem__(0, "x")),
        r"inputs are x \(1, 3, 8, 12\)",
    ),
    "second output": (
        lambda m: m.graph.output.append(tensor("rectified", (1, 4, 8, 12))),
        r"outputs are logits \(1, 2\), rectified \(1, 4, 8, 12\)",
    ),
    "explanation of other classes": (
        lambda m: (insert(m, "Relu", "explanation"), m.graph.output.append(tensor("explanation", (1, 4, 8, 12)))),
        r"the contract says logits \(1, 2\), explanation \(1, 2, 8, 12\)",
    ),
    "opset": (lambda m: setattr(m.opset_import[0], "version", 17), "operator sets are {'ai.onnx': 17}"),
    "format": (lambda m: setattr(m, "ir_version", 11), "IR 11, later than 10"),
    "external": (external, "1 weights stand in another file, such as kernel"),
    "source": (lambda m: describe(m, {"edge_sacro.source_sha256": "unknown"}), "source_sha256 is 'unknown'"),
    "system": (
        lambda m: describe(m, {"edge_sacro.system": "other"}),
        "system is 'other', the contract says 'bressem2021'",
    ),
    "class order": (lambda m: describe(m, {"edge_sacro.classes": '["ill", "healthy"]'}), "metadata edge_sacro.classes"),
    "precision": (lambda m: describe(m, {"edge_sacro.precision": "bf16"}), "'bf16', none of fp32, fp16, int8"),
    "no metadata": (lambda m: m.ClearField("metadata_props"), "metadata edge_sacro.contract is None"),
}


def test_a_graph_that_keeps_the_contract_passes() -> None:
    inferred = check_graph(good(), CONTRACT, "good.onnx")
    assert {value.name for value in inferred.graph.value_info} >= {"maps", "rectified"}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_named(rule: str) -> None:
    change, named = BROKEN[rule]
    model = good()
    change(model)
    with pytest.raises(GraphRefused, match=named):
        check_graph(model, CONTRACT, "broken.onnx")


def test_all_broken_rules_are_named_at_once() -> None:
    model = good()
    insert(model, "NonZero", "places")
    model.ClearField("metadata_props")
    with pytest.raises(GraphRefused, match=r"broken\.onnx: .*NonZero.*metadata edge_sacro\.system"):
        check_graph(model, CONTRACT, "broken.onnx")


def test_a_graph_that_is_not_valid_onnx_is_refused() -> None:
    model = good()
    model.graph.node[0].input[0] = "nothing"
    with pytest.raises(GraphRefused, match="no valid ONNX graph"):
        check_graph(model, CONTRACT, "broken.onnx")


def test_integer_arithmetic_on_places_of_topk_is_taken() -> None:
    model = good()
    for name, value in (("count", [2]), ("width", [12])):
        constant(model, name, value, np.int64)
    insert(model, "TopK", "best", "places", inputs=("rectified", "count"))
    model.graph.node.insert(3, helper.make_node("Div", ["places", "width"], ["rows"], "the_Div"))
    check_graph(model, CONTRACT, "good.onnx")


def test_an_explanation_of_any_size_is_taken() -> None:
    model = good()
    constant(model, "two", np.ones((2, 4, 1, 1)))
    model.graph.node.insert(2, helper.make_node("Conv", ["rectified", "two"], ["explanation"], "maps_of_classes"))
    model.graph.output.append(tensor("explanation", (1, 2, 8, 12)))
    check_graph(model, CONTRACT, "good.onnx")


def test_operators_that_only_some_backends_take_are_not_listed() -> None:
    assert OPERATORS.isdisjoint({"NonMaxSuppression", "NonZero", "Loop", "If", "Scan", "RoiAlign", "Dropout", "Unique"})


def test_metadata_says_all_that_a_reader_needs() -> None:
    found = {entry.key: entry.value for entry in good().metadata_props}
    assert found == {
        "edge_sacro.contract": CONTRACT_VERSION,
        "edge_sacro.system": "bressem2021",
        "edge_sacro.network": "classifier",
        "edge_sacro.source_sha256": SOURCE,
        "edge_sacro.classes": '["healthy", "ill"]',
        "edge_sacro.precision": "fp32",
    }


def test_costs_are_counted_from_shapes() -> None:
    inferred = check_graph(good(), CONTRACT, "good.onnx")
    assert multiply_accumulates(inferred) == 4 * 8 * 12 * 27 + 4 * 2
    assert parameters(inferred) == KERNEL.size + DENSE.size


@pytest.mark.parametrize("content", [None, b"", b"\x00 no graph", b"PK"])
def test_what_is_no_graph_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "some.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GraphRefused, match=r"some\.onnx"):
        check_graph(read_graph(path), CONTRACT, str(path))


def test_the_command_tells_what_a_graph_is_or_why_not(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from export.__main__ import main

    (tmp_path / "a.onnx").write_bytes(good().SerializeToString())
    runner = CliRunner()
    refused = runner.invoke(
        main, ["check", str(tmp_path / "a.onnx"), "--system", "bressem2021", "--network", "classifier"]
    )
    assert refused.exit_code == GraphRefused.exit_code
    assert "the contract says image (1, 3, 768, 768)" in refused.output
    other = runner.invoke(main, ["check", str(tmp_path / "a.onnx"), "--system", "bressem2021", "--network", "detector"])
    assert other.exit_code == 2
