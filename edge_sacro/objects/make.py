"""One answered image -> the objects that are asked for, each whole or with the reason why there is none."""

from __future__ import annotations

import importlib.util
import io
import warnings
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from pydicom.dataset import Dataset

from edge_sacro.errors import EdgeSacroError, OutputNotWritten, UsageError
from edge_sacro.objects.answer import KINDS, Answered, Kind, Making, NoObject, Outcome, ResultObject
from edge_sacro.objects.pr import pr_from_answer
from edge_sacro.objects.sc import sc_from_answer
from edge_sacro.objects.seg import seg_from_answer
from edge_sacro.objects.sr import sr_from_answer

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
        UsageError: there is no such kind, or the answer is that of one frame among several.
        OutputNotWritten: highdicom is not installed, or an object cannot be made of this header.
    """
    check_objects(kinds)
    source = answered.result.source
    if source.frame is not None:
        raise UsageError(
            "no result objects are made of an object of several frames",
            source=source.path,
            remedy="Send the slices as single-frame objects, or take the JSON report.",
        )
    return [_made(kind, answered, making) for kind in KINDS if kind in kinds]


def bytes_from_object(dataset: Dataset) -> bytes:
    """The object as a DICOM file (PS3.10), Explicit VR Little Endian; equal bytes for equal objects."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Of values that were copied as they stand in the source.
        warnings.simplefilter("ignore")
        dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _made(kind: Kind, answered: Answered, making: Making) -> Outcome:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = _MAKERS[kind](answered, making)
    except EdgeSacroError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # What the maker could not take is told by its class alone: its words may quote the header.
        raise OutputNotWritten(
            f"no {kind.upper()} can be made of this header ({type(error).__name__})", source=answered.result.source.path
        ) from error
    return made if isinstance(made, NoObject) else ResultObject(kind, made)
