"""The command from a TensorFlow detector to a bundle: ``python -m export.tensorflow --help``."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from edge_sacro.commands import exits_with_code
from edge_sacro.errors import UsageError


@click.command()
@click.argument("exported", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--generated", is_flag=True, help="EfficientDet-D4 with generated weights: for tests and timing.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the bundle.")
@click.option(
    "--radiograph",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="DICOM file to compare graph and network on.  [default: the phantom]",
)
@click.option("--name", default="noh2021", show_default=True, help="Of the bundle.")
@click.option("--release", default="1.0.0", show_default=True, help="Version of the bundle.")
@exits_with_code
def main(exported: Path | None, generated: bool, out: Path, radiograph: Path | None, name: str, release: str) -> None:
    """Make a bundle of noh2021 from EXPORTED, the folder that the Object Detection API's exporter wrote."""
    from export.bundle_fields import Account
    from export.tensorflow.bundle import bundle_from_source, source_from_export, source_from_generated

    if generated == (exported is not None):
        raise UsageError("give a folder or --generated, and not both", source="EXPORTED")
    source = source_from_generated() if exported is None else source_from_export(exported)
    manifest = bundle_from_source(source, out, Account(name, release, generated=generated), radiograph)
    click.echo(f"bundle {manifest.name} {manifest.version} written to {out}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("export").setLevel(logging.INFO)
    main()
