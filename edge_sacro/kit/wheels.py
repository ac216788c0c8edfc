"""The wheels of a kit: this product's, what it needs for the target's Python, and pip, each with its hash.

This is the one place that reaches for the network, and only where ``edge-sacro kit build`` asks for it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from edge_sacro.errors import KitError
from edge_sacro.kit.installer.steps import sha256_of
from edge_sacro.kit.targets import Target

_LAST_LINES = 12


@dataclass(frozen=True)
class Wheel:
    """One wheel.

    Attributes:
        path: of the file.
        name, version: of the distribution, the name as PEP 503 has it.
        sha256: of the file.
        metadata: its METADATA.
    """

    path: Path
    name: str
    version: str
    sha256: str
    metadata: Message


def wheel_from_file(path: Path) -> Wheel:
    """Read a wheel's name, version and metadata.

    Raises:
        KitError: it is no wheel.
    """
    try:
        with ZipFile(path) as archive:
            names = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
            if len(names) != 1:
                raise KitError("it holds no METADATA, or several", source=str(path))
            metadata = BytesParser().parsebytes(archive.read(names[0]))
    except (OSError, BadZipFile) as error:
        raise KitError(f"it is no wheel: {error}", source=str(path)) from error
    name, version = metadata.get("Name"), metadata.get("Version")
    if name is None or version is None:
        raise KitError("its METADATA has no name or no version", source=str(path))
    return Wheel(path, normal_name(name), version, sha256_of(path), metadata)


def normal_name(name: str) -> str:
    """A distribution's name in the one form that it has (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def build_product(source: Path, out: Path) -> Path:
    """Build this product's wheel from a checkout; its path.

    Raises:
        KitError: there is no checkout, or it cannot be built.
    """
    if not (source / "pyproject.toml").is_file():
        raise KitError(
            "this is no checkout to build the wheel from", source=str(source), remedy="Name it with --wheel."
        )
    _pip(["wheel", "--no-deps", "--wheel-dir", str(out), str(source)], "building the wheel")
    built = sorted(out.glob("edge_sacro-*.whl"))
    if len(built) != 1:
        raise KitError(f"{len(built)} wheels were built in place of one", source=str(out))
    return built[0]


def download(requirements: Sequence[str], target: Target, python: str, out: Path) -> None:
    """Download wheels of requirements and of what they need, into a folder.

    Args:
        requirements: as pip takes them.
        target: what the wheels have to work on.
        python: its version.
        out: the folder; the versions that lie there stay.

    Raises:
        KitError: pip found no set of wheels.
    """
    command = ["download", "--dest", str(out), "--only-binary=:all:", "--implementation", "cp"]
    command += ["--python-version", python]
    for platform in target.platforms:
        command += ["--platform", platform]
    with TemporaryDirectory(prefix="edge-sacro-wheels-") as scratch:
        there = [wheel_from_file(path) for path in sorted(out.glob("*.whl"))]
        constraints = Path(scratch) / "constraints.txt"
        constraints.write_text("".join(f"{wheel.name}=={wheel.version}\n" for wheel in there))
        command += ["--constraint", str(constraints), "--find-links", str(out)]
        _pip([*command, *requirements], f"downloading wheels for {target.name}, Python {python}")


def wheels_from_folder(folder: Path) -> list[Wheel]:
    """Every wheel of a folder, by name.

    Raises:
        KitError: something else lies there, or two wheels of one distribution.
    """
    found = [wheel_from_file(path) for path in sorted(folder.iterdir())]
    names = [wheel.name for wheel in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise KitError(f"two wheels of {', '.join(twice)} are there", source=str(folder))
    if not {"edge-sacro", "pip"} <= set(names):
        raise KitError("the wheel of edge-sacro or of pip is absent", source=str(folder))
    return found


def requirements_from_wheels(wheels: Sequence[Wheel], extras: Sequence[str]) -> str:
    """What pip is told to install: every distribution with its version and hash, pip itself apart."""
    lines = []
    for wheel in sorted(wheels, key=lambda each: each.name):
        if wheel.name != "pip":
            named = f"[{','.join(extras)}]" if wheel.name == "edge-sacro" and extras else ""
            lines.append(f"{wheel.name}{named}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    return "".join(lines)


def _pip(arguments: Sequence[str], what: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S603
    if done.returncode != 0:
        told = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:])
        raise KitError(f"{what} failed: {told}", source="pip", remedy="A kit is built on a machine with a network.")
