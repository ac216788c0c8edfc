"""From the bytes of a received instance to everything that is kept of its answer: report, DICOM objects, pictures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
from pydicom.dataset import Dataset

from edge_sacro.errors import InputRefused, InternalError, OutputNotWritten, UsageError
from edge_sacro.node.config import NodeConfig, ObjectKind
from edge_sacro.node.records import Instance
from edge_sacro.objects import (
    Answered,
    Making,
    NoObject,
    ResultObject,
    check_objects,
    header_from_bytes,
    result_objects,
)
from edge_sacro.objects import Outcome as ObjectOutcome
from edge_sacro.objects.identity import source_uid
from edge_sacro.overlay import Picture, overlay_from_result
from edge_sacro.report import json_from_report
from edge_sacro.results import bundle_record
from edge_sacro.runtime import Assessed, Runtime
from edge_sacro.systems.contract import check_explains
from edge_sacro.types import Radiograph, State

REPORT_NAME, OVERLAY_NAME = "report.json", "overlay.png"


@dataclass(frozen=True)
class MadeObject:
    """One result object: its kind, its file's name among the results, and its UIDs."""

    kind: ObjectKind
    name: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class Answer:
    """What is kept of one assessment.

    Attributes:
        outcome: the result's state.
        reason_code, reason: of a result without a decision.
        report: canonical JSON.
        study_instance_uid: from the header; None where that could not be read.
        files: content by name, the report among them.
        objects: the DICOM objects among the files.
        missing: why a kind that was wanted was not made, by kind.
        timings_ms: by stage, as the report has them.
    """

    outcome: str
    reason_code: str | None
    reason: str | None
    report: str
    study_instance_uid: str | None
    files: Mapping[str, bytes]
    objects: tuple[MadeObject, ...]
    missing: Mapping[str, str]
    timings_ms: Mapping[str, float]


class Answers:
    """What answers instances: one runtime, and what its results are made into.

    Args:
        runtime: open.
        config: the node's: which objects its destinations want, and whether it has a page that shows pictures.

    Attributes:
        keep: is given each answer with the file it came from, for the ledger of drift; nothing where None.

    Raises:
        UsageError: the runtime's system reads CT, whose series this node does not answer.
        OutputNotWritten: the package that makes DICOM objects is not installed.
    """

    def __init__(self, runtime: Runtime, config: NodeConfig) -> None:
        if runtime.reads_frames:
            raise UsageError(
                f"{runtime.system.name} reads CT, whose answer is that of a series; the node answers single images",
                source="assessment.bundle",
                remedy="Choose a bundle for radiographs, or assess CT with edge-sacro infer.",
            )
        self._runtime = runtime
        self.keep: Callable[[Assessed, bytes], None] | None = None
        self.kinds = wanted_kinds(config)
        check_objects(self.kinds)
        self._pictures, self._sends = config.http.enabled, bool(config.destinations)
        try:
            check_explains(runtime.bundle.manifest, 1)
        except UsageError:
            self._explains = False
        else:
            self._explains = True

    def answer(self, instance: Instance, data: bytes) -> Answer:
        """Assess an instance and make everything that is kept of it. That it is refused is an answer too.

        Args:
            instance: as the queue has it. All that is made follows from it and from ``data``, so that a second attempt
                makes the same objects, byte for byte.
            data: its file.

        Raises:
            BackendError: the backend failed.
            OutputNotWritten: the image was answered, and no report for its destinations can be made of its header.
        """
        assessed = next(self._runtime.assess_each(data, name=f"instance {instance.sequence}"))
        result, radiograph, assessment = assessed
        text = json_from_report(self._runtime.report([result]))
        files = {REPORT_NAME: text.encode()}
        labels = None if assessment is None else assessment.labels
        made, study = self._made(instance, data, lambda header: Answered(result, header, radiograph, labels))
        objects = [each for each in made if isinstance(each, ResultObject)]
        missing: dict[str, str] = {each.kind: each.reason for each in made if isinstance(each, NoObject)}
        if "sr" in missing and result.state is not State.REFUSED and self._sends:
            # An archive that hears nothing would read it as nothing found.
            raise OutputNotWritten(f"there is an answer and no report of it: {missing['sr']}")
        files |= {name_of(each.kind): each.content for each in objects}
        if self._pictures and radiograph is not None and result.state is not State.REFUSED:
            files |= self._drawn(assessed, radiograph)
        if self.keep is not None:
            self.keep(assessed, data)
        return Answer(
            outcome=result.state.value,
            reason_code=result.reason_code,
            reason=None if result.reason_code is None else result.reason,
            report=text,
            study_instance_uid=study,
            files=files,
            objects=tuple(
                MadeObject(each.kind, name_of(each.kind), str(each.dataset.SOPClassUID), each.sop_instance_uid)
                for each in objects
            ),
            missing=missing,
            timings_ms=result.timings_ms,
        )

    def _made(
        self, instance: Instance, data: bytes, answered: Callable[[Dataset], Answered]
    ) -> tuple[list[ObjectOutcome], str | None]:
        """The objects, and the study that they belong to; none where the header names no image to refer to."""
        try:
            header = header_from_bytes(data, f"instance {instance.sequence}")
        except InputRefused as refusal:
            return [NoObject(kind, refusal.what) for kind in self.kinds], None
        moment = dt.datetime.fromisoformat(instance.received_at).astimezone()
        making = Making(bundle_record(self._runtime.bundle), moment)
        study = source_uid(header, "StudyInstanceUID")
        return result_objects(answered(header), making, self.kinds), study

    def _drawn(self, assessed: Assessed, radiograph: Radiograph) -> dict[str, bytes]:
        """What the page shows."""
        from edge_sacro.node.web import HEAT_NAME, heat_png

        result, report = assessed[0], self._runtime.report([assessed[0]])
        drawn = {OVERLAY_NAME: png_from_picture(overlay_from_result(result, radiograph, report))}
        _, _, explanation = self._runtime.explained(assessed, 1) if self._explains else (None, None, None)
        if explanation is not None:
            drawn[HEAT_NAME] = heat_png(explanation, radiograph, result.crop_px)
        return drawn


def name_of(kind: ObjectKind) -> str:
    """The file of an object of this kind, among the results."""
    return f"{kind}.dcm"


def wanted_kinds(config: NodeConfig) -> frozenset[ObjectKind]:
    """What the destinations want, together; a structured report is made in any case, for the HTTP interface."""
    return frozenset({"sr", *(kind for each in config.destinations for kind in each.objects)})


def png_from_picture(picture: Picture) -> bytes:
    """A picture's file.

    Raises:
        InternalError: it could not be encoded.
    """
    encoded, data = cv2.imencode(".png", picture)
    if not encoded:
        raise InternalError("the picture could not be encoded as PNG")
    return data.tobytes()
