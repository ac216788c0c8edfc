"""Many instances on many processes or machines: one row each, whatever dies meanwhile, and resumable."""
