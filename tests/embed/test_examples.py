"""The examples of docs/examples do what they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_sacro import embed
from edge_sacro.runtime import Runtime
from tests.conftest import ROOT
from tests.embed.conftest import surroundings

EXAMPLES = ROOT / "docs" / "examples"


def run(*command: object, code: int = 0, **environment: str) -> str:
    done = subprocess.run(
        [str(each) for each in command],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=surroundings(**environment),
    )
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.mark.heavy
@pytest.mark.parametrize("language", ["c", "c++"])
def test_the_example_in_c_shows_what_python_answers(
    compiler: str, study: Sequence[Path], tmp_path: Path, language: str
) -> None:
    if shutil.which("g++") is None and language == "c++":
        pytest.skip("g++ is not here")
    shared = embed.library()
    flags = [f"-I{embed.FOLDER}", str(shared), f"-Wl,-rpath,{shared.parent}"]
    strict = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-x", language, EXAMPLES / "console.c", "-x", "none"]
    subprocess.run([compiler, *strict, *flags, "-o", tmp_path / "console"], check=True)
    shown = run(tmp_path / "console", *study, ROOT / "README.md").splitlines()
    with Runtime(threads=1) as runtime:
        for path in study:
            result = runtime.infer(path)
            assert f"{path}: {result.state.value}: {result.reason}" in shown
            assert f"  probability {result.probability:.4f}" in shown
            x0, y0, x1, y1 = result.joints.left.box_px or []
            assert f"  the patient's left joint: columns {x0} to {x1 - 1}, rows {y0} to {y1 - 1}" in shown
    assert sum("not for clinical use" in line for line in shown) == 3
    assert any("README.md: refused: " in line for line in shown)


def test_the_example_in_python_shows_what_the_runtime_answers(study: Sequence[Path]) -> None:
    shown = run(sys.executable, EXAMPLES / "runtime.py", *study).splitlines()
    states = [line.split(": ")[1] for line in shown if ".dcm: " in line]
    assert states == ["negative", "positive"]
    assert sum("the patient's left joint" in line for line in shown) == len(study)
    assert "not for clinical use" in shown[-1]


def test_the_example_over_http_shows_the_nodes_answer_and_its_refusals(study: Sequence[Path], tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx")
    from tests.node.http_node import Node, assessing_soon, canned_report, running

    node = Node(tmp_path / "node")
    client = EXAMPLES / "http_client.py"
    with running(node), assessing_soon(node):
        shown = run(sys.executable, client, node.url, study[0])
        refused = run(sys.executable, client, node.url, ROOT / "README.md", code=1)
    expected = canned_report().results[0]
    assert f"{study[0]}: {expected.state.value}: {expected.reason}" in shown
    assert f"the patient's left joint: {expected.joints.left.box_px}" in shown
    assert "not taken" in refused
    assert "[not_dicom]" in refused
    gone = run(sys.executable, client, node.url, study[0], code=1)
    assert "the node does not answer" in gone


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_the_example_with_curl_gets_the_result(study: Sequence[Path], tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx")
    from tests.node.http_node import Node, assessing_soon, canned_report, running

    page = (ROOT / "docs" / "embedding.md").read_text()
    (line,) = re.findall(r"^curl .*$", page, re.MULTILINE)
    node = Node(tmp_path / "node")
    with running(node), assessing_soon(node):
        command = line.replace("http://127.0.0.1:8042", node.url).replace("study.dcm", str(study[0]))
        answer = json.loads(run("bash", "-c", command))
    assert answer["result"]["state"] == canned_report().results[0].state.value


def test_the_example_in_csharp_shows_what_the_library_answers(study: Sequence[Path], tmp_path: Path) -> None:
    compiler, runner = shutil.which("mcs"), shutil.which("mono")
    if compiler is None or runner is None:
        pytest.skip("Mono is not here: the example in C# is not run")
    program = tmp_path / "console.exe"
    subprocess.run([compiler, "-warnaserror", f"-out:{program}", EXAMPLES / "console.cs"], check=True)
    shown = run(runner, program, *study, ROOT / "README.md", LD_LIBRARY_PATH=str(embed.library().parent))
    assert [line.split(": ")[1] for line in shown.splitlines() if "/" in line] == ["Negative", "Positive", "Refused"]
    assert shown.count("the patient's left joint: [") == len(study)
    assert shown.count("not for clinical use") == 3
    missing = run(runner, program, study[0], code=1, EDGE_SACRO_PYTHON="", LD_LIBRARY_PATH=str(embed.library().parent))
    assert not missing


def test_the_example_in_csharp_names_what_the_header_has() -> None:
    """Where it cannot be run, its names and the order of its options are held to the header's."""
    text, header = (EXAMPLES / "console.cs").read_text(), embed.HEADER.read_text()
    declared = {word.split("(")[0] for word in text.split() if word.startswith("es_") and "(" in word}
    assert declared
    assert all(f"{name}(" in header for name in declared)
    fields = header.split("typedef struct es_options {")[1].split("} es_options;")[0]
    names = re.findall(r"^    (?:const char \*|\w+ )(\w+);", fields, re.MULTILINE)
    assert len(names) == 14
    sequence = text.split("public UIntPtr Size")[1].split("}")[0].replace("\n", " ")
    camel = ["".join(part.capitalize() for part in name.split("_")) for name in names[1:]]
    positions = [sequence.index(name) for name in camel]
    assert positions == sorted(positions)
