"""The licences of everything in a kit, as its wheels and its bundle state them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

from edge_sacro.bundle import Bundle
from edge_sacro.kit.wheels import Wheel

_TEXT = re.compile(
    r"[^/]+\.dist-info/(?:licen[sc]es?/)?(?:.*/)?((?:licen[sc]e|copying|notice|third|authors)[^/]*)", re.I
)
_IN_METADATA = re.compile(r"[^/]+\.dist-info/licen[sc]es?/(.+)", re.IGNORECASE)


def write_licences(wheels: Sequence[Wheel], bundle: Bundle, folder: Path) -> None:
    """Write every licence's text below a folder of its distribution, and ``LICENCES.txt`` as a table of all.

    Args:
        wheels: of the kit.
        bundle: of the kit.
        folder: to make.
    """
    folder.mkdir()
    lines = []
    for wheel in wheels:
        count = _copied(wheel, folder / wheel.name)
        lines.append(f"{wheel.name} {wheel.version}: {licence_of(wheel)} ({count} texts)\n")
    manifest = bundle.manifest
    lines.append(f"bundle {manifest.name} {manifest.version}: {manifest.licence}\n")
    lines += [f"  {credit}\n" for credit in manifest.credits]
    (folder / "LICENCES.txt").write_text("".join(lines))


def licence_of(wheel: Wheel) -> str:
    """What a wheel says of its licence: SPDX expression, else the licence field's first line, else classifiers."""
    stated = wheel.metadata.get("License-Expression") or (wheel.metadata.get("License") or "").strip().split("\n")[0]
    if stated and stated.upper() != "UNKNOWN":
        return str(stated)
    classes = [str(each) for each in wheel.metadata.get_all("Classifier") or () if str(each).startswith("License ::")]
    return "; ".join(each.rpartition(" :: ")[2] for each in classes) or "not stated"


def _copied(wheel: Wheel, folder: Path) -> int:
    """Write the texts of one wheel; how many."""
    count = 0
    with ZipFile(wheel.path) as archive:
        for name in archive.namelist():
            found = _IN_METADATA.fullmatch(name) or _TEXT.fullmatch(name)
            if found is None or name.endswith("/"):
                continue
            folder.mkdir(exist_ok=True)
            count += 1
            safe = re.sub(r"[^A-Za-z0-9._+-]", "-", found[1]).strip(".-")[:150]
            (folder / f"{count:02d}-{safe}").write_bytes(archive.read(name))
    return count
