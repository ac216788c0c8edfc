"""The structured report says what the JSON report says, to other people's readers too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from edge_sacro.errors import InputRefused, WrongBodyPart
from edge_sacro.objects import Answered, Making
from edge_sacro.report import Joint
from edge_sacro.results import refused_fields
from tests.objects.answers import MAKING, each_joint_decided, objects_by_kind, walked, with_result
from tests.objects.tools import complaints, run

ABSENT, PRESENT, UNDETERMINED = "272519000", "52101004", "373068000"


def groups(report: Dataset) -> dict[str, Dataset]:
    """Measurement groups by their tracking identifier."""
    found = walked(report, lambda item: code(item) == "125007")
    return {text(group, "112039"): group for group in found}


def code(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue) if "ConceptNameCodeSequence" in item else ""


def children(item: Dataset, value: str) -> list[Dataset]:
    return [child for child in item.ContentSequence if code(child) == value]


def text(item: Dataset, value: str) -> str:
    (child,) = children(item, value)
    return str(child.TextValue)


def number(item: Dataset, value: str) -> float:
    (child,) = children(item, value)
    (measured,) = child.MeasuredValueSequence
    assert measured.MeasurementUnitsCodeSequence[0].CodeValue == "%"
    return float(measured.NumericValue)


def answer(item: Dataset, value: str) -> str:
    (child,) = children(item, value)
    return str(child.ConceptCodeSequence[0].CodeValue)


def comments(item: Dataset) -> list[str]:
    return [str(child.TextValue) for child in children(item, "121106")]


def region(item: Dataset) -> list[float]:
    (child,) = children(item, "111030")
    assert child.ValueType == "SCOORD"
    assert child.GraphicType == "POLYLINE"
    return [float(value) for value in child.GraphicData]


def outline(joint: Joint) -> list[float]:
    assert joint.box_px is not None
    x0, y0, x1, y1 = map(float, joint.box_px)
    return [x0, y0, x1, y0, x1, y1, x0, y1, x0, y0]


def test_numbers_boxes_and_sides_read_back_equal_the_report(files: Path, answered: Answered) -> None:
    result, report = answered.result, pydicom.dcmread(files / "sr.dcm")
    found = groups(report)
    assert list(found) == ["Both sacroiliac joints", "Right sacroiliac joint", "Left sacroiliac joint"]
    for name, joint, side in (("Right", result.joints.right, "24028007"), ("Left", result.joints.left, "7771000")):
        group = found[f"{name} sacroiliac joint"]
        assert region(group) == outline(joint)
        (site,) = children(group, "363698007")
        assert site.ConceptCodeSequence[0].CodeValue == "39723000"
        assert answer(site, "272741003") == side
        assert answer(group, "answer") == "located"
        assert children(group, "sacroiliitis") == [], "the system decides on both joints together"
    image = found["Both sacroiliac joints"]
    assert result.probability is not None
    assert number(image, "111012") == pytest.approx(100 * result.probability, abs=1e-9)
    assert number(image, "cut-off") == 59.0
    assert answer(image, "sacroiliitis") == {"positive": PRESENT, "negative": ABSENT}[result.state.value]
    assert answer(image, "answer") == result.state.value
    assert comments(image)[0] == result.reason
    assert region(found["Right sacroiliac joint"]) != region(found["Left sacroiliac joint"]), "negative control"


def test_joints_that_are_decided_each_have_their_own_answer(answered: Answered) -> None:
    other = each_joint_decided(answered)
    found = groups(objects_by_kind(other)["sr"])
    right, left = found["Right sacroiliac joint"], found["Left sacroiliac joint"]
    assert (number(right, "111012"), answer(right, "sacroiliitis"), answer(right, "mNY")) == (81.23, PRESENT, "mNY-2-4")
    assert (answer(left, "sacroiliitis"), answer(left, "answer")) == (UNDETERMINED, "not-assessable")
    assert comments(left) == ["the joint lies at the border of the image and may go on beyond it"]
    assert children(left, "111012") == []
    assert children(left, "111030") == []
    assert children(left, "mNY") == []


def refused(answered: Answered, refusal: InputRefused) -> Answered:
    fields: dict[str, Any] = refused_fields(refusal)
    return Answered(with_result(answered, **fields).result, answered.header)


def test_a_refused_image_is_a_report_too(answered: Answered, tmp_path: Path) -> None:
    other = refused(answered, WrongBodyPart("the header says SKULL"))
    made = objects_by_kind(other)
    assert sorted(made) == ["sc", "sr"]
    found = groups(made["sr"])
    assert [answer(group, "sacroiliitis") for group in found.values()] == [UNDETERMINED] * 3
    said = comments(found["Both sacroiliac joints"])
    assert said[0] == "the header says SKULL [wrong_body_part]"
    assert "--override" in said[1]
    for kind, dataset in made.items():
        dataset.save_as(tmp_path / kind, enforce_file_format=True)
        assert complaints(tmp_path / kind) == []


def test_no_group_asserts_a_finding(answered: Answered) -> None:
    report = objects_by_kind(each_joint_decided(answered))["sr"]
    assert walked(report, lambda item: code(item) == "121071") == []
    assert walked(report, lambda item: code(item) == "sacroiliitis"), "negative control: the walk finds codes"


def test_the_report_is_preliminary_unverified_research_and_says_what_the_bundle_is(files: Path, making: Making) -> None:
    report = pydicom.dcmread(files / "sr.dcm")
    flags = report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag, report.ContentQualification
    assert flags == ("COMPLETE", "UNVERIFIED", "PRELIMINARY", "RESEARCH")
    assert comments(report) == [making.bundle.statement]
    assert "DEMONSTRATION, not for clinical use" in report.SeriesDescription
    algorithms = walked(report, lambda item: code(item) == "111002")
    assert any(making.bundle.fingerprint in item.TextValue for item in algorithms)
    (scheme,) = report.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99EDGESACRO"


def test_text_of_ours_is_ascii_beside_any_character_set(answered: Answered) -> None:
    assert comments(objects_by_kind(answered, MAKING)["sr"]) == ["Nur fur Tests."]


def test_dsrdump_reads_the_same(files: Path, answered: Answered) -> None:
    said = run("dsrdump", "+Pl", files / "sr.dcm")
    result = answered.result
    assert result.probability is not None
    assert f'NUM:(,,"Certainty of Finding")="{round(100 * result.probability, 9)}" (%,UCUM,"Percent")' in said
    assert 'NUM:(,,"Cut-off of the decision")="59.0" (%,UCUM,"Percent")' in said
    assert result.reason in said
    for joint in (result.joints.left, result.joints.right):
        assert joint.box_px is not None
        x0, y0 = joint.box_px[:2]
        assert f"(POLYLINE,{x0}/{y0}," in said
    assert "UNVERIFIED" in said
    assert "Right sacroiliac joint" in said
    assert "Sacroiliitis present" not in said, "negative control"
    assert [line for line in said.splitlines() if line.startswith(("E:", "W:"))] == []


def test_highdicom_reads_the_same(files: Path, answered: Answered) -> None:
    from highdicom.sr import srread

    report = srread(files / "sr.dcm")
    planar = report.content.get_planar_roi_measurement_groups()
    names = [group.tracking_identifier for group in planar]
    assert names == ["Right sacroiliac joint", "Left sacroiliac joint"]
    (image,) = report.content.get_image_measurement_groups()
    values = {measurement.name.value: measurement.value for measurement in image.get_measurements()}
    assert answered.result.probability is not None
    assert values["111012"] == pytest.approx(100 * answered.result.probability, abs=1e-9)


@pytest.mark.parametrize("kind", ["sr", "seg", "pr", "sc"])
def test_dciodvfy_finds_no_error(files: Path, kind: str) -> None:
    assert complaints(files / f"{kind}.dcm") == []


@pytest.mark.parametrize(
    ("kind", "keyword"),
    [
        ("sr", "ContentDate"),
        ("seg", "SegmentSequence"),
        ("pr", "DisplayedAreaSelectionSequence"),
        ("sc", "ConversionType"),
    ],
)
def test_dciodvfy_finds_what_is_left_out(files: Path, tmp_path: Path, kind: str, keyword: str) -> None:
    broken = pydicom.dcmread(files / f"{kind}.dcm")
    delattr(broken, keyword)
    broken.save_as(tmp_path / "broken.dcm")
    assert complaints(tmp_path / "broken.dcm") != []
