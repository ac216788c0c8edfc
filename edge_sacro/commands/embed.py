"""``edge-sacro embed``: where the C interface is, for a console's build."""

from __future__ import annotations

import click

from edge_sacro.commands import exits_with_code

WHATS = ("header", "library", "include", "python", "flags")


@click.command(short_help="Where the C interface is.")
@click.argument("what", required=False, type=click.Choice(WHATS))
@exits_with_code
def embed(what: str | None) -> None:
    """Print the paths of the C interface: header, shared library, and the interpreter that the library is to start.

    One of them alone, or `flags` for a compiler, where WHAT names it: cc console.c $(edge-sacro embed flags).
    """
    import sys

    from edge_sacro.embed import HEADER, library

    shared = library()
    found = {
        "header": str(HEADER),
        "library": str(shared),
        "include": str(HEADER.parent),
        "python": sys.executable,
        "flags": f"-I{HEADER.parent} {shared} -Wl,-rpath,{shared.parent}",
    }
    if what is not None:
        click.echo(found[what])
        return
    for name in ("header", "library", "python"):
        click.echo(f"{name:8} {found[name]}")
