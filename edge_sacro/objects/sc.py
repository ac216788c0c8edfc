"""Result -> Secondary Capture (PS3.3 A.8.1): the overlay as a picture, for viewers that show nothing else.

A refused image has no overlay; its capture is a page that says so, because an absent result reads as a negative one.
"""

from __future__ import annotations

import textwrap

import cv2
import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from edge_sacro.objects import codes
from edge_sacro.objects.answer import Answered, Making
from edge_sacro.objects.frame import common_arguments, finished, source_reference, statement
from edge_sacro.overlay import Picture, overlay_from_result
from edge_sacro.report import Report
from edge_sacro.types import State

_PAGE, _MARGIN, _LINE, _COLUMNS = (1000, 700), 40, 34, 80
_WHITE, _GRAY = (235, 235, 235), (150, 150, 150)


def sc_from_answer(answered: Answered, making: Making) -> Dataset:
    """The secondary capture of one image; there is one for every answer, a refusal too."""
    import highdicom as hd

    reference = source_reference(answered)
    drawn = _overlay(answered, making)
    picture = _page(answered, making) if drawn is None else drawn
    arguments = common_arguments(answered, making, "sc")
    dataset = hd.sc.SCImage(
        pixel_array=np.ascontiguousarray(picture[..., ::-1]),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=reference.StudyInstanceUID,
        patient_orientation=("L", "F"),
        **arguments,
    )
    dataset.Modality = "OT"
    dataset.PatientOrientation = _orientation(answered, drawn is not None)
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.BurnedInAnnotation = "YES"
    _describe_compression(dataset, answered)
    dataset.DerivationDescription = "Overlay of the result, resampled; not for measurement. " + statement(making)
    dataset.DerivationDescription = dataset.DerivationDescription[:1024]
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = reference.SOPClassUID, reference.SOPInstanceUID
    source.PurposeOfReferenceCodeSequence = [codes.code_item(codes.PROCESSED_IMAGE)]
    dataset.SourceImageSequence = [source]
    dataset = finished(dataset, answered, making, "sc")
    dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture = dataset.ContentDate, dataset.ContentTime
    return dataset


def _describe_compression(dataset: Dataset, answered: Answered) -> None:
    """What was once compressed with loss stays so, whatever is made of it (PS3.3 C.7.6.1.1.5)."""
    radiograph = answered.radiograph
    lossy = radiograph is not None and radiograph.lossy
    dataset.LossyImageCompression = "01" if lossy else "00"
    if radiograph is not None and lossy and radiograph.lossy_ratio is not None:
        dataset.LossyImageCompressionRatio = format_number_as_ds(float(radiograph.lossy_ratio))


def _overlay(answered: Answered, making: Making) -> Picture | None:
    result = answered.result
    if answered.radiograph is None or result.state is State.REFUSED:
        return None
    return overlay_from_result(result, answered.radiograph, Report(bundle=making.bundle, results=[result]))


def _orientation(answered: Answered, drawn: bool) -> list[str]:
    """Of the canonical view, which the overlay shows; a page of text has none."""
    if not drawn:
        return []
    radiograph = answered.radiograph
    return ["L", "P" if radiograph is not None and radiograph.modality == "CT" else "F"]


def _page(answered: Answered, making: Making) -> Picture:
    """A refusal in words: what was refused, why, what to do, and whose word that is."""
    result = answered.result
    columns, rows = _PAGE
    picture = np.full((rows, columns, 3), 24, np.uint8)
    face, y = cv2.FontFace("sans"), 2 * _MARGIN
    cv2.putText(picture, "REFUSED: no assessment of this image", (_MARGIN, y), _GRAY, face, 36, 500)
    paragraphs = [f"{result.reason} [{result.reason_code}]", result.remedy or "", statement(making)]
    for paragraph in filter(None, paragraphs):
        y += _LINE
        for line in textwrap.wrap(paragraph, _COLUMNS):
            y += _LINE
            cv2.putText(picture, line, (_MARGIN, y), _WHITE, face, 22, 500)
    return picture
