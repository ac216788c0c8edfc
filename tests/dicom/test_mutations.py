"""Files with bytes changed, cut out and put in end as a radiograph or as one of our errors, and never as a defect."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from edge_sacro.dicom import ReadLimits, read
from edge_sacro.errors import InputRefused
from tests.dicom import synthetic
from tests.dicom.synthetic import dicom, lut

MUTANTS = 60
LIMITS = ReadLimits(cpu_s=4, wall_s=8.0, memory_bytes=512 << 20)


def mutated(data: bytes, generator: np.random.Generator) -> bytes:
    """One to eight edits; half of them in the header, where they matter most."""
    edited = bytearray(data)
    for _ in range(generator.integers(1, 9)):
        end = len(edited) if generator.random() < 0.5 else min(len(edited), 1600)
        at = int(generator.integers(132, end))
        kind = generator.integers(0, 5)
        if kind == 0:
            edited[at] ^= 1 << int(generator.integers(0, 8))
        elif kind == 1:
            edited[at] = int(generator.choice([0, 1, 0x7F, 0x80, 0xFE, 0xFF]))
        elif kind == 2:
            edited[at : at + 4] = generator.bytes(4)
        elif kind == 3:
            del edited[at : at + int(generator.integers(1, 64))]
        else:
            edited[at:at] = generator.bytes(int(generator.integers(1, 32)))
    return bytes(edited)


@pytest.mark.parametrize("uid", [*synthetic.NATIVE, *synthetic.COMPRESSED])
def test_mutant_is_read_or_refused(uid: str) -> None:
    bits = 8 if uid == synthetic.BASELINE else 12
    data = dicom(
        uid=uid,
        bits=bits,
        VOILUTSequence=[lut(0, np.arange(64, dtype=np.uint16), 12)],
        WindowCenter=["40", "50"],
        WindowWidth=["100", "200"],
        RescaleSlope="2",
        RescaleIntercept="-5",
    )
    generator = np.random.default_rng([int(part) for part in uid.split(".")])
    outcomes: Counter[str] = Counter()
    for _ in range(MUTANTS):
        try:
            read(mutated(data, generator), limits=LIMITS)
            outcomes["read"] += 1
        except InputRefused as error:  # noqa: PERF203 - that is what is counted
            outcomes[error.code] += 1
    assert sum(outcomes.values()) == MUTANTS
    assert len(outcomes) > 2, "mutants that all end alike test nothing"
