"""Documents laid down by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_sacro.benchmark.document import Document
from edge_sacro.benchmark.quantiles import METHOD, quantiles_from_samples

INPUT = {
    "rows": 8,
    "columns": 9,
    "transfer_syntax_uid": "1.2.840.10008.1.2.1",
    "sha256": "a" * 64,
    "pixels_sha256": "b" * 64,
    "simulated": True,
    "state": "negative",
    "reason_code": None,
}
MACHINE: dict[str, Any] = {
    "machine": "x86_64",
    "processor": "x86_64 avx2",
    "processor_name": "Some",
    "cores": 4,
    "cores_allowed": 4,
    "cpu_quota": None,
    "governors": {"performance": 4},
    "frequency_mhz": {"cur": 3000.0},
    "memory_mb": 8000.0,
    "memory_available_mb": 4000.0,
    "load_before": (0.1, 0.1, 0.1),
    "load_after": (0.9, 0.2, 0.1),
    "others_share": 0.01,
    "operating_system": "Debian",
    "kernel": "6.1",
    "python": "3.11.7",
    "packages": {},
    "board": None,
    "jetson_linux": None,
    "power_mode": None,
}


def document(
    samples: Mapping[str, Sequence[float]], fingerprint: str = "f" * 64, machine: Mapping[str, Any] | None = None
) -> Document:
    """A document of these times by stage; ``total`` has to be among them."""
    return Document.model_validate(
        {
            "bundle": {
                "name": "tiny",
                "version": "1",
                "fingerprint": fingerprint,
                "system": "dorfner2024",
                "statement": "Test bundle, not for clinical use.",
            },
            "setup": {
                "backend": "onnxruntime",
                "backend_version": "1",
                "precision": "fp32",
                "threads": 1,
                "engines": False,
                "warmup": 1,
                "runs": len(samples["total"]),
            },
            "inputs": [INPUT],
            "quantiles": METHOD,
            "cold": {"first_answer_s": [2.0, 1.0], "median_s": 1.5, "phases_s": {"import": 0.5}, "peak_mb": 90.0},
            "warm": {
                "stages": {name: quantiles_from_samples(each) for name, each in samples.items()},
                "samples_ms": samples,
            },
            "streams": [],
            "memory": {
                "start_mb": 1.0,
                "warm_mb": 2.0,
                "runs_mb": 2.5,
                "end_mb": 3.0,
                "growth_mb": 0.5,
                "peak_mb": 4.0,
                "children_peak_mb": None,
                "reason": None,
            },
            "energy": [],
            "no_energy": {"rapl": "the kernel has no RAPL zone"},
            "environment": {**MACHINE, **(machine or {})},
            "warnings": [],
        }
    )
