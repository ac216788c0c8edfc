"""``edge-sacro serve`` and ``edge-sacro node``: run the node, and look after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sacro.commands import exits_with_code

if TYPE_CHECKING:
    from edge_sacro.node.config import NodeConfig

config_option = click.option(
    "--config", required=True, metavar="NODE.toml", type=click.Path(path_type=Path), help="The node's configuration."
)


NEEDED = ("pynetdicom", "highdicom", "fastapi", "uvicorn", "prometheus_client")
"""Packages of the extra ``serve``."""


def _require_packages() -> None:
    """Say what is missing before anything is opened.

    Raises:
        NodeError: a package is not installed.
    """
    import importlib.util

    from edge_sacro.errors import NodeError

    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise NodeError(
            f"the node needs packages that are not installed: {', '.join(missing)}",
            remedy="Install them: pip install 'edge-sacro[serve]'.",
        )


@click.command(short_help="Run the node: receive, assess, send on.")
@config_option
@click.option("--check", is_flag=True, help="Say what would run, and whether it could; start nothing.")
@exits_with_code
def serve(config: Path, check: bool) -> None:
    """Receive radiographs over DICOM and HTTP, assess them, and send the results on, until told to stop.

    SIGTERM and SIGINT stop it, SIGHUP opens its log anew. Exit code 0: it was told to stop. Others: why it could not
    start or go on, as docs/errors.md lists them.
    """
    from edge_sacro.node.config import config_from_file

    _require_packages()
    read = config_from_file(config)
    if check:
        from edge_sacro.node.check import check_node

        check_node(read, click.echo)
        return
    from edge_sacro.node.process import serve as run

    run(read)


@click.group(short_help="Look after a node.")
def node() -> None:
    """Look after a node, whether it runs or not."""


@node.command()
@config_option
@exits_with_code
def status(config: Path) -> None:
    """Tell how many instances are in which state, and why some are in quarantine."""
    from edge_sacro.node.config import config_from_file
    from edge_sacro.node.operate import open_store, quarantined

    read = config_from_file(config)
    with open_store(read) as store:
        for state, number in store.counts().items():
            click.echo(f"{state:12} {number}")
        for each in read.destinations:
            click.echo(f"to {each.name}: {len(store.outstanding(each.name))} objects to send")
        for instance in quarantined(store):
            click.echo(f"instance {instance.sequence}: quarantined: {instance.reason_code}: {instance.reason}")


@node.command()
@config_option
@click.argument("numbers", nargs=-1, required=True, type=click.IntRange(1), metavar="INSTANCE...")
@exits_with_code
def requeue(config: Path, numbers: tuple[int, ...]) -> None:
    """Have quarantined instances assessed and sent again, by their numbers."""
    from edge_sacro.errors import UsageError
    from edge_sacro.node.config import config_from_file
    from edge_sacro.node.operate import open_store

    with open_store(config_from_file(config)) as store:
        for number in numbers:
            if not store.requeue(number):
                raise UsageError("it is not in quarantine", source=f"instance {number}")
            click.echo(f"instance {number}: waits to be assessed again")


@node.command()
@config_option
@click.option("--head", metavar="HASH", help="Hash noted earlier, which a record must have.")
@click.option(
    "--export", metavar="FILE", type=click.Path(path_type=Path), help="Write DICOM audit messages, one a line."
)
@exits_with_code
def audit(config: Path, head: str | None, export: Path | None) -> None:
    """Verify the audit trail, alone and beside the queue, and print its head."""
    from edge_sacro.node.config import config_from_file
    from edge_sacro.node.operate import export_messages, verify_trail

    read: NodeConfig = config_from_file(config)
    verdict = verify_trail(read, head)
    click.echo(f"{verdict.records} records, none changed, moved or missing; head {verdict.head}")
    if verdict.unsynced:
        click.echo(f"{verdict.unsynced} receptions of the queue are not in it, as after a loss of power")
    if export is not None:
        click.echo(f"{export}: {export_messages(read, export)} audit messages written")
