"""Coverage-guided fuzzing of the reader, with atheris (libFuzzer), in a process of its own."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from edge_sacro.errors import WorkshopError
from edge_sacro.node.proof import blank_image

SIDE = 32
_SLOWEST_S, _MEMORY_MB, _LONGEST_BYTES = 60, 4096, 65_536

NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99")
ENCODED: dict[str, Callable[..., bytes | bytearray]] = {
    "1.2.840.10008.1.2.4.57": imagecodecs.ljpeg_encode,
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_encode,
    "1.2.840.10008.1.2.4.90": lambda image: imagecodecs.jpeg2k_encode(image, codecformat="J2K", reversible=True),
}


@dataclass(frozen=True)
class FuzzRecord:
    """A run.

    Attributes:
        inputs: tried.
        coverage, features: libFuzzer's, at the end.
        corpus: inputs that reached something new, the seeds among them.
        finding: the last lines of what was found; None where nothing was.
        seed: of libFuzzer.
    """

    inputs: int
    coverage: int
    features: int
    corpus: int
    finding: str | None
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))


def write_seeds(folder: Path) -> int:
    """Write a small image in several transfer syntaxes, and return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    levels = np.linspace(0, 4095, SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint16)
    for number, syntax in enumerate((*NATIVE, *ENCODED)):
        image = dcmread(io.BytesIO(blank_image()))
        image.Rows = image.Columns = SIDE
        image.StudyInstanceUID, image.SeriesInstanceUID = UID("2.25.2"), UID("2.25.3")
        image.PatientName, image.PatientID = "FUZZ^ED", "1"
        if syntax in ENCODED:
            image.PixelData = encapsulate([bytes(ENCODED[syntax](levels))])
            image["PixelData"].VR = "OB"
        else:
            image.PixelData = levels.astype("<u2").tobytes()
        image.file_meta.TransferSyntaxUID = UID(syntax)
        image["PixelData"].is_undefined_length = syntax in ENCODED
        implicit, little = syntax == NATIVE[0], True
        buffer = io.BytesIO()
        image.save_as(buffer, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
        (folder / f"seed-{number}.dcm").write_bytes(buffer.getvalue())
    return len(NATIVE) + len(ENCODED)


def run_fuzz(work: Path, inputs: int, seed: int, *, planted: bool = False, seconds: float = 36_000) -> FuzzRecord:
    """Try inputs until their number is reached or something is found.

    Args:
        work: corpus and findings go there.
        inputs: how many at most.
        seed: of libFuzzer, so that a run can be repeated.
        planted: with a defect, as a control.
        seconds: the run is ended after so long.

    Raises:
        WorkshopError: atheris is not installed, or the run failed.
    """
    if importlib.util.find_spec("atheris") is None:
        raise WorkshopError(
            "fuzzing needs the package atheris, which is not installed", remedy="Install it: pip install atheris."
        )
    corpus = work / "corpus"
    write_seeds(corpus)
    command = [sys.executable, "-m", "bench.reliability_fuzz_target", f"-runs={inputs}", f"-seed={seed}"]
    command += [f"-max_len={_LONGEST_BYTES}", f"-timeout={_SLOWEST_S}", f"-rss_limit_mb={_MEMORY_MB}"]
    command += ["-detect_leaks=0", "-print_final_stats=1", f"-artifact_prefix={work}/", str(corpus)]
    environment = {**os.environ, "EDGE_SACRO_FUZZ_PLANTED": "1" if planted else "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        command, capture_output=True, check=False, env=environment, timeout=seconds
    )
    told = done.stderr.decode("utf-8", "replace") + done.stdout.decode("utf-8", "replace")
    counts = re.findall(r"^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)", told, re.MULTILINE)
    if not counts:
        raise WorkshopError(f"the run failed: {told[-500:]}")
    executed = re.findall(r"stat::number_of_executed_units:\s+(\d+)", told)
    last = [int(each) for each in counts[-1]]
    tried = int(executed[-1]) if executed else last[0]
    finding = None if done.returncode == 0 else _finding(told)
    return FuzzRecord(tried, last[1], last[2], last[3], finding, seed)


def _finding(told: str) -> str:
    """The part of the output that says what was found."""
    at = max(told.find("Uncaught Python exception"), told.find("ERROR: libFuzzer"))
    return told[max(at, 0) :][:1500].replace(f"{Path.cwd()}/", "")
