"""Makes docs/quality/risks.md and traceability.md of docs/quality/requirements.toml: ``python scripts/quality.py``."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "docs" / "quality"
MADE = "<!-- Made by scripts/quality.py of requirements.toml. Change that and run this. -->"


def pages(document: dict[str, Any]) -> dict[str, str]:
    """The text of each page by its name.

    Raises:
        ValueError: an id is used twice, a hazard without a requirement, or a reference leads nowhere.
    """
    hazards, requirements = document["hazard"], document["requirement"]
    faults = [*_faults(hazards, requirements), *_absent_tests(requirements)]
    if faults:
        raise ValueError("; ".join(faults))
    return {"risks.md": _risks(hazards, requirements), "traceability.md": _traceability(requirements)}


def _faults(hazards: list[dict[str, Any]], requirements: list[dict[str, Any]]) -> list[str]:
    known, names = {each["id"] for each in hazards}, [each["id"] for each in (*hazards, *requirements)]
    met = {hazard for each in requirements for hazard in each["hazards"]}
    return [
        *(f"{name} is used twice" for name in sorted({each for each in names if names.count(each) > 1})),
        *(f"{name} has no requirement against it" for name in sorted(known - met)),
        *(f"{name} is no hazard" for name in sorted(met - known)),
    ]


def _absent_tests(requirements: list[dict[str, Any]]) -> list[str]:
    faults = []
    for requirement in requirements:
        if not requirement["tests"]:
            faults.append(f"{requirement['id']} has no test")
        for test in requirement["tests"]:
            file, _, name = test.partition("::")
            path = ROOT / file
            there = path.is_file() and any(
                isinstance(node, ast.FunctionDef) and node.name == name
                for node in ast.walk(ast.parse(path.read_text("utf-8")))
            )
            if not there:
                faults.append(f"{requirement['id']}: there is no {test}")
    return faults


def _risks(hazards: list[dict[str, Any]], requirements: list[dict[str, Any]]) -> str:
    lines = [
        "# Hazards, what stands against them, and what remains",
        MADE,
        "",
        "Hazards of the software as such, for the maker's own analysis (ISO 14971): probabilities, the benefit, and",
        "whether a risk is acceptable depend on the product and the site, and are theirs to judge. Severity is of the",
        "harm if it occurs: *serious* may change treatment or expose a person's data, *minor* delays or confuses.",
        "",
    ]
    for hazard in hazards:
        against = [each for each in requirements if hazard["id"] in each["hazards"]]
        lines += [
            f"## {hazard['id']}. {hazard['what']}",
            "",
            f"- Cause: {hazard['cause']}",
            f"- Harm: {hazard['harm']} Severity: {hazard['severity']}.",
            *(f"- Against it, {each['id']}: {each['text']}" for each in against),
            f"- What remains: {hazard['remains']}",
            "",
        ]
    return "\n".join(lines)


def _traceability(requirements: list[dict[str, Any]]) -> str:
    lines = [
        "# From requirement to test",
        MADE,
        "",
        "A test of the suite checks that each of these tests exists. `scripts/test` runs them all.",
        "",
        "| requirement | against | shown by |",
        "| --- | --- | --- |",
    ]
    for each in requirements:
        shown = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in each["tests"])
        lines.append(f"| {each['id']}. {each['text']} | {', '.join(each['hazards'])} | {shown} |")
    return "\n".join([*lines, ""])


def document_from_file() -> dict[str, Any]:
    """The hazards and requirements."""
    return tomllib.loads((PLACE / "requirements.toml").read_text("utf-8"))


if __name__ == "__main__":
    for name, text in pages(document_from_file()).items():
        (PLACE / name).write_text(text, "utf-8")
