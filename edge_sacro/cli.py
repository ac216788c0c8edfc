"""The command line. It and ``edge_sacro.commands`` are the only places that turn errors into exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sacro import __version__
from edge_sacro.commands import exits_with_code
from edge_sacro.commands.batch import batch as batch_command
from edge_sacro.commands.bench import bench as bench_group
from edge_sacro.commands.bundle import bundle as bundle_group
from edge_sacro.commands.bundle import trust_from_options, trust_options
from edge_sacro.commands.embed import embed as embed_command
from edge_sacro.commands.engine import engine as engine_group
from edge_sacro.commands.engine import opener_from_store, preload_from_options
from edge_sacro.commands.evaluate import evaluate as evaluate_command
from edge_sacro.commands.grade import grade as grade_command
from edge_sacro.commands.kit import kit as kit_group
from edge_sacro.commands.ledger import keeper_from_options
from edge_sacro.commands.ledger import ledger as ledger_command
from edge_sacro.commands.objects import Objects, object_options
from edge_sacro.commands.parity import parity as parity_command
from edge_sacro.commands.reference import reference as reference_group
from edge_sacro.commands.selftest import selftest as selftest_command
from edge_sacro.commands.serve import node as node_group
from edge_sacro.commands.serve import serve as serve_command
from edge_sacro.commands.triton import triton as triton_group
from edge_sacro.errors import InputNotFound

if TYPE_CHECKING:
    from edge_sacro.manifest import Precision
    from edge_sacro.report import Report, Result
    from edge_sacro.series_report import Selection

NOT_ASSESSABLE_EXIT_CODE = 3
"""Every file was read, and at least one of them is not assessable."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="edge-sacro")
def main() -> None:
    """Find radiographic sacroiliitis on pelvic radiographs, where the X-ray is taken."""
    from edge_sacro.memory import keep_freed_memory

    keep_freed_memory()


GROUPS: tuple[click.Command, ...] = (
    *(batch_command, bench_group, bundle_group, embed_command, engine_group, reference_group, triton_group),
    *(grade_command, parity_command, evaluate_command, ledger_command, serve_command, node_group),
    *(kit_group, selftest_command),
)
"""Commands that have a file of their own in ``edge_sacro.commands``."""

for group in GROUPS:
    main.add_command(group)


@main.command(short_help="Assess DICOM files, or all instances of folders.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--bundle", default="demonstration", show_default=True, help="Model bundle: a folder or a zip file.")
@trust_options
@click.option(
    "--backend", default="onnxruntime", show_default=True, help="onnxruntime, openvino or null; never replaced."
)
@click.option("--engines", type=click.Path(file_okay=False), help="Folder of engines to serve from, not a --backend.")
@click.option("--precision", help="fp32, fp16 or int8, where the bundle has it.  [default: the bundle's]")
@click.option("--threads", type=click.IntRange(1), help="Threads of one inference.  [default: all that it may use]")
@click.option("--deadline", "deadline_s", type=float, metavar="SECONDS", help="Time that one image may take.")
@click.option("--operating-point", metavar="NAME", help="One of the bundle's cut-offs.  [default: the bundle's]")
@click.option(
    "--override",
    "overrides",
    multiple=True,
    metavar="CODE",
    help="Refusal not to apply: wrong_body_part, wrong_view, lossy_limit.",
)
@click.option(
    "--slices",
    type=click.Choice(["joints", "all"]),
    default="joints",
    show_default=True,
    help="Slices that count for a CT series: those through both joints, or all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document in place of the table.")
@click.option("--overlay", metavar="PNG|FOLDER", help="Draw joints, crop and decision over the radiograph.")
@click.option(
    "--explain", metavar="PNG|FOLDER", help="Draw where the classifier looked (Grad-CAM) over the radiograph."
)
@click.option("--explain-npz", metavar="NPZ|FOLDER", help="Write the explanation's arrays.")
@click.option(
    "--explain-class",
    type=click.IntRange(0, 1),
    default=1,
    show_default=True,
    help="Explain what speaks for disease (1) or for its absence (0).",
)
@click.option("--ledger", type=click.Path(dir_okay=False), help="Add a line for each answer to this ledger of drift.")
@click.option(
    "--shadow",
    default=0.0,
    type=click.FloatRange(0, 1),
    metavar="PART",
    help="Part of the images that fp32 assesses too, for the ledger.",
)
@object_options
@exits_with_code
def infer(  # noqa: PLR0913, PLR0917 - one parameter an option
    paths: tuple[str, ...],
    bundle: str,
    trust: tuple[str, ...],
    state: str | None,
    backend: str,
    engines: str | None,
    precision: Precision | None,
    threads: int | None,
    deadline_s: float | None,
    operating_point: str | None,
    overrides: tuple[str, ...],
    slices: Selection,
    as_json: bool,
    overlay: str | None,
    explain: str | None,
    explain_npz: str | None,
    explain_class: int,
    ledger: str | None,
    shadow: float,
    objects: Objects,
) -> int:
    """Assess DICOM files, or every instance of folders, and answer each one, and each CT series.

    Exit code 0: every image and series was assessed. 3: one was not assessable. Others: the first refusal's or error's
    own, as docs/errors.md lists them.
    """
    from edge_sacro.dicom import find_instances, warm_up

    objects.check(paths)
    found = find_instances(paths)
    warm_up()

    from edge_sacro import console
    from edge_sacro.bundle import load_bundle
    from edge_sacro.commands.pictures import Pictures
    from edge_sacro.report import Ignored, json_from_report
    from edge_sacro.runtime import Runtime

    ignored = [Ignored(path=str(each.path), reason=each.reason) for each in found if each.reason is not None]
    files = [each.path for each in found if each.reason is None]
    if not files:
        raise InputNotFound("it holds no DICOM file", source=", ".join(paths))
    answers: list[Result] = []
    preload_from_options(engines, backend)
    loaded = load_bundle(bundle, trust_from_options(trust, state))
    pictures = Pictures(files, overlay, explain, explain_npz, explain_class)
    pictures.check(loaded)
    with (
        Runtime(
            loaded,
            backend=backend,
            precision=precision,
            threads=threads,
            deadline_s=deadline_s,
            operating_point=operating_point,
            overrides=overrides,
            opener=opener_from_store(engines, loaded, precision),
            slices=slices,
        ) as runtime,
        keeper_from_options(ledger, shadow, runtime, loaded, backend) as keeper,
    ):
        del loaded  # the networks are open, and their files are large
        try:
            for path, source in zip(console.with_progress(files), runtime.read_ahead(files), strict=True):
                for assessed in runtime.assess_each(source):
                    answers.append(assessed[0])
                    pictures.write(runtime, path, assessed)
                    objects.write(runtime, len(answers) - 1, path, assessed)
                    if keeper is not None:
                        keeper.keep(assessed[0], assessed[1], source)
        finally:
            report = runtime.report(answers, ignored)
            click.echo(json_from_report(report) if as_json else console.text_from_report(report), nl=False)
    objects.write_series(report)
    objects.say()
    return _exit_code(report) or objects.exit_code


@main.command(short_help="Write simulated radiographs or CT series.")
@click.option("--out", required=True, type=click.Path(file_okay=False), help="Folder to write to; made if absent.")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 100_000), help="How many radiographs.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="The same seed, the same bytes.")
@click.option("--left-grade", type=click.IntRange(0, 4), help="Modified New York grade.  [default: drawn]")
@click.option("--right-grade", type=click.IntRange(0, 4), help="Modified New York grade.  [default: drawn]")
@click.option("--ct-range", type=click.Choice(["joints", "pelvis"]), default="joints", show_default=True, help="Of CT.")
@click.option("--ct", "slices", type=click.IntRange(1, 200), metavar="SLICES", help="CT series of so many slices.")
@exits_with_code
def phantom(  # noqa: PLR0913, PLR0917 - one parameter an option
    out: str,
    count: int,
    seed: int,
    left_grade: int | None,
    right_grade: int | None,
    slices: int | None,
    ct_range: str,
) -> None:
    """Write simulated pelvic radiographs with known truth, for installation checks, demonstration and tests."""
    from edge_sacro import console
    from edge_sacro.phantom import CtOptions, PhantomOptions, write_ct_study, write_study

    if slices is not None:
        ct = CtOptions(slices, left_grade=left_grade, right_grade=right_grade, pelvis=ct_range == "pelvis")
        truth = write_ct_study(Path(out), count, seed, ct, progress=console.with_progress)
        click.echo(f"{count} x {slices} simulated CT slices and {truth} written: no patient, not for clinical use")
        return
    options = PhantomOptions(left_grade=left_grade, right_grade=right_grade)
    truth = write_study(Path(out), count, seed, options, progress=console.with_progress)
    images = "1 simulated radiograph" if count == 1 else f"{count} simulated radiographs"
    click.echo(f"{images} and {truth} written: no patient, not for clinical use")


@main.command(short_help="Print the JSON Schema of the report.")
@exits_with_code
def schema() -> None:
    """Print the JSON Schema of the report that `infer --json` prints."""
    import json

    from edge_sacro.report import report_schema

    click.echo(json.dumps(report_schema(), indent=2, sort_keys=True))


def _exit_code(report: Report) -> int:
    from edge_sacro.errors import exit_code_from_code

    for result in report.results:
        if result.state == "refused" and result.reason_code is not None:
            return exit_code_from_code(result.reason_code)
    codes = {each.reason_code for each in report.results if each.state == "not_assessable"}
    codes |= {each.reason_code for each in report.series if each.state == "not_assessable"}
    if "deadline_exceeded" in codes:
        return exit_code_from_code("deadline_exceeded")
    return NOT_ASSESSABLE_EXIT_CODE if codes else 0


if __name__ == "__main__":
    main()
