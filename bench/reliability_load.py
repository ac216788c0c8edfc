"""A modality that never gives up: it sends each instance until it is acknowledged, and notes which were."""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

PEER = "MODALITY"
_SUCCESS = 0x0000
_TIMEOUT_S = 10.0

SourceUid = str


def _shut(connection: AssociationSocket) -> None:
    """Close a socket that was never connected too, which pynetdicom 3.0.4 leaves open after a refused connection."""
    plain = connection.socket
    if plain is not None:
        with contextlib.suppress(OSError):
            plain.shutdown(socket.SHUT_RDWR)
        plain.close()


AssociationSocket._shutdown_socket = _shut  # noqa: SLF001 - there is no other place


def numbered(template: bytes, run: str, number: int) -> Dataset:
    """The template as an instance, a study and a patient of its own.

    Args:
        template: a DICOM file.
        run: tells runs apart.
        number: which instance.
    """
    dataset = dcmread(io.BytesIO(template))

    def uid(what: str) -> UID:
        return UID(f"2.25.{int(hashlib.sha256(f'{run} {what} {number}'.encode()).hexdigest()[:30], 16)}")

    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid("instance")
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid("study"), uid("series")
    dataset.PatientID, dataset.PatientName = f"{run}-{number}", f"RELIABILITY^{number}"
    return dataset


@dataclass
class Load:
    """The modality's thread.

    Args:
        port: of the node.
        make: an instance by its number.
        pause_s: between two instances.
        most: instances to send; None for no end.

    Attributes:
        acknowledged: when each instance was, by its UID.
        failed: attempts that were not acknowledged, by why.
    """

    port: int
    make: Callable[[int], Dataset]
    pause_s: float = 0.0
    most: int | None = None
    acknowledged: dict[SourceUid, float] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modality", daemon=True)
        self._association: Association | None = None
        self.done = threading.Event()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the instance that is being sent."""
        self._stopping.set()
        self._thread.join(3 * _TIMEOUT_S)
        if self._association is not None and self._association.is_alive():
            self._association.abort()

    def _run(self) -> None:
        number = 0
        while not self._stopping.is_set() and number != self.most:
            dataset = self.make(number)
            while not self._stopping.is_set() and not self._sent(dataset):
                self._stopping.wait(0.05)
            number += 1
            self._stopping.wait(self.pause_s)
        if self._association is not None and self._association.is_established:
            self._association.release()
        self.done.set()

    def _sent(self, dataset: Dataset) -> bool:
        """Send once; whether it was acknowledged."""
        association = self._association
        if association is None or not association.is_established:
            association = self._association = associated(self.port, str(dataset.SOPClassUID), dataset)
        if association is None:
            return self._failed("no association")
        try:
            status = association.send_c_store(dataset)
        except (RuntimeError, ValueError):
            return self._failed("association lost")
        if "Status" not in status:
            return self._failed("no answer")
        if status.Status != _SUCCESS:
            return self._failed(f"0x{status.Status:04X}")
        self.acknowledged[str(dataset.SOPInstanceUID)] = time.monotonic()
        return True

    def _failed(self, why: str) -> bool:
        self.failed[why] = self.failed.get(why, 0) + 1
        return False


def associated(port: int, sop_class: str, dataset: Dataset) -> Association | None:
    """An association with the node for instances like this one; None where there is none to be had."""
    entity = AE(PEER)
    entity.add_requested_context(sop_class, dataset.file_meta.TransferSyntaxUID)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = _TIMEOUT_S
    association = entity.associate("127.0.0.1", port, ae_title="EDGESACRO")
    return association if association.is_established else None
