"""Every system replaced by the tiny stand-in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_sacro.bundle import Bundle, load_bundle
from tests.bench.stand_in import stand_in
from tests.calibration import nets


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Any, float], Path]:
    """Prepares a module of the bench; gives the path of its table."""

    def drawings(system: str, folder: Path, images: int, seed: int) -> list[Path]:
        out = tmp_path / f"drawings-{seed}"
        if not out.exists():
            nets.write_drawings(out, images, seed)
        return sorted(out.glob("*.dcm"))

    def prepare(module: Any, offset: float) -> Path:
        def exported(system: str, out: Path) -> Bundle:
            return load_bundle(stand_in(out, offset))

        monkeypatch.setattr("bench.generated.simulated", drawings)
        if hasattr(module, "simulated"):
            monkeypatch.setattr(module, "simulated", drawings)
        monkeypatch.setattr(module, "exported", exported)
        return tmp_path / "rows" / "table.json"

    return prepare
