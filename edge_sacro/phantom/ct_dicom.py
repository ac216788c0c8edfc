"""The CT phantom as DICOM objects: CT Image Storage (PS3.3 A.3), one for each slice, in one series."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydicom.dataset import FileDataset
from pydicom.uid import CTImageStorage

from edge_sacro import __version__
from edge_sacro.errors import OutputNotWritten, UsageError
from edge_sacro.grades import is_definite
from edge_sacro.phantom.ct import CtOptions, CtSeries, render_ct
from edge_sacro.phantom.identity import identify, object_of_class, uid_from_key
from edge_sacro.phantom.types import NOTICE

SCHEMA = "edge-sacro-ct-phantom-truth-1"
RESCALE_INTERCEPT = -1024


def ct_from_series(series: CtSeries, number: int) -> FileDataset:
    """The object of one slice.

    Args:
        series: what :func:`edge_sacro.phantom.ct.render_ct` gave.
        number: of the slice, from 0, the lowest one.
    """
    piece = series.slices[number]
    label = "-".join(str(each) for each in series.seed)
    key = f"ct/{label}/{series.left.grade}{series.right.grade}/{len(series.slices)}{'/pelvis' if series.pelvis else ''}"
    digest = hashlib.sha256(piece.values.astype("<i2").tobytes()).hexdigest()
    dataset = object_of_class(CTImageStorage, f"{key}/{digest}", key)
    identify(dataset, f"CT-{label}", "CT")
    rows, columns = piece.values.shape
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.InstanceNumber = str(number + 1)
    dataset.BodyPartExamined = "PELVIS"
    dataset.PatientPosition = "HFS"
    dataset.FrameOfReferenceUID = uid_from_key("frame", key)
    dataset.PositionReferenceIndicator = ""
    dataset.KVP, dataset.SliceThickness = "120", f"{series.distance_mm:.6g}"
    dataset.PixelSpacing = [f"{series.spacing_mm:.6g}"] * 2
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    corners = [-(side - 1) / 2 * series.spacing_mm for side in (columns, rows)]
    dataset.ImagePositionPatient = [f"{value:.6g}" for value in (*corners, piece.height_mm)]
    dataset.SliceLocation = f"{piece.height_mm:.6g}"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = str(RESCALE_INTERCEPT), "1", "HU"
    dataset.WindowCenter, dataset.WindowWidth = "400", "1800"
    dataset.LossyImageCompression = "00"
    dataset.PixelData = (piece.values - RESCALE_INTERCEPT).astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def write_ct_study(
    out: Path,
    count: int,
    seed: int,
    options: CtOptions | None = None,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> Path:
    """Write ``phantom-ct-<seed>-<nnn>-<slice>.dcm`` for every slice of every series, and ``truth.json``.

    Args:
        out: a folder; made where it does not exist.
        count: how many series, at least 1. Series ``n`` is drawn from ``(seed, n)``.
        seed: non-negative.
        options: what is laid down for all.
        progress: given the numbers of the series, gives them one by one as they are made.

    Returns:
        the path of ``truth.json``.

    Raises:
        UsageError: count or seed cannot be meant.
        OutputNotWritten: a file cannot be written.
    """
    if count < 1 or seed < 0:
        raise UsageError(f"cannot make {count} phantoms from seed {seed}", remedy="Ask for 1 or more, seed 0 or more.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        series = [_written(out, render_ct((seed, number), options)) for number in progress(range(count))]
        truth = {"schema": SCHEMA, "generator": f"edge-sacro {__version__}", "notice": NOTICE, "series": series}
        path = out / "truth.json"
        path.write_text(json.dumps(truth, indent=1, sort_keys=True, allow_nan=False) + "\n")
    except OSError as error:
        raise OutputNotWritten(f"the phantom was not written: {error.strerror}", source=str(error.filename)) from error
    return path


def _written(out: Path, series: CtSeries) -> dict[str, Any]:
    slices, instance_uids = [], []
    for number, piece in enumerate(series.slices):
        dataset = ct_from_series(series, number)
        file = f"phantom-ct-{series.seed[0]}-{series.seed[-1]:03d}-{number:03d}.dcm"
        dataset.save_as(out / file, enforce_file_format=True)
        slices.append({"file": file, "height_mm": round(piece.height_mm, 3), "joint": piece.joint})
        instance_uids.append(str(dataset.SeriesInstanceUID))
    return {
        "seed": list(series.seed),
        "series_instance_uid": instance_uids[0],
        "slices": slices,
        "joints": {"left": asdict(series.left), "right": asdict(series.right)},
        "mny_positive": is_definite(series.left.grade, series.right.grade),
    }
