"""A folder of simulated radiographs with their truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2

from edge_sacro import __version__
from edge_sacro.errors import OutputNotWritten, UsageError
from edge_sacro.phantom.dx import instance_uid, write_dx
from edge_sacro.phantom.render import render
from edge_sacro.phantom.types import NOTICE, Phantom, PhantomOptions

SCHEMA = "edge-sacro-phantom-truth-1"
MASK_BITS = {"sacrum": 1, "left_hip": 2, "right_hip": 4, "left_joint": 8, "right_joint": 16}


def write_study(
    out: Path,
    count: int,
    seed: int,
    options: PhantomOptions | None = None,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> Path:
    """Write ``phantom-<seed>-<nnn>.dcm``, a mask PNG beside each, and ``truth.json``.

    Args:
        out: a folder; made where it does not exist.
        count: how many, at least 1. Image ``n`` is drawn from ``(seed, n)``, so a longer run begins as a shorter one.
        seed: non-negative.
        options: what is laid down for all.
        progress: given the numbers of the images, gives them one by one as they are made.

    Returns:
        the path of ``truth.json``.

    Raises:
        UsageError: if count or seed cannot be meant.
        OutputNotWritten: if a file cannot be written.
    """
    if count < 1 or seed < 0:
        raise UsageError(f"cannot make {count} phantoms from seed {seed}", remedy="Ask for 1 or more, seed 0 or more.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritten(f"the folder cannot be made: {error.strerror}", source=str(out)) from error
    images = [_written(out, seed, number, options or PhantomOptions()) for number in progress(range(count))]
    truth = {
        "schema": SCHEMA,
        "generator": f"edge-sacro {__version__}",
        "notice": NOTICE,
        "seed": seed,
        "mask_bits": MASK_BITS,
        "images": images,
    }
    path = out / "truth.json"
    _save(path, (json.dumps(truth, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())
    return path


def _written(out: Path, seed: int, number: int, options: PhantomOptions) -> dict[str, Any]:
    """Write one image and its mask; its entry in ``truth.json``."""
    name = f"phantom-{seed}-{number:03d}"
    phantom = render((seed, number), options)
    content = write_dx(phantom, out / f"{name}.dcm", f"{seed}-{number:03d}")
    encoded, mask = cv2.imencode(".png", phantom.truth.masks)
    if not encoded:
        raise OutputNotWritten("the mask could not be encoded as PNG", source=f"{name}-mask.png")
    _save(out / f"{name}-mask.png", mask.tobytes())
    return {"file": f"{name}.dcm", "mask": f"{name}-mask.png", **entry_from_phantom(phantom, content)}


def entry_from_phantom(phantom: Phantom, content: bytes) -> dict[str, Any]:
    """What ``truth.json`` says of one image, but for its file names.

    Args:
        phantom: the image.
        content: the bytes of its DICOM file.
    """
    return {
        "sop_instance_uid": str(instance_uid(phantom)),
        "sha256": hashlib.sha256(content).hexdigest(),
        "rows": int(phantom.pixels.shape[0]),
        "columns": int(phantom.pixels.shape[1]),
        "bits_stored": phantom.bits_stored,
        "photometric_interpretation": phantom.photometric_interpretation,
        "detector_spacing_mm": phantom.spacing_mm,
        "window": list(phantom.window),
        "seed": list(phantom.seed),
        **phantom.truth.as_dict(),
    }


def _save(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OutputNotWritten(f"the file cannot be written: {error.strerror}", source=str(path)) from error
