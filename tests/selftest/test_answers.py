"""A selftest passes on what was accepted, and each planted fault fails the check that is for it, and no other."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from edge_sacro.benchmark.order import Order, open_runtime
from edge_sacro.bundle import load_bundle
from edge_sacro.errors import InputNotFound, UsageError
from edge_sacro.selftest.answers import Answers, answers_of, latency_checks, study_checks
from edge_sacro.selftest.document import Check, Measured
from edge_sacro.selftest.golden import (
    DEMONSTRATION,
    GOLDEN_NAME,
    Golden,
    golden_from_file,
    json_from_golden,
)
from edge_sacro.selftest.run import Options, record, selftest
from edge_sacro.selftest.studies import draw
from edge_sacro.selftest.yardstick import Yardstick
from tests.tiny import write_bundle, write_dicom


class Stick(Yardstick):
    """A yardstick of any length."""

    def __init__(self, milliseconds: float) -> None:
        self._milliseconds = milliseconds

    def measure(self) -> float:
        """As it was told."""
        return self._milliseconds


LONG = Stick(1e6)
"""So long that no assessment is slow beside it."""


def _failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if check.status == "failed"]


def _with_study(golden: Golden, **changes: Any) -> Golden:
    study = golden.studies[0].model_copy(update=changes)
    return golden.model_copy(update={"studies": [study]})


def _folder_with(golden: Golden, source: Path, target: Path) -> Path:
    target.mkdir()
    shutil.copyfile(source / "pelvis.dcm", target / "pelvis.dcm")
    (target / GOLDEN_NAME).write_text(json_from_golden(golden))
    return target


def test_what_was_accepted_passes(order: Order, folder: Path) -> None:
    report = selftest(Options(order, folder), LONG)
    assert _failed(list(report.checks)) == []
    assert report.passed
    assert report.bundle is not None
    assert report.bundle.statement == "Test bundle, not for clinical use."
    names = {check.name.rpartition(": ")[2] for check in report.checks}
    assert {"image", "decision", "probability", "boxes", "repeated answers", "latency", "clock"} <= names


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "another decision": ({"state": "borderline"}, "pelvis.dcm: decision"),
    "another reason": ({"reason_code": "joint_not_found"}, "pelvis.dcm: decision"),
    "no probability": ({"probability": None}, "pelvis.dcm: probability"),
    "another image": ({"sha256": "0" * 64}, "pelvis.dcm: image"),
    "no box": ({"left_px": None}, "pelvis.dcm: boxes"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_answer_other_than_the_golden_one_fails(
    order: Order, golden: Golden, folder: Path, tmp_path: Path, fault: str
) -> None:
    changes, check = FAULTS[fault]
    spoilt = _folder_with(_with_study(golden, **changes), folder, tmp_path / "golden")
    report = selftest(Options(order, spoilt), LONG)
    assert _failed(list(report.checks)) == [check]
    assert not report.passed


@pytest.mark.parametrize(("part", "passes"), [(0.9, True), (1.1, False)])
def test_a_probability_may_be_as_far_as_the_guard_band(
    order: Order, golden: Golden, folder: Path, part: float, passes: bool
) -> None:
    study = golden.studies[0]
    assert study.probability is not None
    moved = study.probability + part * golden.half_width * (-1 if study.probability > 0.5 else 1)
    checks = _checks(_with_study(golden, probability=moved), order, folder)
    assert _failed(checks) == ([] if passes else ["pelvis.dcm: probability"])


@pytest.mark.parametrize(("more", "passes"), [(0, True), (1, False)])
def test_a_box_may_be_one_pixel_of_the_network_off(
    order: Order, golden: Golden, folder: Path, more: int, passes: bool
) -> None:
    crop = golden.studies[0].crop_px
    assert crop is not None
    assert golden.box_px == 4
    moved = [crop[0] + golden.box_px + more, *crop[1:]]
    assert _failed(_checks(_with_study(golden, crop_px=moved), order, folder)) == (
        [] if passes else ["pelvis.dcm: boxes"]
    )


def _checks(golden: Golden, order: Order, folder: Path) -> list[Check]:
    with open_runtime(order) as runtime:
        files = [folder / "pelvis.dcm"]
        return list(study_checks(golden, files, answers_of(runtime, files, LONG, rounds=1)))


def test_answers_that_change_from_round_to_round_fail(golden: Golden, order: Order, folder: Path) -> None:
    with open_runtime(order) as runtime:
        result = runtime.infer(folder / "pelvis.dcm")
    checks = list(study_checks(golden, [folder / "pelvis.dcm"], Answers([result], steady=False)))
    assert _failed(checks) == ["repeated answers"]


def test_without_rounds_neither_speed_nor_steadiness_is_judged(order: Order, folder: Path) -> None:
    report = selftest(Options(order, folder, rounds=0), LONG)
    assert {each.name for each in report.checks if each.status == "not judged"} >= {"latency", "repeated answers"}
    assert report.passed


def _answers(golden: Golden, ratio: float, precision: str = "fp32") -> Answers:
    return Answers([], [ratio * 100.0], [100.0], True, "onnxruntime", precision)


def _latency(golden: Golden, ratio: float, before: Measured | None = None) -> str:
    return next(iter(latency_checks(golden, before, _answers(golden, ratio)))).status


def test_a_time_that_grew_is_warned_of_though_the_yardstick_grew_with_it(golden: Golden) -> None:
    assert golden.latency is not None
    place = golden.latency.model_dump(include={"machine", "cores", "backend", "precision"})
    nothing = {"yardstick_ms": None, "largest_deviation": None, "largest_box_px": None}
    before = Measured(**place, **nothing, ratio=1.0, assessment_ms=10.0)
    for milliseconds, status in ((30.0, "passed"), (31.0, "warned")):
        answers = Answers([], [milliseconds], [milliseconds], True, "onnxruntime", "fp32")
        assert [each.status for each in latency_checks(golden, before, answers)] == ["passed", status]


def test_an_assessment_slower_than_its_budget_fails(golden: Golden) -> None:
    assert golden.latency is not None
    budget = golden.latency.ratio * golden.latency.factor
    assert _latency(golden, 0.99 * budget) == "passed"
    assert _latency(golden, 1.01 * budget) == "failed"


def test_a_budget_of_another_machine_judges_nothing(golden: Golden) -> None:
    assert golden.latency is not None
    for change in ({"machine": "riscv64"}, {"cores": 1000}, {"backend": "openvino"}, {"precision": "int8"}):
        elsewhere = golden.model_copy(update={"latency": golden.latency.model_copy(update=change)})
        assert _latency(elsewhere, 1e6) == "not judged"
    assert _latency(golden.model_copy(update={"latency": None}), 1e6) == "not judged"


def test_an_installation_is_held_to_what_it_measured_itself(golden: Golden) -> None:
    assert golden.latency is not None
    place = golden.latency.model_dump(include={"machine", "cores", "backend", "precision"})
    figures = {"assessment_ms": None, "yardstick_ms": None, "largest_deviation": None, "largest_box_px": None}
    before = Measured(**place, **figures, ratio=100.0)
    assert _latency(golden, 299.0, before) == "passed"
    assert _latency(golden, 301.0, before) == "failed"


def test_a_slow_machine_is_told_through_the_whole_selftest(order: Order, folder: Path) -> None:
    report = selftest(Options(order, folder), Stick(1e-6))
    assert _failed(list(report.checks)) == ["latency"]


def test_golden_answers_of_another_bundle_fail(folder: Path, tmp_path: Path) -> None:
    other = Order(str(write_bundle(tmp_path / "other", version="2")))
    report = selftest(Options(other, folder), LONG)
    assert _failed(list(report.checks)) == ["assessment"]
    assert "golden answers are those of tiny 1" in next(each.found for each in report.checks)


def test_a_bundle_that_is_damaged_fails(order: Order, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(order.bundle, tmp_path / "bundle")
    (tmp_path / "bundle" / "classifier.onnx").write_bytes(b"damaged")
    report = selftest(Options(Order(str(tmp_path / "bundle")), folder), LONG)
    assert _failed(list(report.checks)) == ["assessment"]


def test_an_answer_too_close_to_the_cut_off_is_no_golden_one(tmp_path: Path) -> None:
    band = {"half_width": 0.25, "source": "for tests"}
    wide = Order(str(write_bundle(tmp_path / "wide", guard_band=band)), threads=1)
    with pytest.raises(UsageError, match="too close"):
        record(wide, [write_dicom(tmp_path / "pelvis.dcm")], tmp_path)


def test_golden_answers_that_are_none_are_refused(tmp_path: Path, golden: Golden) -> None:
    with pytest.raises(InputNotFound):
        golden_from_file(tmp_path / GOLDEN_NAME)
    twice = golden.model_copy(update={"studies": [*golden.studies, *golden.studies]})
    for text in ("", "{}", json_from_golden(golden)[:-10], json_from_golden(twice)):
        (tmp_path / GOLDEN_NAME).write_text(text)
        with pytest.raises(UsageError):
            golden_from_file(tmp_path / GOLDEN_NAME)


def test_the_shipped_answers_are_those_of_the_shipped_bundle() -> None:
    golden, bundle = golden_from_file(DEMONSTRATION), load_bundle()
    assert golden.bundle.fingerprint == bundle.fingerprint
    assert golden.half_width == bundle.manifest.guard_band.half_width
    assert {study.state for study in golden.studies} == {"positive", "negative"}


def test_a_shipped_phantom_is_drawn_as_it_was(tmp_path: Path) -> None:
    """Byte for byte with the NumPy that recorded it; else a few pixels are one level apart; the answer holds."""
    shipped = golden_from_file(DEMONSTRATION)
    study = shipped.studies[0]
    assert study.drawn is not None
    draw(study.drawn, tmp_path / study.file)
    assert [path.name for path in tmp_path.iterdir()] == [study.file]
    with open_runtime(Order("demonstration", threads=1)) as runtime:
        files = [tmp_path / study.file]
        one = shipped.model_copy(update={"studies": [study]})
        checks = list(study_checks(one, files, answers_of(runtime, files, LONG, rounds=0), drawn=True))
    assert _failed(checks) == []


def test_a_phantom_drawn_by_another_numpy_is_told_and_one_beside_its_answers_fails(
    order: Order, golden: Golden, folder: Path
) -> None:
    other = _with_study(golden, sha256="0" * 64)
    with open_runtime(order) as runtime:
        files = [folder / "pelvis.dcm"]
        answers = answers_of(runtime, files, LONG, rounds=0)
    statuses = [next(iter(study_checks(other, files, answers, drawn=drawn))).status for drawn in (True, False)]
    assert statuses == ["not judged", "failed"]
