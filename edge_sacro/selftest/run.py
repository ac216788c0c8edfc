"""The selftest from its options to its report, and the recording of golden answers."""

from __future__ import annotations

import datetime as dt
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from edge_sacro import __version__
from edge_sacro.benchmark.order import Order, open_runtime
from edge_sacro.bundle import Bundle
from edge_sacro.engine.saturation import check_int8
from edge_sacro.errors import EdgeSacroError, UsageError
from edge_sacro.kit.installer.steps import sha256_of
from edge_sacro.manifest import Manifest
from edge_sacro.report import BundleRecord, Result
from edge_sacro.results import bundle_record
from edge_sacro.runtime import Runtime
from edge_sacro.selftest.answers import ROUNDS, Answers, answers_of, boxes_of, latency_checks, measured, study_checks
from edge_sacro.selftest.document import (
    REPORT_NAME,
    Check,
    Measured,
    SelftestReport,
    report_from_file,
)
from edge_sacro.selftest.golden import (
    DEMONSTRATION,
    GOLDEN_NAME,
    BundleName,
    Drawn,
    Golden,
    Latency,
    Study,
    golden_from_file,
)
from edge_sacro.selftest.machine import Clock, certificate_checks, disk_check, file_checks, release_time
from edge_sacro.selftest.site import bundle_looked_at
from edge_sacro.selftest.studies import drawn_studies, files_of
from edge_sacro.selftest.yardstick import Yardstick

if TYPE_CHECKING:
    from edge_sacro.node.config import NodeConfig

LATENCY_FACTOR = 3.0
"""How many times the recorded ratio is allowed; docs/selftest.md tells how far it moves on a busy machine."""

RESERVE_MB, INSTANCE_MB = 200, 256
"""Of the disk where no node's configuration says it: the node's own defaults."""


@dataclass(frozen=True)
class Options:
    """What to check.

    Attributes:
        order: bundle, backend, precision, threads, engines and keys.
        golden: folder with ``golden.json`` and its studies; None for the demonstration's, or the release's.
        release: folder of an installed kit; None where there is none.
        config: of the site's node; None where there is none.
        folder: whose disk is looked at where there is no node.
        rounds: counted assessments of each study; with 0 neither speed nor steadiness is judged.
    """

    order: Order
    golden: Path | None = None
    release: Path | None = None
    config: NodeConfig | None = None
    folder: Path = Path()
    rounds: int = ROUNDS


def selftest(options: Options, yardstick: Yardstick | None = None) -> SelftestReport:
    """Make every check, whatever fails.

    Args:
        options: what to check.
        yardstick: in place of the own one, for tests.
    """
    clock, begun = Clock(), time.monotonic()
    checks: list[Check] = []
    bundle, figures, golden = None, None, None
    try:
        golden, folder = _golden(options)
        bundle, found, figures = _assessed(options, golden, folder, yardstick or Yardstick())
        checks += found
    except EdgeSacroError as error:
        checks.append(Check(name="assessment", status="failed", found=str(error), remedy=error.remedy))
    checks += _machine(options, clock, golden)
    return SelftestReport(
        begun=clock.begun.strftime("%Y-%m-%dT%H:%M:%SZ"),
        seconds=round(time.monotonic() - begun, 3),
        release=None if options.release is None else options.release.resolve().name,
        bundle=bundle,
        measured=figures,
        checks=checks,
        passed=not any(check.status == "failed" for check in checks),
    )


def record(order: Order, files: Sequence[Path], scratch: Path) -> tuple[Golden, list[Path]]:
    """Golden answers of a bundle on this machine, at its acceptance.

    Args:
        order: what answers.
        files: DICOM files of one image each; phantoms are drawn where there are none.
        scratch: where to draw.

    Returns:
        the answers, and the files in their order.

    Raises:
        UsageError: an answer is too close to the cut-off to be golden.
        EdgeSacroError: the bundle, the backend or a file cannot be used.
    """
    with open_runtime(order) as runtime:
        drawn: Sequence[Drawn | None] = [None] * len(files)
        if not files:
            files, drawn = drawn_studies(runtime.reads_frames, scratch)
        answers = answers_of(runtime, files, Yardstick())
        manifest, fingerprint = runtime.bundle.manifest, runtime.bundle.fingerprint
        golden = Golden(
            recorded=dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            software=f"edge-sacro {__version__}",
            bundle=BundleName(name=manifest.name, version=manifest.version, fingerprint=fingerprint),
            operating_point=runtime.operating_point.name,
            half_width=manifest.guard_band.half_width,
            box_px=max(_grid_px(manifest, path) for path in files),
            latency=_latency(answers),
            studies=[_study(*each, runtime) for each in zip(files, drawn, answers.results, strict=True)],
        )
    return golden, list(files)


def _golden(options: Options) -> tuple[Golden, Path | None]:
    folder = options.golden
    if folder is None and options.release is not None:
        folder = options.release / "kit" / "selftest"
    if folder is None:
        return golden_from_file(DEMONSTRATION), None
    return golden_from_file(folder / GOLDEN_NAME), folder


def _assessed(
    options: Options, golden: Golden, folder: Path | None, yardstick: Yardstick
) -> tuple[BundleRecord, list[Check], Measured]:
    """Every check of the bundle and of what it answers."""
    bundle = bundle_looked_at(options.order)
    if bundle.fingerprint != golden.bundle.fingerprint:
        raise UsageError(
            f"the golden answers are those of {golden.bundle.name} {golden.bundle.version}, fingerprint "
            f"{golden.bundle.fingerprint[:16]}…, and the bundle is {bundle.manifest.name} {bundle.manifest.version}, "
            f"{bundle.fingerprint[:16]}…",
            source=str(folder or "demonstration"),
            remedy="Record this bundle's own at its acceptance: edge-sacro selftest --record, then --golden.",
        )
    checks = [Check(name="bundle", status="passed", found=_whose(bundle), allowed=golden.bundle.fingerprint[:16] + "…")]
    checks += [_int8(bundle.manifest, options.order)]
    verified = replace(options.order, trust=(), state=None)
    with TemporaryDirectory(prefix="edge-sacro-selftest-") as scratch, open_runtime(verified) as runtime:
        files = files_of(golden, folder, Path(scratch))
        answers = answers_of(runtime, files, yardstick, options.rounds)
        checks += study_checks(golden, files, answers, drawn=folder is None)
    checks += latency_checks(golden, _before(options.release), answers)
    return bundle_record(bundle), checks, measured(golden, answers)


def _machine(options: Options, clock: Clock, golden: Golden | None) -> list[Check]:
    """Every check of the machine around it."""
    checks, config = [], options.config
    if config is None:
        checks.append(disk_check(options.folder, RESERVE_MB, INSTANCE_MB))
    else:
        checks.append(disk_check(config.folder, config.limits.disk_reserve_mb, config.limits.instance_mb))
        checks += certificate_checks(config)
    earliest = [] if golden is None else [golden.recorded]
    if options.release is not None:
        checks += file_checks(options.release)
        try:
            earliest.append(release_time(options.release))
        except (OSError, EdgeSacroError) as error:
            checks.append(Check(name="release", status="failed", found=str(error), remedy="Install the kit again."))
    return checks + (list(clock.checks(max(earliest))) if earliest else [])


def _before(release: Path | None) -> Measured | None:
    """What the release measured when it was installed; None before that."""
    path = None if release is None else release / "selftest" / REPORT_NAME
    return report_from_file(path)[0].measured if path is not None and path.is_file() else None


def _whose(bundle: Bundle) -> str:
    manifest = bundle.manifest
    whose = f"signed by {bundle.signed_by[:16]}…" if bundle.signed_by else "no key pinned"
    return f"{manifest.name} {manifest.version}, fingerprint {bundle.fingerprint[:16]}…, {whose}"


def _int8(manifest: Manifest, order: Order) -> Check:
    """Whether INT8 sums are exact on this processor: needed where INT8 serves, told where it could."""
    name, serves = "INT8 sums", (order.precision or manifest.default_precision) == "int8"
    if order.engines is not None or "int8" not in manifest.precisions:
        why = "engines were qualified for this device" if order.engines is not None else "the bundle has no INT8"
        return Check(name=name, status="not judged", found=why)
    try:
        check_int8(order.backend)
    except EdgeSacroError as error:
        return Check(
            name=name, status="failed" if serves else "warned", found=error.what, allowed="exact", remedy=error.remedy
        )
    return Check(name=name, status="passed", found=f"exact on {order.backend}", allowed="exact")


def _grid_px(manifest: Manifest, path: Path) -> int:
    """Pixels of the image in one pixel of the network that finds the joints, or of the classifier where none does."""
    from edge_sacro.dicom import read

    image = read(path)
    for setting in (manifest.segmentation, manifest.detection):
        if setting is not None:
            return -(-max(image.rows, image.columns) // setting.size)
    size = manifest.classification
    return 0 if size is None else -(-max(image.rows, image.columns) // min(size.rows, size.columns))


def _latency(answers: Answers) -> Latency | None:
    if answers.ratio is None:
        return None
    return Latency(
        machine=platform.machine(),
        cores=os.cpu_count() or 1,
        backend=answers.backend,
        precision=answers.precision,
        ratio=round(answers.ratio, 4),
        factor=LATENCY_FACTOR,
    )


def _study(path: Path, drawn: Drawn | None, result: Result, runtime: Runtime) -> Study:
    """A golden answer.

    Raises:
        UsageError: it would change with the noise that the guard band is for.
    """
    point, band = runtime.operating_point, runtime.bundle.manifest.guard_band.half_width
    p = result.probability
    if p is not None and abs(p - point.threshold) <= 2 * band:
        raise UsageError(
            f"its probability is {p:.4f}, too close to the cut-off {point.threshold:g} for a golden answer",
            source=str(path),
            remedy="Name files whose answers are clear.",
        )
    crop, left, right = boxes_of(result)
    return Study(
        file=path.name,
        sha256=sha256_of(path),
        drawn=drawn,
        state=result.state.value,
        reason_code=result.reason_code,
        probability=p,
        crop_px=crop,
        left_px=left,
        right_px=right,
    )
