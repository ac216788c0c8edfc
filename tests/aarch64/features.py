"""``/proc/cpuinfo`` of the processor that QEMU shows a program: it emulates instructions, and this file not.

``python features.py CPU`` prints it. ONNX Runtime and Edge-Sacro read it; told of dot products that are not there, ONNX
Runtime ends with an illegal instruction. Names and bits: Linux, arch/arm64/kernel/cpuinfo.c and asm/hwcap.h.
"""

from __future__ import annotations

import ctypes
import sys

AT_HWCAP, AT_HWCAP2 = 16, 26
HWCAP = [
    "fp",
    "asimd",
    "evtstrm",
    "aes",
    "pmull",
    "sha1",
    "sha2",
    "crc32",
    "atomics",
    "fphp",
    "asimdhp",
    "cpuid",
    "asimdrdm",
    "jscvt",
    "fcma",
    "lrcpc",
    "dcpop",
    "sha3",
    "sm3",
    "sm4",
    "asimddp",
    "sha512",
    "sve",
    "asimdfhm",
    "dit",
    "uscat",
    "ilrcpc",
    "flagm",
    "ssbs",
    "sb",
    "paca",
    "pacg",
]
HWCAP2 = [
    "dcpodp",
    "sve2",
    "sveaes",
    "svepmull",
    "svebitperm",
    "svesha3",
    "svesm4",
    "flagm2",
    "frint",
    "svei8mm",
    "svef32mm",
    "svef64mm",
    "svebf16",
    "i8mm",
    "bf16",
    "dgh",
    "rng",
    "bti",
    "mte",
    "ecv",
    "afp",
    "rpres",
    "mte3",
    "sme",
]
PARTS = {
    "cortex-a35": (0x41, 0xD04),
    "cortex-a53": (0x41, 0xD03),
    "cortex-a57": (0x41, 0xD07),
    "cortex-a72": (0x41, 0xD08),
    "cortex-a76": (0x41, 0xD0B),
    "neoverse-n1": (0x41, 0xD0C),
    "max": (0x00, 0x051),
}
"""Implementer and part number, as QEMU's MIDR_EL1 has them."""


def features_from_bits(hwcap: int, hwcap2: int) -> list[str]:
    """Names of the bits that are set, in their order."""
    bits = [(HWCAP, hwcap), (HWCAP2, hwcap2)]
    return [name for names, word in bits for number, name in enumerate(names) if word >> number & 1]


def cpu_info(cpu: str, features: list[str]) -> str:
    """The file for one processor, as Linux writes it."""
    implementer, part = PARTS[cpu]
    rows = [
        ("processor\t", "0"),
        ("BogoMIPS\t", "62.50"),
        ("Features\t", " ".join(features)),
        ("CPU implementer\t", f"0x{implementer:02x}"),
        ("CPU architecture", "8"),
        ("CPU variant\t", "0x0"),
        ("CPU part\t", f"0x{part:03x}"),
        ("CPU revision\t", "0"),
    ]
    return "".join(f"{name}: {value}\n" for name, value in rows) + "\n"


def main(cpu: str) -> None:
    """Print the file for the processor that this runs on."""
    libc = ctypes.CDLL(None)
    libc.getauxval.restype, libc.getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
    sys.stdout.write(cpu_info(cpu, features_from_bits(libc.getauxval(AT_HWCAP), libc.getauxval(AT_HWCAP2))))


if __name__ == "__main__":
    main(*sys.argv[1:])
