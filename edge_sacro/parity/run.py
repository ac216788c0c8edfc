"""A parity run from its arguments to its files: what the device's command and the workshop's one share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast, get_args

from edge_sacro.bundle import Bundle
from edge_sacro.bundle_files import write_atomically
from edge_sacro.dicom import find_instances
from edge_sacro.engine import BACKENDS
from edge_sacro.errors import BudgetBroken, InputNotFound, UsageError
from edge_sacro.manifest import Precision
from edge_sacro.parity.document import Document, json_from_document
from edge_sacro.parity.html import html_from_document
from edge_sacro.parity.measure import Setup, contender_names, measure
from edge_sacro.parity.record import write_record
from edge_sacro.phantom import write_study
from edge_sacro.report import Ignored

PHANTOMS = 30
"""Simulated radiographs where nothing is given: enough pairs for the area under the curve to be judged."""

PHANTOM_SEED = 920_000
"""Of the simulated radiographs; no training and no guard band uses it."""


@dataclass(frozen=True)
class Outputs:
    """Files to write: None for those that nobody asked for."""

    json: str | None = None
    html: str | None = None
    write_into: str | None = None


def parity(
    bundle: Bundle,
    paths: Sequence[str],
    phantoms: int | None,
    setup: Setup,
    more: Callable[[Document, Sequence[Path]], Document] = lambda document, _: document,
) -> Document:
    """Measure on files and on phantoms that are drawn for it.

    Args:
        bundle: checked.
        paths: DICOM files or folders.
        phantoms: how many to draw; ``PHANTOMS`` where None and no path is given.
        setup: what against, and how.
        more: adds to the document what it measures on the same files.

    Raises:
        InputNotFound: there is no instance.
        EdgeSacroError: as :func:`edge_sacro.parity.measure.measure`.
    """
    contender_names(bundle, setup)
    found = find_instances(paths)
    files = [each.path for each in found if each.reason is None]
    ignored = [Ignored(path=str(each.path), reason=each.reason) for each in found if each.reason is not None]
    count = phantoms if phantoms is not None else 0 if paths else PHANTOMS
    with TemporaryDirectory(prefix="edge-sacro-parity-") as folder:
        if count:
            write_study(Path(folder), count, PHANTOM_SEED)
            files += sorted(Path(folder).glob("*.dcm"))
        if not files:
            raise InputNotFound("there is no DICOM file to compare on", source=", ".join(paths) or "phantoms")
        return more(measure(bundle, files, setup, ignored), files)


def contenders_from_names(names: Iterable[str]) -> list[tuple[str, Precision]] | None:
    """``backend:precision`` words as pairs, in order, each once; None where there is none.

    Raises:
        UsageError: a word is no such name.
    """
    usable = sorted(set(BACKENDS) - {"null"})
    pairs: list[tuple[str, Precision]] = []
    for name in names:
        backend, _, precision = name.partition(":")
        if backend not in usable or precision not in get_args(Precision):
            wanted = f"a backend ({', '.join(usable)}), a colon and a precision ({', '.join(get_args(Precision))})"
            raise UsageError(f"{name!r} is not {wanted}", source="against")
        pair = (backend, cast("Precision", precision))
        if pair not in pairs:
            pairs.append(pair)
    return pairs or None


def write_outputs(document: Document, outputs: Outputs) -> list[str]:
    """Write what was asked for; the record only where the budget holds.

    Returns:
        the files written.

    Raises:
        OutputNotWritten: a file cannot be written.
        UsageError: the record does not belong into that folder.
    """
    written = []
    for path, content in ((outputs.json, json_from_document), (outputs.html, html_from_document)):
        if path is not None:
            write_atomically(Path(path), content(document).encode())
            written.append(path)
    if outputs.write_into is not None and document.holds:
        written.append(str(write_record(document, Path(outputs.write_into))))
    return written


def check_budget(document: Document) -> None:
    """Pass where every contender keeps its budget.

    Raises:
        BudgetBroken: it names what is broken.
    """
    broken = [f"{each.name}: {breach.sentence}" for each in document.contenders for breach in each.breaches]
    if broken:
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise BudgetBroken(f"{broken[0]}{more}", source=document.bundle.name)
