"""The work folder -> the Parquet table: one row an instance and frame, in an order that only depends on the content."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sacro import __version__
from edge_sacro.batch.checkpoint import Checkpoint, keys_of
from edge_sacro.batch.rows import SET_ASIDE
from edge_sacro.errors import BackendUnavailable, OutputNotWritten

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = "1.0"
ROWS_AT_ONCE = 5000
"""Rows in memory, and in one row group."""

SHOWN = 100
"""Instances that were set aside and are named in the summary."""


@dataclass
class Tally:
    """What the table holds.

    Attributes:
        rows, instances: one instance may have several rows, one a frame.
        copies: paths whose bytes stand under another path already.
        states, reason_codes: rows by them.
        set_aside: path, code and reason, the first ``SHOWN``.
        uids_of_several: SOP Instance UIDs that instances of different bytes share.
        sha256: of the table's file.
    """

    rows: int = 0
    instances: int = 0
    copies: int = 0
    states: Counter[str] = field(default_factory=Counter)
    reason_codes: Counter[str] = field(default_factory=Counter)
    set_aside: list[dict[str, str]] = field(default_factory=list)
    uids_of_several: int = 0
    sha256: str = ""


def write_table(path: Path, checkpoint: Checkpoint, labels: Sequence[str], bundle: dict[str, Any]) -> Tally:
    """Write the table of these paths, whole or not at all.

    Two tables of the same instances, bundle and versions are the same bytes, whatever engine made them.

    Args:
        path: of the Parquet file.
        checkpoint: with an answer to each path.
        labels: the paths.
        bundle: the record of it, for the file's metadata.

    Raises:
        BackendUnavailable: pyarrow is not installed.
        OutputNotWritten: the file cannot be written.
    """
    arrow, parquet = _arrow()
    tally = Tally()
    told = {"schema_version": SCHEMA_VERSION, "software": f"edge-sacro {__version__}", "bundle": _json(bundle)}
    schema = arrow.schema(_fields(arrow), metadata=told)
    tally.sha256 = _written(path, schema, parquet, _counted(checkpoint, labels, bundle, tally))
    return tally


def write_timings(path: Path, checkpoint: Checkpoint, labels: Sequence[str]) -> None:
    """Write what differs from run to run: for each row its worker and the milliseconds of each stage."""
    arrow, parquet = _arrow()
    fields = [
        ("sha256", arrow.string()),
        ("frame", arrow.int32()),
        ("worker", arrow.string()),
        ("total_ms", arrow.float64()),
        ("stages_ms", arrow.map_(arrow.string(), arrow.float64())),
    ]
    _written(path, arrow.schema(fields), parquet, _timed(checkpoint, labels))


def check_arrow() -> None:
    """Say before any work that no table could be written.

    Raises:
        BackendUnavailable: pyarrow is not installed.
    """
    _arrow()


def _counted(
    checkpoint: Checkpoint, labels: Sequence[str], bundle: dict[str, Any], tally: Tally
) -> Iterator[dict[str, Any]]:
    held: dict[str, int] = {}
    about = {
        "bundle": bundle["name"],
        "bundle_version": bundle["version"],
        "bundle_fingerprint": bundle["fingerprint"],
        "software_version": __version__,
    }
    for key, paths in keys_of(checkpoint, labels):
        rows, _ = checkpoint.rows(key)
        shown = [_shown(path) for path in paths]
        tally.instances += 1
        tally.copies += len(paths) - 1
        for uid in {row["sop_instance_uid"] for row in rows if row["sop_instance_uid"]}:
            held[uid] = held.get(uid, 0) + 1
        for row in sorted(rows, key=lambda each: each["frame"] or 0):
            tally.rows += 1
            tally.states[row["state"]] += 1
            if row["reason_code"]:
                tally.reason_codes[row["reason_code"]] += 1
            if row["state"] == SET_ASIDE and len(tally.set_aside) < SHOWN:
                tally.set_aside.append({"path": shown[0], "reason_code": row["reason_code"], "reason": row["reason"]})
            yield {"paths": shown, **row, **about}
    tally.uids_of_several = sum(count > 1 for count in held.values())


def _timed(checkpoint: Checkpoint, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    for key, _ in keys_of(checkpoint, labels):
        rows, told = checkpoint.rows(key)
        for row, ms in zip(rows, told["timings_ms"], strict=True):
            stages = sorted((name, float(value)) for name, value in ms.items() if name != "total")
            yield {
                "sha256": row["sha256"],
                "frame": row["frame"],
                "worker": told["worker"],
                "total_ms": ms.get("total"),
                "stages_ms": stages,
            }


def _written(path: Path, schema: pa.Schema, parquet: Any, rows: Iterable[dict[str, Any]]) -> str:
    """Stream the rows into a file beside it and put that in its place; the file's SHA-256."""
    import pyarrow as pa

    rows = iter(rows)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _not_written(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
                while some := list(islice(rows, ROWS_AT_ONCE)):
                    writer.write_table(pa.Table.from_pylist(some, schema=schema), row_group_size=ROWS_AT_ONCE)
            file.flush()
            os.fsync(file.fileno())
        digest = _sha256(temporary)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return digest


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _fields(arrow: Any) -> list[tuple[str, Any]]:
    """Name and type of each column. Lists have no fixed size: readers up to pyarrow 25 fail on one that is null."""
    text, number, flag = arrow.string(), arrow.float64(), arrow.bool_()
    box, box_mm = arrow.list_(arrow.int32()), arrow.list_(number)
    joints = [
        (f"{side}_{name}", kind)
        for side in ("left", "right")
        for name, kind in [
            ("state", text),
            ("reason", text),
            ("box_px", box),
            ("box_mm", box_mm),
            ("probability", number),
        ]
    ]
    return [
        ("sha256", text),
        ("frame", arrow.int32()),
        ("paths", arrow.list_(text)),
        ("sop_instance_uid", text),
        *((name, text) for name in ("system", "state", "reason", "reason_code", "remedy")),
        ("probability", number),
        ("high_risk", flag),
        ("operating_point", text),
        ("threshold", number),
        ("crop_px", box),
        *joints,
        ("notes", arrow.list_(text)),
        ("series_instance_uid", text),
        ("image_position_mm", arrow.list_(number)),
        ("image_orientation", arrow.list_(number)),
        ("kernel", text),
        ("through_joints", flag),
        *((name, text) for name in ("slice_reason_code", "slice_reason")),
        *((name, text) for name in ("backend", "backend_version", "processor", "precision")),
        *((name, text) for name in ("bundle", "bundle_version", "bundle_fingerprint", "software_version")),
    ]


def _shown(path: str) -> str:
    """A path as text: bytes that are none stand as escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _not_written(path: Path, error: OSError) -> OutputNotWritten:
    return OutputNotWritten(
        f"it cannot be written: {error.strerror or error}",
        source=str(path),
        remedy="Make room, or mend the folder; the answers are kept, and the same command writes it.",
    )


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise BackendUnavailable(
            "pyarrow, which writes the table, is not installed",
            source="batch",
            remedy="pip install 'edge-sacro[batch]'.",
        ) from error
    return pa, parquet
