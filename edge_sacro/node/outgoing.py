"""One association that we ask for, to store results and to ask for storage commitment."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import TracebackType

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pynetdicom import _config, evt
from pynetdicom._globals import MODE_REQUESTOR
from pynetdicom.ae import ApplicationEntity
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class_n import StorageCommitmentServiceClass
from pynetdicom.transport import AddressInformation

from edge_sacro.errors import PeerFailed
from edge_sacro.node.config import Destination
from edge_sacro.node.guard import MEBIBYTE, Bounds, GuardedAssociation, GuardedSocket, Misbehaved
from edge_sacro.node.incoming import BoundedProvider
from edge_sacro.node.tls import client_context
from edge_sacro.phantom.identity import IMPLEMENTATION_CLASS_UID

_config.STORE_SEND_CHUNKED_DATASET = True  # a file's data set goes out as it stands there, byte for byte

COMMITMENT = "1.2.840.10008.1.20.1"
COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
"""Storage Commitment Push Model SOP class, and its well-known instance (PS3.4 J.3)."""

CONTEXTS = 128
"""Presentation contexts of one association: odd identifiers of one byte (PS3.8 9.3.2.2)."""

_PLAIN = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
_PDU_BYTES = 128 * 1024


class NoContext(Exception):
    """The peer accepted no presentation context for what was to be sent."""


class Line:
    """An association with a destination. A context manager: it is released at the end, and aborted after an error.

    Args:
        destination: whom to call.
        ae_title: ours.
        timeout_s: for each step: connection, negotiation, answer.
        contexts: SOP class and transfer syntax of what will be sent, at most ``CONTEXTS`` of them.
        hear: takes a storage commitment report that comes on this association: event type and information.

    Raises:
        NoContext: nothing of it was accepted.
        PeerFailed: there is no association to be had now.
        NodeConfigInvalid: the certificates cannot be used.
    """

    def __init__(
        self,
        destination: Destination,
        ae_title: str,
        timeout_s: float,
        contexts: Collection[tuple[str, str]],
        hear: Callable[[int, Dataset], int] | None = None,
    ) -> None:
        self._name, self._hear = destination.name, hear
        self._trouble: str | None = None
        entity = ApplicationEntity(ae_title)
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = "EDGE_SACRO"
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = timeout_s
        bounds = Bounds(instance_bytes=MEBIBYTE, pdu_s=timeout_s)
        self._association = GuardedAssociation(entity, MODE_REQUESTOR, self._note, lambda _: None)
        self._association.dimse = _AnsweredProvider(self._association, bounds)
        self._address(destination, bounds)
        requestor = self._association.requestor
        requestor.ae_title, requestor.maximum_length = ae_title, _PDU_BYTES
        requestor.implementation_class_uid = entity.implementation_class_uid
        requestor.implementation_version_name = entity.implementation_version_name
        requestor.requested_contexts = _numbered(contexts)
        self._association.bind(evt.EVT_N_EVENT_REPORT, self._report)
        self._association.request()
        if not self._association.is_established:
            failure = self._failure("there was no answer to the association request")
            self.close()
            raise failure
        self._association.start()

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None and self._association.is_established:
            self._association.release()
        self.close()

    @property
    def alive(self) -> bool:
        """Whether more can be sent on it."""
        return bool(self._association.is_established)

    def close(self) -> None:
        """End it at once."""
        self._association.hang_up()

    def store(self, path: Path) -> int:
        """Send one Part 10 file, and return the status (PS3.4, table B.2-1).

        Raises:
            NoContext: its SOP class or its transfer syntax was not accepted.
            PeerFailed: the association ended before there was an answer.
            OSError: the file cannot be read.
        """
        if not self.alive:
            raise self._failure("the association ended")
        try:
            answer = self._association.send_c_store(path)
        except ValueError as error:
            raise NoContext from error
        except RuntimeError as error:
            raise self._failure("the association ended") from error
        return self._status(answer)

    def echo(self) -> int:
        """Send a C-ECHO, and return the status (PS3.4 A.4).

        Raises:
            NoContext: the peer does not answer any.
            PeerFailed: the association ended before there was an answer.
        """
        try:
            answer = self._association.send_c_echo()
        except ValueError as error:
            raise NoContext from error
        except RuntimeError as error:
            raise self._failure("the association ended") from error
        return self._status(answer)

    def ask(self, transaction_uid: str, instances: Sequence[tuple[str, str]]) -> int:
        """Ask for the storage commitment of instances, and return the status (PS3.4 J.3.2).

        Args:
            transaction_uid: which the report will name.
            instances: SOP class and SOP instance of each.

        Raises:
            NoContext: the peer does not offer storage commitment.
            PeerFailed: the association ended before there was an answer.
        """
        information = Dataset()
        information.TransactionUID = transaction_uid
        information.ReferencedSOPSequence = DicomSequence([_reference(*each) for each in instances])
        try:
            answer, _ = self._association.send_n_action(information, 1, COMMITMENT, COMMITMENT_INSTANCE)
        except ValueError as error:
            raise NoContext from error
        except RuntimeError as error:
            raise self._failure("the association ended") from error
        return self._status(answer)

    def _address(self, destination: Destination, bounds: Bounds) -> None:
        try:
            remote = AddressInformation.from_addr_port(destination.host, destination.port)
        except OSError as error:
            raise PeerFailed(f"unreachable: {error.strerror}", source=destination.name) from error
        local = AddressInformation.from_tuple(("0.0.0.0" if remote.is_ipv4 else "::", 0))  # noqa: S104 - an outgoing end
        connection = GuardedSocket(self._association, bounds, address=local)
        if destination.tls is not None:
            connection.tls_args = (client_context(destination.tls), destination.host)
        self._association.set_socket(connection)
        self._association.requestor.address_info = local
        self._association.acceptor.ae_title = destination.ae_title
        self._association.acceptor.address_info = remote

    def _status(self, answer: Dataset) -> int:
        if "Status" not in answer:
            raise self._failure("there was no answer")
        return int(answer.Status)

    def _failure(self, otherwise: str) -> PeerFailed | NoContext:
        """Why there is no association, as far as it is known."""
        association = self._association
        told = self._trouble or (association.dul.socket.trouble if association.dul.socket else None) or otherwise
        primitive = association.acceptor.primitive
        if primitive is not None and primitive.result == 0 and not association.accepted_contexts:
            return NoContext()
        if association.is_rejected and primitive is not None:
            told = f"the association was rejected: {primitive.reason_str}"
        elif association.is_aborted and told == otherwise:
            told = f"{otherwise}: aborted"
        return PeerFailed(told, source=self._name)

    def _note(self, trouble: str) -> None:
        self._trouble = trouble

    def _report(self, event: Event) -> tuple[int, None]:
        if self._hear is None:
            return 0x0110, None
        return self._hear(int(event.event_type), event.event_information), None


class _AnsweredProvider(BoundedProvider):
    """The messages of an association that we asked for: answers to us, and storage commitment reports.

    A report is answered in the upper layer's own thread, as the association's stands still while an answer is waited
    for; pynetdicom starts another one, whose end may leave that one standing for good.
    """

    def _arrived(self, message: DIMSEMessage) -> None:
        primitive = message.message_to_primitive()
        context = self.assoc._accepted_cx.get(message.context_id)  # noqa: SLF001 - none other has it by its number
        if isinstance(primitive, N_EVENT_REPORT) and primitive.is_valid_request:
            if context is None or context.abstract_syntax != COMMITMENT:
                raise Misbehaved("no_request")
            StorageCommitmentServiceClass(self.assoc).SCP(primitive, context)
        elif getattr(primitive, "is_valid_response", False):
            self.msg_queue.put((message.context_id, primitive))


def new_transaction_uid() -> str:
    """A UID derived from a UUID (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def _numbered(contexts: Collection[tuple[str, str]]) -> list[PresentationContext]:
    """One presentation context for each SOP class and transfer syntax, so that both are negotiated as they are."""
    numbered = []
    for number, (sop_class, syntax) in enumerate(contexts):
        context = PresentationContext()
        context.context_id = 2 * number + 1
        context.abstract_syntax = sop_class
        context.transfer_syntax = [syntax] if syntax else list(_PLAIN)
        numbered.append(context)
    return numbered


def _reference(sop_class: str, sop_instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
    return item
