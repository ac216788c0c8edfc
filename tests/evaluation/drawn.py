"""Predictions that are drawn or counted out for the tests."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro.evaluation.cohorts import cohort_from_name
from edge_sacro.evaluation.evaluate import Settings
from edge_sacro.evaluation.measures import Draws
from edge_sacro.evaluation.predictions import Predictions, predictions_from_csv

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


def scores(count: int = 120, seed: int = 0, apart: float = 1.3, decimals: int = 2) -> tuple[Floats, Booleans]:
    """Scores of two overlapping normal distributions, rounded so that some are equal, and the truth."""
    random = np.random.default_rng(seed)
    positive = random.random(count) < 0.4
    return np.round(1 / (1 + np.exp(-random.normal(apart * positive, 1.0))), decimals), positive


def write_csv(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """Write rows under the headings of the first."""
    rows = list(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows_from_scores(values: Floats, positive: Booleans) -> list[dict[str, object]]:
    """A row an image."""
    return [
        {"id": f"image-{index}", "truth": int(truth), "score": score}
        for index, (score, truth) in enumerate(zip(values.tolist(), positive.tolist(), strict=True))
    ]


def rows_from_counts(tp: int, fp: int, fn: int, tn: int, side: str = "") -> list[dict[str, object]]:
    """Decided cases that give a 2 x 2 table."""
    cells = [(1, 1)] * tp + [(0, 1)] * fp + [(1, 0)] * fn + [(0, 0)] * tn
    return [
        {"id": f"case-{index}", "side": side, "truth": truth, "score": 0.9 if called else 0.1, "decision": called}
        for index, (truth, called) in enumerate(cells)
    ]


DRAWS = Draws(400, 0)


def predictions_from_rows(folder: Path, rows: list[dict[str, object]], name: str = "model") -> Predictions:
    """What the runtime reads of these rows."""
    (found,) = predictions_from_csv(write_csv(folder / f"{name}.csv", rows))
    return found


def predictions_from_scores(folder: Path, name: str = "model", **drawn: Any) -> Predictions:
    """What it reads of drawn scores."""
    return predictions_from_rows(folder, rows_from_scores(*scores(**drawn)), name)


def settings_for(reference: str | None = None, **changes: Any) -> Settings:
    """Settings with few resamples, beside a cohort or none."""
    cohort = None if reference is None else cohort_from_name(reference)
    return Settings(**{"cohort": cohort, "draws": DRAWS, **changes})
