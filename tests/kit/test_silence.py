"""Nothing reaches for the network: a namespace without one would hide that something tries."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from edge_sacro.engine.silence import VARIABLE
from tests.conftest import ROOT

OPENED = """
import os
from edge_sacro.bundle import load_bundle
from edge_sacro.engine.saturation import check_int8
check_int8("onnxruntime")
print(os.environ["ORT_DISABLE_TELEMETRY"])
try:
    import openvino_telemetry
except ImportError:
    print("absent")
"""


def test_vendors_are_silenced_before_each_import() -> None:
    imports = 0
    for path in (ROOT / "edge_sacro").rglob("*.py"):
        lines = path.read_text().splitlines()
        for before, line in zip(["", *lines], lines, strict=False):
            if re.match(r"\s*(import|from) (onnxruntime|openvino)\b", line):
                imports += 1
                assert before.strip() == "silence()", path
    assert imports >= 7


def test_a_process_that_opened_a_network_is_silenced() -> None:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", OPENED], env=environment, cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["1", "absent"]


def test_the_units_say_it_too() -> None:
    for path in (ROOT / "edge_sacro" / "kit" / "carried" / "systemd").glob("*.service"):
        assert f"Environment={VARIABLE}=1" in path.read_text()
