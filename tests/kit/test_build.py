"""Building a kit from prepared wheels: complete, repeatable, taken by what installs it, and refused where it lies."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_sacro.benchmark.order import Order
from edge_sacro.cli import main
from edge_sacro.errors import KitError, UsageError
from edge_sacro.kit.archive import installer
from edge_sacro.kit.build import KitOrder, build_kit
from edge_sacro.kit.installer.install import verify_kit
from edge_sacro.kit.targets import TARGETS
from edge_sacro.kit.wheels import build_product
from edge_sacro.selftest.golden import GOLDEN_NAME, json_from_golden
from edge_sacro.selftest.run import record
from tests.conftest import ROOT
from tests.kit.kits import private_key, wheel
from tests.tiny import write_bundle, write_dicom


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> KitOrder:
    """Everything that a kit of the tiny bundle is made from."""
    folder = tmp_path_factory.mktemp("order")
    for name in ("wheels", "golden", "docs"):
        (folder / name).mkdir()
    wheel(folder / "wheels", "edge_sacro", "0.1.0", {})
    wheel(folder / "wheels", "pip", "26.0", {})
    (folder / "docs" / "kit.md").write_text("# Offline kits\n")
    bundle = str(write_bundle(folder / "bundle", guard_band={"half_width": 0.05, "source": "for tests"}))
    golden, _ = record(Order(bundle, threads=1), [write_dicom(folder / "golden" / "pelvis.dcm")], folder)
    (folder / "golden" / GOLDEN_NAME).write_text(json_from_golden(golden))
    return KitOrder(
        "x86_64",
        python="3.12",
        wheels=folder / "wheels",
        bundle=bundle,
        golden=folder / "golden",
        docs=folder / "docs",
        moment=1_700_000_000,
    )


def test_a_kit_holds_everything_and_its_installer_takes_it(order: KitOrder, tmp_path: Path, maker: Path) -> None:
    path, manifest, digest = build_kit(order, tmp_path, private_key(maker))
    assert path.name == "edge-sacro-kit-0.1.0-x86_64-py3.12.tar"
    assert verify_kit(path, Path(f"{maker}.pub"), False, lambda _: None) == manifest
    needed = {"install.sh", "install.pyz", "requirements.txt", "sbom.cdx.json", "docs.html", "bundle/manifest.json"}
    needed |= {"selftest/golden.json", "selftest/pelvis.dcm", "licences/LICENCES.txt", "systemd/edge-sacro.service"}
    assert needed <= set(manifest.files)
    assert (manifest.python, manifest.glibc, manifest.created) == ("3.12", "2.28", "2023-11-14T22:13:20Z")
    assert subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout.startswith(digest)
    with tarfile.open(path) as archive:
        names = archive.getnames()
    assert names[:2] == [f"{manifest.name}/{name}" for name in ("MANIFEST.json", "MANIFEST.json.sig")]


def test_the_same_order_makes_the_same_bytes(order: KitOrder, tmp_path: Path, maker: Path) -> None:
    first, second = (build_kit(order, tmp_path / name, private_key(maker))[0].read_bytes() for name in "ab")
    assert first == second


def test_the_carried_installer_is_the_product_s_own_and_no_more() -> None:
    with zipfile.ZipFile(io.BytesIO(installer())) as archive:
        names = set(archive.namelist())
        assert archive.read("edge_sacro/errors.py") == (ROOT / "edge_sacro" / "errors.py").read_bytes()
    own = {f"edge_sacro/kit/installer/{path.name}" for path in (ROOT / "edge_sacro/kit/installer").glob("*.py")}
    assert names == own | {
        "__main__.py",
        "edge_sacro/__init__.py",
        "edge_sacro/errors.py",
        "edge_sacro/kit/__init__.py",
    }


def test_the_carried_installer_runs_on_the_standard_library_alone(tmp_path: Path) -> None:
    (tmp_path / "install.pyz").write_bytes(installer())
    command = [sys.executable, "-I", "-S", tmp_path / "install.pyz", "install", "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "--allow-downgrade" in done.stdout


def test_a_kit_of_a_bundle_without_golden_answers_is_refused(order: KitOrder, tmp_path: Path) -> None:
    with pytest.raises(KitError, match="golden answers"):
        build_kit(KitOrder(**{**vars(order), "golden": None}), tmp_path, None)


def test_a_kit_whose_phantom_is_another_one_is_refused(order: KitOrder, tmp_path: Path) -> None:
    assert order.golden is not None
    (tmp_path / GOLDEN_NAME).write_text((order.golden / GOLDEN_NAME).read_text())
    (tmp_path / "pelvis.dcm").write_bytes(b"another one")
    with pytest.raises(KitError, match="not the file"):
        build_kit(KitOrder(**{**vars(order), "golden": tmp_path}), tmp_path / "out", None)


@pytest.mark.parametrize("change", [{"target": "riscv64"}, {"python": "3.9"}, {"target": "jetson-jp6"}])
def test_a_target_that_is_unknown_is_refused(order: KitOrder, tmp_path: Path, change: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        build_kit(KitOrder(**{**vars(order), **change}), tmp_path, None)


def test_targets_take_wheels_of_their_machine_and_c_library() -> None:
    assert TARGETS["x86_64"].platforms[0] == "manylinux_2_28_x86_64"
    assert TARGETS["jetson-jp6"].platforms[0] == "manylinux_2_35_aarch64"
    assert all(each.platforms[-1] == f"manylinux2014_{each.machine}" for each in TARGETS.values())
    assert TARGETS["jetson-jp6"].system_site_packages


def test_a_folder_that_is_no_checkout_builds_no_wheel(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="no checkout"):
        build_product(tmp_path, tmp_path)


def test_the_commands_build_and_verify(order: KitOrder, tmp_path: Path, maker: Path) -> None:
    options = {"--target": "x86_64", "--python": "3.12", "--wheels": order.wheels, "--bundle": order.bundle}
    options |= {"--golden": order.golden, "--docs": order.docs, "--sign": maker, "--out": tmp_path, "--sequence": 3}
    told = [str(each) for pair in options.items() for each in pair]
    done = CliRunner().invoke(main, ["kit", "build", *told])
    assert done.exit_code == 0, done.output
    assert "signed" in done.output
    kit = str(next(tmp_path.glob("*.tar")))
    good = CliRunner().invoke(main, ["kit", "verify", kit, "--key", f"{maker}.pub"])
    assert good.exit_code == 0, good.output
    with tarfile.open(kit) as archive:
        file = archive.extractfile(archive.getmembers()[0])
        assert file is not None
        assert json.load(file)["sequence"] == 3
    assert CliRunner().invoke(main, ["kit", "verify", kit, "--key", str(maker)]).exit_code == UsageError.exit_code
    none = CliRunner().invoke(main, ["kit", "list", "--prefix", str(tmp_path / "opt")])
    assert "nothing is installed" in none.output
    assert CliRunner().invoke(main, ["kit", "rollback", "--prefix", str(tmp_path / "opt")]).exit_code == 110
