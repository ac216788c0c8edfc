"""Memory and processor time of this process and of those that decode for it, as Linux tells them (proc(5))."""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path

ROOT = Path("/")


def resident_mb(field: str = "VmRSS", pid: int | None = None, root: Path = ROOT) -> float | None:
    """Resident memory in MB of 10^6 bytes; None where the system does not tell.

    Args:
        field: ``"VmRSS"`` for now, ``"VmHWM"`` for the largest so far; the file has them in units of 1024 bytes.
        pid: of the process; this one where None.
        root: where ``proc`` stands.
    """
    text = text_of(root / "proc" / str(pid or "self") / "status") or ""
    found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    return None if found is None else round(int(found[1]) * 1024 / 1e6, 1)


def children(root: Path = ROOT) -> dict[int, float]:
    """Processor seconds used so far by each living child of this process, by its id."""
    found = {}
    for path in (root / "proc").glob("[0-9]*/stat"):
        # The name in brackets may hold anything, so that fields are counted from its last bracket on.
        words = (text_of(path) or "").rpartition(")")[2].split()
        if len(words) > 12 and int(words[1]) == os.getpid():
            ticks = int(words[11]) + int(words[12])
            found[int(path.parent.name)] = ticks / float(os.sysconf("SC_CLK_TCK"))
    return found


def children_peak_mb(root: Path = ROOT) -> float | None:
    """The sum of the living children's largest resident memory, in MB; None where there is none or it is not told."""
    peaks = [resident_mb("VmHWM", pid, root) for pid in children(root)]
    told = [peak for peak in peaks if peak is not None]
    return round(sum(told), 1) if told else None


def own_processor_s(root: Path = ROOT) -> float:
    """Processor seconds used so far by this process and its children, ended or living."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used) + sum(children(root).values())


def machine_processor_s(root: Path = ROOT) -> float | None:
    """Seconds that all processors were busy since the machine started; None where it is not told.

    Everything in the first line of ``/proc/stat`` but idle and iowait; guests are within user time already.
    """
    words = (text_of(root / "proc/stat") or "").partition("\n")[0].split()
    if len(words) < 9 or words[0] != "cpu":
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, words[1:9])
    return (user + nice + system + irq + softirq + steal) / float(os.sysconf("SC_CLK_TCK"))


def text_of(path: Path) -> str | None:
    """A file's text; None where it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None
