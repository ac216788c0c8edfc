"""Keys and signatures against OpenSSL and RFC 8032, and what happens without the package that checks them."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.errors import (
    BundleError,
    UsageError,
)
from edge_sacro.signing import private_key_from_file, signature_from_bundle
from edge_sacro.trust import DOMAIN, Trust, _is_signed, key_id, trust_from_files
from tests.conftest import ROOT
from tests.signed import flipped, refusal_of, signed, write_keys
from tests.tiny import write_bundle


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def folder(tmp_path: Path, keys: Path) -> Path:
    """The tiny bundle, sequence 5, signed by the maker."""
    return signed(write_bundle(tmp_path / "tiny", sequence=5), keys / "maker")


@pytest.fixture
def trust(tmp_path: Path, keys: Path) -> Trust:
    return trust_from_files([keys / "maker.pub"], tmp_path / "state" / "sequences.json")


def _pem(folder: Path, *command: str) -> Path:
    path = folder / "key.pem"
    subprocess.run(["openssl", *command, "-out", str(path)], check=True, capture_output=True)
    return path


def test_a_file_that_is_no_public_ed25519_key_is_not_pinned(tmp_path: Path, keys: Path) -> None:
    def refusal(path: Path) -> str:
        with pytest.raises(UsageError) as caught:
            trust_from_files([path], None)
        return str(caught.value)

    assert "private key" in refusal(keys / "maker")
    assert "cannot be read" in refusal(tmp_path / "absent.pub")
    (tmp_path / "text.pub").write_text("ssh-ed25519 AAAA")
    assert "no public key in PEM" in refusal(tmp_path / "text.pub")
    (tmp_path / "long.pub").write_bytes(b"-" * 20000)
    assert "more than" in refusal(tmp_path / "long.pub")
    with pytest.raises(UsageError, match="one public key at least"):
        trust_from_files([], None)


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the program openssl is not installed")


@needs_openssl
def test_another_kind_of_key_is_not_pinned(tmp_path: Path) -> None:
    private = _pem(tmp_path, "genpkey", "-algorithm", "x25519")
    public = tmp_path / "x.pub"
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    with pytest.raises(UsageError, match="no Ed25519 key"):
        trust_from_files([public], None)
    with pytest.raises(UsageError, match="no Ed25519 key"):
        private_key_from_file(private, str)


@needs_openssl
def test_openssl_verifies_our_signature_and_refuses_it_over_anything_else(
    folder: Path, keys: Path, tmp_path: Path
) -> None:
    signature = tmp_path / "signature"
    signature.write_bytes(bytes.fromhex(json.loads((folder / "signature.json").read_text())["signature"]))
    manifest = (folder / "manifest.json").read_bytes()
    for content, expected in ((DOMAIN + manifest, 0), (DOMAIN + manifest + b" ", 1), (manifest, 1)):
        (tmp_path / "content").write_bytes(content)
        command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", str(keys / "maker.pub")]
        done = subprocess.run(
            [*command, "-in", str(tmp_path / "content"), "-sigfile", str(signature)], check=False, capture_output=True
        )
        assert done.returncode == expected, done.stderr


@needs_openssl
def test_a_signature_that_openssl_made_with_its_own_key_is_taken(folder: Path, tmp_path: Path) -> None:
    private = _pem(tmp_path, "genpkey", "-algorithm", "ed25519")
    public = tmp_path / "key.pub"
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    (tmp_path / "content").write_bytes(DOMAIN + (folder / "manifest.json").read_bytes())
    command = ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", private, "-in", tmp_path / "content"]
    made = subprocess.run(command, check=True, capture_output=True).stdout
    raw = base64.b64decode(public.read_text().split("-----")[2])[-32:]
    text = json.dumps(
        {"algorithm": "ed25519", "key_id": key_id(raw), "signature": made.hex()}, indent=2, sort_keys=True
    )
    (folder / "signature.json").write_text(text + "\n")
    assert load_bundle(folder, trust_from_files([public], None)).signed_by == key_id(raw)
    ours = signature_from_bundle(load_bundle(folder), private_key_from_file(private, str))
    assert ours.signature == made.hex(), "Ed25519 is deterministic: both make the same signature"


def test_the_vector_of_rfc_8032_passes_and_its_neighbours_do_not() -> None:
    key = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert _is_signed(key, signature, b"\x72"), "RFC 8032, 7.1, test 2"
    assert not _is_signed(key, signature, b"\x73")
    assert not _is_signed(key, flipped(signature, 0), b"\x72")
    assert not _is_signed(flipped(key, 1), signature, b"\x72")
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(signature[32:], "little") + order
    assert not _is_signed(key, signature[:32] + scalar.to_bytes(32, "little"), b"\x72"), "no second form of it"


def test_without_the_package_cryptography_a_pinned_key_refuses_and_names_the_extra(
    folder: Path, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("cryptography")] + ["cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    refusal = refusal_of(folder, trust)
    assert isinstance(refusal, BundleError)
    assert "edge-sacro[signing]" in refusal.remedy
    assert isinstance(load_bundle(folder), Bundle), "control: without a pinned key the package is not needed"


def test_loading_a_bundle_without_a_pinned_key_does_not_import_cryptography() -> None:
    code = "import sys, edge_sacro.bundle as b; b.load_bundle(); print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "False"
