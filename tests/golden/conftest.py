"""The published architectures as a bundle, made once by the workshop's own command from checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def published_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the bundle; the checkpoints stand beside it."""
    pytest.importorskip("torch")
    pytest.importorskip("monai")
    from tests.golden import networks

    folder = tmp_path_factory.mktemp("published")
    networks.write_checkpoints(folder)
    return networks.write_bundle(folder)
