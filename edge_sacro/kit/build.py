"""Building a kit: wheels for the target, bundle, phantoms with golden answers, SBOM, licences, docs, units."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from edge_sacro import __version__
from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.errors import KitError, UsageError
from edge_sacro.kit.archive import installer, write_kit
from edge_sacro.kit.installer.manifest import SCHEMA, KitManifest, is_safe_name, manifest_from_json
from edge_sacro.kit.installer.signature import DOMAIN
from edge_sacro.kit.installer.steps import sha256_of
from edge_sacro.kit.licences import write_licences
from edge_sacro.kit.needed import needed_wheels
from edge_sacro.kit.pages import write_docs
from edge_sacro.kit.sbom import sbom_from_kit
from edge_sacro.kit.targets import TARGETS, Target
from edge_sacro.kit.wheels import (
    Wheel,
    build_product,
    download,
    requirements_from_wheels,
    wheels_from_folder,
)
from edge_sacro.manifest import MANIFEST_NAME
from edge_sacro.selftest.golden import DEMONSTRATION, GOLDEN_NAME, Golden, golden_from_file, json_from_golden
from edge_sacro.selftest.studies import files_of
from edge_sacro.trust import SIGNATURE_NAME, Signature, key_id

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CHECKOUT = Path(__file__).parents[2]
"""Where the docs and the product's own source stand, where it runs from a checkout."""

_ROUNDS = 10
"""Of downloads: each may bring what needs another."""

EXTRAS = ("serve", "signing")
"""Of the product, in a kit where nothing else is asked for: the node, and the verification of bundles."""


@dataclass(frozen=True)
class KitOrder:
    """What kit to build.

    Attributes:
        target: a name in ``edge_sacro.kit.targets.TARGETS``.
        python: of the target; its usual one where None.
        extras: of the product.
        wheel: of the product; built from the checkout where None.
        wheels: folder of every wheel, in place of a download.
        bundle: what ``edge_sacro.bundle.load_bundle`` takes.
        golden: folder of the bundle's golden answers; the demonstration needs none.
        docs: folder of the documents.
        sequence: tells releases of one version apart.
        moment: seconds since 1970 that the kit was built at; now where None.
    """

    target: str
    python: str | None = None
    extras: tuple[str, ...] = EXTRAS
    wheel: Path | None = None
    wheels: Path | None = None
    bundle: str = "demonstration"
    golden: Path | None = None
    docs: Path = CHECKOUT / "docs"
    sequence: int = 0
    moment: int | None = None
    tell: Callable[[str], None] = field(default=lambda _: None)


def build_kit(order: KitOrder, out: Path, key: Ed25519PrivateKey | None) -> tuple[Path, KitManifest, str]:
    """Build a kit into a folder.

    Args:
        order: what to build.
        out: the folder that the tar file is written to.
        key: that it is signed with; None for none.

    Returns:
        the tar file's path, its manifest, and its SHA-256.

    Raises:
        EdgeSacroError: something is absent or does not fit.
    """
    target, python = _target(order)
    moment = int(time.time()) if order.moment is None else order.moment
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".kit-", dir=out) as scratch:
            folder = Path(scratch) / "kit"
            folder.mkdir()
            bundle, wheels = _fill(order, target, python, folder, moment)
            text = _manifest(order, target, python, bundle, folder, moment)
            manifest = manifest_from_json(text, "the new kit")
            path = out / f"{manifest.name}.tar"
            digest = write_kit(path, folder, manifest.name, text, _signature(text, key), moment)
    except OSError as error:
        raise KitError(f"it cannot be built: {error.strerror}", source=str(error.filename or out)) from error
    order.tell(f"{len(wheels)} wheels, {len(manifest.files)} files")
    return path, manifest, digest


def _target(order: KitOrder) -> tuple[Target, str]:
    if order.target not in TARGETS:
        raise UsageError(f"there is no target {order.target!r}; known are {', '.join(TARGETS)}", source="--target")
    target = TARGETS[order.target]
    python = order.python or target.python
    if python not in target.pythons:
        raise UsageError(
            f"{target.name} is not for Python {python}, but {', '.join(target.pythons)}", source="--python"
        )
    return target, python


def _fill(order: KitOrder, target: Target, python: str, folder: Path, moment: int) -> tuple[Bundle, list[Wheel]]:
    """Everything that the manifest lists."""
    wheels = _wheels(order, target, python, folder / "wheels")
    (folder / "requirements.txt").write_text(requirements_from_wheels(wheels, order.extras))
    order.tell(f"{len(wheels)} wheels, {sum(each.path.stat().st_size for each in wheels) // 10**6} MB")
    bundle = load_bundle(order.bundle)
    (folder / "bundle").mkdir()
    carried = {**bundle.files, MANIFEST_NAME: bundle.manifest_json}
    if bundle.signature is not None:
        carried[SIGNATURE_NAME] = bundle.signature.canonical()
    for name, content in carried.items():
        (folder / "bundle" / name).write_bytes(content)
    _write_studies(order, bundle, folder / "selftest")
    write_licences(wheels, bundle, folder / "licences")
    write_docs(order.docs, folder / "docs.html")
    (folder / "sbom.cdx.json").write_bytes(sbom_from_kit(wheels, bundle, order.target, moment))
    (folder / "install.pyz").write_bytes(installer())
    source = package_files("edge_sacro.kit") / "carried"
    (folder / "install.sh").write_bytes((source / "install.sh").read_bytes())
    (folder / "systemd").mkdir()
    for unit in (source / "systemd").iterdir():
        (folder / "systemd" / unit.name).write_bytes(unit.read_bytes())
    return bundle, wheels


def _wheels(order: KitOrder, target: Target, python: str, folder: Path) -> list[Wheel]:
    folder.mkdir()
    if order.wheels is not None:
        order.tell(f"wheels of {order.wheels}; nothing is downloaded")
        for path in sorted(order.wheels.glob("*.whl")):
            shutil.copyfile(path, folder / path.name)
        return _only_needed(order, target, python, folder)
    with TemporaryDirectory(prefix="edge-sacro-wheel-") as scratch:
        product = order.wheel or build_product(CHECKOUT, Path(scratch))
        shutil.copyfile(product, folder / product.name)
    order.tell(f"downloading wheels for {target.name}, Python {python}: this reaches for the network")
    named = f"[{','.join(order.extras)}]" if order.extras else ""
    download([f"{folder / product.name}{named}", "pip"], target, python, folder)
    for _ in range(_ROUNDS):
        _, missing = needed_wheels(wheels_from_folder(folder), order.extras, target, python)
        if not missing:
            break
        order.tell(f"needed on Python {python} besides: {', '.join(each.requirement for each in missing)}")
        download([each.requirement for each in missing], target, python, folder)
    return _only_needed(order, target, python, folder)


def _only_needed(order: KitOrder, target: Target, python: str, folder: Path) -> list[Wheel]:
    """The folder's wheels, without those that the target does not need.

    Raises:
        KitError: one that it needs is not there.
    """
    wheels = wheels_from_folder(folder)
    needed, missing = needed_wheels(wheels, order.extras, target, python)
    if missing:
        raise KitError(
            f"not there, and needed on {target.name} with Python {python}: "
            f"{', '.join(each.requirement for each in missing)}",
            source="wheels",
            remedy="Put these wheels there, or let kit build download.",
        )
    for wheel in wheels:
        if wheel.name not in needed:
            wheel.path.unlink()
    return [wheel for wheel in wheels if wheel.name in needed]


def _write_studies(order: KitOrder, bundle: Bundle, folder: Path) -> None:
    """The phantoms and their golden answers, which have to be those of the bundle."""
    place = DEMONSTRATION if order.golden is None else order.golden / GOLDEN_NAME
    golden: Golden = golden_from_file(place)
    if golden.bundle.fingerprint != bundle.fingerprint:
        raise KitError(
            f"the golden answers are of {golden.bundle.name} {golden.bundle.version}, and the bundle is "
            f"{bundle.manifest.name} {bundle.manifest.version}, fingerprint {bundle.fingerprint[:16]}…",
            source=str(place),
            remedy="Record the bundle's own with edge-sacro selftest --record, and name their folder with --golden.",
        )
    folder.mkdir()
    studies = []
    with TemporaryDirectory(prefix="edge-sacro-phantoms-") as scratch:
        for study, path in zip(golden.studies, files_of(golden, order.golden, Path(scratch)), strict=True):
            sha256 = sha256_of(path)
            if sha256 != study.sha256 and order.golden is not None:
                raise KitError("it is not the file that the golden answers are of", source=str(path))
            # Another NumPy draws a few pixels one level apart; the answers hold for them, within the guard band.
            studies.append(study.model_copy(update={"sha256": sha256}))
            shutil.copyfile(path, folder / study.file)
    (folder / GOLDEN_NAME).write_text(json_from_golden(golden.model_copy(update={"studies": studies})))


def _manifest(order: KitOrder, target: Target, python: str, bundle: Bundle, folder: Path, moment: int) -> bytes:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    odd = [name for name in names if not is_safe_name(name)]
    if odd:
        raise KitError("it is no name that a kit may hold", source=odd[0])
    document = {
        "schema": SCHEMA,
        "name": f"edge-sacro-kit-{__version__}-{target.name}{'' if python == target.python else f'-py{python}'}",
        "version": __version__,
        "sequence": order.sequence,
        "target": target.name,
        "machine": target.machine,
        "python": python,
        "glibc": f"2.{target.glibc_minor}",
        "system_site_packages": target.system_site_packages,
        "created": dt.datetime.fromtimestamp(moment, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "bundle": {
            "name": bundle.manifest.name,
            "version": bundle.manifest.version,
            "fingerprint": bundle.fingerprint,
            "statement": bundle.manifest.statement,
            "built_with": f"Python {platform.python_version()}",
        },
        "files": {name: {"size": path.stat().st_size, "sha256": sha256_of(path)} for name, path in names.items()},
    }
    return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"


def _signature(text: bytes, key: Ed25519PrivateKey | None) -> bytes | None:
    if key is None:
        return None
    identifier = key_id(key.public_key().public_bytes_raw())
    return Signature(key_id=identifier, signature=key.sign(DOMAIN + text).hex()).canonical()


def moment_from_environment() -> int | None:
    """SOURCE_DATE_EPOCH, by which a build is repeated; None where it is not set.

    Raises:
        UsageError: it is no number.
    """
    value = os.environ.get("SOURCE_DATE_EPOCH")
    if value is None:
        return None
    if not value.isdigit():
        raise UsageError(f"SOURCE_DATE_EPOCH is {value!r}, and no number of seconds", source="SOURCE_DATE_EPOCH")
    return int(value)
