"""The model bundle: a folder or a zip file with a manifest, read whole and checked by hash before anything runs."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_sacro.errors import BundleError, BundleFileCorrupt, BundleNotFound, UsageError
from edge_sacro.manifest import MANIFEST_NAME, Manifest, NetworkName, Precision, manifest_from_json

DEMONSTRATION = "demonstration"
"""Name of the bundle inside the wheel."""

SIZE_LIMIT = 4 << 30
"""Bytes that a bundle may hold in all, unpacked; a bomb ends here."""


@dataclass(frozen=True)
class Bundle:
    """A bundle whose every file has met its hash.

    Attributes:
        manifest: checked against its schema.
        fingerprint: one SHA-256 for manifest and files together.
        files: every file's bytes by its name, the manifest apart.
        path: where it was read from.
    """

    manifest: Manifest
    fingerprint: str
    files: Mapping[str, bytes]
    path: str

    def model(self, network: NetworkName, precision: Precision, backend: str) -> bytes:
        """The ONNX file of a network for a backend.

        Raises:
            UsageError: the bundle has no such precision.
        """
        try:
            return self.files[self.manifest.networks[network].file(precision, backend)]
        except KeyError as error:
            known = ", ".join(sorted(self.manifest.precisions))
            raise UsageError(f"the bundle has no precision {error}; it has {known}", source="precision") from error


def load_bundle(path: str | Path = DEMONSTRATION) -> Bundle:
    """Read a bundle whole and check it.

    Args:
        path: a folder, a zip file, or ``"demonstration"`` for the one that ships with Edge-Sacro.

    Raises:
        BundleNotFound: there is neither.
        BundleManifestInvalid: the manifest is not what its schema says.
        BundleFileCorrupt: a file is absent, unlisted, listed twice or differs from its hash.
    """
    place = Path(__file__).parent / "bundles" / DEMONSTRATION if str(path) == DEMONSTRATION else Path(path)
    if place.is_dir():
        files = _files_of_folder(place)
    elif place.is_file():
        files = _files_of_zip(place)
    else:
        raise BundleNotFound("no such folder or file", source=str(path))
    if MANIFEST_NAME not in files:
        raise BundleNotFound(f"it holds no {MANIFEST_NAME}", source=str(path))
    manifest = manifest_from_json(files.pop(MANIFEST_NAME), f"{path}: {MANIFEST_NAME}")
    _check_files(manifest, files, str(path))
    return Bundle(manifest, manifest.fingerprint(), files, str(path))


def _check_files(manifest: Manifest, files: Mapping[str, bytes], path: str) -> None:
    for name in sorted(set(files) ^ set(manifest.files)):
        what = "the manifest does not list it" if name in files else "the manifest lists it and it is absent"
        raise BundleFileCorrupt(what, source=f"{path}: {name}")
    for name, expected in sorted(manifest.files.items()):
        found = hashlib.sha256(files[name]).hexdigest()
        if found != expected:
            raise BundleFileCorrupt(
                f"its SHA-256 is {found[:16]}…, the manifest says {expected[:16]}…", source=f"{path}: {name}"
            )


def _files_of_folder(folder: Path) -> dict[str, bytes]:
    entries = sorted(folder.iterdir())
    for entry in entries:
        if entry.is_symlink() or not entry.is_file():
            raise BundleFileCorrupt("a bundle holds plain files only", source=str(entry))
    if sum(entry.stat().st_size for entry in entries) > SIZE_LIMIT:
        raise BundleFileCorrupt(f"it holds more than {SIZE_LIMIT} bytes", source=str(folder))
    try:
        return {entry.name: entry.read_bytes() for entry in entries}
    except OSError as error:
        raise BundleError(f"it cannot be read: {error.strerror}", source=str(error.filename)) from error


def _files_of_zip(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            if len(set(names)) != len(names):
                raise BundleFileCorrupt("the zip file holds a name twice", source=str(path))
            if any(member.is_dir() or "/" in member.filename for member in members):
                raise BundleFileCorrupt("a bundle's zip file holds plain files only, without folders", source=str(path))
            if sum(member.file_size for member in members) > SIZE_LIMIT:
                raise BundleFileCorrupt(f"it unpacks to more than {SIZE_LIMIT} bytes", source=str(path))
            return {member.filename: archive.read(member) for member in members}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise BundleFileCorrupt(f"it is no readable zip file: {error}", source=str(path)) from error
