"""What atheris calls with each input: the reader, and what result objects take from a header.

Run by ``bench.reliability_fuzz``. Anything but a radiograph or a refusal is a finding. ``EDGE_SACRO_FUZZ_PLANTED=1``
plants a defect behind another Body Part Examined, which has to be found.
"""

from __future__ import annotations

import os
import sys

import atheris

with atheris.instrument_imports(include=["edge_sacro.dicom", "edge_sacro.objects.identity", "pydicom"]):
    from edge_sacro.dicom.failures import vendor_call
    from edge_sacro.dicom.limits import ReadLimits
    from edge_sacro.dicom.reader import radiograph_from_bytes
    from edge_sacro.errors import InputRefused
    from edge_sacro.objects.identity import header_from_bytes, identity_from_header

LIMITS = ReadLimits(file_bytes=4 << 20, min_side=16, max_side=1024)
PLANTED = os.environ.get("EDGE_SACRO_FUZZ_PLANTED") == "1"


class PlantedDefect(Exception):
    """What the control has to find."""


def read(data: bytes) -> None:
    """Read one input as the node does, all of it in this process."""
    try:
        radiograph = radiograph_from_bytes(data, limits=LIMITS)
    except InputRefused:
        radiograph = None
    if PLANTED and radiograph is not None and radiograph.body_part != "PELVIS":
        raise PlantedDefect
    try:
        header = header_from_bytes(data, "fuzzed")
        with vendor_call("parse", "patient and study cannot be copied"):  # as whoever makes objects does
            identity_from_header(header)
    except InputRefused:
        return


if __name__ == "__main__":
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
