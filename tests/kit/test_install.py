"""An installation: beside what serves, checked, and then exchanged at once; back again; and nothing older."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_sacro.errors import KitError, KitNotInstalled, KitNotTrusted, KitRolledBack
from edge_sacro.kit.archive import installer
from edge_sacro.kit.installer.install import install, roll_back
from edge_sacro.kit.installer.main import listed
from edge_sacro.kit.installer.prefix import Prefix
from tests.kit.kits import plan, write_kit


def _serves(prefix: Path) -> str:
    """The version that answers at the place where everybody looks."""
    command = [str(prefix / "bin" / "edge-sacro"), "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _silent(_: str) -> None:
    """Tell nobody."""


def test_a_kit_is_installed_and_serves(tmp_path: Path, prefix: Path, maker: Path) -> None:
    said: list[str] = []
    release = install(plan(write_kit(tmp_path, maker), prefix, maker, tell=said.append))
    assert _serves(prefix) == "1.0.0"
    folder = prefix / "releases" / release.name
    asked = json.loads((folder / "selftest" / "report.json").read_text())
    assert asked == ["selftest", "--release", str(folder), "--out", str(folder / "selftest")]
    assert "selftest said this" in said
    assert not (folder / "kit" / "wheels").exists()
    whose = f"signed by {(release.signed_by or '')[:16]}"
    assert listed(prefix) == [f"* {release.name}  {release.target}  installed {release.installed}  {whose}"]


def test_every_installed_file_has_its_hash_noted(tmp_path: Path, prefix: Path, maker: Path) -> None:
    release = install(plan(write_kit(tmp_path, maker), prefix, maker))
    folder = prefix / "releases" / release.name
    noted = set(json.loads((folder / "files.json").read_text())["files"])
    parts = [path for part in ("kit", "venv") for path in (folder / part).rglob("*") if path.is_file()]
    assert {path.relative_to(folder).as_posix() for path in parts} <= noted
    assert any(name.endswith("edge_sacro_script.py") for name in noted)


def test_a_release_that_fails_its_selftest_never_serves(tmp_path: Path, prefix: Path, maker: Path) -> None:
    install(plan(write_kit(tmp_path, maker), prefix, maker))
    with pytest.raises(KitNotInstalled, match="selftest said this"):
        install(plan(write_kit(tmp_path, maker, "1.1.0", code=115), prefix, maker))
    assert _serves(prefix) == "1.0.0"
    assert len(list((prefix / "releases").iterdir())) == 1


def test_back_to_the_release_before_and_forward_again(tmp_path: Path, prefix: Path, maker: Path) -> None:
    install(plan(write_kit(tmp_path, maker), prefix, maker))
    later = write_kit(tmp_path, maker, "1.1.0")
    install(plan(later, prefix, maker))
    assert _serves(prefix) == "1.1.0"
    roll_back(prefix, _silent)
    assert _serves(prefix) == "1.0.0"
    with pytest.raises(KitError, match="no release is there"):
        roll_back(prefix, _silent)
    install(plan(later, prefix, maker))
    assert _serves(prefix) == "1.1.0"


def test_the_release_before_is_kept_and_no_other(tmp_path: Path, prefix: Path, maker: Path) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        install(plan(write_kit(tmp_path, maker, version), prefix, maker))
    assert [each.version for each in Prefix(prefix).releases()] == ["1.1.0", "1.2.0"]


@pytest.mark.parametrize(("version", "sequence"), [("0.9.9", 9), ("1.0.0rc1", 9), ("1.0.0", 1)])
def test_an_older_kit_is_refused_even_after_a_rollback(
    tmp_path: Path, prefix: Path, maker: Path, version: str, sequence: int
) -> None:
    install(plan(write_kit(tmp_path, maker, "0.8.0"), prefix, maker))
    install(plan(write_kit(tmp_path, maker, "1.0.0", sequence=2), prefix, maker))
    roll_back(prefix, _silent)
    older = write_kit(tmp_path, maker, version, sequence=sequence)
    with pytest.raises(KitRolledBack, match="sequence 2"):
        install(plan(older, prefix, maker))
    assert _serves(prefix) == "0.8.0"
    install(plan(older, prefix, maker, allow_downgrade=True))
    assert _serves(prefix) == version


def test_the_same_kit_again_changes_nothing(tmp_path: Path, prefix: Path, maker: Path) -> None:
    kit = write_kit(tmp_path, maker)
    first = install(plan(kit, prefix, maker))
    assert install(plan(kit, prefix, maker)) == first


def test_a_kit_of_nobody_is_taken_only_when_that_is_said(tmp_path: Path, prefix: Path, maker: Path) -> None:
    kit = write_kit(tmp_path, None)
    for key, unsigned in ((None, False), (maker, False), (maker, True)):
        with pytest.raises(KitNotTrusted):
            install(plan(kit, prefix, key, unsigned=unsigned))
    assert listed(prefix) == ["nothing is installed"]
    said: list[str] = []
    install(plan(kit, prefix, None, unsigned=True, tell=said.append))
    assert said[0].startswith("NOT VERIFIED")
    assert listed(prefix)[0].endswith("UNSIGNED")


@pytest.mark.parametrize(
    ("change", "said"),
    [({"machine": "riscv64"}, "riscv64"), ({"python": "3.9"}, "Python 3.9"), ({"glibc": "9.1"}, "glibc 9.1")],
)
def test_a_kit_for_another_machine_is_refused(
    tmp_path: Path, prefix: Path, maker: Path, change: dict[str, str], said: str
) -> None:
    with pytest.raises(KitError, match=said):
        install(plan(write_kit(tmp_path, maker, **change), prefix, maker))
    assert listed(prefix) == ["nothing is installed"]


def test_the_units_are_written_for_the_prefix(tmp_path: Path, prefix: Path, maker: Path) -> None:
    install(plan(write_kit(tmp_path, maker), prefix, maker, units=tmp_path / "units"))
    units = {path.name: path.read_text() for path in (tmp_path / "units").iterdir()}
    assert units == {"edge-sacro.service": f"ExecStart={prefix}/current/venv/bin/edge-sacro serve\n"}


def test_an_unpacked_kit_is_installed_as_well(tmp_path: Path, prefix: Path, maker: Path) -> None:
    kit = write_kit(tmp_path, maker)
    subprocess.run(["tar", "-xf", kit, "-C", tmp_path], check=True)
    install(plan(tmp_path / "edge-sacro-kit-test", prefix, maker))
    assert _serves(prefix) == "1.0.0"


@pytest.mark.skipif(os.geteuid() != 0, reason="a namespace without a network needs root")
def test_the_carried_installer_needs_neither_a_network_nor_a_package(tmp_path: Path, prefix: Path, maker: Path) -> None:
    """``-I -S`` leaves the standard library alone; the namespace has no network but a loopback that is down."""
    subprocess.run(["tar", "-xf", write_kit(tmp_path, maker), "-C", tmp_path], check=True)
    folder = tmp_path / "edge-sacro-kit-test"
    command = ["unshare", "--net", sys.executable, "-I", "-S", folder / "install.pyz", "install", folder]
    done = subprocess.run(
        [*command, "--prefix", prefix, "--key", f"{maker}.pub"], capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr:
        pytest.skip(f"this root may make no namespace: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("installer install.pyz, SHA-256 ")
    assert _serves(prefix) == "1.0.0"


def test_an_error_of_the_carried_installer_has_its_exit_code(tmp_path: Path, prefix: Path, keys: Path) -> None:
    kit = write_kit(tmp_path, keys / "other")
    (tmp_path / "install.pyz").write_bytes(installer())
    command = [sys.executable, "-I", "-S", tmp_path / "install.pyz", "install", kit, "--prefix", prefix]
    done = subprocess.run([*command, "--key", keys / "maker.pub"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("\n")) == (KitNotTrusted.exit_code, 1)
    assert "kit_not_trusted" in done.stderr
