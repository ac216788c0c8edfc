"""Objects as files, named for their UIDs: no result ever takes another's place, and no source can be overwritten."""

from __future__ import annotations

import os
from pathlib import Path

from edge_sacro.errors import OutputNotWritten
from edge_sacro.objects.answer import ResultObject


def write_object(made: ResultObject, folder: Path) -> tuple[Path, bool]:
    """Write an object, whole or not at all, unless it is there already.

    An object that is there keeps its bytes: its UID says that its content is this one's, and the moment at which it
    was first made stays true.

    Args:
        made: the object.
        folder: where to; it exists.

    Returns:
        the file, and whether it is new.

    Raises:
        OutputNotWritten: it cannot be written there.
    """
    target = folder / f"{made.kind}-{made.sop_instance_uid}.dcm"
    if target.exists():
        return target, False
    part = folder / f".{target.name}.{os.getpid()}.part"
    try:
        with part.open("wb") as file:
            file.write(made.content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputNotWritten(f"{error.strerror}", source=str(target)) from error
    return target, True
