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

IMAGE_REASONS: dict[str, str] = {
    "joint_not_assessable": "both joints are needed, and not both of them are assessable",
    "crop_is_dark": "the region of the joints is black",
    "crop_too_small": "the region of the joints is too small to classify",
    "null_backend": "the null backend computes nothing, so nothing can be decided",
    "deadline_exceeded": "the assessment did not end before its deadline",
}
