"""The single steps of an installation that run other programs: Python, pip, the selftest. None needs a network."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from edge_sacro.errors import KitError, KitNotInstalled
from edge_sacro.kit.installer.manifest import KitManifest

_CHUNK = 1 << 20
_LAST_LINES = 12
"""Of a program that failed, in the message."""

PREFIX = "/opt/edge-sacro"
"""What stands for the prefix in the units that a kit carries."""


def check_machine(manifest: KitManifest, python: str) -> None:
    """Refuse a kit whose wheels do not work here.

    Raises:
        KitError: it is for another processor, version of Python or C library.
    """
    if platform.machine() != manifest.machine:
        raise KitError(f"it is for {manifest.machine}, and this machine is {platform.machine()}", source=manifest.name)
    version = run([python, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], "asking Python").strip()
    if version != manifest.python:
        raise KitError(
            f"it is for Python {manifest.python}, and {python} is {version}",
            source=manifest.name,
            remedy="Name another interpreter with --python, or build a kit for this one.",
        )
    libc = os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in os.confstr_names else None
    name, _, found = (libc or "").partition(" ")
    if name != "glibc" or _numbers(found) < _numbers(manifest.glibc):
        raise KitError(f"it is for glibc {manifest.glibc} or later, and here is {libc}", source=manifest.name)


def make_environment(python: str, venv: Path, system_site_packages: bool) -> None:
    """A Python environment without pip, of the interpreter itself even where ``python`` is an environment's.

    Raises:
        KitNotInstalled: it cannot be made.
    """
    base = run([python, "-I", "-c", "import sys; print(sys._base_executable)"], "finding Python").strip()
    options = ["--system-site-packages"] if system_site_packages else []
    run([base, "-I", "-m", "venv", "--without-pip", *options, str(venv)], "making the environment")


def install_wheels(wheels: Path, venv: Path, requirements: Path) -> None:
    """Install by the pip that the kit brings along, since a Debian without python3-venv has none.

    Raises:
        KitNotInstalled: pip refused.
    """
    pip = sorted(wheels.glob("pip-*.whl"))
    if len(pip) != 1:
        raise KitNotInstalled("the kit does not hold one pip", source=str(wheels))
    python = str(venv / "bin" / "python")
    command = [python, "-I", f"{pip[0]}/pip", "--isolated", "install", "--no-index", "--find-links", str(wheels)]
    command += ["--require-hashes", "--only-binary=:all:", "--no-compile", "--no-cache-dir", "--no-input", "--quiet"]
    run([*command, "-r", str(requirements)], "installing the wheels")
    # What is compiled does not look at the time of its source: both stay as they are, and are held to their hashes.
    # A package may hold files that are no Python of this version, hence exit code 1 is no failure.
    packages = [str(each) for each in (venv / "lib").glob("python3*/site-packages")]
    compiled = [python, "-I", "-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash", *packages]
    run(compiled, "compiling the installed modules", codes=(0, 1))


def hashes_of(release: Path) -> bytes:
    """SHA-256 of every file of a release's kit and environment, by its name in the release; links by their target."""
    found = {}
    for part in ("kit", "venv"):
        for path in sorted((release / part).rglob("*")):
            name = path.relative_to(release).as_posix()
            if path.is_symlink():
                found[name] = f"link to {path.readlink()}"
            elif path.is_file():
                found[name] = sha256_of(path)
    return json.dumps({"files": found}, sort_keys=True, indent=0).encode() + b"\n"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def selftest(release: Path, options: Sequence[str]) -> str:
    """The installation check, run by what was just installed; what it says.

    Raises:
        KitNotInstalled: a check failed.
    """
    command = [str(release / "venv" / "bin" / "edge-sacro"), "selftest", "--release", str(release)]
    return run([*command, "--out", str(release / "selftest"), *options], "the selftest").strip()


def write_units(source: Path, target: Path, prefix: Path) -> list[Path]:
    """Write systemd's units for this prefix, each at once; their paths.

    Raises:
        KitError: they cannot be written. The release serves nevertheless.
    """
    written = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for each in sorted((*source.glob("*.service"), *source.glob("*.timer"))):
            new = target / f".{each.name}.new"
            new.write_text(each.read_text().replace(PREFIX, str(prefix)))
            new.chmod(0o644)
            written.append(new.replace(target / each.name))
    except OSError as error:
        raise KitError(f"systemd's units cannot be written: {error.strerror}", source=str(target)) from error
    return written


def run(command: Sequence[str], what: str, codes: Collection[int] = (0,)) -> str:
    """Run a program with nothing of the caller's environment but the number of threads; what it printed.

    Raises:
        KitNotInstalled: it is not there, or ended with another exit code.
    """
    kept = {name: value for name in ("OMP_NUM_THREADS", "QEMU_CPU") if (value := os.environ.get(name)) is not None}
    with tempfile.TemporaryDirectory(prefix="edge-sacro-kit-") as home:
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": home, "TMPDIR": home, **kept}
        try:
            done = subprocess.run(  # noqa: S603 - Python and what the kit installed
                command, env=environment, cwd=home, capture_output=True, check=False, stdin=subprocess.DEVNULL
            )
        except OSError as error:
            raise KitNotInstalled(f"{what}: {error.strerror}", source=command[0]) from error
    if done.returncode not in codes:
        told = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
        raise KitNotInstalled(f"{what} ended with exit code {done.returncode}: {chr(10).join(told)}", source=command[0])
    return done.stdout.decode(errors="replace")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
