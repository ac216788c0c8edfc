"""The wheels of a kit are those that its target needs, whatever Python builds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sacro.errors import KitError
from edge_sacro.kit.build import KitOrder, _only_needed
from edge_sacro.kit.needed import needed_wheels
from edge_sacro.kit.targets import TARGETS
from edge_sacro.kit.wheels import Wheel, wheels_from_folder
from tests.kit.kits import wheel

PRODUCT = """edge-sacro
Requires-Dist: plain>=1.0
Requires-Dist: backport>=2.0; python_version < '3.11'
Requires-Dist: for-arm; platform_machine == 'aarch64'
Requires-Dist: for-windows; sys_platform == 'win32'
Requires-Dist: served[fast]; extra == 'serve'
Requires-Dist: exported; extra == 'export'"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Every wheel that any target could need, and one that none does."""
    wheel(tmp_path, "edge_sacro", "1.0.0", {}, Name=PRODUCT)
    for name in ("pip", "for_arm", "for_windows", "exported", "deeper", "faster", "nobody"):
        wheel(tmp_path, name, "1.0", {})
    wheel(tmp_path, "plain", "1.5", {}, Requires_Dist="deeper")
    wheel(tmp_path, "backport", "2.1", {})
    wheel(tmp_path, "served", "1.0", {}, Requires_Dist="faster; extra == 'fast'")
    return tmp_path


def _needed(wheels: list[Wheel], target: str, python: str, *extras: str) -> set[str]:
    found, missing = needed_wheels(wheels, extras, TARGETS[target], python)
    assert missing == []
    return found - {"edge-sacro", "pip", "plain", "deeper"}


def test_conditions_are_those_of_the_target(folder: Path) -> None:
    wheels = wheels_from_folder(folder)
    assert _needed(wheels, "x86_64", "3.11") == set()
    assert _needed(wheels, "x86_64", "3.10") == {"backport"}
    assert _needed(wheels, "aarch64", "3.12") == {"for-arm"}
    assert _needed(wheels, "jetson-jp6", "3.10", "serve") == {"backport", "for-arm", "served", "faster"}


@pytest.mark.parametrize(
    ("name", "requirement"), [("backport", "backport>=2.0"), ("deeper", "deeper"), ("served", "served[fast]")]
)
def test_what_is_not_there_is_named(folder: Path, name: str, requirement: str) -> None:
    next(folder.glob(f"{name}-*.whl")).unlink()
    _, missing = needed_wheels(wheels_from_folder(folder), ("serve",), TARGETS["jetson-jp6"], "3.10")
    assert [each.requirement for each in missing] == [requirement]
    with pytest.raises(KitError, match=name):
        _only_needed(KitOrder("jetson-jp6", extras=("serve",)), TARGETS["jetson-jp6"], "3.10", folder)


def test_a_version_that_another_wheel_does_not_take_is_refused(folder: Path) -> None:
    next(folder.glob("plain-*.whl")).unlink()
    wheel(folder, "plain", "0.9", {})
    with pytest.raises(KitError, match=r"plain 0\.9 is there, and plain>=1\.0 is needed"):
        needed_wheels(wheels_from_folder(folder), (), TARGETS["x86_64"], "3.11")


def test_a_kit_holds_no_wheel_that_its_target_does_not_need(folder: Path) -> None:
    kept = _only_needed(KitOrder("x86_64", extras=()), TARGETS["x86_64"], "3.11", folder)
    assert {each.name for each in kept} == {"edge-sacro", "pip", "plain", "deeper"}
    assert {path.name.partition("-")[0] for path in folder.iterdir()} == {"edge_sacro", "pip", "plain", "deeper"}
