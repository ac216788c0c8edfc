"""Every kernel on an emulated device against the NumPy reference."""

from __future__ import annotations

import pytest

from edge_sacro.cuda.session import Session
from tests.cuda.cases import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_networks_input_is_the_references(session: Session, case: Case) -> None:
    case.check(session)
