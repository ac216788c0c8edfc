"""The manifest of a model bundle: everything beside the weights that a result depends on, as one strict schema."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_sacro.engine.base import NetworkSpec, TensorSpec
from edge_sacro.errors import BundleManifestInvalid
from edge_sacro.types import OperatingPoint

MANIFEST_NAME = "manifest.json"

SystemName = Literal["dorfner2024", "dorfner2024-standard"]
Numerics = Literal["corrected", "published"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Tensor(_Strict):
    """A float32 tensor of a network, by its name in the graph and its static shape."""

    name: str
    shape: list[Annotated[int, Field(ge=1, le=16384)]]

    def spec(self) -> TensorSpec:
        """The same, as the engine seam has it."""
        return TensorSpec(self.name, tuple(self.shape))


class Network(_Strict):
    """One ONNX file of the bundle."""

    file: FileName
    precision: Literal["fp32"]
    inputs: list[Tensor]
    outputs: list[Tensor]

    def spec(self, name: str) -> NetworkSpec:
        """What the engine has to find in the file."""
        return NetworkSpec(name, tuple(t.spec() for t in self.inputs), tuple(t.spec() for t in self.outputs))


class Segmentation(_Strict):
    """How the segmenter is applied.

    Attributes:
        size: rows and columns that the radiograph is resized to, in pixels (published: 768).
        window: rows and columns of a sliding window, in pixels (published: 512).
        overlap: overlap of neighbouring windows as a fraction of ``window`` (published: 0.75).
        dilation_fraction: half-width of the sacrum's dilation as a fraction of its height (published: 0.05).
    """

    size: Annotated[int, Field(ge=64, le=4096)]
    window: Annotated[int, Field(ge=64, le=4096)]
    overlap: Annotated[float, Field(ge=0, lt=1)]
    dilation_fraction: Fraction


class Classification(_Strict):
    """Rows and columns of the classifier's input, in pixels (published: 416 x 628)."""

    rows: Annotated[int, Field(ge=32, le=4096)]
    columns: Annotated[int, Field(ge=32, le=4096)]


class CutOff(_Strict):
    """An operating point: positive above the threshold, strictly, and where the threshold comes from."""

    name: str
    threshold: Fraction
    source: str

    def operating_point(self) -> OperatingPoint:
        """The same, as decisions take it."""
        return OperatingPoint(self.name, self.threshold, self.source)


class GuardBand(_Strict):
    """Half-width around a threshold inside which the answer is ``borderline``, and how it was measured."""

    half_width: Annotated[float, Field(ge=0, le=0.25)]
    source: str


class Manifest(_Strict):
    """The bundle's own account of itself. Unknown keys are refused."""

    schema_version: Literal[1]
    name: FileName
    version: str
    system: SystemName
    numerics: Numerics
    demonstration: bool
    statement: str
    intended_use: str
    licence: str
    credits: list[str]
    normaliser: Literal["normaliser-1"]
    classes: list[str]
    segmentation: Segmentation | None
    classification: Classification
    networks: dict[Literal["segmenter", "classifier"], Network]
    operating_points: Annotated[list[CutOff], Field(min_length=1)]
    default_operating_point: str
    guard_band: GuardBand
    files: dict[FileName, Sha256]

    @model_validator(mode="after")
    def _hangs_together(self) -> Manifest:
        """What a type cannot say: names that refer to one another do."""
        points = [point.name for point in self.operating_points]
        if len(set(points)) != len(points):
            raise ValueError(f"operating points {points} are not distinct")
        if self.default_operating_point not in points:
            raise ValueError(f"default_operating_point {self.default_operating_point!r} is none of {points}")
        for name, network in self.networks.items():
            if network.file not in self.files:
                raise ValueError(f"files lists no hash of {network.file}, the {name}")
        needed = {"classifier"} if self.system == "dorfner2024-standard" else {"segmenter", "classifier"}
        if set(self.networks) != needed:
            raise ValueError(f"system {self.system} takes the networks {sorted(needed)}, not {sorted(self.networks)}")
        if ("segmenter" in needed) != (self.segmentation is not None):
            raise ValueError(f"segmentation does not fit system {self.system}")
        if self.demonstration and "not for clinical use" not in self.statement:
            raise ValueError("the statement of a demonstration bundle must say that it is not for clinical use")
        return self

    def operating_point(self, name: str | None) -> OperatingPoint:
        """The operating point of that name, or the default one.

        Raises:
            KeyError: there is none of that name.
        """
        wanted = name or self.default_operating_point
        return {point.name: point for point in self.operating_points}[wanted].operating_point()

    def canonical(self) -> bytes:
        """The manifest as bytes that depend on nothing but its content."""
        return json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def fingerprint(self) -> str:
        """SHA-256 of the canonical manifest, which holds the hash of every file: one name for the whole bundle."""
        return hashlib.sha256(self.canonical()).hexdigest()


def manifest_from_json(text: bytes, source: str) -> Manifest:
    """Read a manifest.

    Raises:
        BundleManifestInvalid: it is not JSON or not what the schema says; the message names each place.
    """
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        places = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'manifest'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise BundleManifestInvalid(places, source=source) from error
