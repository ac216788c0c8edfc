"""A folder of sealed engines, and one file that points at those in service.

``<key>.engine`` and ``<key>.json`` are an engine and its seal, ``<key>.qualified.json`` its answers to the golden
inputs, ``serving.json`` the key in service and the one before it for each network. Every file is written beside its
place, flushed and renamed, so that a power cut leaves the old state or the new one. A swap and a rollback are one
rename of ``serving.json``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_sacro.engine.build import Built
from edge_sacro.engine.seal import Seal, sha256
from edge_sacro.errors import EngineError, EngineStale, OutputNotWritten

Key = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
POINTER = "serving.json"
_LOCK = ".lock"


@dataclass(frozen=True)
class Slot:
    """What an engine serves: one network of one bundle in one precision."""

    bundle: str
    network: str
    precision: str

    def __str__(self) -> str:
        return f"{self.bundle}/{self.network}/{self.precision}"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Service(_Strict):
    """The engine in service, and the one that a rollback brings back."""

    now: Key
    before: Key | None = None


class Pointer(_Strict):
    """What serves, by slot."""

    schema_version: Annotated[int, Field(ge=1, le=1)] = 1
    slots: dict[str, Service] = {}


class Qualification(_Strict):
    """How an engine answered the golden inputs, against ONNX Runtime on the same ONNX file.

    Attributes:
        key, engine_sha256: the engine; another one's record is not valid.
        reference: backend and version that gave the expected answers.
        inputs_sha256: of all golden inputs.
        phantom_inputs, noise_inputs: how many of each.
        max_difference, mean_difference: of outputs, as fractions of the largest magnitude that the reference gave.
        max_limit, mean_limit: what is allowed at this precision.
        passed: whether neither limit is passed.
        state: how the vendor ran it, where that is not the same everywhere: on a GPU, whether as a graph.
    """

    key: Key
    engine_sha256: Key
    reference: str
    inputs_sha256: Key
    phantom_inputs: Annotated[int, Field(ge=0)]
    noise_inputs: Annotated[int, Field(ge=0)]
    max_difference: float
    mean_difference: float
    max_limit: float
    mean_limit: float
    passed: bool
    state: dict[str, str] = {}


class EngineStore:
    """Engines on disk. Several processes may use one folder at once.

    Args:
        folder: made on the first write.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def add(self, built: Built) -> str:
        """Keep an engine; it serves nothing yet. Its key is returned; the same bytes again change nothing.

        Raises:
            OutputNotWritten: the folder cannot be written.
        """
        key = built.seal.key
        self._write(f"{key}.engine", built.engine)
        self._write(f"{key}.json", built.seal.model_dump_json(indent=1).encode())
        return key

    def keys(self) -> list[str]:
        """Keys of all engines, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.engine"))

    def newest_last(self) -> list[str]:
        """Keys of all engines in the order in which they were stored."""
        return sorted(self.keys(), key=lambda key: self._path(f"{key}.engine").stat().st_mtime_ns)

    def seal(self, key: str) -> Seal:
        """The seal of an engine.

        Raises:
            EngineStale: there is none, it is not readable, or its fields do not give its key.
        """
        place = f"{key}.json"
        try:
            seal = Seal.model_validate_json(self._path(place).read_bytes())
        except (OSError, ValidationError) as error:
            raise EngineStale(f"its seal cannot be read: {error}", source=str(self._path(place))) from error
        if seal.key != key:
            raise EngineStale(f"the seal's fields give the key {seal.key[:16]}…", source=str(self._path(place)))
        return seal

    def read(self, key: str) -> tuple[Seal, bytes]:
        """An engine with its seal.

        Raises:
            EngineStale: either is absent, or the bytes are not those that were sealed.
        """
        seal, path = self.seal(key), self._path(f"{key}.engine")
        try:
            engine = path.read_bytes()
        except OSError as error:
            raise EngineStale(f"the engine cannot be read: {error.strerror}", source=str(path)) from error
        found = sha256(engine)
        if found != seal.engine_sha256:
            raise EngineStale(
                f"its SHA-256 is {found[:16]}…, the seal says {seal.engine_sha256[:16]}…", source=str(path)
            )
        return seal, engine

    def qualification(self, key: str) -> Qualification | None:
        """The record of an engine, passed or not; None where there is none for exactly these bytes."""
        try:
            record = Qualification.model_validate_json(self._path(f"{key}.qualified.json").read_bytes())
        except (OSError, ValidationError):
            return None
        bound = record.key == key and record.engine_sha256 == self.seal(key).engine_sha256
        return record if bound else None

    def write_qualification(self, record: Qualification) -> None:
        """Keep a record, in place of an earlier one of the same engine."""
        self._write(f"{record.key}.qualified.json", record.model_dump_json(indent=1).encode())

    def forget_qualification(self, key: str) -> None:
        """Drop the record of an engine, before its answers are looked at again."""
        try:
            self._path(f"{key}.qualified.json").unlink(missing_ok=True)
        except OSError as error:
            raise OutputNotWritten(f"it cannot be removed: {error.strerror}", source=str(self.folder)) from error

    def service(self, slot: Slot) -> Service | None:
        """What serves in a slot, or None.

        Raises:
            EngineError: ``serving.json`` is damaged.
        """
        return self._pointer().slots.get(str(slot))

    def serve(self, keys: Mapping[Slot, str]) -> None:
        """Put engines into service, all at once; those that served before can be rolled back to.

        Raises:
            OutputNotWritten: the folder cannot be written; what served before still does.
        """
        with self._locked():
            slots = dict(self._pointer().slots)
            for slot, key in keys.items():
                old = slots.get(str(slot))
                if old is None or old.now != key:
                    slots[str(slot)] = Service(now=key, before=old.now if old else None)
            self._write_pointer(slots)

    def rollback(self, slots: list[Slot]) -> dict[Slot, str]:
        """Bring back what served before in each slot, all at once; the keys that serve now.

        Raises:
            EngineError: in one of the slots nothing served before, and none is changed.
            OutputNotWritten: the folder cannot be written.
        """
        with self._locked():
            found = dict(self._pointer().slots)
            for slot in slots:
                service = found.get(str(slot))
                if service is None or service.before is None:
                    raise EngineError("nothing served before", source=str(slot), remedy="Build or qualify another one.")
                found[str(slot)] = Service(now=service.before, before=service.now)
            self._write_pointer(found)
        return {slot: found[str(slot)].now for slot in slots}

    def prune(self) -> list[str]:
        """Remove every engine that neither serves nor served before in any slot; the keys of those removed.

        Raises:
            EngineError: ``serving.json`` is damaged, and nothing is removed.
            OutputNotWritten: a file cannot be removed.
        """
        with self._locked():
            kept = {key for service in self._pointer().slots.values() for key in (service.now, service.before)}
            unused = [key for key in self.keys() if key not in kept]
            try:
                for key in unused:
                    for ending in ("engine", "json", "qualified.json"):
                        self._path(f"{key}.{ending}").unlink(missing_ok=True)
            except OSError as error:
                raise OutputNotWritten(f"it cannot be removed: {error.strerror}", source=str(error.filename)) from error
        return unused

    def timing_cache(self, seal: Seal) -> Path:
        """Where tactics that were timed for a builder on a device are kept."""
        name = hashlib.sha256(f"{seal.builder}/{seal.builder_version}/{seal.device}".encode()).hexdigest()
        return self.folder / f"{name[:32]}.timings"

    def write_timing_cache(self, seal: Seal, content: bytes) -> None:
        """Keep tactics for the next build."""
        self._write(self.timing_cache(seal).name, content)

    def _pointer(self) -> Pointer:
        path = self._path(POINTER)
        try:
            return Pointer.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return Pointer()
        except (OSError, ValidationError) as error:
            raise EngineError(f"it cannot be read: {error}", source=str(path)) from error

    def _write_pointer(self, slots: dict[str, Service]) -> None:
        self._write(POINTER, Pointer(slots=slots).model_dump_json(indent=1).encode())

    def _path(self, name: str) -> Path:
        return self.folder / name

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time changes the pointer."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = self._path(_LOCK).open("ab")
        except OSError as error:
            raise OutputNotWritten(f"it cannot be locked: {error.strerror}", source=str(self.folder)) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, name: str, content: bytes) -> None:
        target = self._path(name)
        temporary = target.with_name(f".{name}.{os.getpid()}.{threading.get_ident()}.tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OutputNotWritten(f"it cannot be written: {error.strerror}", source=str(target)) from error
