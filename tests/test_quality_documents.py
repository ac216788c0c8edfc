"""The documents for a quality team: made of one file, complete, and no test named that does not exist."""

from __future__ import annotations

import copy
import importlib.util
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def quality() -> ModuleType:
    spec = importlib.util.spec_from_file_location("quality", ROOT / "scripts" / "quality.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_those_of_the_file(quality: ModuleType) -> None:
    for name, text in quality.pages(quality.document_from_file()).items():
        assert (quality.PLACE / name).read_text("utf-8") == text, "run python scripts/quality.py"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda document: document["requirement"][0]["tests"].append("tests/test_runtime.py::test_of_nothing"),
            "no tests/",
        ),
        (lambda document: document["requirement"][0]["tests"].append("tests/nowhere.py::test_x"), "no tests/nowhere"),
        (lambda document: document["requirement"][0].update(tests=[]), "has no test"),
        (lambda document: document["requirement"][0].update(hazards=["H99"]), "H99 is no hazard"),
        (lambda document: document["requirement"][1].update(id="R01"), "R01 is used twice"),
        (lambda document: document["hazard"].append({**document["hazard"][0], "id": "H98"}), "H98 has no requirement"),
    ],
)
def test_what_leads_nowhere_is_refused(quality: ModuleType, change: Any, told: str) -> None:
    document = copy.deepcopy(quality.document_from_file())
    change(document)
    with pytest.raises(ValueError, match=told):
        quality.pages(document)
