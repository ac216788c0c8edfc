"""The report document: its published schema, its shape, its canonical form."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from edge_sacro.report import Ignored, Report, json_from_report, report_schema
from edge_sacro.runtime import Runtime
from tests.conftest import ROOT
from tests.tiny import write_bundle, write_dicom


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One located, one not assessable, one refused instance and an ignored file."""
    folder = tmp_path_factory.mktemp("report")
    with Runtime(write_bundle(folder / "tiny"), threads=1) as runtime:
        files = [
            write_dicom(folder / "a.dcm"),
            write_dicom(folder / "b.dcm", ImagerPixelSpacing=None),
            folder / "absent.dcm",
        ]
        return runtime.report([runtime.infer(file) for file in files], [Ignored(path="x.txt", reason="no DICOM file")])


def test_the_document_meets_the_published_schema(report: Report) -> None:
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    assert schema == report_schema(), "docs/report.schema.json is not what `edge-sacro schema` prints"
    document = json.loads(json_from_report(report))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    for broken in ({"extra": 1}, {"schema_version": "0"}, {"results": [{}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**document, **broken}, schema)


def test_the_document_has_the_keys_that_integrators_were_told(report: Report) -> None:
    document = json.loads(json_from_report(report))
    assert {"schema_version", "software", "bundle", "results"} <= set(document)
    assert {"name", "fingerprint", "demonstration"} <= set(document["bundle"])
    for result in document["results"]:
        assert {
            "source", "system", "state", "reason", "probability", "operating_point", "joints", "backend", "timings_ms",
        } <= set(result)  # fmt: skip
        assert set(result["source"]) == {"path", "sha256", "sop_instance_uid", "frame"}
        assert {"name", "threshold"} <= set(result["operating_point"])
        for side in ("left", "right"):
            assert set(result["joints"][side]) == {"state", "reason", "box_px", "box_mm", "probability"}


def test_an_absent_value_has_a_reason(report: Report) -> None:
    for result in report.results:
        assert result.reason
        for joint in (result.joints.left, result.joints.right):
            if None in (joint.box_px, joint.box_mm, joint.probability):
                assert joint.reason


def test_the_text_is_canonical(report: Report) -> None:
    text = json_from_report(report)
    document = json.loads(text)
    assert text == json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    assert json_from_report(Report.model_validate_json(text)) == text


def test_a_result_cannot_be_changed_after_it_was_made(report: Report) -> None:
    with pytest.raises(ValidationError):
        report.results[0].state = "negative"  # type: ignore[assignment,misc]


def test_every_output_of_a_demonstration_bundle_says_so(report: Report, tmp_path: Path) -> None:
    from edge_sacro.console import text_from_report

    assert report.bundle.demonstration
    assert "not for clinical use" in json_from_report(report)
    assert "not for clinical use" in text_from_report(report)
