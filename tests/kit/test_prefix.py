"""The folder of an installation: nobody else may write to it, and no link leads out of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_sacro.errors import KitError
from edge_sacro.kit.installer.install import install, roll_back
from edge_sacro.kit.installer.prefix import Prefix
from tests.kit.kits import plan, write_kit


def test_a_link_in_place_of_the_prefix_is_refused(tmp_path: Path, prefix: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    prefix.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KitError, match="link"):
        Prefix(prefix)
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("part", ["releases", "bin"])
def test_a_link_in_place_of_a_folder_is_refused(tmp_path: Path, prefix: Path, maker: Path, part: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    prefix.mkdir()
    (prefix / part).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KitError, match="link"):
        install(plan(write_kit(tmp_path, maker), prefix, maker))
    assert not list((tmp_path / "elsewhere").iterdir())
    assert not (prefix / "current").is_symlink()


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path, prefix: Path) -> None:
    Prefix(prefix)
    (prefix / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KitError), Prefix(prefix).locked():
        pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "target", ["/etc", "../elsewhere", "releases/../../elsewhere", "releases/1.0.0-0-0123456789ab"]
)
def test_a_link_to_what_is_no_release_does_not_serve(tmp_path: Path, prefix: Path, target: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    place = Prefix(prefix)
    (prefix / "current").symlink_to(target)
    with pytest.raises(KitError, match="no link to a release"):
        place.current()


def test_others_may_not_write_to_the_prefix_or_above_it(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    for path in (open_to_all, open_to_all / "opt"):
        with pytest.raises(KitError, match="others may write"):
            Prefix(path)
    open_to_all.chmod(0o1777)
    Prefix(open_to_all / "opt")


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder away needs root")
def test_another_users_folder_is_refused(prefix: Path) -> None:
    prefix.mkdir()
    os.chown(prefix, 65534, 65534)
    with pytest.raises(KitError, match="another user"):
        Prefix(prefix)


def test_two_installations_at_once_are_one_too_many(tmp_path: Path, prefix: Path, maker: Path) -> None:
    with Prefix(prefix).locked(), pytest.raises(KitError, match="another installation"):
        install(plan(write_kit(tmp_path, maker), prefix, maker))


def test_a_damaged_memory_of_the_latest_release_is_never_begun_anew(tmp_path: Path, prefix: Path, maker: Path) -> None:
    install(plan(write_kit(tmp_path, maker), prefix, maker))
    later = write_kit(tmp_path, maker, "1.1.0")
    for text in ("", "{}", '{"order": [1]}', '{"order": ["a", 0, 0, 0, 0, 0]}'):
        (prefix / "highest.json").write_text(text)
        with pytest.raises(KitError, match="memory"):
            install(plan(later, prefix, maker))


@pytest.mark.parametrize("name", ["a b", "a%b", "a$b", "a\nb", 'a"b'])
def test_a_name_that_scripts_and_units_would_misread_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(KitError, match="plain characters"):
        Prefix(tmp_path / name)


def test_there_is_nothing_to_go_back_to_where_nothing_is_installed(prefix: Path) -> None:
    with pytest.raises(KitError, match="no release"):
        roll_back(prefix, lambda _: None)
