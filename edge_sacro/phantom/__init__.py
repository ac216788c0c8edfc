"""Simulated AP pelvic radiographs and CT series of the pelvis, for installation checks, demonstrations and tests.

It is no patient and says nothing about clinical accuracy; every object that it writes says so.
"""

from __future__ import annotations

from edge_sacro.phantom.ct import CtOptions, CtSeries, render_ct
from edge_sacro.phantom.ct_dicom import ct_from_series, write_ct_study
from edge_sacro.phantom.dx import dx_from_phantom, write_dx
from edge_sacro.phantom.render import render
from edge_sacro.phantom.study import write_study
from edge_sacro.phantom.types import (
    LEFT_HIP,
    LEFT_JOINT,
    NOTICE,
    RIGHT_HIP,
    RIGHT_JOINT,
    SACRUM,
    JointTruth,
    Phantom,
    PhantomOptions,
    PhantomTruth,
)

__all__ = [
    "LEFT_HIP",
    "LEFT_JOINT",
    "NOTICE",
    "RIGHT_HIP",
    "RIGHT_JOINT",
    "SACRUM",
    "CtOptions",
    "CtSeries",
    "JointTruth",
    "Phantom",
    "PhantomOptions",
    "PhantomTruth",
    "ct_from_series",
    "dx_from_phantom",
    "render",
    "render_ct",
    "write_ct_study",
    "write_dx",
    "write_study",
]
