"""Opening Ray, the one place that does: nothing is reported to anyone, and nobody is asked anything."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from edge_sacro.errors import BackendUnavailable, BatchError, UsageError

NOWHERE = "http://127.0.0.1:9"
"""A proxy that is none."""

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Nothing is reported to anyone, and no environment is made on the nodes."""


def connected(address: str | None, processors: int) -> Any:
    """Ray, connected to a cluster.

    Args:
        address: ``HOST:PORT``; None starts a cluster on this machine, which ends with this process.
        processors: of the cluster that is started.

    Raises:
        UsageError: the address is of Ray's client, which cannot see the nodes.
        BackendUnavailable: Ray is not installed.
        BatchError: the cluster cannot be reached.
    """
    if address is not None and "://" in address:
        raise UsageError("the driver runs on a node of the cluster", source=address, remedy="Give HOST:PORT.")
    os.environ.update(QUIET)
    try:
        import ray
    except ImportError as error:
        raise BackendUnavailable(
            "Ray is not installed", source="--engine ray", remedy="pip install 'edge-sacro[batch]', or --engine local."
        ) from error
    quietly: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    quietly |= {"configure_logging": False, "namespace": f"edge-sacro-batch-{os.getpid()}"}
    try:
        if address is None:
            with _asking_nobody():
                ray.init(address="local", num_cpus=processors, **quietly)
        else:
            ray.init(address=address, **quietly)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise BatchError(f"the Ray cluster cannot be reached: {error}", source=address or "this machine") from error
    return ray


@contextlib.contextmanager
def _asking_nobody() -> Iterator[None]:
    """Processes started meanwhile reach no web server: a Ray head asks which cloud it is in, whatever it is told."""
    nowhere = {
        "http_proxy": NOWHERE,
        "HTTP_PROXY": NOWHERE,
        "no_proxy": "",
        "NO_PROXY": "",
    }
    before = {name: os.environ.get(name) for name in nowhere}
    os.environ.update(nowhere)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
