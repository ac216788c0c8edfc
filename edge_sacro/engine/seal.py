"""The seal of a compiled engine: everything that it depends on, and one key made of all of it.

An engine is a cache of a network for one builder on one device. Its key changes with the network's bytes, the
precision, the builder and its version, the flags, the device and its own bytes, so no two of these can share an engine
and none outlives a change.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Builder = Literal["onnxruntime", "openvino", "tensorrt", "tensorrt-rtx"]


class Seal(BaseModel):
    """What an engine was built from, by what and for what.

    Attributes:
        onnx_sha256: of the ONNX file that was compiled.
        precision: of that file; of the engine where its builder was given the fp32 file and ranges.
        builder, builder_version: whose engine it is; engines are not carried from one version to another.
        profile: name of the device profile.
        device: what the engine runs on, as the builder distinguishes it: a GPU's name and compute capability, a
            processor's instruction set.
        flags: every setting that changes the engine, ``"name=value"``, sorted.
        engine_sha256: of the engine's own bytes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    onnx_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    precision: Literal["fp32", "fp16", "int8"]
    builder: Builder
    builder_version: str
    profile: str
    device: str
    flags: list[str]
    engine_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @property
    def origin(self) -> str:
        """SHA-256 over all but the engine's own bytes: what it was built from, by what and for what."""
        fields = self.model_dump(exclude={"engine_sha256"})
        return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def key(self) -> str:
        """The name under which an engine is kept: half of its origin and half of its own hash.

        Builders that time tactics give other bytes each time, and none of them may overwrite one that serves.
        """
        return self.origin[:32] + self.engine_sha256[:32]


def sha256(content: bytes) -> str:
    """Of bytes, in hexadecimal, as seals have it."""
    return hashlib.sha256(content).hexdigest()
