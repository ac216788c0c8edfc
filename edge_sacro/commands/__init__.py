"""The command line's groups, one file each; ``edge_sacro.cli`` holds the first command and the table of groups."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import click

from edge_sacro.errors import EdgeSacroError


def exits_with_code(command: Callable[..., int | None]) -> Callable[..., None]:
    """Run a command's body; print an error of ours as one message and leave with its exit code."""

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        try:
            code = command(**arguments)
        except EdgeSacroError as error:
            click.echo(f"edge-sacro: {error}", err=True)
            sys.exit(error.exit_code)
        sys.exit(code or 0)

    return run
