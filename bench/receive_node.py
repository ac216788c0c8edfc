"""The node's receiver alone, in a process of its own, for ``python -m bench receive``; it ends with its input."""

from __future__ import annotations

import sys
from pathlib import Path

from edge_sacro.node.config import Dicom, Limits, Peer
from edge_sacro.node.guard import bounds_from_limits
from edge_sacro.node.halt import Halt
from edge_sacro.node.intake import Intake
from edge_sacro.node.journal import Journal
from edge_sacro.node.receive import Receiver
from edge_sacro.node.spool import Spool
from edge_sacro.node.store import Store


def main(folder: Path, ae_title: str, caller: str) -> None:
    """Receive into a folder; the first line of output is the port."""
    journal = Journal(path=folder / "log")
    store = Store(folder / "queue.sqlite")
    limits = Limits()
    spool = Spool(folder / "node", limits.disk_reserve_mb * 1_000_000)
    dicom = Dicom(ae_title=ae_title, port=0, peers=(Peer(ae_title=caller),))
    receiver = Receiver(dicom, bounds_from_limits(limits), Intake(spool, store, journal, limits.queue), journal, Halt())
    receiver.start()
    print(receiver.port, flush=True)
    sys.stdin.read()
    receiver.stop()
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
