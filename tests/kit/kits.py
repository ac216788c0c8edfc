"""Kits small enough to install in a second: a product of one script, a pip of twenty lines, and any fault asked for.

The stand-in for pip checks what it was told, so that an installation that reached for the network would fail here; the
real pip is run by ``scripts/test-kit``.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_sacro.kit.archive import installer
from edge_sacro.kit.installer.install import Plan
from edge_sacro.kit.installer.manifest import SCHEMA
from edge_sacro.kit.installer.signature import DOMAIN
from edge_sacro.signing import private_key_from_file
from edge_sacro.trust import Signature, key_id

PIP = """
import pathlib, sys, sysconfig, zipfile, hashlib, re
told = sys.argv[1:]
needed = {"--isolated", "--no-index", "--require-hashes", "--only-binary=:all:", "--no-cache-dir"}
if not needed <= set(told):
    sys.exit(f"told {told}")
links = pathlib.Path(told[told.index("--find-links") + 1])
site = pathlib.Path(sysconfig.get_path("purelib"))
for line in pathlib.Path(told[told.index("-r") + 1]).read_text().splitlines():
    name, version, digest = re.fullmatch(r"([^=\\[]+)(?:\\[.*\\])?==(\\S+) --hash=sha256:(\\w+)", line).groups()
    wheel, = links.glob(f"{name.replace('-', '_')}-{version}-*.whl")
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != digest:
        sys.exit("hash")
    zipfile.ZipFile(wheel).extractall(site)
script = pathlib.Path(sys.executable).parent / "edge-sacro"
script.write_text(f"#!{sys.executable}\\nimport edge_sacro_script\\n")
script.chmod(0o755)
"""

SCRIPT = """
import json, pathlib, sys, time
if sys.argv[1] == "--version":
    print({version!r})
elif sys.argv[1] == "selftest":
    release = pathlib.Path(sys.argv[sys.argv.index("--release") + 1])
    out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
    assert (release / "files.json").is_file() and (release / "kit" / "MANIFEST.json").is_file()
    out.mkdir()
    (out / "report.json").write_text(json.dumps(sys.argv[1:]))
    pathlib.Path({mark!r}).touch() if {mark!r} else None
    time.sleep({seconds})
    print("selftest said this")
    sys.exit({code})
"""


def private_key(path: Path) -> Ed25519PrivateKey:
    """The key that ``edge-sacro bundle keygen`` wrote."""
    return private_key_from_file(path, str)


def wheel(folder: Path, name: str, version: str, files: dict[str, bytes], **metadata: str) -> Path:
    """A wheel of these files."""
    information = f"{name}-{version}.dist-info"
    lines = {"Metadata-Version": "2.1", "Name": name.replace("_", "-"), "Version": version, **metadata}
    text = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in lines.items())
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, content in {**files, f"{information}/METADATA": text.encode()}.items():
            archive.writestr(inside, content)
    return path


def files_of_kit(folder: Path, version: str = "1.0.0", **script: Any) -> dict[str, bytes]:
    """Every file of a kit but its manifest, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"version": version, "mark": "", "seconds": 0, "code": 0, **script}
    product = wheel(folder, "edge_sacro", version, {"edge_sacro_script.py": SCRIPT.format(**told).encode()})
    pip = wheel(folder, "pip", "1.0", {"pip/__init__.py": b"", "pip/__main__.py": PIP.encode()})
    digest = hashlib.sha256(product.read_bytes()).hexdigest()
    return {
        f"wheels/{product.name}": product.read_bytes(),
        f"wheels/{pip.name}": pip.read_bytes(),
        "requirements.txt": f"edge-sacro[serve]=={version} --hash=sha256:{digest}\n".encode(),
        "install.pyz": installer(),
        "systemd/edge-sacro.service": b"ExecStart=/opt/edge-sacro/current/venv/bin/edge-sacro serve\n",
        "systemd/gpu.conf": b"PrivateDevices=no\n",
    }


def manifest_of(files: dict[str, bytes], **changes: Any) -> dict[str, Any]:
    """The manifest of these files, for this machine."""
    return {
        "schema": SCHEMA,
        "name": "edge-sacro-kit-test",
        "version": "1.0.0",
        "sequence": 0,
        "target": platform.machine(),
        "machine": platform.machine(),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "glibc": "2.17",
        "system_site_packages": False,
        "created": "2026-01-01T00:00:00Z",
        "bundle": {"name": "test", "version": "1", "fingerprint": "0" * 64, "statement": "Test."},
        "files": {
            name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        },
        **changes,
    }


def signature_of(text: bytes, key: Path, domain: bytes = DOMAIN) -> bytes:
    """The signature of a manifest's bytes."""
    private = private_key(key)
    return Signature(
        key_id=key_id(private.public_key().public_bytes_raw()), signature=private.sign(domain + text).hex()
    ).canonical()


Members = list[tuple[str, bytes]]


def members_of(files: dict[str, bytes], key: Path | None, **changes: Any) -> Members:
    """Names below the kit's folder with their bytes, in the order of a kit."""
    text = json.dumps(manifest_of(files, **changes), sort_keys=True, indent=1).encode()
    signed = [] if key is None else [("MANIFEST.json.sig", signature_of(text, key))]
    return [("MANIFEST.json", text), *signed, *sorted(files.items())]


def write_tar(path: Path, members: Members, change: Callable[[tarfile.TarInfo], None] | None = None) -> Path:
    """A tar file of these members; ``change`` may spoil each header."""
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(f"edge-sacro-kit-test/{name}")
            member.size = len(content)
            if change is not None:
                change(member)
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return path


def write_kit(folder: Path, key: Path | None, version: str = "1.0.0", **script: Any) -> Path:
    """A kit that installs, signed with a key or not at all."""
    changes = {name: script.pop(name) for name in ("sequence", "machine", "python", "glibc") if name in script}
    files = files_of_kit(folder / "wheels", version, **script)
    path = folder / f"kit-{version}-{len(list(folder.iterdir()))}.tar"
    return write_tar(path, members_of(files, key, version=version, **changes))


def plan(kit: Path, prefix: Path, key: Path | None, **more: Any) -> Plan:
    """An installation, of which nothing is told."""
    public = None if key is None else key.with_name(f"{key.name}.pub")
    return Plan(kit, prefix, public, **{"tell": lambda _: None, "python": sys.executable, **more})
