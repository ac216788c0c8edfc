"""A CT slice as a network sees it: Hounsfield units through one window, linear from 0 to 1.

The window is the model's and stands in its manifest. The sender's own display window (PS3.3 C.11.2) is a preference of
whoever made the image and plays no part; nor do the half unit and the shortened width of its LINEAR function, which
serve integers on a screen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_sacro.errors import MissingAttributes
from edge_sacro.preprocess.stored import through_table
from edge_sacro.types import Radiograph

VERSION = "hounsfield-window-1"


def windowed(radiograph: Radiograph, center: float, width: float) -> npt.NDArray[np.float32]:
    """Hounsfield units from ``center - width / 2`` to ``center + width / 2`` become 0 to 1; beyond them they clip.

    Args:
        radiograph: a CT slice.
        center: of the window, in Hounsfield units.
        width: of the window, in Hounsfield units, above 0.

    Returns:
        rows x columns, float32, in the stored image's axes; padding is 0.

    Raises:
        MissingAttributes: the values are not in Hounsfield units.
    """
    gray = radiograph.grayscale
    lowest = center - width / 2
    if gray.rescale_type != "HU":
        raise MissingAttributes(f"the values are in {gray.rescale_type[:16]!r}, not in Hounsfield units")
    if float(gray.table.min()) > lowest:
        # Without its rescale, an unsigned slice holds numbers of which none can mean air.
        raise MissingAttributes(
            f"no stored value is below {gray.table.min():g}, so that none can mean air: the values are no Hounsfield "
            "units, or their rescale is absent"
        )
    table = np.clip((gray.table.astype(np.float64) - lowest) / width, 0.0, 1.0)
    if gray.padding is not None:
        first, last = (bound - gray.first for bound in gray.padding)
        table[max(first, 0) : max(last + 1, 0)] = 0.0
    return through_table(radiograph.stored, gray, table.astype(np.float32))
