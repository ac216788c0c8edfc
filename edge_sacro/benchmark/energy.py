"""Energy, where the device tells it: processors by RAPL, GPUs by NVML, Jetson boards by tegrastats. Never a guess."""

from __future__ import annotations

import ctypes
import itertools
import subprocess
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from edge_sacro.benchmark.meter import Meter, NotMeasured, Reading
from edge_sacro.benchmark.processes import text_of
from edge_sacro.benchmark.rails import rails_from_line, total_from_rails

RAPL = Path("/sys/class/powercap")
TEGRASTATS = ("tegrastats", "--interval", "100")
FIRST_LINE_S = 5.0
"""After which a tegrastats that said nothing is taken to have nothing to say."""

SAMPLE_S = 0.5
"""Between two looks at a counter, which must not run round in between: RAPL's hold minutes at full power."""


class _Counters(Meter):
    """Looks at counters of joules from a thread of its own, and adds up by how much they went on."""

    covers = ""

    def start(self) -> None:
        self._joules: dict[str, float] = {}
        self._last = self._read()
        self._began = time.monotonic()
        self._over = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> Reading:
        self._over.set()
        self._thread.join()
        if self._failure is None:
            self._look()
        if self._failure is not None:
            raise NotMeasured(f"it failed while it was read: {self._failure}") from self._failure
        seconds = time.monotonic() - self._began
        return Reading(self.covers, self._sum(self._joules), dict(self._joules), seconds)

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_S) and self._failure is None:
            self._look()

    def _look(self) -> None:
        try:
            now = self._read()
        except NotMeasured as error:
            self._failure = error
            return
        for rail, value in now.items():
            self._joules[rail] = self._joules.get(rail, 0.0) + self._step(rail, self._last[rail], value)
        self._last = now

    def _step(self, rail: str, before: float, now: float) -> float:  # noqa: ARG002 - RAPL's counters run round by rail
        return now - before

    def _sum(self, joules: dict[str, float]) -> float:
        return sum(joules.values())

    @abstractmethod
    def _read(self) -> dict[str, float]:
        """The counters in joules."""


class Rapl(_Counters):
    """Counters of the processor's packages and their memory (Linux kernel documentation, Power Capping Framework).

    Args:
        folder: of the framework.
    """

    name = "rapl"
    covers = "processor packages and their memory"

    def __init__(self, folder: Path = RAPL) -> None:
        self._zones: dict[str, Path] = {}
        self._ranges: dict[str, float] = {}
        for zone in sorted(folder.glob("intel-rapl:*")):
            rail = self._rail(zone)
            if rail is not None:
                self._zones[rail] = zone / "energy_uj"
                self._ranges[rail] = _joules_from_file(zone / "max_energy_range_uj")
        if not self._zones:
            raise NotMeasured("the kernel has no RAPL zone")
        self._read()

    @staticmethod
    def _rail(zone: Path) -> str | None:
        """``package-0`` of ``intel-rapl:0``, ``package-0/dram`` of the zone inside; None of what is part of another."""
        name = (text_of(zone / "name") or "").strip()
        if zone.name.count(":") == 1:
            return name if name.startswith("package") else None
        parent = (text_of(zone.parent / zone.name.rpartition(":")[0] / "name") or "").strip()
        return f"{parent}/{name}" if name == "dram" and parent.startswith("package") else None

    def _read(self) -> dict[str, float]:
        return {rail: _joules_from_file(path) for rail, path in self._zones.items()}

    def _step(self, rail: str, before: float, now: float) -> float:
        return now - before if now >= before else now - before + self._ranges[rail]


def _joules_from_file(path: Path) -> float:
    """A counter in microjoules."""
    try:
        return int(path.read_text()) / 1e6
    except PermissionError as error:
        raise NotMeasured(f"only root may read RAPL's {path.name} on this kernel") from error
    except (OSError, ValueError) as error:
        raise NotMeasured(f"RAPL's {path.name} cannot be read: {error}") from error


class Nvml(_Counters):
    """The energy counter of each NVIDIA GPU, Volta and later (NVML, nvmlDeviceGetTotalEnergyConsumption, in mJ).

    Args:
        open_library: gives the library; the seam of the tests.
    """

    name = "nvml"
    covers = "boards of all NVIDIA GPUs"

    def __init__(self, open_library: Callable[[], Any] = lambda: ctypes.CDLL("libnvidia-ml.so.1")) -> None:
        try:
            self._library = open_library()
        except OSError as error:
            raise NotMeasured(f"no NVIDIA driver: {error}") from error
        self._call("nvmlInit_v2")
        count = ctypes.c_uint()
        self._call("nvmlDeviceGetCount_v2", ctypes.byref(count))
        self._devices: dict[str, ctypes.c_void_p] = {}
        for index in range(count.value):
            device = ctypes.c_void_p()
            self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(device))
            self._devices[f"gpu-{index}"] = device
        if not self._devices:
            raise NotMeasured("NVML knows no GPU")
        self._read()

    def _read(self) -> dict[str, float]:
        found, millijoules = {}, ctypes.c_ulonglong()
        for rail, device in self._devices.items():
            self._call("nvmlDeviceGetTotalEnergyConsumption", device, ctypes.byref(millijoules))
            found[rail] = millijoules.value / 1e3
        return found

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, name, None)
        if function is None:
            raise NotMeasured(f"this NVML has no {name}")
        status = function(*arguments)
        if status != 0:
            raise NotMeasured(f"{name} gives status {status}{' (not supported)' if status == 3 else ''}")


class Tegrastats(Meter):
    """Power by rail of a Jetson, ten times a second, added up over time.

    Args:
        command: writes lines of tegrastats until it is stopped.
    """

    name = "tegrastats"

    def __init__(self, command: Sequence[str] = TEGRASTATS) -> None:
        self._command = list(command)
        try:
            process = self._opened()
        except OSError as error:
            raise NotMeasured(f"no tegrastats: {error.strerror}") from error
        silence = threading.Timer(FIRST_LINE_S, process.terminate)
        silence.start()
        try:
            line = process.stdout.readline() if process.stdout else ""
        finally:
            silence.cancel()
            _end(process)
        if total_from_rails(rails_from_line(line)) is None:
            raise NotMeasured("tegrastats tells no known power rail; some releases tell them to root alone")

    def start(self) -> None:  # noqa: D102 - as the base says
        self._lines: list[tuple[float, str]] = []
        self._process = self._opened()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True)
        self._thread.start()

    def stop(self) -> Reading:  # noqa: D102 - as the base says
        ended = time.monotonic()
        _end(self._process, self._thread)
        return reading_from_lines(self._lines, self._began, ended)

    def _listen(self, stream: IO[str]) -> None:
        for line in stream:
            if line.endswith("\n"):  # the last one may be cut off
                self._lines.append((time.monotonic(), line))

    def _opened(self) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 - a constant command
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )


def reading_from_lines(lines: Sequence[tuple[float, str]], began: float, ended: float) -> Reading:
    """Add up tegrastats' lines, each with the time when it came: power is linear between two, level at both ends.

    Args:
        lines: time in seconds and text, in order.
        began: from when on to add up, in the same seconds.
        ended: until when.

    Raises:
        NotMeasured: fewer than two lines with known rails came in that time, or their rails changed.
    """
    told = [(at, rails_from_line(line)) for at, line in lines if began <= at <= ended]
    told = [(at, rails) for at, rails in told if total_from_rails(rails) is not None]
    if len(told) < 2:
        raise NotMeasured(f"tegrastats told its rails {len(told)} times meanwhile, and two are the least")
    if len({frozenset(rails) for _, rails in told}) != 1:
        raise NotMeasured("tegrastats told other rails in some lines than in others")
    at_ends = [(began, told[0][1]), *told, (ended, told[-1][1])]
    joules = dict.fromkeys(told[0][1], 0.0)
    for (start, first), (end, second) in itertools.pairwise(at_ends):
        for rail in joules:
            joules[rail] += (first[rail] + second[rail]) / 2 * (end - start)
    total = total_from_rails(joules)
    if total is None:
        raise AssertionError("each line had a total, and all have the same rails")
    return Reading(total[1], total[0], joules, ended - began)


def _end(process: subprocess.Popen[str], listener: threading.Thread | None = None) -> None:
    """End a process; then whoever listens to it, for whom its stream ends; then the stream."""
    process.terminate()
    try:
        process.wait(2.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if listener is not None:
        listener.join()
    if process.stdout is not None:
        process.stdout.close()


METERS: dict[str, Callable[[], Meter]] = {"rapl": Rapl, "nvml": Nvml, "tegrastats": Tegrastats}


def meters(kinds: dict[str, Callable[[], Meter]] | None = None) -> tuple[list[Meter], dict[str, str]]:
    """Every meter that is here, and of each other one why it is not."""
    found, missing = [], {}
    for name, make in (METERS if kinds is None else kinds).items():
        try:
            found.append(make())
        except NotMeasured as error:  # noqa: PERF203 - a meter that is absent leaves the others
            missing[name] = str(error)
    return found, missing
