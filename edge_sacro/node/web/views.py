"""Records of the queue -> what the interface answers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from edge_sacro import __version__
from edge_sacro.dicom.summary import Summary, summary_from_file
from edge_sacro.errors import EdgeSacroError, InputRefused
from edge_sacro.node.records import Accepted, Delivery, DeliveryState, Instance
from edge_sacro.node.web.heat import HEAT_NAME
from edge_sacro.node.web.models import (
    DestinationHealth,
    DestinationState,
    Detail,
    ImageView,
    NodeStatus,
    Patient,
    ResultFile,
    Sent,
    Submitted,
    WindowPreset,
)
from edge_sacro.node.web.picture import Kept, Picture, picture_from_file
from edge_sacro.node.web.problems import Problem
from edge_sacro.node.web.services import Services
from edge_sacro.report import Report, Result

_MEDIA = {".dcm": "application/dicom", ".png": "image/png", ".json": "application/json"}
_DONE = frozenset({DeliveryState.STORED.value, DeliveryState.COMMITTED.value})
_COPIED = (
    *("sequence", "state", "outcome", "reason_code", "received_at", "finished_at", "via", "peer", "size", "conflict"),
    *("times_received", "attempts"),
)
_PICTURES, _SUMMARIES = 2, 4000


def media_type(name: str) -> str:
    """Of a result file, by its suffix."""
    return _MEDIA.get(Path(name).suffix, "application/octet-stream")


def href(sequence: int) -> str:
    """Where an instance is asked for. Nothing of the patient ever stands in an address."""
    return f"/v1/instances/{sequence}"


def submitted(instance: Instance, accepted: Accepted) -> Submitted:
    """The answer to a submission."""
    result = only_result(report_of(instance))
    return Submitted.model_validate(
        {
            "sequence": instance.sequence,
            "what": accepted.what,
            "state": instance.state,
            "outcome": instance.outcome,
            "reason_code": instance.reason_code,
            "reason": instance.reason or (result.reason if result else None),
            "probability": result.probability if result else None,
            "result": result,
            "href": href(instance.sequence),
        }
    )


def report_of(instance: Instance) -> Report | None:
    """The instance's report; None before it is assessed, or while it is assessed again."""
    if instance.report is None or instance.outcome is None or instance.state in ("received", "assessing"):
        return None
    return Report.model_validate(json.loads(instance.report))


def only_result(report: Report | None) -> Result | None:
    """The result of an instance of a single frame."""
    return report.results[0] if report is not None and len(report.results) == 1 else None


class Views:
    """What is read of the queue and of the files for one answer. Safe to call from several threads."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._pictures: Kept[tuple[int, int], Picture] = Kept(_PICTURES)
        self._summaries: Kept[int, Summary | InputRefused] = Kept(_SUMMARIES)

    def known(self, sequence: int) -> Instance:
        """An instance.

        Raises:
            Problem: 404, there is none of this number.
        """
        found = self.services.store.instance(sequence)
        if found is None:
            raise Problem(404, "no_instance", f"there is no instance {sequence}", "Look at the worklist.")
        return found

    def entry(self, instance: Instance) -> dict[str, Any]:
        """The fields of an ``Entry``."""
        summary = self._summary(instance)
        return {
            **{name: getattr(instance, name) for name in _COPIED},
            "reason": self._reason(instance),
            "files": instance.path is not None,
            "patient": None if summary is None else _patient(summary),
            "destinations": _destinations(self.services.store.deliveries(instance.sequence)),
        }

    def detail(self, instance: Instance) -> Detail:
        """Everything that is known of an instance."""
        report = report_of(instance)
        return Detail(
            **self.entry(instance),
            bundle=None if report is None else report.bundle,
            result=only_result(report),
            frames=0 if report is None else len(report.results),
            deliveries=[_sent(each) for each in self.services.store.deliveries(instance.sequence)],
            results=self._results(instance),
        )

    def result_place(self, instance: Instance, name: str) -> Path:
        """Where a result file stands.

        Raises:
            Problem: 404, there is none of this name; 410, the files were removed.
        """
        if instance.path is None:
            raise _removed(instance)
        if name not in {each.name for each in self._results(instance)} or instance.results is None:
            what = f"instance {instance.sequence} has no result of this name"
            raise Problem(404, "no_result", what, "Ask for the instance: it lists its results.")
        return self.services.spool.path(instance.results) / name

    def picture(self, instance: Instance, size: int) -> Picture:
        """The radiograph.

        Raises:
            Problem: 410, its file was removed.
            InputRefused: it cannot be read.
        """
        if instance.path is None:
            raise _removed(instance)
        place = self.services.spool.path(instance.path)
        overrides = frozenset(self.services.config.assessment.overrides)
        return self._pictures.get((instance.sequence, size), lambda: picture_from_file(place, size, overrides))

    def image(self, instance: Instance, size: int) -> ImageView:
        """How to draw it. Raises as ``picture``."""
        picture, summary, result = (
            self.picture(instance, size),
            self._summary(instance),
            only_result(report_of(instance)),
        )
        windows = [
            WindowPreset(center=each.center, width=each.width, function=each.function) for each in _windows(summary)
        ]
        boxes = {} if result is None else {"left": result.joints.left.box_px, "right": result.joints.right.box_px}
        crop = None if result is None else result.crop_px
        heat = any(each.name == HEAT_NAME for each in self._results(instance))
        width = max(picture.high - picture.low, 1.0)
        return ImageView(
            rows=picture.levels.shape[0],
            columns=picture.levels.shape[1],
            slope=picture.slope,
            intercept=picture.intercept,
            unit=picture.unit,
            inverted=picture.inverted,
            windows=windows,
            fallback=WindowPreset(center=(picture.low + picture.high) / 2, width=width, function="LINEAR"),
            scale=picture.scale,
            orientation_assumed=picture.orientation_assumed,
            crop=None if crop is None else picture.shown(crop),
            joints={"left": _shown(picture, boxes.get("left")), "right": _shown(picture, boxes.get("right"))},
            pixels=f"{href(instance.sequence)}/pixels?size={size}",
            heat=f"{href(instance.sequence)}/results/{HEAT_NAME}" if heat else None,
        )

    def node(self) -> NodeStatus:
        """How the node is."""
        services = self.services
        assessing = services.assessing()
        destinations = []
        for each in services.config.destinations:
            waiting = services.store.outstanding(each.name)
            error = next((delivery.error for delivery in waiting if delivery.error), None)
            destinations.append(DestinationHealth(name=each.name, outstanding=len(waiting), error=error))
        problems = self.problems()
        return NodeStatus(
            version=__version__,
            ready=not problems,
            problems=problems,
            bundle=None if assessing is None else assessing.bundle,
            guard_band=None if assessing is None else assessing.guard_band,
            counts=services.store.counts(),
            waiting=services.store.waiting(),
            queue_limit=services.config.limits.queue,
            disk_free_bytes=services.spool.free(),
            disk_reserve_bytes=services.spool.reserve,
            destinations=destinations,
            wait_s=services.config.http.wait_s,
        )

    def problems(self) -> list[str]:
        """Why the node does not take or not assess instances; none where it does."""
        services, found = self.services, []
        try:
            if services.store.waiting() >= services.config.limits.queue:
                found.append("The queue is full.")
            if services.spool.free() < services.spool.reserve:
                found.append("The disk is full.")
        except (EdgeSacroError, OSError):
            found.append("The queue or the disk cannot be read.")
        if services.assessing() is None:
            found.append("The model bundle is not loaded.")
        return [*found, *services.problems()]

    def _summary(self, instance: Instance) -> Summary | None:
        if instance.path is None:
            return None
        place = self.services.spool.path(instance.path)

        def made() -> Summary | InputRefused:
            try:
                return summary_from_file(place)
            except InputRefused as refusal:
                return refusal

        found = self._summaries.get(instance.sequence, made)
        return found if isinstance(found, Summary) else None

    def _reason(self, instance: Instance) -> str | None:
        """Why: of a result with a decision its sentence, which stands in the report alone."""
        if instance.reason is not None:
            return instance.reason
        result = only_result(report_of(instance))
        return None if result is None else result.reason

    def _results(self, instance: Instance) -> list[ResultFile]:
        if instance.results is None or instance.state in ("received", "assessing"):
            return []
        folder = self.services.spool.path(instance.results)
        if not folder.is_dir():
            return []
        return [
            ResultFile(
                name=each.name,
                size=each.stat().st_size,
                media_type=media_type(each.name),
                href=f"{href(instance.sequence)}/results/{each.name}",
            )
            for each in sorted(folder.iterdir())
            if each.is_file() and not each.is_symlink()
        ]


def _removed(instance: Instance) -> Problem:
    what = f"the files of instance {instance.sequence} were removed after the time of retention"
    return Problem(410, "files_removed", what, "What is known of it stays; its image is where it came from.")


def _patient(summary: Summary) -> Patient:
    return Patient(
        name=summary.patient_name,
        id=summary.patient_id,
        birth_date=summary.birth_date,
        accession_number=summary.accession_number,
        study_date=summary.study_date,
    )


def _windows(summary: Summary | None) -> list[Any]:
    return [] if summary is None else list(summary.windows)


def _shown(picture: Picture, box_px: list[int] | None) -> list[float] | None:
    return None if box_px is None else picture.shown(box_px)


def _destinations(deliveries: list[Delivery]) -> list[DestinationState]:
    counts: dict[str, Counter[str]] = {}
    for each in deliveries:
        kind = "done" if each.state in _DONE else "rejected" if each.state == DeliveryState.REJECTED else "outstanding"
        counts.setdefault(each.destination, Counter())[kind] += 1
    return [
        DestinationState(name=name, outstanding=found["outstanding"], done=found["done"], rejected=found["rejected"])
        for name, found in counts.items()
    ]


def _sent(delivery: Delivery) -> Sent:
    told = {"destination": delivery.destination, "object": Path(delivery.path).name, "state": delivery.state}
    return Sent.model_validate({**told, "attempts": delivery.attempts, "error": delivery.error})
