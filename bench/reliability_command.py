"""``python -m bench reliability``: the long forms of ``tests/reliability``."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_sacro.commands import exits_with_code
from edge_sacro.errors import BudgetBroken

if TYPE_CHECKING:
    from bench.reliability_archive import Archive

OUT = Path("bench/results/reliability.json")
QUICK = "bench.reliability_quick"


@click.command()
@click.option("--kills", default=200, show_default=True, type=click.IntRange(0), help="kill -9 of a node; 0: none.")
@click.option(
    "--quick-kills", default=200, show_default=True, type=click.IntRange(0), help="Of one that answers at once."
)
@click.option("--soak", default=2000, show_default=True, type=click.IntRange(0), help="Instances; 0: no soak.")
@click.option("--fuzz", default=200_000, show_default=True, type=click.IntRange(0), help="Inputs for atheris; 0: none.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(1), help="Of moments and inputs.")
@click.option("--archive", type=click.Choice(["orthanc", "ours"]), default="orthanc", show_default=True, help="Where.")
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path, dir_okay=False), help="JSON.")
@exits_with_code
def reliability(  # noqa: PLR0913, PLR0917 - one parameter an option
    kills: int, quick_kills: int, soak: int, fuzz: int, seed: int, archive: str, out: Path
) -> None:
    """Kill a node, soak it and fuzz its reader, each beside a control that must fail.

    Parts that are left out keep what the file says of them. Exit code 83: something was lost, doubled, grew or was
    found, or a control was not found out.
    """
    from bench.table import machine

    record: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    parts: list[tuple[int, str, Callable[[int, int, str], dict[str, Any]]]] = [
        (kills, "kills", _kills),
        (quick_kills, "quick_kills", _quick_kills),
        (soak, "soak", _soak),
        (fuzz, "fuzz", _fuzz),
    ]
    wrong: list[str] = []
    for count, name, run in parts:
        if not count:
            continue
        click.echo(f"{name}: {count} ...", err=True)
        told = run(count, seed, archive)
        record[name] = {**told, "machine": machine(), "cores": os.cpu_count(), "load_average": os.getloadavg()[2]}
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
        wrong += [f"{name}: {each}" for each in told["wrong"]]
    click.echo(text_from_record(record))
    if wrong:
        raise BudgetBroken("; ".join(wrong), source=str(out))


@contextlib.contextmanager
def _archive(kind: str) -> Iterator[Archive]:
    from bench.reliability_archive import Orthanc, OurArchive

    if kind == "orthanc":
        with Orthanc() as archive:
            yield archive
        return
    ours = OurArchive(takes_s=0.1)
    ours.start()
    try:
        yield ours
    finally:
        ours.stop()


def _kills(
    count: int, seed: int, archive: str, module: str = "edge_sacro.cli", longest_s: float = 2.5
) -> dict[str, Any]:
    """The experiment on the product, and a control of each kind."""
    from bench.reliability_careless import VARIABLE
    from bench.reliability_kill import KillRecord, run_kills
    from bench.reliability_node import NodeProcess

    def run(number: int, defect: str) -> KillRecord:
        with tempfile.TemporaryDirectory() as work, _archive(archive) as to:
            node = NodeProcess(Path(work), to.port, module=QUICK if defect else module, environment={VARIABLE: defect})
            return run_kills(node, to, number, seed, longest_s)

    careful = run(count, "")
    acknowledges, renames = (run(max(count // 20, 4), defect) for defect in ("acknowledges", "renames"))
    wrong = []
    if careful.verdict is None or not careful.verdict.whole or careful.trail:
        wrong.append("something was lost or doubled, or the audit trail is not whole")
    if acknowledges.verdict is None or not acknowledges.verdict.lost:
        wrong.append("the node that acknowledges first was not found out")
    if renames.verdict is None or not renames.verdict.doubled:
        wrong.append("the node that renames was not found out")
    controls = {"acknowledges": acknowledges.as_dict(), "renames": renames.as_dict()}
    return {"seed": seed, "archive": archive, **careful.as_dict(), "controls": controls, "wrong": wrong}


def _quick_kills(count: int, seed: int, archive: str) -> dict[str, Any]:
    """The same around an assessment that takes no time, so that more kills hit the rest."""
    return _kills(count, seed, archive, QUICK, 1.0)


def _soak(count: int, seed: int, archive: str) -> dict[str, Any]:
    """The soak, and a node that leaks."""
    from bench.reliability_careless import VARIABLE
    from bench.reliability_node import NodeProcess
    from bench.reliability_soak import leaks, run_soak

    with tempfile.TemporaryDirectory() as work, _archive(archive) as to:
        record = run_soak(NodeProcess(Path(work), to.port), to, count)
    with tempfile.TemporaryDirectory() as work, _archive("ours") as to:
        leaky = run_soak(
            NodeProcess(Path(work), to.port, module=QUICK, environment={VARIABLE: "leaks"}), to, min(count, 150), 0.2
        )
    wrong = [f"{each} grew" for each in leaks(record.grown)]
    if not record.verdict.whole:
        wrong.append("something was lost or doubled")
    if not {"descriptors", "threads", "memory_mb"} <= set(leaks(leaky.grown)):
        wrong.append("the node that leaks was not found out")
    return {"seed": seed, "archive": archive, **record.as_dict(), "control": leaky.as_dict(), "wrong": wrong}


def _fuzz(count: int, seed: int, _archive_kind: str) -> dict[str, Any]:
    """The fuzzing, and a planted defect."""
    from bench.reliability_fuzz import run_fuzz

    with tempfile.TemporaryDirectory() as work:
        planted = run_fuzz(Path(work), count, seed, planted=True)
    with tempfile.TemporaryDirectory() as work:
        found = run_fuzz(Path(work), count, seed)
    wrong = [] if found.finding is None else [f"found: {found.finding}"]
    if planted.finding is None or "PlantedDefect" not in planted.finding:
        wrong.append("the planted defect was not found")
    return {**found.as_dict(), "control": planted.as_dict(), "wrong": wrong}


def text_from_record(record: dict[str, Any]) -> str:
    """Markdown tables of what was measured."""
    from bench.table import markdown

    told = []
    killed = [(name, record[name]) for name in ("kills", "quick_kills") if name in record]
    if killed:
        rows = [
            [name, str(each["kills"]), str(each["at_start"]), *(str(each["verdict"][key]) for key in _JUDGED)]
            for title, record_ in killed
            for name, each in ((title, record_), *((f"{title}, {k}", c) for k, c in record_["controls"].items()))
        ]
        told.append(markdown(["", "kills", "of them at the start", *_JUDGED], rows))
        found = sorted({key for _, each in killed for key in each["found"]})
        rows = [[key, *(str(each["found"].get(key, 0)) for _, each in killed)] for key in found]
        told.append(markdown(["kills that hit a node", *(name for name, _ in killed)], rows))
    if "soak" in record:
        soak = record["soak"]
        rows = [
            [name, str(soak["grown"][name]), str(soak["control"]["grown"][name]), str(allowed)]
            for name, allowed in soak["allowed"].items()
        ]
        told.append(markdown([f"soak of {soak['instances']}: grown", "node", "node that leaks", "allowed"], rows))
    if "fuzz" in record:
        fuzz = record["fuzz"]
        rows = [
            [name, str(each["inputs"]), str(each["coverage"]), str(each["corpus"]), "yes" if each["finding"] else "no"]
            for name, each in (("reader", fuzz), ("with a planted defect", fuzz["control"]))
        ]
        told.append(markdown(["fuzzing", "inputs", "coverage", "corpus", "found"], rows))
    return "\n\n".join(told)


_JUDGED = ("acknowledged", "lost", "doubled")
