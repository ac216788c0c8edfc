"""The machine that a benchmark ran on: what decides its figures, and nothing that names a site or a patient."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
import time
from collections import Counter
from importlib import metadata
from pathlib import Path

from edge_sacro.benchmark.document import Environment
from edge_sacro.benchmark.processes import machine_processor_s, own_processor_s, text_of
from edge_sacro.engine.device import processor
from edge_sacro.processors import allowed_processors, granted_processors

PACKAGES = (
    *("numpy", "pydicom", "imagecodecs", "opencv-python-headless", "opencv-python", "onnxruntime", "onnxruntime-gpu"),
    *("openvino", "tensorrt", "tensorrt-rtx", "pycuda"),
)
BUSY_SHARE = 0.1
"""Part of the processors' time that others may use before a reader is warned."""

ROOT = Path("/")


class Usage:
    """Processor time that others use, from when this is made on."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._busy, self._own, self._clock = machine_processor_s(root), own_processor_s(root), time.monotonic()

    def others_share(self) -> float | None:
        """Part of all processors' time since the beginning that others used, 0 to 1; None where it is not told."""
        busy, cores = machine_processor_s(self._root), os.cpu_count()
        elapsed = time.monotonic() - self._clock
        if busy is None or self._busy is None or not cores or elapsed <= 0:
            return None
        others = (busy - self._busy) - (own_processor_s(self._root) - self._own)
        return round(min(max(others / (elapsed * cores), 0.0), 1.0), 3)


def environment(load_before: tuple[float, ...] | None, others_share: float | None, root: Path = ROOT) -> Environment:
    """What this machine tells of itself now.

    Args:
        load_before: load averages from before the measurement.
        others_share: see :class:`Usage`.
        root: where ``proc``, ``sys`` and ``etc`` stand.
    """
    memory = text_of(root / "proc/meminfo") or ""
    model = re.search(r"^model name\s*:\s*(.+)$", text_of(root / "proc/cpuinfo") or "", re.MULTILINE)
    release = text_of(root / "etc/nv_tegra_release")
    return Environment(
        machine=platform.machine(),
        processor=processor(),
        processor_name=model[1].strip() if model else None,
        cores=os.cpu_count(),
        cores_allowed=allowed_processors(),
        cpu_quota=granted_processors(root),
        governors=_governors(root),
        frequency_mhz=_frequencies(root),
        memory_mb=_kilobytes(memory, "MemTotal"),
        memory_available_mb=_kilobytes(memory, "MemAvailable"),
        load_before=load_before,
        load_after=load(),
        others_share=others_share,
        operating_system=_system(root),
        kernel=platform.release(),
        python=platform.python_version(),
        packages=_versions(),
        board=(text_of(root / "proc/device-tree/model") or "").strip("\0\n ") or None,
        jetson_linux=release.partition(",")[0].lstrip("# ") + _revision(release) if release else None,
        power_mode=_power_mode(),
    )


def load() -> tuple[float, ...] | None:
    """Load averages over 1, 5 and 15 minutes; None where the system has none."""
    try:
        return tuple(round(value, 2) for value in os.getloadavg())
    except OSError:
        return None


def warnings(found: Environment) -> list[str]:
    """What of the machine makes its figures doubtful."""
    told = []
    if found.others_share is not None and found.others_share > BUSY_SHARE:
        told.append(
            f"the machine was not idle: others used {100 * found.others_share:.0f} % of all processors' time while it "
            "was measured; read ratios within this document and no times"
        )
    elif busy(found) and found.load_before:
        told.append(f"the machine was not idle: its load average was {found.load_before[0]:g} before")
    slow = sorted(set(found.governors or ()) - {"performance"})
    if slow:
        told.append(f"the processor's frequency is governed by {', '.join(slow)}, so that it may change between runs")
    if found.cpu_quota is not None and found.cores and found.cpu_quota < found.cores:
        told.append(f"a control group grants {found.cpu_quota:g} of {found.cores} processors")
    return told


def busy(found: Environment) -> bool:
    """Whether others used this machine: by their processor time, or by the load before where that is not told."""
    if found.others_share is not None:
        return found.others_share > BUSY_SHARE
    return bool(found.load_before and found.cores and found.load_before[0] > BUSY_SHARE * found.cores)


def _kilobytes(text: str, field: str) -> float | None:
    found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    return None if found is None else round(int(found[1]) * 1024 / 1e6, 1)


def _governors(root: Path) -> dict[str, int] | None:
    files = sorted((root / "sys/devices/system/cpu/cpufreq").glob("policy*/scaling_governor"))
    found = Counter(text.strip() for text in map(text_of, files) if text)
    return dict(sorted(found.items())) or None


def _frequencies(root: Path) -> dict[str, float] | None:
    """In MHz; the files are in kHz (kernel documentation, CPU performance scaling)."""
    found = {}
    for name, chosen in (("cur", max), ("min", min), ("max", max)):
        files = (root / "sys/devices/system/cpu/cpufreq").glob(f"policy*/scaling_{name}_freq")
        values = [int(text) / 1e3 for text in map(text_of, files) if text and text.strip().isdigit()]
        if values:
            found[name] = chosen(values)
    return found or None


def _system(root: Path) -> str:
    pretty = re.search(r'^PRETTY_NAME="?([^"\n]+)"?$', text_of(root / "etc/os-release") or "", re.MULTILINE)
    return pretty[1] if pretty else platform.system()


def _versions() -> dict[str, str]:
    found = {}
    for each in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[each] = metadata.version(each)
    return found


def _revision(release: str) -> str:
    found = re.search(r"REVISION: ([\d.]+)", release)
    return f".{found[1]}" if found else ""


def _power_mode() -> str | None:
    """The line with the mode's name, and its number, of ``nvpmodel -q``; None where there is no such command."""
    try:
        done = subprocess.run(
            ["nvpmodel", "-q"],  # noqa: S607 - where the board's image has it
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return mode_from_nvpmodel(done.stdout)


def mode_from_nvpmodel(text: str) -> str | None:
    """``"MAXN (0)"`` from ``NV Power Mode: MAXN`` and the number in the line after it; None where neither is there."""
    found = re.search(r"^NV Power Mode:[ \t]*(\S*)[ \t]*(?:\n\s*(\d+)\s*)?$", text, re.MULTILINE)
    if found is None:
        return None
    name, number = found[1], found[2] and f"({found[2]})"
    return " ".join(part for part in (name, number) if part) or None
