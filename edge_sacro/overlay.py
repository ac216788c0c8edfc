"""The result drawn over the radiograph: joint boxes, crop and decision, for a person to check; or its explanation.

Shown in canonical view, the patient's right at the picture's left, whatever way the image was stored. Colours of boxes
are from the Okabe-Ito palette, which colour-blind readers tell apart; every box is named in words beside. Those of
explanations are viridis, whose lightness grows all the way for colour-blind readers too, and which is nowhere gray.
"""

from __future__ import annotations

import io
import textwrap

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.errors import OutputNotWritten
from edge_sacro.explain import Explanation
from edge_sacro.orient import canonical_box_from_stored, canonical_from_stored
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.report import Report, Result
from edge_sacro.types import Box, Radiograph, State

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

LONG_SIDE = 1400
"""Pixels of the picture's longer side, without its captions."""

LEFT_COLOUR: Colour = (0, 159, 230)
RIGHT_COLOUR: Colour = (233, 180, 86)
CROP_COLOUR: Colour = (255, 255, 255)
STATE_COLOUR: dict[State, Colour] = {
    State.POSITIVE: (0, 94, 213),
    State.NEGATIVE: (115, 158, 0),
    State.BORDERLINE: (66, 228, 240),
    State.NOT_ASSESSABLE: (150, 150, 150),
    State.REFUSED: (150, 150, 150),
}
"""Blue, green, red: OpenCV's order."""

_WEIGHT = 500
"""Of the font, 400 being regular."""

_TITLE_PX, _TEXT_PX, _LINE_PX, _MARGIN_PX = 34, 20, 28, 18

OPACITY = 0.6
"""Of the strongest place of an explanation, so that bone is seen below it; in proportion elsewhere."""

_BAR_PX = 420, 22
_BAR_GRAY = 110
"""Columns and rows of the colour bar, and the gray below it."""


def overlay_from_result(result: Result, radiograph: Radiograph, report: Report) -> Picture:
    """Draw one result.

    Args:
        result: of this radiograph.
        radiograph: as it was read.
        report: whose bundle's statement and fingerprint stand below the picture.

    Returns:
        rows x columns x 3, uint8, blue, green, red.
    """
    gray = canonical_from_stored(eight_bit_from_radiograph(radiograph), radiograph.orientation)
    scale = LONG_SIDE / max(gray.shape)
    size = (round(gray.shape[1] * scale), round(gray.shape[0] * scale))
    shrunk = cv2.resize(gray, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    picture = np.asarray(cv2.cvtColor(shrunk, cv2.COLOR_GRAY2BGR), np.uint8)
    if result.crop_px is not None:
        _dashed(picture, _shown(result.crop_px, radiograph, scale))
    for joint, name, colour in (
        (result.joints.right, "right sacroiliac joint", RIGHT_COLOUR),
        (result.joints.left, "left sacroiliac joint", LEFT_COLOUR),
    ):
        if joint.box_px is not None:
            box = _shown(joint.box_px, radiograph, scale)
            cv2.rectangle(picture, (box.x0, box.y0), (box.x1, box.y1), colour, 2, cv2.LINE_AA)
            named = name if joint.state is State.LOCATED else f"{name}, {joint.state.value}"
            _outlined(picture, named, (box.x0, max(box.y0 - 10, _TEXT_PX)), colour)
    _sides(picture, 1.0)
    return np.vstack([_header(result, picture.shape[1]), picture, _footer(result, report, picture.shape[1])])


def explanation_picture(explanation: Explanation, result: Result, radiograph: Radiograph, report: Report) -> Picture:
    """Draw where the classifier looked, a pixel of the picture for each of the radiograph.

    Args:
        explanation: of this result.
        result: of this radiograph.
        radiograph: as it was read.
        report: whose bundle's statement and fingerprint stand below the picture.

    Returns:
        rows x columns x 3, uint8, blue, green, red.
    """
    gray = canonical_from_stored(eight_bit_from_radiograph(radiograph), radiograph.orientation)
    picture = _coloured(gray, canonical_from_stored(explanation.strength, radiograph.orientation))
    # Words as large beside the picture as those of the other overlay.
    scale = max(gray.shape) / LONG_SIDE
    if result.crop_px is not None:
        _dashed(picture, _shown(result.crop_px, radiograph, 1.0), dash=max(round(12 * scale), 4))
    _sides(picture, scale)
    width = round(gray.shape[1] / scale)
    panels = _header(result, width), _scale_bar(explanation, width), _footer(result, report, width)
    header, bar, footer = (_resized(panel, gray.shape[1]) for panel in panels)
    return np.vstack([header, picture, bar, footer])


def write_png(picture: Picture, path: str) -> None:
    """Write a picture.

    Raises:
        OutputNotWritten: the folder is missing or the file cannot be written.
    """
    encoded, data = cv2.imencode(".png", picture)
    if not encoded:
        raise OutputNotWritten("the picture could not be encoded as PNG", source=path)
    _write_file(data.tobytes(), path)


def write_npz(explanation: Explanation, path: str) -> None:
    """Write an explanation's attributes as arrays of the same names, ``seen`` as x0, y0, x1, y1.

    Raises:
        OutputNotWritten: the folder is missing or the file cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        strength=explanation.strength,
        maximum=np.float32(explanation.maximum),
        class_index=np.int64(explanation.class_index),
        class_name=np.str_(explanation.class_name),
        seen=np.array(explanation.seen.as_list(), np.int64),
        on_padding=np.float32(explanation.on_padding),
        cells=explanation.cells,
    )
    _write_file(buffer.getvalue(), path)


def _write_file(content: bytes, path: str) -> None:
    try:
        with open(path, "wb") as file:  # noqa: PTH123 - the caller's words name the place in the error
            file.write(content)
    except OSError as error:
        raise OutputNotWritten(f"{error.strerror}", source=path) from error


def _shown(box_px: list[int], radiograph: Radiograph, scale: float) -> Box:
    box = canonical_box_from_stored(Box(*box_px), radiograph.orientation, (radiograph.rows, radiograph.columns))
    x0, y0, x1, y1 = (round(edge * scale) for edge in box.as_list())
    return Box(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))


def _coloured(gray: npt.NDArray[np.uint8], strength: npt.NDArray[np.float32]) -> Picture:
    """The image under viridis, as opaque as the map is strong; where it is 0 the gray level is left as it is."""
    levels = np.asarray(np.rint(strength * 255), np.uint8)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS).astype(np.float32)
    opacity = (OPACITY * strength)[..., None]
    return np.asarray(np.rint(gray[..., None] * (1 - opacity) + colours * opacity), np.uint8)


def _sides(picture: Picture, scale: float) -> None:
    """The patient's sides, in letters at the picture's edges."""
    margin, size = round(_MARGIN_PX * scale), max(round(_TITLE_PX * scale), 8)
    for letter, column in (("R", margin), ("L", picture.shape[1] - 2 * margin)):
        _outlined(picture, letter, (column, picture.shape[0] // 2), (255, 255, 255), size)


def _scale_bar(explanation: Explanation, width: int) -> Picture:
    """What the colours mean, in the graph's units, and what they do not."""
    cells = " x ".join(str(side) for side in explanation.cells.shape)
    text = (
        f'Colour: where the classifier looked for "{explanation.class_name}" (Grad-CAM, {cells} cells; the scale is '
        "each cell's part of the logit). It outlines no lesion and measures nothing."
    )
    lines = _wrapped(text, width)
    if explanation.maximum == 0:
        lines += _wrapped("The map is 0 everywhere: nothing on the image speaks for this class.", width)
    if explanation.on_padding >= 0.01:
        lines += _wrapped(
            f"{explanation.on_padding:.0%} of the map lies on padding beside the image, not shown.", width
        )
    top = _LINE_PX * len(lines) + _MARGIN_PX
    panel = _panel(width, top + _BAR_PX[1] + _LINE_PX + _MARGIN_PX)
    _write_lines(panel, lines, _MARGIN_PX + 8)
    columns = max(min(_BAR_PX[0], width - 8 * _MARGIN_PX), 1)
    strength = np.tile(np.linspace(0, 1, columns, dtype=np.float32), (_BAR_PX[1], 1))
    left = 2 * _MARGIN_PX
    place = panel[top : top + _BAR_PX[1], left : left + columns]
    place[...] = _coloured(np.full(strength.shape, _BAR_GRAY, np.uint8), strength)[:, : place.shape[1]]
    for part in (0.0, 0.5, 1.0):
        below = (left + round(part * columns), top + _BAR_PX[1] + _LINE_PX - 6)
        _write(panel, f"{part * explanation.maximum:.3g}", below, (235, 235, 235), _TEXT_PX)
    return panel


def _resized(panel: Picture, width: int) -> Picture:
    height = round(panel.shape[0] * width / panel.shape[1])
    method = cv2.INTER_AREA if width < panel.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(panel, (width, height), interpolation=method), np.uint8)


def _header(result: Result, width: int) -> Picture:
    title = {
        State.POSITIVE: "POSITIVE for radiographic sacroiliitis",
        State.NEGATIVE: "NEGATIVE for radiographic sacroiliitis",
        State.BORDERLINE: "BORDERLINE",
        State.NOT_ASSESSABLE: "NOT ASSESSABLE",
    }[result.state]
    lines = _wrapped(result.reason[:1].upper() + result.reason[1:], width)
    lines += [line for note in result.notes for line in _wrapped(f"Note: {note}", width)]
    panel = _panel(width, _TITLE_PX + _LINE_PX * len(lines) + 3 * _MARGIN_PX // 2)
    panel[:, :8] = STATE_COLOUR[result.state]
    _write(panel, title, (2 * _MARGIN_PX, _MARGIN_PX + 24), STATE_COLOUR[result.state], _TITLE_PX)
    _write_lines(panel, lines, _MARGIN_PX + _TITLE_PX + 22)
    return panel


def _footer(result: Result, report: Report, width: int) -> Picture:
    bundle = report.bundle
    lines = _wrapped(bundle.statement, width)
    lines += _wrapped(
        f"edge-sacro {report.software.version}; system {result.system}; bundle {bundle.name} {bundle.version}, "
        f"fingerprint {bundle.fingerprint[:16]}; dashed: the part that was classified",
        width,
    )
    panel = _panel(width, _LINE_PX * len(lines) + _MARGIN_PX)
    _write_lines(panel, lines, _MARGIN_PX + 8)
    return panel


def _panel(width: int, height: int) -> Picture:
    return np.full((height, width, 3), 24, np.uint8)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(int((width - 4 * _MARGIN_PX) / (0.52 * _TEXT_PX)), 20))


def _write_lines(panel: Picture, lines: list[str], first: int) -> None:
    for index, line in enumerate(lines):
        _write(panel, line, (2 * _MARGIN_PX, first + index * _LINE_PX), (235, 235, 235), _TEXT_PX)


def _write(picture: Picture, text: str, place: tuple[int, int], colour: Colour, size: int) -> None:
    cv2.putText(picture, text, place, colour, cv2.FontFace("sans"), size, _WEIGHT)


def _outlined(picture: Picture, text: str, place: tuple[int, int], colour: Colour, size: int = _TEXT_PX) -> None:
    for dx, dy in ((-1, -1), (-1, 1), (1, -1), (1, 1), (0, 2), (0, -2), (2, 0), (-2, 0)):
        _write(picture, text, (place[0] + dx, place[1] + dy), (0, 0, 0), size)
    _write(picture, text, place, colour, size)


def _dashed(picture: Picture, box: Box, dash: int = 12) -> None:
    for start in range(box.x0, box.x1, 2 * dash):
        for y in (box.y0, box.y1):
            cv2.line(picture, (start, y), (min(start + dash, box.x1), y), CROP_COLOUR, 1, cv2.LINE_AA)
    for start in range(box.y0, box.y1, 2 * dash):
        for x in (box.x0, box.x1):
            cv2.line(picture, (x, start), (x, min(start + dash, box.y1)), CROP_COLOUR, 1, cv2.LINE_AA)
