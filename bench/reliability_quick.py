"""A node that answers at once, for experiments on what is around the assessment: its answer to every image is a report.

Everything but the assessment is the product's. ``EDGE_SACRO_CARELESS`` adds a defect of ``bench.reliability_careless``.
"""

from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, Comprehensive3DSRStorage, ExplicitVRLittleEndian

from bench.reliability_careless import DEFECTS, VARIABLE
from edge_sacro.errors import EdgeSacroError
from edge_sacro.node.answers import Answer, MadeObject
from edge_sacro.node.config import config_from_file
from edge_sacro.node.process import serve
from edge_sacro.node.records import Instance
from edge_sacro.node.serve import Node

ANSWER_S = 0.02
"""How long an answer takes."""


class Quick:
    """Answers every image with a report that says nothing."""

    def answer(self, instance: Instance, data: bytes) -> Answer:  # noqa: ARG002 - as the node calls it
        """As of the node."""
        time.sleep(ANSWER_S)
        image = dcmread(io.BytesIO(data), stop_before_pixels=True)
        report = report_of(image)
        buffer = io.BytesIO()
        report.save_as(buffer, enforce_file_format=True)
        made = MadeObject("sr", "sr.dcm", str(report.SOPClassUID), str(report.SOPInstanceUID))
        files = {"report.json": b"{}", "sr.dcm": buffer.getvalue()}
        study = str(image.StudyInstanceUID)
        return Answer("negative", None, None, "{}", study, files, (made,), {}, {"total": 1000 * ANSWER_S})


def report_of(image: Dataset) -> Dataset:
    """A report whose UID follows from the image's, and which names the image; the same bytes each time."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = Comprehensive3DSRStorage
    meta.MediaStorageSOPInstanceUID = UID(f"{image.SOPInstanceUID}.9"[-64:].lstrip("."))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    reference, series, study, report = Dataset(), Dataset(), Dataset(), Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedSOPSequence = image.SeriesInstanceUID, [reference]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = image.StudyInstanceUID, [series]
    report.file_meta = meta
    report.SOPClassUID, report.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    report.StudyInstanceUID, report.SeriesInstanceUID = (
        image.StudyInstanceUID,
        UID(f"{image.SeriesInstanceUID}.9"[-64:]),
    )
    report.Modality, report.PatientID, report.PatientName = "SR", image.PatientID, image.PatientName
    report.CurrentRequestedProcedureEvidenceSequence = [study]
    return report


def main(config: Path) -> int:
    """Run it, and return its exit code."""
    try:
        serve(config_from_file(config), lambda read: Node(read, lambda _: Quick()))
    except EdgeSacroError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    if os.environ.get(VARIABLE):
        DEFECTS[os.environ[VARIABLE]]()
    sys.exit(main(Path(sys.argv[-1])))
