"""What a node opens before anything else: the runtime that its configuration names, and its folder, for it alone."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from edge_sacro.bundle import load_bundle
from edge_sacro.engine import open_engine
from edge_sacro.engine.serve import QualifiedEngines
from edge_sacro.engine.store import EngineStore
from edge_sacro.errors import NodeError, StorageFailed, UsageError
from edge_sacro.ledger.keep import Keeper
from edge_sacro.node.config import NodeConfig
from edge_sacro.runtime import Runtime
from edge_sacro.trust import trust_from_files

LEDGER_NAME = "ledger.sqlite"


def open_keeper(config: NodeConfig, runtime: Runtime) -> Keeper:
    """The node's ledger of drift, with the second opinion that the configuration asks for.

    Raises:
        UsageError: a second opinion beside fp32 itself.
        BundleError, BackendError: the second opinion cannot be had.
        OutputNotWritten: the ledger cannot be used.
    """
    shadow, part = None, config.ledger.shadow
    if part:
        if runtime.precision == "fp32":
            raise UsageError("fp32 serves, so that there is nothing to compare it with", source="ledger.shadow")
        chosen = config.assessment.model_copy(update={"precision": "fp32", "engines": None})
        shadow = open_runtime(config.model_copy(update={"assessment": chosen}))
    return Keeper(config.folder / LEDGER_NAME, runtime, shadow, part)


def open_runtime(config: NodeConfig) -> Runtime:
    """The runtime that a configuration names, with its bundle verified.

    Raises:
        BundleError, BackendError, UsageError: it cannot be had.
    """
    chosen = config.assessment
    trust = trust_from_files(chosen.trust, config.folder / "sequences.json") if chosen.trust else None
    bundle = load_bundle(chosen.bundle, trust)
    precision = chosen.precision or bundle.manifest.default_precision
    engines = None if chosen.engines is None else QualifiedEngines(EngineStore(chosen.engines), bundle, precision)
    return Runtime(
        bundle,
        backend=chosen.backend,
        precision=precision,
        threads=chosen.threads,
        deadline_s=chosen.deadline_s,
        operating_point=chosen.operating_point,
        overrides=chosen.overrides,
        opener=engines or open_engine,
    )


def locked(folder: Path) -> IO[bytes]:
    """Keep every other node off a folder, as long as the file that is returned is open.

    Raises:
        NodeError: another node has it.
    """
    place = folder / "node.lock"
    try:
        file = os.fdopen(os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb")
    except OSError as error:
        raise StorageFailed(f"cannot be opened: {error.strerror}", source=str(place)) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise NodeError(
            "another node runs on it", source=str(folder), remedy="Stop it, or name another folder."
        ) from error
    return file
