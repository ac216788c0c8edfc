"""Workshop: device profiles and the engine factory. Run from a checkout."""
