"""Classification of CT slices by one of five networks (Fu 2024).

Fu Q, Yuan X, Han X, Wang W, Zhang J, Yuan X. Enhancing the diagnostic accuracy of sacroiliitis: a machine learning
approach applied to computed tomography imaging. British Journal of Hospital Medicine, 2024.

Data collection and pre-processing: CT images of 512 x 512, their size and gray values adjusted with OpenCV. Training:
VGG-16, ResNet-101, DenseNet, Inception-v4 and ResNeXt-50, each telling sacroiliitis from none. Neither window, nor
resize, nor cut-off is stated, and how PCA and whitening were applied is not said well enough to be repeated.

Ours: axial slices; Hounsfield units through a bone window to 0..1; OpenCV's bilinear resize of that to the network's
size, whatever the aspect; three equal channels with ImageNet's statistics; and the larger of the two classes decides.
Also ours: which slices count for a series, and the series' answer (``edge_sacro.slices``, ``edge_sacro.series``).
"""

from __future__ import annotations

from collections.abc import Mapping

from edge_sacro.engine import Engine
from edge_sacro.errors import WrongView
from edge_sacro.explain import squished_view
from edge_sacro.manifest import Manifest
from edge_sacro.preprocess.window import VERSION
from edge_sacro.slices import SliceSelection, selection_from_radiograph
from edge_sacro.stages import StageClock
from edge_sacro.systems.base import NOT_LOCATED, Assessment, System, canonical_shape, classification
from edge_sacro.systems.contract import BundleContract, classifier_contract
from edge_sacro.systems.inputs import HOST, Inputs
from edge_sacro.types import OperatingPoint, Radiograph

CITATION = "Fu Q et al., Br J Hosp Med 2024"
CLASSES = ("no sacroiliitis", "sacroiliitis")
NETWORKS = ("vgg16", "resnet101", "densenet121", "inception_v4", "resnext50")
LARGER_CLASS = OperatingPoint("larger_class", 0.5, f"ours, the larger of two classes: {CITATION} states no cut-off")


def assess(
    radiograph: Radiograph,
    manifest: Manifest,
    engines: Mapping[str, Engine],
    clock: StageClock,
    inputs: Inputs = HOST,
) -> Assessment:
    """Classify one slice; no joint is located in it.

    Raises:
        WrongView: the slice is not axial; a localizer is coronal or sagittal.
        MissingAttributes: the values are not in Hounsfield units.
    """
    settings, window = manifest.classification, manifest.hounsfield_window
    if settings is None or window is None:
        raise AssertionError("the manifest's schema lets no such bundle through")
    size = (settings.rows, settings.columns)
    with clock.stage("normalise"):
        check_axial(radiograph)
        given = inputs.slice(radiograph, (window.center, window.width), size)
    with clock.stage("classify"):
        outputs = given.run(engines["classifier"], clock.deadline)
        probability, maps = classification(outputs, squished_view(canonical_shape(radiograph), size))
    return Assessment(NOT_LOCATED, NOT_LOCATED, None, probability, None, maps=maps)


def select(radiograph: Radiograph) -> SliceSelection:
    """Whether a slice passes through both joints.

    Raises:
        WrongView: the slice is not axial.
    """
    check_axial(radiograph)
    return selection_from_radiograph(radiograph)


def check_axial(radiograph: Radiograph) -> None:
    """Refuse a slice that is not axial.

    Raises:
        WrongView: it is not; a localizer is coronal or sagittal.
    """
    axes = radiograph.orientation.row + radiograph.orientation.column
    if not (set(axes) & set("LR") and set(axes) & set("AP")):
        raise WrongView(
            f"the slice runs along {axes[0]} and {axes[1]} and is not axial",
            source=radiograph.source,
            remedy="Send the axial slices of the series.",
        )


def contract(manifest: Manifest) -> BundleContract:
    """A classifier of three channels."""
    return BundleContract({"classifier": classifier_contract(3, manifest)}, (CLASSES,), VERSION)


SYSTEMS = tuple(
    System(
        name=f"fu2024-{network}",
        citation=CITATION,
        modalities=frozenset({"CT"}),
        operating_points=(LARGER_CLASS,),
        contract=contract,
        assess=assess,
        assess_with=assess,
        select=select,
        hounsfield_window=True,
        reference="fu2024",
    )
    for network in NETWORKS
)
