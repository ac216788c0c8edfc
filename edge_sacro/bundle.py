"""The model bundle: a folder or a zip file with a manifest, read whole and checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edge_sacro.bundle_files import Hashed, files_from_path
from edge_sacro.errors import (
    BundleContractBroken,
    BundleFileCorrupt,
    BundleManifestInvalid,
    BundleNotFound,
    EdgeSacroError,
    UsageError,
)
from edge_sacro.manifest import MANIFEST_NAME, Manifest, NetworkName, Precision, manifest_from_json
from edge_sacro.trust import SIGNATURE_NAME, Signature, Trust, signature_from_json

DEMONSTRATION = "demonstration"
"""Name of the bundle inside the wheel."""

MANIFEST_LIMIT = 4 << 20
"""Bytes that a manifest may have."""


@dataclass(frozen=True)
class Bundle:
    """A bundle that has passed every check.

    Attributes:
        manifest: checked against its schema.
        fingerprint: one SHA-256 for manifest and files together.
        files: every file's bytes by its name, the manifest and its signature apart. A folder's are read when they are
            asked for; one that has changed since it was checked is an error then.
        path: where it was read from.
        manifest_json: the manifest as it stands in the bundle: what is signed.
        signature: as the bundle has it; it proves nothing where ``signed_by`` is None.
        signed_by: identifier of the pinned key that the signature was verified with; None where no key is pinned.
    """

    manifest: Manifest
    fingerprint: str
    files: Mapping[str, bytes]
    path: str
    manifest_json: bytes
    signature: Signature | None = None
    signed_by: str | None = None

    def model(self, network: NetworkName, precision: Precision, backend: str) -> bytes:
        """The ONNX file of a network for a backend.

        Raises:
            UsageError: the bundle has no such precision.
            BundleFileCorrupt: the file has changed since it was checked.
        """
        return self.files[self.model_file(network, precision, backend)]

    def model_file(self, network: NetworkName, precision: Precision, backend: str) -> str:
        """The name of that file; errors are those of ``model``, as far as it is not read."""
        try:
            return self.manifest.networks[network].file(precision, backend)
        except KeyError as error:
            known = ", ".join(sorted(self.manifest.precisions))
            raise UsageError(f"the bundle has no precision {error}; it has {known}", source="precision") from error

    def without_files(self) -> Bundle:
        """The same for whoever has opened the networks: a zip file's, often hundreds of megabytes, go."""
        return replace(self, files={})


def load_bundle(path: str | Path = DEMONSTRATION, trust: Trust | None = None) -> Bundle:
    """Read a bundle whole and check it.

    Args:
        path: a folder, a zip file, or ``"demonstration"`` for the one that ships with Edge-Sacro.
        trust: the keys that the site has pinned; only a bundle signed by one of them passes then. None: any does.

    Raises:
        BundleNotFound: there is neither.
        BundleNotTrusted: the signature is malformed; with ``trust`` also where it is absent, another key's or wrong.
        BundleManifestInvalid: the manifest is not what its schema says.
        BundleFileCorrupt: a file is absent, unlisted, listed twice or differs from its hash.
        BundleContractBroken: an engine's seal is that of another file.
        BundleRolledBack: the site has taken a later one.
        OutputNotWritten: the site's memory of sequences cannot be written.
    """
    examination = Examination(path, trust)
    for check in examination.checks():
        if check.error is not None:
            raise check.error
    if examination.bundle is None:
        raise BundleNotFound("it was not examined to the end", source=str(path))
    return examination.bundle


@dataclass(frozen=True)
class Check:
    """One check of a bundle: what was held against what.

    Attributes:
        name: of the file, or of the check.
        found: what it found, where it passed.
        error: why the bundle is refused; None where the check passed.
        verified: False where there was nothing to hold it against, as a signature without a pinned key.
    """

    name: str
    found: str
    error: EdgeSacroError | None = None
    verified: bool = True


class Examination:
    """Every check of a bundle, one after the other: the signature before anything that it covers is believed.

    Args:
        path: as :func:`load_bundle`.
        trust: as :func:`load_bundle`.

    Attributes:
        bundle: there when :meth:`checks` has ended and each of them passed; None before, and else.
    """

    def __init__(self, path: str | Path, trust: Trust | None = None) -> None:
        self.bundle: Bundle | None = None
        self._path = str(path)
        self._place = Path(__file__).parent / "bundles" / DEMONSTRATION if self._path == DEMONSTRATION else Path(path)
        self._trust = trust
        self._files: Mapping[str, bytes] = {}
        self._checked: Mapping[str, Hashed] = {}
        self._manifest_json = b""
        self._signature_json: bytes | None = None
        self._manifest: Manifest | None = None
        self._signature: Signature | None = None
        self._signed_by: str | None = None

    def checks(self) -> Iterator[Check]:
        """Make the checks as they are asked for; one that fails ends those that need what it should have found.

        The site's memory takes the sequence with the last one, if all before it passed.
        """
        passed = True
        for check in self._checks_of_content():
            passed &= check.error is None
            yield check
        manifest, trust = self._manifest, self._trust
        if manifest is None:
            return
        if trust is not None:
            check = _checked("sequence", lambda: self._check_sequence(manifest, trust, remember=passed))
            passed &= check.error is None
            yield check
        if passed:
            self.bundle = Bundle(
                manifest,
                manifest.fingerprint(),
                self._files,
                self._path,
                self._manifest_json,
                self._signature,
                self._signed_by,
            )

    def _checks_of_content(self) -> Iterator[Check]:
        check = _checked("container", self._read)
        yield check
        if check.error is not None:
            return
        yield replace(_checked(SIGNATURE_NAME, self._check_signature), verified=self._trust is not None)
        yield _checked(MANIFEST_NAME, self._check_manifest)
        manifest = self._manifest
        if manifest is None:
            return
        for name in sorted({*self._files, *manifest.files}):
            yield _checked(name, partial(self._check_file, manifest, name))

    def _read(self) -> str:
        files = files_from_path(self._place, self._path)
        if MANIFEST_NAME not in files:
            raise BundleNotFound(f"it holds no {MANIFEST_NAME}", source=self._path)
        self._manifest_json, self._signature_json = files[MANIFEST_NAME], files.get(SIGNATURE_NAME)
        content = files.without({MANIFEST_NAME, SIGNATURE_NAME})
        self._files, self._checked = content, content.checked
        kind, size = "folder" if self._place.is_dir() else "zip file", sum(each.size for each in files.checked.values())
        return f"{kind}, {len(files)} files, {size} bytes"

    def _check_signature(self) -> str:
        self._signature = signature_from_json(self._signature_json, self._path)
        if self._trust is None:
            what = "none" if self._signature is None else f"says that it is of the key {self._signature.key_id[:16]}…"
            return f"{what}; no key is pinned here"
        self._signed_by = self._trust.verify(self._manifest_json, self._signature, self._path)
        return f"of the pinned key {self._signed_by[:16]}…"

    def _check_manifest(self) -> str:
        source = f"{self._path}: {MANIFEST_NAME}"
        if len(self._manifest_json) > MANIFEST_LIMIT:
            raise BundleManifestInvalid(f"it has more than {MANIFEST_LIMIT} bytes", source=source)
        self._manifest = manifest_from_json(self._manifest_json, source)
        return f"{self._manifest.name} {self._manifest.version}, system {self._manifest.system}"

    def _check_file(self, manifest: Manifest, name: str) -> str:
        source = f"{self._path}: {name}"
        if name not in manifest.files:
            raise BundleFileCorrupt("the manifest does not list it", source=source)
        if name not in self._files:
            raise BundleFileCorrupt("the manifest lists it and it is absent", source=source)
        (found, size), expected = self._checked[name], manifest.files[name]
        if found != expected:
            raise BundleFileCorrupt(f"its SHA-256 is {found[:16]}…, the manifest says {expected[:16]}…", source=source)
        for engine in manifest.engines:
            if engine.file == name and engine.seal.engine_sha256 != found:
                raise BundleContractBroken("the engine's seal is that of another file", source=source)
        return f"{size} bytes, SHA-256 {found[:16]}…"

    def _check_sequence(self, manifest: Manifest, trust: Trust, remember: bool) -> str:
        if trust.state is None:
            return f"{manifest.sequence}; no memory of sequences is kept"
        seen = trust.check_sequence(manifest, self._path)
        if remember:
            trust.remember(manifest, self._path)
        before = "none of it was taken here before" if seen is None else f"highest taken here before: {seen}"
        return f"{manifest.sequence}; {before}"


def _checked(name: str, step: Callable[[], str]) -> Check:
    try:
        return Check(name, step())
    except EdgeSacroError as error:
        return Check(name, "", error)
