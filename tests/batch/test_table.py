"""The table: typed columns, a row a frame, and nothing in it that differs from run to run."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge_sacro import __version__
from edge_sacro.batch.run import Outcome, Plan, Setup, run_batch
from edge_sacro.batch.sources import FolderInstances
from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.errors import BackendUnavailable, OutputNotWritten
from edge_sacro.phantom import CtOptions, ct_from_series, render_ct
from edge_sacro.runtime import Runtime
from tests.systems.bundles import write_classifier_bundle
from tests.systems.enhanced import enhanced_from_slices, saved
from tests.tiny import drawn_pelvis, write_dicom

SLICES = 3


def batch(folder: Path, bundle: Bundle, out: Path, **plan: Any) -> Outcome:
    return run_batch(FolderInstances([str(folder)]), bundle, Setup(threads=1), Plan(out, workers=1, **plan))


def test_columns_are_typed_and_the_file_says_what_made_it(folder: Path, bundle: Bundle, tmp_path: Path) -> None:
    outcome = batch(folder, bundle, tmp_path / "out.parquet", timings=tmp_path / "times.parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    types = {name: schema.field(name).type for name in schema.names}
    assert types["probability"] == types["threshold"] == types["left_probability"] == pa.float64()
    assert types["left_box_px"] == types["crop_px"] == pa.list_(pa.int32())
    assert types["paths"] == types["notes"] == pa.list_(pa.string())
    assert types["high_risk"] == types["through_joints"] == pa.bool_()
    assert types["frame"] == pa.int32()
    metadata = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    assert (metadata["software"], metadata["schema_version"]) == (f"edge-sacro {__version__}", "1.0")
    assert json.loads(metadata["bundle"])["fingerprint"] == bundle.fingerprint
    assert not [name for name in schema.names if "ms" in name.split("_") or "worker" in name]

    times = pq.read_table(tmp_path / "times.parquet").to_pylist()
    assert len(times) == outcome.tally.rows
    assert all(row["total_ms"] > 0 and dict(row["stages_ms"])["read"] >= 0 for row in times)


@pytest.mark.heavy
def test_each_frame_of_an_object_has_a_row_of_its_own(tmp_path: Path) -> None:
    series = render_ct((3, 0), CtOptions(slices=19, size=256, pelvis=True))
    slices = [ct_from_series(series, number) for number in range(6, 6 + SLICES)]
    folder = tmp_path / "in"
    folder.mkdir()
    path = saved(enhanced_from_slices(slices), folder / "whole.dcm")
    shutil.copy(path, folder / "again.dcm")
    bundle = load_bundle(write_classifier_bundle(tmp_path / "bundle", "fu2024-resnet101"))
    outcome = batch(folder, bundle, tmp_path / "out.parquet")
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["frame"] for row in rows] == [1, 2, 3]
    assert {tuple(row["paths"]) for row in rows} == {(str(folder / "again.dcm"), str(path))}
    assert (outcome.tally.instances, outcome.tally.copies) == (1, 1)
    with Runtime(bundle, threads=1) as runtime:
        for row, result in zip(rows, runtime.infer_all(path), strict=True):
            assert row["probability"] == result.probability
            assert result.slice is not None
            assert row["image_position_mm"] == result.slice.image_position_mm
            assert (row["through_joints"], row["slice_reason_code"]) == (
                result.slice.through_joints,
                result.slice.reason_code,
            )


def test_one_uid_for_different_bytes_is_counted(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, comment in (("a", "one"), ("b", "two")):
        write_dicom(folder / f"{name}.dcm", drawn_pelvis(), ImageComments=comment)
    outcome = batch(folder, bundle, tmp_path / "out.parquet")
    assert (outcome.tally.rows, outcome.tally.uids_of_several) == (2, 1)


def test_a_path_that_is_no_text_and_a_missing_file_have_their_rows(bundle: Bundle, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd\xff.dcm")
    write_dicom(odd)
    instances = FolderInstances([str(odd), str(tmp_path / "missing.dcm")])
    out = tmp_path / "out.parquet"
    run_batch(instances, bundle, Setup(threads=1), Plan(out, workers=1))
    rows = {row["paths"][0]: row for row in pq.read_table(out).to_pylist()}
    assert rows[str(tmp_path / "odd\\xff.dcm")]["state"] == "negative"
    missing = rows[str(tmp_path / "missing.dcm")]
    assert (missing["state"], missing["reason_code"], missing["sha256"]) == ("refused", "input_not_found", None)

    write_dicom(tmp_path / "missing.dcm")
    run_batch(instances, bundle, Setup(threads=1), Plan(out, workers=1))
    assert {row["state"] for row in pq.read_table(out).to_pylist()} == {"negative"}


def test_a_file_that_changed_has_one_row_of_its_new_bytes(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = write_dicom(folder / "a.dcm")
    out = tmp_path / "out.parquet"
    batch(folder, bundle, out)
    (before,) = pq.read_table(out).to_pylist()
    pixels = drawn_pelvis()
    pixels[pixels == 1000] = 700
    write_dicom(path, pixels)
    assert batch(folder, bundle, out).summary["answered_now"] == 1
    (after,) = pq.read_table(out).to_pylist()
    assert after["sha256"] != before["sha256"]
    assert after["probability"] != before["probability"]


def test_a_table_that_cannot_be_written_leaves_the_answers(folder: Path, bundle: Bundle, tmp_path: Path) -> None:
    work = tmp_path / "work"
    with pytest.raises(OutputNotWritten, match="the same command writes it"):
        batch(folder, bundle, tmp_path / "absent" / "out.parquet", work=work)
    (tmp_path / "absent").mkdir()
    outcome = batch(folder, bundle, tmp_path / "absent" / "out.parquet", work=work)
    assert outcome.summary["answered_now"] == 0


def test_without_pyarrow_nothing_is_begun(
    folder: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(BackendUnavailable, match="pip install 'edge-sacro"):
        batch(folder, bundle, tmp_path / "out.parquet")
    assert not list(tmp_path.iterdir())
