"""The seal of a compiled engine: everything that it depends on, and one key made of all of it.

An engine is a cache of a network for one builder on one device. Its key changes with the network's bytes, the
precision, the builder and its version, the flags and the device, so no two of these can share an engine and none
outlives a change.
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
        precision: of that file.
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
    def key(self) -> str:
        """SHA-256 over all but the engine's own bytes: the name under which an engine is kept."""
        fields = self.model_dump(exclude={"engine_sha256"})
        return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
