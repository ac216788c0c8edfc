"""Whether a radiograph is one that a system reads: modality, body part, view, loss. A pure function of its header.

An empty attribute is not held against an image: senders leave them out more often than they get them wrong.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from edge_sacro.errors import (
    InputRefused,
    LossyLimitExceeded,
    UnsupportedModality,
    UsageError,
    WrongBodyPart,
    WrongView,
)
from edge_sacro.types import Radiograph

RADIOGRAPHY = frozenset({"DX", "CR"})
PELVIS = frozenset(
    {
        "ABDOMENANDPELVIS",
        "ABDOMENPELVIS",
        "HIP",
        "HIPJOINT",
        "HIPS",
        "ILIUM",
        "LOWEREXTREMITIESANDPELVIS",
        "LSPINE",
        "LSSPINE",
        "LUMBOSACRALSPINE",
        "PELVIS",
        "PELVISANDHIPS",
        "PELVISANDLOWEREXTREMITIES",
        "PELVISHIP",
        "PELVISHIPS",
        "PELVISLOWEREXTMT",
        "SACROILIACJOINT",
        "SACROILIACJOINTS",
        "SACRUM",
        "SIJOINT",
        "SIJOINTS",
        "SSPINE",
    }
)
"""Body Part Examined (PS3.16 Annex L) and common spellings, upper case, letters alone."""

FRONTAL = frozenset({"AP", "PA", "AP PELVIS", "PELVIS AP"})
LOSSY_LIMIT = 50.0
"""Ours. Loss is a note in every report; beyond this the fine structure of a joint is not to be trusted at all."""

OVERRIDES = frozenset({WrongBodyPart.code, WrongView.code, LossyLimitExceeded.code})
"""Codes of the refusals that a user may override."""


def checked_overrides(overrides: frozenset[str]) -> frozenset[str]:
    """The same set.

    Raises:
        UsageError: it names a refusal that cannot be overridden.
    """
    unknown = sorted(overrides - OVERRIDES)
    if unknown:
        raise UsageError(f"{', '.join(unknown)} cannot be overridden; {', '.join(sorted(OVERRIDES))} can")
    return overrides


def check_acceptance(
    radiograph: Radiograph,
    modalities: Collection[str] = RADIOGRAPHY,
    *,
    body_parts: Collection[str] = PELVIS,
    lossy_limit: float = LOSSY_LIMIT,
    overrides: frozenset[str] = frozenset(),
) -> tuple[str, ...]:
    """Refuse an image that the system was not published for.

    Args:
        radiograph: what ``read`` gave.
        modalities: accepted Modality values.
        body_parts: accepted body parts, upper case, letters alone.
        lossy_limit: highest accepted Lossy Image Compression Ratio.
        overrides: codes of refusals that become notes.

    Returns:
        What a reader of the report must know beyond ``radiograph.notes``.

    Raises:
        UnsupportedModality, WrongBodyPart, WrongView, LossyLimitExceeded: as their names say.
        UsageError: ``overrides`` names a refusal that cannot be overridden.
    """
    checked_overrides(overrides)
    if radiograph.modality not in modalities:
        raise UnsupportedModality(
            f"Modality is {radiograph.modality or 'absent'}; {', '.join(sorted(modalities))} are read",
            source=radiograph.source,
        )
    notes: list[str] = []
    refusals: list[InputRefused] = []
    if radiograph.body_part is None:
        notes.append("The header names no body part; a pelvis was taken on trust.")
    elif _letters(radiograph.body_part) not in body_parts:
        refusals.append(WrongBodyPart(f"the header names {radiograph.body_part[:32]!r}", source=radiograph.source))
    if radiograph.view is None:
        if radiograph.modality != "CT":
            notes.append("The header names no view; a frontal one was taken on trust.")
    elif radiograph.view not in FRONTAL:
        refusals.append(WrongView(f"the header names view {radiograph.view[:16]!r}", source=radiograph.source))
    ratio = radiograph.lossy_ratio
    notes += _loss(radiograph)
    if ratio is not None and ratio > lossy_limit:
        what = f"the image was compressed with loss at {ratio:g} to 1; up to {lossy_limit:g} to 1 is read"
        refusals.append(LossyLimitExceeded(what, source=radiograph.source))
    for refusal in refusals:
        if refusal.code not in overrides:
            raise refusal
        notes.append(f"Overridden, {refusal.code}: {refusal.what}.")
    return tuple(notes)


def _loss(radiograph: Radiograph) -> list[str]:
    """A note on lossy compression, where there was any."""
    if not radiograph.lossy:
        return []
    ratio = "" if radiograph.lossy_ratio is None else f" at {radiograph.lossy_ratio:g} to 1"
    return [f"The image went through compression with loss{ratio}."]


def _letters(text: str) -> str:
    return re.sub(r"[^A-Z]", "", text.upper())
