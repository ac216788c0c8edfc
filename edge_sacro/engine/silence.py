"""Two vendors report usage over the network, unasked, as soon as they are imported. A console keeps to itself.

ONNX Runtime 1.31.1 for Linux asks for its collector's address from a thread of its own (1.23.2 did not), after
``disable_telemetry_events`` too; its variable keeps it from that, set before the first import. ``import openvino``
imports ``openvino_telemetry``, which sends; where that cannot be imported, OpenVINO takes its own stand-in.
"""

from __future__ import annotations

import os
import sys

VARIABLE = "ORT_DISABLE_TELEMETRY"
"""What ONNX Runtime reads."""

REPORTER = "openvino_telemetry"
"""The package that OpenVINO reports through."""


def silence() -> None:
    """Keep ONNX Runtime and OpenVINO, imported after this, from reaching for the network."""
    os.environ[VARIABLE] = "1"
    sys.modules.setdefault(REPORTER, None)  # type: ignore[arg-type] # None: an import of it fails (importlib's docs)
