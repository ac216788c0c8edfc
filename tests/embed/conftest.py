"""Consoles in C: compiled against the library that ships, and with a sanitizer in library and console."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_sacro import embed
from edge_sacro.phantom import PhantomOptions, write_study
from tests.tiny import slow_classifier, write_bundle, write_dicom

HERE = Path(__file__).parent
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-O1", "-pthread", f"-I{embed.FOLDER}"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
Compile = Callable[..., Path]
Documents = list[dict[str, Any]]
Console = Callable[..., Documents]


@pytest.fixture(scope="session")
def compiler() -> str:
    """A C compiler; the test is skipped where there is none."""
    found = shutil.which("gcc")
    if found is None:
        pytest.skip("gcc is not here: consoles in C cannot be compiled")
    return found


@pytest.fixture(scope="session")
def compiled(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compile sources: ``ships`` links the library of the package, ``sanitized`` compiles its sources in."""
    folder = tmp_path_factory.mktemp("consoles")
    made: dict[tuple[Path, str], Path] = {}

    def compile_one(source: Path, kind: str) -> Path:
        target = folder / f"{source.stem}-{kind}"
        if (source, kind) not in made:
            library = embed.library()
            more = {
                "ships": [str(library), f"-Wl,-rpath,{library.parent}"],
                "sanitized": [*SANITIZED, *(str(each) for each in embed.sources() if each.suffix == ".c")],
                "alone": [],
            }[kind]
            subprocess.run([compiler, *STRICT, str(source), *more, "-o", str(target)], check=True)
            made[source, kind] = target
        return target

    return compile_one


@pytest.fixture(scope="session", params=["ships", "sanitized"])
def console(request: pytest.FixtureRequest, compiled: Compile) -> Console:
    """Run a scenario of ``console.c`` and give what it printed: with the library that ships, and with a sanitizer."""
    return run_scenarios(compiled(HERE / "console.c", request.param))


@pytest.fixture(scope="session")
def sanitized(compiled: Compile) -> Console:
    """As ``console``, with a sanitizer alone: for scenarios that take seconds."""
    return run_scenarios(compiled(HERE / "console.c", "sanitized"))


def run_scenarios(program: Path) -> Console:
    """What runs a scenario of this program."""

    def run(*arguments: object, **environment: str) -> Documents:
        done = subprocess.run(
            [program, *map(str, arguments)],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            env=surroundings(**environment),
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return documents(done.stdout)

    return run


def documents(text: str) -> Documents:
    """The JSON documents of a text, one behind the other."""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def surroundings(**more: str) -> dict[str, str]:
    """The environment of a console: its interpreter is the one of these tests."""
    return {**os.environ, "EDGE_SACRO_PYTHON": sys.executable, "OMP_NUM_THREADS": "1", **more}


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Simulated radiographs: a healthy one and one with grade 4 on both sides."""
    folder = tmp_path_factory.mktemp("study")
    for seed, grade in ((7, 0), (8, 4)):
        options = PhantomOptions(left_grade=grade, right_grade=grade, spacing_mm=0.8)
        write_study(folder / str(seed), 1, seed, options)
    return sorted(folder.glob("*/*.dcm"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that opens and answers soon."""
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose classifier takes a second or more."""
    folder = write_bundle(tmp_path_factory.mktemp("bundles") / "slow")
    content = slow_classifier()
    (folder / "classifier.onnx").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["classifier.onnx"] = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="session")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A radiograph that the small bundles assess."""
    return write_dicom(tmp_path_factory.mktemp("drawing") / "drawn.dcm")
