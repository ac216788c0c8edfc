"""The surface: what is imported, exported, shipped and linked."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

HEAVY = ["onnxruntime", "imagecodecs", "cv2", "torch", "openvino", "tensorrt", "tensorrt_rtx", "pycuda"]
HEAVY += ["pydantic", "rich", "pydicom", "cryptography"]
CPU_SECONDS = 0.3

EXPORTED = {
    "edge_sacro": ["Runtime", "__version__"],
    "edge_sacro.phantom": [
        "LEFT_HIP",
        "LEFT_JOINT",
        "NOTICE",
        "RIGHT_HIP",
        "RIGHT_JOINT",
        "SACRUM",
        "CtOptions",
        "CtSeries",
        "JointTruth",
        "Phantom",
        "PhantomOptions",
        "PhantomTruth",
        "ct_from_series",
        "dx_from_phantom",
        "render",
        "render_ct",
        "write_ct_study",
        "write_dx",
        "write_study",
    ],
    "edge_sacro.engine": ["BACKENDS", "Engine", "NetworkSpec", "Opener", "TensorSpec", "open_engine"],
    "edge_sacro.reference": [
        "PAPERS",
        "Figure",
        "Finding",
        "Interval",
        "Matrix",
        "Paper",
        "Verdict",
        "paper_of_system",
        "verify",
    ],
    "edge_sacro.systems": ["SYSTEMS", "Assessment", "System"],
}


def _probe(statement: str) -> dict[str, object]:
    """Run a statement in a fresh interpreter; what it imported of the heavy packages, and its CPU time."""
    code = (
        f"import sys, json, time\ntry:\n    {statement}\nexcept SystemExit:\n    pass\n"
        f"loaded = [n for n in {HEAVY!r} if n in sys.modules]\n"
        "print('\\n' + json.dumps({'loaded': loaded, 'cpu': time.process_time()}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize(
    "statement",
    ["import edge_sacro", "from edge_sacro.cli import main; main(['--help'])", "import edge_sacro.errors"],
)
def test_starting_up_is_light(statement: str) -> None:
    probe = _probe(statement)
    assert probe["loaded"] == []
    assert float(str(probe["cpu"])) < CPU_SECONDS


def test_the_probe_of_a_light_start_can_fail() -> None:
    probe = _probe("import onnxruntime, pydicom")
    assert probe["loaded"] == ["onnxruntime", "pydicom"]


@pytest.mark.parametrize("module", sorted(EXPORTED))
def test_exported_names_are_pinned(module: str) -> None:
    exporting = importlib.import_module(module)
    assert sorted(exporting.__all__) == sorted(EXPORTED[module])
    assert all(hasattr(exporting, name) for name in EXPORTED[module])


@pytest.mark.heavy
def test_the_wheel_holds_the_device_and_nothing_of_the_workshop(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    code = {name for name in names if name.startswith("edge_sacro/")}
    tracked = subprocess.run(["git", "ls-files", "edge_sacro"], check=True, capture_output=True, text=True, cwd=ROOT)
    expected = set(tracked.stdout.split())
    assert expected <= code, "files that are tracked are missing from the wheel"
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"edge_sacro"}
    assert "edge_sacro/bundles/demonstration/manifest.json" in code
    for name in ("edge_sacro.h", "edge_sacro.c", *(f"binaries/{m}/libedge_sacro.so" for m in ("x86_64", "aarch64"))):
        assert f"edge_sacro/embed/{name}" in code
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert sum(zipfile.ZipFile(wheel).getinfo(name).file_size for name in code if name.endswith(".onnx")) <= 8 << 20


@pytest.mark.parametrize("page", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))])
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)|(?:src|href)=\"([^\"#]+)\"", text)
    for link in (one or other for one, other in links):
        if not link.startswith(("http:", "https:", "mailto:")):
            assert ((ROOT / page).parent / link).exists(), f"{page} links to {link}"


def test_the_readme_tells_the_two_commands_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    for command in ("scripts/demo", "scripts/test"):
        assert command in text
        assert (ROOT / command).stat().st_mode & 0o111
    assert "scripts/test" in (ROOT / ".ci" / "run").read_text()
