"""What tests on a GPU share."""

from __future__ import annotations

import pytest

from tests.gpu.shop import BUILDERS, Shop, opened_shop


@pytest.fixture(scope="session", params=sorted(BUILDERS))
def shop(request: pytest.FixtureRequest) -> Shop:
    return opened_shop(request.param)
