"""``edge-sacro bundle``: make, sign, verify and show model bundles."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_sacro.commands import exits_with_code
from edge_sacro.errors import UsageError

if TYPE_CHECKING:
    from edge_sacro.bundle import Bundle
    from edge_sacro.trust import Trust

PASSPHRASE = "EDGE_SACRO_KEY_PASSPHRASE"  # noqa: S105 - the variable's name
"""Environment variable that a private key's passphrase is taken from."""

Command = TypeVar("Command", bound=Callable[..., Any])


def trust_options(command: Command) -> Command:
    """Options ``trust`` and ``state`` of each command that loads a bundle, for :func:`trust_from_options`."""
    keys = click.option(
        "--trust",
        multiple=True,
        metavar="KEY.pub",
        type=click.Path(),
        envvar="EDGE_SACRO_TRUST",
        show_envvar=True,
        help="Take only a bundle signed by this key. May be repeated.",
    )
    state = click.option(
        "--state",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        envvar="EDGE_SACRO_STATE",
        show_envvar=True,
        help="Memory of the sequences taken here, kept with --trust.  [default: sequences.json of the user's state]",
    )
    return keys(state(command))


def trust_from_options(keys: tuple[str, ...], state: str | None) -> Trust | None:
    """What the options pin; None where no key is pinned.

    Raises:
        UsageError: there is a memory and no key, or a key cannot be read.
    """
    if not keys and state is not None:
        raise UsageError(
            "a memory of sequences is kept for signed bundles, and no key is pinned",
            source="--state, EDGE_SACRO_STATE",
            remedy="Pin the maker's key with --trust.",
        )
    if not keys:
        return None
    from edge_sacro.trust import default_state, trust_from_files

    return trust_from_files(keys, state or default_state())


@click.group(short_help="Make, sign, verify and show model bundles.")
def bundle() -> None:
    """Make, sign, verify and show model bundles."""


@bundle.command()
@click.argument("folder", metavar="BUNDLE")
@click.option("--out", required=True, metavar="FILE.zip", type=click.Path(dir_okay=False), help="Zip file to write.")
@click.option("--sequence", type=click.IntRange(0), help="Sequence of this release, higher than that of the last.")
@exits_with_code
def pack(folder: str, out: str, sequence: int | None) -> None:
    """Check a bundle and write it as a zip file.

    The same files always give the same bytes. With --sequence the manifest is written anew, so that a signature in
    the bundle is left out.
    """
    from edge_sacro.bundle import load_bundle
    from edge_sacro.bundle_files import write_atomically
    from edge_sacro.signing import with_sequence, zip_from_bundle

    loaded = load_bundle(folder)
    packed = loaded if sequence is None else with_sequence(loaded, sequence)
    write_atomically(Path(out), zip_from_bundle(packed, packed.signature))
    click.echo(f"{out} written: {_called(packed)}, {'signed' if packed.signature else 'not signed'}")
    if loaded.signature and not packed.signature:
        click.echo("The signature was of the manifest as it was, and is left out. Sign the bundle again.", err=True)


@bundle.command()
@click.option("--out", required=True, metavar="KEY", type=click.Path(dir_okay=False), help="File of the private key.")
@click.option("--encrypt", is_flag=True, help=f"Ask for a passphrase, unless {PASSPHRASE} holds it.")
@exits_with_code
def keygen(out: str, encrypt: bool) -> None:
    """Make a key pair.

    KEY is to be kept secret, KEY.pub is what sites pin.
    """
    from edge_sacro.signing import public_path, write_key_pair

    encrypt = encrypt or PASSPHRASE in os.environ
    identifier = write_key_pair(Path(out), _passphrase(confirm=True).encode() if encrypt else None)
    click.echo(f"{out}: private key{'' if encrypt else ', not encrypted'}; keep it where bundles are released, alone")
    click.echo(f"{public_path(Path(out))}: public key; give it to sites on another way than the bundles")
    click.echo(f"key {identifier}")


@bundle.command()
@click.argument("path", metavar="BUNDLE")
@click.option("--key", required=True, metavar="KEY", type=click.Path(dir_okay=False), help="File of the private key.")
@exits_with_code
def sign(path: str, key: str) -> None:
    """Check a bundle and sign it.

    The signature is put into the folder or the zip file, in place of one that is there.

    An encrypted key's passphrase is taken from EDGE_SACRO_KEY_PASSPHRASE, or asked for.
    """
    from edge_sacro.bundle import load_bundle
    from edge_sacro.signing import private_key_from_file, signature_from_bundle, write_signature

    loaded = load_bundle(path)
    signature = signature_from_bundle(loaded, private_key_from_file(Path(key), lambda: _passphrase(confirm=False)))
    before = loaded.signature
    if before is not None and before.key_id != signature.key_id:
        click.echo(f"The signature of the key {before.key_id} is replaced.", err=True)
    write_signature(loaded, signature)
    click.echo(f"{path} signed: {_called(loaded)}")
    click.echo(f"key {signature.key_id}")


@bundle.command()
@click.argument("path", metavar="BUNDLE", default="demonstration")
@trust_options
@exits_with_code
def verify(path: str, trust: tuple[str, ...], state: str | None) -> int:
    """Make every check of a bundle.

    All are listed, whatever fails. With --trust, the bundle's sequence is remembered if all pass.

    Exit code 0: the bundle may be used. Others: that of the first check that failed, as docs/errors.md lists them.
    """
    from edge_sacro.bundle import Examination
    from edge_sacro.commands.bundle_text import text_from_checks

    examination = Examination(path, trust_from_options(trust, state))
    checks = list(examination.checks())
    click.echo(text_from_checks(path, checks, examination.bundle), nl=False)
    failed = [check.error for check in checks if check.error is not None]
    for error in failed:
        click.echo(f"edge-sacro: {error}", err=True)
    return failed[0].exit_code if failed else 0


@bundle.command()
@click.argument("path", metavar="BUNDLE", default="demonstration")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document in place of the tables.")
@exits_with_code
def show(path: str, as_json: bool) -> None:
    """Show what a bundle is and holds.

    Its files are held against their hashes; whose it is, only verify --trust can tell.
    """
    from edge_sacro.bundle import load_bundle
    from edge_sacro.commands.bundle_text import json_from_bundle, text_from_bundle

    loaded = load_bundle(path)
    click.echo(json_from_bundle(loaded) if as_json else text_from_bundle(loaded), nl=False)


def _called(loaded: Bundle) -> str:
    manifest = loaded.manifest
    return f"{manifest.name} {manifest.version}, sequence {manifest.sequence}, fingerprint {loaded.fingerprint[:16]}…"


def _passphrase(confirm: bool) -> str:
    if PASSPHRASE in os.environ:
        return os.environ[PASSPHRASE]
    word: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
    return word
