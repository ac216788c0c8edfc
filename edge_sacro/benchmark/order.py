"""What a benchmark opens: plain values, so that a fresh process can be given them, and the runtime made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.engine import Opener, open_engine
from edge_sacro.errors import EdgeSacroError, all_errors
from edge_sacro.manifest import Precision
from edge_sacro.report import Result
from edge_sacro.runtime import Runtime
from edge_sacro.types import Radiograph


@dataclass(frozen=True)
class Order:
    """What to open; plain values, since a fresh process is given it too.

    Attributes:
        bundle, backend, precision, threads: as :class:`edge_sacro.runtime.Runtime` has them.
        engines: folder of a store of engines to serve from, in place of the backend.
        trust, state: keys that the bundle must be signed with, and the memory of sequences.
    """

    bundle: str
    backend: str = "onnxruntime"
    precision: Precision | None = None
    threads: int | None = None
    engines: str | None = None
    trust: Sequence[str] = ()
    state: str | None = None


def bundle_from_order(order: Order) -> Bundle:
    """The order's bundle, checked.

    Raises:
        BundleError: it cannot be used.
    """
    if not order.trust:
        return load_bundle(order.bundle)
    from edge_sacro.trust import default_state, trust_from_files

    return load_bundle(order.bundle, trust_from_files(tuple(order.trust), order.state or default_state()))


def open_runtime(order: Order, opener: Opener | None = None) -> Runtime:
    """The runtime of an order.

    Raises:
        EdgeSacroError: as :class:`edge_sacro.runtime.Runtime`, :func:`edge_sacro.bundle.load_bundle` and the store.
    """
    bundle = bundle_from_order(order)
    return Runtime(
        bundle,
        backend=order.backend,
        precision=order.precision,
        threads=order.threads,
        opener=opener or _opener(order, bundle),
    )


def answered(runtime: Runtime, file: Path, name: str = "input") -> tuple[Result, Radiograph]:
    """One assessment, with the image that was read.

    Raises:
        InputRefused: the file was refused, so that its time says nothing of an assessment.
    """
    result, radiograph = runtime.infer_with_radiograph(file, name=name)
    if radiograph is None or result.state == "refused":
        refusal = error_from_code(result.reason_code or "input_refused")
        raise refusal(f"{result.reason}; a refusal's time says nothing of an assessment", source=str(file))
    return result, radiograph


def error_from_code(code: str) -> type[EdgeSacroError]:
    """The class of the tree that has this code."""
    return {error.code: error for error in all_errors()}[code]


def _opener(order: Order, bundle: Bundle) -> Opener:
    if order.engines is None:
        return open_engine
    from edge_sacro.engine.serve import QualifiedEngines
    from edge_sacro.engine.store import EngineStore

    return QualifiedEngines(EngineStore(order.engines), bundle, order.precision or bundle.manifest.default_precision)
