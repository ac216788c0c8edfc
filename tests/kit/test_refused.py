"""Kits that are not what their maker signed, or that reach beyond their folder: nothing of them is written or run."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sacro.errors import EdgeSacroError, KitCorrupt, KitNotTrusted, UsageError
from edge_sacro.kit.installer import signature
from edge_sacro.kit.installer.install import install, verify_kit
from edge_sacro.kit.installer.manifest import is_safe_name, manifest_from_json, order_from_version
from edge_sacro.kit.installer.signature import DOMAIN, public_key_from_file
from edge_sacro.trust import DOMAIN as BUNDLE_DOMAIN
from tests.kit.kits import Members, files_of_kit, manifest_of, members_of, plan, signature_of, write_tar
from tests.signed import flipped

Change = Callable[[Members], Members]


@pytest.fixture
def members(tmp_path: Path, maker: Path) -> Members:
    """A kit as it was signed."""
    return members_of(files_of_kit(tmp_path / "files"), maker)


def _verify(path: Path, maker: Path) -> None:
    verify_kit(path, maker.with_name("maker.pub"), False, lambda _: None)


def _changed(place: int) -> Change:
    return lambda members: [
        (name, flipped(content, len(content) // 2) if index == place else content)
        for index, (name, content) in enumerate(members)
    ]


def test_a_kit_as_it_was_signed_passes(tmp_path: Path, members: Members, maker: Path) -> None:
    _verify(write_tar(tmp_path / "kit.tar", members), maker)


SPOILT: dict[str, tuple[Change, type[EdgeSacroError]]] = {
    "a bit of the manifest": (_changed(0), KitNotTrusted),
    "a bit of the signature": (_changed(1), KitNotTrusted),
    "a bit of the installer": (_changed(2), KitCorrupt),
    "a bit of a wheel": (_changed(-1 % 8), KitCorrupt),
    "no signature": (lambda members: [members[0], *members[2:]], KitNotTrusted),
    "a file is gone": (lambda members: members[:-1], KitCorrupt),
    "a file more": (lambda members: [*members, ("more.txt", b"more")], KitCorrupt),
    "a file twice": (lambda members: [*members, members[-1]], KitCorrupt),
    "a longer file": (lambda members: [*members[:-1], (members[-1][0], members[-1][1] + b"x")], KitCorrupt),
    "a shorter file": (lambda members: [*members[:-1], (members[-1][0], members[-1][1][:-1])], KitCorrupt),
    "a file out of the folder": (lambda members: [*members, ("../../evil", b"")], KitCorrupt),
    "a file of another folder": (lambda members: [*members, ("x/../../evil", b"")], KitCorrupt),
    "a hidden file": (lambda members: [*members, (".evil", b"")], KitCorrupt),
    "the manifest last": (lambda members: [*members[1:], members[0]], KitCorrupt),
    "nothing": (lambda _: [], KitCorrupt),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_kit_is_refused_before_anything_of_it_is_run(
    tmp_path: Path, members: Members, maker: Path, prefix: Path, name: str
) -> None:
    spoil, error = SPOILT[name]
    kit = write_tar(tmp_path / "kit.tar", spoil(members))
    with pytest.raises(error):
        _verify(kit, maker)
    with pytest.raises(error):
        install(plan(kit, prefix, maker))
    assert not list((prefix / "releases").iterdir())
    assert not list(tmp_path.rglob("evil"))


KINDS = {"symlink": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE, "device": tarfile.CHRTYPE, "fifo": tarfile.FIFOTYPE}


@pytest.mark.parametrize("kind", [*KINDS, "absolute"])
def test_a_member_that_is_no_plain_file_is_refused(tmp_path: Path, members: Members, maker: Path, kind: str) -> None:
    def change(member: tarfile.TarInfo) -> None:
        if not member.name.endswith("requirements.txt"):
            return
        if kind == "absolute":
            member.name = str(tmp_path / "evil")
        else:
            member.type, member.linkname, member.size = KINDS[kind], "/etc/passwd", 0

    kit = write_tar(tmp_path / "kit.tar", members, change)
    with pytest.raises(KitCorrupt):
        _verify(kit, maker)
    assert not (tmp_path / "evil").exists()


def test_a_link_in_an_unpacked_kit_is_refused(tmp_path: Path, members: Members, maker: Path) -> None:
    folder = tmp_path / "edge-sacro-kit-test"
    for name, data in members:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    _verify(folder, maker)
    (folder / "requirements.txt").rename(tmp_path / "elsewhere")
    (folder / "requirements.txt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KitCorrupt, match="plain files"):
        _verify(folder, maker)


def test_a_tar_file_that_ends_early_is_refused(tmp_path: Path, members: Members, maker: Path) -> None:
    whole = write_tar(tmp_path / "kit.tar", members).read_bytes()
    for size in (100, 512, len(whole) // 2):
        (tmp_path / "part.tar").write_bytes(whole[:size])
        with pytest.raises(KitCorrupt):
            _verify(tmp_path / "part.tar", maker)


def test_a_signature_of_something_else_is_refused(tmp_path: Path, members: Members, maker: Path, keys: Path) -> None:
    text = members[0][1]
    for key, domain in ((keys / "other", DOMAIN), (maker, BUNDLE_DOMAIN), (maker, b"")):
        spoilt = [members[0], ("MANIFEST.json.sig", signature_of(text, key, domain)), *members[2:]]
        with pytest.raises(KitNotTrusted):
            _verify(write_tar(tmp_path / "kit.tar", spoilt), maker)


def test_without_openssl_nothing_passes(
    tmp_path: Path, members: Members, maker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KitNotTrusted, match="openssl is not here"):
        _verify(write_tar(tmp_path / "kit.tar", members), maker)


def test_an_openssl_that_always_nods_is_not_enough(
    tmp_path: Path, members: Members, maker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 0 alone, as of a program that does not know the option, verifies nothing."""
    (tmp_path / "openssl").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "openssl").chmod(0o755)
    monkeypatch.setattr(signature.shutil, "which", lambda _: str(tmp_path / "openssl"))
    with pytest.raises(KitNotTrusted, match="could not verify"):
        _verify(write_tar(tmp_path / "kit.tar", members), maker)


def test_a_key_that_is_no_public_ed25519_key_is_refused(tmp_path: Path, maker: Path) -> None:
    public = maker.with_name("maker.pub").read_text()
    (tmp_path / "rsa.pub").write_text(public.replace("MCowBQYDK2Vw", "MCowBQYDK2Vu"))
    (tmp_path / "two.pub").write_text(public * 2)
    for path in (maker, tmp_path / "rsa.pub", tmp_path / "two.pub", tmp_path / "absent.pub"):
        with pytest.raises(UsageError):
            public_key_from_file(path)
    assert len(public_key_from_file(maker.with_name("maker.pub"))) == 32


WRONG: dict[str, dict[str, object]] = {
    "another schema": {"schema": "edge-sacro-kit-2"},
    "no files": {"files": {}},
    "a way out": {"files": {"../evil": {"size": 0, "sha256": "0" * 64}}},
    "a way in": {"files": {"/etc/evil": {"size": 0, "sha256": "0" * 64}}},
    "a file and a folder": {"files": {name: {"size": 0, "sha256": "0" * 64} for name in ("a", "a/b")}},
    "case alone": {"files": {name: {"size": 0, "sha256": "0" * 64} for name in ("a", "A")}},
    "the manifest itself": {"files": {"MANIFEST.json": {"size": 0, "sha256": "0" * 64}}},
    "a negative size": {"files": {"a": {"size": -1, "sha256": "0" * 64}}},
    "too large": {"files": {"a": {"size": 1 << 60, "sha256": "0" * 64}}},
    "no hash": {"files": {"a": {"size": 0, "sha256": "0"}}},
    "a word more": {"more": 1},
    "a sequence of words": {"sequence": "1"},
    "a name with a slash": {"name": "a/b"},
    "no version of ours": {"version": "1.0"},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_manifest_that_is_none_is_refused_though_it_is_signed(name: str) -> None:
    good = manifest_of({"a": b""})
    manifest_from_json(json.dumps(good).encode(), "kit")
    with pytest.raises(KitCorrupt):
        manifest_from_json(json.dumps({**good, **WRONG[name]}).encode(), "kit")


@pytest.mark.parametrize("text", [b"", b"[]", b"[" * 100_000, b"{}", b"\xff", b"null"])
def test_what_is_no_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(KitCorrupt):
        manifest_from_json(text, "kit")


def test_versions_are_in_their_order() -> None:
    versions = ["0.9.10", "1.0.0.dev1", "1.0.0a1", "1.0.0b2", "1.0.0rc1", "1.0.0rc2", "1.0.0", "1.0.1", "1.10.0"]
    orders = [order_from_version(version) for version in versions]
    assert orders == sorted(set(orders))


def test_names_stay_below_their_folder() -> None:
    assert all(map(is_safe_name, ("a", "wheels/numpy-2.0-cp311.whl", "a/b/c_d+e.f")))
    assert not any(map(is_safe_name, ("", "/a", "..", "a/..", "a/../b", ".a", "a//b", "a/", "a b", "a\\b", "a\n")))
