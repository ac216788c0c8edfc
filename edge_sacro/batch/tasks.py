"""What the driver, the pools of workers and the workers hand one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from edge_sacro import __version__
from edge_sacro.errors import InputRefused
from edge_sacro.manifest import Precision

Row = dict[str, Any]
"""One row of the table, by column; values as JSON has them."""


@dataclass(frozen=True)
class Recipe:
    """What a worker opens its runtime with. Everything but ``bundle`` and ``threads`` has part in the answers.

    Attributes:
        bundle: where to read the bundle.
        fingerprint: that it must have.
        backend, operating_point, overrides, deadline_s, threads: as the runtime takes them.
        precision: of the networks.
        engines: folder of compiled networks in service, at the same place on each node; None for the backend.
        version: of Edge-Sacro, which each worker must have.
    """

    bundle: str
    fingerprint: str
    backend: str
    precision: Precision
    operating_point: str
    threads: int
    overrides: tuple[str, ...] = ()
    deadline_s: float | None = None
    engines: str | None = None
    version: str = __version__

    def identity(self) -> dict[str, Any]:
        """What must not change while a batch goes on, for its work folder."""
        fields = asdict(self)
        del fields["bundle"], fields["threads"]
        return {**fields, "overrides": sorted(self.overrides)}


@dataclass(frozen=True)
class Task:
    """One instance to be answered.

    Attributes:
        label: its path or address.
        content: its bytes, or why there are none; None where the worker is to read the path itself.
        sha256: of the bytes; None where they are not known here.
        stamp: size and time of change of the file, by which a later run knows that it is the same one.
    """

    label: str
    content: bytes | InputRefused | None
    sha256: str | None
    stamp: tuple[int, int] | None = None


@dataclass(frozen=True)
class Told:
    """What a worker says of itself before its first task.

    Attributes:
        version: of Edge-Sacro.
        fingerprint: of the bundle that it opened.
        backend: name and version of what runs the networks, and the precision.
        place: host and process.
    """

    version: str
    fingerprint: str
    backend: dict[str, str]
    place: str


@dataclass(frozen=True)
class Failure:
    """An error of a worker, as it crosses processes."""

    code: str
    what: str
    source: str | None
    remedy: str


@dataclass(frozen=True)
class Answer:
    """What a worker made of one task.

    Attributes:
        rows: one a frame; none where it failed.
        sha256: of the bytes that were assessed; None where there are none.
        timings: milliseconds by stage, one dict a row.
        failure: why there is no row.
        memory_bytes: that the worker holds now.
    """

    rows: Sequence[Row]
    sha256: str | None
    timings: Sequence[dict[str, float]] = ()
    failure: Failure | None = None
    memory_bytes: int = 0


@dataclass(frozen=True)
class Event:
    """The end of a task at one worker.

    Attributes:
        task: what it was given.
        answer: what it made of it; None where it was lost.
        lost: why there is no answer, a code of ``edge_sacro.batch.rows.REASONS``.
        blamed: whether the task may have caused it; False where its whole node went away.
        place: host and process.
    """

    task: Task
    answer: Answer | None = None
    lost: str | None = None
    blamed: bool = True
    place: str = ""


class Pool(Protocol):
    """Workers, each with one task at a time. Used by one thread."""

    @property
    def told(self) -> Told | None:
        """What the workers say of themselves, the same for all; None before the first is ready."""
        ...

    def free(self) -> int:
        """How many workers could take a task now."""
        ...

    def working(self) -> int:
        """How many tasks have been sent and have not ended."""
        ...

    def workers(self) -> int:
        """How many workers are ready."""
        ...

    def send(self, task: Task) -> None:
        """Give a free worker a task."""
        ...

    def wait(self, seconds: float) -> list[Event]:
        """The tasks that ended, once there is one or that time has passed.

        Raises:
            BatchError: no worker can be had.
            EdgeSacroError: why a worker cannot open its runtime.
        """
        ...

    def alone(self) -> None:
        """End every worker, and have one new one from now on."""
        ...

    def close(self) -> None:
        """End every worker."""
        ...


@dataclass(frozen=True)
class Limits:
    """What a worker may take.

    Attributes:
        instance_s: seconds for one task; after that the worker is ended.
        memory_bytes: resident memory, its decoding process apart; above it the worker is ended.
        recycle: tasks after which a worker is replaced by a new one.
        start_s: seconds until a worker is ready.
    """

    instance_s: float = 600.0
    memory_bytes: int = 16 << 30
    recycle: int = 5000
    start_s: float = 180.0


@dataclass
class Counts:
    """What has been done so far, for whoever watches."""

    listed: int = 0
    resumed: int = 0
    done: int = 0
    set_aside: int = 0
    resent: int = 0
    lost: dict[str, int] = field(default_factory=dict)


def unwatched(_counts: Counts, _workers: int) -> None:
    """Nobody watches."""
