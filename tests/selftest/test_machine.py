"""Disk, clock, certificates and the files of an installation: each fault is found, and what is right passes."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_sacro.kit.installer.steps import hashes_of
from edge_sacro.node.config import Dicom, NodeConfig, Tls
from edge_sacro.selftest import machine
from edge_sacro.selftest.machine import Clock, certificate_checks, disk_check, file_checks, release_time

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.timezone.utc)


@pytest.mark.parametrize(("free_mb", "status"), [(456, "passed"), (455, "failed"), (0, "failed")])
def test_a_full_disk_fails(tmp_path: Path, free_mb: int, status: str) -> None:
    assert disk_check(tmp_path, 200, 256, free=free_mb * 1_000_000).status == status


def test_the_disk_of_a_folder_that_is_absent_fails(tmp_path: Path) -> None:
    assert disk_check(tmp_path / "absent", 1, 1).status == "failed"


@pytest.mark.parametrize(("days", "status"), [(-1, "failed"), (1, "passed"), (3649, "passed"), (3651, "failed")])
def test_a_clock_before_the_release_or_far_after_it_fails(days: int, status: str) -> None:
    now = (NOW + dt.timedelta(days=days)).timestamp()
    assert next(Clock().checks(NOW.isoformat(), now)).status == status


def test_a_clock_that_is_set_during_the_selftest_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, now = Clock(), time.time()
    steps = [each for each in clock.checks("2026-01-01T00:00:00Z", now) if each.name == "clock, steps"]
    assert [each.status for each in steps] == ["passed"]
    steps = [each for each in clock.checks("2026-01-01T00:00:00Z", now + 5) if each.name == "clock, steps"]
    assert [each.status for each in steps] == ["failed"]


@pytest.mark.parametrize(("told", "status"), [("yes", "passed"), ("no", "warned"), ("", "not judged")])
def test_what_systemd_says_of_the_clock_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, status: str
) -> None:
    program = tmp_path / "timedatectl"
    program.write_text(f"#!/bin/sh\necho {told}\n")
    program.chmod(0o755)
    monkeypatch.setattr(machine.shutil, "which", lambda _: str(program))
    assert list(Clock().checks("2026-01-01T00:00:00Z"))[-1].status == status


def _certificate(path: Path, first: dt.datetime, last: dt.datetime) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(first).not_valid_after(last)
    path.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


def _config(folder: Path, certificate: Path, authority: Path) -> NodeConfig:
    tls = Tls(certificate=certificate, key=folder / "key", authority=authority)
    return NodeConfig(folder=folder, dicom=Dicom(tls=tls))


@pytest.mark.parametrize(
    ("begins", "ends", "status"),
    [(-10, 31, "passed"), (-10, 29, "warned"), (-10, -1, "failed"), (1, 100, "failed")],
)
def test_a_certificate_is_told_of_before_it_ends(tmp_path: Path, begins: int, ends: int, status: str) -> None:
    day = dt.timedelta(days=1)
    good = _certificate(tmp_path / "good.pem", NOW - day, NOW + 400 * day)
    tried = _certificate(tmp_path / "tried.pem", NOW + begins * day, NOW + ends * day)
    found = [each.status for each in certificate_checks(_config(tmp_path, tried, good), NOW)]
    assert found == [status, "passed"]
    found = [each.status for each in certificate_checks(_config(tmp_path, good, tried), NOW)]
    assert found == ["passed", status]


def test_a_certificate_that_is_none_or_absent_fails(tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("none")
    config = _config(tmp_path, tmp_path / "none.pem", tmp_path / "absent.pem")
    assert [each.status for each in certificate_checks(config, NOW)] == ["failed", "failed"]


def test_a_node_without_certificates_has_none_to_check(tmp_path: Path) -> None:
    assert list(certificate_checks(NodeConfig(folder=tmp_path))) == []


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release as the installer leaves it."""
    from tests.kit.kits import manifest_of

    folder = tmp_path / "release"
    for name in ("kit/bundle", "venv/lib"):
        (folder / name).mkdir(parents=True)
    files = {"bundle/model.onnx": b"model", "wheels/gone.whl": b"wheel"}
    (folder / "kit" / "MANIFEST.json").write_text(json.dumps(manifest_of(files)))
    (folder / "kit" / "bundle" / "model.onnx").write_bytes(b"model")
    (folder / "venv" / "lib" / "code.py").write_text("code")
    (folder / "venv" / "lib" / "link").symlink_to("code.py")
    (folder / "files.json").write_bytes(hashes_of(folder))
    return folder


def test_the_files_as_they_were_installed_pass(release: Path) -> None:
    assert [each.status for each in file_checks(release)] == ["passed", "passed"]
    assert release_time(release) == "2026-01-01T00:00:00Z"
    noted = json.loads((release / "files.json").read_text())["files"]
    assert noted["venv/lib/code.py"] == hashlib.sha256(b"code").hexdigest()


def _relinked(release: Path) -> None:
    (release / "venv" / "lib" / "link").unlink()
    (release / "venv" / "lib" / "link").symlink_to("/etc/passwd")


SPOILT: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "a changed model": (lambda r: (r / "kit/bundle/model.onnx").write_bytes(b"other"), ["failed", "failed"]),
    "an absent model": (lambda r: (r / "kit/bundle/model.onnx").unlink(), ["failed", "failed"]),
    "changed code": (lambda r: (r / "venv/lib/code.py").write_text("other"), ["passed", "failed"]),
    "absent code": (lambda r: (r / "venv/lib/code.py").unlink(), ["passed", "failed"]),
    "added code": (lambda r: (r / "venv/lib/evil.py").write_text("evil"), ["passed", "failed"]),
    "another link": (_relinked, ["passed", "failed"]),
    "no manifest": (lambda r: (r / "kit/MANIFEST.json").unlink(), ["failed", "failed"]),
    "no hashes": (lambda r: (r / "files.json").write_text("{}"), ["passed", "failed"]),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_changed_absent_or_added_file_fails(release: Path, fault: str) -> None:
    spoil, statuses = SPOILT[fault]
    spoil(release)
    assert [each.status for each in file_checks(release)] == statuses
