"""Bundles: a folder and its zip are the same; whatever is off is refused by name."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edge_sacro.bundle import load_bundle
from edge_sacro.errors import BundleContractBroken, BundleFileCorrupt, BundleManifestInvalid, BundleNotFound
from tests.tiny import manifest_fields, write_bundle


def _zip(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    return path


def test_a_folder_and_its_zip_file_are_the_same_bundle(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "tiny")
    from_folder, from_zip = load_bundle(folder), load_bundle(_zip(folder, tmp_path / "tiny.zip"))
    assert from_folder.fingerprint == from_zip.fingerprint
    assert from_folder.files == from_zip.files
    assert set(from_folder.files) == {"segmenter.onnx", "classifier.onnx"}


def test_the_files_of_a_folder_are_read_when_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_bundle(tmp_path / "tiny")
    read: list[str] = []
    whole = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (read.append(path.name), whole(path))[1])
    files = load_bundle(folder).files
    assert read == ["manifest.json"], "the others were hashed a piece at a time"
    assert "segmenter.onnx" in files
    assert "absent.onnx" not in files
    assert len(files) == 2
    assert read == ["manifest.json"]
    assert files["segmenter.onnx"] == (folder / "segmenter.onnx").read_bytes()


def test_the_fingerprint_follows_every_field_and_not_the_layout(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "a")
    before = load_bundle(folder).fingerprint
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()), indent=4, sort_keys=True))
    assert load_bundle(folder).fingerprint == before
    assert load_bundle(write_bundle(tmp_path / "b", version="2")).fingerprint != before


def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFound, match="nowhere"):
        load_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleNotFound, match=r"manifest\.json"):
        load_bundle(tmp_path)


def test_a_changed_byte_is_refused_by_the_files_name(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "tiny")
    model = folder / "classifier.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(BundleFileCorrupt, match=r"classifier\.onnx.*SHA-256"):
        load_bundle(folder)


def test_an_absent_an_unlisted_and_a_linked_file_are_refused(tmp_path: Path) -> None:
    absent, unlisted, linked = (write_bundle(tmp_path / name) for name in ("absent", "unlisted", "linked"))
    (absent / "segmenter.onnx").unlink()
    with pytest.raises(BundleFileCorrupt, match=r"segmenter\.onnx.*absent"):
        load_bundle(absent)
    (unlisted / "notes.txt").write_text("?")
    with pytest.raises(BundleFileCorrupt, match=r"notes\.txt.*does not list it"):
        load_bundle(unlisted)
    (linked / "segmenter.onnx").unlink()
    (linked / "segmenter.onnx").symlink_to(absent / "classifier.onnx")
    with pytest.raises(BundleFileCorrupt, match="plain files only"):
        load_bundle(linked)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"extra": 1}, "extra"),
        ({"schema_version": 2}, "schema_version"),
        ({"normaliser": "normaliser-2"}, "normaliser"),
        ({"system": "noh2021"}, "system"),
        ({"default_operating_point": "absent"}, "default_operating_point"),
        ({"operating_points": []}, "operating_points"),
        ({"guard_band": {"half_width": -0.1, "source": ""}}, "guard_band.half_width"),
        ({"segmentation": None}, "segmentation"),
        ({"statement": "fit for anything"}, "not for clinical use"),
        ({"files": {"classifier.onnx": "0" * 64}}, "segmenter.onnx"),
        ({"files": {"../x": "0" * 64}}, "files"),
        ({"version": 1}, "version"),
    ],
)
def test_a_manifest_that_breaks_its_schema_is_refused_and_the_place_named(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    folder = write_bundle(tmp_path / "tiny")
    (folder / "manifest.json").write_text(json.dumps({**manifest_fields(), **change}))
    with pytest.raises(BundleManifestInvalid, match=named):
        load_bundle(folder)


def test_a_zip_file_with_folders_names_twice_or_damage_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "tiny")
    nested = tmp_path / "nested.zip"
    with zipfile.ZipFile(nested, "w") as archive:
        archive.write(folder / "manifest.json", "../manifest.json")
    with pytest.raises(BundleFileCorrupt, match="without folders"):
        load_bundle(nested)
    twice = _zip(folder, tmp_path / "twice.zip")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(twice, "a") as archive:
        archive.write(folder / "manifest.json", "manifest.json")
    with pytest.raises(BundleFileCorrupt, match="twice"):
        load_bundle(twice)
    damaged = _zip(folder, tmp_path / "damaged.zip")
    content = bytearray(damaged.read_bytes())
    content[200] ^= 255
    damaged.write_bytes(content)
    with pytest.raises(BundleFileCorrupt, match="no readable zip file"):
        load_bundle(damaged)


def test_the_standard_system_takes_no_segmenter(tmp_path: Path) -> None:
    both = write_bundle(tmp_path / "both")
    fields = manifest_fields()
    (both / "manifest.json").write_text(json.dumps({**fields, "system": "dorfner2024-standard"}))
    with pytest.raises(BundleManifestInvalid, match="segmenter"):
        load_bundle(both)


def _members(folder: Path, path: Path, changed: str, **attributes: Any) -> Path:
    """The folder's zip file, one member of which has other attributes."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            member = zipfile.ZipInfo(file.name)
            if file.name == changed:
                for name, value in attributes.items():
                    setattr(member, name, value)
            archive.writestr(member, file.read_bytes(), attributes.get("compress_type"))
    return path


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"external_attr": 0o120777 << 16}, "plain files only"),
        ({"external_attr": 0o020666 << 16}, "plain files only"),
        ({"filename": "C:\\classifier.onnx"}, "without folders"),
        ({"filename": "/classifier.onnx"}, "without folders"),
        ({"filename": "sub/"}, "without folders"),
        ({"filename": "a classifier.onnx"}, "does not list it"),
        ({"filename": "CLASSIFIER.onnx"}, "does not list it"),
        ({"compress_type": zipfile.ZIP_LZMA}, "neither stored nor deflated"),
        ({"compress_type": zipfile.ZIP_BZIP2}, "neither stored nor deflated"),
    ],
)
def test_a_zip_file_that_plays_tricks_is_refused_and_the_member_named(
    tmp_path: Path, attributes: dict[str, Any], message: str
) -> None:
    folder = write_bundle(tmp_path / "tiny")
    assert load_bundle(_members(folder, tmp_path / "control.zip", "classifier.onnx")).files
    with pytest.raises(BundleFileCorrupt, match=message):
        load_bundle(_members(folder, tmp_path / "trick.zip", "classifier.onnx", **attributes))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_bundle(tmp_path / "tiny")
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "manifest.json", "manifest.json")
        archive.writestr("segmenter.onnx", bytes(4 << 20))
    monkeypatch.setattr("edge_sacro.bundle_files.SIZE_LIMIT", 1 << 20)
    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("it was unpacked"))
        with pytest.raises(BundleFileCorrupt, match="more than 1048576 bytes"):
            load_bundle(bomb)
    assert load_bundle(folder), "control: a bundle below the limit passes"
    content = bytearray(bomb.read_bytes())
    for signature, place in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        start = content.rindex(signature)
        content[start + place : start + place + 4] = (10).to_bytes(4, "little")
    bomb.write_bytes(content)
    with pytest.raises(BundleFileCorrupt, match="no readable zip file"):
        load_bundle(bomb)


def test_a_bundle_of_more_files_than_any_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_bundle(tmp_path / "tiny")
    monkeypatch.setattr("edge_sacro.bundle_files.COUNT_LIMIT", 2)
    for path in (folder, _zip(folder, tmp_path / "tiny.zip")):
        with pytest.raises(BundleFileCorrupt, match="more than 2 files"):
            load_bundle(path)


def test_a_manifest_longer_than_any_is_refused_unread(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "tiny")
    with (folder / "manifest.json").open("ab") as file:
        file.write(b" " * (4 << 20))
    with pytest.raises(BundleManifestInvalid, match="more than 4194304 bytes"):
        load_bundle(folder)


def test_an_engine_whose_seal_is_that_of_another_file_is_refused(tmp_path: Path) -> None:
    content = b"engine"
    digest = hashlib.sha256(content).hexdigest()

    def with_engine(name: str, sealed: str) -> Path:
        folder = write_bundle(tmp_path / name)
        (folder / "classifier.engine").write_bytes(content)
        seal = {
            "onnx_sha256": "0" * 64, "precision": "fp32", "builder": "tensorrt", "builder_version": "10.3",
            "profile": "orin", "device": "Orin (8.7)", "flags": [], "engine_sha256": sealed,
        }  # fmt: skip
        fields = json.loads((folder / "manifest.json").read_text())
        fields["engines"] = [{"file": "classifier.engine", "network": "classifier", "seal": seal}]
        fields["files"]["classifier.engine"] = digest
        (folder / "manifest.json").write_text(json.dumps(fields))
        return folder

    assert load_bundle(with_engine("true", digest)).files["classifier.engine"] == content
    with pytest.raises(BundleContractBroken, match=r"classifier\.engine.*seal"):
        load_bundle(with_engine("false", "1" * 64))
