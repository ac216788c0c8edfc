"""A stand-in for the vendor's module: one version's classes and members, and nothing that the version has not.

Every attribute that the builder touches goes through here, so that what it touches can be held to what each version
has. It builds nothing; a plan is a list of the calls that would have made it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

TABLE = json.loads(Path(__file__).with_name("api_members.json").read_text())
VERSIONS: dict[str, str] = TABLE["versions"]


def members(version: str, kind: str) -> frozenset[str]:
    """Public members that a class has in a version; none where the version has not the class."""
    entry = TABLE["members"][kind]
    return frozenset(entry["all"]) | frozenset(entry.get(version, []))


@dataclass
class Behaviour:
    """What the stand-in answers.

    Attributes:
        parses, builds: whether the file is taken and a plan comes out.
        refuses: methods that answer False.
        raises: of the build, in place of a plan.
        cores: deep learning accelerators.
        shape: of the network's input.
    """

    parses: bool = True
    builds: bool = True
    refuses: frozenset[str] = frozenset()
    raises: Exception | None = None
    cores: int = 2
    shape: tuple[int, ...] = (1, 1, 8, 8)


@dataclass
class FakeTrt:
    """The module ``tensorrt`` of one version."""

    name: str
    behaviour: Behaviour = field(default_factory=Behaviour)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    touched: set[tuple[str, str]] = field(default_factory=set)

    @property
    def __version__(self) -> str:
        return VERSIONS[self.name]

    def __getattr__(self, kind: str) -> Any:
        """A class of the version, or AttributeError as from the vendor's module."""
        if kind.startswith("__") or kind not in TABLE["members"] or not members(self.name, kind):
            raise AttributeError(f"module of {self.name} has no {kind}")
        if kind in {"ILogger", "IProgressMonitor"}:
            return _base(self, kind)
        if kind == "Builder":
            return lambda logger: _Object(self, "Builder", {"logger": logger, "num_DLA_cores": self.behaviour.cores})
        if kind == "OnnxParser":
            return lambda network, logger: _Object(self, "OnnxParser", {"logger": logger, "network": network})
        return _Enumeration(self, kind)

    def set_values(self, name: str) -> list[Any]:
        """What was given in all calls of a method or settings of an attribute."""
        return [value for each, value in self.calls if each == name]


class Severity(IntEnum):
    """As the vendor orders them."""

    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class _Enumeration:
    def __init__(self, trt: FakeTrt, kind: str) -> None:
        self._trt, self._kind = trt, kind

    def __getattr__(self, name: str) -> Any:
        self._trt.touched.add((self._kind, name))
        if name not in members(self._trt.name, self._kind):
            raise AttributeError(f"{self._kind} of {self._trt.name} has no {name}")
        return _Member(self._kind, name)


class _Member:
    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name

    def __int__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return f"{self.kind}.{self.name}"

    def __eq__(self, other: object) -> bool:
        return repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


def _base(trt: FakeTrt, kind: str) -> type:
    """A class to inherit from, as ``ILogger`` is."""
    trt.touched.add((kind, "log" if kind == "ILogger" else "step_complete"))
    namespace = {"Severity": Severity} if kind == "ILogger" else {}
    return type(kind, (), namespace)


_RETURNED = {
    "create_network": "INetworkDefinition",
    "create_builder_config": "IBuilderConfig",
    "create_optimization_profile": "IOptimizationProfile",
    "create_timing_cache": "ITimingCache",
    "get_timing_cache": "ITimingCache",
    "get_error": "ParserError",
    "get_input": "ITensor",
    "get_output": "ITensor",
}
_ANSWERS: dict[str, Any] = {
    "serialize": b"timings",
    "add_optimization_profile": 0,
    "node_operator": "Einsum",
    "node_name": "e1",
    "desc": "no such operator",
}


class _Object:
    """An object of the vendor's: attributes and methods that its class has in this version, recorded."""

    def __init__(self, trt: FakeTrt, kind: str, values: dict[str, Any] | None = None) -> None:
        object.__setattr__(self, "_trt", trt)
        object.__setattr__(self, "_kind", kind)
        object.__setattr__(self, "_values", values or {})

    def __setattr__(self, name: str, value: Any) -> None:
        self._touch(name)
        self._trt.calls.append((name, value))
        self._values[name] = value

    def __getattr__(self, name: str) -> Any:
        self._touch(name)
        if name in self._values:
            return self._values[name]

        def call(*arguments: Any) -> Any:
            self._trt.calls.append((name, arguments))
            return self._answer(name, arguments)

        return call

    def _touch(self, name: str) -> None:
        self._trt.touched.add((self._kind, name))
        if name not in members(self._trt.name, self._kind):
            raise AttributeError(f"{self._kind} of {self._trt.name} has no {name}")

    def _answer(self, name: str, arguments: tuple[Any, ...]) -> Any:
        behaviour = self._trt.behaviour
        if name in behaviour.refuses:
            return -1 if name == "add_optimization_profile" else False
        if name == "parse":
            self._values["num_errors"] = 0 if behaviour.parses else 1
            return behaviour.parses
        if name == "build_serialized_network":
            return self._built()
        if name == "get_layer":  # the first layer is a constant
            return _Object(self._trt, "ILayer", {"num_inputs": int(arguments[0] > 0), "num_outputs": 1})
        if name in _RETURNED:
            return _Object(self._trt, _RETURNED[name], self._known(name))
        return _ANSWERS.get(name, True)

    def _known(self, name: str) -> dict[str, Any]:
        """What an object that a method gives says of itself."""
        return {
            "create_network": {"num_inputs": 1, "num_layers": 2},
            "get_input": {"name": "image", "shape": self._trt.behaviour.shape},
            "get_output": {"name": "logits", "shape": (1, 2)},
        }.get(name, {})

    def _built(self) -> bytes | None:
        behaviour = self._trt.behaviour
        self._values["logger"].log(Severity.WARNING, "a warning of the vendor's")
        if behaviour.raises is not None:
            raise behaviour.raises
        if not behaviour.builds:
            self._values["logger"].log(Severity.ERROR, "no implementation for node conv3")
            return None
        return b"plan"
