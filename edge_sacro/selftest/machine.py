"""Checks of the machine around the assessment: disk, clock, certificates, and the files of the installation."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sacro.errors import EdgeSacroError
from edge_sacro.kit.installer.manifest import MANIFEST_NAME, manifest_from_json
from edge_sacro.kit.installer.steps import sha256_of
from edge_sacro.selftest.document import Check

if TYPE_CHECKING:
    from edge_sacro.node.config import NodeConfig

CERTIFICATE_DAYS = 30
"""How long before its end a certificate is warned of: time enough for a site to have a new one made."""

CLOCK_STEP_S = 1.0
"""How far wall clock and monotonic clock may part during a selftest: a step by hand, or a clock that is lost."""

FUTURE_DAYS = 3650
"""A clock so long after the release is set wrong, or the release is too old to be trusted unseen."""

_MEGABYTE = 1_000_000
_NAMED = 5


def disk_check(folder: Path, reserve_mb: int, instance_mb: int, free: int | None = None) -> Check:
    """Whether there is room for the largest instance above what a node keeps free.

    Args:
        folder: whose file system is looked at.
        reserve_mb: what a node keeps free, megabytes of 10^6 bytes.
        instance_mb: the largest instance that it takes.
        free: bytes, in place of what the system says.
    """
    needed = reserve_mb + instance_mb
    try:
        left = (shutil.disk_usage(folder).free if free is None else free) // _MEGABYTE
    except OSError as error:
        return Check(name=f"disk {folder}", status="failed", found=f"cannot be asked: {error.strerror}")
    return Check(
        name=f"disk {folder}",
        status="passed" if left >= needed else "failed",
        found=f"{left} MB free",
        allowed=f"{needed} MB or more: {reserve_mb} kept for results, {instance_mb} for the largest instance",
        remedy="" if left >= needed else "Make room, or shorten the node's retention.",
    )


class Clock:
    """The two clocks from when this is made on."""

    def __init__(self) -> None:
        self.begun = dt.datetime.now(dt.timezone.utc)
        self._wall, self._monotonic = time.time(), time.monotonic()

    def checks(self, earliest: str, now: float | None = None) -> Iterator[Check]:
        """Whether the clock may be right.

        Args:
            earliest: when the release was made, in UTC; no honest clock is before it.
            now: seconds since 1970, in place of what the system says.
        """
        wall = time.time() if now is None else now
        found = dt.datetime.fromtimestamp(wall, dt.timezone.utc)
        least = dt.datetime.fromisoformat(earliest.replace("Z", "+00:00"))
        right = least <= found <= least + dt.timedelta(days=FUTURE_DAYS)
        yield Check(
            name="clock",
            status="passed" if right else "failed",
            found=f"{found:%Y-%m-%dT%H:%M:%SZ}",
            allowed=f"not before {least:%Y-%m-%dT%H:%M:%SZ}, nor {FUTURE_DAYS} days after",
            remedy="" if right else "Set the clock: results and the audit trail bear its time.",
        )
        step = abs((wall - self._wall) - (time.monotonic() - self._monotonic))
        yield Check(
            name="clock, steps",
            status="passed" if step <= CLOCK_STEP_S else "failed",
            found=f"{step:.3f} s apart from the monotonic clock during the selftest",
            allowed=f"{CLOCK_STEP_S:g} s",
            remedy="" if step <= CLOCK_STEP_S else "Find out what sets the clock.",
        )
        yield _synchronised()


def _synchronised() -> Check:
    """What systemd says of the clock's synchronisation."""
    name, program = "clock, synchronised", shutil.which("timedatectl")
    if program is None:
        return Check(name=name, status="not judged", found="timedatectl is not here")
    done = subprocess.run(  # noqa: S603 - timedatectl, with constant arguments
        [program, "show", "--property=NTPSynchronized", "--value"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=30,
    )
    told = done.stdout.strip()
    if done.returncode != 0 or told not in {"yes", "no"}:
        return Check(name=name, status="not judged", found="timedatectl does not tell")
    return Check(
        name=name,
        status="passed" if told == "yes" else "warned",
        found=told,
        allowed="yes",
        remedy=""
        if told == "yes"
        else "Give the machine a time server of the site; by hand it has to be set now and then.",
    )


def certificate_checks(config: NodeConfig, now: dt.datetime | None = None) -> Iterator[Check]:
    """Until when each certificate of a node's configuration is valid."""
    places = {"dicom": config.dicom.tls, "http": config.http.tls}
    places |= {f"to {each.name}": each.tls for each in config.destinations}
    for where, tls in places.items():
        if tls is not None:
            yield _certificate(f"certificate, {where}", tls.certificate, now)
            yield _certificate(f"authority, {where}", tls.authority, now)


def _certificate(name: str, path: Path, now: dt.datetime | None) -> Check:
    try:
        from cryptography import x509
    except ImportError:
        return Check(name=name, status="failed", found="the package cryptography is absent", remedy="Install it.")
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        return Check(name=name, status="failed", found=f"cannot be read: {error}", remedy=f"Look at {path}.")
    first = max(each.not_valid_before_utc for each in certificates)
    last = min(each.not_valid_after_utc for each in certificates)
    moment = now or dt.datetime.now(dt.timezone.utc)
    days = (last - moment).days
    valid, soon = first <= moment <= last, days < CERTIFICATE_DAYS
    return Check(
        name=name,
        status="failed" if not valid else "warned" if soon else "passed",
        found=f"valid from {first:%Y-%m-%d} to {last:%Y-%m-%d}, {days} days left",
        allowed=f"valid now, and {CERTIFICATE_DAYS} days or more",
        remedy="" if valid and not soon else "Have a new one made and name it in the configuration.",
    )


def file_checks(release: Path) -> Iterator[Check]:
    """Hold the kit's files against its manifest, and every installed file against what was noted at installation."""
    yield _checked("files of the kit", lambda: _kit_files(release / "kit"))
    yield _checked("files of the installation", lambda: _installed_files(release))


def release_time(release: Path) -> str:
    """When the release's kit was built, in UTC.

    Raises:
        EdgeSacroError: there is no manifest, or it is none.
    """
    return manifest_from_json((release / "kit" / MANIFEST_NAME).read_bytes(), str(release)).created


def _kit_files(folder: Path) -> tuple[str, list[str]]:
    manifest = manifest_from_json((folder / MANIFEST_NAME).read_bytes(), str(folder))
    listed = {name: each.sha256 for name, each in manifest.files.items() if not name.startswith("wheels/")}
    wrong = [name for name, sha256 in sorted(listed.items()) if _digest(folder / name) != sha256]
    return f"{len(listed)} files", wrong


def _installed_files(release: Path) -> tuple[str, list[str]]:
    listed: dict[str, str] = json.loads((release / "files.json").read_bytes())["files"]
    wrong = [name for name, sha256 in sorted(listed.items()) if _digest(release / name) != sha256]
    there = {
        path.relative_to(release).as_posix()
        for part in ("kit", "venv")
        for path in (release / part).rglob("*")
        if path.is_symlink() or path.is_file()
    }
    return f"{len(listed)} files", wrong + [f"{name} (added)" for name in sorted(there - set(listed))]


def _digest(path: Path) -> str:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    return sha256_of(path) if path.is_file() else "absent"


def _checked(name: str, look: Callable[[], tuple[str, list[str]]]) -> Check:
    try:
        found, wrong = look()
    except (OSError, ValueError, KeyError, EdgeSacroError) as error:
        return Check(name=name, status="failed", found=str(error), remedy="Install the kit again.")
    named = ", ".join(wrong[:_NAMED]) + (", …" if len(wrong) > _NAMED else "")
    return Check(
        name=name,
        status="failed" if wrong else "passed",
        found=f"{found}, {len(wrong)} changed, absent or added: {named}" if wrong else f"{found}, none changed",
        allowed="as installed",
        remedy="Find out who changed it, then install the kit again." if wrong else "",
    )
