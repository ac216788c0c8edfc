"""From stored pixels to what a network sees, on an NVIDIA GPU: the twin of ``edge_sacro.preprocess``.

``systems`` has one function for each network's input; ``device`` is the seam that a GPU, or a test's stand-in for one,
implements. Nothing here is imported unless it is asked for, and pycuda only by the function that opens a GPU.
"""
