from __future__ import annotations

from dataclasses import replace

import pytest

from edge_sacro.phantom import Phantom, PhantomOptions, render

COARSE = PhantomOptions(spacing_mm=0.7, field_mm=(350.0, 400.0))


@pytest.fixture(scope="session")
def coarse() -> PhantomOptions:
    return COARSE


@pytest.fixture(scope="session")
def many() -> list[Phantom]:
    """Forty images with everything drawn from the seed."""
    return [render((11, n), PhantomOptions(spacing_mm=1.0)) for n in range(40)]


@pytest.fixture(scope="session")
def graded() -> dict[int, Phantom]:
    """One anatomy at each grade, without what hides the joints."""
    options = replace(COARSE, spacing_mm=0.5, gas=False, implant=False, collimation="none", dose=20.0)
    return {g: render((3, 5), replace(options, left_grade=g, right_grade=g)) for g in range(5)}
