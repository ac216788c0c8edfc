"""``edge-sacro selftest``: the installation and daily check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sacro.commands import exits_with_code
from edge_sacro.commands.bundle import trust_options
from edge_sacro.errors import SelftestFailed, UsageError

if TYPE_CHECKING:
    from edge_sacro.benchmark.order import Order
    from edge_sacro.manifest import Precision
    from edge_sacro.selftest.document import SelftestReport


@click.command(short_help="Check that this installation answers as it was accepted.")
@click.argument("paths", nargs=-1, metavar="[FILE...]", type=click.Path(path_type=Path))
@click.option("--bundle", help="Model bundle.  [default: the configuration's, the release's, else demonstration]")
@trust_options
@click.option("--backend", default="onnxruntime", show_default=True, help="As for infer.")
@click.option("--engines", type=click.Path(file_okay=False), help="As for infer.")
@click.option("--precision", help="As for infer.")
@click.option("--threads", type=click.IntRange(1), help="As for infer.")
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="NODE.toml", help="Check what this node assesses with."
)
@click.option("--release", type=click.Path(path_type=Path), help="Folder of an installed kit, whose files are checked.")
@click.option("--golden", type=click.Path(path_type=Path), help="Folder of golden answers.  [default: the release's]")
@click.option(
    "--rounds", default=3, show_default=True, type=click.IntRange(0), help="Counted assessments of each study."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for report.json, its signature and report.html.")
@click.option(
    "--key", type=click.Path(path_type=Path), metavar="KEY", help="The site's private key, to sign the report."
)
@click.option(
    "--record", type=click.Path(path_type=Path), metavar="FOLDER", help="Write golden answers, check nothing."
)
@click.option(
    "--verify", type=click.Path(path_type=Path), metavar="REPORT", help="Verify a report with --trust, check nothing."
)
@exits_with_code
def selftest(  # noqa: PLR0913, PLR0917 - one parameter an option
    paths: tuple[Path, ...],
    bundle: str | None,
    trust: tuple[str, ...],
    state: str | None,
    backend: str,
    engines: str | None,
    precision: Precision | None,
    threads: int | None,
    config: Path | None,
    release: Path | None,
    golden: Path | None,
    rounds: int,
    out: Path | None,
    key: Path | None,
    record: Path | None,
    verify: Path | None,
) -> int:
    """Assess phantoms and hold the answers to golden ones; look at speed, files, disk, clock and certificates.

    FILEs are for --record alone. Exit code 0: every check passed. 115: one failed; the report says which.
    """
    from edge_sacro.benchmark.order import Order

    if verify is not None:
        _verify(verify, trust)
        return 0
    order = Order(bundle or _bundle_of(release), backend, precision, threads, engines, trust, state)
    if record is not None:
        _record(order, paths, record)
        return 0
    if paths:
        raise UsageError("files are for --record", source=str(paths[0]))
    if config is not None and bundle is not None:
        raise UsageError("the node's configuration names the bundle", source="--bundle")
    report = _checked(order, config, release, golden, rounds)
    from edge_sacro.selftest.html import text_from_report

    click.echo(text_from_report(report), nl=False)
    if out is not None:
        _write(report, out, key)
    elif key is not None:
        raise UsageError("a signature is written with a report", source="--key", remedy="Name a folder with --out.")
    return 0 if report.passed else SelftestFailed.exit_code


def _bundle_of(release: Path | None) -> str:
    return "demonstration" if release is None else str(release / "kit" / "bundle")


def _checked(
    order: Order, config: Path | None, release: Path | None, golden: Path | None, rounds: int
) -> SelftestReport:
    from edge_sacro.selftest.run import Options
    from edge_sacro.selftest.run import selftest as run

    if config is None:
        return run(Options(order, golden, release, folder=release or Path(), rounds=rounds))
    from edge_sacro.node.config import config_from_file
    from edge_sacro.selftest.site import order_from_config

    read = config_from_file(config)
    return run(Options(order_from_config(read), golden, release, read, rounds=rounds))


def _record(order: Order, paths: tuple[Path, ...], folder: Path) -> None:
    import shutil
    from tempfile import TemporaryDirectory

    from edge_sacro.bundle_files import write_atomically
    from edge_sacro.selftest.golden import GOLDEN_NAME, json_from_golden
    from edge_sacro.selftest.run import record as run

    with TemporaryDirectory(prefix="edge-sacro-selftest-") as scratch:
        golden, files = run(order, paths, Path(scratch))
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            shutil.copyfile(path, folder / path.name)
    write_atomically(folder / GOLDEN_NAME, json_from_golden(golden).encode())
    for study in golden.studies:
        click.echo(f"{study.file}: {study.state} {'' if study.probability is None else study.probability}")
    click.echo(f"{folder / GOLDEN_NAME} written: accept these answers, or do not use them")


def _write(report: SelftestReport, out: Path, key: Path | None) -> None:
    from edge_sacro.bundle_files import write_atomically
    from edge_sacro.errors import OutputNotWritten
    from edge_sacro.selftest.document import PAGE_NAME, REPORT_NAME, SIGNATURE_NAME, json_from_report, signature_of
    from edge_sacro.selftest.html import html_from_report
    from edge_sacro.trust import signature_from_json

    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / SIGNATURE_NAME).unlink(missing_ok=True)
    except OSError as error:
        raise OutputNotWritten(f"the folder cannot be made: {error.strerror}", source=str(out)) from error
    text, signed_by = json_from_report(report), None
    write_atomically(out / REPORT_NAME, text)
    if key is not None:
        from edge_sacro.commands.kit import passphrase
        from edge_sacro.signing import private_key_from_file

        signature = signature_of(text, private_key_from_file(key, passphrase))
        write_atomically(out / SIGNATURE_NAME, signature)
        read = signature_from_json(signature, str(out))
        signed_by = None if read is None else read.key_id
    write_atomically(out / PAGE_NAME, html_from_report(report, signed_by).encode())
    click.echo(f"{out / REPORT_NAME} and {PAGE_NAME} written, {'signed' if signed_by else 'not signed'}")


def _verify(path: Path, trust: tuple[str, ...]) -> None:
    from edge_sacro.selftest.document import verify_report
    from edge_sacro.trust import trust_from_files

    if not trust:
        raise UsageError("a key is needed to verify with", source="--trust", remedy="Give the site's public key.")
    report = verify_report(path, trust_from_files(trust, None).keys)
    click.echo(f"{path}: signed, begun {report.begun}, {'passed' if report.passed else 'FAILED'}")
