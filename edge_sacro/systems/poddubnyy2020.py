"""Classification of the whole radiograph by a ResNet-50: the preprint of ``bressem2021`` (Poddubnyy 2020).

Poddubnyy D, et al. medRxiv 2020.05.19.20105304, 2020.

Network and input are those of the later paper. The cohorts are not (1,404 radiographs for training, 247 for validation,
100 for testing), so weights and cut-offs are not those of the later paper either. Two sets of cut-offs are given, from
the validation and from the test data; their names tell them apart, and those of the later paper are in neither.
"""

from __future__ import annotations

from edge_sacro.systems.base import RADIOGRAPHY, System
from edge_sacro.systems.bressem2021 import assess, contract
from edge_sacro.types import OperatingPoint

CITATION = "Poddubnyy D et al., medRxiv 2020.05.19.20105304"
_VALIDATION = f"{CITATION}, Results: {{}}, from the validation data (n = 247)"
_TEST = f"{CITATION}, Results: {{}}, from the independent test data (n = 100)"
OPERATING_POINTS = (
    OperatingPoint("validation-balanced", 0.706, _VALIDATION.format("cut-off 3, balanced")),
    OperatingPoint("validation-sensitivity", 0.606, _VALIDATION.format("cut-off 1, favouring sensitivity")),
    OperatingPoint("validation-specificity", 0.814, _VALIDATION.format("cut-off 2, favouring specificity")),
    OperatingPoint("test-balanced", 0.791, _TEST.format("cut-off 3, optimal for both")),
    OperatingPoint("test-sensitivity", 0.58, _TEST.format("cut-off 1, weighing sensitivity")),
    OperatingPoint("test-specificity", 0.834, _TEST.format("cut-off 2, weighing specificity")),
)

SYSTEM = System(
    name="poddubnyy2020",
    citation=CITATION,
    modalities=RADIOGRAPHY,
    operating_points=OPERATING_POINTS,
    contract=contract,
    assess=assess,
    assess_with=assess,
    reference="poddubnyy2020",
)
