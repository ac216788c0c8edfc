"""``edge-sacro ledger``: what changed since the reference, as text, JSON, a page or a table of all lines."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sacro.commands import exits_with_code
from edge_sacro.errors import UsageError

if TYPE_CHECKING:
    from edge_sacro.bundle import Bundle
    from edge_sacro.ledger.keep import Keeper
    from edge_sacro.runtime import Runtime

WARNS_EXIT_CODE = 3
"""The ledger was read, and something in it should be looked at."""


@click.command(short_help="Show whether answers and images have changed since a bundle was put into service.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--reference", default=200, show_default=True, type=click.IntRange(30), help="First lines to compare with."
)
@click.option("--recent", default=100, show_default=True, type=click.IntRange(30), help="Latest lines to compare.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document in place of the table.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with plots.")
@click.option("--csv", type=click.Path(dir_okay=False, path_type=Path), help="Write every line as a table.")
@exits_with_code
def ledger(file: Path, reference: int, recent: int, as_json: bool, html: Path | None, csv: Path | None) -> int:
    """Hold the latest answers in FILE, which `infer --ledger` and the node keep, against the first ones.

    Exit code 0: nothing changed that was looked at. 3: something did.
    """
    from edge_sacro.bundle_files import write_atomically
    from edge_sacro.ledger.book import Book, csv_from_entries
    from edge_sacro.ledger.page import html_from_trends, json_from_trends, text_from_trends
    from edge_sacro.ledger.trend import trends_from_entries

    book = Book(file, create=False)
    try:
        entries = book.entries()
    finally:
        book.close()
    trends = trends_from_entries(entries, reference, recent)
    if html is not None:
        write_atomically(html, html_from_trends(trends, entries).encode())
    if csv is not None:
        write_atomically(csv, csv_from_entries(entries).encode())
    click.echo(json_from_trends(trends) if as_json else text_from_trends(trends), nl=False)
    return WARNS_EXIT_CODE if trends.warnings else 0


def keeper_from_options(
    path: str | None, shadow: float, runtime: Runtime, bundle: Bundle, backend: str
) -> AbstractContextManager[Keeper | None]:
    """What writes the ledger of ``infer``; nothing where none is asked for.

    Raises:
        UsageError: a shadow without a ledger, or beside fp32 itself.
    """
    if path is None:
        if shadow:
            raise UsageError("a shadow is written to a ledger, and --ledger names none", source="--shadow")
        return nullcontext()
    from edge_sacro.ledger.keep import Keeper
    from edge_sacro.runtime import Runtime

    beside = None
    if shadow:
        if runtime.precision == "fp32":
            raise UsageError("fp32 serves, so that there is nothing to compare it with", source="--shadow")
        beside = Runtime(bundle, backend=backend, precision="fp32", overrides=runtime.overrides)
    return Keeper(Path(path), runtime, beside, shadow)
