"""The maker's key and another one, and a prefix of an installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.signed import write_keys


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the key pairs ``maker`` and ``other``."""
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def maker(keys: Path) -> Path:
    """The private key that kits are signed with."""
    return keys / "maker"


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """Where to install; its folder is this user's alone."""
    return tmp_path / "opt"
