"""A folder that the workshop writes is a bundle that the device reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sacro.bundle import load_bundle
from edge_sacro.errors import BundleManifestInvalid
from edge_sacro.runtime import Runtime
from export.bundle_folder import bundle_from_networks
from tests.tiny import classifier, manifest_fields, segmenter, write_dicom


def _networks(folder: Path) -> dict[str, Path]:
    paths = {"segmenter": folder / "a.onnx", "classifier": folder / "b.onnx"}
    paths["segmenter"].write_bytes(segmenter())
    paths["classifier"].write_bytes(classifier())
    return paths


def _fields() -> dict[str, object]:
    return {key: value for key, value in manifest_fields().items() if key not in {"networks", "files"}}


def test_names_shapes_and_hashes_are_read_from_the_networks(tmp_path: Path) -> None:
    written = bundle_from_networks(tmp_path / "bundle", _networks(tmp_path), _fields())
    loaded = load_bundle(tmp_path / "bundle")
    assert loaded.manifest == written
    assert loaded.manifest.networks["classifier"].inputs[0].shape == [1, 1, 32, 48]
    with Runtime(loaded, threads=1) as runtime:
        assert runtime.infer(write_dicom(tmp_path / "a.dcm")).probability is not None


def test_fields_that_break_the_schema_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(BundleManifestInvalid, match="statement"):
        bundle_from_networks(tmp_path / "bundle", _networks(tmp_path), {**_fields(), "statement": 1})
    assert not (tmp_path / "bundle").exists()
