"""Pinned keys: one true bundle passes, whatever differs from it by anything is refused by name."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sacro.bundle import load_bundle
from edge_sacro.errors import (
    BundleFileCorrupt,
    BundleNotTrusted,
    BundleRolledBack,
    EdgeSacroError,
)
from edge_sacro.trust import Trust, key_id, trust_from_files
from tests.signed import as_zip, flipped, refusal_of, signed, write_keys
from tests.tiny import classifier, write_bundle


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


def _replace(file: str, old: str, new: str) -> Callable[[Path, Path], None]:
    def change(folder: Path, keys: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1))

    return change


def _write(file: str, content: bytes) -> Callable[[Path, Path], None]:
    def change(folder: Path, keys: Path) -> None:
        (folder / file).write_bytes(content)

    return change


def _remove(file: str) -> Callable[[Path, Path], None]:
    def change(folder: Path, keys: Path) -> None:
        (folder / file).unlink()

    return change


def _networks_swapped(folder: Path, keys: Path) -> None:
    names = (folder / "segmenter.onnx", folder / "classifier.onnx")
    contents = [name.read_bytes() for name in names]
    for name, content in zip(names, reversed(contents), strict=True):
        name.write_bytes(content)


def _signed_by_another(folder: Path, keys: Path) -> None:
    signed(folder, keys / "other")


def _signature_of_another_bundle(folder: Path, keys: Path) -> None:
    other = signed(write_bundle(folder.parent / "second", version="2"), keys / "maker")
    shutil.copy(other / "signature.json", folder / "signature.json")


def _other_key_under_the_makers_name(folder: Path, keys: Path) -> None:
    maker = json.loads((folder / "signature.json").read_text())["key_id"]
    signed(folder, keys / "other")
    other = json.loads((folder / "signature.json").read_text())["key_id"]
    _replace("signature.json", other, maker)(folder, keys)


def _network_and_its_hash(folder: Path, keys: Path) -> None:
    """A forger can mend the hashes, but not the signature over them."""
    version = json.loads((folder / "manifest.json").read_text())["version"]
    signature = (folder / "signature.json").read_bytes()
    write_bundle(folder, sequence=5, version=version, intended_use="another")
    (folder / "signature.json").write_bytes(signature)


Tampering = tuple[Callable[[Path, Path], None], type[EdgeSacroError], str]
WRONG = "signature.json: the signature is not that of this bundle's manifest.json"

TAMPERINGS: dict[str, Tampering] = {
    "no signature": (_remove("signature.json"), BundleNotTrusted, "signature.json: the bundle is not signed"),
    "empty signature": (_write("signature.json", b""), BundleNotTrusted, "signature.json: it is no signature"),
    "null signature": (_write("signature.json", b"null"), BundleNotTrusted, "signature.json: it is no signature"),
    "signature too long": (_write("signature.json", b" " * 5000), BundleNotTrusted, "not more than 4096"),
    "unknown key in it": (_replace("signature.json", "{", '{"x": 1,'), BundleNotTrusted, "signature.json.*x: "),
    "a name twice in it": (
        _replace("signature.json", "{", '{"algorithm": "ed25519",'), BundleNotTrusted, "signature.json.*the one form"),
    "other layout": (_replace("signature.json", "{\n", "{\n\n"), BundleNotTrusted, "signature.json.*the one form"),
    "another algorithm": (_replace("signature.json", "ed25519", "none"), BundleNotTrusted, "signature.json.*algorithm"),
    "signed by another": (_signed_by_another, BundleNotTrusted, "signature.json: it is of the key .* pinned here: "),
    "key under another's name": (_other_key_under_the_makers_name, BundleNotTrusted, WRONG),
    "of another bundle": (_signature_of_another_bundle, BundleNotTrusted, WRONG),
    "manifest and hashes": (_network_and_its_hash, BundleNotTrusted, WRONG),
    "sequence lowered": (_replace("manifest.json", '"sequence": 5', '"sequence": 4'), BundleNotTrusted, WRONG),
    "sequence raised": (_replace("manifest.json", '"sequence": 5', '"sequence": 6'), BundleNotTrusted, WRONG),
    "cut-off moved": (_replace("manifest.json", "0.59", "0.95"), BundleNotTrusted, WRONG),
    "a blank": (_replace("manifest.json", "{", "{ "), BundleNotTrusted, WRONG),
    "network": (_write("classifier.onnx", classifier(gain=-8)), BundleFileCorrupt, "classifier.onnx: its SHA-256"),
    "networks swapped": (_networks_swapped, BundleFileCorrupt, "classifier.onnx: its SHA-256"),
    "network absent": (_remove("segmenter.onnx"), BundleFileCorrupt, "segmenter.onnx.*absent"),
    "file added": (_write("extra.onnx", b"x"), BundleFileCorrupt, "extra.onnx.*not list"),
}  # fmt: skip


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_a_tampered_bundle_is_refused_by_name_as_folder_andas_zip(
    tampering: str, folder: Path, trust: Trust, keys: Path
) -> None:
    assert load_bundle(folder, trust).signed_by == key_id(trust.keys[0]), "control: the untampered bundle passes"
    change, error, message = TAMPERINGS[tampering]
    change(folder, keys)
    for path in (folder, as_zip(folder)):
        refusal = refusal_of(path, trust)
        assert type(refusal) is error
        assert refusal.source is not None
        assert refusal.source.startswith(str(path))
        assert re.search(message, str(refusal)), str(refusal)


def test_every_bit_of_signature_and_manifest_counts(folder: Path, trust: Trust) -> None:
    for name in ("manifest.json", "signature.json"):
        content = (folder / name).read_bytes()
        for place in range(len(content)):
            (folder / name).write_bytes(flipped(content, place, place % 8))
            assert isinstance(refusal_of(folder, trust), BundleNotTrusted), (name, place)
        for cut in (1, 100, len(content) - 1):
            (folder / name).write_bytes(content[:-cut])
            assert isinstance(refusal_of(folder, trust), BundleNotTrusted), (name, cut)
        (folder / name).write_bytes(content + b"\n")
        assert isinstance(refusal_of(folder, trust), BundleNotTrusted), name
        (folder / name).write_bytes(content)
    assert load_bundle(folder, trust).signed_by, "control: all put back, it passes"


@pytest.mark.parametrize("name", ["classifier.onnx", "segmenter.onnx"])
def test_every_byte_of_a_network_counts(name: str, folder: Path, trust: Trust) -> None:
    content = (folder / name).read_bytes()
    for place in range(0, len(content), 7):
        (folder / name).write_bytes(flipped(content, place))
        refusal = refusal_of(folder, trust)
        assert isinstance(refusal, BundleFileCorrupt)
        assert str(refusal.source).endswith(name)


def test_folder_and_zip_are_one_bundle_with_one_verdict(folder: Path, trust: Trust) -> None:
    bundles = [load_bundle(path, trust) for path in (folder, as_zip(folder))]
    assert bundles[0].fingerprint == bundles[1].fingerprint
    assert bundles[0].signed_by == bundles[1].signed_by is not None


def test_without_a_pinned_key_nothing_is_verified_and_the_bundle_says_so(folder: Path, keys: Path) -> None:
    bundle = load_bundle(folder)
    assert bundle.signature is not None
    assert bundle.signed_by is None
    (folder / "signature.json").write_text("{}")
    assert isinstance(refusal_of(folder, None), BundleNotTrusted), "but no garbage passes for a signature"


def test_several_pinned_keys_let_a_maker_change_its_key(tmp_path: Path, keys: Path) -> None:
    both = trust_from_files([keys / "maker.pub", keys / "other.pub"], tmp_path / "state.json")
    old = signed(write_bundle(tmp_path / "old", sequence=1), keys / "maker")
    new = signed(write_bundle(tmp_path / "new", sequence=2), keys / "other")
    assert load_bundle(old, both).signed_by == key_id(both.keys[0])
    assert load_bundle(new, both).signed_by == key_id(both.keys[1])
    assert isinstance(refusal_of(old, both), BundleRolledBack), "the sequence goes on over a change of keys"
    only_new = trust_from_files([keys / "other.pub"], None)
    assert isinstance(refusal_of(old, only_new), BundleNotTrusted)
