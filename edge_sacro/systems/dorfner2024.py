"""Anatomy-aware classification (Dorfner 2024), and its standard model on the whole radiograph.

Dorfner FJ, Vahldiek JL, Donle L, et al. Incorporating anatomical awareness for enhanced generalizability and
progression prediction in deep learning-based radiographic sacroiliitis detection. Preprint, 2024.

2.3, pre-processing: a U-Net labels sacrum and pelvis; the sacrum is dilated, and where it meets the pelvis are the
joints; the radiograph is cropped to the box around both, and a CLAHE filter is applied. 2.4, classification: a
ResNet-50 on that crop. The standard model has the same classifier and filter on the full radiograph.

A joint that is not found, or that may go on beyond the image, makes the image not assessable. Under
``numerics: published`` the original's ways are kept instead: pixels wrapped to 8 bits for the crop, and a strip across
the ilium in place of a joint that was not found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edge_sacro import crop as cropping
from edge_sacro.classify import ClassifierGeometry, classifier_input
from edge_sacro.decide import HIGH_RISK
from edge_sacro.engine import Engine
from edge_sacro.explain import cropped_view
from edge_sacro.locate import CLASSES, SegmentationGeometry, segment
from edge_sacro.manifest import Manifest, Segmentation
from edge_sacro.orient import canonical_from_stored
from edge_sacro.preprocess.field import exposed_field
from edge_sacro.preprocess.intensity import published_eight_bit
from edge_sacro.preprocess.normalise import VERSION, eight_bit_from_radiograph
from edge_sacro.regions import RegionRules, joint_regions
from edge_sacro.stages import StageClock
from edge_sacro.systems.base import (
    DISEASE,
    NOT_LOCATED,
    RADIOGRAPHY,
    Assessment,
    System,
    classified,
    network_from_engine,
)
from edge_sacro.systems.contract import BundleContract, NetworkContract, classifier_contract
from edge_sacro.types import Box, OperatingPoint, Radiograph

Gray = npt.NDArray[np.uint8]

CITATION = "Dorfner FJ et al., preprint 2024"
ACCURACY_CUT_OFF = OperatingPoint("accuracy", 0.59, f"{CITATION}, supplement, Figures 10 and 11: anatomy-aware model")
STANDARD_CUT_OFF = OperatingPoint("accuracy", 0.69, f"{CITATION}, supplement, Figures 10 and 11: standard model")


def assess_anatomy_aware(
    radiograph: Radiograph, manifest: Manifest, engines: Mapping[str, Engine], clock: StageClock
) -> Assessment:
    """Locate both joints, crop to them, classify the crop."""
    settings = _segmentation(manifest)
    with clock.stage("normalise"):
        seen, cropped_from = _images(radiograph, manifest)
    with clock.stage("segment"):
        labels = segment(seen, network_from_engine(engines["segmenter"], clock), _geometry(settings))
    with clock.stage("locate"):
        rules = RegionRules(dilation=settings.dilation_fraction)
        regions = joint_regions(labels, rules, manifest.numerics, exposed_field(cropped_from))
    left, right = regions.of_patient("left"), regions.of_patient("right")
    notes = tuple(
        f"the {side} joint was not found; the published fallback stands in its place"
        for side, region in (("left", left), ("right", right))
        if region.fallback
    )
    if regions.box is None:
        return Assessment(left, right, None, None, "joint_not_assessable", notes)
    with clock.stage("crop"):
        crop = cropping.crop_from_box(cropped_from, regions.box)
        if crop.box is None or min(crop.box.width, crop.box.height) < 2:
            return Assessment(left, right, None, None, crop.reason or "crop_too_small", notes)
        pixels = cropping.pixels(cropped_from, crop.box)
    with clock.stage("classify"):
        geometry = _classifier_geometry(manifest)
        given = classifier_input(pixels, geometry)[None, None]
        probability, maps = classified(engines["classifier"], given, clock, cropped_view(crop.box, geometry))
    return Assessment(left, right, crop.box, probability, None, notes, maps=maps)


def assess_standard(
    radiograph: Radiograph, manifest: Manifest, engines: Mapping[str, Engine], clock: StageClock
) -> Assessment:
    """Classify the whole radiograph; no joint is located."""
    with clock.stage("normalise"):
        _, image = _images(radiograph, manifest)
    with clock.stage("classify"):
        geometry = _classifier_geometry(manifest)
        view = cropped_view(Box(0, 0, image.shape[1], image.shape[0]), geometry)
        given = classifier_input(image, geometry)[None, None]
        probability, maps = classified(engines["classifier"], given, clock, view)
    return Assessment(NOT_LOCATED, NOT_LOCATED, None, probability, None, maps=maps)


def anatomy_aware_contract(manifest: Manifest) -> BundleContract:
    """A segmenter of square windows and a classifier, both of one channel."""
    standard = standard_contract(manifest)
    window = _segmentation(manifest).window
    logits = (1, CLASSES, window, window)
    segmenter = NetworkContract((1, 1, window, window), {"logits": logits})
    return replace(standard, networks={"segmenter": segmenter, **standard.networks})


def standard_contract(manifest: Manifest) -> BundleContract:
    """A classifier of one channel."""
    numerics = frozenset({"corrected", "published"})
    return BundleContract({"classifier": classifier_contract(1, manifest)}, DISEASE, VERSION, numerics)


ANATOMY_AWARE = System(
    name="dorfner2024",
    citation=CITATION,
    modalities=RADIOGRAPHY,
    operating_points=(ACCURACY_CUT_OFF,),
    contract=anatomy_aware_contract,
    assess=assess_anatomy_aware,
    networks=frozenset({"segmenter", "classifier"}),
    reference="dorfner2024",
    high_risk=HIGH_RISK,
)

STANDARD = System(
    name="dorfner2024-standard",
    citation=CITATION,
    modalities=RADIOGRAPHY,
    operating_points=(STANDARD_CUT_OFF,),
    contract=standard_contract,
    assess=assess_standard,
    reference="dorfner2024",
    high_risk=HIGH_RISK,
)


def _images(radiograph: Radiograph, manifest: Manifest) -> tuple[npt.NDArray[np.generic], Gray]:
    """What the segmenter sees and what is cropped, in canonical view: one image, save under published numerics.

    The original gives the segmenter modality values, MONOCHROME1 turned over, and crops from what is left of them
    after a cast to 8 bits.
    """
    if manifest.numerics == "corrected":
        gray = canonical_from_stored(eight_bit_from_radiograph(radiograph), radiograph.orientation)
        return gray, gray
    values = radiograph.grayscale.table[radiograph.stored.astype(np.int32) - radiograph.grayscale.first]
    if radiograph.grayscale.inverted:
        values = np.float32((1 << radiograph.bits_stored) - 1) - values
    values = canonical_from_stored(values, radiograph.orientation)
    return values, published_eight_bit(values)


def _segmentation(manifest: Manifest) -> Segmentation:
    if manifest.segmentation is None:
        raise AssertionError("the manifest's schema lets no such bundle through")
    return manifest.segmentation


def _geometry(settings: Segmentation) -> SegmentationGeometry:
    return SegmentationGeometry(settings.size, settings.window, settings.overlap)


def _classifier_geometry(manifest: Manifest) -> ClassifierGeometry:
    settings = manifest.classification
    if settings is None:
        raise AssertionError("the manifest's schema lets no such bundle through")
    return ClassifierGeometry(settings.rows, settings.columns)
