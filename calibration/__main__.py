"""``python -m calibration``: other precisions of a bundle, held to FP32, and what its numbers may vary by."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from calibration import cache as caches
from calibration.accuracy import Budget, truths_from_json
from calibration.control import RESERVE, Outcome, Task, controlled
from calibration.guard_band import as_text, measure_guard_band, unstable_images, write_guard_band
from calibration.operating_points_command import operating_points
from calibration.reader import dicom_files, inputs_from_files
from calibration.single_pass import single_pass, write_single_pass
from calibration.told import plot_outcome, table_from_outcome
from calibration.written import record_from_bundle, write_bundle
from edge_sacro.bundle import load_bundle
from edge_sacro.commands import exits_with_code
from edge_sacro.errors import UsageError
from edge_sacro.manifest import Precision
from edge_sacro.phantom import PhantomOptions, write_study

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True)
class _Options:
    bundle: str
    images: tuple[Path, ...]
    count: int
    validation: Path
    truth: Path | None
    out: Path
    backend: str
    whole: tuple[str, ...]
    unstable_apart: bool
    reserve: float
    plot: Path | None


def _conversion_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that ``int8`` and ``fp16`` share."""
    options = [
        click.option("--bundle", required=True, help="Folder or zip of the bundle, with FP32 networks."),
        click.option("--images", required=True, multiple=True, type=FOLDER, help="DICOM files to calibrate on."),
        click.option("--count", required=True, type=click.IntRange(1), help="Images that must give inputs."),
        click.option("--validation", required=True, type=FOLDER, help="DICOM files that the gate is held on."),
        click.option("--truth", type=FILE, help="Truth of those; truth.json in their folder where there is one."),
        click.option("--out", required=True, type=click.Path(path_type=Path), help="New folder for the bundle."),
        click.option("--backend", default="onnxruntime", show_default=True, help="Backend that the gate runs on."),
        click.option("--whole", multiple=True, help="Network that stays in float without a search."),
        click.option("--unstable-apart", is_flag=True, help="Tell apart images whose FP32 answer is not stable."),
        click.option(
            "--reserve",
            default=RESERVE,
            show_default=True,
            type=click.FloatRange(0, 1, max_open=True),
            help="Part of the budget of probabilities that the search leaves for images not seen here.",
        ),
        click.option("--plot", type=FILE, help="Picture of each layer's error, PNG or SVG."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def main() -> None:
    """Make other precisions of a bundle, and measure what its numbers may vary by."""


@main.command()
@_conversion_options
@exits_with_code
def int8(**options: Any) -> None:
    """Quantise a bundle's networks to INT8, as far as the accuracy budget lets."""
    _convert(_Options(**options), "int8")


@main.command()
@_conversion_options
@exits_with_code
def fp16(**options: Any) -> None:
    """Convert a bundle's networks to FP16, as far as the accuracy budget lets."""
    _convert(_Options(**options), "fp16")


@main.command()
@click.option("--bundle", required=True, help="Folder or zip of a bundle that int8 has written.")
@click.option("--tensorrt", default="10.3.0", show_default=True, help="Version of TensorRT that reads the cache.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for a cache of each network.")
@exits_with_code
def cache(bundle: str, tensorrt: str, out: Path) -> None:
    """Write TensorRT calibration caches, for DLA and implicit quantisation, from the INT8 scales."""
    loaded = load_bundle(bundle)
    record = record_from_bundle(loaded).get("int8")
    if record is None:
        raise UsageError(f"{bundle} has no record of an INT8 calibration; run int8 first")
    out.mkdir(parents=True, exist_ok=True)
    for name in loaded.manifest.networks:
        scales = record["networks"][name]["scales"]
        lacking = caches.tensors_without_scale(loaded.model(name, "fp32", "tensorrt"), scales)
        (out / f"{name}.cache").write_text(caches.cache_from_scales(scales, tensorrt))
        told = f"{len(lacking)} tensors lack a scale{': ' if lacking else ''}{', '.join(lacking)}"
        click.echo(f"{out / name}.cache: {len(scales)} tensors; {told}")
        click.echo(f"  layers to pin to float: {record['networks'][name]['kept_in_float']}")


@main.command("single-pass")
@click.option("--bundle", required=True, help="Folder or zip of a bundle whose segmenter runs in windows, in FP32.")
@click.option("--validation", required=True, type=FOLDER, help="DICOM files that the gate is held on.")
@click.option("--truth", type=FILE, help="Truth of those; truth.json in their folder where there is one.")
@click.option("--backend", default="onnxruntime", show_default=True, help="Backend that the gate runs on.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="New folder for the bundle.")
@exits_with_code
def single_pass_command(bundle: str, validation: Path, truth: Path | None, backend: str, out: Path) -> None:
    """Let the segmenter see the whole image at once, if the answers stay within the budget."""
    if out.exists():
        raise UsageError(f"{out} exists already; name a new folder")
    loaded = load_bundle(bundle)
    files = dicom_files([validation])
    single = single_pass(loaded, files, _truths(validation, truth), backend)
    write_single_pass(single, [hashlib.sha256(file.read_bytes()).hexdigest() for file in files], out)
    told = ", ".join(f"{name} {value}" for name, value in single.figures.record().items())
    click.echo(f"one pass in the place of {single.passes} windows: {told}")
    click.echo(f"written to {out}")


main.add_command(operating_points)


@main.command("guard-band")
@click.option("--bundle", required=True, type=click.Path(exists=True, file_okay=False), help="Folder of the bundle.")
@click.option("--phantoms", default=100, show_default=True, help="Simulated radiographs to measure on.")
@click.option("--seed", default=910_000, show_default=True, help="Seed of the radiographs, unseen in training.")
@click.option("--write", is_flag=True, help="Put the band into the bundle's manifest.")
@exits_with_code
def guard_band(bundle: str, phantoms: int, seed: int, write: bool) -> None:
    """Measure the half-width of the borderline range on simulated radiographs."""
    loaded = load_bundle(Path(bundle).resolve())
    with tempfile.TemporaryDirectory() as folder:
        write_study(Path(folder), phantoms, seed, PhantomOptions())
        measurement = measure_guard_band(loaded, sorted(Path(folder).glob("*.dcm")))
    click.echo(as_text(measurement))
    if write:
        click.echo(f"written to {write_guard_band(loaded, measurement, f'phantoms, seed {seed}')}")


def _convert(options: _Options, precision: Precision) -> None:
    task = _task(options)
    outcome = controlled(task, precision)
    write_bundle(task, outcome, precision, options.out)
    click.echo(table_from_outcome(outcome, precision, _sizes(options, outcome, precision)))
    if options.plot is not None:
        click.echo(f"drawn to {plot_outcome(outcome, precision, options.plot)}")
    click.echo(f"written to {options.out}")


def _task(options: _Options) -> Task:
    bundle = load_bundle(options.bundle)
    if options.out.exists():
        raise UsageError(f"{options.out} exists already; name a new folder")
    unknown = sorted(set(options.whole) - set(bundle.manifest.networks))
    if unknown:
        raise UsageError(f"the bundle has no networks {unknown}")
    calibration = inputs_from_files(bundle, dicom_files(options.images), options.count)
    files = dicom_files([options.validation])
    validation = inputs_from_files(bundle, files, least=1)
    for each in (*calibration.left_out, *validation.left_out):
        click.echo(f"left out {each.file}: {each.reason}", err=True)
    truths = _truths(options.validation, options.truth)
    click.echo(
        f"{len(calibration.images)} images to calibrate on, {len(validation.images)} to hold the gate on", err=True
    )
    budget = Budget()
    unstable = unstable_images(bundle, validation.files, budget.probability) if options.unstable_apart else {}
    for sha256, move in unstable.items():
        click.echo(f"told apart {sha256[:16]}: moves by {move:.4f} in FP32 with its own noise", err=True)
    return Task(
        bundle=bundle,
        calibration=calibration,
        validation=validation,
        truths={sha256: truth for sha256, truth in truths.items() if sha256 in validation.images},
        budget=budget,
        backend=options.backend,
        whole=frozenset(options.whole),
        unstable=frozenset(unstable),
        tell=lambda line: click.echo(line, err=True),
        reserve=options.reserve,
    )


def _truths(validation: Path, given: Path | None) -> dict[str, bool]:
    """Truth of the validation files, from the file that is named or the one beside them."""
    beside = validation / "truth.json"
    path = given or (beside if beside.is_file() else None)
    return {} if path is None else truths_from_json(path)


def _sizes(options: _Options, outcome: Outcome, precision: Precision) -> dict[str, tuple[int, int]]:
    written = load_bundle(options.out)
    return {
        each.network: (
            len(written.model(each.network, "fp32", "any")),  # type: ignore[arg-type]
            len(written.model(each.network, precision, "any")),  # type: ignore[arg-type]
        )
        for each in outcome.networks
    }


if __name__ == "__main__":
    main()
