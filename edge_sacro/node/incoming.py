"""A data set on its way in: from the network straight into a file of the spool, and never whole in memory."""

from __future__ import annotations

import io
import threading
import time
from functools import lru_cache

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_CANCEL
from pynetdicom.pdu_primitives import P_DATA

from edge_sacro.dicom.geometry import is_uid
from edge_sacro.errors import ContradictoryAttributes, EdgeSacroError, NotDicom, SizeLimitExceeded
from edge_sacro.node.guard import MEBIBYTE, Bounds, Misbehaved
from edge_sacro.node.intake import Intake
from edge_sacro.node.records import Accepted
from edge_sacro.node.spool import Part
from edge_sacro.phantom.identity import IMPLEMENTATION_CLASS_UID

_PIPELINED = 16
"""Messages that may wait for an answer; an honest peer waits for each (PS3.7 D.3.3.3 is never negotiated here)."""


class SmallDataSet(io.BytesIO):
    """The data set of a message that stores nothing: it stays in memory, so it has to be small."""

    def write(self, content: bytes) -> int:  # type: ignore[override]
        """Take the next bytes.

        Raises:
            Misbehaved: there are too many.
        """
        if self.tell() + len(content) > MEBIBYTE:
            raise Misbehaved("long_message")
        return super().write(content)


class Incoming(SmallDataSet):
    """The data set of one message, of a C-STORE as a rule.

    That goes into a Part 10 file with file meta information of ours and the bytes as they come. What cannot be kept is
    read to its end and refused then, so that the peer hears why; what does not end is cut.

    Args:
        message: whose data set it is.
        association: on which it comes.
        intake: the node's way in.
        limit: bytes.

    Attributes:
        refusal: why it will not be taken; None as long as nothing is wrong with it.
    """

    def __init__(self, message: DIMSEMessage, association: Association, intake: Intake, limit: int) -> None:
        super().__init__()
        self._message, self._association, self._intake, self._limit = message, association, intake, limit
        self._lock = threading.Lock()
        self._part: Part | None = None
        self._size = 0
        self.refusal: EdgeSacroError | None = None

    def write(self, content: bytes) -> int:  # type: ignore[override]
        """Take the next bytes.

        Raises:
            Misbehaved: they are far more than there may be, or belong to no message.
        """
        if type(self._message) is DIMSEMessage:
            raise Misbehaved("no_command")
        if not isinstance(self._message, C_STORE_RQ):
            return super().write(content)
        self._size += len(content)
        if self._size > 2 * self._limit:
            raise Misbehaved("endless_data_set")
        with self._lock:
            if self.refusal is None:
                try:
                    self._keep(content)
                except EdgeSacroError as error:
                    self.refusal = error
                    self._discard()
        return len(content)

    def take(self, peer: str) -> Accepted:
        """Put it on stable storage and enter it. Once this returns it may be acknowledged.

        Raises:
            EdgeSacroError: it cannot be taken; nothing of it is kept.
        """
        with self._lock:
            try:
                if self.refusal is not None:
                    raise self.refusal
                if self._part is None:
                    raise NotDicom("the message has no data set", source="the received instance")
                return self._intake.take(self._part, via="dimse", peer=peer)
            finally:
                self._discard()

    def discard(self) -> None:
        """Remove what is there: its association is over."""
        with self._lock:
            self._discard()
            if self.refusal is None:
                self.refusal = NotDicom("the association ended before it", source="the received instance")

    def _keep(self, content: bytes) -> None:
        if self._size > self._limit:
            raise SizeLimitExceeded(f"the data set is larger than {self._limit} bytes", source="the received instance")
        if self._part is None:
            meta = self._meta()
            self._part = self._intake.part()
            self._part.write(meta)
        self._part.write(content)

    def _meta(self) -> bytes:
        """What stands before the data set: from the association, and from the command where it may be believed."""
        command = self._message.command_set
        sop_class, sop_instance = str(command.AffectedSOPClassUID), str(command.AffectedSOPInstanceUID)
        context = self._association._accepted_cx.get(self._message.context_id)  # noqa: SLF001 - none other has it by id
        if context is None or context.abstract_syntax != sop_class:
            raise ContradictoryAttributes(
                "the SOP class is not that of the presentation context", source="the received instance"
            )
        if not is_uid(sop_instance):
            raise NotDicom("the SOP Instance UID is none", source="the received instance")
        return file_meta_from_uids(sop_class, sop_instance, str(context.transfer_syntax[0]))

    def _discard(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            part.__exit__(None, None, None)


@lru_cache(maxsize=64)
def file_meta_from_uids(sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 7.1), without any AE title."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance)
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = "EDGE_SACRO"
    buffer = DicomBytesIO()
    buffer.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(buffer, meta)
    return bytes(buffer.getvalue())


class BoundedProvider(DIMSEServiceProvider):  # type: ignore[misc]
    """The messages of one association, each within its bounds.

    Args:
        association: whose.
        bounds: what a message may cost.
    """

    def __init__(self, association: Association, bounds: Bounds) -> None:
        super().__init__(association)
        self.message: DIMSEMessage | None = None
        self._bounds = bounds
        self._began = 0.0
        self._bytes = self._command_bytes = 0

    @property
    def busy(self) -> bool:
        """Whether a message is coming in."""
        return self.message is not None

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take one PDU's worth of fragments.

        Raises:
            Misbehaved: a message is larger, slower or earlier than allowed.
        """
        message = self.message
        if message is None:
            message = self._begin()
        for _, fragment in primitive.presentation_data_value_list:
            self._bytes += len(fragment)
            self._command_bytes += len(fragment) if fragment[0] & 1 else 0
        taken = time.monotonic() - self._began
        if self._command_bytes > self._bounds.command_bytes:
            raise Misbehaved("long_command")
        if taken > self._bounds.slow_s and self._bytes < taken * self._bounds.slow_bytes_s:
            raise Misbehaved("slow_message")
        if message.decode_msg(primitive, self.assoc):
            self.message = None
            self._arrived(message)

    def _begin(self) -> DIMSEMessage:
        if self.msg_queue.qsize() >= _PIPELINED:
            raise Misbehaved("pipelined")
        self._began, self._bytes, self._command_bytes = time.monotonic(), 0, 0
        message = DIMSEMessage()
        message.data_set = self._data_set(message)
        self.message = message
        return message

    def _data_set(self, message: DIMSEMessage) -> io.BytesIO:  # noqa: ARG002 - others look at it
        """What the data set of a new message is written to."""
        return SmallDataSet()

    def _arrived(self, message: DIMSEMessage) -> None:
        """Hand a complete message on. As of who answers: in the order they came, nothing but requests."""
        request = message.message_to_primitive()
        if isinstance(request, C_CANCEL):  # nothing that this node does can be cancelled
            return
        if not request.is_valid_request:
            raise Misbehaved("no_request")
        self.msg_queue.put((message.context_id, request))


class SpoolingProvider(BoundedProvider):
    """The messages of one association on which instances come in.

    Args:
        association: whose.
        bounds: what a message may cost.
        intake: the node's way in.
    """

    def __init__(self, association: Association, bounds: Bounds, intake: Intake) -> None:
        super().__init__(association, bounds)
        self._intake = intake
        self._open: set[Incoming] = set()

    @property
    def busy(self) -> bool:
        """Whether a message is coming in or an instance waits for its answer."""
        return super().busy or bool(self._open)

    def answered(self, incoming: Incoming) -> None:
        """Enter that an instance has been dealt with."""
        self._open.discard(incoming)

    def close(self) -> None:
        """Remove every instance that has not been dealt with."""
        for each in list(self._open):
            each.discard()
        self._open.clear()

    def _data_set(self, message: DIMSEMessage) -> io.BytesIO:
        incoming = Incoming(message, self.assoc, self._intake, self._bounds.instance_bytes)
        self._open.add(incoming)
        return incoming

    def _arrived(self, message: DIMSEMessage) -> None:
        if not isinstance(message, C_STORE_RQ):
            self._open.discard(message.data_set)
        super()._arrived(message)
