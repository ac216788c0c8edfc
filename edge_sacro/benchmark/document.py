"""The benchmark's document: what was measured, on what, where and with what, as typed values and as JSON.

It holds no path, no name and no UID of an image: rows, columns, transfer syntax and hashes alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_sacro.errors import InputNotFound, UsageError
from edge_sacro.report import Software

TOTAL = "total"
"""The stage that stands for the whole assessment, as a wall clock saw it."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BundleName(_Strict):
    """Which bundle; ``fingerprint`` is the SHA-256 of its manifest, which holds the hash of every file."""

    name: str
    version: str
    fingerprint: str
    system: str
    statement: str


class Setup(_Strict):
    """How it was run.

    Attributes:
        backend, backend_version: what computed, as results name it.
        precision: of the networks.
        threads: inside one inference; null is all processors.
        engines: networks were served from a store of engines.
        warmup: assessments of each input that are not counted.
        runs: assessments of each input that are.
    """

    backend: str
    backend_version: str
    precision: Literal["fp32", "fp16", "int8"]
    threads: int | None
    engines: bool
    warmup: int
    runs: int


class Input(_Strict):
    """One image, told by what it costs to read and by hashes.

    Attributes:
        rows, columns: of the stored image.
        transfer_syntax_uid: of the file.
        sha256, pixels_sha256: of the file's bytes, and of the stored values.
        simulated: drawn for the benchmark.
        state, reason_code: what was answered, the same at every run.
    """

    rows: int
    columns: int
    transfer_syntax_uid: str
    sha256: str
    pixels_sha256: str
    simulated: bool
    state: str
    reason_code: str | None


class Quantiles(_Strict):
    """Quantiles of n values; null with its reason where so few values bear none."""

    n: int
    p50: float
    p90: float | None
    p99: float | None
    max: float
    reasons: dict[str, str]


class Cold(_Strict):
    """Fresh processes, from their start to the first answer, in seconds.

    Attributes:
        first_answer_s: of each process.
        phases_s: median of each part: ``interpreter`` until our code runs, ``import``, ``open`` bundle and networks,
            ``assess`` the first input.
        peak_mb: largest resident memory of such a process, without the process that decodes.
    """

    first_answer_s: Sequence[float]
    median_s: float
    phases_s: dict[str, float]
    peak_mb: float | None


class Warm(_Strict):
    """Assessments after the warm-up, one after another, in milliseconds.

    Attributes:
        stages: by stage in the order in which they run, ``total`` last.
        samples_ms: each run's times by stage. A stage that did not run in each run has fewer.
    """

    stages: dict[str, Quantiles]
    samples_ms: dict[str, Sequence[float]]


class Stream(_Strict):
    """Several threads that call one runtime at once.

    Attributes:
        streams: how many.
        assessments: of all together.
        seconds: from the first's start to the last's end.
        per_second: assessments a second.
        latency_ms: of one assessment, as its caller saw it.
    """

    streams: int
    assessments: int
    seconds: float
    per_second: float
    latency_ms: Quantiles


class Batch(_Strict):
    """Studies that are given at once: each is read while the one before it is assessed.

    Attributes:
        batch: how many.
        assessments: of all batches together.
        seconds: from the first's start to the last's end.
        per_second: assessments a second.
        latency_ms: of a whole batch.
    """

    batch: int
    assessments: int
    seconds: float
    per_second: float
    latency_ms: Quantiles


class Memory(_Strict):
    """Resident memory of this process in MB of 10^6 bytes; null with the reason where the system does not tell.

    Attributes:
        start_mb: before the bundle is opened; the command line is loaded already.
        warm_mb: after the warm-up.
        runs_mb: after the warm runs.
        end_mb: after the last assessment of several streams, each of which takes memory of its own.
        growth_mb: from ``warm_mb`` to ``runs_mb``.
        peak_mb: the largest so far.
        children_peak_mb: the largest of each process that decodes for this one, summed.
    """

    start_mb: float | None
    warm_mb: float | None
    runs_mb: float | None
    end_mb: float | None
    growth_mb: float | None
    peak_mb: float | None
    children_peak_mb: float | None
    reason: str | None


class Energy(_Strict):
    """What one meter told over the warm assessments, everything that runs and idles on its rails included.

    Attributes:
        meter: ``rapl``, ``nvml`` or ``tegrastats``.
        covers: what of the device it measures.
        joules, seconds, watts: in all; watts is their ratio.
        joules_per_assessment: joules by the number of assessments.
        rails: joules by rail; not all of them need be parts of ``joules``.
    """

    meter: str
    covers: str
    joules: float
    seconds: float
    watts: float
    joules_per_assessment: float
    rails: dict[str, float]


class Environment(_Strict):
    """The machine and its software; null where it does not tell.

    Attributes:
        processor: machine and features, as results have it; ``processor_name`` as it calls itself.
        cores, cores_allowed: of the machine, and those that this process may use; ``cpu_quota`` of a control group.
        governors, frequency_mhz: of the frequency policies: governor with the number of its policies; present, least
            and greatest frequency over all of them.
        memory_mb, memory_available_mb: of the machine.
        load_before, load_after: load averages over 1, 5 and 15 minutes.
        others_share: part of all processors' time that others used while the warm assessments ran, 0 to 1.
        power_mode: what ``nvpmodel -q`` says, on a Jetson.
        packages: version by package, of those that take part.
    """

    machine: str
    processor: str
    processor_name: str | None
    cores: int | None
    cores_allowed: int | None
    cpu_quota: float | None
    governors: dict[str, int] | None
    frequency_mhz: dict[str, float] | None
    memory_mb: float | None
    memory_available_mb: float | None
    load_before: Sequence[float] | None
    load_after: Sequence[float] | None
    others_share: float | None
    operating_system: str
    kernel: str
    python: str
    packages: dict[str, str]
    board: str | None
    jetson_linux: str | None
    power_mode: str | None


class Document(_Strict):
    """One benchmark.

    Attributes:
        batches: none in a document of a version that did not measure them.
        energy: a row for each meter that told something; ``no_energy`` says of each other one why not.
        warnings: what a reader must know before believing the figures.
    """

    schema_version: Literal["edge-sacro-benchmark-1"] = "edge-sacro-benchmark-1"
    software: Software = Software()
    bundle: BundleName
    setup: Setup
    inputs: Sequence[Input]
    quantiles: str
    cold: Cold | None
    warm: Warm
    streams: Sequence[Stream]
    batches: Sequence[Batch] = ()
    memory: Memory
    energy: Sequence[Energy]
    no_energy: dict[str, str]
    environment: Environment
    warnings: Sequence[str]


def json_from_document(document: Document) -> str:
    """The document as JSON; keys keep their order, so that stages stand as they run."""
    return json.dumps(document.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"


def document_from_file(path: str) -> Document:
    """Read a document that :func:`json_from_document` wrote.

    Raises:
        InputNotFound: it cannot be read.
        UsageError: it is no such document; the message names the first places.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputNotFound(f"{error.strerror}", source=path) from error
    try:
        return Document.model_validate_json(content)
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in error.errors()[:3])
        raise UsageError(f"it is no benchmark document of this version: {places}", source=path) from error
