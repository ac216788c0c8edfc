"""Which layers cost the most accuracy: each is converted alone, all others being float, and the error is measured.

The other way round, all converted and one put back, ranks wrongly where errors of several layers cancel: what is left
may then grow when the worst layer is mended. Of the demonstration classifier's 28 layers the budget needed nearly all
in float by that ranking, and 10 by this one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibration.graph import Array, outputs_of

Convert = Callable[[Collection[str]], Any]
"""Names of the nodes that stay in float, to the converted graph."""


@dataclass(frozen=True)
class LayerError:
    """One layer's part in the error.

    Attributes:
        node: its name.
        operator: its type.
        error: relative RMS error of the outputs where this layer alone is converted.
    """

    node: str
    operator: str
    error: float


def sensitivity(
    operators: Mapping[str, str],
    convert: Convert,
    reference: Sequence[Mapping[str, Array]],
    inputs: Sequence[Mapping[str, Array]],
) -> tuple[LayerError, ...]:
    """Rank layers, those first that cost most.

    Args:
        operators: the layers, name to operator.
        convert: makes the graph.
        reference: outputs of the float graph, for each input.
        inputs: of the network.
    """
    layers = []
    for node, operator in operators.items():
        alone = convert([other for other in operators if other != node])
        layers.append(LayerError(node, operator, relative_error(reference, outputs_of(alone, inputs))))
    return tuple(sorted(layers, key=lambda layer: (-layer.error, layer.node)))


def relative_error(reference: Sequence[Mapping[str, Array]], found: Sequence[Mapping[str, Array]]) -> float:
    """RMS of the difference over RMS of the reference about its mean; the largest of all outputs."""
    errors = []
    for name in reference[0]:
        true = np.stack([each[name] for each in reference]).astype(np.float64)
        other = np.stack([each[name] for each in found]).astype(np.float64)
        spread = float(np.sqrt(np.mean((true - true.mean()) ** 2))) or 1.0
        errors.append(float(np.sqrt(np.mean((true - other) ** 2))) / spread)
    return max(errors)
