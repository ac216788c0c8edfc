"""What the HTTP interface needs of the node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from edge_sacro.errors import StorageFailed
from edge_sacro.node.config import NodeConfig
from edge_sacro.node.intake import Intake
from edge_sacro.node.journal import Journal
from edge_sacro.node.spool import Spool
from edge_sacro.node.store import Store
from edge_sacro.node.web.metrics import NodeMetrics
from edge_sacro.report import BundleRecord


@dataclass(frozen=True)
class Assessing:
    """What assesses.

    Attributes:
        bundle: as reports name it.
        guard_band: half-width of probabilities around the cut-off inside which an answer is borderline.
    """

    bundle: BundleRecord
    guard_band: float


def _nothing_to_tell() -> tuple[str, ...]:
    return ()


def _goes_on() -> bool:
    return True


def _nothing_to_stop(_error: StorageFailed) -> None:
    return


def _nothing_to_record(_sequence: int, _actor: str, _what: str) -> None:
    return


def _no_list_to_record(_actor: str, _newest: int, _oldest: int, _state: str | None) -> None:
    return


@dataclass(frozen=True)
class Services:
    """The node, as the HTTP interface sees it.

    Attributes:
        config, spool, store, intake, journal: the node's.
        assessing: what assesses; None before it is loaded, which keeps the node from being ready.
        problems: why the node is not ready beside that, each a sentence for a person without any name; none where it
            is. Called from several threads.
        alive: whether the assessor goes on; where it does not, ``/healthz`` says so to whoever restarts nodes.
        storage_failed: called once the disk failed under a request, so that the node stops.
        accessed: records that somebody (second) took something (third) of an instance (first).
        listed: records that somebody (first) was shown the names of the instances from one number (second) down to
            another (third), those of a state alone (fourth) where it is not None.
        metrics: what is counted; ``observe`` is called by whoever assesses.
    """

    config: NodeConfig
    spool: Spool
    store: Store
    intake: Intake
    journal: Journal
    assessing: Callable[[], Assessing | None]
    problems: Callable[[], tuple[str, ...]] = _nothing_to_tell
    alive: Callable[[], bool] = _goes_on
    storage_failed: Callable[[StorageFailed], None] = _nothing_to_stop
    accessed: Callable[[int, str, str], None] = _nothing_to_record
    listed: Callable[[str, int, int, str | None], None] = _no_list_to_record
    metrics: NodeMetrics = field(default_factory=NodeMetrics)
