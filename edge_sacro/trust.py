"""Whose bundles a site takes, and the highest sequence that it has seen of each: pinned keys, and a memory.

What is signed is ``manifest.json`` byte for byte behind a prefix of its own, so that the signature is checked before
anything in it is believed and no signature made for another purpose fits. The manifest holds the SHA-256 of every other
file, hence the signature covers the whole bundle. Ed25519 as in RFC 8032.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_sacro.bundle_files import write_atomically
from edge_sacro.errors import BundleError, BundleNotTrusted, BundleRolledBack, OutputNotWritten, UsageError
from edge_sacro.manifest import Manifest

SIGNATURE_NAME = "signature.json"
DOMAIN = b"edge-sacro bundle manifest 1\n"
"""Stands before the manifest in what is signed."""

SIGNATURE_LIMIT, KEY_LIMIT, STATE_LIMIT = 4 << 10, 16 << 10, 1 << 20
"""Bytes that a signature, a key's file and the memory of sequences may have."""

KeyId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Signature(BaseModel):
    """The content of ``signature.json``.

    Attributes:
        key_id: SHA-256 of the 32 bytes of the public key; a hint which one to use, and no proof of anything.
        signature: 64 bytes in hexadecimal digits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    algorithm: Literal["ed25519"] = "ed25519"
    key_id: KeyId
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]

    def canonical(self) -> bytes:
        """The one form in which a signature is written and taken."""
        return json.dumps(self.model_dump(), sort_keys=True, indent=2).encode() + b"\n"


class _Sequences(BaseModel):
    """The site's memory: highest sequence taken, by ``system/name`` of the bundle."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_version: Literal[1] = 1
    sequences: dict[str, Annotated[int, Field(ge=0)]] = {}


@dataclass(frozen=True)
class Trust:
    """The keys that a site has pinned, and where it remembers sequences.

    Attributes:
        keys: public Ed25519 keys, 32 bytes each; a bundle has to be signed by one of them.
        state: file of the memory, made by the first bundle that is taken; with None any sequence passes.
    """

    keys: tuple[bytes, ...]
    state: Path | None

    def __post_init__(self) -> None:
        if not self.keys or any(len(key) != 32 for key in self.keys):
            raise UsageError("one public key at least is needed, of 32 bytes each", source="trust")

    def verify(self, manifest: bytes, signature: Signature | None, source: str) -> str:
        """Check the signature over a manifest's bytes.

        Args:
            manifest: the file's bytes as they are.
            signature: None where the bundle has none.
            source: the bundle, for messages.

        Returns:
            the identifier of the pinned key that made it.

        Raises:
            BundleNotTrusted: there is none, it is another key's, or it is not of this manifest.
        """
        place = f"{source}: {SIGNATURE_NAME}"
        if signature is None:
            raise BundleNotTrusted("the bundle is not signed, and a key is pinned here", source=place)
        pinned = {key_id(key): key for key in self.keys}
        if signature.key_id not in pinned:
            known = ", ".join(f"{each[:16]}…" for each in sorted(pinned))
            raise BundleNotTrusted(f"it is of the key {signature.key_id[:16]}…, pinned here: {known}", source=place)
        if not _is_signed(pinned[signature.key_id], bytes.fromhex(signature.signature), DOMAIN + manifest):
            raise BundleNotTrusted("the signature is not that of this bundle's manifest.json", source=place)
        return signature.key_id

    def check_sequence(self, manifest: Manifest, source: str) -> int | None:
        """Hold a bundle against the memory.

        Returns:
            the highest sequence taken so far, or None where there is no memory of this bundle.

        Raises:
            BundleRolledBack: a later one was taken.
            BundleError: the memory cannot be read or is damaged; it is never begun anew over that.
        """
        return None if self.state is None else _check_sequence(_sequences(self.state), manifest, source, self.state)

    def remember(self, manifest: Manifest, source: str) -> None:
        """Take a bundle's sequence into the memory. To be called when every check of the bundle has passed.

        Raises:
            BundleRolledBack, BundleError: as :meth:`check_sequence`; another process may have been faster.
            OutputNotWritten: the memory cannot be written, so the bundle may not be used either.
        """
        if self.state is None or self.check_sequence(manifest, source) == manifest.sequence:
            return
        with _locked(self.state):
            known = _sequences(self.state)
            _check_sequence(known, manifest, source, self.state)
            changed = _Sequences(sequences={**known.sequences, _name(manifest): manifest.sequence})
            text = json.dumps(changed.model_dump(), sort_keys=True, indent=2) + "\n"
            write_atomically(self.state, text.encode(), mode=0o600)


def trust_from_files(keys: Sequence[str | Path], state: str | Path | None) -> Trust:
    """Pin the public keys of PEM files, one each, as ``edge-sacro bundle keygen`` and OpenSSL write them.

    Args:
        keys: paths, one at least.
        state: file of the site's memory of sequences; None for none.

    Raises:
        UsageError: a file is absent or holds no public Ed25519 key.
    """
    return Trust(tuple(_public_key_from_file(Path(key)) for key in keys), None if state is None else Path(state))


def default_state() -> Path:
    """Where a site remembers sequences if nothing else is said: the user's state folder (XDG).

    Raises:
        UsageError: the user has none.
    """
    try:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    except RuntimeError as error:
        raise UsageError(f"there is no folder for it: {error}", source="--state", remedy="Name a file.") from error
    return base / "edge-sacro" / "sequences.json"


def key_id(public_key: bytes) -> str:
    """The name of a key: SHA-256 of its 32 bytes, in hexadecimal digits."""
    return hashlib.sha256(public_key).hexdigest()


def signature_from_json(text: bytes | None, source: str) -> Signature | None:
    """Read a bundle's signature; nothing is verified by that. None where there is none.

    Raises:
        BundleNotTrusted: it is not exactly what ``edge-sacro bundle sign`` writes.
    """
    if text is None:
        return None
    place = f"{source}: {SIGNATURE_NAME}"
    if len(text) > SIGNATURE_LIMIT:
        raise BundleNotTrusted(f"a signature has not more than {SIGNATURE_LIMIT} bytes", source=place)
    try:
        signature = Signature.model_validate_json(text)
    except ValidationError as error:
        raise BundleNotTrusted(f"it is no signature: {_places(error)}", source=place) from error
    if signature.canonical() != text:
        raise BundleNotTrusted("it is not in the one form that signatures have", source=place)
    return signature


def needs_cryptography(error: ImportError) -> BundleError:
    """What to raise where the package is absent. Nothing passes unchecked instead."""
    return BundleError(
        f"signatures need the package cryptography, which cannot be imported: {error}",
        remedy="Install it: pip install 'edge-sacro[signing]'.",
    )


def _is_signed(public_key: bytes, signature: bytes, content: bytes) -> bool:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise needs_cryptography(error) from error
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _public_key_from_file(path: Path) -> bytes:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise needs_cryptography(error) from error
    remedy = "Give the .pub file that edge-sacro bundle keygen wrote."
    content = read_limited(path, KEY_LIMIT, remedy)
    if b"PRIVATE KEY" in content:
        raise UsageError("it holds a private key, which no site should have", source=str(path), remedy=remedy)
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"it is no public key in PEM: {error}", source=str(path), remedy=remedy) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("it is no Ed25519 key", source=str(path), remedy=remedy)
    return key.public_bytes_raw()


def read_limited(path: Path, limit: int, remedy: str) -> bytes:
    """A small file's bytes.

    Raises:
        UsageError: it cannot be read or has more bytes than the limit.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", source=str(path), remedy=remedy) from error
    if len(content) > limit:
        raise UsageError(f"it has more than {limit} bytes", source=str(path), remedy=remedy)
    return content


def _name(manifest: Manifest) -> str:
    return f"{manifest.system}/{manifest.name}"


def _check_sequence(known: _Sequences, manifest: Manifest, source: str, state: Path) -> int | None:
    seen = known.sequences.get(_name(manifest))
    if seen is not None and manifest.sequence < seen:
        raise BundleRolledBack(
            f"the sequence of {_name(manifest)} is {manifest.sequence}, and {state} says that {seen} was taken here",
            source=f"{source}: manifest.json",
        )
    return seen


def _sequences(state: Path) -> _Sequences:
    remedy = (
        "Restore the file from a copy. Only one who knows which bundle was the last may delete it, and then verifies "
        "that bundle first."
    )
    try:
        with state.open("rb") as file:
            content = file.read(STATE_LIMIT + 1)
        if len(content) > STATE_LIMIT:
            raise BundleError("the memory of sequences is too large", source=str(state), remedy=remedy)
        return _Sequences.model_validate_json(content)
    except FileNotFoundError:
        return _Sequences()
    except OSError as error:
        raise BundleError(
            f"the memory of sequences cannot be read: {error.strerror}", source=str(state), remedy=remedy
        ) from error
    except ValidationError as error:
        raise BundleError(
            f"the memory of sequences is damaged: {_places(error)}", source=str(state), remedy=remedy
        ) from error


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    """Keep other processes from writing the memory at the same time."""
    lock = state.with_name(state.name + ".lock")
    try:
        state.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        raise OutputNotWritten(
            f"the memory of sequences cannot be written: {error.strerror}", source=str(lock)
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _places(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'content'}: {problem['msg']}" for problem in error.errors()
    )
