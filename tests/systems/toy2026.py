"""Classification of the middle of the radiograph (Toy 2026), which exists to show how a system is added.

Toy T. A system that nobody should use. Journal of Examples, 2026.

Pre-processing: the middle half of the radiograph's rows and columns, where the joints of a centred pelvis lie, is
averaged down to the network's input, one channel, and scaled to 0..1. Classification: any network of two classes.

Ours: the automatic normaliser to 8 bits; and a middle that is all black is not assessable, where the paper answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edge_sacro.engine import Engine
from edge_sacro.explain import squished_view
from edge_sacro.manifest import Manifest
from edge_sacro.orient import canonical_from_stored
from edge_sacro.preprocess.normalise import VERSION, eight_bit_from_radiograph
from edge_sacro.preprocess.resize import area_resize
from edge_sacro.stages import StageClock
from edge_sacro.systems.base import DISEASE, NOT_LOCATED, RADIOGRAPHY, Assessment, System, classified
from edge_sacro.systems.contract import BundleContract, classifier_contract
from edge_sacro.types import Box, OperatingPoint, Radiograph

CITATION = "Toy T, J Examples 2026"
YOUDEN = OperatingPoint("youden", 0.42, f"{CITATION}, Table 1: the largest sum of sensitivity and specificity")


def assess(radiograph: Radiograph, manifest: Manifest, engines: Mapping[str, Engine], clock: StageClock) -> Assessment:
    """Classify the middle half; no joint is located."""
    with clock.stage("normalise"):
        image = canonical_from_stored(eight_bit_from_radiograph(radiograph), radiograph.orientation)
    with clock.stage("crop"):
        rows, columns = image.shape
        crop = Box(columns // 4, rows // 4, columns - columns // 4, rows - rows // 4)
        middle = image[crop.y0 : crop.y1, crop.x0 : crop.x1]
        if not middle.any():
            return Assessment(NOT_LOCATED, NOT_LOCATED, crop, None, "crop_is_dark")
    with clock.stage("classify"):
        (_, _, height, width) = engines["classifier"].spec.inputs[0].shape
        given = area_resize(middle, (height, width))[None, None] / np.float32(255)
        view = replace(squished_view(middle.shape, (height, width)), crop=crop)
        probability, maps = classified(engines["classifier"], given, clock, view)
    return Assessment(NOT_LOCATED, NOT_LOCATED, crop, probability, None, maps=maps)


def contract(manifest: Manifest) -> BundleContract:
    """A classifier of one channel."""
    return BundleContract({"classifier": classifier_contract(1, manifest)}, DISEASE, VERSION)


SYSTEM = System(
    name="toy2026",
    citation=CITATION,
    modalities=RADIOGRAPHY,
    operating_points=(YOUDEN,),
    contract=contract,
    assess=assess,
)
