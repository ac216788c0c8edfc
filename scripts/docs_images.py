"""Draw the README's pictures with the bundle that ships: ``python scripts/docs_images.py``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro import crop as cropping
from edge_sacro.classify import ClassifierGeometry, classifier_input
from edge_sacro.engine import open_engine
from edge_sacro.locate import SegmentationGeometry, segment
from edge_sacro.orient import canonical_from_stored
from edge_sacro.overlay import LEFT_COLOUR, RIGHT_COLOUR, overlay_from_result, write_png
from edge_sacro.phantom import PhantomOptions, write_study
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.regions import RegionRules, joint_regions
from edge_sacro.runtime import Runtime

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
HEIGHT, GAP, CAPTION = 250, 26, 58
LABEL_COLOURS = {1: (80, 220, 240), 2: RIGHT_COLOUR, 3: LEFT_COLOUR}

Picture = npt.NDArray[np.uint8]


def main() -> None:
    """Write docs/images/overlay.png and docs/images/data-way.png."""
    with tempfile.TemporaryDirectory() as folder, Runtime() as runtime:
        write_study(Path(folder), 1, 8, PhantomOptions(left_grade=3, right_grade=3))
        result, radiograph = runtime.infer_with_radiograph(next(Path(folder).glob("*.dcm")))
        if radiograph is None:
            raise SystemExit(f"the phantom was refused: {result.reason}")
        picture = overlay_from_result(result, radiograph, runtime.report([result]))
        scale = 800 / picture.shape[1]
        smaller = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        write_png(np.asarray(smaller, np.uint8), str(IMAGES / "overlay.png"))

        manifest = runtime.bundle.manifest
        network = manifest.networks["segmenter"]
        engine = open_engine(
            "onnxruntime", network.spec("segmenter"), runtime.bundle.model("segmenter", "fp32", "onnxruntime"), 1
        )
        gray = canonical_from_stored(eight_bit_from_radiograph(radiograph), radiograph.orientation)
        settings = manifest.segmentation
        if settings is None:
            raise SystemExit("the bundle has no segmenter")
        geometry = SegmentationGeometry(settings.size, settings.window, settings.overlap)
        labels = segment(gray, lambda array: engine.run({"image": array})["logits"], geometry)
        regions = joint_regions(labels, RegionRules(dilation=settings.dilation_fraction))
        if regions.box is None:
            raise SystemExit(f"no joints: {regions.reason}")
        box = cropping.crop_from_box(gray, regions.box).box or regions.box
        pixels = cropping.pixels(gray, box)
        seen = classifier_input(
            pixels, ClassifierGeometry(manifest.classification.rows, manifest.classification.columns)
        )

    colour = cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)
    labelled = colour.copy()
    for label, paint in LABEL_COLOURS.items():
        labelled[labels == label] = 0.6 * labelled[labels == label] + 0.4 * np.array(paint)
    boxed = colour.copy()
    for region, paint in ((regions.image_left, RIGHT_COLOUR), (regions.image_right, LEFT_COLOUR)):
        if region.box is not None:
            corners = (region.box.x0, region.box.y0), (region.box.x1, region.box.y1)
            cv2.rectangle(boxed, *corners, paint, max(gray.shape) // 150, cv2.LINE_AA)
    steps = [
        ("DICOM, decoded apart", "read, normalise", colour),
        ("sacrum and ilia", "segment", labelled),
        ("where they meet", "locate", boxed),
        ("Otsu box", "crop", cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)),
        ("CLAHE, mirrored", "classify", cv2.cvtColor(np.rint(seen * 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)),
    ]
    decision = [result.state.value, f"p = {result.probability}", f"cut-off {result.operating_point.threshold:g}"]
    write_png(_strip(steps, decision), str(IMAGES / "data-way.png"))


def _strip(steps: list[tuple[str, str, npt.NDArray[np.generic]]], decision: list[str]) -> Picture:
    panels = [_panel(title, name, np.asarray(image, np.uint8)) for title, name, image in steps]
    last = np.full((HEIGHT + CAPTION, 190, 3), 255, np.uint8)
    for index, line in enumerate(decision):
        _write(last, line, (8, HEIGHT // 2 - 20 + 30 * index), 24 if index == 0 else 19)
    _write(last, "decide", (8, HEIGHT + 22), 18)
    _write(last, "JSON, table, overlay", (8, HEIGHT + 46), 15)
    out = panels[0]
    for panel in [*panels[1:], last]:
        arrow = np.full((HEIGHT + CAPTION, GAP, 3), 255, np.uint8)
        cv2.arrowedLine(arrow, (3, HEIGHT // 2), (GAP - 4, HEIGHT // 2), (90, 90, 90), 2, cv2.LINE_AA, tipLength=0.4)
        out = np.hstack([out, arrow, panel])
    return out


def _panel(title: str, name: str, image: Picture) -> Picture:
    width = max(round(image.shape[1] * HEIGHT / image.shape[0]), 60)
    panel = np.full((HEIGHT + CAPTION, width, 3), 255, np.uint8)
    panel[:HEIGHT] = cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_AREA)
    _write(panel, name, (4, HEIGHT + 22), 18)
    _write(panel, title, (4, HEIGHT + 46), 15)
    return panel


def _write(picture: Picture, text: str, place: tuple[int, int], size: int) -> None:
    cv2.putText(picture, text, place, (40, 40, 40), cv2.FontFace("sans"), size)


if __name__ == "__main__":
    main()
