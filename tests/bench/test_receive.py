"""The bench of receiving: it measures what was acknowledged, and says so where something was not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.receive import ROWS, available, edge_sacro, file_system, measured, radiograph
from bench.receive_command import receive, text_from_record
from edge_sacro.errors import UsageError
from edge_sacro.phantom import PhantomOptions, write_study

needs_dcmtk = pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK is not installed")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image")
    write_study(folder, 1, 7, PhantomOptions(spacing_mm=0.6))
    return radiograph(folder, next(folder.glob("*.dcm")))


def test_the_image_is_as_large_as_a_real_one(image: Path) -> None:
    assert image.stat().st_size / 2 / ROWS == pytest.approx(2400, abs=1)


@needs_dcmtk
def test_every_instance_is_kept_before_its_time_is_told(tmp_path: Path, image: Path) -> None:
    with edge_sacro(tmp_path) as server:
        taken = measured(server, tmp_path, image, instances=3, clients=2)
        kept = list((tmp_path / "node" / "instances").glob("*/*.dcm"))
    assert len(kept) == 3
    assert 0 < taken.seconds <= taken.synced_seconds
    assert taken.peak_mb > 10


@needs_dcmtk
def test_an_instance_that_is_not_acknowledged_ends_the_measurement(tmp_path: Path, image: Path) -> None:
    with edge_sacro(tmp_path) as server, pytest.raises(UsageError, match="acknowledged"):
        measured(server._replace(port=1), tmp_path, image, instances=1, clients=1)


@needs_dcmtk
def test_the_command_writes_each_round_and_prints_medians(tmp_path: Path) -> None:
    out = tmp_path / "receive.json"
    arguments = ["--instances", "1", "--rounds", "1", "--clients", "1", "--server", "edge_sacro"]
    result = CliRunner().invoke(receive, [*arguments, "--folder", str(tmp_path), "--out", str(out)])
    assert result.exit_code == 0, result.output
    record = json.loads(out.read_text())
    assert [(row["server"], row["clients"]) for row in record["rows"]] == [("edge_sacro", 1)]
    assert record["file_system"] == file_system(tmp_path)
    assert "| edge_sacro |" in result.output


def test_ratios_are_to_storescp_with_as_many_clients() -> None:
    common = {"synced": "x", "clients": 1, "echo_ms": 1.0, "peak_mb": 1.0}
    rows = [
        {"server": "edge_sacro", "seconds": 2.0, "synced_seconds": 2.0, **common},
        {"server": "storescp", "seconds": 1.0, "synced_seconds": 4.0, **common},
    ]
    table = text_from_record({"rows": rows, "instances": 10, "megabytes": 10.0}).splitlines()
    assert table[2].split("|")[4:8] == [" 50 ", " 50 ", " 0.50 ", " 2.00 "]


def test_a_server_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.receive._path", lambda program: "/x" if program == "storescu" else None)
    assert available([]) == ["edge_sacro"]
    with pytest.raises(UsageError, match="Orthanc"):
        available(["orthanc"])
