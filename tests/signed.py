"""What the tests of signed bundles share: key pairs, a signed bundle, and how it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sacro.bundle import load_bundle
from edge_sacro.bundle_files import zip_from_files
from edge_sacro.errors import EdgeSacroError
from edge_sacro.signing import private_key_from_file, signature_from_bundle, write_key_pair, write_signature
from edge_sacro.trust import Trust


def write_keys(folder: Path) -> Path:
    """Make the key pairs ``maker`` and ``other`` in a folder."""
    for name in ("maker", "other"):
        write_key_pair(folder / name, None)
    return folder


def signed(folder: Path, key: Path) -> Path:
    """Sign a bundle's folder."""
    bundle = load_bundle(folder)
    write_signature(bundle, signature_from_bundle(bundle, private_key_from_file(key, str)))
    return folder


def as_zip(folder: Path) -> Path:
    """Every file of a folder in a zip file beside it, whatever they are."""
    path = folder.with_suffix(".zip")
    path.write_bytes(zip_from_files({file.name: file.read_bytes() for file in folder.iterdir()}))
    return path


def refusal_of(path: Path, trust: Trust | None) -> EdgeSacroError:
    """The error that a bundle is refused with; that it is refused is asserted."""
    with pytest.raises(EdgeSacroError) as caught:
        load_bundle(path, trust)
    return caught.value


def flipped(content: bytes, place: int, bit: int = 0) -> bytes:
    """The content with one bit changed."""
    return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]
