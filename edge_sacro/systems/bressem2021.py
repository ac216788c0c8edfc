"""Classification of the whole radiograph by a ResNet-50 (Bressem 2021).

Bressem KK, Vahldiek JL, Adams L, et al. Deep learning for detection of radiographic sacroiliitis: achieving
expert-level performance. Arthritis Research & Therapy 23:106, 2021.

Datasets and pre-processing: gray levels adjusted and images cropped to the pelvis by hand. Model training: fastai, a
ResNet-50 first trained on ImageNet, its input resized up to 768 x 768. Three cut-offs are proposed.

Ours: the automatic normaliser to 8 bits in place of the hand, no crop, and fastai's squish for the resize, which the
paper leaves open; a radiograph that shows far more than a pelvis is not what the network was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge_sacro.engine import Engine
from edge_sacro.explain import squished_view
from edge_sacro.manifest import Manifest
from edge_sacro.preprocess.normalise import VERSION
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
from edge_sacro.systems.contract import BundleContract, classifier_contract
from edge_sacro.systems.inputs import HOST, Inputs
from edge_sacro.types import OperatingPoint, Radiograph

CITATION = "Bressem KK et al., Arthritis Res Ther 2021"
_SOURCE = f"{CITATION}, Results: cut-off {{}}, from the validation dataset (n = 229)"
OPERATING_POINTS = (
    OperatingPoint("balanced", 0.724, _SOURCE.format("3, optimal relationship of sensitivity and specificity")),
    OperatingPoint("sensitivity", 0.475, _SOURCE.format("1, favouring sensitivity over specificity")),
    OperatingPoint("specificity", 0.787, _SOURCE.format("2, favouring specificity over sensitivity")),
)


def assess(
    radiograph: Radiograph,
    manifest: Manifest,
    engines: Mapping[str, Engine],
    clock: StageClock,
    inputs: Inputs = HOST,
) -> Assessment:
    """Classify the whole radiograph; no joint is located."""
    settings = manifest.classification
    if settings is None:
        raise AssertionError("the manifest's schema lets no such bundle through")
    size = (settings.rows, settings.columns)
    with clock.stage("normalise"):
        given = inputs.squished(radiograph, size)
    with clock.stage("classify"):
        outputs = given.run(engines["classifier"], clock.deadline)
        probability, maps = classification(outputs, squished_view(canonical_shape(radiograph), size))
    return Assessment(NOT_LOCATED, NOT_LOCATED, None, probability, None, maps=maps)


def contract(manifest: Manifest) -> BundleContract:
    """A classifier of three channels."""
    return BundleContract({"classifier": classifier_contract(3, manifest)}, DISEASE, VERSION)


SYSTEM = System(
    name="bressem2021",
    citation=CITATION,
    modalities=RADIOGRAPHY,
    operating_points=OPERATING_POINTS,
    contract=contract,
    assess=assess,
    assess_with=assess,
    reference="bressem2021",
)
