"""The log of a node that has an audit trail: what peers were kept from doing stands in the trail too."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from edge_sacro.errors import NodeError
from edge_sacro.node.audit import AuditTrail
from edge_sacro.node.journal import Journal, Value

ALERTS = frozenset({"peer_cut", "peer_rejected", "http_refused"})
"""Events that are security alerts. Whoever tells them bounds how often, so that an attack does not fill the disk."""


class AlertingJournal(Journal):
    """A log whose security alerts are recorded in the audit trail, not synced for themselves.

    Args:
        stream, path: as of the log.
    """

    def __init__(self, stream: TextIO | None = None, path: Path | None = None) -> None:
        super().__init__(stream, path)
        self.trail: AuditTrail | None = None

    def event(self, name: str, **fields: Value) -> None:
        """As of the log."""
        if name in ALERTS and self.trail is not None:
            try:
                self.trail.append("alert", sync=False, alert=name, **fields)
            except NodeError as error:
                fields = {**fields, "not_in_audit_trail": error.code}
        super().event(name, **fields)
