"""No identifier of a patient, a study or an image leaves in what the node tells."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pynetdicom", reason="the node's extra is not installed")
pytest.importorskip("highdicom", reason="the node's extra is not installed")

from pydicom import dcmread

from bench.reliability_archive import OurArchive
from edge_sacro.node.audit_check import records_from_file
from edge_sacro.node.serve import Node
from tests.node.stand_in import node_config, until
from tests.tiny import drawn_pelvis, write_bundle, write_dicom

LEAKY = ("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

IDENTIFIERS = {
    "PatientName": "DISTINCTIVE^NAME",
    "PatientID": "PID-4711-0815",
    "PatientBirthDate": "19610203",
    "OtherPatientIDs": "OTHER-77",
    "AccessionNumber": "ACC-998877",
    "StudyID": "STUDY-5566",
    "StudyDescription": "Distinctive description",
    "InstitutionName": "Distinctive Hospital",
    "ReferringPhysicianName": "REFERRER^SECRET",
    "OperatorsName": "OPERATOR^SECRET",
    "StationName": "STATIONX",
    "ImageComments": "distinctive comment",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.111222333444",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.555666777888",
    "SOPInstanceUID": "1.2.826.0.1.3680043.8.498.999000111222",
}


@pytest.mark.filterwarnings(*LEAKY)
def test_no_identifier_of_a_patient_a_study_or_an_image_leaves_in_log_audit_or_metrics(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One study over DICOM, one over HTTP, one refused, one that nothing can be made of: the whole node, searched."""
    archive = OurArchive()
    archive.start()
    to = {"name": "archive", "host": "127.0.0.1", "port": archive.port, "ae_title": "ARCHIVE"}
    web = {"enabled": True, "port": 0}
    node = Node(node_config(tmp_path / "node", write_bundle(tmp_path / "bundle"), destinations=(to,), http=web))
    node.start()
    try:
        _send_all(node, tmp_path)
        assert until(lambda: node.store.waiting() == 0 and sum(node.store.counts().values()) == 4, 30)
        rows = node.store.page(limit=9)
        _read_and_requeue(node)
        with urllib.request.urlopen(f"http://127.0.0.1:{node.web.port}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
    finally:
        node.stop()
        archive.stop()
    ended = {each.state: each.reason_code for each in rows}
    # the answer to an image of no study has no report that could be sent: a person has to see that
    assert ended == {"delivered": None, "refused": "wrong_view", "quarantined": "output_not_written"}
    states = sorted(json.loads(line).get("event", "") for line in (tmp_path / "node.log").read_text().splitlines())
    assert {"received", "assessed", "sent"} <= set(states)
    searched = {
        "log": (tmp_path / "node.log").read_text(),
        "audit": (tmp_path / "node" / "audit.jsonl").read_text(),
        "metrics": metrics,
        "streams": "".join(capfd.readouterr()),
    }
    for place, text in searched.items():
        assert _found(text) == [], place
    # the search does find them where they belong
    (report,) = (tmp_path / "node" / "results").glob("*1/sr.dcm")
    assert "PID-4711-0815" in _found(report.read_bytes().decode("latin-1"))


def _read_and_requeue(node: Node) -> None:
    """What a person does at the page: look at a report, have another instance tried again."""
    base = f"http://127.0.0.1:{node.web.port}/v1/instances"
    with urllib.request.urlopen(f"{base}/1/report", timeout=10) as answer:  # noqa: S310 - our own node
        assert json.load(answer)["results"]
    request = urllib.request.Request(f"{base}/3/requeue", b"", {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
        assert answer.status == 200
    assert until(lambda: node.store.waiting() == 0)
    records = list(records_from_file(node.config.folder / "audit.jsonl"))
    done = [(each["event"], each.get("instance")) for each in records if str(each.get("actor")).startswith("http:")]
    assert ("accessed", 1) in done
    assert ("requeued", 3) in done


def _found(text: str) -> list[str]:
    parts = {part for value in IDENTIFIERS.values() for part in (value, *value.split("^"))}
    return [part for part in sorted(parts) if part.lower() in text.lower()]


def _send_all(node: Node, folder: Path) -> None:
    from pynetdicom import AE

    changes: list[dict[str, Any]] = [{}, {"ViewPosition": "LL"}, {"StudyInstanceUID": None}]
    entity = AE("MODALITY")
    files = []
    for number, change in enumerate(changes):
        uid = f"{IDENTIFIERS['SOPInstanceUID']}.{number}"
        path = write_dicom(folder / f"{number}.dcm", **{**IDENTIFIERS, "SOPInstanceUID": uid, **change})
        dataset = dcmread(path)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        files.append(dataset)
        entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", node.receiver.port, ae_title="EDGESACRO")
    assert association.is_established
    for dataset in files:
        assert association.send_c_store(dataset).Status == 0
    association.release()
    other = write_dicom(folder / "http.dcm", drawn_pelvis(), **IDENTIFIERS)
    request = urllib.request.Request(
        f"http://127.0.0.1:{node.web.port}/v1/instances", other.read_bytes(), {"Content-Type": "application/dicom"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - our own node
        assert answer.status in {200, 201, 202}
