"""What a node's configuration says of the assessment, as a selftest opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_sacro.benchmark.order import Order

if TYPE_CHECKING:
    from edge_sacro.node.config import NodeConfig


def order_from_config(config: NodeConfig) -> Order:
    """The same bundle, backend, precision, engines and keys as the node opens."""
    chosen = config.assessment
    return Order(
        bundle=chosen.bundle,
        backend=chosen.backend,
        precision=chosen.precision,
        threads=chosen.threads,
        engines=None if chosen.engines is None else str(chosen.engines),
        trust=tuple(map(str, chosen.trust)),
        state=str(config.folder / "sequences.json") if chosen.trust else None,
    )
