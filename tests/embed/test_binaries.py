"""What ships of the C interface: the header's functions and no other, for old systems too, built from its sources."""

from __future__ import annotations

import ctypes
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_sacro import embed
from edge_sacro.cli import main
from edge_sacro.embed import wire
from edge_sacro.errors import BackendUnavailable, InternalError
from edge_sacro.types import State

FUNCTIONS = [
    "es_close",
    "es_infer_bytes",
    "es_infer_file",
    "es_open",
    "es_result_crop_box",
    "es_result_demonstration",
    "es_result_free",
    "es_result_joint_box",
    "es_result_joint_probability",
    "es_result_joint_reason",
    "es_result_joint_state",
    "es_result_probability",
    "es_result_reason",
    "es_result_reason_code",
    "es_result_remedy",
    "es_result_report_json",
    "es_result_state",
    "es_result_statement",
    "es_status_text",
    "es_version",
]
OLDEST_GLIBC = (2, 17)
ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
HEADER = embed.HEADER.read_text()


def library(machine: str) -> Path:
    return embed.BINARIES / machine / "libedge_sacro.so"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def numbers(prefix: str, enumeration: str) -> dict[str, int]:
    """The constants of an enumeration of the header."""
    body = re.search(rf"typedef enum {enumeration} \{{(.*?)\}} {enumeration};", HEADER, re.DOTALL)
    assert body is not None
    return {name: int(value) for name, value in re.findall(rf"{prefix}_(\w+) = (\d+)", body[1])}


def test_binaries_are_of_the_sources_that_come_with_them() -> None:
    manifest = json.loads((embed.BINARIES / "manifest.json").read_text())
    assert manifest["sources"] == {path.name: sha256(path) for path in embed.sources()}
    found = {f"{path.parent.name}/{path.name}": sha256(path) for path in embed.BINARIES.glob("*/*.so")}
    assert manifest["files"] == found
    assert set(found) == {f"{machine}/libedge_sacro.so" for machine in embed.MACHINES}


def test_the_header_tells_the_functions_that_are_pinned() -> None:
    assert sorted(set(re.findall(r"\b(es_\w+)\(", HEADER.split("*/", 1)[1]))) == FUNCTIONS


@pytest.mark.parametrize("machine", embed.MACHINES)
def test_the_library_exports_the_functions_of_the_header_and_no_other(machine: str) -> None:
    reader = shutil.which("readelf")
    if reader is None:
        pytest.skip("readelf is not here")
    done = subprocess.run([reader, "-W", "--dyn-syms", library(machine)], check=True, capture_output=True, text=True)
    rows = [line.split() for line in done.stdout.splitlines() if re.match(r"\s+\d+: ", line)]
    exported = [row[7] for row in rows if len(row) > 7 and row[4] in ("GLOBAL", "WEAK") and row[6] != "UND"]
    assert sorted(exported) == FUNCTIONS
    needed = subprocess.run([reader, "-W", "-d", library(machine)], check=True, capture_output=True, text=True).stdout
    allowed = {"libc.so.6", "ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2"}
    assert set(re.findall(r"NEEDED.*\[(.*)\]", needed)) <= allowed
    assert "BIND_NOW" in needed, "no function can be replaced once it is loaded"


@pytest.mark.parametrize("machine", embed.MACHINES)
def test_old_systems_can_load_it(machine: str) -> None:
    content = library(machine).read_bytes()
    assert content[:6] == b"\x7fELF\x02\x01"
    assert int.from_bytes(content[18:20], "little") == ELF_MACHINES[machine]
    versions = {tuple(map(int, found.split(b"."))) for found in re.findall(rb"GLIBC_([0-9.]+)", content)}
    assert max(versions) <= OLDEST_GLIBC
    assert len(content) < 100_000


def test_states_sides_and_statuses_are_those_of_the_python_side() -> None:
    states = numbers("ES", "es_state")
    assert states == {"NONE": 0, **{state.name: wire.STATES[state] for state in State}}
    statuses = numbers("ES", "es_status")
    mine = wire.STATUS_FAILED, wire.STATUS_DEADLINE, wire.STATUS_MEMORY
    assert (statuses["FAILED"], statuses["DEADLINE"], statuses["MEMORY"]) == mine
    assert f"#define ES_VERSION {wire.VERSION}u" in HEADER
    assert wire.RESULT.size == 6296
    assert (wire.ERROR.size, wire.HEAD.size, wire.REQUEST.size) == (2112, 24, 32)


def test_this_machines_library_loads_here() -> None:
    loaded = ctypes.CDLL(str(embed.library()))
    loaded.es_status_text.restype = ctypes.c_char_p
    assert loaded.es_version() == wire.VERSION
    assert loaded.es_status_text(4) == b"the deadline passed"


def test_the_command_prints_what_a_build_needs() -> None:
    runner = CliRunner()
    whole = runner.invoke(main, ["embed"]).output
    for path in (embed.HEADER, embed.library(), sys.executable):
        assert str(path) in whole
    assert runner.invoke(main, ["embed", "library"]).output.strip() == str(embed.library())
    assert runner.invoke(main, ["embed", "flags"]).output.startswith(f"-I{embed.FOLDER} ")


def test_a_library_that_was_not_built_here_is_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(embed.BINARIES, tmp_path / "binaries")
    monkeypatch.setattr(embed, "BINARIES", tmp_path / "binaries")
    assert embed.library().exists()
    embed.library().write_bytes(b"torn")
    with pytest.raises(InternalError, match="is not what was built"):
        embed.library()
    monkeypatch.setattr(embed.platform, "machine", lambda: "riscv64")
    with pytest.raises(BackendUnavailable, match="not for linux on riscv64"):
        embed.library()
