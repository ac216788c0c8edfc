"""The engine factory's commands: ``python -m engines --help``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import cast

import click

from edge_sacro.commands import exits_with_code

_PRECISIONS = click.Choice(["fp32", "fp16", "int8"])


@click.group()
def main() -> None:
    """Build engines for many devices at once, and read what they will run."""


@main.command("build-all")
@click.option("--bundle", "bundles", multiple=True, help="Bundle to take networks from; repeatable.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Or NAME-PRECISION.onnx.")
@click.option("--profile", "profiles", multiple=True, required=True, metavar="NAME", help="Repeatable.")
@click.option("--precision", "precisions", multiple=True, type=_PRECISIONS, help="Repeatable.  [default: all]")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="For engines.json.")
@click.option("--keep", is_flag=True, help="Keep the engines beside it.")
@exits_with_code
def build_all(
    bundles: tuple[str, ...],
    folder: Path | None,
    profiles: tuple[str, ...],
    precisions: tuple[str, ...],
    out: Path,
    keep: bool,
) -> int:
    """Build every network in every precision for every profile; a refusal is a row, and exit code 46 then."""
    from edge_sacro.bundle import load_bundle
    from edge_sacro.engine.profiles import Precision, profile_from_name
    from edge_sacro.errors import EngineBuildFailed, UsageError
    from engines.factory import (
        PRECISIONS,
        candidates_from_bundle,
        candidates_from_folder,
        row_from_candidate,
        table_from_rows,
    )

    wanted = cast("tuple[Precision, ...]", precisions) or PRECISIONS
    for name in profiles:
        for precision in wanted:
            if precision not in profile_from_name(name).precisions:
                click.echo(f"left out: {name} takes no {precision}", err=True)
    candidates = [c for path in bundles for c in candidates_from_bundle(load_bundle(path), profiles, wanted)]
    if folder is not None:
        candidates += candidates_from_folder(folder, profiles, wanted)
    if not candidates:
        raise UsageError(
            "there is nothing to build", remedy="Give --bundle or --folder, and precisions that they have."
        )
    rows = []
    for number, candidate in enumerate(candidates, 1):
        click.echo(
            f"{number}/{len(candidates)} {candidate.network} {candidate.precision} {candidate.profile}", err=True
        )
        rows.append(row_from_candidate(candidate, out if keep else None))
    out.mkdir(parents=True, exist_ok=True)
    (out / "engines.json").write_text(json.dumps([row.as_dict() for row in rows], indent=1, sort_keys=True) + "\n")
    click.echo(table_from_rows(rows))
    return EngineBuildFailed.exit_code if any(row.error for row in rows) else 0


@main.command()
@click.argument("plan", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--kernels", is_flag=True, help="Also each kernel, in the order of the program.")
@exits_with_code
def audit(plan: Path, kernels: bool) -> None:
    """Tell what a TensorRT-RTX plan will run: kernels, their types and what is fused behind them."""
    from edge_sacro.engine.audit import audit_from_plan
    from edge_sacro.errors import EngineError

    found = audit_from_plan(plan.read_bytes())
    if not found.kernels:
        raise EngineError("it holds no program text", source=str(plan), remedy="Inspect it on its device.")
    click.echo(
        f"{found.size / 1e6:.1f} MB, {found.device_bytes / 1e6:.1f} MB of activations, {' '.join(found.targets)}"
    )
    click.echo(f"{len(found.kernels)} kernels, {found.in_int8} of {found.weighted} with weights multiply in int8")
    for label, count in found.counts().items():
        click.echo(f"{count:5d}  {label}")
    for kernel in found.kernels if kernels else ():
        click.echo(f"  {kernel.kind} {kernel.name}: {' '.join(kernel.inputs)} -> {' '.join(kernel.outputs)}")


@main.command()
@click.argument("module")
def members(module: str) -> None:
    """Print the members of a TensorRT module that the builder is tested against, as JSON."""
    from engines.members import members_from_module

    json.dump(members_from_module(module), sys.stdout, separators=(",", ":"), sort_keys=True)
    click.echo()


@main.command()
@click.option("--toolchain", type=click.Path(path_type=Path, file_okay=False), help="Folder to keep the compilers in.")
@exits_with_code
def kernels(toolchain: Path | None) -> None:
    """Compile the CUDA kernels of the package again, after their source has changed; takes no GPU."""
    import tempfile

    from engines.kernels import build_kernels

    with tempfile.TemporaryDirectory() as temporary:
        for name, size in build_kernels(toolchain or Path(temporary)).items():
            click.echo(f"{name} {size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
