"""``python -m export check``: a graph against the rules, and what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from edge_sacro.errors import UsageError
from export.architectures import architectures_of
from export.cost import multiply_accumulates, parameters
from export.gate import check_graph, read_graph, specs


def lines_of_graph(path: Path, system: str, network: str) -> Iterator[str]:
    """What a graph is, in lines, once it keeps the contract.

    Raises:
        UsageError: there is no such system or network.
        GraphRefused: it is no ONNX graph, or breaks a rule.
    """
    architectures = architectures_of(system)
    if network not in architectures:
        raise UsageError(f"{system} has no {network!r}, but {', '.join(architectures)}", source="--network")
    inferred = check_graph(read_graph(path), architectures[network].contract(system, network), str(path))
    yield f"{path.name} keeps the contract of {system}, {network}"
    for kind, values in (("input", inferred.graph.input), ("output", inferred.graph.output)):
        yield from (f"{kind} {spec.name} {spec.shape}" for spec in specs(values))
    yield f"{parameters(inferred):,} parameters, {multiply_accumulates(inferred) / 1e9:.2f} GMAC"
    counted = Counter(node.op_type for node in inferred.graph.node)
    yield "operators: " + ", ".join(f"{name} {count}" for name, count in sorted(counted.items()))
