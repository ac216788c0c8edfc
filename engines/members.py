"""The members of a TensorRT module that the package touches, for the table that it is tested against.

Needs no GPU and no library of the vendor's: the bindings' wheel imports against stubs of its three libraries.
"""

from __future__ import annotations

import importlib
from typing import Any

CLASSES = (
    "Builder",
    "BuilderFlag",
    "ComputeCapability",
    "CudaGraphStrategy",
    "DataType",
    "DeviceType",
    "EngineInvalidityDiagnostics",
    "EngineValidity",
    "HardwareCompatibilityLevel",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "ILayer",
    "ILogger",
    "INetworkDefinition",
    "IOptimizationProfile",
    "IProgressMonitor",
    "IRuntimeConfig",
    "ITensor",
    "ITimingCache",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "OnnxParser",
    "ParserError",
    "ProfilingVerbosity",
    "Runtime",
    "TensorFormat",
    "TensorIOMode",
    "TensorLocation",
)


def members_from_module(name: str) -> dict[str, Any]:
    """Version, and public members by class; a class that the version has not is absent.

    Args:
        name: such as ``tensorrt``, ``tensorrt_bindings`` or ``tensorrt_rtx``.
    """
    module = importlib.import_module(name)
    found = {each: _public(getattr(module, each)) for each in CLASSES if hasattr(module, each)}
    return {"version": module.__version__, "members": found}


def _public(kind: Any) -> list[str]:
    return sorted(name for name in dir(kind) if not name.startswith("_"))
