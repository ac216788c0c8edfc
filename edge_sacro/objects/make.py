"""One answered image -> the objects that are asked for, each whole or with the reason why there is none."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from pydicom.dataset import Dataset

from edge_sacro.dicom.failures import vendor_call
from edge_sacro.errors import InputRefused, OutputNotWritten, UsageError
from edge_sacro.objects.answer import KINDS, Answered, Kind, Making, NoObject, Outcome, ResultObject
from edge_sacro.objects.identity import source_uid
from edge_sacro.objects.pr import pr_from_answer
from edge_sacro.objects.sc import sc_from_answer
from edge_sacro.objects.seg import seg_from_answer
from edge_sacro.objects.series_sr import sr_from_series
from edge_sacro.objects.sr import sr_from_answer
from edge_sacro.report import Series

_MAKERS: Mapping[Kind, Callable[[Answered, Making], Dataset | NoObject]] = MappingProxyType(
    {"sr": sr_from_answer, "seg": seg_from_answer, "pr": pr_from_answer, "sc": sc_from_answer}
)


def check_objects(kinds: Collection[Kind]) -> None:
    """Refuse, before anything runs, kinds that there are none of, and a place without the package that makes them.

    Raises:
        UsageError: there is no such kind.
        OutputNotWritten: highdicom is not installed.
    """
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise UsageError(f"there is no kind {unknown[0]!r}; {', '.join(KINDS)} exist", source="kinds")
    if kinds and importlib.util.find_spec("highdicom") is None:
        raise OutputNotWritten(
            "DICOM result objects are made with highdicom, which is not installed here",
            remedy="Install it: pip install 'edge-sacro[dicom]'.",
        )


def result_objects(answered: Answered, making: Making, kinds: Collection[Kind] = KINDS) -> list[Outcome]:
    """Make the objects of one answered image. Nothing is read, and nothing is written.

    Args:
        answered: the image, its answer and its source's header.
        making: the bundle, and the moment.
        kinds: which objects.

    Returns:
        one outcome for each kind, in the order of ``KINDS``.

    Raises:
        UsageError: there is no such kind.
        OutputNotWritten: highdicom is not installed.
    """
    check_objects(kinds)
    wanted = [kind for kind in KINDS if kind in kinds]
    if answered.result.source.frame is not None:
        return [NoObject(kind, "a frame among several is reported with its series") for kind in wanted]
    return [_made(kind, partial(_MAKERS[kind], answered, making)) for kind in wanted]


def series_report(series: Series, slices: Sequence[Answered], making: Making) -> Outcome:
    """Make the structured report of a CT series. Nothing is read, and nothing is written.

    Args:
        series: the answer.
        slices: the images that it counts, in its order; where it counts none, all that there are. Their pixels are not
            needed.
        making: the bundle, and the moment.

    Raises:
        UsageError: no slice is given, or one of another study.
        OutputNotWritten: highdicom is not installed.
    """
    check_objects(["sr"])
    if len({source_uid(each.header, "StudyInstanceUID") for each in slices}) != 1:
        raise UsageError("the slices of a series report must be of one study", source=series.series_instance_uid)
    return _made("sr", partial(sr_from_series, series, slices, making))


def bytes_from_object(dataset: Dataset) -> bytes:
    """An object's data set as a DICOM file (PS3.10), Explicit VR Little Endian: ``ResultObject.content``."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _made(kind: Kind, make: Callable[[], Dataset | NoObject]) -> Outcome:
    """Make one object and its bytes; what the header does not let be made is told, and costs no other object."""
    try:
        with vendor_call("parse", f"no {kind.upper()} can be made of this header"):
            made = make()
            if isinstance(made, NoObject):
                return made
            return ResultObject(kind, made, bytes_from_object(made))
    except InputRefused as refusal:
        return NoObject(kind, refusal.what, failed=True)
