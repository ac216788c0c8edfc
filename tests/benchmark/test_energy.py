"""Energy: recorded formats, counters that run round, and a reason wherever nothing is told."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import trapezoid

from edge_sacro.benchmark import energy
from edge_sacro.benchmark.meter import NotMeasured
from edge_sacro.benchmark.rails import rails_from_line, total_from_rails

# Lines in the format of the Jetson Linux Developer Guide's page on tegrastats (r35.6, r36.3), with the rails of its
# pages on power for each board; JetPack 7.2 with three values, and Thor's, as their users report them. Written for this
# test: no board was met.
XAVIER_NX_JETPACK5 = (
    "11-21-2026 10:00:00 RAM 2638/6854MB (lfb 652x4MB) SWAP 0/3427MB (cached 0MB) CPU [2%@729,0%@729,off,off] "
    "EMC_FREQ 0%@2133 GR3D_FREQ 14%@[420] APE 174 CV0@-256C CPU@44.5C SOC2@45.5C "
    "VDD_IN 4022mW/4011mW VDD_CPU_GPU_CV 563mW/560mW VDD_SOC 1248mW/1240mW\n"
)
ORIN_NANO_JETPACK6 = (
    "11-21-2026 10:00:00 RAM 779/7620MB (lfb 2x4MB) SWAP 0/3810MB (cached 0MB) CPU [0%@1344,0%@1344] GR3D_FREQ 0% "
    "cpu@50.125C soc2@49.125C tj@50.562C VDD_IN 6626mW/6625mW VDD_CPU_GPU_CV 1228mW/1230mW VDD_SOC 2380mW/2380mW \n"
)
AGX_ORIN_JETPACK6 = (
    "11-21-2026 10:00:00 RAM 2448/62840MB (lfb 2x4MB) SWAP 0/31420MB (cached 0MB) CPU [0%@2201] GR3D_FREQ 0% cpu@42C "
    "VDD_GPU_SOC 4940mW/4930mW VDD_CPU_CV 988mW/980mW VIN_SYS_5V0 4442mW/4440mW NC 0mW/0mW "
    "VDDQ_VDD2_1V8AO 504mW/504mW\n"
)
AGX_ORIN_JETPACK7 = (
    "11-21-2026 10:00:00 RAM 8182/62817MB (lfb 6x4MB) CPU [18%@729,12%@729] GR3D_FREQ 5% cpu@51.343C/51.343C "
    "VDD_GPU_SOC 3588mW/3580mW/3600mW VDD_CPU_CV 797mW/790mW/800mW VIN_SYS_5V0 5148mW/5140mW/5200mW\n"
)
THOR_JETPACK7 = (
    "RAM 117456/125772MB (lfb 9x4MB) CPU [0%@1890,5%@1890] cpu@43.812C tj@44.218C gpu@43.968C "
    "VDD_GPU -392mW/100mW VDD_CPU_SOC_MSS 7484mW/7480mW VIN_SYS_5V0 6309mW/6300mW VIN 28548mW/28500mW\n"
)
THOR_SINGLE = "RAM 1/2MB cpu@43.8C VDD_GPU 5517mW VDD_CPU_SOC_MSS 7484mW VIN_SYS_5V0 6309mW VIN 28548mW\n"
WITHOUT_ROOT = "RAM 779/7620MB (lfb 2x4MB) SWAP 0/3810MB (cached 0MB) CPU [0%@1344] GR3D_FREQ 0% tj@50.562C\n"


@pytest.mark.parametrize(
    ("line", "watts", "covers", "rails"),
    [
        (XAVIER_NX_JETPACK5, 4.022, "module: VDD_IN", 3),
        (ORIN_NANO_JETPACK6, 6.626, "module: VDD_IN", 3),
        (AGX_ORIN_JETPACK6, 4.940 + 0.988 + 4.442, "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0", 5),
        (AGX_ORIN_JETPACK7, 3.588 + 0.797 + 5.148, "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0", 3),
        (THOR_JETPACK7, 28.548, "carrier board: VIN", 4),
        (THOR_SINGLE, 28.548, "carrier board: VIN", 4),
    ],
)
def test_each_boards_line_gives_its_present_power(line: str, watts: float, covers: str, rails: int) -> None:
    found = rails_from_line(line)
    total = total_from_rails(found)
    assert total is not None
    assert total[0] == pytest.approx(watts)
    assert covers in total[1]
    assert len(found) == rails


def test_memory_frequencies_and_temperatures_are_no_rails() -> None:
    assert rails_from_line(WITHOUT_ROOT) == {}
    assert total_from_rails({}) is None
    assert total_from_rails({"VDD_SOC": 1.0}) is None, "a part of the board is not passed for the whole"
    assert total_from_rails({"VIN_SYS_5V0": 1.0}) is None
    assert rails_from_line(THOR_JETPACK7)["VDD_GPU"] == -0.392


def test_power_is_added_up_as_the_trapezoid_rule_does() -> None:
    random = np.random.default_rng(3)
    times = np.concatenate([[10.0], np.sort(random.uniform(10.0, 14.0, 20)), [14.0]])
    milliwatts = random.integers(4000, 9000, 22)
    milliwatts[0], milliwatts[-1] = milliwatts[1], milliwatts[-2]
    lines = [
        (float(at), f"RAM 1/2MB VDD_IN {value}mW/1mW VDD_SOC {value // 2}mW/1mW\n")
        for at, value in zip(times[1:-1], milliwatts[1:-1], strict=True)
    ]
    strays = [(9.0, "VDD_IN 99999mW/1mW VDD_SOC 1mW/1mW\n"), *lines, (15.0, "VDD_IN 99999mW/1mW VDD_SOC 1mW/1mW\n")]
    found = energy.reading_from_lines(strays, 10.0, 14.0)
    assert found.joules == pytest.approx(trapezoid(milliwatts / 1e3, times))
    assert found.rails["VDD_SOC"] == pytest.approx(trapezoid((milliwatts // 2) / 1e3, times))
    assert found.seconds == 4.0


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "0 times"),
        ([(1.0, ORIN_NANO_JETPACK6)], "1 times"),
        ([(1.0, WITHOUT_ROOT), (2.0, WITHOUT_ROOT)], "0 times"),
        ([(1.0, ORIN_NANO_JETPACK6), (2.0, THOR_JETPACK7)], "other rails"),
    ],
)
def test_too_few_and_unequal_lines_tell_nothing(lines: list[tuple[float, str]], reason: str) -> None:
    with pytest.raises(NotMeasured, match=reason):
        energy.reading_from_lines(lines, 0.0, 3.0)


def _wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.005)


def _command(line: str) -> list[str]:
    code = f"import time\nwhile True:\n    print({line.strip()!r}, flush=True)\n    time.sleep(0.02)"
    return [sys.executable, "-c", code]


def test_a_running_tegrastats_is_listened_to_and_ended() -> None:
    meter = energy.Tegrastats(_command(ORIN_NANO_JETPACK6))
    meter.start()
    _wait_until(lambda: len(meter._lines) > 2)
    found = meter.stop()
    assert found.joules == pytest.approx(6.626 * found.seconds)
    assert meter._process.returncode is not None, "nothing is left running"


def test_a_tegrastats_that_hides_its_rails_or_is_absent_is_told() -> None:
    with pytest.raises(NotMeasured, match="root"):
        energy.Tegrastats(_command(WITHOUT_ROOT))
    with pytest.raises(NotMeasured, match="no tegrastats"):
        energy.Tegrastats(["/nowhere/tegrastats"])


def test_a_tegrastats_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "FIRST_LINE_S", 0.2)
    with pytest.raises(NotMeasured, match="no known power rail"):
        energy.Tegrastats([sys.executable, "-c", "import time; time.sleep(60)"])


def _zone(folder: Path, name: str, content: str, microjoules: int, largest: int = 1_000_000) -> Path:
    zone = folder / name
    zone.mkdir(parents=True)
    (zone / "name").write_text(f"{content}\n")
    (zone / "energy_uj").write_text(f"{microjoules}\n")
    (zone / "max_energy_range_uj").write_text(f"{largest}\n")
    return zone


def test_rapl_adds_packages_and_their_memory_and_counts_nothing_twice(tmp_path: Path) -> None:
    package = _zone(tmp_path, "intel-rapl:0", "package-0", 900_000)
    core = _zone(tmp_path, "intel-rapl:0:0", "core", 100_000)
    memory = _zone(tmp_path, "intel-rapl:0:1", "dram", 200_000)
    whole = _zone(tmp_path, "intel-rapl:1", "psys", 100_000)
    _zone(tmp_path, "intel-rapl-mmio:0", "package-0", 100_000)
    meter = energy.Rapl(tmp_path)
    meter.start()
    (package / "energy_uj").write_text("150000")  # it ran round: 0.1 J to the end and 0.15 J from the beginning
    (memory / "energy_uj").write_text("500000")
    (core / "energy_uj").write_text("900000")
    (whole / "energy_uj").write_text("900000")
    found = meter.stop()
    assert found.rails == pytest.approx({"package-0": 0.25, "package-0/dram": 0.3})
    assert found.joules == pytest.approx(0.55)


def test_rapl_notices_several_rounds_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "SAMPLE_S", 0.01)
    package = _zone(tmp_path, "intel-rapl:0", "package-0", 0)
    meter = energy.Rapl(tmp_path)
    meter.start()
    for _ in range(3):
        for microjoules in (600_000, 100_000):
            replaced = package / "new"
            replaced.write_text(f"{microjoules}")
            replaced.replace(package / "energy_uj")
            _wait_until(lambda: meter._last == {"package-0": microjoules / 1e6})  # noqa: B023 - called at once
    assert meter.stop().joules == pytest.approx(0.6 + 5 * 0.5), (
        "half of the range at each step, every second one round its end"
    )


def test_rapl_without_zones_rights_or_numbers_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotMeasured, match="no RAPL zone"):
        energy.Rapl(tmp_path)
    package = _zone(tmp_path, "intel-rapl:0", "package-0", 0)
    (package / "energy_uj").write_text("none\n")
    with pytest.raises(NotMeasured, match="cannot be read"):
        energy.Rapl(tmp_path)

    def refused(self: Path, *arguments: Any, **named: Any) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(energy, "text_of", lambda _: "package-0")
    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(NotMeasured, match="only root"):
        energy.Rapl(tmp_path)


def test_a_counter_that_fails_meanwhile_is_told_and_no_zero(tmp_path: Path) -> None:
    package = _zone(tmp_path, "intel-rapl:0", "package-0", 0)
    meter = energy.Rapl(tmp_path)
    meter.start()
    (package / "energy_uj").unlink()
    with pytest.raises(NotMeasured, match="failed while"):
        meter.stop()


class FakeNvml:
    """The functions that are called, with the signatures of nvml.h."""

    def __init__(self, gpus: int, statuses: dict[str, int] | None = None) -> None:
        self.gpus, self.statuses, self.millijoules = gpus, statuses or {}, 5_000

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return self.statuses.get("init", 0)

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.gpus
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: ctypes.c_uint, device: Any) -> int:  # noqa: N802
        device._obj.value = index.value + 1
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, device: ctypes.c_void_p, millijoules: Any) -> int:  # noqa: N802
        assert device.value is not None
        millijoules._obj.value = self.millijoules * device.value
        return self.statuses.get("energy", 0)


def test_nvml_counts_every_gpu_apart() -> None:
    library = FakeNvml(2)
    meter = energy.Nvml(lambda: library)
    meter.start()
    library.millijoules += 2_000
    found = meter.stop()
    assert found.rails == pytest.approx({"gpu-0": 2.0, "gpu-1": 4.0})
    assert found.joules == pytest.approx(6.0)


def test_nvml_that_cannot_tell_says_why() -> None:
    def absent() -> Any:
        raise OSError("libnvidia-ml.so.1: no such file")

    for library, reason in (
        (absent, "no NVIDIA driver"),
        (lambda: FakeNvml(0), "no GPU"),
        (lambda: FakeNvml(1, {"init": 9}), "nvmlInit_v2 gives status 9"),
        (lambda: FakeNvml(1, {"energy": 3}), "not supported"),
    ):
        with pytest.raises(NotMeasured, match=reason):
            energy.Nvml(library)


def test_nvml_without_one_of_its_functions_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    assert energy.Nvml(lambda: FakeNvml(1)).covers, "with all of them it is made"
    monkeypatch.delattr(FakeNvml, "nvmlDeviceGetTotalEnergyConsumption")
    with pytest.raises(NotMeasured, match="no nvmlDeviceGetTotalEnergyConsumption"):
        energy.Nvml(lambda: FakeNvml(1))


def test_meters_that_are_not_here_are_named_with_their_reasons(tmp_path: Path) -> None:
    kinds = {"rapl": lambda: energy.Rapl(tmp_path), "nvml": lambda: energy.Nvml(lambda: FakeNvml(1))}
    found, missing = energy.meters(kinds)
    assert [meter.name for meter in found] == ["nvml"]
    assert missing == {"rapl": "the kernel has no RAPL zone"}
