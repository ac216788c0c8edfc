"""The package's names are pinned, importing it is light, and its documentation says what it does."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from edge_sacro import dicom, errors
from edge_sacro.dicom.acceptance import LOSSY_LIMIT, OVERRIDES
from edge_sacro.dicom.decoders import SYNTAXES
from tests.conftest import ROOT

DOC = ROOT / "docs" / "dicom-input.md"


def rows(heading: str) -> list[list[str]]:
    """Cells of the table below a heading, without its first two lines."""
    section = DOC.read_text(encoding="utf-8").split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_names_are_pinned() -> None:
    assert dicom.__all__ == [
        "Frame",
        "Instance",
        "Isolation",
        "ReadLimits",
        "Source",
        "Window",
        "check_acceptance",
        "display_from_radiograph",
        "find_instances",
        "read",
        "read_frames",
        "warm_up",
    ]
    for name in dicom.__all__:
        assert hasattr(dicom, name)


def test_import_loads_no_vendor() -> None:
    code = "import sys, json, edge_sacro.dicom; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(json.loads(run.stdout))
    assert "edge_sacro.dicom" in loaded
    assert not {"pydicom", "imagecodecs", "cv2", "onnxruntime"} & loaded


def test_documented_syntaxes_are_those_of_the_table() -> None:
    documented = {row[0]: (row[1], row[2]) for row in rows("Transfer syntaxes")}
    assert documented == {uid: (each.name, each.decoder) for uid, each in SYNTAXES.items()}


def test_documented_refusals_are_those_of_the_error_tree() -> None:
    documented = {row[0]: (row[1], row[2], row[4]) for row in rows("Refusals")}
    assert documented == {
        each.code: (str(each.exit_code), "yes" if each.overridable else "no", each.default_remedy)
        for each in errors.InputRefused.__subclasses__()
    }


def test_overridable_refusals_are_those_that_acceptance_knows() -> None:
    assert {each.code for each in errors.InputRefused.__subclasses__() if each.overridable} == OVERRIDES


def test_documented_limits_are_the_defaults() -> None:
    documented = {row[0]: row[1] for row in rows("Limits")}
    limits = dicom.ReadLimits()
    assert {name: float(re.sub(r"[^\d.]", "", value)) for name, value in documented.items()} == {
        "file_bytes": limits.file_bytes / 2**20,
        "min_side": limits.min_side,
        "max_side": limits.max_side,
        "max_frames": limits.max_frames,
        "memory_bytes": limits.memory_bytes / 2**20,
        "cpu_s": limits.cpu_s,
        "wall_s": limits.wall_s,
        "lossy_limit": LOSSY_LIMIT,
    }
