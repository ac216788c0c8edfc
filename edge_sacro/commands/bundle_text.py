"""A bundle and its checks as a person reads them at a terminal, and as a program does."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_sacro.bundle import Bundle, Check
from edge_sacro.manifest import Manifest, Tensor

_NARROWEST = 100


def text_from_checks(path: str, checks: Sequence[Check], bundle: Bundle | None) -> str:
    """A line for each check, and the verdict."""
    buffer, console = _console()
    table = _table("check", "", "found")
    for check in checks:
        verdict = Text("passed", "green") if check.verified else Text("not checked", "yellow")
        if check.error is not None:
            verdict = Text("FAILED", "bold red")
        table.add_row(Text(check.name), verdict, Text(check.found if check.error is None else check.error.what))
    console.print(table)
    console.print()
    failed = sum(check.error is not None for check in checks)
    if bundle is None:
        checks_failed = "1 check" if failed == 1 else f"{failed} checks"
        console.print(Text(f"{path}: REFUSED, {checks_failed} failed", "bold red"), soft_wrap=True)
    else:
        pinned = bundle.signed_by is not None
        whose = "intact, and of a pinned key" if pinned else "intact; whose it is was not verified"
        console.print(Text(f"{path}: {whose}", "bold green" if pinned else "bold yellow"), soft_wrap=True)
        console.print(Text(f"fingerprint {bundle.fingerprint}"))
        if pinned:
            console.print(Text(f"key         {bundle.signed_by}"))
    return buffer.getvalue()


def text_from_bundle(bundle: Bundle) -> str:
    """What a bundle is, in tables."""
    manifest = bundle.manifest
    buffer, console = _console()
    console.print(Text(f"{manifest.name} {manifest.version}", "bold"))
    console.print(Text(manifest.statement, "bold yellow" if manifest.demonstration else ""))
    console.print()
    about = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    about.add_column(style="dim")
    about.add_column(overflow="fold")
    for name, value in _facts(bundle):
        about.add_row(name, Text(value))
    console.print(about)
    for title, table in (
        ("Networks", _networks(bundle)),
        ("Operating points: positive above the cut-off, strictly", _operating_points(manifest)),
        ("Engines", _engines(manifest)),
        ("Records", _records(bundle)),
    ):
        console.print()
        console.print(Text(title, "bold"))
        console.print(table if table.row_count else Text("none"))
    return buffer.getvalue()


def json_from_bundle(bundle: Bundle) -> str:
    """The manifest, and what stands in no manifest: fingerprint, sizes of files, signature."""
    document = {
        "fingerprint": bundle.fingerprint,
        "manifest": bundle.manifest.model_dump(mode="json"),
        "signature": None if bundle.signature is None else bundle.signature.model_dump(mode="json"),
        "sizes": {name: len(content) for name, content in bundle.files.items()},
    }
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def _facts(bundle: Bundle) -> list[tuple[str, str]]:
    manifest = bundle.manifest
    signature = bundle.signature
    settings = [
        f"{name.replace('_', ' ')}: {', '.join(f'{key} {value}' for key, value in values.model_dump().items())}"
        for name in ("segmentation", "classification", "detection", "hounsfield_window")
        if (values := getattr(manifest, name)) is not None
    ]
    return [
        ("system", f"{manifest.system}, {manifest.numerics} numerics"),
        ("intended use", manifest.intended_use),
        ("licence", manifest.licence),
        *[("credits" if number == 0 else "", credit) for number, credit in enumerate(manifest.credits)],
        ("classes", ", ".join(f"{number} = {name}" for number, name in enumerate(manifest.classes))),
        ("preprocessing", "; ".join([manifest.normaliser, *settings])),
        ("guard band", f"± {manifest.guard_band.half_width:g} around the cut-off is borderline"),
        ("", manifest.guard_band.source),
        ("signature", "none" if signature is None else "says that it is of this key; not verified here"),
        *([] if signature is None else [("", signature.key_id)]),
        ("sequence", str(manifest.sequence)),
        ("fingerprint", bundle.fingerprint),
    ]


def _networks(bundle: Bundle) -> Table:
    table = _table("network", "precision", "file", "size", "inputs", "outputs")
    for name, network in bundle.manifest.networks.items():
        for variant in network.variants:
            default = variant.precision == bundle.manifest.default_precision and variant.backends is None
            only = "" if variant.backends is None else f" ({', '.join(variant.backends)} alone)"
            table.add_row(
                name,
                f"{variant.precision}{' (default)' if default else ''}",
                f"{variant.file}{only}",
                _size(len(bundle.files[variant.file])),
                _shapes(network.inputs),
                _shapes(network.outputs),
            )
    return table


def _operating_points(manifest: Manifest) -> Table:
    table = _table("name", "cut-off", "source")
    for point in manifest.operating_points:
        default = " (default)" if point.name == manifest.default_operating_point else ""
        table.add_row(Text(point.name + default), f"{point.threshold:g}", Text(point.source))
    return table


def _engines(manifest: Manifest) -> Table:
    table = _table("file", "network", "precision", "builder", "device", "profile")
    for engine in manifest.engines:
        seal = engine.seal
        built = (f"{seal.builder} {seal.builder_version}", seal.device, seal.profile)
        table.add_row(engine.file, engine.network, seal.precision, *map(Text, built))
    return table


def _records(bundle: Bundle) -> Table:
    table = _table("record", "file", "size")
    for name, file in bundle.manifest.records.items():
        table.add_row(name, file, _size(len(bundle.files[file])))
    return table


def _shapes(tensors: Sequence[Tensor]) -> str:
    return ", ".join(f"{tensor.name} {'x'.join(map(str, tensor.shape))}" for tensor in tensors)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(heading, overflow="fold", justify="right" if heading in {"size", "cut-off"} else "left")
    return table


def _console() -> tuple[io.StringIO, Console]:
    terminal = sys.stdout.isatty()
    buffer = io.StringIO()
    width = max(Console().width if terminal else _NARROWEST, _NARROWEST)
    return buffer, Console(file=buffer, force_terminal=terminal, width=width, highlight=False)
