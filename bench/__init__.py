"""Workshop: benchmarks beside peers. Run from a checkout with ``pytest bench --benchmark-enable``."""
