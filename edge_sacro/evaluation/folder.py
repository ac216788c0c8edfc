"""Predictions of a bundle on a folder of simulated radiographs, held against the truth that the folder tells."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_sacro.dicom import find_instances
from edge_sacro.errors import UsageError
from edge_sacro.evaluation.document import BundleUsed
from edge_sacro.evaluation.predictions import Case, Predictions
from edge_sacro.grades import is_definite, is_sacroiliitis
from edge_sacro.phantom.study import SCHEMA
from edge_sacro.report import Result
from edge_sacro.runtime import Runtime
from edge_sacro.types import SIDES, Box

TRUTH_NAME = "truth.json"
SIMULATED = "the radiographs are simulated and show no patient"
_REMEDY = "Give a folder that edge-sacro phantom made, or predictions as CSV; see docs/evaluation.md."


@dataclass(frozen=True)
class Assessed:
    """A folder's images as a bundle answered them.

    Attributes:
        predictions: a case for each image and each of its joints.
        used: the bundle.
        notes: what was left out and why.
    """

    predictions: Predictions
    used: BundleUsed
    notes: list[str]


def assessed_from_folder(
    folder: Path, runtime: Runtime, progress: Callable[[Sequence[Path]], Iterable[Path]] = iter
) -> Assessed:
    """Assess every image whose truth the folder's ``truth.json`` tells.

    Args:
        folder: as ``edge-sacro phantom`` writes it.
        runtime: open.
        progress: given the files, gives them one by one as they are assessed.

    Raises:
        UsageError: there is no such truth, or no file that it is of.
        BackendError: the backend failed.
    """
    truth = truth_from_folder(folder)
    files = [each.path for each in find_instances([folder]) if each.reason is None]
    cases: list[Case] = []
    states: Counter[str] = Counter()
    strangers, backend = 0, ""
    for path in progress(files):
        result = runtime.infer(path)
        entry = truth.pop(result.source.sha256 or "", None)
        if entry is None:
            strangers += 1
            continue
        backend = f"{result.backend.name} {result.backend.version}"
        states[f"{result.state.value} ({result.reason_code})" if result.reason_code else result.state.value] += 1
        cases += _cases(path.relative_to(folder).as_posix(), entry, result, str(folder / TRUTH_NAME))
    if not cases:
        raise UsageError("truth.json is of none of its files", source=str(folder), remedy=_REMEDY)
    notes = [f"answers: {', '.join(f'{state} {count}' for state, count in sorted(states.items()))}"]
    if strangers:
        notes.append(f"{strangers} files are not in truth.json and were left out")
    if truth:
        notes.append(f"{len(truth)} images of truth.json are not in the folder")
    manifest = runtime.bundle.manifest
    used = BundleUsed(
        name=manifest.name,
        version=manifest.version,
        fingerprint=runtime.bundle.fingerprint,
        system=manifest.system,
        demonstration=manifest.demonstration,
        statement=manifest.statement,
        backend=backend,
        precision=runtime.precision,
    )
    return Assessed(Predictions(f"{manifest.name} {manifest.version}", str(folder), tuple(cases)), used, notes)


def truth_from_folder(folder: Path) -> dict[str, dict[str, Any]]:
    """The entries of ``truth.json`` by the SHA-256 of their files.

    Raises:
        UsageError: there is none, or it is none of simulated radiographs.
    """
    path = folder / TRUTH_NAME
    try:
        study = json.loads(path.read_bytes())
        if study["schema"] != SCHEMA:
            raise ValueError(f"its schema is {study['schema']!r}, and must be {SCHEMA!r}")
        return {image["sha256"]: image for image in study["images"]}
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", source=str(path), remedy=_REMEDY) from error
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"it tells no truth of images: {error}", source=str(path), remedy=_REMEDY) from error


def _cases(name: str, entry: dict[str, Any], result: Result, source: str) -> list[Case]:
    """The image and its joints. A joint that the border cuts has no true box: no detector can be held to it."""
    try:
        joints = entry.get("joints", {})
        grades = [int(joints[side]["grade"]) for side in SIDES] if joints else []
        definite = is_definite(*grades) if grades else bool(entry["mny_positive"])
        if definite != bool(entry["mny_positive"]):
            raise ValueError(f"mny_positive contradicts the grades {grades}")
        found = [Case(name, None, name, definite, result.probability)]
        for side, grade in zip(SIDES, grades, strict=False):
            answer = getattr(result.joints, side)
            whole = joints[side]["whole"]
            found.append(
                Case(
                    id=name,
                    side=side,
                    group=name,
                    truth=is_sacroiliitis(grade),
                    score=answer.probability,
                    box=Box(*answer.box_px) if answer.box_px and whole else None,
                    truth_box=Box(*joints[side]["box_px"]) if whole else None,
                )
            )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"its entry of {name} cannot be read: {error}", source=source, remedy=_REMEDY) from error
    return found
