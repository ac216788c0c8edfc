"""docs/jetson.md names the profiles, options, errors and steps that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from edge_sacro.cli import main
from edge_sacro.engine.profiles import PROFILES
from edge_sacro.phantom import PhantomOptions, write_study
from edge_sacro.runtime import Runtime
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "jetson.md").read_text(encoding="utf-8")
JETSON = {name for name in PROFILES if re.search("orin|thor", name)}


def profiles_named(text: str) -> set[str]:
    """What is written as a profile: a board with its release, what stands behind ``--profile``, a processor."""
    boards = re.findall(r"\b(?:[a-z]+-)*(?:orin|thor|xavier)[a-z0-9-]*jetpack\d[a-z0-9-]*", text)
    return {*boards, *re.findall(r"--profile[ =]([\w-]+)", text), *re.findall(r"\b[a-z0-9]+-cpu\b", text)}


def test_every_profile_that_it_names_exists() -> None:
    named = profiles_named(PAGE)
    assert len(named) > 8
    assert named - set(PROFILES) == set()


def test_every_profile_of_a_jetson_is_named() -> None:
    assert JETSON | {"aarch64-cpu"} <= profiles_named(PAGE)
    assert len(JETSON) == 9


def test_a_wrong_name_would_be_found() -> None:
    text = "`orin-nano-jetpack6-dla`, `edge-sacro engine build --profile agx-orin` and `arm-cpu`"
    assert profiles_named(text) - set(PROFILES) == {"orin-nano-jetpack6-dla", "agx-orin", "arm-cpu"}


def test_builder_memory_and_precisions_are_the_profiles() -> None:
    rows = re.findall(r"^\| ([A-Za-z ]+) \| (\d+) MiB \| ([a-z0-9, ]+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 3
    for board, memory, precisions in rows:
        for release in (6, 7):
            profile = PROFILES[f"{board.lower().replace(' ', '-')}-jetpack{release}"]
            assert (str(profile.workspace_mib), ", ".join(profile.precisions)) == (memory, precisions)


def commands() -> list[str]:
    """Every command of the program in the page's blocks, in one line."""
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")
    found = re.findall(r"^(?:\$ )?(?:\S+/)?edge-sacro (.*)$", blocks, re.MULTILINE)
    return [re.split(r"\s{2,}#", command)[0] for command in found]


@pytest.mark.parametrize("command", commands())
def test_every_command_and_option_exists(command: str) -> None:
    words, found = shlex.split(command), main
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        found = found.commands[words.pop(0)]
    known = {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known | {"--help"}


def test_the_page_has_commands() -> None:
    assert len(commands()) > 15


def test_the_first_assessment_answers_what_the_page_says(tmp_path: Path) -> None:
    claimed = re.findall(r"^edge-sacro infer study +# (positive|negative) (0\.\d{4})", PAGE, re.MULTILINE)
    assert "edge-sacro phantom --out study --seed 8 --left-grade 3 --right-grade 3\n" in PAGE
    write_study(tmp_path, 1, 8, PhantomOptions(left_grade=3, right_grade=3))
    with Runtime(precision="fp32", threads=1) as runtime:
        result = runtime.infer(next(tmp_path.glob("*.dcm")))
    assert [(result.state.value, f"{result.probability:.4f}")] == claimed


def test_each_block_says_where_its_commands_ran() -> None:
    headings = re.findall(r"^## (\d\. .*?)\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
    assert len(headings) == 7
    for title, text in headings:
        assert re.search(r"\[aarch64\]|\[board\]", text), title
