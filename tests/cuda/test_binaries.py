"""The compiled kernels that the package carries."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from edge_sacro.cuda import binaries
from edge_sacro.cuda.binaries import BINARIES, CHOICES, MANIFEST, SOURCES, binary_for, content_of, manifest, source_hash
from edge_sacro.cuda.structs import KERNELS
from edge_sacro.errors import BackendUnavailable, InternalError
from engines.kernels import TARGETS, WHEELS, build_kernels

FATBIN, PTX = (choice.name for choice in CHOICES)
FATBIN_MAGIC = b"\x50\xed\x55\xba"
MOST_BYTES = 256_000


def test_the_binaries_are_those_of_the_sources() -> None:
    assert manifest()["sources"] == source_hash(), "kernels have changed: python -m engines kernels"
    assert manifest()["compilers"] == list(WHEELS)
    assert manifest()["targets"] == list(TARGETS)


def test_a_changed_source_is_noticed(tmp_path: Path) -> None:
    changed = tmp_path / "kernels"
    shutil.copytree(SOURCES, changed)
    assert source_hash(changed) == source_hash()
    with (changed / "pixel.h").open("a") as file:
        file.write("\n")
    assert source_hash(changed) != source_hash()


def test_each_binary_holds_every_kernel() -> None:
    fatbin, ptx = content_of(CHOICES[0]), content_of(CHOICES[1])
    assert fatbin.startswith(FATBIN_MAGIC)
    assert b".version 8.5" in ptx
    assert b".target sm_75" in ptx
    assert set(re.findall(rb"\.entry (\w+)\(", ptx)) == {name.encode() for name in KERNELS}
    for name in KERNELS:
        assert fatbin.count(f".text.{name}\0".encode()) >= len(TARGETS), name


def test_nothing_is_contracted_but_what_the_source_contracts() -> None:
    ptx = content_of(CHOICES[1]).decode(errors="replace")
    contracted = re.findall(r"(?:fma|mad)\.rn\.f(?:32|64)", ptx)
    assert len(contracted) == sum(path.read_text().count("fmaf(") for path in SOURCES.iterdir()) > 0
    arithmetic = re.findall(r"\b(?:add|sub|mul|div|rcp|fma)[.a-z]*\.f(?:32|64)\b", ptx)
    assert len(arithmetic) > 100
    assert all(".rn." in operation for operation in arithmetic), (
        "the driver may contract what has no rounding of its own"
    )


@pytest.mark.heavy
def test_building_again_gives_the_same_bytes(tmp_path: Path) -> None:
    toolchain = os.environ.get("EDGE_SACRO_CUDA_TOOLCHAIN")
    if toolchain is None:
        pytest.skip("name a folder for CUDA's compilers (315 MB, installed by pip) in EDGE_SACRO_CUDA_TOOLCHAIN")
    build_kernels(Path(toolchain), tmp_path)
    assert json.loads((tmp_path / MANIFEST).read_text()) == manifest()


def test_together_they_are_small() -> None:
    assert sum(path.stat().st_size for path in BINARIES.iterdir()) <= MOST_BYTES


@pytest.mark.parametrize(
    ("driver", "capability", "name"),
    [(13000, (7, 5), FATBIN), (13010, (12, 1), FATBIN), (12060, (8, 7), PTX), (12090, (9, 0), PTX)],
)
def test_a_driver_gets_what_it_can_load(driver: int, capability: tuple[int, int], name: str) -> None:
    chosen = next(choice for choice in CHOICES if choice.name == name)
    assert binary_for(driver, capability) == content_of(chosen)


@pytest.mark.parametrize(("driver", "capability"), [(12050, (8, 7)), (13000, (7, 2))])
def test_an_older_driver_or_gpu_is_refused(driver: int, capability: tuple[int, int]) -> None:
    with pytest.raises(BackendUnavailable, match="the kernels need"):
        binary_for(driver, capability)


def test_a_binary_that_was_not_built_here_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(BINARIES, tmp_path / "binaries")
    monkeypatch.setattr(binaries, "BINARIES", tmp_path / "binaries")
    document = manifest()
    document["files"][PTX] = "0" * 64
    (tmp_path / "binaries" / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(InternalError, match="is not what was built"):
        binary_for(12060, (8, 7))
    (tmp_path / "binaries" / f"{FATBIN}.xz").write_bytes(b"torn")
    with pytest.raises(InternalError, match=FATBIN):
        binary_for(13000, (8, 7))
