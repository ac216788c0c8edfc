"""``edge-sacro evaluate``: predictions beside truth, a published cohort and another model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sacro.commands import exits_with_code
from edge_sacro.commands.bundle import trust_from_options, trust_options
from edge_sacro.errors import UsageError

if TYPE_CHECKING:
    from edge_sacro.evaluation.evaluate import Origin, Settings
    from edge_sacro.evaluation.predictions import Predictions
    from edge_sacro.manifest import Precision
    from edge_sacro.trust import Trust

_FOLDER_ONLY = ("csv_path", "bundle", "backend", "precision", "threads", "operating_point")
_COMPARE_REMEDY = "Evaluate the folder with either bundle and --csv FILE, then one file with --compare the other."
SAID = "it was said that the predictions are of no patients"


@dataclass(frozen=True)
class _Chosen:
    """What assesses a folder."""

    bundle: str
    backend: str
    precision: Precision | None
    threads: int | None
    operating_point: str | None
    trust: Trust | None


@click.command(short_help="Evaluate predictions beside published figures.")
@click.argument("predictions", metavar="CSV|FOLDER")
@click.option("--reference", metavar="SYSTEM/COHORT", help="Published cohort, as bressem2021/test; any word lists all.")
@click.option("--margin", type=float, help="How far below the published figure is not inferior.  [default: 0.05]")
@click.option("--compare", metavar="CSV", help="Another model's predictions of the same cases.")
@click.option("--threshold", type=click.FloatRange(0, 1), help="Cut-off: positive above it, strictly.")
@click.option("--simulated", is_flag=True, help="Say that the predictions are of no patients.")
@click.option("--require-noninferior", is_flag=True, help="End with 83 unless the AUC is shown not to be inferior.")
@click.option(
    "--resamples", default=2000, show_default=True, type=click.IntRange(100, 100_000), help="Of the bootstrap."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the bootstrap.")
@click.option("--json", "json_path", metavar="FILE", help="Write every figure and the curves.")
@click.option("--html", "html_path", metavar="FILE", help="Write a page with plots.")
@click.option("--csv", "csv_path", metavar="FILE", help="For a folder: write the predictions, to compare or keep.")
@click.option("--bundle", default="demonstration", show_default=True, help="For a folder: the model bundle.")
@click.option("--backend", default="onnxruntime", show_default=True, help="For a folder: what computes.")
@click.option("--precision", help="For a folder: fp32, fp16 or int8.  [default: the bundle's]")
@click.option(
    "--threads", type=click.IntRange(1), help="For a folder: of one inference.  [default: all that it may use]"
)
@click.option("--operating-point", metavar="NAME", help="For a folder: the cut-off.  [default: the bundle's]")
@trust_options
@exits_with_code
def evaluate(  # noqa: PLR0913, PLR0917 - one parameter an option
    predictions: str,
    reference: str | None,
    margin: float | None,
    compare: str | None,
    threshold: float | None,
    simulated: bool,
    require_noninferior: bool,
    resamples: int,
    seed: int,
    json_path: str | None,
    html_path: str | None,
    csv_path: str | None,
    bundle: str,
    backend: str,
    precision: Precision | None,
    threads: int | None,
    operating_point: str | None,
    trust: tuple[str, ...],
    state: str | None,
) -> None:
    """Evaluate a file of predictions, or a bundle on a folder that `edge-sacro phantom` made.

    AUC, sensitivity, specificity, kappa and average precision with their intervals, beside a published cohort with a
    margin of non-inferiority, and beside another model. Exit code 83: only with --require-noninferior.
    """
    from edge_sacro.bundle_files import write_atomically
    from edge_sacro.evaluation import evaluate as run
    from edge_sacro.evaluation.cohorts import cohort_from_name
    from edge_sacro.evaluation.measures import Draws
    from edge_sacro.evaluation.predictions import csv_from_predictions
    from edge_sacro.evaluation.text import text_from_document
    from edge_sacro.types import OperatingPoint

    if reference is None and (require_noninferior or margin is not None):
        raise UsageError("there is no published figure to hold the margin to", source="--reference")
    cohort = None if reference is None else cohort_from_name(reference)
    point = None if threshold is None else OperatingPoint("threshold", threshold, "--threshold")
    settings = run.Settings(cohort, run.MARGIN if margin is None else margin, point, Draws(resamples, seed))
    if Path(predictions).is_dir():
        if compare is not None:
            raise UsageError("a folder is compared with nothing", source="--compare", remedy=_COMPARE_REMEDY)
        chosen = _Chosen(bundle, backend, precision, threads, operating_point, trust_from_options(trust, state))
        first, settings, origin = _assessed(Path(predictions), settings, chosen)
        other = None
        if csv_path is not None:
            write_atomically(Path(csv_path), csv_from_predictions(first).encode())
            click.echo(f"{csv_path} written")
    else:
        _refuse_options_of_a_folder()
        first, other = _read(Path(predictions), compare)
        origin = run.Origin(simulated=SAID if simulated else None)
    document = run.evaluate(first, settings, origin, other)
    click.echo(text_from_document(document), nl=False)
    for path in run.write_outputs(document, json_path, html_path):
        click.echo(f"{path} written")
    if require_noninferior:
        run.check_noninferior(document)


def _read(path: Path, compare: str | None) -> tuple[Predictions, Predictions | None]:
    """The model, and the other one from the same file's column ``model`` or from another file."""
    from edge_sacro.evaluation.predictions import predictions_from_csv

    models = predictions_from_csv(path)
    most = 2 if compare is None else 1
    if len(models) > most:
        names = ", ".join(model.name for model in models)
        raise UsageError(
            f"the column model has {names}, and {most} can be taken", source=str(path), remedy="Split the file."
        )
    if compare is None:
        return models[0], models[1] if len(models) > 1 else None
    others = predictions_from_csv(Path(compare))
    if len(others) > 1:
        raise UsageError("it holds several models", source=compare, remedy="Split the file.")
    return models[0], others[0]


def _assessed(folder: Path, settings: Settings, chosen: _Chosen) -> tuple[Predictions, Settings, Origin]:
    """A bundle's answers to a folder; its operating point decides unless a threshold was given."""
    from dataclasses import replace

    from edge_sacro import console
    from edge_sacro.bundle import load_bundle
    from edge_sacro.evaluation.evaluate import Origin
    from edge_sacro.evaluation.folder import SIMULATED, assessed_from_folder
    from edge_sacro.runtime import Runtime

    loaded = load_bundle(chosen.bundle, chosen.trust)
    with Runtime(
        loaded,
        backend=chosen.backend,
        precision=chosen.precision,
        threads=chosen.threads,
        operating_point=chosen.operating_point,
    ) as runtime:
        assessed = assessed_from_folder(folder, runtime, console.with_progress)
        point = settings.point or runtime.operating_point
    origin = Origin(assessed.used, SIMULATED, assessed.notes)
    return assessed.predictions, replace(settings, point=point), origin


def _refuse_options_of_a_folder() -> None:
    """No option is taken that would have no effect.

    Raises:
        UsageError: one that only a folder has was given with a file.
    """
    context = click.get_current_context()
    for name in _FOLDER_ONLY:
        if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
            option = "--" + name.removesuffix("_path").replace("_", "-")
            raise UsageError("only a folder is assessed, and this is a file", source=option)
