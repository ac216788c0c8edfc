"""The workshop's commands: ``python -m export --help``."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import click

from edge_sacro.commands import exits_with_code
from edge_sacro.errors import UsageError

BUNDLE = Path("edge_sacro/bundles/demonstration")
DOCS = Path("docs/demonstration")

_folder = click.Path(path_type=Path, file_okay=False)
_existing_folder = click.Path(path_type=Path, file_okay=False, exists=True)
_existing_file = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group()
def main() -> None:
    """Make models for Edge-Sacro."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("export").setLevel(logging.INFO)


@main.command()
@click.option("--simulator", type=_existing_folder, multiple=True, help="Folder of the second simulator; repeatable.")
@click.option("--phantoms", default=400, show_default=True, type=click.IntRange(min=0), help="Phantoms to train on.")
@click.option("--out", default=BUNDLE, show_default=True, type=_folder, help="Folder of the bundle.")
@click.option("--docs", default=DOCS, show_default=True, type=_folder, help="Folder of the training log.")
@click.option("--cache", default=Path("build/demonstration"), show_default=True, type=_folder, help="Working folder.")
@click.option("--segmenter-steps", default=3600, show_default=True, type=click.IntRange(min=1))
@click.option("--classifier-steps", default=3300, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--variants", default=2, show_default=True, type=click.IntRange(min=0), help="Varied crops of each image."
)
@click.option("--batch", default=None, type=click.IntRange(min=2), help="Images a step, both networks.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(min=0), help="Processes for rendering.")
def demonstration(  # noqa: PLR0913, PLR0917 - one argument an option
    simulator: tuple[Path, ...],
    phantoms: int,
    out: Path,
    docs: Path,
    cache: Path,
    segmenter_steps: int,
    classifier_steps: int,
    variants: int,
    batch: int | None,
    seed: int,
    workers: int,
) -> None:
    """Train the demonstration networks on simulated radiographs and seal their bundle.

    Demonstration: trained on simulated radiographs, not for clinical use.
    """
    from export.demonstration.loop import Schedule
    from export.demonstration.pipeline import Settings, run

    if phantoms == 0 and not simulator:
        raise click.UsageError("there is nothing to train on: give --phantoms or --simulator")
    helpers = min(workers, 1)
    settings = Settings(
        out=out,
        docs=docs,
        cache=cache,
        phantoms=phantoms,
        simulator=simulator,
        segmenter=Schedule(segmenter_steps, batch or 8, 3e-3, helpers, seed),
        classifier=Schedule(classifier_steps, batch or 16, 3e-3, helpers, seed),
        variants=variants,
        workers=workers,
    )
    click.echo(f"bundle written to {run(settings)}")


@main.command("evaluate-demonstration")
@click.option("--bundle", default=BUNDLE, show_default=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--phantoms", default=200, show_default=True, type=click.IntRange(min=0), help="Phantoms of unseen seeds."
)
@click.option("--simulator", type=_existing_folder, multiple=True, help="Held-out folder of the second simulator.")
@click.option("--docs", default=DOCS, show_default=True, type=_folder, help="Where figures, pictures and card go.")
def evaluate_demonstration(bundle: Path, phantoms: int, simulator: tuple[Path, ...], docs: Path) -> None:
    """Measure the demonstration bundle on held-out simulated radiographs, by the runtime's own stages."""
    from export.demonstration.report import evaluate

    if phantoms == 0 and not simulator:
        raise click.UsageError("there is nothing to measure on: give --phantoms or --simulator")
    click.echo(json.dumps(evaluate(bundle, docs, phantoms, simulator), indent=2))


@main.command()
@click.argument("system")
@click.option(
    "--weights",
    multiple=True,
    metavar="NETWORK=FILE",
    help="Checkpoint of a network, or an ONNX file of another exporter; one for each network of the system.",
)
@click.option("--generated", is_flag=True, help="Generated weights in place of files: for tests and timing.")
@click.option("--out", required=True, type=_folder, help="Folder of the bundle.")
@click.option("--no-explanation", is_flag=True, help="Leave Grad-CAM out of the classifier's graph.")
@click.option("--radiograph", type=_existing_file, help="DICOM file to compare on.  [default: the phantom]")
@click.option("--name", help="Of the bundle.  [default: the system's]")
@click.option("--release", default="1.0.0", show_default=True, help="Version of the bundle.")
@click.option("--licence", help="Licence of the weights.")
@click.option("--statement", help="Sentence that every output repeats.")
@exits_with_code
def model(  # noqa: PLR0913, PLR0917 - one argument an option
    system: str,
    weights: tuple[str, ...],
    generated: bool,
    out: Path,
    no_explanation: bool,
    radiograph: Path | None,
    name: str | None,
    release: str,
    licence: str | None,
    statement: str | None,
) -> None:
    """Make a bundle of SYSTEM from checkpoints: ONNX, checked, with the published operating points.

    Systems and the layouts of their checkpoints: docs/export.md.
    """
    from export.bundle_fields import Account
    from export.model import Order, bundle_from_order

    told = {"licence": licence, "statement": statement}
    account = Account(name or system, release, generated=generated, **{key: text for key, text in told.items() if text})
    order = Order(system, _files_by_network(weights), out, account, not no_explanation, radiograph)
    manifest = bundle_from_order(order)
    click.echo(f"bundle {manifest.name} {manifest.version} written to {out}")


@main.command()
@click.argument("file", type=_existing_file)
@click.option("--system", required=True, help="System whose contract the graph must keep.")
@click.option("--network", required=True, help="segmenter, classifier or detector.")
@exits_with_code
def check(file: Path, system: str, network: str) -> None:
    """Hold an ONNX FILE to the rules that every graph of a bundle keeps: shapes, names, operators, metadata."""
    from export.inspection import lines_of_graph

    for line in lines_of_graph(file, system, network):
        click.echo(line)


@main.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--out", required=True, type=_folder, help="Folder of the new bundle.")
@exits_with_code
def explain(bundle: Path, out: Path) -> None:
    """Add Grad-CAM to the classifier of BUNDLE, in all its precisions. Its logits stay what they are."""
    from edge_sacro.bundle import load_bundle
    from export.explained_bundle import write_explained

    manifest = write_explained(load_bundle(bundle), out)
    click.echo(f"bundle {manifest.name} {manifest.version} written to {out}; its logits are what they were")


def _files_by_network(weights: tuple[str, ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for each in weights:
        name, separator, file = each.partition("=")
        if not separator or not name or not file or name in found:
            raise UsageError(f"{each!r} is not NETWORK=FILE, or names a network twice", source="--weights")
        found[name] = Path(file)
    return found


if __name__ == "__main__":
    main()
