"""The workshop's commands: ``python -m export --help``."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import click

BUNDLE = Path("edge_sacro/bundles/demonstration")
DOCS = Path("docs/demonstration")

_folder = click.Path(path_type=Path, file_okay=False)
_existing_folder = click.Path(path_type=Path, file_okay=False, exists=True)


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


if __name__ == "__main__":
    main()
