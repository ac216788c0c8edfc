"""Batches on a Ray cluster of two nodes on this machine, one of which is killed in the middle."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from edge_sacro.batch import cluster
from edge_sacro.batch.on_ray import RayPool
from edge_sacro.batch.run import Outcome, Plan, Setup, run_batch
from edge_sacro.batch.sources import FolderInstances
from edge_sacro.batch.tasks import Event, Recipe, Row, Task
from edge_sacro.bundle import Bundle
from edge_sacro.errors import BackendUnavailable, BatchMismatch, UsageError
from edge_sacro.signing import zip_from_bundle
from tests.batch import deadly
from tests.batch.conftest import write_instances
from tests.conftest import ROOT
from tests.tiny import drawn_pelvis, write_dicom

ONE = Setup(threads=1)
IMPATIENT = {"RAY_health_check_period_ms": "1000", "RAY_health_check_timeout_ms": "2000"}
"""A node that is away is noticed after a few seconds, not after 15."""

KILL_AT = 5
"""Answers of the second node after which it is killed."""


@pytest.fixture(scope="module")
def environment() -> Iterator[None]:
    """The nodes import the tests' actors, and tell nobody that they run."""
    before = dict(os.environ)
    os.environ.update({"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0", **IMPATIENT})
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def two_nodes(environment: None) -> Iterator[Any]:
    """A head node with one processor; a test adds another."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'edge-sacro[batch]'")
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 << 20}
    made = Cluster(initialize_head=True, head_node_args=head)
    yield made
    made.shutdown()


class Recording(RayPool):
    """Begins when both workers are ready, and keeps every answer as it came.

    Where a node went away, what it had answered is sent again too, as if nobody knew.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.raw: list[Row] = []
        self.lost: list[Event] = []
        self._answered: dict[str, list[Task]] = {}
        self.sent: Callable[[], None] = lambda: None
        self._began = False

    def free(self) -> int:
        self._began = self._began or self.workers() == 2
        return super().free() if self._began else 0

    def send(self, task: Task) -> None:
        super().send(task)
        self.sent()

    def wait(self, seconds: float) -> list[Event]:
        events = super().wait(seconds)
        for event in list(events):
            if event.answer is not None:
                self.raw += event.answer.rows
                self._answered.setdefault(event.place, []).append(event.task)
            elif not event.blamed:
                self.lost.append(event)
                events += [replace(event, task=task) for task in self._answered.pop(event.place, [])]
        return events


def local_table(folder: Path, bundle: Bundle, out: Path) -> bytes:
    run_batch(FolderInstances([str(folder)]), bundle, ONE, Plan(out, workers=2))
    return out.read_bytes()


@pytest.mark.heavy
def test_a_node_that_is_killed_in_the_middle_costs_no_row_and_doubles_none(
    two_nodes: Any, bundle: Bundle, tmp_path: Path
) -> None:
    folder = write_instances(tmp_path / "in", 40)
    node = two_nodes.add_node(num_cpus=1, object_store_memory=100 << 20)
    pools: list[Recording] = []
    killed: list[int] = []

    def kill() -> None:
        """Once the node has answered a few, and has one to answer."""
        (doomed, *_) = [each for each in pools[0]._workers if each.node == node.node_id] or [None]
        if not killed and doomed is not None and doomed.task is not None and doomed.answered >= KILL_AT:
            assert len(set(pools[0].nodes())) == 2
            killed.append(len(pools[0].raw))
            two_nodes.remove_node(node, allow_graceful=False)

    def opened(recipe: Recipe, loaded: Bundle, workers: int, plan: Plan) -> Recording:
        packed = zip_from_bundle(loaded, None)
        pools.append(Recording(recipe, packed, workers, plan.limits, address=plan.address, kind=deadly.SlowRemote))
        pools[0].sent = kill
        return pools[0]

    plan = Plan(tmp_path / "ray.parquet", engine="ray", workers=2, address=two_nodes.address)
    outcome: Outcome = run_batch(FolderInstances([str(folder)]), bundle, ONE, plan, opened=opened)

    assert killed
    assert killed[0] < 41
    assert pools[0].lost, "what the node had is sent again"
    assert outcome.counts.set_aside == 0
    rows = pq.read_table(plan.out).to_pylist()
    assert sorted(path for row in rows for path in row["paths"]) == sorted(str(each) for each in folder.glob("*.dcm"))
    assert len({row["sha256"] for row in rows}) == len(rows) == 41
    answers = [row["sha256"] for row in pools[0].raw]
    assert len(answers) > len(set(answers)) == 41, "without regard to their key, the answers would double rows"
    assert plan.out.read_bytes() == local_table(folder, bundle, tmp_path / "local.parquet")


@pytest.mark.heavy
def test_an_instance_that_kills_its_actor_is_set_aside(two_nodes: Any, bundle: Bundle, tmp_path: Path) -> None:
    folder = write_instances(tmp_path / "in", 3)
    write_dicom(folder / "001b.dcm", drawn_pelvis(), ImageComments=deadly.DIES.decode())

    def opened(recipe: Recipe, loaded: Bundle, workers: int, plan: Plan) -> RayPool:
        packed = zip_from_bundle(loaded, None)
        return RayPool(recipe, packed, workers, plan.limits, address=plan.address, kind=deadly.DeadlyRemote)

    plan = Plan(tmp_path / "ray.parquet", engine="ray", workers=1, address=two_nodes.address)
    outcome = run_batch(FolderInstances([str(folder)]), bundle, ONE, plan, opened=opened)
    assert (outcome.tally.rows, outcome.tally.states["set_aside"]) == (5, 1)
    assert [each["reason_code"] for each in outcome.tally.set_aside] == ["worker_died"]


@pytest.mark.heavy
def test_a_node_with_another_version_is_refused(two_nodes: Any, bundle: Bundle, folder: Path, tmp_path: Path) -> None:
    def opened(recipe: Recipe, loaded: Bundle, workers: int, plan: Plan) -> RayPool:
        other = replace(recipe, version="9.9")
        return RayPool(other, zip_from_bundle(loaded, None), workers, plan.limits, address=plan.address)

    plan = Plan(tmp_path / "ray.parquet", engine="ray", workers=1, address=two_nodes.address)
    with pytest.raises(BatchMismatch, match=r"the driver 9\.9"):
        run_batch(FolderInstances([str(folder)]), bundle, ONE, plan, opened=opened)


def test_without_ray_the_message_says_how_to_install_it(
    folder: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BackendUnavailable, match="pip install 'edge-sacro"):
        run_batch(FolderInstances([str(folder)]), bundle, ONE, Plan(tmp_path / "ray.parquet", engine="ray"))


def test_a_cluster_of_ones_own_is_started_where_no_web_server_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def init(**options: Any) -> None:
        seen.update(options, **{name: os.environ.get(name) for name in (*cluster.QUIET, "http_proxy", "NO_PROXY")})

    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    for name in cluster.QUIET:
        monkeypatch.setenv(name, "1")
    monkeypatch.setitem(sys.modules, "ray", types.SimpleNamespace(init=init))
    cluster.connected(None, 2)
    assert (seen["address"], seen["num_cpus"], seen["include_dashboard"]) == ("local", 2, False)
    assert (seen["RAY_USAGE_STATS_ENABLED"], seen["http_proxy"], seen["NO_PROXY"]) == ("0", cluster.NOWHERE, "")
    assert os.environ["http_proxy"] == "http://proxy:3128", "it is put back"
    assert "NO_PROXY" not in os.environ

    cluster.connected("head:6379", 2)
    assert (seen["address"], seen["http_proxy"]) == ("head:6379", "http://proxy:3128")
    with pytest.raises(UsageError, match="a node of the cluster"):
        cluster.connected("ray://head:10001", 2)
