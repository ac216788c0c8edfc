"""Why an image or a joint is not assessable: stable codes, each with the sentence that a report prints."""

from __future__ import annotations

JOINT_REASONS: dict[str, str] = {
    "sacrum_not_found": "no sacrum was found in the image",
    "sacrum_size_implausible": "what was taken for the sacrum has an implausible size",
    "ilium_not_found": "the ilium of this side was not found",
    "ilium_size_implausible": "what was taken for the ilium of this side has an implausible size",
    "sides_ambiguous": "both ilia were found on the same side of the sacrum",
    "no_contact": "sacrum and ilium of this side do not meet",
    "contact_too_small": "sacrum and ilium of this side meet over too short a length",
    "at_image_border": "the joint lies at the border of the image and may go on beyond it",
    "at_field_border": "the joint lies at the border of the exposed field and may go on beyond it",
    "pair_implausible": "what was found on both sides cannot be the two joints of one pelvis",
    "joint_not_detected": "the detector found no joint on this side",
    "side_unclear": "one joint alone was detected, and it lies across the midline of the image",
    "not_located_by_system": "this system classifies the whole image and locates no joint",
}

SLICE_REASONS: dict[str, str] = {
    "spacing_absent": "the header has no pixel spacing, without which nothing in the slice can be measured",
    "spacing_implausible": "by the header's pixel spacing a side of the slice is not 10 cm to 1 m long",
    "body_not_found": "the slice shows no body",
    "sacrum_not_seen": "no bone of a sacrum's size lies at the midline in the posterior half of the body",
    "ilium_not_seen": "the ilium of one side at least is not in the slice",
    "joint_space_wide": "sacrum and ilium lie further apart than a joint's width on one side at least",
    "slice_contact_short": "sacrum and ilium face each other over too short a length on one side at least",
}
"""Why a CT slice is not taken for one through both joints."""

SERIES_REASONS: dict[str, str] = {
    "position_unknown": "a slice's header does not say where it lies",
    "mixed_orientations": "the slices lie in planes of more than one direction",
    "mixed_kernels": "the slices were reconstructed with more than one kernel",
    "duplicate_positions": "two slices lie in the same plane, so that the series is more than one stack",
    "no_slice_selected": "no slice passes through both joints",
    "too_few_slices": "fewer than 3 slices are selected",
    "slice_missing": "the planes leave a gap at the selected slices, so that one may be missing",
    "slice_not_assessable": "a selected slice is not assessable",
}
"""Why a CT series is not assessable."""

IMAGE_REASONS: dict[str, str] = {
    "joint_not_assessable": "both joints are needed, and not both of them are assessable",
    "crop_is_dark": "the region of the joints is black",
    "crop_too_small": "the region of the joints is too small to classify",
    "null_backend": "the null backend computes nothing, so nothing can be decided",
    "deadline_exceeded": "the assessment did not end before its deadline",
}
