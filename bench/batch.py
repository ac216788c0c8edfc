"""Batches: instances a second against workers, and a whole batch on two Ray nodes of which one is killed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from edge_sacro.batch.assess import Assessing
from edge_sacro.batch.local import LocalPool
from edge_sacro.batch.run import Plan, Setup, run_batch
from edge_sacro.batch.sources import FolderInstances
from edge_sacro.batch.tasks import Answer, Counts, Pool, Recipe
from edge_sacro.bundle import Bundle
from edge_sacro.errors import BudgetBroken

WAIT_S = 0.2
"""That a worker waits in place of computing, where the driver's own cost is measured."""

NODE_BYTES = 200 << 20
"""Of each node's object store: a few radiographs on their way."""


@dataclass(frozen=True)
class Point:
    """A batch with so many workers.

    Attributes:
        workers: processes, a thread each.
        instances: answered.
        seconds: of the whole batch: starting the workers and writing the table too.
        steady_per_second: from when all workers are ready; 0 where they never were.
        load_average: of the machine's last minute, after it.
    """

    workers: int
    instances: int
    seconds: float
    per_second: float
    steady_per_second: float
    load_average: float


class Clock:
    """Notes when the first answer after all workers were ready came, and when the last one."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._first: tuple[float, int] | None = None
        self._last = (0.0, 0)

    def __call__(self, counts: Counts, workers: int) -> None:
        """Take note of the counts."""
        if counts.done and workers >= self._workers and self._first is None:
            self._first = (time.monotonic(), counts.done)
        if counts.done > self._last[1]:
            self._last = (time.monotonic(), counts.done)

    def per_second(self) -> float:
        """Answers a second between the two; 0 where the batch ended before all workers were ready."""
        if self._first is None or self._last[0] <= self._first[0]:
            return 0.0
        return (self._last[1] - self._first[1]) / (self._last[0] - self._first[0])


def throughput(
    paths: Sequence[str], bundle: Bundle, workers: Sequence[int], work: Path, tell: Callable[[str], None]
) -> list[Point]:
    """The same batch with more and more workers; each must write the same bytes.

    Raises:
        BudgetBroken: it does not.
    """
    points, tables = [], set()
    for count in workers:
        clock = Clock(count)
        plan = Plan(work / f"{count}.parquet", workers=count)
        outcome = run_batch(FolderInstances(paths), bundle, Setup(threads=1), plan, watch=clock)
        seconds = outcome.summary["seconds"]
        done = outcome.counts.done
        points.append(
            Point(count, done, seconds, done / seconds, round(clock.per_second(), 3), round(os.getloadavg()[0], 2))
        )
        tables.add(outcome.tally.sha256)
        tell(f"{count} workers: {points[-1]}")
    if len(tables) > 1:
        raise BudgetBroken("other numbers of workers wrote other tables", source="batch")
    return points


def driver_alone(
    paths: Sequence[str], bundle: Bundle, workers: Sequence[int], work: Path, tell: Callable[[str], None]
) -> list[Point]:
    """As ``throughput``, with workers that wait ``WAIT_S`` in place of computing: what the driver can keep busy."""
    points = []
    for count in workers:
        clock = Clock(count)
        plan = Plan(work / f"waiting-{count}.parquet", workers=count)
        outcome = run_batch(
            FolderInstances(paths), bundle, Setup(threads=1), plan, watch=clock, opened=_pool_that_waits
        )
        seconds, done = outcome.summary["seconds"], outcome.counts.done
        points.append(
            Point(count, done, seconds, done / seconds, round(clock.per_second(), 3), round(os.getloadavg()[0], 2))
        )
        tell(f"{count} workers that wait: {points[-1]}")
    return points


def _pool_that_waits(recipe: Recipe, _bundle: Bundle, workers: int, plan: Plan) -> Pool:
    return LocalPool(recipe, workers, plan.limits, target=run_waiting)


def run_waiting(pipe: Connection, recipe: Recipe) -> None:
    """In a worker's process: one true answer, then the same one again and again, each after ``WAIT_S``."""
    assessing = Assessing(recipe)
    pipe.send(assessing.told())
    answer: Answer | None = None
    with contextlib.suppress(EOFError, OSError):
        while True:
            task = pipe.recv()
            answer = answer or assessing.answer(task)
            time.sleep(WAIT_S)
            rows = [{**row, "sha256": task.sha256} for row in answer.rows]
            pipe.send(replace(answer, rows=rows, sha256=task.sha256))


def killed(
    paths: Sequence[str], bundle: Bundle, part: float, work: Path, tell: Callable[[str], None]
) -> dict[str, Any]:
    """A batch on two nodes of this machine, one of which is killed (SIGKILL) while it has an instance.

    Args:
        paths: what to assess.
        bundle: with what.
        part: of the instances after which the node is killed, 0 to 1.
        work: folder for tables.
        tell: takes a line now and then.

    Returns:
        the batch's summary, with when the node was killed and whether each path is in exactly one row.

    Raises:
        BudgetBroken: a path is in no row or in two, or two rows have one key.
    """
    from edge_sacro.batch.cluster import QUIET
    from edge_sacro.batch.on_ray import RayPool
    from edge_sacro.signing import zip_from_bundle

    os.environ.update(QUIET)
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": NODE_BYTES},
    )
    node = cluster.add_node(num_cpus=1, object_store_memory=NODE_BYTES)
    instances = FolderInstances(paths)
    pools: list[RayPool] = []
    at: list[int] = []
    last = [time.monotonic()]

    def opened(recipe: Recipe, loaded: Bundle, workers: int, plan: Plan) -> Pool:
        pools.append(RayPool(recipe, zip_from_bundle(loaded, None), workers, plan.limits, address=plan.address))
        return pools[0]

    def watch(counts: Counts, workers: int) -> None:
        both = workers == 2 and pools[0].working() and len(set(pools[0].nodes())) == 2
        if not at and both and counts.done >= part * counts.listed:
            at.append(counts.done)
            cluster.remove_node(node, allow_graceful=False)
            tell(f"node killed after {counts.done} of {counts.listed}")
        if time.monotonic() - last[0] > 30:
            last[0] = time.monotonic()
            tell(f"{counts.done} of {counts.listed}, {workers} workers")

    plan = Plan(work / "ray.parquet", engine="ray", workers=2, address=str(cluster.address))
    try:
        outcome = run_batch(instances, bundle, Setup(threads=1), plan, opened=opened, watch=watch)
    finally:
        cluster.shutdown()
    return {
        **outcome.summary,
        "killed_after": at[0] if at else None,
        **checked_rows(plan.out, instances.labels),
    }


def checked_rows(table: Path, labels: Sequence[str]) -> dict[str, int]:
    """Hold a table to its claim.

    Raises:
        BudgetBroken: a path is in no row or in two, or two rows have one key.
    """
    import pyarrow.parquet as pq

    rows = pq.read_table(table, columns=["sha256", "frame", "paths"]).to_pylist()
    keys = {(row["sha256"], row["frame"]) for row in rows}
    found = [path for row in rows if row["frame"] in (None, 1) for path in row["paths"]]
    if len(keys) != len(rows) or sorted(found) != sorted(labels):
        told = f"{len(rows)} rows of {len(keys)} keys, {len(found)} paths of {len(labels)}"
        raise BudgetBroken(told, source=str(table))
    return {"rows_checked": len(rows), "paths_checked": len(found)}


def records(points: Sequence[Point]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(point) for point in points]
