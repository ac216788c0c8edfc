"""The parity record of a bundle: figures of the measurement, kept with the networks that they are of."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edge_sacro.bundle import load_bundle
from edge_sacro.bundle_files import write_atomically
from edge_sacro.errors import BudgetBroken, UsageError
from edge_sacro.manifest import MANIFEST_NAME
from edge_sacro.parity.document import Document, json_from_document

RECORD_NAME = "parity.json"


def write_record(document: Document, folder: Path) -> Path:
    """Put the record into a bundle's folder, its name and hash into the manifest. A signature must be made anew.

    Args:
        document: whose budget holds, with no control.
        folder: of the bundle whose networks were compared.

    Returns:
        the record's file.

    Raises:
        BudgetBroken: a bundle is given no record of networks that differ too much.
        UsageError: the folder is none, holds other networks, or the measurement was a control.
        BundleError: the bundle cannot be used.
        OutputNotWritten: a file cannot be written.
    """
    if document.control is not None:
        raise UsageError("a control is no measurement of the bundle", source="write-into")
    if not document.holds:
        raise BudgetBroken("no record is written of what breaks the budget", source=str(folder))
    if not folder.is_dir():
        raise UsageError("a record goes into a bundle's folder, and this is none", source=str(folder))
    bundle = load_bundle(folder)
    other = [name for name, digest in document.bundle.networks.items() if bundle.manifest.files.get(name) != digest]
    if other:
        raise UsageError(f"it holds other networks than were compared: {', '.join(other)}", source=str(folder))
    content = json_from_document(document.record()).encode()
    manifest = bundle.manifest.model_copy(
        update={
            "records": {**bundle.manifest.records, "parity": RECORD_NAME},
            "files": {**bundle.manifest.files, RECORD_NAME: hashlib.sha256(content).hexdigest()},
        }
    )
    write_atomically(folder / RECORD_NAME, content)
    write_atomically(folder / MANIFEST_NAME, (manifest.model_dump_json(indent=2) + "\n").encode())
    return folder / RECORD_NAME
