"""Parity: the same inputs through every precision and backend, against the FP32 reference.

A bundle's networks exist in several precisions and run on several backends; what a reader of a report relies on is that
the answer does not depend on which. This package measures it: tensors, boxes, probabilities, decisions; holds what it
measured to a budget; and can prove that it would notice a network that is wrong.
"""
