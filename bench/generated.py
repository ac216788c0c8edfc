"""A published system at full size as a bundle with generated weights, in more precisions; simulated images for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from calibration.accuracy import UNLIMITED
from calibration.control import Task, controlled
from calibration.reader import Reading, dicom_files, inputs_from_files
from calibration.written import write_bundle
from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.manifest import MANIFEST_NAME, Precision
from edge_sacro.phantom import CtOptions, PhantomOptions, write_ct_study, write_study
from edge_sacro.systems import SYSTEMS
from export.bundle_fields import Account
from export.model import Order, bundle_from_order
from export.tensorflow.bundle import SYSTEM as DETECTOR_SYSTEM
from export.tensorflow.bundle import bundle_from_source, source_from_generated

CALIBRATION_SEED, VALIDATION_SEED = 971_000, 972_000


def exported(system: str, out: Path) -> Bundle:
    """Export every network of a system with generated weights into the folder ``out``."""
    account = Account(system, generated=True)
    if system == DETECTOR_SYSTEM:
        bundle_from_source(source_from_generated(), out, account)
        return load_bundle(out)
    manifest = bundle_from_order(Order(system, {}, out, account))
    if "segmenter" in manifest.networks:
        # A segmenter that was trained on nothing finds no joint; the published fallback still crops to something.
        published = manifest.model_copy(update={"numerics": "published"})
        (out / MANIFEST_NAME).write_text(published.model_dump_json(indent=2) + "\n")
    return load_bundle(out)


def network_records(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """What the export told of each network: parameters, gigamacs and the differences to its framework."""
    records: dict[str, dict[str, Any]] = json.loads(bundle.files[bundle.manifest.records["export"]])["networks"]
    return records


def simulated(system: str, folder: Path, images: int, seed: int) -> list[Path]:
    """Simulated images of the system's modality; made once for all systems of one modality."""
    ct = "CT" in SYSTEMS[system].modalities
    out = folder / ("ct" if ct else "dx")
    if not out.exists():
        if ct:
            write_ct_study(out, images, seed, CtOptions(slices=1))
        else:
            write_study(out, images, seed, PhantomOptions())
    return dicom_files([out])


def readings(bundle: Bundle, work: Path, images: int) -> tuple[Reading, Reading]:
    """What the runtime gives the networks of images to calibrate on, and of as many others to validate on."""
    system = bundle.manifest.system
    return (
        inputs_from_files(bundle, simulated(system, work / "calibration", images, CALIBRATION_SEED), images),
        inputs_from_files(bundle, simulated(system, work / "validation", images, VALIDATION_SEED), images),
    )


def with_precisions(
    bundle: Bundle,
    precisions: Sequence[Precision],
    given: tuple[Reading, Reading],
    folder: Path,
    tell: Callable[[str], None],
) -> Bundle:
    """The bundle with its networks in more precisions, in a folder of ``folder`` for each; the last has all."""
    for precision in precisions:
        task = Task(
            bundle=bundle,
            calibration=given[0],
            validation=given[1],
            truths={},
            unstable=frozenset(),
            budget=UNLIMITED,
            backend="onnxruntime",
            whole=frozenset(),
            tell=tell,
        )
        bundle = load_bundle(write_bundle(task, controlled(task, precision), precision, folder / precision))
    return bundle
