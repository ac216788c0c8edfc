"""What keeps one peer from harming the node: bounds on PDUs, messages and time that pynetdicom 3.0.4 does not have.

pynetdicom trusts the length that a PDU announces before it knows who speaks, lets a connection that trickles live for
ever, holds a data set of any size in memory, and ends a thread with a traceback where a message cannot be understood.
Its classes are replaced here where that happens. Its own log and pydicom's warnings are switched off: both tell what
stands in a data set.
"""

from __future__ import annotations

import contextlib
import logging
import select
import ssl
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from socket import SHUT_RDWR
from socket import socket as tcp_socket

from pydicom import config as _pydicom_config
from pynetdicom import _config
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.fsm import StateMachine
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from edge_sacro.node.config import Limits

warnings.filterwarnings("ignore", module=r"pydicom\.")
_pydicom_config.settings.reading_validation_mode = _pydicom_config.IGNORE  # its warnings quote what a peer sent
_config.LOG_HANDLER_LEVEL = "none"
logging.getLogger("pynetdicom").addHandler(logging.NullHandler())
logging.getLogger("pynetdicom").propagate = False
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Bounds:
    """What one peer may cost.

    Attributes:
        instance_bytes: of one data set.
        pdu_s: time that one PDU may take to arrive, or to be taken from us.
        request_s: time from the connection to the whole association request, TLS handshake included.
        idle_s: time without any PDU after which an association ends.
        waiting: connections that have not asked for an association yet.
        request_bytes: of an association request.
        pdu_bytes: of any other PDU.
        command_bytes: of a command set.
        slow_s, slow_bytes_s: after so long a message must have come at this many bytes a second.
    """

    instance_bytes: int
    pdu_s: float
    request_s: float = 3.0
    idle_s: float = 60.0
    waiting: int = 256
    request_bytes: int = MEBIBYTE // 4
    pdu_bytes: int = MEBIBYTE
    command_bytes: int = MEBIBYTE // 16
    slow_s: float = 60.0
    slow_bytes_s: float = 4096.0


def bounds_from_limits(limits: Limits) -> Bounds:
    """The bounds that a configuration sets; the others follow from what honest peers do."""
    return Bounds(instance_bytes=limits.instance_mb * 1_000_000, pdu_s=limits.pdu_s)


class Misbehaved(Exception):
    """A peer did what no honest one does. Its association is cut; the message is for the log."""


class GuardedSocket(AssociationSocket):  # type: ignore[misc]
    """A connection on which no PDU is longer than allowed or takes longer than allowed, in either direction.

    Args:
        assoc: whose it is.
        bounds: what is allowed.
        connected: a connection that came in.
        address: ours, for one that goes out.
        early: what was read of it already.

    Attributes:
        trouble: why it broke; None as long as it did not.
        heard: monotonic time of the last PDU.
    """

    socket: tcp_socket | None

    def __init__(
        self,
        assoc: Association,
        bounds: Bounds,
        *,
        connected: tcp_socket | None = None,
        address: AddressInformation | None = None,
        early: bytes = b"",
    ) -> None:
        super().__init__(assoc, connected, address)
        self._bounds, self._early = bounds, bytearray(early)
        self._deadline: float | None = None
        self.trouble: str | None = None
        self.heard = time.monotonic()

    @property
    def ready(self) -> bool:
        """Whether a PDU begins; as pynetdicom's, for any number of open files."""
        if self._early:
            return True
        connection = self.socket
        if connection is None or not self._is_connected:
            return False
        try:
            poll = select.poll()
            poll.register(connection, select.POLLIN)
            waiting = bool(poll.poll(0))
        except (OSError, ValueError):
            self.event_queue.put("Evt17")
            return False
        return waiting or (isinstance(connection, ssl.SSLSocket) and connection.pending() > 0)

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect, TLS handshake included; ``trouble`` says why that failed."""
        try:
            connection = self.socket
            if connection is None:
                raise OSError("closed")
            connection.settimeout(self.assoc.connection_timeout)
            connection.connect(primitive.address_info.as_tuple)
            if self.tls_args is not None:
                context, host = self.tls_args
                connection = self.socket = context.wrap_socket(connection, server_hostname=host)
            self.assoc.requestor.address_info = AddressInformation.from_tuple(connection.getsockname())
            self._is_connected = True
            primitive.result = "Evt2"
        except (OSError, ValueError) as error:
            told = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
            self.trouble = f"unreachable: {told}"
            self._shutdown_socket()
            self.socket = None
            primitive.result = "Evt17"
        finally:
            self.provider_queue.put(primitive)
            self._ready.set()

    def recv(self, nr_bytes: int) -> bytearray:
        """Read one part of a PDU: its six bytes of type and length, then as many as these announce.

        Raises:
            OSError: there would be too many, or they do not come in time.
        """
        if self._deadline is None:
            deadline = self._deadline = time.monotonic() + self._bounds.pdu_s
        else:
            deadline, self._deadline = self._deadline, None
        if nr_bytes > self._bounds.pdu_bytes:
            raise self._broken("long_pdu")
        content = bytearray(self._early[:nr_bytes])
        del self._early[:nr_bytes]
        if len(content) == nr_bytes:
            return content
        at = len(content)
        content.extend(bytes(nr_bytes - at))
        with memoryview(content) as view:
            while at < nr_bytes:
                left, connection = deadline - time.monotonic(), self.socket
                if left <= 0 or connection is None:
                    raise self._broken("slow_pdu")
                connection.settimeout(left)
                try:
                    count = connection.recv_into(view[at:])
                except TimeoutError:
                    raise self._broken("slow_pdu") from None
                if not count:
                    break
                at += count
        del content[at:]
        self.heard = time.monotonic()
        return content

    def send(self, bytestream: bytes) -> None:
        """Send a PDU; a peer that does not take it in time is gone."""
        try:
            if self.socket is None:
                raise OSError("closed")
            self.socket.settimeout(self._bounds.pdu_s)
            self.socket.sendall(bytestream)
        except (OSError, ValueError):
            self.event_queue.put("Evt17")

    def _shutdown_socket(self) -> None:
        """Close the connection. pynetdicom's own does not where the peer was first, and leaves a file open."""
        connection = self.socket
        if connection is None:
            return
        with contextlib.suppress(OSError):
            connection.shutdown(SHUT_RDWR)
        with contextlib.suppress(OSError):
            connection.close()

    def _broken(self, trouble: str) -> OSError:
        self.trouble = trouble
        self._shutdown_socket()
        return OSError(trouble)


class GuardedStateMachine(StateMachine):  # type: ignore[misc]
    """The upper layer's states; whatever a peer does that they cannot take ends the association, in silence."""

    def __init__(self, association: GuardedAssociation) -> None:
        super().__init__(association.dul)
        self._association = association

    def do_action(self, event: str) -> None:
        """Take one event."""
        try:
            super().do_action(event)
        except Misbehaved as trouble:
            self._association.cut(str(trouble))
        except Exception:  # noqa: BLE001 - pynetdicom raises whatever malformed bytes make of it
            self._association.cut("malformed")


class GuardedAssociation(Association):  # type: ignore[misc]
    """One association.

    Args:
        entity: ours.
        mode: ``"acceptor"`` or ``"requestor"``.
        complain: told of what the peer did wrong.
        ended: called in the association's thread when it is over, however it ended.
    """

    def __init__(
        self,
        entity: ApplicationEntity,
        mode: str,
        complain: Callable[[str], None],
        ended: Callable[[GuardedAssociation], None],
    ) -> None:
        super().__init__(entity, mode)
        self.dul.state_machine = GuardedStateMachine(self)
        self.dul.daemon = True
        self._complain, self._ended = complain, ended
        self.name = "dicom-association"

    def run_reactor(self) -> None:
        """Serve the peer until it or the node has enough."""
        try:
            super().run_reactor()
        except Exception:  # noqa: BLE001 - as in the state machine
            self._complain("malformed")
        finally:
            if self.dul.socket is not None and self.dul.socket.trouble is not None:
                self._complain(self.dul.socket.trouble)
            self.hang_up()
            self._is_paused = True  # whoever waits for this thread to stand still need not wait any more
            self._ended(self)

    def cut(self, kind: str) -> None:
        """End it at once, and say why."""
        self._complain(kind)
        self.hang_up()

    def idle_s(self) -> float:
        """Seconds since the last PDU; 0 while a message is coming in or being answered."""
        if self.dimse.busy:
            return 0.0
        return time.monotonic() - float(self.dul.socket.heard)

    def hang_up(self) -> None:
        """End it at once."""
        self._kill = True
        self.is_established = False
        self.dul.kill_dul()
        self.dimse.msg_queue.put((None, None))  # whoever waits for an answer gets none
        self.dul.to_user_queue.put(None)
        with contextlib.suppress(OSError):
            self.dul.socket._shutdown_socket()  # noqa: SLF001 - pynetdicom has no other way to end one at once
