"""Growth: the exponent is a regression's, what is not on the line shows, and a run keeps the machine's load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import linregress

from bench import growth
from bench.__main__ import main
from bench.growth import Point, axis, fitted
from edge_sacro.runtime import Runtime
from tests.conftest import ROOT
from tests.tiny import write_bundle, write_dicom


def test_an_exact_power_is_found_with_no_residual() -> None:
    x = [1.0, 2.0, 5.0, 11.0]
    fit = fitted("read", x, [3.0 * value**0.75 for value in x])
    assert fit.exponent == pytest.approx(0.75, abs=1e-3)
    assert fit.error == pytest.approx(0.0, abs=1e-3)
    assert fit.residuals == pytest.approx([1.0] * 4, abs=1e-3)


def test_the_fit_is_scipys_regression_of_the_logarithms() -> None:
    random = np.random.default_rng(4)
    x = np.sort(random.uniform(1e5, 1e7, 9))
    ms = 1e-4 * x**1.1 * random.lognormal(0, 0.2, 9)
    fit, expected = fitted("read", x.tolist(), ms.tolist()), linregress(np.log(x), np.log(ms))
    assert fit.exponent == pytest.approx(expected.slope, abs=1e-4)
    assert fit.error == pytest.approx(expected.stderr, abs=1e-4)
    line = np.exp(expected.intercept + expected.slope * np.log(x))
    assert fit.residuals == pytest.approx(ms / line, abs=1e-3)


def test_a_cost_that_is_no_power_shows_in_its_residuals() -> None:
    x = [1.0, 2.0, 4.0, 8.0, 16.0]
    assert max(fitted("total", x, [100.0 + value**2 for value in x]).residuals) > 1.1


def test_two_points_have_no_error_and_one_has_no_fit() -> None:
    assert fitted("read", [1.0, 2.0], [1.0, 2.0]).error is None
    for x, ms in (([1.0], [1.0]), ([2.0, 2.0], [1.0, 2.0]), ([1.0, 2.0], [0.0, 1.0])):
        with pytest.raises(ValueError, match="fitted"):
            fitted("read", x, ms)


def test_stages_that_a_point_lacks_and_places_beyond_the_processors_are_not_fitted() -> None:
    points = [Point(float(x), str(x), {"read": 8.0 / x, "total": 9.0 / x}, 1.0) for x in (1, 2)]
    points.append(Point(4.0, "4", {"total": 9.0}, 1.0))
    found = axis("threads", points, 2)
    assert [fit.stage for fit in found.fits] == ["total"]
    assert found.fits[0].exponent == pytest.approx(-1.0, abs=1e-3)
    assert len(found.points) == 3


def test_a_run_measures_in_turn_and_keeps_the_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    drawn = []

    def drawing(folder: Path, *arguments: Any) -> None:
        side = 256 * (1 + len(drawn))
        folder.mkdir(parents=True)
        pixels = np.kron(np.full((2, 2), 1000, np.uint16), np.ones((side // 2, side // 2), np.uint16))
        drawn.append(write_dicom(folder / "a.dcm", pixels))

    monkeypatch.setattr(growth, "Runtime", lambda threads: Runtime(bundle, threads=threads))
    monkeypatch.setattr(growth, "write_study", drawing)
    monkeypatch.setattr("edge_sacro.phantom.write_study", drawing)
    monkeypatch.setattr(growth, "SPACINGS_MM", (0.4, 0.2, 0.1))
    monkeypatch.setattr(growth, "STUDIES", (1, 2))
    out = tmp_path / "growth.json"
    done = CliRunner().invoke(main, ["growth", "--runs", "3", "--out", str(out)])
    assert done.exit_code == 0, done.output
    record = json.loads(out.read_text())
    assert len(record["load_average"]["before"]) == len(record["load_average"]["after"]) == 3
    size, studies, threads = record["axes"]
    assert [point["x"] for point in size["points"]] == [512.0**2, 768.0**2, 1024.0**2]
    assert [point["x"] for point in studies["points"]] == [1, 2]
    assert [point["x"] for point in threads["points"]] == [1, 2, 4]
    assert all(point["spread"] >= 1 for each in record["axes"] for point in each["points"])
    assert "exponent" in done.stdout


def test_the_kept_file_says_how_busy_its_machine_was() -> None:
    record = json.loads((ROOT / "bench" / "results" / "growth.json").read_text())
    assert {"before", "after"} == set(record["load_average"])
    assert [each["name"] for each in record["axes"]] == [
        "image size, pixels",
        "studies, opening included",
        "threads inside a network",
    ]
    for each in record["axes"]:
        total = next(fit for fit in each["fits"] if fit["stage"] == "total")
        within = [point for point in each["points"] if "threads" not in each["name"] or point["x"] <= record["cores"]]
        again = fitted("total", [point["x"] for point in within], [point["ms"]["total"] for point in within])
        assert total["exponent"] == pytest.approx(again.exponent, abs=1e-3)
