"""The windows and VOI LUTs that a header offers for display (PS3.3 C.11.2, C.7.6.16.2.10)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edge_sacro.dicom.attributes import Header
from edge_sacro.dicom.display import View, Window, WindowFunction
from edge_sacro.dicom.lut import LookupTable, lookup_table_from_item
from edge_sacro.errors import ContradictoryAttributes, InputRefused
from edge_sacro.types import Grayscale

_FUNCTIONS: Mapping[str, WindowFunction] = MappingProxyType(
    {"LINEAR": "LINEAR", "LINEAR_EXACT": "LINEAR_EXACT", "SIGMOID": "SIGMOID"}
)


def windows_from_header(header: Header) -> tuple[Window, ...]:
    """Every window of the header that can be meant, in its order; the others are noted.

    A center without a width (or the reverse), a width below 1 and an unknown function are common in real files and
    do not make the pixels unreadable: only the display loses one of its presets.
    """
    source = header
    for item in header.items("FrameVOILUTSequence")[:1]:
        source = item
    centers, widths = source.note_numbers("WindowCenter"), source.note_numbers("WindowWidth")
    if len(centers) != len(widths):
        header.notes.append(f"{len(centers)} Window Center and {len(widths)} Window Width values; pairs were taken.")
    name = source.note_text("VOILUTFunction") or "LINEAR"
    if name not in _FUNCTIONS:
        header.notes.append("VOI LUT Function is none that the standard defines; no window was taken.")
        return ()
    windows = []
    for index, (center, width) in enumerate(zip(centers, widths, strict=False)):
        try:
            windows.append(Window(center, width, _FUNCTIONS[name], index))
        except ContradictoryAttributes as error:  # noqa: PERF203 - one bad preset must not cost the others
            header.notes.append(f"Window {index + 1} was left out: {error.what}.")
    return tuple(windows)


def voi_luts_from_header(header: Header, grayscale: Grayscale) -> tuple[LookupTable, ...]:
    """Every VOI LUT of the header that is whole, in its order; the others are noted."""
    negative = bool(grayscale.table.min() < 0)
    tables = []
    for index, item in enumerate(header.items("VOILUTSequence")):
        try:
            tables.append(lookup_table_from_item(item, negative))
        except InputRefused as error:  # noqa: PERF203 - one bad table must not cost the others
            header.notes.append(f"VOI LUT {index + 1} was left out: {error.what}.")
    return tuple(tables)


def default_view(header: Header, grayscale: Grayscale) -> View:
    """The first window, else the first VOI LUT, else the whole range."""
    views: tuple[View, ...] = (*windows_from_header(header)[:1], *voi_luts_from_header(header, grayscale)[:1])
    return views[0] if views else None
