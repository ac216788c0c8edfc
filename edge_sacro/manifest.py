"""The manifest of a model bundle: everything beside the weights that a result depends on, as one strict schema."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_sacro.engine.base import NetworkSpec, TensorSpec
from edge_sacro.engine.seal import Seal
from edge_sacro.errors import BundleManifestInvalid
from edge_sacro.types import OperatingPoint

if TYPE_CHECKING:
    from edge_sacro.systems import System

MANIFEST_NAME = "manifest.json"

NetworkName = Literal["segmenter", "classifier", "detector"]
Precision = Literal["fp32", "fp16", "int8"]
RecordName = Literal["export", "calibration", "parity"]
Numerics = Literal["corrected", "published"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Fraction = Annotated[float, Field(gt=0, lt=1)]

SETTINGS = {"segmenter": "segmentation", "classifier": "classification", "detector": "detection"}
"""The manifest's key that says how a network is applied."""


def system_from_name(name: str) -> System:
    """The system of this name.

    Raises:
        ValueError: there is none.
    """
    from edge_sacro.systems import SYSTEMS  # systems read manifests, so they cannot be had before this module is

    if name not in SYSTEMS:
        raise ValueError(f"no system is called {name!r}; there are {', '.join(sorted(SYSTEMS))}")
    return SYSTEMS[name]


SystemName = Annotated[str, AfterValidator(lambda name: system_from_name(name).name)]
"""A name in ``edge_sacro.systems.SYSTEMS``."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Tensor(_Strict):
    """A float32 tensor of a network, by its name in the graph and its static shape."""

    name: str
    shape: list[Annotated[int, Field(ge=1, le=16384)]]

    def spec(self) -> TensorSpec:
        """The same, as the engine seam has it."""
        return TensorSpec(self.name, tuple(self.shape))


class Variant(_Strict):
    """One ONNX file of a network. Its inputs and outputs are float32 in every precision.

    Attributes:
        precision: what its arithmetic is, save layers that the calibration record names.
        file: in the bundle.
        backends: the only ones that it is for, where it is no file for all; it is preferred on those.
    """

    precision: Precision
    file: FileName
    backends: Annotated[list[str], Field(min_length=1)] | None = None


class Network(_Strict):
    """One network of the bundle, by precision."""

    variants: Annotated[list[Variant], Field(min_length=1)]
    inputs: list[Tensor]
    outputs: list[Tensor]

    @property
    def precisions(self) -> frozenset[Precision]:
        """Those that any backend can run it in."""
        return frozenset(variant.precision for variant in self.variants if variant.backends is None)

    def file(self, precision: Precision, backend: str) -> str:
        """The file for a backend: its own one, else the one for all.

        Raises:
            KeyError: there is none of that precision.
        """
        fitting = [
            v for v in self.variants if v.precision == precision and (v.backends is None or backend in v.backends)
        ]
        fitting.sort(key=lambda variant: variant.backends is None)
        if not fitting:
            raise KeyError(precision)
        return fitting[0].file

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


class Detection(_Strict):
    """How the detector is applied.

    Attributes:
        size: rows and columns of the detector's input, in pixels (published: 1024).
        score: least score of a box that is kept (published: 0.5).
        iou: overlap above which the lower of two boxes of one class is dropped (published: 0.5).
        boxes: most boxes that are kept, of a class and in all (published: 100).
    """

    size: Annotated[int, Field(ge=64, le=4096)]
    score: Fraction
    iou: Fraction
    boxes: Annotated[int, Field(ge=2, le=10_000)]


class HounsfieldWindow(_Strict):
    """What part of a CT slice's values the classifier sees, in Hounsfield units."""

    center: float
    width: Annotated[float, Field(gt=0)]


class CutOff(_Strict):
    """An operating point: positive above the threshold, strictly, and where the threshold comes from."""

    name: str
    threshold: Fraction
    source: str

    def operating_point(self) -> OperatingPoint:
        """The same, as decisions take it."""
        return OperatingPoint(self.name, self.threshold, self.source)


class EngineRecord(_Strict):
    """A compiled network: its file, whose it is, and the seal that tells on what it may run."""

    file: FileName
    network: NetworkName
    seal: Seal


class GuardBand(_Strict):
    """Half-width around a threshold inside which the answer is ``borderline``, and how it was measured."""

    half_width: Annotated[float, Field(ge=0, le=0.25)]
    source: str


class Manifest(_Strict):
    """The bundle's own account of itself. Unknown keys are refused.

    Attributes:
        default_precision: what the networks run in where nobody asks for another.
        engines: compiled networks that the bundle brings along, each with its seal.
        records: files that say how the networks were exported, calibrated and held against one another.
        sequence: grows with every release of the bundle; a site refuses one that is lower than it has seen.
    """

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
    normaliser: Literal["normaliser-1", "hounsfield-window-1"]
    classes: list[str]
    segmentation: Segmentation | None = None
    classification: Classification | None = None
    detection: Detection | None = None
    hounsfield_window: HounsfieldWindow | None = None
    networks: dict[NetworkName, Network]
    default_precision: Precision
    operating_points: Annotated[list[CutOff], Field(min_length=1)]
    default_operating_point: str
    guard_band: GuardBand
    engines: list[EngineRecord] = []
    records: dict[RecordName, FileName] = {}
    sequence: Annotated[int, Field(ge=0)] = 0
    files: dict[FileName, Sha256]

    @model_validator(mode="after")
    def _hangs_together(self) -> Manifest:
        """What a type cannot say: names that refer to one another do."""
        points = [point.name for point in self.operating_points]
        if len(set(points)) != len(points):
            raise ValueError(f"operating points {points} are not distinct")
        if self.default_operating_point not in points:
            raise ValueError(f"default_operating_point {self.default_operating_point!r} is none of {points}")
        named: list[tuple[str, str]] = []
        named += [(variant.file, name) for name, network in self.networks.items() for variant in network.variants]
        named += [(engine.file, f"engine of the {engine.network}") for engine in self.engines]
        named += [(file, f"{name} record") for name, file in self.records.items()]
        for file, what in named:
            if file not in self.files:
                raise ValueError(f"files lists no hash of {file}, the {what}")
        self._check_system()
        precisions = {name: sorted(network.precisions) for name, network in self.networks.items()}
        if len({tuple(each) for each in precisions.values()}) != 1:
            raise ValueError(f"the networks have not the same precisions: {precisions}")
        if self.default_precision not in next(iter(precisions.values())):
            raise ValueError(f"default_precision {self.default_precision!r} is none of the networks'")
        if self.demonstration and "not for clinical use" not in self.statement:
            raise ValueError("the statement of a demonstration bundle must say that it is not for clinical use")
        return self

    def _check_system(self) -> None:
        """The networks and settings that the system takes are there, and no others."""
        system = system_from_name(self.system)
        needed = system.networks
        if set(self.networks) != needed:
            raise ValueError(f"system {self.system} takes the networks {sorted(needed)}, not {sorted(self.networks)}")
        for network, name in SETTINGS.items():
            if (network in needed) != (getattr(self, name) is not None):
                raise ValueError(f"{name} does not fit system {self.system}")
        if system.hounsfield_window != (self.hounsfield_window is not None):
            raise ValueError(f"hounsfield_window does not fit system {self.system}")

    @property
    def precisions(self) -> frozenset[Precision]:
        """Those that every network has."""
        return next(iter(self.networks.values())).precisions

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
