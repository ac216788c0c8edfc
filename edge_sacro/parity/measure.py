"""The measurement: every contender beside the reference, image by image."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from edge_sacro.bundle import Bundle
from edge_sacro.engine import BACKENDS, Opener, open_engine
from edge_sacro.engine.store import EngineStore
from edge_sacro.errors import BackendError, BackendFailed, BackendUnavailable, EngineError, UsageError
from edge_sacro.manifest import Precision
from edge_sacro.parity import document as doc
from edge_sacro.parity.budget import BUDGETS, Budgets, breaches, budget_for
from edge_sacro.parity.compare import answer_from_result, comparison, tensor_differences
from edge_sacro.parity.control import Control, with_control
from edge_sacro.parity.served import ENGINES, opener_from_store, served_precisions
from edge_sacro.parity.summary import summary_from_comparisons
from edge_sacro.parity.watch import Call, Watch
from edge_sacro.phantom.study import SCHEMA
from edge_sacro.report import Ignored, Result
from edge_sacro.runtime import Runtime
from edge_sacro.types import State

REFERENCE_BACKEND = "onnxruntime"
REFERENCE_PRECISION: Precision = "fp32"
TRUTH_NAME = "truth.json"


@dataclass(frozen=True)
class Setup:
    """How to measure.

    Attributes:
        against: ``(backend, precision)`` of each contender that is asked for by name; every one that can be used where
            None.
        budgets: a row for each precision.
        control: what is wrong with the contenders on purpose, or None.
        threads: inside one inference; the processors that it may use where None.
        engines: store whose engines in service are contenders too, in each precision that they serve, or None.
        progress: given the images, gives them one by one as they are measured.
    """

    against: Sequence[tuple[str, Precision]] | None = None
    budgets: Budgets = field(default_factory=lambda: BUDGETS)
    control: Control | None = None
    threads: int | None = None
    engines: EngineStore | None = None
    progress: Callable[[Sequence[Path]], Iterable[Path]] = iter


def measure(bundle: Bundle, files: Sequence[Path], setup: Setup, ignored: Sequence[Ignored] = ()) -> doc.Document:
    """Assess every file with the reference and with every contender, and compare.

    Args:
        bundle: checked.
        files: DICOM files; a phantom's ``truth.json`` beside them tells their truth.
        setup: what against, and how.
        ignored: files that are no instances, for the document.

    Raises:
        UsageError: a contender, or a row of the budget, does not exist.
        BackendUnavailable: a backend that was asked for by name, or the reference's, cannot be used.
        BackendFailed: the reference failed.
    """
    truth, notes = truth_beside(files)
    with ExitStack() as stack:
        reference = stack.enter_context(_Opened.of(bundle, REFERENCE_BACKEND, REFERENCE_PRECISION, setup, False))
        contenders, left_out = _contenders(bundle, setup, stack)
        instances: dict[str, doc.Instance] = {}
        for path in setup.progress(files):
            result, calls = reference.assess(path)
            name = _name(path, instances)
            instances[name] = doc.Instance(
                name=name,
                sha256=result.source.sha256,
                truth=truth.get(result.source.sha256 or ""),
                reference=answer_from_result(result),
            )
            if result.state is not State.REFUSED:
                for contender in contenders:
                    contender.compare(path, instances[name], calls)
        version = reference.version
    return doc.Document(
        bundle=_bundle_record(bundle),
        reference=doc.Reference(backend=REFERENCE_BACKEND, version=version, precision=REFERENCE_PRECISION),
        control=setup.control,
        guard_band=bundle.manifest.guard_band.half_width,
        operating_points=[
            doc.CutOff(name=point.name, threshold=point.threshold, source=point.source)
            for point in bundle.manifest.operating_points
        ],
        instances=list(instances.values()),
        contenders=[contender.measured(instances) for contender in contenders],
        left_out=left_out,
        ignored=[*ignored, *notes],
    )


def contender_names(bundle: Bundle, setup: Setup) -> list[tuple[str, Precision]]:
    """What is held against the reference: what was asked for, or each backend in each of the bundle's precisions.

    Raises:
        UsageError: one cannot be, or has no row in the budget.
        EngineError: the store serves no engines of the bundle.
    """
    precisions: list[Precision] = [p for p in get_args(Precision) if p in bundle.manifest.precisions]
    names = list(setup.against or [(b, p) for b in BACKENDS if b != "null" for p in precisions])
    for backend, precision in names:
        if precision not in precisions:
            raise UsageError(f"the bundle has {', '.join(precisions)}, and no {precision}", source="against")
        if backend == "null":
            raise UsageError("the null backend computes nothing that could be compared", source="against")
    if setup.engines is not None:
        if setup.control == "perturbed-weights":
            raise UsageError("engines have their own weights", source="control", remedy="Use swapped-classes.")
        names += [(ENGINES, precision) for precision in served_precisions(setup.engines, bundle)]
    for _, precision in names:
        budget_for(setup.budgets, precision)
    return names


def recorded_calls(bundle: Bundle, files: Sequence[Path], threads: int | None = None) -> list[Call]:
    """What the reference gives its networks for these files, and what they answer."""
    calls = []
    setup = Setup(threads=threads)
    with _Opened.of(bundle, REFERENCE_BACKEND, REFERENCE_PRECISION, setup, False) as reference:
        for path in files:
            calls += reference.assess(path)[1]
    return calls


def truth_beside(files: Iterable[Path]) -> tuple[dict[str, bool], list[Ignored]]:
    """Whether phantoms have the disease, by the SHA-256 of their files, from each ``truth.json`` beside ``files``.

    Returns:
        truth, and each file of that name that is not a phantom study's.
    """
    truth: dict[str, bool] = {}
    notes = []
    for folder in sorted({path.parent for path in files}):
        path = folder / TRUTH_NAME
        if not path.is_file():
            continue
        try:
            study = json.loads(path.read_bytes())
            if study["schema"] != SCHEMA:
                raise ValueError(f"its schema is {study['schema']!r}")
            truth.update({image["sha256"]: bool(image["mny_positive"]) for image in study["images"]})
        except (KeyError, TypeError, ValueError) as error:
            notes.append(Ignored(path=str(path), reason=f"it tells no phantom's truth: {error}"))
    return truth, notes


class _Opened:
    """A runtime whose networks are watched, and what was compared with it so far."""

    def __init__(self, runtime: Runtime, watch: Watch, backend: str) -> None:
        self._runtime = runtime
        self._watch = watch
        first = next(iter(watch.engines.values()))
        if backend == ENGINES:
            self._backend = "+".join(dict.fromkeys(engine.backend for engine in watch.engines.values()))
            self.version = f"{self._backend} {first.vendor_version}"
        else:
            self._backend, self.version = backend, first.vendor_version

    @classmethod
    def of(cls, bundle: Bundle, backend: str, precision: Precision, setup: Setup, disturbed: bool) -> _Opened:
        opener: Opener = open_engine
        named = backend
        if backend == ENGINES and setup.engines is not None:
            opener, named = opener_from_store(setup.engines, bundle, precision), REFERENCE_BACKEND
        if disturbed and setup.control is not None:
            opener = with_control(opener, setup.control)
        watch = Watch(opener)
        runtime = Runtime(bundle, backend=named, precision=precision, threads=setup.threads, opener=watch.open)
        return cls(runtime, watch, backend)

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self._runtime.close()

    def assess(self, path: Path) -> tuple[Result, list[Call]]:
        """One image's result and the networks' calls.

        Raises:
            BackendFailed: something else than the backend asked for computed it, or nothing did.
        """
        result = self._runtime.infer(path)
        if result.backend.name != self._backend or not all(e.computes for e in self._watch.engines.values()):
            raise BackendFailed(f"{result.backend.name} answered in its place", source=self._backend)
        return result, self._watch.taken()

    def tensors(self, reference: Sequence[Call], own: Sequence[Call]) -> list[doc.TensorDifference]:
        """Its networks' tensors against the reference's."""
        return tensor_differences(reference, own, self._watch.engines)


class _Contender:
    """One backend in one precision while it is measured. A failure ends its images and is kept."""

    def __init__(self, name: tuple[str, Precision], bundle: Bundle, budget: doc.Budget) -> None:
        self.backend, self.precision = name
        self._budget = budget
        self._points = [point.operating_point() for point in bundle.manifest.operating_points]
        self._guard_band = bundle.manifest.guard_band.half_width
        self.opened: _Opened | None = None
        self.failure: str | None = None
        self._version = ""
        self._comparisons: list[doc.Comparison] = []

    def open(self, bundle: Bundle, setup: Setup, stack: ExitStack) -> None:
        """Open its networks; that a backend refuses them is its failure."""
        try:
            self.opened = stack.enter_context(_Opened.of(bundle, self.backend, self.precision, setup, True))
            self._version = self.opened.version
        except BackendFailed as error:
            self.failure = str(error)

    def compare(self, path: Path, instance: doc.Instance, reference: Sequence[Call]) -> None:
        """Assess one image and compare."""
        if self.opened is None:
            return
        try:
            result, calls = self.opened.assess(path)
            tensors = self.opened.tensors(reference, calls)
        except BackendError as error:
            self.opened, self.failure = None, f"{instance.name}: {error}"
            return
        answer = answer_from_result(result)
        self._comparisons.append(comparison(instance, answer, tensors, self._points, self._guard_band))

    def measured(self, instances: dict[str, doc.Instance]) -> doc.Contender:
        """What was found, against the budget."""
        summary = summary_from_comparisons(self._comparisons, instances, self._budget)
        return doc.Contender(
            backend=self.backend,
            version=self._version,
            precision=self.precision,
            budget=self._budget,
            failure=self.failure,
            comparisons=self._comparisons,
            summary=summary,
            breaches=breaches(self._budget, summary, self._comparisons, self.failure),
        )


def _contenders(bundle: Bundle, setup: Setup, stack: ExitStack) -> tuple[list[_Contender], list[doc.LeftOut]]:
    """Open what is asked for; of the default set, what cannot be used here is left out with the reason."""
    found, left_out = [], []
    for backend, precision in contender_names(bundle, setup):
        contender = _Contender((backend, precision), bundle, budget_for(setup.budgets, precision))
        try:
            contender.open(bundle, setup, stack)
        except (BackendUnavailable, EngineError) as error:
            if setup.against or backend == ENGINES:
                raise
            left_out.append(doc.LeftOut(name=f"{backend}:{precision}", reason=str(error)))
            continue
        found.append(contender)
    if not found:
        raise UsageError("there is nothing to hold against the reference", source="against")
    return found, left_out


def _name(path: Path, taken: dict[str, doc.Instance]) -> str:
    """The file's name, with as much of its folder as tells it from the others."""
    parts = path.absolute().parts
    for count in range(1, len(parts) + 1):
        name = "/".join(parts[-count:])
        if name not in taken:
            return name
    raise AssertionError("no file is given twice")


def _bundle_record(bundle: Bundle) -> doc.BundleRecord:
    manifest = bundle.manifest
    files = {variant.file for network in manifest.networks.values() for variant in network.variants}
    return doc.BundleRecord(
        name=manifest.name,
        version=manifest.version,
        system=manifest.system,
        demonstration=manifest.demonstration,
        statement=manifest.statement,
        networks={file: manifest.files[file] for file in sorted(files)},
    )
