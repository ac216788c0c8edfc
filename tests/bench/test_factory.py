"""``python -m bench factory``: rows of a tiny stand-in for a full-size system; no engine is built."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("torch")

from bench import factory as bench
from bench.__main__ import main
from tests.bench.stand_in import SYSTEM

pytestmark = pytest.mark.heavy


def test_a_row_tells_what_each_precision_did(
    stand_ins: Callable[[Any, float], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(rows: list[Any], *others: Any) -> None:
        for row in rows:
            row.engines = dict.fromkeys(("fp32", "fp16", "int8"), "refused: no builder here")

    monkeypatch.setattr(bench, "_build", refused)
    found = {}
    for offset in (0.0, 100.0):
        out = stand_ins(bench, offset)
        done = CliRunner().invoke(main, ["factory", "--system", SYSTEM, "--images", "2", "--out", str(out)])
        assert done.exit_code == 0, done.output
        (found[offset],) = json.loads(out.read_text())["rows"]
        assert "refused: no builder here" in done.stdout
    row = found[0.0]
    assert (row["parameters"], row["gigamacs"]) == (1_234_567, 0.75)
    assert row["export_difference"] == {"real logits": 1e-6, "random logits": 2e-6}
    assert 0 < row["fp16_difference"] < row["int8_difference"] < 0.02
    assert set(row["megabytes"]) == {"fp32", "fp16", "int8"}
    assert found[100.0]["int8_difference"] > 0.1, "negative control: a signal that int8 loses"
