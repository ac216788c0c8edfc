"""The fuzzing of the reader: its seeds are read, a planted defect is found, and without atheris it says so."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from bench.reliability_fuzz import run_fuzz, write_seeds
from edge_sacro.dicom import ReadLimits, read
from edge_sacro.errors import WorkshopError

LIMITS = ReadLimits(min_side=16)


def test_each_seed_is_an_image_in_a_syntax_of_its_own(tmp_path: Path) -> None:
    count = write_seeds(tmp_path)
    images = [read(each, limits=LIMITS) for each in sorted(tmp_path.iterdir())]
    assert len(images) == count
    assert len({each.transfer_syntax_uid for each in images}) == count
    assert all((each.stored == images[0].stored).all() for each in images)


def test_without_atheris_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(WorkshopError, match="pip install atheris"):
        run_fuzz(tmp_path, 10, 1)


@pytest.mark.heavy
def test_a_planted_defect_is_found_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="coverage-guided fuzzing needs atheris")
    planted = run_fuzz(tmp_path / "planted", 300_000, 1, planted=True)
    assert planted.finding is not None
    assert "PlantedDefect" in planted.finding
    found = run_fuzz(tmp_path / "reader", 1000, 1)
    assert found.finding is None, found.finding
    assert found.inputs >= 1000
    assert found.corpus > 6
