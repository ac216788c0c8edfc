"""A kit's manifest: every file with its size and SHA-256, what it is for, and its place in the order of releases."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_sacro.errors import KitCorrupt, KitError

MANIFEST_NAME, SIGNATURE_NAME = "MANIFEST.json", "MANIFEST.json.sig"
"""The first two members of a kit; all others are listed in the first."""

SCHEMA = "edge-sacro-kit-1"
MANIFEST_LIMIT, COUNT_LIMIT, SIZE_LIMIT = 16 << 20, 20_000, 16 << 30
"""Bytes of a manifest, files of a kit, and bytes of them all."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}(/[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}){0,9}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:(a|b|rc|\.dev)(\d{1,6}))?")
_STAGES = {".dev": 0, "a": 1, "b": 2, "rc": 3, None: 4}

Order = tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """One file: its size in bytes and its SHA-256 in hexadecimal digits."""

    size: int
    sha256: str


@dataclass(frozen=True)
class KitManifest:
    """A manifest that is what the schema says.

    Attributes:
        name: of the kit, and of the folder that all its members stand in.
        version: of Edge-Sacro.
        sequence: tells releases of one version apart, as those with another bundle.
        target: such as ``jetson-jp6``.
        machine: what ``uname -m`` says there.
        python: version with which the wheels work, such as ``3.10``.
        glibc: least version that the wheels work with.
        system_site_packages: whether the installation sees packages of the system, as TensorRT on a Jetson.
        created: when it was built, in UTC, ``2026-01-31T12:00:00Z``.
        bundle: name, version, fingerprint and statement of the bundle.
        files: every file by its name, this one and its signature apart.
        sha256: of the manifest's bytes: one name for the whole kit.
    """

    name: str
    version: str
    sequence: int
    target: str
    machine: str
    python: str
    glibc: str
    system_site_packages: bool
    created: str
    bundle: Mapping[str, Any]
    files: Mapping[str, Entry]
    sha256: str

    @property
    def order(self) -> Order:
        """Its place among releases: a later one is larger."""
        return (*order_from_version(self.version), self.sequence)

    @property
    def release(self) -> str:
        """What its installation is called."""
        return f"{self.version}-{self.sequence}-{self.sha256[:12]}"


def order_from_version(version: str) -> Order:
    """A version's place in the order of versions, PEP 440's as far as ours go: 1.0.0.dev1, 1.0.0a1, 1.0.0rc1, 1.0.0.

    Raises:
        KitError: it has another form.
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        raise KitError(f"{version!r} is no version of ours", source="version")
    return (int(found[1]), int(found[2]), int(found[3]), _STAGES[found[4]], int(found[5] or 0))


def is_safe_name(name: str) -> bool:
    """Whether a name is one that stays below its folder: no ``..``, no leading slash or dot, no odd character."""
    return _NAME.fullmatch(name) is not None


def manifest_from_json(text: bytes, source: str) -> KitManifest:
    """Read a manifest.

    Raises:
        KitCorrupt: it is none.
    """
    place = f"{source}: {MANIFEST_NAME}"
    if len(text) > MANIFEST_LIMIT:
        raise KitCorrupt(f"it has more than {MANIFEST_LIMIT} bytes", source=place)
    try:
        document = json.loads(text)
        manifest = _manifest(document, hashlib.sha256(text).hexdigest())
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise KitCorrupt(f"it is no manifest of a kit: {error}", source=place) from error
    except KitError as error:
        raise KitCorrupt(error.what, source=place) from error
    return manifest


def _manifest(document: Any, sha256: str) -> KitManifest:
    if not isinstance(document, dict) or document.pop("schema") != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA}")
    files = document.pop("files")
    if not isinstance(files, dict) or not 0 < len(files) <= COUNT_LIMIT:
        raise ValueError(f"files: 1 to {COUNT_LIMIT} are allowed")
    entries = {name: _entry(name, entry) for name, entry in files.items()}
    folded = {name.casefold() for name in entries}
    if len(folded) != len(entries):
        raise ValueError("files: two names differ in case alone")
    if any(parent in folded for name in folded for parent in _parents(name)):
        raise ValueError("files: a name is a file and a folder")
    if sum(entry.size for entry in entries.values()) > SIZE_LIMIT:
        raise ValueError(f"files: more than {SIZE_LIMIT} bytes in all")
    kinds = {"sequence": int, "system_site_packages": bool, "bundle": dict}
    for key in ("name", "version", "sequence", "target", "machine", "python", "glibc", "created"):
        kind = kinds.get(key, str)
        if type(document[key]) is not kind:
            raise ValueError(f"{key}: not of the type {kind.__name__}")
    if any(not _WORD.fullmatch(document[key]) for key in ("name", "target", "machine", "python", "glibc")):
        raise ValueError("name, target, machine, python and glibc are single words")
    if document["sequence"] < 0:
        raise ValueError("sequence: below 0")
    order_from_version(document["version"])
    return KitManifest(files=entries, sha256=sha256, **document)


def _entry(name: str, entry: Any) -> Entry:
    if not is_safe_name(name) or name in {MANIFEST_NAME, SIGNATURE_NAME}:
        raise ValueError(f"files: {name!r} is no name that a kit may hold")
    size, sha256 = entry["size"], entry["sha256"]
    if set(entry) != {"size", "sha256"} or type(size) is not int or not 0 <= size <= SIZE_LIMIT:
        raise ValueError(f"files: {name}: no size and SHA-256")
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(f"files: {name}: no SHA-256")
    return Entry(size, sha256)


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]
