"""Result -> Grayscale Softcopy Presentation State (PS3.3 A.33.1): boxes and words over the source's own pixels.

The grayscale is what the runtime read from the source's header, written anew: a presentation state stands in place of
the image's own Modality and VOI LUT, and what it leaves out is not applied (PS3.4 N.2). Where the header offers no
window, the whole range of the image is one, since a viewer may not choose its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from edge_sacro import __version__
from edge_sacro.dicom.attributes import Header
from edge_sacro.dicom.display import Window
from edge_sacro.dicom.lut import LookupTable, lookup_table_from_item
from edge_sacro.dicom.voi import default_view
from edge_sacro.objects.answer import Answered, Making, NoObject
from edge_sacro.objects.frame import (
    common_arguments,
    content_description,
    finished,
    model_name,
    source_reference,
    statement,
)
from edge_sacro.objects.identity import ascii_from_text, header_reader
from edge_sacro.report import Joint
from edge_sacro.types import Radiograph, State

LAYER = "EDGE_SACRO"
_TITLES = {
    State.POSITIVE: "POSITIVE for radiographic sacroiliitis",
    State.NEGATIVE: "NEGATIVE for radiographic sacroiliitis",
    State.BORDERLINE: "BORDERLINE",
    State.NOT_ASSESSABLE: "NOT ASSESSABLE",
    State.REFUSED: "REFUSED",
}
_TEXT = 1024


def pr_from_answer(answered: Answered, making: Making) -> Dataset | NoObject:
    """The presentation state of one image, or why there is none."""
    radiograph = answered.radiograph
    if radiograph is None:
        return NoObject("pr", "the image could not be read, so there is nothing to present")
    import highdicom as hd

    reference = source_reference(answered)
    layer = hd.pr.GraphicLayer(LAYER, 1, description="Result of Edge-Sacro")
    annotation = hd.pr.GraphicAnnotation(
        referenced_images=[reference],
        graphic_layer=layer,
        graphic_objects=_boxes(answered) or None,
        text_objects=_texts(answered, making, radiograph),
    )
    dataset = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[reference],
        manufacturer_model_name=model_name(answered.result),
        software_versions=__version__,
        device_serial_number=making.bundle.fingerprint,
        content_label="SACROILIITIS",
        content_description=content_description(making, "pr"),
        graphic_annotations=[annotation],
        graphic_layers=[layer],
        **common_arguments(answered, making, "pr"),
    )
    _place(dataset, radiograph)
    _describe_grayscale(dataset, header_reader(answered.header), radiograph)
    return finished(dataset, answered, making, "pr")


def _sides(answered: Answered) -> tuple[tuple[str, Joint], ...]:
    joints = answered.result.joints
    return ("right sacroiliac joint", joints.right), ("left sacroiliac joint", joints.left)


def _boxes(answered: Answered) -> list[Any]:
    """A closed line around each joint. The top left corner of the first pixel is 0, 0 (PS3.3 C.10.5.1.2)."""
    import highdicom as hd

    boxes = []
    for _, joint in _sides(answered):
        if joint.box_px is not None:
            x0, y0, x1, y1 = joint.box_px
            corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], np.float64)
            boxes.append(
                hd.pr.GraphicObject(
                    hd.pr.GraphicTypeValues.POLYLINE, corners, hd.pr.AnnotationUnitsValues.PIXEL, is_filled=False
                )
            )
    return boxes


def _texts(answered: Answered, making: Making, radiograph: Radiograph) -> list[Any]:
    """The answer at the top of the display and the statement at its foot; beside each box, whose joint it is."""
    import highdicom as hd

    result = answered.result
    lines = [_TITLES[result.state], result.reason]
    lines += [
        f"{name}: not assessable, {joint.reason}"
        for name, joint in _sides(answered)
        if joint.state is State.NOT_ASSESSABLE and (joint.reason or "") not in result.reason
    ]
    display = hd.pr.AnnotationUnitsValues.DISPLAY
    texts = [
        _text("\r\n".join(lines), display, (0.02, 0.02, 0.98, 0.12)),
        _text(statement(making), display, (0.02, 0.94, 0.98, 0.98)),
    ]
    height = max(radiograph.rows // 40, 12)
    for name, joint in _sides(answered):
        if joint.box_px is not None:
            x0, y0 = joint.box_px[:2]
            said = name if joint.state is State.LOCATED else f"{name}, {joint.state.value}"
            right = min(x0 + 12 * height, radiograph.columns)
            box = (float(x0), float(max(y0 - height, 0)), float(right), float(max(y0, height)))
            texts.append(_text(said, hd.pr.AnnotationUnitsValues.PIXEL, box))
    return texts


def _text(text: str, units: Any, box: tuple[float, float, float, float]) -> Any:
    import highdicom as hd

    left = hd.pr.TextJustificationValues.LEFT
    lines = [ascii_from_text(line) for line in text.split("\r\n")]
    return hd.pr.TextObject("\r\n".join(lines)[:_TEXT], units, bounding_box=box, text_justification=left)


def _place(dataset: Dataset, radiograph: Radiograph) -> None:
    """The whole image is shown, with pixels as long and as wide as they are."""
    (area,) = dataset.DisplayedAreaSelectionSequence
    del area.PixelOriginInterpretation
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [radiograph.columns, radiograph.rows]
    if radiograph.spacing is not None:
        del area.PresentationPixelAspectRatio
        spacing = radiograph.spacing.row_mm, radiograph.spacing.column_mm
        area.PresentationPixelSpacing = [_number(each) for each in spacing]


def _describe_grayscale(dataset: Dataset, header: Header, radiograph: Radiograph) -> None:
    grayscale = radiograph.grayscale
    luts = header.items("ModalityLUTSequence")
    slope, intercept = header.numbers("RescaleSlope"), header.numbers("RescaleIntercept")
    if luts:
        item = _lut_item(lookup_table_from_item(luts[0], grayscale.first < 0), grayscale.first < 0)
        item.ModalityLUTType = grayscale.rescale_type
        dataset.ModalityLUTSequence = [item]
    elif slope and intercept:
        dataset.RescaleSlope, dataset.RescaleIntercept = _number(slope[0]), _number(intercept[0])
        dataset.RescaleType = grayscale.rescale_type
    view = default_view(header, grayscale) or _whole_range(radiograph)
    voi = Dataset()
    if isinstance(view, LookupTable):
        voi.VOILUTSequence = [_lut_item(view, bool(grayscale.table.min() < 0))]
    else:
        voi.WindowCenter, voi.WindowWidth = _number(view.center), _number(view.width)
        if view.function != "LINEAR":
            voi.VOILUTFunction = view.function
    dataset.SoftcopyVOILUTSequence = [voi]
    dataset.PresentationLUTShape = "INVERSE" if grayscale.inverted else "IDENTITY"


def _whole_range(radiograph: Radiograph) -> Window:
    """A linear window over the modality values present, padding left out (PS3.3 C.11.2.1.2.1)."""
    grayscale, stored = radiograph.grayscale, radiograph.stored
    if grayscale.padding is not None:
        low, high = grayscale.padding
        inside = stored[(stored < low) | (stored > high)]
        stored = inside if inside.size else stored
    values = grayscale.table[np.unique(stored).astype(np.int64) - grayscale.first]
    lowest, highest = float(values.min()), float(values.max())
    width = highest - lowest + 1
    return Window(lowest + width / 2, width)


def _lut_item(table: LookupTable, signed: bool) -> Dataset:
    item = Dataset()
    first = table.first & 0xFFFF if signed else table.first
    descriptor = np.array([table.data.size & 0xFFFF, first, table.bits], "<u2")
    item.add_new("LUTDescriptor", "SS" if signed else "US", descriptor.view("<i2" if signed else "<u2").tolist())
    data = table.data.astype("<u2" if table.bits > 8 else "u1").tobytes()
    # Entries of 8 bits stand two to a word (C.11.1.1.1).
    item.add_new("LUTData", "OW", data + b"\0" * (len(data) % 2))
    return item


def _number(value: float) -> str:
    return format_number_as_ds(float(value))
