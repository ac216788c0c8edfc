"""What the C library makes of a process that answers wrongly, and of a caller that asks wrongly: a code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_sacro import embed
from tests.embed.conftest import HERE, Compile

SEEDS = 300


@pytest.fixture(scope="module")
def hostile(compiled: Compile) -> Path:
    """What stands in for the interpreter."""
    return compiled(HERE / "hostile.c", "alone")


def run(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a console whose environment names no interpreter."""
    inherited = {name: value for name, value in os.environ.items() if name != "EDGE_SACRO_PYTHON"}
    return subprocess.run(
        [str(each) for each in command],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**inherited, **environment},
    )


def test_whatever_is_answered_ends_in_a_code_or_in_values_within_their_ranges(compiled: Compile, hostile: Path) -> None:
    done = run(compiled(HERE / "attacked.c", "sanitized"), hostile, SEEDS)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert sum(counts.values()) == SEEDS
    assert counts["system"] == counts["failed"] == 0
    assert min(counts["ok"], counts["protocol"], counts["crashed"], counts["deadline"]) > 0, "each way was tried"


def test_the_sanitizer_of_these_tests_can_speak(compiler: str, tmp_path: Path) -> None:
    source = tmp_path / "over.c"
    source.write_text(
        "#include <stdlib.h>\nint main(int c, char **v) { char *p = malloc(c); p[c] = v[0][0]; return p[c]; }\n"
    )
    program = tmp_path / "over"
    subprocess.run([compiler, "-fsanitize=address,undefined", str(source), "-o", str(program)], check=True)
    assert "heap-buffer-overflow" in run(program).stderr


@pytest.mark.parametrize("kind", ["ships", "sanitized"])
def test_arguments_that_cannot_be_meant_are_told(compiled: Compile, hostile: Path, kind: str) -> None:
    done = run(compiled(HERE / "arguments.c", kind), HOSTILE=str(hostile))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_header_is_one_of_cpp_too(hostile: Path, tmp_path: Path) -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not here: the header cannot be compiled as C++")
    library, program = embed.library(), tmp_path / "console"
    strict = ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{embed.FOLDER}"]
    link = [str(library), f"-Wl,-rpath,{library.parent}", "-o", str(program)]
    subprocess.run([compiler, *strict, "-x", "c++", str(HERE / "arguments.c"), "-x", "none", *link], check=True)
    done = run(program, HOSTILE=str(hostile))
    assert (done.returncode, done.stderr) == (0, "")


def test_threads_do_not_race(compiler: str, hostile: Path, tmp_path: Path) -> None:
    program = tmp_path / "racing"
    sources = [str(each) for each in embed.sources() if each.suffix == ".c"]
    command = [compiler, "-std=c11", "-g", "-O1", "-fsanitize=thread", "-pthread", f"-I{embed.FOLDER}"]
    done = subprocess.run([*command, str(HERE / "console.c"), *sources, "-o", str(program)], check=False)
    if done.returncode:
        pytest.skip("this compiler has no thread sanitizer")
    found = run(program, "threads", "-", __file__, EDGE_SACRO_PYTHON=str(hostile))
    if "unexpected memory mapping" in found.stderr:
        pytest.skip("the thread sanitizer does not run under this kernel's layout of memory")
    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout) == {"same": 12, "of": 12}
