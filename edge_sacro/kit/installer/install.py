"""An installation, step by step. What serves is touched by its last step alone, which is one rename."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge_sacro.errors import KitError, KitNotInstalled, KitNotTrusted
from edge_sacro.kit.installer import steps
from edge_sacro.kit.installer.manifest import MANIFEST_NAME, SIGNATURE_NAME, KitManifest, manifest_from_json
from edge_sacro.kit.installer.prefix import RELEASES, Prefix, Release
from edge_sacro.kit.installer.signature import public_key_from_file, verify
from edge_sacro.kit.installer.unpack import Kit, copy_verified, opened, read_head, write_new

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to install, and how.

    Attributes:
        kit: its tar file, or the folder that it was unpacked to.
        prefix: where releases stand.
        key: file of the public key that the kit must be signed with; None only together with ``unsigned``.
        unsigned: take a kit without verifying whose it is.
        allow_downgrade: take an older one than has served here.
        python: the interpreter to install for.
        selftest: further arguments of ``edge-sacro selftest``, as ``--config`` of the site's node.
        units: folder that systemd's units are written to; None for none.
        tell: is given a line for each step.
    """

    kit: Path
    prefix: Path
    key: Path | None = None
    unsigned: bool = False
    allow_downgrade: bool = False
    python: str = sys.executable
    selftest: tuple[str, ...] = ()
    units: Path | None = None
    tell: Tell = field(default=print)


@dataclass(frozen=True)
class Head:
    """A manifest that may be believed.

    Attributes:
        manifest: read.
        text, signature: its bytes, and those of its signature; None where there is none.
        signed_by: identifier of the key that it was verified with; None where none was given.
    """

    manifest: KitManifest
    text: bytes
    signature: bytes | None
    signed_by: str | None


def verified_head(kit: Kit, key: Path | None, unsigned: bool, tell: Tell) -> Head:
    """The manifest, read only after its signature was verified.

    Raises:
        KitNotTrusted: the signature is absent, another's or wrong, or neither a key nor ``unsigned`` was given.
        KitCorrupt: there is no manifest, or it is none.
        UsageError: the key is none.
    """
    if (key is None) != unsigned:
        raise KitNotTrusted(
            "a key and --unsigned exclude each other" if unsigned else "no key was given to verify the kit with",
            source=kit.path,
            remedy="Give the maker's public key with --key; --unsigned takes a kit from anybody.",
        )
    text, signature = read_head(kit)
    signed_by = None
    if key is not None:
        signed_by = verify(text, signature, public_key_from_file(key), kit.path)
        tell(f"signature of the key {signed_by}")
    else:
        tell("NOT VERIFIED: --unsigned was given, and nobody knows whose kit this is")
    return Head(manifest_from_json(text, kit.path), text, signature, signed_by)


def verify_kit(path: Path, key: Path | None, unsigned: bool, tell: Tell) -> KitManifest:
    """Hold a kit against its signature, and every file against its hash.

    Raises:
        KitError: it is not what it says.
    """
    with opened(path) as kit:
        manifest = verified_head(kit, key, unsigned, tell).manifest
        copy_verified(kit, manifest, None)
    tell(f"{manifest.name}: {len(manifest.files)} files as listed, manifest {manifest.sha256}")
    return manifest


def install(plan: Plan) -> Release:
    """Verify a kit, install it beside what serves, check it, and only then let it serve.

    Raises:
        KitError: it is not what it says, is not for this machine, is older, or could not be installed; what served
            before serves on.
    """
    prefix = Prefix(plan.prefix)
    with prefix.locked(), opened(plan.kit) as kit:
        head = verified_head(kit, plan.key, plan.unsigned, plan.tell)
        manifest = head.manifest
        steps.check_machine(manifest, plan.python)
        serves = prefix.current()
        if serves is not None and serves.manifest_sha256 == manifest.sha256:
            plan.tell(f"{serves.name} serves already")
            return serves
        if not plan.allow_downgrade:
            prefix.check_order(manifest)
        release = Release(
            name=prefix.new_name(manifest),
            version=manifest.version,
            sequence=manifest.sequence,
            target=manifest.target,
            order=manifest.order,
            manifest_sha256=manifest.sha256,
            signed_by=head.signed_by,
            previous=None if serves is None else serves.name,
            installed=dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        folder = prefix.path / RELEASES / release.name
        try:
            _make(plan, kit, head, folder)
            prefix.complete(release)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise KitNotInstalled(f"{error.strerror}", source=str(error.filename or folder)) from error
            raise
        prefix.switch(release.name)
        plan.tell(f"{release.name} serves: {prefix.path}/bin/edge-sacro")
        for name in prefix.prune():
            plan.tell(f"{name} removed")
        if plan.units is not None:
            for written in steps.write_units(folder / "kit" / "systemd", plan.units, prefix.path):
                plan.tell(f"{written} written")
    return release


def roll_back(prefix_path: Path, tell: Tell) -> Release:
    """Let the release serve that served before the current one.

    Raises:
        KitError: there is none.
    """
    prefix = Prefix(prefix_path)
    with prefix.locked():
        current = prefix.current()
        name = None if current is None else current.previous
        found = next((each for each in prefix.releases() if each.name == name), None)
        if current is None or found is None:
            raise KitError("no release is there that served before", source=str(prefix.path), remedy="Install a kit.")
        prefix.switch(found.name)
        tell(f"{found.name} serves, and {current.name} no longer; restart what runs: systemctl restart edge-sacro")
    return found


def _make(plan: Plan, kit: Kit, head: Head, folder: Path) -> None:
    """The release's folder, up to the selftest's report."""
    manifest = head.manifest
    carried, venv = folder / "kit", folder / "venv"
    carried.mkdir(parents=True, mode=0o755)
    write_new(carried / MANIFEST_NAME, head.text)
    if head.signature is not None:
        write_new(carried / SIGNATURE_NAME, head.signature)
    copy_verified(kit, manifest, carried)
    plan.tell(f"{manifest.name}: {len(manifest.files)} files as listed")
    steps.make_environment(plan.python, venv, manifest.system_site_packages)
    steps.install_wheels(carried / "wheels", venv, carried / "requirements.txt")
    plan.tell(f"wheels installed into {venv}")
    shutil.rmtree(carried / "wheels")
    (folder / "files.json").write_bytes(steps.hashes_of(folder))
    plan.tell(steps.selftest(folder, plan.selftest))
