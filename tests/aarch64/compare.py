"""Reports and networks of one processor beside another's: decisions and boxes equal, numbers within tolerances.

``python compare.py reports PRECISION HOST.json OTHER.json`` and ``networks PRECISION HOST.npz OTHER.npz`` print a row,
tab-separated, and end with 1 where something differs by more than is allowed; ``table FILE`` prints a file of rows.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PROBABILITY = {"fp32": 1e-4, "fp16": 1e-3, "int8": 2e-3}
"""Of a report's probability, which has four decimals."""

NETWORK = {"fp32": 2e-5, "fp16": 1e-2, "int8": 3e-2}
"""Of a network's outputs, as a part of the largest magnitude of the host's."""


@dataclass(frozen=True)
class Comparison:
    """What one comparison found.

    Attributes:
        differences: of what must be equal: the place, and both values.
        largest: difference of a number that may differ.
        allowed: the most that it may.
    """

    differences: tuple[str, ...]
    largest: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether nothing differs that must not, and no number by more than is allowed."""
        return not self.differences and self.largest <= self.allowed


def reports(host: Mapping[str, Any], other: Mapping[str, Any], precision: str) -> Comparison:
    """Two report documents on the same files: everything but time, place, processor and probability is equal."""
    pairs = list(zip(_probabilities(host), _probabilities(other), strict=False))
    gaps = [0.0 if a == b else np.inf if a is None or b is None else round(abs(a - b), 4) for a, b in pairs]
    found = tuple(_differences("", _comparable(host), _comparable(other)))
    return Comparison(found, float(max(gaps, default=np.inf)), PROBABILITY[precision])


def networks(host: Mapping[str, npt.NDArray[Any]], other: Mapping[str, npt.NDArray[Any]], precision: str) -> Comparison:
    """What the networks were given is equal to the bit, unless a network made it; what they gave is close."""
    found = [f"{name}: in one of both" for name in sorted(set(host) ^ set(other))]
    largest = np.inf if found or not host else 0.0
    for name in sorted(set(host) & set(other)):
        a, b = host[name], other[name]
        if a.shape != b.shape or a.dtype != b.dtype:
            found.append(f"{name}: {a.dtype} {a.shape}, {b.dtype} {b.shape}")
        elif "/in/" in name and a.tobytes() != b.tobytes():
            found.append(f"{name}: differs by {np.abs(a - b).max():.3g}")
        elif "/out/" in name:
            scale = max(float(np.abs(a).max()), np.finfo(np.float32).tiny)
            gap = float(np.abs(a - b).max()) / scale
            largest = max(largest, np.inf if np.isnan(gap) else gap)
    return Comparison(tuple(found), largest, NETWORK[precision])


def _probabilities(report: Mapping[str, Any]) -> list[float | None]:
    found = []
    for result in report["results"]:
        joints = result["joints"] or {}
        found += [result["probability"], *(joints[side]["probability"] for side in sorted(joints))]
    return found


def _comparable(report: Mapping[str, Any]) -> Any:
    """The report without what may differ; a probability leaves behind whether there is one."""
    found = copy.deepcopy(dict(report))
    for result in found["results"]:
        result["source"]["path"] = Path(result["source"]["path"]).name
        del result["timings_ms"], result["backend"]["processor"]
        for part in (result, *(result["joints"] or {}).values()):
            if part["probability"] is not None:
                part["reason"] = part["reason"].replace(f"{part['probability']:g}", "P")
                part["probability"] = "P"
    return found


def _differences(place: str, a: Any, b: Any) -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict) and set(a) == set(b):
        return [line for key in a for line in _differences(f"{place}.{key}", a[key], b[key])]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [
            line
            for number, pair in enumerate(zip(a, b, strict=True))
            for line in _differences(f"{place}[{number}]", *pair)
        ]
    return [] if a == b and type(a) is type(b) else [f"{place.lstrip('.')}: {a!r}, {b!r}"]


def table(rows: str) -> str:
    """Tab-separated rows as an aligned table under its heads."""
    heads = ["check", "s", "difference", "allowed", "", ""]
    cells = [heads, *(line.split("\t") for line in rows.splitlines())]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def main(kind: str, *arguments: str) -> int:
    """Compare two files and print the row, or print the table of the rows in a file."""
    if kind == "table":
        print(table(Path(arguments[0]).read_text()))
        return 0
    precision, host, other = arguments
    if kind == "reports":
        found = reports(json.loads(Path(host).read_text()), json.loads(Path(other).read_text()), precision)
    else:
        with np.load(host) as a, np.load(other) as b:
            found = networks(dict(a), dict(b), precision)
    verdict = "all else equal" if not found.differences else "; ".join(found.differences[:3])
    if kind == "reports" and not found.differences:
        results = json.loads(Path(other).read_text())["results"]
        verdict = "equal: " + ", ".join(f"{each['state']} {each['probability']}" for each in results)
    print(f"{found.largest:.2g}\t{found.allowed:g}\t{verdict}")
    return 0 if found.holds else 1


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
