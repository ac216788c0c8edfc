"""The kit as one tar file: the same files give the same bytes, the manifest first, its signature second."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from edge_sacro.bundle_files import zip_from_files
from edge_sacro.errors import OutputNotWritten
from edge_sacro.kit.installer.manifest import MANIFEST_NAME, SIGNATURE_NAME
from edge_sacro.kit.installer.steps import sha256_of

_PACKAGE = Path(__file__).parents[1]

_STARTED = b"""import sys

if sys.version_info < (3, 10):
    sys.exit("install.pyz needs Python 3.10 or later; PYTHON=/path/to/python3 names one")
from edge_sacro.kit.installer.main import main

sys.exit(main())
"""


def installer() -> bytes:
    """``install.pyz``: the installer's modules and the error tree, for the bare Python of a target."""
    carried = ("__init__.py", "errors.py", "kit/__init__.py")
    paths = [_PACKAGE / name for name in carried] + sorted((_PACKAGE / "kit" / "installer").glob("*.py"))
    files = {f"edge_sacro/{path.relative_to(_PACKAGE).as_posix()}": path.read_bytes() for path in paths}
    return zip_from_files({"__main__.py": _STARTED, **files})


def write_kit(out: Path, folder: Path, name: str, manifest: bytes, signature: bytes | None, moment: int) -> str:
    """Write the tar file; its SHA-256.

    Args:
        out: the file.
        folder: every file but the manifest and its signature.
        name: of the folder in the tar file.
        manifest: the first member.
        signature: the second member, where there is one.
        moment: seconds since 1970 that every member bears.

    Raises:
        OutputNotWritten: it cannot be written.
    """
    first: Mapping[str, bytes | None] = {MANIFEST_NAME: manifest, SIGNATURE_NAME: signature}
    new = out.with_name(f".{out.name}.new")
    try:
        with new.open("wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for each, content in first.items():
                if content is not None:
                    archive.addfile(_member(f"{name}/{each}", len(content), moment), io.BytesIO(content))
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                inside = f"{name}/{path.relative_to(folder).as_posix()}"
                with path.open("rb") as content_of:
                    archive.addfile(_member(inside, path.stat().st_size, moment), content_of)
        new.replace(out)
    except OSError as error:
        raise OutputNotWritten(f"it cannot be written: {error.strerror}", source=str(out)) from error
    finally:
        new.unlink(missing_ok=True)
    return sha256_of(out)


def _member(name: str, size: int, moment: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, moment, 0o644
    return member
