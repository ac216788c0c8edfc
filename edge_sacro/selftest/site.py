"""What a site assesses with, looked at and not touched: a node's choice, and its keys without writing to its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_sacro.benchmark.order import Order
from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.trust import Trust, default_state, trust_from_files

if TYPE_CHECKING:
    from edge_sacro.manifest import Manifest
    from edge_sacro.node.config import NodeConfig


class LookingTrust(Trust):
    """The site's keys and memory, which is held against and never written.

    A selftest may run as another user than the node, who could not read a memory that it wrote.
    """

    def remember(self, manifest: Manifest, source: str) -> None:
        """Hold the sequence against the memory once more."""
        self.check_sequence(manifest, source)


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


def bundle_looked_at(order: Order) -> Bundle:
    """The order's bundle, verified, with nothing written.

    Raises:
        BundleError: it cannot be used.
    """
    if not order.trust:
        return load_bundle(order.bundle)
    trust = trust_from_files(tuple(order.trust), order.state or default_state())
    return load_bundle(order.bundle, LookingTrust(trust.keys, trust.state))
