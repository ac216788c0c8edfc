"""How good the answers are: predictions beside truth, with intervals, against a published cohort and another model."""
