"""Every precision and backend against FP32: what is measured, what is left out, what is noticed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from edge_sacro import engine as backends
from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.engine import NetworkSpec, TensorSpec, open_engine
from edge_sacro.engine.base import Array, Engine
from edge_sacro.engine.null import NullEngine
from edge_sacro.errors import BackendFailed, BackendUnavailable, UsageError
from edge_sacro.manifest import Precision
from edge_sacro.parity.budget import BUDGETS
from edge_sacro.parity.compare import comparison, tensor_differences
from edge_sacro.parity.document import Answer, Contender, Document, Instance
from edge_sacro.parity.measure import Setup, measure, truth_beside
from edge_sacro.parity.watch import Call
from edge_sacro.types import OperatingPoint, State
from tests import tiny
from tests.parity.conftest import AGAINST


def contender(document: Document, name: str) -> Contender:
    return {each.name: each for each in document.contenders}[name]


def test_small_networks_keep_the_budget_in_every_precision(document: Document) -> None:
    assert [each.name for each in document.contenders] == [f"{backend}:{precision}" for backend, precision in AGAINST]
    assert document.holds
    assert {each.name: each.breaches for each in document.contenders} == {each.name: [] for each in document.contenders}
    for each in document.contenders:
        assert each.summary.instances == each.summary.with_probability == 7
    probabilities = [instance.reference.probabilities["image"] for instance in document.instances]
    assert min(probabilities) < 0.2
    assert max(probabilities) > 0.8


def test_the_reference_equals_itself_and_a_coarser_precision_does_not(document: Document) -> None:
    itself = contender(document, "onnxruntime:fp32").summary
    assert {(t.network, t.tensor, t.role) for t in itself.tensors} == {
        ("segmenter", "image", "input"),
        ("segmenter", "logits", "output"),
        ("classifier", "image", "input"),
        ("classifier", "logits", "output"),
    }
    assert all(tensor.max_abs.value == 0 and tensor.cosine.value == pytest.approx(1) for tensor in itself.tensors)
    errors = {
        precision: next(
            t for t in contender(document, f"onnxruntime:{precision}").summary.tensors if t.role == "output"
        )
        for precision in ("fp16", "int8")
    }
    assert 0 < errors["fp16"].relative_rms.value < errors["int8"].relative_rms.value < 0.05


def test_openvino_answers_as_the_reference_does(bundle: Bundle, images: list[Path]) -> None:
    pytest.importorskip("openvino", reason="the extra edge-sacro[openvino] is not installed")
    against: list[tuple[str, Precision]] = [("openvino", "fp32"), ("openvino", "fp16"), ("openvino", "int8")]
    measured = measure(bundle, images[::3], Setup(against=against, threads=1))
    assert measured.holds, [each.breaches for each in measured.contenders]
    worst = {each.name: each.summary.probability for each in measured.contenders}
    assert worst["openvino:fp32"] is not None
    assert abs(worst["openvino:fp32"].value) <= 1e-4


def test_truth_gives_the_area_under_the_curve_and_few_images_are_not_judged(document: Document) -> None:
    area = contender(document, "onnxruntime:int8").summary.area
    assert area is not None
    assert (area.reference, area.pairs, area.judged) == (1.0, 12, False)


def test_a_truth_that_is_no_phantoms_is_said_to_be_none(tmp_path: Path) -> None:
    for content in ('{"schema": "another", "images": []}', "[]", "no json", '{"schema": "edge-sacro-phantom-truth-1"}'):
        (tmp_path / "truth.json").write_text(content)
        truth, notes = truth_beside([tmp_path / "a.dcm"])
        assert truth == {}
        assert [note.path for note in notes] == [str(tmp_path / "truth.json")]


def test_a_backend_that_is_not_here_is_left_out_with_the_reason_and_an_error_where_it_was_named(
    bundle: Bundle, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    measured = measure(bundle, images[:1], Setup(threads=1))
    assert [each.name for each in measured.contenders] == [f"onnxruntime:{p}" for p in ("fp32", "fp16", "int8")]
    assert [each.name for each in measured.left_out] == [f"openvino:{p}" for p in ("fp32", "fp16", "int8")]
    assert "needs the package 'openvino'" in measured.left_out[0].reason
    with pytest.raises(BackendUnavailable, match="openvino"):
        measure(bundle, images[:1], Setup(against=[("openvino", "int8")], threads=1))


def test_a_backend_that_refuses_a_network_breaks_the_budget(
    bundle: Bundle, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        raise BackendFailed("operator unknown", source=spec.name)

    monkeypatch.setitem(backends.BACKENDS, "refusing", refuses)
    measured = measure(bundle, images[:2], Setup(against=[("refusing", "fp16"), ("onnxruntime", "fp16")], threads=1))
    refused, served = measured.contenders
    assert not measured.holds
    assert [breach.measure for breach in refused.breaches] == ["failure", "nothing_compared"]
    assert "operator unknown" in refused.breaches[0].sentence
    assert served.breaches == []


def test_a_backend_that_another_one_stands_in_for_is_found_out(
    bundle: Bundle, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        backends.BACKENDS, "pretending", lambda spec, model, threads: open_engine("onnxruntime", spec, model, threads)
    )
    monkeypatch.setitem(backends.BACKENDS, "made-up", NullEngine)
    for name in ("pretending", "made-up"):
        measured = measure(bundle, images[:2], Setup(against=[(name, "fp32")], threads=1))
        assert "answered in its place" in (measured.contenders[0].failure or "")
        assert not measured.holds


@pytest.mark.parametrize(
    ("setup", "match"),
    [
        (Setup(against=[("null", "fp32")]), "computes nothing"),
        (Setup(against=[("onnxruntime", "fp32")], budgets={"int8": BUDGETS["int8"]}), "no row for fp32"),
    ],
)
def test_what_cannot_be_compared_is_refused(bundle: Bundle, images: list[Path], setup: Setup, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        measure(bundle, images[:1], setup)


def test_a_precision_that_the_bundle_has_not_is_refused(images: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no int8"):
        measure(load_bundle(tiny.write_bundle(tmp_path)), images[:1], Setup(against=[("onnxruntime", "int8")]))


def test_files_that_are_refused_are_said_and_not_compared(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no image")
    measured = measure(bundle, [tmp_path / "note.txt"], Setup(against=[("onnxruntime", "fp32")], threads=1))
    assert measured.instances[0].reference.state is State.REFUSED
    assert [breach.measure for breach in measured.contenders[0].breaches] == ["nothing_compared"]


def test_files_of_one_name_are_told_apart(bundle: Bundle, images: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other" / images[0].name
    other.parent.mkdir()
    other.write_bytes(images[0].read_bytes())
    measured = measure(bundle, [images[0], other], Setup(against=[("onnxruntime", "fp32")], threads=1))
    assert [each.name for each in measured.instances] == [images[0].name, f"other/{images[0].name}"]


class _Doubling(Engine):
    backend = "doubling"

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        del deadline
        return {"logits": inputs["image"] * 2, "explanation": inputs["image"].reshape(1, 1, 2, 2)}


def test_outputs_are_compared_on_the_references_inputs_and_inputs_as_they_came() -> None:
    spec = NetworkSpec(
        "classifier",
        (TensorSpec("image", (1, 4)),),
        (TensorSpec("logits", (1, 4)), TensorSpec("explanation", (1, 1, 2, 2))),
    )
    engine = _Doubling(spec)
    one, other = np.array([[1, 2, 3, 4]], np.float32), np.array([[4, 3, 2, 1]], np.float32)
    calls = [Call("classifier", {"image": image}, engine.run({"image": image})) for image in (one, other)]
    found = {
        (each.tensor, each.role): each for each in tensor_differences(calls[:1], calls[1:], {"classifier": engine})
    }
    assert found["image", "input"].max_abs == 3
    assert found["logits", "output"].max_abs == 0
    assert found["explanation", "output"].correlation == pytest.approx(1)
    swapped = [Call("classifier", {"image": one}, calls[1].outputs)]
    found = {(each.tensor, each.role): each for each in tensor_differences(calls[:1], swapped, {"classifier": engine})}
    assert found["logits", "output"].max_abs == 6
    assert found["explanation", "output"].correlation == pytest.approx(-1)
    assert found["explanation", "output"].peak_distance == pytest.approx(np.sqrt(2))
    missing = tensor_differences(calls[:1], [], {"classifier": engine})
    assert {each.role for each in missing} == {"output"}


POINTS = (OperatingPoint("accuracy", 0.59, "tests"), OperatingPoint("low", 0.3, "tests"))


def answer(probability: float | None, left: float | None = None, code: str | None = None) -> Answer:
    values = {"image": probability, "left": left}
    return Answer(
        state=State.NOT_ASSESSABLE if probability is None else State.NEGATIVE,
        reason_code=code,
        probabilities={subject: value for subject, value in values.items() if value is not None},  # type: ignore[misc]
        crop_px=None if probability is None else [0, 0, 10, 10],
        joints_px={},
    )


@pytest.mark.parametrize(
    ("before", "after", "flips"),
    [
        (0.58, 0.58, []),
        (0.59, 0.5901, [("accuracy", "inside")]),
        (0.58, 0.62, [("accuracy", "inside")]),
        (0.56, 0.62, [("accuracy", "outside")]),
        (0.62, 0.56, [("accuracy", "outside")]),
        (0.56, 0.61, [("accuracy", "inside")]),
        (0.2, 0.9, [("accuracy", "outside"), ("low", "outside")]),
        (0.61, 0.65, []),
    ],
)
def test_flips_are_told_apart_by_the_guard_band_at_every_cut_off(
    before: float, after: float, flips: list[tuple[str, str]]
) -> None:
    instance = Instance(name="a", sha256=None, truth=None, reference=answer(before))
    found = comparison(instance, answer(after), [], POINTS, 0.02).flips
    assert [(flip.operating_point, flip.kind) for flip in found] == flips


def test_a_joints_own_probability_is_compared_too() -> None:
    instance = Instance(name="a", sha256=None, truth=None, reference=answer(0.9, left=0.9))
    found = comparison(instance, answer(0.9, left=0.4), [], POINTS, 0.02)
    assert found.probability_differences == {"image": 0.0, "left": -0.5}
    assert [(flip.subject, flip.kind) for flip in found.flips] == [("left", "outside")]


def test_what_one_can_assess_and_the_other_cannot_is_a_disagreement() -> None:
    none = answer(None, code="joint_not_assessable")
    reference = Instance(name="a", sha256=None, truth=None, reference=answer(0.9))
    unable = Instance(name="a", sha256=None, truth=None, reference=none)
    assert comparison(reference, answer(0.8), [], POINTS, 0.0).disagreement is None
    assert comparison(unable, none, [], POINTS, 0.0).disagreement is None
    said = comparison(reference, none, [], POINTS, 0.0).disagreement
    assert said == "the contender has no probability for the image (joint_not_assessable)"
    said = comparison(unable, answer(0.8), [], POINTS, 0.0).disagreement
    assert said is not None
    assert said.startswith("the reference has no probability")
    located = answer(0.8).model_copy(update={"joints_px": {"left": [0, 0, 5, 5]}})
    said = comparison(reference, located, [], POINTS, 0.0).disagreement
    assert said == "the reference does not locate the left joint"


def test_the_document_goes_through_json_and_back(document: Document) -> None:
    from edge_sacro.parity.document import json_from_document

    text = json_from_document(document)
    assert Document.model_validate_json(text) == document
    assert json.loads(text)["contenders"][0]["comparisons"][0]["instance"] == "sacrum-3.dcm"
