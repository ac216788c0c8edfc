"""Detection of each sacroiliac joint, normal or with sacroiliitis, by EfficientDet-D4 (Noh 2021).

Noh SH, An C, Kim D, Lee SH, Chang MY, Oh HC. Automated detection of sacroiliitis on plain radiograph using EfficientDet
algorithm in young patients with back pain: a pilot study. Preprint, 2021.

Image preprocessing: the radiograph's aspect is kept and its longer side becomes 1,024 pixels. Training: TensorFlow 2
Object Detection API, EfficientDet-D4 1024 x 1024. Evaluation: about 100 boxes with class and score; those below 0.5 are
discarded; the box with the highest score is chosen for each joint. An image is positive where any joint is.

The class of a joint's best box decides. With s the best score of the class sacroiliitis and n that of the class normal
among the boxes of one joint, that class is sacroiliitis where s > n, which is where s / (s + n) > 0.5. This share is
the probability that is reported, so that a cut-off and a guard band have something to stand on; that it is more than a
rank is not claimed. How a box finds its side, and which boxes are taken for no joint, is ours: ``edge_sacro.detect``.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge_sacro.detect import (
    Array,
    Placed,
    SuppressionRules,
    best_of_each_side,
    best_score,
    kept_detections,
    placed_detections,
)
from edge_sacro.engine import Engine
from edge_sacro.manifest import Detection, Manifest
from edge_sacro.preprocess.field import exposed_field
from edge_sacro.preprocess.normalise import VERSION
from edge_sacro.regions import JointRegion
from edge_sacro.stages import StageClock
from edge_sacro.systems.base import RADIOGRAPHY, Assessment, System
from edge_sacro.systems.contract import BundleContract, NetworkContract
from edge_sacro.systems.inputs import HOST, Inputs
from edge_sacro.types import OperatingPoint, Radiograph

CITATION = "Noh SH et al., preprint 2021"
CLASSES = ("normal", "sacroiliitis")
SACROILIITIS = 1
BEST_BOX = OperatingPoint(
    "best_box",
    0.5,
    f"{CITATION}, Evaluation: the class of a joint's best box; as a share of both classes' scores, ours",
)


def assess(
    radiograph: Radiograph,
    manifest: Manifest,
    engines: Mapping[str, Engine],
    clock: StageClock,
    inputs: Inputs = HOST,
) -> Assessment:
    """Detect the joints, choose the best box of each, and take its class's share for a probability."""
    settings = _settings(manifest)
    with clock.stage("normalise"):
        given, filled, gray = inputs.detector(radiograph, settings.size)
    with clock.stage("detect"):
        outputs = given.run(engines["detector"], clock.deadline)
        scores, boxes = outputs["scores"], outputs["boxes"]
    with clock.stage("locate"):
        kept = kept_detections(scores, boxes, SuppressionRules(settings.score, settings.iou, settings.boxes))
        image = gray()
        size = (image.shape[0], image.shape[1])
        placed = placed_detections(kept, settings.size, filled, size)
        sides = best_of_each_side(placed, size, exposed_field(image))
    # In canonical view the patient's right is at the image's left.
    right, left = (
        _joint(found, reason, scores, boxes, settings.iou)
        for found, reason in ((sides.image_left, sides.left_reason), (sides.image_right, sides.right_reason))
    )
    found = [probability for _, probability in (left, right) if probability is not None]
    return Assessment(
        left=left[0],
        right=right[0],
        crop=None,
        probability=max(found, default=None),
        reason_code=None if len(found) == 2 else "joint_not_assessable",
        left_probability=left[1],
        right_probability=right[1],
    )


def contract(manifest: Manifest) -> BundleContract:
    """The detector's square input; K best boxes of each class with their scores, before any suppression."""
    size = _settings(manifest).size
    outputs = {"scores": (1, len(CLASSES), "K"), "boxes": (1, len(CLASSES), "K", 4)}
    return BundleContract({"detector": NetworkContract((1, 3, size, size), outputs)}, (CLASSES,), VERSION)


SYSTEM = System(
    name="noh2021",
    citation=CITATION,
    modalities=RADIOGRAPHY,
    operating_points=(BEST_BOX,),
    contract=contract,
    assess=assess,
    assess_with=assess,
    networks=frozenset({"detector"}),
    reference="noh2021",
)


def _joint(
    found: Placed | None, reason: str | None, scores: Array, boxes: Array, iou: float
) -> tuple[JointRegion, float | None]:
    """The joint's box and the share of sacroiliitis; the other class's score is that of its best box on this joint."""
    if found is None:
        return JointRegion(None, reason), None
    best = found.detection
    other = best_score(scores[0, 1 - best.label], boxes[0, 1 - best.label], best.corners, iou)
    disease = best.score if best.label == SACROILIITIS else other
    return JointRegion(found.box, None), disease / (best.score + other)


def _settings(manifest: Manifest) -> Detection:
    if manifest.detection is None:
        raise AssertionError("the manifest's schema lets no such bundle through")
    return manifest.detection
