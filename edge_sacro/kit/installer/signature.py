"""Whose kit it is: Ed25519 over the manifest's bytes, verified by OpenSSL, which a bare Debian or Ubuntu has."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from edge_sacro.errors import KitNotTrusted, UsageError

DOMAIN = b"edge-sacro kit manifest 1\n"
"""Stands before the manifest in what is signed, so that no signature of something else fits."""

SIGNATURE_LIMIT, KEY_LIMIT = 4 << 10, 16 << 10

_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4)."""

_REMEDY = "Give the .pub file that edge-sacro bundle keygen wrote."


def public_key_from_file(path: Path) -> bytes:
    """The 32 bytes of a public Ed25519 key in PEM.

    Raises:
        UsageError: it is none.
    """
    try:
        with path.open("rb") as file:
            text = file.read(KEY_LIMIT).decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the key cannot be read: {error}", source=str(path), remedy=_REMEDY) from error
    if "PRIVATE KEY" in text:
        raise UsageError("it holds a private key, which no site should have", source=str(path), remedy=_REMEDY)
    found = re.fullmatch(r"\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*", text)
    try:
        content = base64.b64decode("".join(found[1].split()), validate=True) if found else b""
    except binascii.Error:
        content = b""
    if len(content) != len(_PREFIX) + 32 or not content.startswith(_PREFIX):
        raise UsageError("it is no public Ed25519 key in PEM", source=str(path), remedy=_REMEDY)
    return content[len(_PREFIX) :]


def key_id(public_key: bytes) -> str:
    """The name of a key: SHA-256 of its 32 bytes, as bundles have it."""
    return hashlib.sha256(public_key).hexdigest()


def verify(manifest: bytes, signature: bytes | None, public_key: bytes, source: str) -> str:
    """Hold a manifest's bytes against its signature and the one key that is trusted.

    Returns:
        the key's identifier.

    Raises:
        KitNotTrusted: the signature is absent, malformed, of another key, or wrong; or OpenSSL is not here.
    """
    place = f"{source}: MANIFEST.json.sig"
    if signature is None:
        raise KitNotTrusted("the kit is not signed", source=place)
    identifier, value = _parts(signature, place)
    ours = key_id(public_key)
    if identifier != ours:
        raise KitNotTrusted(f"it is of the key {identifier[:16]}…, and the key given is {ours[:16]}…", source=place)
    if not _openssl_verifies(DOMAIN + manifest, value, public_key):
        raise KitNotTrusted("the signature is not that of this kit's MANIFEST.json", source=place)
    return ours


def _parts(signature: bytes, place: str) -> tuple[str, bytes]:
    """Key identifier and 64 bytes, of a signature in the one form that it has."""
    try:
        document: Any = json.loads(signature) if len(signature) <= SIGNATURE_LIMIT else None
        identifier, value = document["key_id"], document["signature"]
        canonical = {"algorithm": "ed25519", "key_id": identifier, "signature": value}
        same = json.dumps(canonical, sort_keys=True, indent=2).encode() + b"\n" == signature
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise KitNotTrusted(f"it is no signature: {error}", source=place) from error
    words = isinstance(identifier, str) and isinstance(value, str)
    if not (same and words and re.fullmatch("[0-9a-f]{64}", identifier) and re.fullmatch("[0-9a-f]{128}", value)):
        raise KitNotTrusted("it is not in the one form that signatures have", source=place)
    return identifier, bytes.fromhex(value)


def _openssl_verifies(content: bytes, signature: bytes, public_key: bytes) -> bool:
    program = shutil.which("openssl")
    if program is None:
        raise KitNotTrusted(
            "the command openssl is not here, so that no signature can be verified",
            remedy="Install the package openssl (3.0 or later) from the system's own medium.",
        )
    pem = "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n"
    with tempfile.TemporaryDirectory(prefix="edge-sacro-kit-") as folder:
        place = Path(folder)
        (place / "key.pem").write_text(pem.format(base64.b64encode(_PREFIX + public_key).decode()))
        (place / "content").write_bytes(content)
        (place / "signature").write_bytes(signature)
        command = [program, "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem", "-in", "content"]
        done = subprocess.run(  # noqa: S603 - openssl, with constant arguments
            [*command, "-sigfile", "signature"], cwd=place, capture_output=True, check=False, stdin=subprocess.DEVNULL
        )
    if done.returncode == 0 and b"Verified Successfully" in done.stdout:
        return True
    if b"Verification Failure" in done.stdout + done.stderr:
        return False
    said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
    raise KitNotTrusted(
        f"openssl could not verify the signature: {said[0]}", remedy="OpenSSL 3.0 or later is needed (openssl version)."
    )
