"""The ledger of drift: what was answered, without a word of whose image it was, so that a change shows in time.

A model answers the images of today as it learned from those of another time and place. When a detector is replaced, a
technologist positions otherwise or a vendor updates its processing, scores and crops move before anyone notices. The
ledger keeps a line for each answer and holds the latest ones against the first.
"""
