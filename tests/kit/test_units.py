"""systemd's units: what they start, how they are watched, and what they may not do."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

UNITS = ROOT / "edge_sacro" / "kit" / "carried" / "systemd"
HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "CapabilityBoundingSet": "",
    "SystemCallFilter": "@system-service",
    "SystemCallArchitectures": "native",
    "LimitCORE": "0",
    "UMask": "0077",
    "RestrictNamespaces": "yes",
    "LockPersonality": "yes",
    "User": "edge-sacro",
}


def _unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=True, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / name)
    return parser


@pytest.mark.parametrize("name", ["edge-sacro.service", "edge-sacro-selftest.service"])
def test_a_service_may_do_no_more_than_it_has_to(name: str) -> None:
    service = _unit(name)["Service"]
    assert {key: service.get(key) for key in HARDENED} == HARDENED
    assert "MemoryMax" in service
    assert service["ExecStart"].startswith("/opt/edge-sacro/current/venv/bin/edge-sacro ")


def test_the_node_is_watched_and_started_again() -> None:
    service = _unit("edge-sacro.service")["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0
    assert service["Restart"] == "on-failure"
    assert set(service["RestrictAddressFamilies"].split()) == {"AF_UNIX", "AF_INET", "AF_INET6"}


def test_the_selftest_runs_daily_and_without_a_network() -> None:
    service = _unit("edge-sacro-selftest.service")["Service"]
    assert (service["PrivateNetwork"], service["RestrictAddressFamilies"]) == ("yes", "AF_UNIX")
    timer = _unit("edge-sacro-selftest.timer")["Timer"]
    assert timer["OnCalendar"].startswith("*-*-* ")
    assert timer["Persistent"] == "yes"


def test_the_commands_in_the_units_exist() -> None:
    from edge_sacro.cli import main

    for name in ("edge-sacro.service", "edge-sacro-selftest.service"):
        _, command, *options = _unit(name)["Service"]["ExecStart"].split()
        known = {flag for each in main.commands[command].params for flag in each.opts}
        assert {each for each in options if each.startswith("--")} <= known


def test_systemd_itself_takes_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    (tmp_path / "edge-sacro").write_text("#!/bin/sh\n")
    (tmp_path / "edge-sacro").chmod(0o755)
    for path in UNITS.glob("edge-sacro*.*"):
        text = path.read_text().replace("/opt/edge-sacro/current/venv/bin/edge-sacro", str(tmp_path / "edge-sacro"))
        (tmp_path / path.name).write_text(re.sub("(?m)^Documentation=.*\n", "", text))
    units = [str(path) for path in sorted(tmp_path.glob("*.service")) + sorted(tmp_path.glob("*.timer"))]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )
    ours = [line for line in done.stderr.splitlines() if "edge-sacro" in line and "is not executable" not in line]
    assert not ours, done.stderr
