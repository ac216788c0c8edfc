"""``edge-sacro kit``: build, verify, install and roll back offline kits."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from edge_sacro.commands import exits_with_code
from edge_sacro.commands.bundle import PASSPHRASE

key_options = (
    click.option(
        "--key", type=click.Path(path_type=Path), metavar="KEY.pub", help="Public key that it must be signed with."
    ),
    click.option("--unsigned", is_flag=True, help="Take a kit from anybody, unverified."),
)
prefix_option = click.option(
    "--prefix",
    default=Path("/opt/edge-sacro"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where releases stand.",
)


@click.group(short_help="Build, verify, install and roll back offline kits.")
def kit() -> None:
    """Build, verify, install and roll back offline kits: everything that a machine without a network needs."""


@kit.command()
@click.option("--target", required=True, help="x86_64, aarch64 or jetson-jp6.")
@click.option("--python", help="3.10, 3.11 or 3.12, as the target has it.  [default: the target's usual one]")
@click.option("--extra", "extras", multiple=True, help="Extra of the wheel, repeatable.  [default: serve, signing]")
@click.option(
    "--wheel", type=click.Path(path_type=Path), help="Wheel of edge-sacro.  [default: built from the checkout]"
)
@click.option("--wheels", type=click.Path(path_type=Path), help="Folder of every wheel, in place of a download.")
@click.option("--bundle", default="demonstration", show_default=True, help="Model bundle: a folder or a zip file.")
@click.option("--golden", type=click.Path(path_type=Path), help="Golden answers of the bundle, from selftest --record.")
@click.option("--docs", type=click.Path(path_type=Path), help="Folder of documents.  [default: the checkout's]")
@click.option(
    "--sequence", default=0, show_default=True, type=click.IntRange(0), help="Grows with releases of a version."
)
@click.option("--sign", "key", type=click.Path(path_type=Path), metavar="KEY", help="Private key to sign it with.")
@click.option("--out", default=Path(), type=click.Path(path_type=Path), help="Folder to write to.  [default: this one]")
@exits_with_code
def build(  # noqa: PLR0913, PLR0917 - one parameter an option
    target: str,
    python: str | None,
    extras: tuple[str, ...],
    wheel: Path | None,
    wheels: Path | None,
    bundle: str,
    golden: Path | None,
    docs: Path | None,
    sequence: int,
    key: Path | None,
    out: Path,
) -> None:
    """Build a kit. Downloads wheels with pip, unless --wheels names a folder of them.

    SOURCE_DATE_EPOCH, and the same wheels, make the same bytes.
    """
    from edge_sacro.kit.build import EXTRAS, KitOrder, build_kit, moment_from_environment
    from edge_sacro.signing import private_key_from_file

    order = KitOrder(
        target=target,
        python=python,
        extras=extras or EXTRAS,
        wheel=wheel,
        wheels=wheels,
        bundle=bundle,
        golden=golden,
        sequence=sequence,
        moment=moment_from_environment(),
        tell=lambda line: click.echo(line, err=True),
        **({} if docs is None else {"docs": docs}),
    )
    private = None if key is None else private_key_from_file(key, passphrase)
    path, manifest, digest = build_kit(order, out, private)
    click.echo(f"{path} written: {path.stat().st_size // 10**6} MB, {'signed' if private else 'NOT SIGNED'}")
    click.echo(f"SHA-256 {digest}")
    click.echo(f"bundle {manifest.bundle['name']} {manifest.bundle['version']}: {manifest.bundle['statement']}")


@kit.command()
@click.argument("path", metavar="KIT", type=click.Path(path_type=Path))
@key_options[0]
@key_options[1]
@exits_with_code
def verify(path: Path, key: Path | None, unsigned: bool) -> None:
    """Hold a kit against its signature, and every file against its hash; change nothing."""
    from edge_sacro.kit.installer.install import verify_kit

    verify_kit(path, key, unsigned, click.echo)


@kit.command()
@click.argument("path", metavar="KIT", type=click.Path(path_type=Path))
@key_options[0]
@key_options[1]
@prefix_option
@click.option("--allow-downgrade", is_flag=True, help="Take an older kit than served here.")
@click.option("--python", default=sys.executable, help="Interpreter to install for.  [default: this one]")
@click.option("--config", type=click.Path(path_type=Path), metavar="NODE.toml", help="The node's, for the selftest.")
@click.option("--systemd", type=click.Path(path_type=Path), metavar="FOLDER", help="Write systemd's units there.")
@exits_with_code
def install(  # noqa: PLR0913, PLR0917 - one parameter an option
    path: Path,
    key: Path | None,
    unsigned: bool,
    prefix: Path,
    allow_downgrade: bool,
    python: str,
    config: Path | None,
    systemd: Path | None,
) -> None:
    """Verify a kit, install it beside what serves, run the selftest, and only then let it serve.

    On a machine that has no Edge-Sacro yet, the kit's own install.sh does the same.
    """
    from edge_sacro.kit.installer.install import Plan
    from edge_sacro.kit.installer.install import install as run

    selftest = () if config is None else ("--config", str(config.absolute()))
    run(Plan(path, prefix, key, unsigned, allow_downgrade, python, selftest, systemd, click.echo))


@kit.command(name="list")
@prefix_option
@exits_with_code
def list_releases(prefix: Path) -> None:
    """List the installed releases, that which serves marked."""
    from edge_sacro.kit.installer.main import listed

    for line in listed(prefix):
        click.echo(line)


@kit.command()
@prefix_option
@exits_with_code
def rollback(prefix: Path) -> None:
    """Let the release serve that served before, at once."""
    from edge_sacro.kit.installer.install import roll_back

    roll_back(prefix, click.echo)


def passphrase() -> str:
    """Of an encrypted private key: from the environment, or asked for."""
    if PASSPHRASE in os.environ:
        return os.environ[PASSPHRASE]
    word: str = click.prompt("Passphrase", hide_input=True, err=True)
    return word
