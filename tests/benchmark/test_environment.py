"""The record of the machine, on folders laid down as Linux has them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from edge_sacro.benchmark import environment, processes
from tests.benchmark.documents import MACHINE, document

TICKS = os.sysconf("SC_CLK_TCK")


def _write(root: Path, **files: str) -> None:
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def _board(root: Path) -> None:
    _write(
        root,
        proc__meminfo="MemTotal:       7620000 kB\nMemAvailable:   3810000 kB\n",
        proc__cpuinfo="processor\t: 0\nmodel name\t: ARMv8 Processor rev 1 (v8l)\n",
        sys__fs__cgroup__cpu_max="",
        etc__nv_tegra_release="# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n",
    )
    (root / "etc/os-release").write_text('NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"\n')
    (root / "sys/fs/cgroup/cpu.max").write_text("150000 100000\n")
    (root / "proc/device-tree").mkdir()
    (root / "proc/device-tree/model").write_bytes(b"NVIDIA Jetson Orin Nano\x00")
    for policy, frequency in (("policy0", 1_344_000), ("policy4", 729_600)):
        folder = root / "sys/devices/system/cpu/cpufreq" / policy
        folder.mkdir(parents=True)
        for name, value in (("cur", frequency), ("min", 115_200), ("max", 1_510_400)):
            (folder / f"scaling_{name}_freq").write_text(f"{value}\n")
        (folder / "scaling_governor").write_text("schedutil\n")


def test_a_boards_record_is_read_from_its_files(tmp_path: Path) -> None:
    _board(tmp_path)
    found = environment.environment((0.5, 0.4, 0.3), 0.02, tmp_path)
    assert found.board == "NVIDIA Jetson Orin Nano"
    assert found.jetson_linux == "R36 (release).4.3"
    assert found.operating_system == "Ubuntu 22.04.5 LTS"
    assert found.governors == {"schedutil": 2}
    assert found.frequency_mhz == pytest.approx({"cur": 1344.0, "min": 115.2, "max": 1510.4})
    assert found.cpu_quota == 1.5
    assert found.memory_mb == pytest.approx(7620000 * 1024 / 1e6, abs=0.05)
    assert found.processor_name == "ARMv8 Processor rev 1 (v8l)"
    assert found.load_before == (0.5, 0.4, 0.3)
    assert "numpy" in found.packages


def test_what_a_machine_does_not_tell_is_null(tmp_path: Path) -> None:
    found = environment.environment(None, None, tmp_path)
    for name in ("governors", "frequency_mhz", "memory_mb", "cpu_quota", "board", "jetson_linux", "processor_name"):
        assert getattr(found, name) is None, name


def test_the_record_names_no_host_and_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "someones-name")
    text = environment.environment(None, None).model_dump_json()
    assert os.uname().nodename not in text or len(os.uname().nodename) < 4
    assert "someones-name" not in text


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("NV Power Mode: MAXN\n0\n", "MAXN (0)"),
        ("NVPM WARN: fan mode is not set!\nNV Power Mode: MODE_15W_6CORE\n2\n", "MODE_15W_6CORE (2)"),
        ("NV Power Mode: MAXN_SUPER\n", "MAXN_SUPER"),
        ("", None),
        ("NV Power Mode:\n0\n", "(0)"),
        ("NV Power Mode: \n", None),
    ],
)
def test_the_power_mode_is_read_from_nvpmodels_words(text: str, mode: str | None) -> None:
    assert environment.mode_from_nvpmodel(text) == mode


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"others_share": 0.5}, "others used 50 %"),
        ({"others_share": None, "load_before": (2.0, 1.0, 1.0)}, "load average was 2"),
        ({"governors": {"performance": 2, "powersave": 2}}, "governed by powersave"),
        ({"cpu_quota": 1.5}, "grants 1.5 of 4"),
    ],
)
def test_what_makes_figures_doubtful_is_warned_of(change: dict[str, object], words: str) -> None:
    quiet = document({"total": [1.0]}).environment
    assert environment.warnings(quiet) == []
    (warning,) = environment.warnings(document({"total": [1.0]}, machine={**MACHINE, **change}).environment)
    assert words in warning


def test_others_share_is_what_this_process_did_not_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cores = os.cpu_count() or 1
    _write(tmp_path, proc__stat="cpu 100 0 0 500 0 0 0 0 0 0\ncpu0 1 1 1 1\n")
    clock = iter([100.0, 102.0])
    monkeypatch.setattr(environment.time, "monotonic", lambda: next(clock))
    own = iter([7.0, 7.5])
    monkeypatch.setattr(environment, "own_processor_s", lambda _: next(own))
    usage = environment.Usage(tmp_path)
    busy = int(1.5 * TICKS)
    _write(tmp_path, proc__stat=f"cpu {100 + busy} 0 0 900 50 0 0 0 0 0\n")
    assert usage.others_share() == pytest.approx((1.5 - 0.5) / (2.0 * cores), abs=1e-3)


def test_others_share_is_null_where_the_system_does_not_tell(tmp_path: Path) -> None:
    assert environment.Usage(tmp_path).others_share() is None


def test_memory_and_children_are_read_as_proc_has_them(tmp_path: Path) -> None:
    _write(tmp_path, proc__self__status="Name:\tx\nVmHWM:\t  20000 kB\nVmRSS:\t  10000 kB\n")
    assert processes.resident_mb(root=tmp_path) == 10.2
    assert processes.resident_mb("VmHWM", root=tmp_path) == 20.5
    own = os.getpid()
    _write(
        tmp_path,
        proc__91__stat=f"91 (a) b) S {own} 1 1 0 -1 0 0 0 0 0 {2 * TICKS} {TICKS} 0 0 20 0\n",
        proc__91__status="VmHWM:\t 1000000 kB\n",
        proc__92__stat=f"92 (other) S {own + 1} 1 1 0 -1 0 0 0 0 0 500 500 0 0 20 0\n",
    )
    assert processes.children(tmp_path) == {91: 3.0}
    assert processes.children_peak_mb(tmp_path) == 1024.0
    assert processes.resident_mb(root=tmp_path / "nowhere") is None
    assert processes.children_peak_mb(tmp_path / "nowhere") is None


def test_own_time_grows_with_work() -> None:
    before, start = processes.own_processor_s(), time.process_time()
    while time.process_time() - start < 0.15:
        sum(range(1000))
    assert 0.1 < processes.own_processor_s() - before < 5.0
