"""Workshop: trained networks become ONNX. Run from a checkout as ``python -m export``."""
