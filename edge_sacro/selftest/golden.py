"""Golden answers: what a bundle answered to some phantoms when it was accepted, and how fast; ``golden.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_sacro.errors import InputNotFound, UsageError
from edge_sacro.manifest import FileName, Sha256

GOLDEN_NAME = "golden.json"
GOLDEN_LIMIT = 1 << 20

DEMONSTRATION = Path(__file__).with_name("demonstration.json")
"""The golden answers of the bundle that ships with Edge-Sacro; its phantoms are drawn when they are needed."""

PixelBox = Annotated[list[int], Field(min_length=4, max_length=4)]


class Strict(BaseModel):
    """No key that is not known, and no value changed after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Drawn(Strict):
    """How a phantom was drawn: options of ``edge-sacro phantom``."""

    seed: Annotated[int, Field(ge=0)]
    left_grade: Annotated[int, Field(ge=0, le=4)]
    right_grade: Annotated[int, Field(ge=0, le=4)]
    ct: bool = False


class Study(Strict):
    """One image and what was answered to it.

    Attributes:
        file: its name beside ``golden.json``.
        sha256: of the file.
        drawn: how to draw it where the file is not there; None where it cannot be.
        state, reason_code, probability, crop_px, left_px, right_px: as in the report of ``edge-sacro infer``.
    """

    file: FileName
    sha256: Sha256
    drawn: Drawn | None
    state: str
    reason_code: str | None
    probability: float | None
    crop_px: PixelBox | None
    left_px: PixelBox | None
    right_px: PixelBox | None


class Latency(Strict):
    """How long an assessment took when the answers were recorded, as a ratio to the yardstick of the same minute.

    Attributes:
        machine, cores, backend, precision: where the ratio means something; elsewhere it judges nothing.
        ratio: median of an assessment's time by the yardstick's beside it.
        factor: how many times the ratio is allowed.
    """

    machine: str
    cores: int
    backend: str
    precision: str
    ratio: Annotated[float, Field(gt=0)]
    factor: Annotated[float, Field(ge=1)]


class BundleName(Strict):
    """Whose answers they are."""

    name: str
    version: str
    fingerprint: Sha256


class Golden(Strict):
    """The whole file.

    Attributes:
        recorded: when, in UTC; no honest clock of a site is before it.
        half_width: of the bundle's guard band: how far a probability may be from the golden one.
        box_px: how far each edge of a box may be: one pixel of the network's grid on the image's.
        studies: one at least, of different names.
    """

    schema_version: Literal["edge-sacro-golden-1"] = "edge-sacro-golden-1"
    recorded: str
    software: str
    bundle: BundleName
    operating_point: str
    half_width: Annotated[float, Field(ge=0, le=0.25)]
    box_px: Annotated[int, Field(ge=0)]
    latency: Latency | None
    studies: Annotated[list[Study], Field(min_length=1)]


def golden_from_file(path: Path) -> Golden:
    """Read golden answers.

    Raises:
        InputNotFound: the file is not there.
        UsageError: it is not what its schema says.
    """
    try:
        with path.open("rb") as file:
            text = file.read(GOLDEN_LIMIT + 1)
    except OSError as error:
        raise InputNotFound(f"the golden answers cannot be read: {error.strerror}", source=str(path)) from error
    try:
        golden = Golden.model_validate_json(text[: GOLDEN_LIMIT + 1])
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in error.errors())
        raise UsageError(
            f"these are no golden answers: {told}", source=str(path), remedy="Record them again."
        ) from error
    if len({study.file for study in golden.studies}) != len(golden.studies):
        raise UsageError("two studies have one name", source=str(path), remedy="Record them again.")
    return golden


def json_from_golden(golden: Golden) -> str:
    """The file: keys sorted, one line end at the end."""
    return json.dumps(golden.model_dump(mode="json"), sort_keys=True, indent=1) + "\n"
