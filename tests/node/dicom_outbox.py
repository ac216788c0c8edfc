"""For the tests of sending: a queue with results in it, and a destination whose answers are chosen."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import StorageCommitmentPushModel

from edge_sacro.node.commitment import Commitments, Outbox
from edge_sacro.node.config import Destination, Sending
from edge_sacro.node.halt import Halt
from edge_sacro.node.journal import Journal
from edge_sacro.node.records import Delivery, NewDelivery, Outcome, Received
from edge_sacro.node.send import Sender
from edge_sacro.node.spool import Spool
from edge_sacro.node.store import Store
from tests.node.dicom_peers import radiograph, served

PACS = "PACS"
SENDING = Sending(timeout_s=2.0, retry_first_s=0.05, retry_longest_s=0.2, commitment_s=5.0)


class Queue:
    """The node's queue and files, as an assessment leaves them."""

    def __init__(self, folder: Path) -> None:
        self.log = io.StringIO()
        self.outbox = Outbox(Spool(folder, 0), Store(folder / "queue.sqlite"), Journal(self.log), Halt())
        self.store = self.outbox.store

    def add(self, *uids: str, destination: str = "pacs", sop_class: str | None = None) -> list[Path]:
        """An instance with these results, which have to go to a destination; their files."""
        number = f"{len(self.store.page(limit=1000)):064d}"
        received = Received(number, f"instances/{number}", 1, "1.2", f"1.2.{number[-3:]}", "1.2", "dimse", "X")
        sequence = self.store.accept(received).sequence
        assert self.store.next_to_assess() is not None
        kinds = {} if sop_class is None else {"sop_class": sop_class}
        files = {
            f"{uid}.dcm": radiograph(self.outbox.spool.incoming / uid, uid=uid, **kinds).read_bytes() for uid in uids
        }
        results = self.outbox.spool.write_results(sequence, files)
        for uid in uids:
            (self.outbox.spool.incoming / uid).unlink()
        outcome = Outcome("negative", None, None, "{}", str(results), "1.2.3")
        made = sop_class or "1.2.840.10008.5.1.4.1.1.1.1"
        deliveries = [NewDelivery(destination, str(results / f"{uid}.dcm"), made, uid) for uid in uids]
        self.store.assessed(sequence, outcome, deliveries)
        return [self.outbox.spool.path(each.path) for each in deliveries]

    def deliveries(self) -> list[Delivery]:
        found = [self.store.deliveries(each.sequence) for each in self.store.page(limit=100)]
        return sorted((each for some in found for each in some), key=lambda each: each.id)

    def states(self) -> list[str]:
        return [each.state for each in self.deliveries()]

    def instance_states(self) -> list[str]:
        return [each.state for each in reversed(self.store.page(limit=100))]

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == name]


class Pacs:
    """A destination. Its answers may be changed while it runs.

    Attributes:
        status: what it answers to a C-STORE of a UID.
        kept: what came, by UID, each time.
        asked: N-ACTION requests: transaction UID and the UIDs named.
        associations: how many there were.
    """

    def __init__(self) -> None:
        self.status: Callable[[str], int | None] = lambda _: 0x0000
        self.commitment_status = 0x0000
        self.kept: list[tuple[str, bytes]] = []
        self.asked: list[tuple[str, list[str]]] = []
        self.on_asked: Callable[[evt.Event, Dataset], None] = lambda *_: None
        self.associations = 0
        self.port = 0

    def uids(self) -> list[str]:
        return [uid for uid, _ in self.kept]

    @contextlib.contextmanager
    def running(self, port: int = 0, contexts: list[Any] | None = None) -> Iterator[Pacs]:
        entity = AE(PACS)
        entity.require_called_aet = True
        dx = build_context("1.2.840.10008.5.1.4.1.1.1.1", ["1.2.840.10008.1.2.1"])
        entity.supported_contexts = contexts or [dx, build_context(StorageCommitmentPushModel)]
        handlers = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_ACTION, self._asked),
            (evt.EVT_ACCEPTED, self._associated),
        ]
        with served(entity, port, handlers) as self.port:
            yield self

    def _associated(self, _: evt.Event) -> None:
        self.associations += 1

    def _store(self, event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.kept.append((uid, event.request.DataSet.getvalue()))
        status = self.status(uid)
        if status is None:
            event.assoc.abort()
            return 0x0000
        return status

    def _asked(self, event: evt.Event) -> tuple[int, None]:
        information = event.action_information
        uids = [str(each.ReferencedSOPInstanceUID) for each in information.ReferencedSOPSequence]
        self.asked.append((str(information.TransactionUID), uids))
        if not self.commitment_status:
            threading.Thread(target=self.on_asked, args=(event, information)).start()
        return self.commitment_status, None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def destination(port: int, **more: Any) -> Destination:
    return Destination(**{"name": "pacs", "host": "127.0.0.1", "port": port, "ae_title": PACS, **more})


@contextlib.contextmanager
def sending(
    queue: Queue, where: Destination, settings: Sending = SENDING, commitments: Commitments | None = None
) -> Iterator[Sender]:
    """A sender that runs."""
    sender = Sender(where, "EDGESACRO", settings, queue.outbox, commitments)
    sender.start()
    try:
        yield sender
    finally:
        sender.stop()
        assert not sender._thread.is_alive()


def report(information: Dataset, *, failed: dict[str, int] | None = None) -> tuple[int, Dataset]:
    """Event type and information that answer a request for commitment."""
    failed = failed or {}
    answer = Dataset()
    answer.TransactionUID = information.TransactionUID
    done, not_done = [], []
    for each in information.ReferencedSOPSequence:
        item = Dataset()
        item.ReferencedSOPClassUID = each.ReferencedSOPClassUID
        item.ReferencedSOPInstanceUID = each.ReferencedSOPInstanceUID
        if (reason := failed.get(str(each.ReferencedSOPInstanceUID))) is None:
            done.append(item)
        else:
            item.FailureReason = reason
            not_done.append(item)
    answer.ReferencedSOPSequence = done
    if not_done:
        answer.FailedSOPSequence = not_done
    return 2 if not_done else 1, answer
