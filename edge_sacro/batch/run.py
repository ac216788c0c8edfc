"""A whole batch: open the work folder, answer what has no answer yet, write the table."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from edge_sacro import __version__
from edge_sacro.batch.checkpoint import Checkpoint
from edge_sacro.batch.drive import Driver
from edge_sacro.batch.sources import Instances
from edge_sacro.batch.table import Tally, check_arrow, write_table, write_timings
from edge_sacro.batch.tasks import Counts, Limits, Pool, Recipe, unwatched
from edge_sacro.bundle import Bundle
from edge_sacro.errors import UsageError
from edge_sacro.processors import usable_processors
from edge_sacro.results import bundle_record

EngineName = Literal["local", "ray"]


@dataclass(frozen=True)
class Plan:
    """How a batch is to be run.

    Attributes:
        out: the Parquet file of the rows.
        work: the work folder; None for ``OUT.work`` beside it.
        timings: a Parquet file of the times; None for none.
        engine: ``local``, processes of this machine, or ``ray``, actors of a cluster.
        workers: how many; None for one a processor of this machine.
        address: of a Ray cluster; None starts one on this machine.
        whole: the driver reads the instances; False where each worker reads the paths, on a disk that all share.
        again: try once more what was set aside.
        limits: of each worker.
    """

    out: Path
    work: Path | None = None
    timings: Path | None = None
    engine: EngineName = "local"
    workers: int | None = None
    address: str | None = None
    whole: bool = True
    again: bool = False
    limits: Limits = field(default_factory=Limits)

    def folder(self) -> Path:
        """The work folder."""
        return self.work or self.out.with_name(self.out.name + ".work")


@dataclass(frozen=True)
class Setup:
    """What the runtime of each worker is opened with, as :class:`edge_sacro.runtime.Runtime` takes it.

    Attributes:
        threads: of one worker; None shares this machine's processors out.
    """

    backend: str = "onnxruntime"
    precision: str | None = None
    operating_point: str | None = None
    threads: int | None = None
    overrides: tuple[str, ...] = ()
    deadline_s: float | None = None
    engines: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a batch came to."""

    counts: Counts
    tally: Tally
    summary: dict[str, Any]


def run_batch(
    instances: Instances,
    bundle: Bundle,
    setup: Setup,
    plan: Plan,
    *,
    watch: Callable[[Counts, int], None] = unwatched,
    opened: Callable[[Recipe, Bundle, int, Plan], Pool] | None = None,
) -> Outcome:
    """Answer every instance, and write the table.

    Args:
        instances: what to answer.
        bundle: a loaded bundle, with its files.
        setup: for the workers' runtimes.
        plan: how.
        watch: called often.
        opened: opens the pool; the seam at which a test has workers of its own.

    Raises:
        BatchMismatch: the work folder was begun with something else.
        BatchStopped: SIGINT or SIGTERM came; the same call goes on.
        BatchError: the workers cannot go on.
        OutputNotWritten: the work folder or the table cannot be written.
    """
    check_arrow()
    began = time.monotonic()
    workers = plan.workers or usable_processors()
    recipe = recipe_from_setup(setup, bundle, workers)
    with ExitStack() as stack:
        checkpoint = stack.enter_context(Checkpoint(plan.folder(), recipe.identity(), again=plan.again))
        gone = len(checkpoint.known.items.keys() - set(instances.labels))
        counts = _all_known(instances, checkpoint)
        if counts.done < counts.listed:
            pool = stack.enter_context(closing((opened or open_pool)(recipe, bundle, workers, plan)))
            # after the pool is open, for Ray puts handlers of its own in their place
            stop = stack.enter_context(_told_to_stop())
            driver = Driver(
                instances=instances,
                pool=pool,
                checkpoint=checkpoint,
                whole=plan.whole,
                stopping=stop.is_set,
                watch=watch,
            )
            driver.run()
            counts = driver.counts
        record = bundle_record(bundle).model_dump(mode="json")
        tally = write_table(plan.out, checkpoint, instances.labels, record)
        if plan.timings is not None:
            write_timings(plan.timings, checkpoint, instances.labels)
    seconds = time.monotonic() - began
    summary = _summary(counts, tally, plan, seconds) | {
        "bundle": record,
        "setup": recipe.identity(),
        "workers": workers,
        "threads": recipe.threads,
        "ignored": len(instances.ignored),
        "no_longer_listed": gone,
    }
    return Outcome(counts, tally, summary)


def recipe_from_setup(setup: Setup, bundle: Bundle, workers: int) -> Recipe:
    """The recipe of this bundle's workers, with everything that has a default settled.

    Raises:
        UsageError: a precision, an operating point or an override that does not exist.
    """
    from edge_sacro.dicom.acceptance import checked_overrides

    manifest = bundle.manifest
    names = [point.name for point in manifest.operating_points]
    if setup.operating_point is not None and setup.operating_point not in names:
        told = f"the bundle has no operating point {setup.operating_point!r}; it has {', '.join(names)}"
        raise UsageError(told, source="operating_point")
    known = {each: each for each in manifest.precisions}
    precision = manifest.default_precision if setup.precision is None else setup.precision
    if precision not in known:
        told = f"the bundle has no precision {precision!r}; it has {', '.join(sorted(known))}"
        raise UsageError(told, source="precision")
    return Recipe(
        bundle=bundle.path,
        fingerprint=bundle.fingerprint,
        backend=setup.backend,
        precision=known[precision],
        operating_point=setup.operating_point or manifest.default_operating_point,
        threads=setup.threads or max(1, usable_processors() // workers),
        overrides=tuple(sorted(checked_overrides(frozenset(setup.overrides)))),
        deadline_s=setup.deadline_s,
        engines=setup.engines,
    )


def limits_from_options(instance_s: float, memory_mib: int | None, recycle: int, workers: int | None) -> Limits:
    """The limits of a worker.

    Args:
        instance_s: as ``Limits`` has it.
        memory_mib: MiB; None for nine tenths of this machine's memory, shared out.
        recycle: as ``Limits`` has it.
        workers: how many share it; None for one a processor.
    """
    if memory_mib is None:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return Limits(instance_s, memory * 9 // 10 // (workers or usable_processors()), recycle)
    return Limits(instance_s, memory_mib << 20, recycle)


def open_pool(recipe: Recipe, bundle: Bundle, workers: int, plan: Plan) -> Pool:
    """The pool that a plan asks for."""
    if plan.engine == "ray":
        from edge_sacro.batch.on_ray import RayPool
        from edge_sacro.signing import zip_from_bundle

        packed = zip_from_bundle(bundle, bundle.signature)
        return RayPool(recipe, packed, workers, plan.limits, address=plan.address)
    from edge_sacro.batch.local import LocalPool

    return LocalPool(recipe, workers, plan.limits)


def _all_known(instances: Instances, checkpoint: Checkpoint) -> Counts:
    known = sum(checkpoint.has(label, instances.stamp(label)) for label in instances.labels)
    return Counts(listed=len(instances.labels), resumed=known, done=known)


def _summary(counts: Counts, tally: Tally, plan: Plan, seconds: float) -> dict[str, Any]:
    done_now = counts.done - counts.resumed
    return {
        "schema_version": "1.0",
        "software": f"edge-sacro {__version__}",
        "engine": plan.engine,
        "out": str(plan.out),
        "work": str(plan.folder()),
        "listed": counts.listed,
        "answered_before": counts.resumed,
        "answered_now": done_now,
        "workers_lost": dict(sorted(counts.lost.items())),
        "sent_again": counts.resent,
        "seconds": round(seconds, 2),
        "per_second": round(done_now / seconds, 3) if seconds else None,
        "table": {**asdict(tally), "states": dict(tally.states), "reason_codes": dict(tally.reason_codes)},
    }


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; the second SIGINT ends this process at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
