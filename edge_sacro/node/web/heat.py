"""The explanation as a picture to lay over a radiograph: ``gradcam.png`` among an instance's results.

The picture is RGBA in canonical view (the patient's right at the left) and covers the report's ``crop_px``, or the
whole image where there is none. Its colours are viridis and its alpha is the map's strength; who draws it chooses the
opacity. A worker writes it with ``files[HEAT_NAME] = heat_png(explanation, radiograph, result.crop_px)``.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edge_sacro.errors import InternalError
from edge_sacro.explain import Explanation
from edge_sacro.orient import canonical_box_from_stored, canonical_from_stored
from edge_sacro.types import Box, Radiograph

HEAT_NAME = "gradcam.png"
LONG_SIDE = 512
"""Pixels of the longer side at most. The map has a few dozen cells, bilinear between them: nothing finer is lost."""


def heat_png(explanation: Explanation, radiograph: Radiograph, crop_px: Sequence[int] | None) -> bytes:
    """Draw the map alone.

    Args:
        explanation: of this radiograph.
        radiograph: as it was read.
        crop_px: the result's ``crop_px``; None for the whole image.

    Returns:
        a PNG, RGBA, alpha 0 where nothing speaks for the class.

    Raises:
        InternalError: the picture could not be encoded.
    """
    strength = canonical_from_stored(explanation.strength, radiograph.orientation)
    if crop_px is not None:
        box = Box(*crop_px)
        box = canonical_box_from_stored(box, radiograph.orientation, (radiograph.rows, radiograph.columns))
        strength = strength[box.y0 : box.y1, box.x0 : box.x1]
    scale = min(LONG_SIDE / max(strength.shape), 1.0)
    size = (max(round(strength.shape[1] * scale), 1), max(round(strength.shape[0] * scale), 1))
    levels = np.rint(cv2.resize(strength, size, interpolation=cv2.INTER_AREA) * 255).astype(np.uint8)
    picture = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2BGRA)
    picture[..., 3] = levels
    encoded, data = cv2.imencode(".png", picture)
    if not encoded:
        raise InternalError("the explanation could not be encoded as PNG")
    return data.tobytes()
