"""The command line of ``install.pyz``: verify, install, list, rollback. ``edge-sacro kit`` has the same on click."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge_sacro.errors import EdgeSacroError
from edge_sacro.kit.installer.install import Plan, install, roll_back, verify_kit
from edge_sacro.kit.installer.prefix import Prefix
from edge_sacro.kit.installer.steps import PREFIX, sha256_of


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments ask for; the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        run(asked)
    except EdgeSacroError as error:
        print(f"edge-sacro kit: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def run(asked: argparse.Namespace) -> None:
    """Do what was asked for.

    Raises:
        EdgeSacroError: it could not be done.
    """
    if asked.command == "verify":
        verify_kit(asked.kit, asked.key, asked.unsigned, print)
    elif asked.command == "list":
        for line in listed(asked.prefix):
            print(line)
    elif asked.command == "rollback":
        roll_back(asked.prefix, print)
    else:
        archive = Path(sys.argv[0])
        if archive.is_file() and archive.suffix == ".pyz":
            print(f"installer {archive.name}, SHA-256 {sha256_of(archive)}")
        install(
            Plan(
                kit=asked.kit,
                prefix=asked.prefix,
                key=asked.key,
                unsigned=asked.unsigned,
                allow_downgrade=asked.allow_downgrade,
                python=asked.python,
                selftest=() if asked.config is None else ("--config", str(asked.config.absolute())),
                units=asked.systemd,
            )
        )


def listed(prefix: Path) -> list[str]:
    """Every release, one a line, that which serves marked."""
    place = Prefix(prefix)
    current = place.current()
    lines = []
    for each in place.releases():
        mark = "*" if current is not None and each.name == current.name else " "
        whose = f"signed by {each.signed_by[:16]}" if each.signed_by else "UNSIGNED"
        lines.append(f"{mark} {each.name}  {each.target}  installed {each.installed}  {whose}")
    return lines or ["nothing is installed"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="install.pyz", description="Verify and install an offline kit of Edge-Sacro.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, told in (
        ("install", "verify, install, check, and let it serve"),
        ("verify", "verify, and change nothing"),
    ):
        command = commands.add_parser(name, help=told)
        command.add_argument("kit", type=Path, help="the kit's tar file, or the folder that it was unpacked to")
        command.add_argument("--key", type=Path, metavar="KEY.pub", help="public key that the kit must be signed with")
        command.add_argument("--unsigned", action="store_true", help="take a kit from anybody, unverified")
        if name == "install":
            command.add_argument("--allow-downgrade", action="store_true", help="take an older kit than served here")
            command.add_argument("--python", default=sys.executable, help="interpreter to install for")
            command.add_argument("--config", type=Path, metavar="NODE.toml", help="the node's, for the selftest")
            command.add_argument(
                "--systemd",
                type=Path,
                nargs="?",
                const=Path("/etc/systemd/system"),
                metavar="FOLDER",
                help="write systemd's units there",
            )
            command.add_argument("--prefix", type=Path, default=Path(PREFIX), help="where releases stand")
    for name, told in (("list", "what is installed"), ("rollback", "let the release serve that served before")):
        command = commands.add_parser(name, help=told)
        command.add_argument("--prefix", type=Path, default=Path(PREFIX), help="where releases stand")
    return parser
