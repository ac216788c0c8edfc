"""``python -m engines``: the matrix of engines, and the audit of one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engines.__main__ import main
from engines.factory import Candidate, row_from_candidate
from engines.members import CLASSES
from tests.conftest import ROOT
from tests.engines.fake_trt import TABLE, members
from tests.engines.graphs import residual
from tests.engines.shelf import PROFILE
from tests.tiny import write_bundle


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def test_the_matrix_of_a_bundle_is_a_table_and_json(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "tiny")
    done = _run("build-all", "--bundle", bundle, "--profile", PROFILE, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "out" / "engines.json").read_text())
    assert [(row["network"], row["precision"]) for row in rows] == [("segmenter", "fp32"), ("classifier", "fp32")]
    assert all(row["size"] > 0 and row["error"] is None for row in rows)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["engines.json"]


def test_a_folder_of_files_is_built_by_the_precision_in_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for precision in ("fp32", "int8"):
        (folder / f"res-net-{precision}.onnx").write_bytes(residual(precision)[1])  # type: ignore[arg-type]
    done = _run("build-all", "--folder", folder, "--profile", PROFILE, "--out", tmp_path, "--keep")
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.glob("*.engine")} == {
        f"res-net-{precision}-{PROFILE}.engine" for precision in ("fp32", "int8")
    }
    (folder / "nameless.onnx").write_bytes(b"")
    refused = _run("build-all", "--folder", folder, "--profile", PROFILE, "--out", tmp_path)
    assert refused.exit_code == 2
    assert "does not end with" in refused.stderr


def test_nothing_to_build_is_refused(tmp_path: Path) -> None:
    assert _run("build-all", "--profile", PROFILE, "--out", tmp_path).exit_code == 2
    bundle = write_bundle(tmp_path / "tiny")
    done = _run("build-all", "--bundle", bundle, "--profile", "rtx-20", "--precision", "fp32", "--out", tmp_path)
    assert done.exit_code == 2
    assert "left out: rtx-20 takes no fp32" in done.stderr


def test_a_refusal_is_a_row_and_the_others_are_built(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "bad-fp32.onnx").write_bytes(b"not a network")
    (folder / "good-fp32.onnx").write_bytes(residual("fp32")[1])
    done = _run("build-all", "--folder", folder, "--profile", PROFILE, "--out", tmp_path)
    assert done.exit_code == 46
    rows = {row["network"]: row for row in json.loads((tmp_path / "engines.json").read_text())}
    assert "engine_build_failed" in rows["bad"]["error"]
    assert rows["good"]["error"] is None
    assert "refused: " in done.stdout


def test_a_plan_is_audited(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    row = row_from_candidate(Candidate("res", "int8", "rtx-40", residual("int8")[1]), tmp_path)
    assert (row.error, row.in_int8, row.weighted) == (None, 3, 3)
    done = _run("audit", tmp_path / "res-int8-rtx-40.engine", "--kernels")
    assert done.exit_code == 0, done.output
    assert "3 of 3 with weights multiply in int8" in done.stdout
    assert "corrltn int8xint8 -> float" in done.stdout
    assert "sm89" in done.stdout


def test_an_engine_without_a_programs_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.engine"
    path.write_bytes(b"no plan")
    done = _run("audit", path)
    assert done.exit_code == 43
    assert "it holds no program text" in done.stderr


def test_the_table_of_members_is_what_the_installed_module_has() -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    code = [sys.executable, "-m", "engines", "members", "tensorrt_rtx"]
    found = json.loads(subprocess.run(code, check=True, capture_output=True, cwd=ROOT).stdout)
    if found["version"] != TABLE["versions"]["tensorrt-rtx 1.7"]:
        pytest.skip(f"the table is of another version than {found['version']}")
    assert set(TABLE["members"]) == set(CLASSES)
    for kind in CLASSES:
        assert set(found["members"].get(kind, [])) == members("tensorrt-rtx 1.7", kind)
