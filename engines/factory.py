"""Every network in every precision for every profile, built and audited, as rows of one table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_sacro.bundle import Bundle
from edge_sacro.engine.audit import Audit, audit_from_plan
from edge_sacro.engine.build import Built, engine_from_onnx
from edge_sacro.engine.profiles import Precision, profile_from_name
from edge_sacro.engine.serve import order_from_bundle
from edge_sacro.engine.trt_build import PlanOrder
from edge_sacro.errors import BackendError, UsageError

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class Candidate:
    """One ONNX file, the precision that it holds, and the profile to build it for."""

    network: str
    precision: Precision
    profile: str
    model: bytes


@dataclass(frozen=True)
class Row:
    """What came of one candidate.

    Attributes:
        seconds, size: of the build and of the engine in bytes; None where there is no engine.
        kernels, weighted, in_int8: of the program, where the plan tells it: all, with weights, multiplying in int8.
        device_bytes: memory for activations, where the plan tells it.
        counts: kernels by kind, types and what is fused behind them.
        engine_sha256: of the engine.
        error: why there is no engine, or None.
    """

    network: str
    precision: Precision
    profile: str
    seconds: float | None = None
    size: int | None = None
    kernels: int | None = None
    weighted: int | None = None
    in_int8: int | None = None
    device_bytes: int | None = None
    counts: dict[str, int] | None = None
    engine_sha256: str | None = None
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def engine_from_candidate(candidate: Candidate) -> tuple[Built, Audit | None]:
    """Build one engine; its audit where the builder's plans hold a program's text.

    Raises:
        BackendUnavailable: the builder or its device is not here.
        EngineBuildFailed: it refuses the network.
    """
    profile = profile_from_name(candidate.profile)
    built = engine_from_onnx(PlanOrder(candidate.network, candidate.model, candidate.precision, profile))
    if profile.builder != "tensorrt-rtx":
        return built, None
    return built, audit_from_plan(built.engine)


def row_from_candidate(candidate: Candidate, out: Path | None = None) -> Row:
    """Build one engine and tell what came of it; an error is a row too.

    Args:
        candidate: what to build.
        out: folder for the engine, or None to keep none.
    """
    try:
        built, audit = engine_from_candidate(candidate)
    except BackendError as error:
        return Row(candidate.network, candidate.precision, candidate.profile, error=str(error))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{candidate.network}-{candidate.precision}-{candidate.profile}.engine").write_bytes(built.engine)
    told = audit is not None and bool(audit.kernels)
    return Row(
        candidate.network,
        candidate.precision,
        candidate.profile,
        seconds=round(built.seconds, 3),
        size=len(built.engine),
        kernels=len(audit.kernels) if audit and told else None,
        weighted=audit.weighted if audit and told else None,
        in_int8=audit.in_int8 if audit and told else None,
        device_bytes=audit.device_bytes if audit and told else None,
        counts=audit.counts() if audit and told else None,
        engine_sha256=built.seal.engine_sha256,
    )


def candidates_from_bundle(
    bundle: Bundle, profiles: Sequence[str], precisions: Sequence[Precision]
) -> Iterator[Candidate]:
    """Every network of a bundle in each of these precisions that it has and that the profile takes."""
    for name in profiles:
        profile = profile_from_name(name)
        for precision in precisions:
            if precision in profile.precisions and precision in bundle.manifest.precisions:
                for network in bundle.manifest.networks:
                    order = order_from_bundle(bundle, network, precision, profile)
                    yield Candidate(network, precision, name, order.model)


def candidates_from_folder(
    folder: Path, profiles: Sequence[str], precisions: Sequence[Precision]
) -> Iterator[Candidate]:
    """Every ``<network>-<precision>.onnx`` of a folder for each profile that takes its precision.

    Raises:
        UsageError: a file's name tells no precision.
    """
    for path in sorted(folder.glob("*.onnx")):
        network, _, ending = path.stem.rpartition("-")
        found = [precision for precision in PRECISIONS if precision == ending]
        if not network or not found:
            raise UsageError("its name does not end with -fp32, -fp16 or -int8", source=str(path))
        if found[0] in precisions:
            for name in profiles:
                if found[0] in profile_from_name(name).precisions:
                    yield Candidate(network, found[0], name, path.read_bytes())


def table_from_rows(rows: Iterable[Row]) -> str:
    """The rows as text, one a line."""
    heading = ("network", "precision", "profile", "build, s", "size, MB", "kernels", "int8/weighted", "activations, MB")
    lines: list[tuple[str, ...]] = [heading]
    lines += [(row.network, row.precision, row.profile, *_figures(row)) for row in rows]
    widths = [max(len(line[column]) for line in lines if len(line) > column) for column in range(len(heading))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=False)).rstrip() for line in lines
    )


def _figures(row: Row) -> tuple[str, ...]:
    if row.seconds is None or row.size is None:
        return (f"refused: {row.error}",)
    if row.kernels is None or row.device_bytes is None:
        return (f"{row.seconds:.2f}", f"{row.size / 1e6:.2f}", "", "", "")
    return (
        f"{row.seconds:.2f}",
        f"{row.size / 1e6:.2f}",
        str(row.kernels),
        f"{row.in_int8}/{row.weighted}",
        f"{row.device_bytes / 1e6:.2f}",
    )
