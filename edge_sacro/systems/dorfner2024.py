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

from edge_sacro import crop as cropping
from edge_sacro.classify import ClassifierGeometry
from edge_sacro.decide import HIGH_RISK
from edge_sacro.engine import Engine
from edge_sacro.explain import cropped_view
from edge_sacro.locate import CLASSES, SegmentationGeometry, labels_from_windows
from edge_sacro.manifest import Manifest, Segmentation
from edge_sacro.preprocess.field import exposed_field
from edge_sacro.preprocess.normalise import VERSION
from edge_sacro.regions import RegionRules, joint_regions
from edge_sacro.stages import StageClock
from edge_sacro.systems.base import (
    DISEASE,
    NOT_LOCATED,
    RADIOGRAPHY,
    Assessment,
    System,
    canonical_shape,
    classification,
)
from edge_sacro.systems.contract import BundleContract, NetworkContract, classifier_contract
from edge_sacro.systems.inputs import HOST, Inputs
from edge_sacro.types import Box, OperatingPoint, Radiograph

CITATION = "Dorfner FJ et al., preprint 2024"
ACCURACY_CUT_OFF = OperatingPoint("accuracy", 0.59, f"{CITATION}, supplement, Figures 10 and 11: anatomy-aware model")
STANDARD_CUT_OFF = OperatingPoint("accuracy", 0.69, f"{CITATION}, supplement, Figures 10 and 11: standard model")


def assess_anatomy_aware(
    radiograph: Radiograph,
    manifest: Manifest,
    engines: Mapping[str, Engine],
    clock: StageClock,
    inputs: Inputs = HOST,
) -> Assessment:
    """Locate both joints, crop to them, classify the crop."""
    settings = _segmentation(manifest)
    with clock.stage("normalise"):
        case = inputs.anatomy(radiograph, manifest.numerics)
        gray = case.gray()
    with clock.stage("segment"):
        windows, segmenter = case.windows(_geometry(settings)), engines["segmenter"]
        labels = labels_from_windows(
            lambda x, y: windows(x, y).run(segmenter, clock.deadline)["logits"],
            _geometry(settings),
            canonical_shape(radiograph),
        )
    with clock.stage("locate"):
        rules = RegionRules(dilation=settings.dilation_fraction)
        regions = joint_regions(labels, rules, manifest.numerics, exposed_field(gray))
    left, right = regions.of_patient("left"), regions.of_patient("right")
    notes = tuple(
        f"the {side} joint was not found; the published fallback stands in its place"
        for side, region in (("left", left), ("right", right))
        if region.fallback
    )
    if regions.box is None:
        return Assessment(left, right, None, None, "joint_not_assessable", notes, labels=labels)
    with clock.stage("crop"):
        crop = cropping.crop_from_box(gray, regions.box)
        if crop.box is None or min(crop.box.width, crop.box.height) < 2:
            return Assessment(left, right, None, None, crop.reason or "crop_too_small", notes, labels=labels)
    with clock.stage("classify"):
        geometry = _classifier_geometry(manifest)
        outputs = case.crop(crop.box, geometry).run(engines["classifier"], clock.deadline)
        probability, maps = classification(outputs, cropped_view(crop.box, geometry))
    return Assessment(left, right, crop.box, probability, None, notes, maps=maps, labels=labels)


def assess_standard(
    radiograph: Radiograph,
    manifest: Manifest,
    engines: Mapping[str, Engine],
    clock: StageClock,
    inputs: Inputs = HOST,
) -> Assessment:
    """Classify the whole radiograph; no joint is located."""
    with clock.stage("normalise"):
        case = inputs.anatomy(radiograph, manifest.numerics)
    with clock.stage("classify"):
        geometry = _classifier_geometry(manifest)
        rows, columns = canonical_shape(radiograph)
        whole = Box(0, 0, columns, rows)
        outputs = case.crop(whole, geometry).run(engines["classifier"], clock.deadline)
        probability, maps = classification(outputs, cropped_view(whole, geometry))
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
    assess_with=assess_anatomy_aware,
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
    assess_with=assess_standard,
    reference="dorfner2024",
    high_risk=HIGH_RISK,
)


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
