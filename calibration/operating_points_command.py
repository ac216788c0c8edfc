"""``python -m calibration operating-points``: scores in, cut-offs out, as a table, as JSON, or into a bundle."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from calibration.operating_points import Chosen, OperatingPoints, Options, Rate, choose
from calibration.roc import LEVEL, Interval
from calibration.scores import scores_from_csv
from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.bundle_files import write_atomically
from edge_sacro.commands import exits_with_code
from edge_sacro.errors import UsageError
from edge_sacro.manifest import MANIFEST_NAME, CutOff, Manifest, manifest_from_json

PREFIX = "site-"
"""Begins the names of cut-offs that are written into a bundle, so that none takes the place of a published one."""

_LEGEND = (
    "Positive is above the cut-off, strictly. w weights sensitivity, 1 - w specificity. ( ) are 95% intervals, exact "
    "(Clopper-Pearson) or over resampled patients. [ ] is how far the splits of the cross-validation move a figure. "
    "The cut-offs were chosen on these very images: expect the cross-validated figures, and test on others."
)


@click.command("operating-points")
@click.argument("scores", metavar="SCORES.csv", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--weight", default=0.9, show_default=True, help="Of sensitivity in the first, specificity in the second."
)
@click.option("--folds", default=10, show_default=True, help="Folds of each cross-validation.")
@click.option("--repeats", default=100, show_default=True, help="Repeats of the cross-validation.")
@click.option("--resamples", default=1000, show_default=True, help="Resamples of the bootstrap.")
@click.option("--seed", default=0, show_default=True, help="The same seed, the same cut-offs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document in place of the table.")
@click.option("--bundle", metavar="FOLDER", help="Write the cut-offs into this bundle's manifest, as site-NAME.")
@exits_with_code
def operating_points(scores: Path, as_json: bool, bundle: str | None, **options: float) -> None:
    """Choose cut-offs for a network on images with known truth.

    SCORES.csv has a heading and the columns truth (0 or 1), score (0 to 1), and group or id, which keeps the images of
    a patient together; without it each image is of another patient.
    """
    target = None if bundle is None else _changeable(bundle)
    found = choose(scores_from_csv(scores), Options(**options))  # type: ignore[arg-type]
    click.echo(json_from_points(found) if as_json else text_from_points(found), nl=False)
    if target is not None:
        path = write_operating_points(target, found)
        click.echo(f"written to {path}", err=True)
        if target.signature is not None:
            click.echo("The bundle's signature is of the manifest as it was. Sign the bundle again.", err=True)


def write_operating_points(bundle: Bundle, found: OperatingPoints) -> Path:
    """Put the cut-offs into the manifest of a bundle's folder, in the place of those that were put there before.

    Raises:
        UsageError: the bundle is no folder of one's own.
        BundleManifestInvalid: a cut-off is none that a manifest takes; nothing is written.
        OutputNotWritten: the manifest cannot be written.
    """
    manifest = _changeable(bundle.path).manifest
    kept = [point for point in manifest.operating_points if not point.name.startswith(PREFIX)]
    added = [
        CutOff(name=PREFIX + point.name, threshold=point.threshold, source=source_from_point(point, found))
        for point in found.points
    ]
    changed = manifest.model_copy(update={"operating_points": [*kept, *added]})
    text = changed.model_dump_json(indent=2).encode() + b"\n"
    path = Path(bundle.path) / MANIFEST_NAME
    written: Manifest = manifest_from_json(text, str(path))
    write_atomically(path, written.model_dump_json(indent=2).encode() + b"\n")
    return path


def source_from_point(point: Chosen, found: OperatingPoints) -> str:
    """The sentence that a bundle has beside the cut-off: how it was chosen, on what, and what it gave."""
    options, sensitivity, specificity = found.options, point.sensitivity, point.specificity
    return (
        f"largest {point.weight:.3g} x sensitivity + {1 - point.weight:.3g} x specificity, "
        f"median of {options.repeats} x {options.folds}-fold cross-validation (seed {options.seed}) on "
        f"{found.images} images of {found.patients} patients, {found.positive} positive, "
        f"scores SHA-256 {found.sha256[:16]}: sensitivity {_exact(sensitivity)}, specificity {_exact(specificity)}, "
        f"exact 95% intervals; cross-validated {sensitivity.cross_validated:.3f} and {specificity.cross_validated:.3f}"
    )


def json_from_points(found: OperatingPoints) -> str:
    """Every figure, with keys sorted."""
    return json.dumps({"level": LEVEL, **dataclasses.asdict(found)}, sort_keys=True, indent=2) + "\n"


def text_from_points(found: OperatingPoints) -> str:
    """A table of the cut-offs, and what the figures in it are."""
    buffer = io.StringIO()
    console = Console(file=buffer, width=118, highlight=False, markup=False)
    console.print(
        f"{found.images} images of {found.patients} patients, {found.positive} positive; "
        f"AUC {found.auc:.3f} ({_ends(found.auc_bootstrap)})\n"
    )
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for heading in ("cut-off", "chosen", "sensitivity", "specificity"):
        table.add_column(heading)
    for point in found.points:
        table.add_row(
            f"{point.threshold:.4f}",
            f"{point.name}, w {point.weight:.3g}",
            f"{_exact(point.sensitivity)} exact",
            f"{_exact(point.specificity)} exact",
        )
        table.add_row(
            f"({_ends(point.bootstrap, 4)})",
            "  bootstrap",
            *(f"      ({_ends(rate.bootstrap)})" for rate in (point.sensitivity, point.specificity)),
        )
        table.add_row(
            f"[{_ends(point.spread, 4)}]",
            "  cross-validated",
            *(f"{r.cross_validated:.3f} [{_ends(r.spread)}]" for r in (point.sensitivity, point.specificity)),
            end_section=True,
        )
        table.add_row()
    console.print(table)
    console.print(_LEGEND)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def _changeable(bundle: str) -> Bundle:
    loaded = load_bundle(Path(bundle).resolve())
    if not Path(loaded.path).is_dir():
        raise UsageError("cut-offs are written into a folder, not into a zip file", source=bundle)
    return loaded


def _exact(rate: Rate) -> str:
    return f"{rate.value:.3f} ({_ends(rate.exact)})"


def _ends(interval: Interval, decimals: int = 3) -> str:
    return f"{interval.low:.{decimals}f}-{interval.high:.{decimals}f}"
