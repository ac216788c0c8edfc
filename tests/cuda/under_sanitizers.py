"""Run in a process of its own, under AddressSanitizer: every kernel on an emulated device.

``python -m tests.cuda.under_sanitizers LIBRARY BYTES`` prints how many cases the device answered as the reference does;
every buffer has so many bytes less than the session asked for.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro.cuda.device import Buffer
from edge_sacro.cuda.image import gray_from_table, gray_table_on_device, image_from_radiograph
from edge_sacro.cuda.session import Session
from tests.cuda.cases import CASES
from tests.cuda.emulated import EmulatedDevice
from tests.cuda.radiographs import kinds

CHOSEN = tuple(case for case in CASES if "fp16" not in case.name and case.name != "dorfner2024 classifier int8")
"""Precisions differ in the last kernel alone, whose int8 output the segmenter's case has."""

KINDS = ("16 bits", "8 bits, signed", "12 bits, in 32", "signed, padded", "lookup table with plateaus")


class TightDevice(EmulatedDevice):
    """A device whose memory ends before the session thinks."""

    missing = 0

    def _allocate(self, nbytes: int) -> Buffer:
        return Buffer(super()._allocate(nbytes - self.missing).address, nbytes)

    def _upload(self, buffer: Buffer, array: npt.NDArray[Any]) -> None:
        super()._upload(buffer, array.reshape(-1).view(np.uint8)[: buffer.nbytes - self.missing])


def main(library: str, missing: str) -> None:
    """A session for each case, so that no buffer is larger than the case needs."""
    TightDevice.missing = int(missing)
    for case in CHOSEN:
        with Session(TightDevice(Path(library))) as session:
            case.check(session)
    radiographs = kinds()
    for kind in KINDS:
        with Session(TightDevice(Path(library))) as session:
            image = image_from_radiograph(session, radiographs[kind])
            gray_from_table(image, gray_table_on_device(image))
    print(len(CHOSEN))


if __name__ == "__main__":
    main(*sys.argv[1:])
