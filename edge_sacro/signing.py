"""The maker's side of a bundle: keys, signatures and the file that is handed over."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sacro.bundle import DEMONSTRATION, Bundle
from edge_sacro.bundle_files import write_atomically, zip_from_files
from edge_sacro.errors import OutputNotWritten, UsageError
from edge_sacro.manifest import MANIFEST_NAME
from edge_sacro.trust import DOMAIN, KEY_LIMIT, SIGNATURE_NAME, Signature, key_id, needs_cryptography, read_limited

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def write_key_pair(path: Path, passphrase: bytes | None) -> str:
    """Make a key pair: PKCS #8 in PEM, readable for its owner alone, and the public key beside it as ``.pub``.

    Args:
        path: of the private key; neither file may exist.
        passphrase: that the private key is encrypted with; None for none.

    Returns:
        the key's identifier.

    Raises:
        UsageError: one of the files exists, or the passphrase is empty.
        OutputNotWritten: they cannot be written.
    """
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as error:
        raise needs_cryptography(error) from error
    if passphrase == b"":
        raise UsageError("an empty passphrase protects nothing", source=str(path))
    public = public_path(path)
    for each in (path, public):
        if each.exists():
            raise UsageError("it exists, and a key is never written over", source=str(each))
    key = Ed25519PrivateKey.generate()
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    _write_new(
        path, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption), 0o600
    )
    described = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write_new(public, described, 0o644)
    return key_id(key.public_key().public_bytes_raw())


def public_path(path: Path) -> Path:
    """Where the public key of a private key's file stands."""
    return path.with_name(path.name + ".pub")


def private_key_from_file(path: Path, passphrase: Callable[[], str]) -> Ed25519PrivateKey:
    """Read a private Ed25519 key in PEM.

    Args:
        path: of the private key.
        passphrase: asked only where the key is encrypted.

    Raises:
        UsageError: it cannot be read, is no such key, or the passphrase is wrong.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as error:
        raise needs_cryptography(error) from error
    remedy = "Give the file that edge-sacro bundle keygen wrote, without .pub, and its passphrase."
    content = read_limited(path, KEY_LIMIT, remedy)
    word = passphrase().encode() if b"ENCRYPTED" in content else None
    try:
        key = serialization.load_pem_private_key(content, word)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"the private key cannot be read: {error}", source=str(path), remedy=remedy) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("it is no Ed25519 key", source=str(path), remedy=remedy)
    return key


def signature_from_bundle(bundle: Bundle, key: Ed25519PrivateKey) -> Signature:
    """Sign a bundle's manifest, byte for byte as it stands. The same bundle and key give the same signature."""
    return Signature(
        key_id=key_id(key.public_key().public_bytes_raw()), signature=key.sign(DOMAIN + bundle.manifest_json).hex()
    )


def write_signature(bundle: Bundle, signature: Signature) -> Path:
    """Put a signature into the folder or the zip file that a bundle was read from.

    Raises:
        UsageError: it is the bundle that ships with Edge-Sacro.
        OutputNotWritten: it cannot be written; the bundle is as it was.
    """
    place = Path(bundle.path)
    if bundle.path == DEMONSTRATION:
        raise UsageError("the installed bundle is not changed", source=bundle.path, remedy="Pack it, and sign that.")
    if place.is_dir():
        write_atomically(place / SIGNATURE_NAME, signature.canonical())
    else:
        write_atomically(place, zip_from_bundle(bundle, signature))
    return place


def with_sequence(bundle: Bundle, sequence: int) -> Bundle:
    """The bundle as a later release, without the signature, which was of the manifest as it was.

    Raises:
        UsageError: the sequence is not higher.
    """
    if sequence <= bundle.manifest.sequence:
        raise UsageError(f"{sequence} is not higher than {bundle.manifest.sequence}, the bundle's", source="sequence")
    manifest = bundle.manifest.model_copy(update={"sequence": sequence})
    text = manifest.model_dump_json(indent=2).encode() + b"\n"
    return Bundle(manifest, manifest.fingerprint(), bundle.files, bundle.path, text)


def zip_from_bundle(bundle: Bundle, signature: Signature | None) -> bytes:
    """The one zip file that a bundle's content makes."""
    signed = {} if signature is None else {SIGNATURE_NAME: signature.canonical()}
    return zip_from_files({**bundle.files, MANIFEST_NAME: bundle.manifest_json, **signed})


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputNotWritten(f"it cannot be written: {error.strerror}", source=str(path)) from error
