"""ONNX Runtime's wheel sends usage data over HTTPS from a thread of its own: 1.31.1 for Linux does, 1.23.2 did not.

``disable_telemetry_events`` does not keep 1.31.1 from asking for the collector's address; the variable does, and has to
be set before the first import. A console has nothing to say to anybody.
"""

from __future__ import annotations

import os

VARIABLE = "ORT_DISABLE_TELEMETRY"
"""What ONNX Runtime reads."""


def silence() -> None:
    """Keep ONNX Runtime, imported after this, from reaching for the network."""
    os.environ[VARIABLE] = "1"
