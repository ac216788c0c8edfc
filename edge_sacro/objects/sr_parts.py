"""The parts that structured reports share: observer, algorithm, answers, comments, and the document around groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from edge_sacro.objects import codes
from edge_sacro.objects.answer import Answered, Making
from edge_sacro.objects.frame import MANUFACTURER, device_name, model_name, statement
from edge_sacro.objects.identity import ascii_from_text
from edge_sacro.objects.uids import device_uid
from edge_sacro.report import Result
from edge_sacro.types import State

_TEXT = 1024
"""Characters of a comment; some archives cut longer ones."""


def document(
    answered: Answered, making: Making, references: Sequence[Dataset], groups: Sequence[Any], arguments: dict[str, Any]
) -> Dataset:
    """A Comprehensive 3D SR around measurement groups (PS3.16 TID 1500), not yet finished.

    Args:
        answered: an image of the report.
        making: the bundle, and the moment.
        references: every image that the groups refer to.
        groups: of measurements.
        arguments: of the constructor.
    """
    from highdicom import sr

    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_observer(answered, making)),
        procedure_reported=_procedure(references[0]),
        imaging_measurements=list(groups),
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(codes.ENGLISH),
    )
    root = report[0]
    # Before the measurements, where a reader begins.
    root.ContentSequence.insert(1, comment(statement(making)))
    dataset: Dataset = sr.Comprehensive3DSR(
        evidence=list(references), content=root, is_complete=True, is_final=False, **arguments
    )
    dataset.CodingSchemeIdentificationSequence = [codes.coding_scheme()]
    return dataset


def evaluations(state: State) -> list[Any]:
    """Whether there is sacroiliitis, and the system's own word for its answer."""
    from highdicom import sr

    answer = sr.QualitativeEvaluation(codes.ANSWER, codes.ANSWERS[state])
    if state not in codes.PRESENCE:
        return [answer]
    return [sr.QualitativeEvaluation(codes.SACROILIITIS, codes.PRESENCE[state]), answer]


def percent(name: Code, share: float) -> Any:
    """A measurement of a share, 0 to 1."""
    from highdicom import sr

    # The answer's own decimals: 0.59 is 59, and not 58.99999999999999.
    return sr.Measurement(name, round(share * 100, 9), codes.PERCENT)


def algorithm(result: Result, making: Making) -> Any:
    """What computed the answer, down to the hash of its networks and the cut-off (TID 4019)."""
    from highdicom import sr

    point = result.operating_point
    parameters = [
        f"bundle: {making.bundle.name} {making.bundle.version}",
        f"bundle fingerprint: SHA-256 {making.bundle.fingerprint}",
        f"operating point: {point.name}, positive above {point.threshold}, {point.source}",
        f"precision: {result.backend.precision}",
        f"backend: {result.backend.name} {result.backend.version}",
        f"statement: {statement(making)}",
    ]
    return sr.AlgorithmIdentification(
        name=model_name(result),
        version=device_name(making),
        parameters=[ascii_from_text(each, _TEXT) for each in parameters],
        family=codes.ARTIFICIAL_INTELLIGENCE,
        manufacturer=MANUFACTURER,
    )


def comment(text: str) -> Any:
    """Text of a group or of the report."""
    from highdicom import sr

    return sr.TextContentItem(codes.COMMENT, ascii_from_text(text, _TEXT), sr.RelationshipTypeValues.CONTAINS)


def reason_texts(reason: str, code: str | None, remedy: str | None, notes: Sequence[str]) -> list[str]:
    """Why the answer is what it is, what to do, and what else a reader must know."""
    said = [reason if code is None else f"{reason} [{code}]", *([] if remedy is None else [remedy])]
    return [*said, *(f"Note: {note}" for note in notes)]


def _observer(answered: Answered, making: Making) -> Any:
    from highdicom import sr

    attributes = sr.DeviceObserverIdentifyingAttributes(
        uid=device_uid(answered, making),
        name=device_name(making),
        manufacturer_name=MANUFACTURER,
        model_name=model_name(answered.result),
        serial_number=making.bundle.fingerprint,
    )
    return sr.ObserverContext(codes.DEVICE_OBSERVER, attributes)


def _procedure(reference: Dataset) -> Code:
    return codes.COMPUTED_TOMOGRAPHY if reference.Modality == "CT" else codes.PLAIN_RADIOGRAPHY
