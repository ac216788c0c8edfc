"""Workshop: measures what a bundle's numbers may vary by. Run from a checkout as ``python -m calibration``."""
