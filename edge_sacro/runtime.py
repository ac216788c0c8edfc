"""The runtime: one bundle on one backend, from DICOM to a result, for as many radiographs as there are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TypeAlias

from edge_sacro import dicom, results
from edge_sacro.ahead import ReadInstance, label_of, one_ahead, read_instance
from edge_sacro.assessor import Assessor
from edge_sacro.bundle import DEMONSTRATION, Bundle, load_bundle
from edge_sacro.classify import RADIOGRAPHIC
from edge_sacro.decide import Rule
from edge_sacro.dicom.acceptance import checked_overrides
from edge_sacro.dicom.source import DEFAULT_LIMITS, Source, bytes_from_source
from edge_sacro.engine import Engine, Opener, open_engine
from edge_sacro.engine.base import pinned_together
from edge_sacro.engine.device import processor
from edge_sacro.engine.opening import open_networks
from edge_sacro.engine.saturation import check_engines
from edge_sacro.errors import DeadlineExceeded, InputRefused, UsageError
from edge_sacro.explain import Explanation, explanation_from_maps
from edge_sacro.manifest import Precision
from edge_sacro.memory import give_back_freed_memory
from edge_sacro.processors import usable_processors
from edge_sacro.report import Backend, Ignored, Report, Result
from edge_sacro.results import Origin
from edge_sacro.series_report import SELECTIONS, Selection, series_from_results, slice_from_radiograph
from edge_sacro.slices import SliceSelection
from edge_sacro.stages import StageClock
from edge_sacro.systems import SYSTEMS, Assessment
from edge_sacro.systems.contract import check_bundle, check_explains
from edge_sacro.types import Radiograph

Readable: TypeAlias = "Source | ReadInstance"

Assessed = tuple[Result, Radiograph | None, Assessment | None]


class Runtime:
    """Assesses radiographs with one bundle. A context manager; ``infer`` may be called from several threads at once.

    Args:
        bundle: a loaded bundle, or what :func:`edge_sacro.bundle.load_bundle` takes.
        backend: a name in ``edge_sacro.engine.BACKENDS``; no other one ever takes its place.
        precision: one of the bundle's, ``"fp32"``, ``"fp16"`` or ``"int8"``; its default one where None.
        threads: threads inside one inference; the processors that it may use where None. On ``onnxruntime``
            the result does not depend on it; on ``openvino`` its last digits may.
        deadline_s: seconds that one assessment may take, or None for no limit.
        operating_point: name of one of the bundle's operating points; its default one where None.
        overrides: codes of refusals that do not apply, from ``edge_sacro.dicom.acceptance.OVERRIDES``.
        opener: opens each network; the seam at which networks are watched or replaced.
        slices: which slices count for a CT series: ``"joints"``, those through both joints, or ``"all"``.

    Raises:
        BundleError: the bundle cannot be used.
        BackendError: the backend cannot be used.
        UsageError: a precision, an operating point or an override that does not exist, or a number out of range.
    """

    def __init__(  # noqa: PLR0913 - by keyword alone, one for each of the command's options
        self,
        bundle: Bundle | str | os.PathLike[str] = DEMONSTRATION,
        *,
        backend: str = "onnxruntime",
        precision: Precision | None = None,
        threads: int | None = None,
        deadline_s: float | None = None,
        operating_point: str | None = None,
        overrides: Collection[str] = (),
        opener: Opener = open_engine,
        slices: Selection = "joints",
    ) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"threads is {threads}, and one at least is needed", source="threads")
        if deadline_s is not None and deadline_s <= 0:
            raise UsageError(f"deadline_s is {deadline_s}, and must be above 0", source="deadline_s")
        if slices not in SELECTIONS:
            raise UsageError(f"slices is {slices!r}; {' and '.join(SELECTIONS)} exist", source="slices")
        self.bundle = bundle if isinstance(bundle, Bundle) else load_bundle(os.fspath(bundle))
        manifest = self.bundle.manifest
        try:
            self.operating_point = manifest.operating_point(operating_point)
        except KeyError as error:
            known = ", ".join(point.name for point in manifest.operating_points)
            raise UsageError(
                f"the bundle has no operating point {error}; it has {known}", source="operating_point"
            ) from error
        self.overrides = checked_overrides(frozenset(overrides))
        self.deadline_s = deadline_s
        self.slices: Selection = slices
        self.precision: Precision = precision or manifest.default_precision
        self.system = SYSTEMS[manifest.system]
        check_bundle(self.system.contract(manifest), manifest)
        self._processor, self._closed = processor(), False
        self._rule = Rule(self.operating_point, manifest.guard_band.half_width, self.system.high_risk)
        threads = threads or usable_processors()
        self._engines = open_networks(self.bundle, self.precision, backend, threads, opener)
        with ExitStack() as opened:  # whatever ends this, what was opened is closed
            for engine in self._engines.values():
                opened.callback(engine.close)
            if self.precision == "int8":
                check_engines(self._engines.values())
            self._assessor = Assessor(self.system, manifest)
            opened.callback(self._assessor.close)
            self._assessor.open(self._engines)
            self._opened = opened.pop_all()
        self.bundle = self.bundle.without_files()
        give_back_freed_memory()

    def __enter__(self) -> Runtime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what the backend holds. The runtime may not be used afterwards."""
        self._closed = True
        self._opened.close()

    def infer(self, source: Readable, *, name: str | None = None) -> Result:
        """Assess one instance.

        A file that cannot be assessed is a result too: ``refused`` or ``not_assessable``, with the reason. So is an
        object of several frames, for which no one result can stand; ``infer_all`` answers each of them.

        Args:
            source: a path, the bytes of a DICOM file, or a binary file object.
            name: what to call it in the result, where ``source`` is no path.

        Raises:
            BackendError: the backend failed, so that no later result could be trusted either.
        """
        result, _ = self.infer_with_radiograph(source, name=name)
        return result

    def infer_all(self, source: Readable, *, name: str | None = None) -> list[Result]:
        """Assess every frame of one instance: as many results as it has frames, and one where it is refused whole.

        Arguments and errors are those of ``infer``, and so is the answer to an instance of a single frame.
        """
        return [result for result, _, _ in self.infer_each(source, name=name)]

    def infer_with_radiograph(self, source: Readable, *, name: str | None = None) -> tuple[Result, Radiograph | None]:
        """As ``infer``, with the radiograph that was read, for pictures of the result; None where there is none."""
        result, radiograph, _ = self._infer(source, label_of(source, name))
        return result, radiograph

    def infer_explained(
        self, source: Readable, *, name: str | None = None, class_index: int = RADIOGRAPHIC
    ) -> tuple[Result, Radiograph | None, Explanation | None]:
        """As ``infer_with_radiograph``, with where the classifier looked; None where it did not run.

        Args:
            source: a path, the bytes of a DICOM file, or a binary file object.
            name: what to call it in the result, where ``source`` is no path.
            class_index: the class to explain: 1 the disease, 0 its absence.

        Raises:
            UsageError: the bundle's networks cannot explain themselves, or there is no such class.
            BackendError: as ``infer``.
        """
        check_explains(self.bundle.manifest, class_index)
        return self.explained(self._infer(source, label_of(source, name)), class_index)

    def infer_each(
        self, source: Readable, *, name: str | None = None, class_index: int | None = None
    ) -> Iterator[tuple[Result, Radiograph | None, Explanation | None]]:
        """As ``infer_all``, one frame after another, each with its image and with where the classifier looked.

        Args:
            source: a path, the bytes of a DICOM file, or a binary file object.
            name: what to call it in the results, where ``source`` is no path.
            class_index: the class to explain, as in ``infer_explained``; None for no explanation.

        Raises:
            UsageError, BackendError: as ``infer_explained``.
        """
        if class_index is not None:
            check_explains(self.bundle.manifest, class_index)
        for each in self.assess_each(source, name=name):
            yield (each[0], each[1], None) if class_index is None else self.explained(each, class_index)

    def assess_each(self, source: Readable, *, name: str | None = None) -> Iterator[Assessed]:
        """As ``infer_each``, each with what the system computed of it: its label map, and what ``explained`` takes."""
        label = label_of(source, name)
        if self.reads_frames and not isinstance(source, ReadInstance):
            yield from self._infer_frames(source, label)
        else:
            yield self._infer(source, label)

    def read_ahead(self, sources: Iterable[Source]) -> Iterator[Readable]:
        """The sources in their order, each read while the one before it is assessed: for ``infer`` and its like.

        Nothing is read ahead for a system that reads frames.
        """
        if self.reads_frames:
            return iter(sources)
        return one_ahead(lambda source: read_instance(source, label_of(source), self.overrides), sources)

    @property
    def reads_frames(self) -> bool:
        """Whether an instance may have several results: the system reads CT, in which a frame is a slice."""
        return "CT" in self.system.modalities

    def explained(self, inferred: Assessed, class_index: int) -> tuple[Result, Radiograph | None, Explanation | None]:
        """What ``infer_each`` gives, of what ``assess_each`` gave."""
        result, radiograph, assessment = inferred
        if radiograph is None or assessment is None or assessment.maps is None:
            return result, radiograph, None
        explained = explanation_from_maps(assessment.maps, radiograph, self.bundle.manifest.classes, class_index)
        return result, radiograph, explained

    def _infer(self, source: Readable, label: str) -> Assessed:
        """One instance, which must hold one image."""
        read = source if isinstance(source, ReadInstance) else read_instance(source, label, self.overrides)
        clock = StageClock(self.deadline_s, {"read": read.seconds})
        return self._answered(read.image, Origin(label, read.sha256, None), clock)

    def _infer_frames(self, source: Source, label: str) -> Iterator[Assessed]:
        """Each frame of one instance. Frames are read a few at a time; the first of them bears the time."""
        clock, data = StageClock(self.deadline_s), None
        try:
            with clock.stage("read", always=True):
                data = bytes_from_source(source, DEFAULT_LIMITS, label)
                frames = dicom.read_frames(data, overrides=self.overrides, name=label)
                frame: dicom.Frame | None = next(frames)
        except InputRefused as refusal:
            yield self._answered(refusal, Origin(label, results.known_sha256(refusal, data), None), clock)
            return
        sha256 = hashlib.sha256(data).hexdigest()
        while frame is not None:
            origin = Origin(label, sha256, frame.number if frame.frames > 1 else None)
            yield self._answered(frame.content, origin, clock)
            clock = StageClock(self.deadline_s)
            with clock.stage("read", always=True):
                frame = next(frames, None)

    def _answered(self, image: Radiograph | InputRefused, origin: Origin, clock: StageClock) -> Assessed:
        """The result of an image that was read, or of why there is none."""
        radiograph = image if isinstance(image, Radiograph) else None
        assessment = None
        if self._closed:
            raise UsageError("the runtime was closed", remedy="Open another one.")
        with pinned_together(self._engines) as engines:
            try:
                if isinstance(image, InputRefused):
                    raise image
                modalities = self.system.modalities
                notes = dicom.check_acceptance(image, modalities=modalities, overrides=self.overrides)
                if image.frames > 1 and origin.frame is None:
                    raise results.several_frames(image)
                selection = self._selected(image, clock)
                assessment = self._assessor.assess(image, engines, clock)
            except InputRefused as refusal:
                fields, selection = results.refused_fields(refusal), None
            else:
                fields = results.decided_fields(image, assessment, self._rule, notes)
            result = Result.model_validate(
                {
                    "source": results.source_fields(origin, radiograph),
                    "system": self.system.name,
                    "operating_point": results.applied(self.operating_point),
                    "backend": self._backend(engines),
                    "timings_ms": clock.timings_ms(),
                    "slice": slice_from_radiograph(radiograph, selection) if self.system.select else None,
                    **fields,
                }
            )
        return result, radiograph, assessment

    def _backend(self, engines: Mapping[str, Engine]) -> Backend:
        """What computed this result: one backend, or each once where the networks have several."""
        versions = {engine.backend: engine.vendor_version for engine in engines.values()}
        names, numbers = "+".join(versions), "+".join(versions.values())
        return Backend(name=names, version=numbers, processor=self._processor, precision=self.precision)

    def _selected(self, radiograph: Radiograph, clock: StageClock) -> SliceSelection | None:
        """Whether a slice counts for its series; None where there is no series, or no time."""
        if self.system.select is None:
            return None
        try:
            with clock.stage("select"):
                return self.system.select(radiograph)
        except DeadlineExceeded:
            return None

    def report(self, answers: Sequence[Result], ignored: Sequence[Ignored] = ()) -> Report:
        """One document for several results, with an answer for each CT series among them."""
        series = series_from_results(answers, self._rule, self.slices) if self.system.select else ()
        record = results.bundle_record(self.bundle)
        return Report(bundle=record, results=answers, series=series, ignored=ignored)
