"""The C-STORE and C-ECHO service class provider, and where storage commitment reports arrive.

It takes every image storage class in every transfer syntax that can be decoded here, and any other storage class in
none: an image that is not assessed is refused where that is seen with its reason, not by a negotiation that a console
hides. A status of success is sent after the file and its row in the queue are on stable storage, never before.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from typing import Protocol

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.ae import ApplicationEntity
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import _STORAGE_CLASSES
from pynetdicom.transport import AddressInformation

from edge_sacro.dicom.decoders import SYNTAXES
from edge_sacro.dicom.part10 import EXPLICIT_BE, IMPLICIT_LE
from edge_sacro.errors import (
    ContradictoryAttributes,
    DiskFull,
    EdgeSacroError,
    InternalError,
    QueueFull,
    StorageFailed,
)
from edge_sacro.node.complaints import Complaints
from edge_sacro.node.config import Dicom, Peer
from edge_sacro.node.door import BUSY, CALLED_UNKNOWN, CALLING_UNKNOWN, Caller, Door, Rejection
from edge_sacro.node.guard import Bounds, GuardedAssociation, GuardedSocket
from edge_sacro.node.halt import Halt
from edge_sacro.node.incoming import Incoming, SpoolingProvider
from edge_sacro.node.intake import Intake
from edge_sacro.node.journal import Journal
from edge_sacro.node.tls import server_context
from edge_sacro.phantom.identity import IMPLEMENTATION_CLASS_UID

VERIFICATION, COMMITMENT = "1.2.840.10008.1.1", "1.2.840.10008.1.20.1"
IMAGES: tuple[str, ...] = tuple(sorted(uid for name, uid in _STORAGE_CLASSES.items() if "ImageStorage" in name))
_EXPLICIT_LE = "1.2.840.10008.1.2.1"
TRANSFER_SYNTAXES: tuple[str, ...] = tuple(dict.fromkeys((_EXPLICIT_LE, IMPLICIT_LE, *SYNTAXES, EXPLICIT_BE)))
"""In the order in which one of several that a peer offers is chosen: native ones first, as they need no decoder."""

SUCCESS, OUT_OF_RESOURCES, MISMATCH, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000
"""C-STORE statuses (PS3.4, table B.2-1)."""
_PDU_BYTES = 128 * 1024
_CLOSING_S = 10.0


class Reports(Protocol):
    """Who hears of storage commitments."""

    def titles(self) -> frozenset[str]:
        """The AE titles that may report."""

    def hear(self, title: str, event_type: int, information: Dataset) -> int:
        """Take a report, and return the status that answers it."""


class Receiver:
    """The service. Its threads are its own.

    Args:
        dicom: who we are, where we listen, and who may send.
        bounds: what one peer may cost.
        intake: the node's way in.
        journal: its log.
        halt: told where the storage fails.
        reports: who hears of storage commitments; None where none is asked for.

    Raises:
        NodeConfigInvalid: the certificates cannot be used, or nothing can listen there.
    """

    def __init__(
        self,
        dicom: Dicom,
        bounds: Bounds,
        intake: Intake,
        journal: Journal,
        halt: Halt,
        reports: Reports | None = None,
    ) -> None:
        self._dicom, self._bounds, self._intake, self._halt = dicom, bounds, intake, halt
        self._journal, self._reports = journal, reports
        self._complaints = Complaints(journal)
        self._lock = threading.Lock()
        self._associations: set[GuardedAssociation] = set()
        self._entity = ApplicationEntity(dicom.ae_title)
        self._entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        self._entity.implementation_version_name = "EDGE_SACRO"
        self._entity.maximum_pdu_size = _PDU_BYTES
        self._entity.maximum_associations = 1000  # they are counted here
        self._entity.acse_timeout = bounds.request_s
        self._entity.dimse_timeout = self._entity.network_timeout = bounds.idle_s
        self._peer_contexts, self._report_contexts = _contexts(reports is not None)
        context = None if dicom.tls is None else server_context(dicom.tls)
        self._door = Door((dicom.host, dicom.port), context, bounds, self)
        self._address = AddressInformation(dicom.host, self.port)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._door.port

    @property
    def associations(self) -> int:
        """How many are open now."""
        with self._lock:
            return len(self._associations)

    def start(self) -> None:
        """Let peers in."""
        self._door.start()
        self._journal.event("dicom_listens", port=self.port, tls=self._dicom.tls is not None)

    def stop(self) -> None:
        """Let nobody in any more, let each association end the message it is in, and end them all."""
        self._door.stop()
        deadline = time.monotonic() + _CLOSING_S
        while True:
            with self._lock:
                left = list(self._associations)
            late = time.monotonic() >= deadline
            for each in left:
                if late or each.idle_s() > 0:
                    each.cut("node_stops")
            if late or not left:
                return
            time.sleep(0.02)

    def admit(self, caller: Caller) -> Rejection | None:
        """Begin an association, or say why not."""
        if caller.called != self._dicom.ae_title:
            self.complain("called_title", caller.address)
            return CALLED_UNKNOWN
        sends = any(_is(peer, caller) for peer in self._dicom.peers)
        if not sends and (self._reports is None or caller.calling not in self._reports.titles()):
            self.complain("calling_title", caller.address)
            return CALLING_UNKNOWN
        with self._lock:
            crowd = list(self._associations)
        if len(crowd) >= self._dicom.associations:
            idlest = max(crowd, key=GuardedAssociation.idle_s)
            if idlest.idle_s() < self._bounds.request_s:
                self.complain("too_many", caller.address)
                return BUSY
            idlest.cut("idle_when_full")
        try:
            self._begin(caller, sends)
        except RuntimeError:  # the system gives no more threads
            self.complain("no_threads", caller.address)
            return BUSY
        return None

    def complain(self, kind: str, address: str) -> None:
        """Enter what a peer did wrong in the log."""
        self._complaints.tell(kind, address)

    def deaf(self, error: Exception) -> None:
        """Stop the node: nobody can reach it any more."""
        self._halt.fail(InternalError(f"the DICOM service fails: {type(error).__name__}: {error}"))

    def _begin(self, caller: Caller, sends: bool) -> None:
        association = GuardedAssociation(
            self._entity, MODE_ACCEPTOR, lambda kind: self.complain(kind, caller.address), self._association_ended
        )
        association.set_socket(
            GuardedSocket(association, self._bounds, connected=caller.connection, early=caller.request)
        )
        association.dimse = SpoolingProvider(association, self._bounds, self._intake)
        acceptor = association.acceptor
        acceptor.maximum_length = _PDU_BYTES
        acceptor.ae_title = self._dicom.ae_title
        acceptor.address_info = self._address
        acceptor.implementation_class_uid = self._entity.implementation_class_uid
        acceptor.implementation_version_name = self._entity.implementation_version_name
        acceptor.supported_contexts = self._peer_contexts if sends else self._report_contexts
        association.requestor.address_info = AddressInformation(caller.address, 0)
        association.bind(evt.EVT_C_STORE, self._store)
        association.bind(evt.EVT_N_EVENT_REPORT, self._report)
        with self._lock:
            self._associations.add(association)
        try:
            association.start()
        except RuntimeError:
            with self._lock:
                self._associations.discard(association)
            raise

    def _association_ended(self, association: GuardedAssociation) -> None:
        association.dimse.close()
        with self._lock:
            self._associations.discard(association)

    def _store(self, event: Event) -> Dataset:
        """Answer a C-STORE."""
        incoming: Incoming = event.request.DataSet
        association: GuardedAssociation = event.assoc
        try:
            if self._halt.error is not None:
                raise self._halt.error
            incoming.take(str(association.requestor.ae_title).strip())
        except EdgeSacroError as error:
            if isinstance(error, StorageFailed):
                self._halt.fail(error)
            incoming.discard()
            self._journal.event("not_received", error=error.code)
            return _answer(_status(error), error.code)
        except Exception as error:  # noqa: BLE001 - a defect of ours: the peer gets an answer, the log the cause
            incoming.discard()
            self._journal.event("not_received", error=InternalError.code, cause=type(error).__name__)
            return _answer(OUT_OF_RESOURCES if isinstance(error, OSError) else NOT_UNDERSTOOD, InternalError.code)
        finally:
            association.dimse.answered(incoming)
        return _answer(SUCCESS)

    def _report(self, event: Event) -> tuple[int, None]:
        """Answer a storage commitment report."""
        if self._reports is None:
            return 0x0110, None
        title = str(event.assoc.requestor.ae_title).strip()
        return self._reports.hear(title, int(event.event_type), event.event_information), None


def _contexts(reports: bool) -> tuple[list[PresentationContext], list[PresentationContext]]:
    """What peers that send may ask for, and what those may that only report."""
    plain = [_EXPLICIT_LE, IMPLICIT_LE]
    common = [_context(VERIFICATION, plain)]
    if reports:
        commitment = _context(COMMITMENT, plain)
        commitment.scu_role, commitment.scp_role = False, True
        common.append(commitment)
    return [*common, *(_context(uid, list(TRANSFER_SYNTAXES)) for uid in IMAGES)], common


def _context(uid: str, syntaxes: list[str]) -> PresentationContext:
    context = PresentationContext()
    context.abstract_syntax, context.transfer_syntax = uid, syntaxes
    return context


def _is(peer: Peer, caller: Caller) -> bool:
    """Whether it is this one who calls, from where it may."""
    if peer.ae_title != caller.calling:
        return False
    address = ipaddress.ip_address(caller.address.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return not peer.addresses or any(address in ipaddress.ip_network(each) for each in peer.addresses)


def _status(error: EdgeSacroError) -> int:
    if isinstance(error, (DiskFull, QueueFull, StorageFailed)):
        return OUT_OF_RESOURCES
    return MISMATCH if isinstance(error, ContradictoryAttributes) else NOT_UNDERSTOOD


def _answer(status: int, comment: str | None = None) -> Dataset:
    answer = Dataset()
    answer.Status = status
    if comment is not None:
        answer.ErrorComment = comment
    return answer
