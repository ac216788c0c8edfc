"""Which of our refusals an exception of pydicom, imagecodecs, zlib or Python itself becomes.

Vendor code runs inside ``vendor_call``. An exception raised there is looked up by the names of its classes, nearest
first; one that no row names is a defect of ours (``InternalError``). Messages of the parser are not passed on, because
they may quote a patient's name; messages of the decoders hold nothing but the codestream's state.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Literal

from edge_sacro.errors import (
    ContradictoryAttributes,
    DecodeFailed,
    DecodeLimitExceeded,
    EdgeSacroError,
    InternalError,
    NotDicom,
    TruncatedFile,
)

Stage = Literal["parse", "decode"]

PARSE: Mapping[str, type[EdgeSacroError]] = MappingProxyType(
    {
        "InvalidDicomError": NotDicom,
        "BytesLengthException": ContradictoryAttributes,
        "EOFError": TruncatedFile,
        "ImportError": InternalError,
        "struct.error": TruncatedFile,
        "zlib.error": DecodeFailed,
        "RecursionError": DecodeLimitExceeded,
        "MemoryError": DecodeLimitExceeded,
        "ArithmeticError": ContradictoryAttributes,
        "AssertionError": ContradictoryAttributes,
        "AttributeError": ContradictoryAttributes,
        "BufferError": ContradictoryAttributes,
        "LookupError": ContradictoryAttributes,
        "NotImplementedError": ContradictoryAttributes,
        "OSError": ContradictoryAttributes,
        "RuntimeError": ContradictoryAttributes,
        "TypeError": ContradictoryAttributes,
        "ValueError": ContradictoryAttributes,
    }
)
"""Class name -> refusal, while pydicom or zlib takes the file apart."""

DECODE: Mapping[str, type[EdgeSacroError]] = MappingProxyType(
    {
        "ImcdError": DecodeFailed,
        "Jpeg8Error": DecodeFailed,
        "JpeglsError": DecodeFailed,
        "Jpeg2kError": DecodeFailed,
        "ImportError": InternalError,
        "MemoryError": DecodeLimitExceeded,
        "RecursionError": DecodeLimitExceeded,
        "ArithmeticError": DecodeFailed,
        "AttributeError": DecodeFailed,
        "BufferError": DecodeFailed,
        "LookupError": DecodeFailed,
        "NotImplementedError": DecodeFailed,
        "OSError": DecodeFailed,
        "TypeError": DecodeFailed,
        "ValueError": DecodeFailed,
    }
)
"""Class name -> refusal, while imagecodecs decodes a codestream."""

_TABLES: Mapping[Stage, Mapping[str, type[EdgeSacroError]]] = MappingProxyType({"parse": PARSE, "decode": DECODE})


def refusal_class(stage: Stage, exception_class: type[BaseException]) -> type[EdgeSacroError]:
    """The row for this class or for the nearest of its bases; ``InternalError`` where there is none."""
    table = _TABLES[stage]
    for base in exception_class.__mro__:
        name = base.__name__ if base.__name__ != "error" else f"{base.__module__}.error"
        if name in table:
            return table[name]
    return InternalError


@contextmanager
def vendor_call(stage: Stage, doing: str) -> Iterator[None]:
    """Run vendor code: its warnings go nowhere, its exceptions become refusals.

    Args:
        stage: whose table applies.
        doing: what is being done, for the message: ``"the header cannot be read"``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except EdgeSacroError:
        raise
    except Exception as error:
        name = type(error).__name__
        message = f": {error}"[:160] if stage == "decode" else ""
        raise refusal_class(stage, type(error))(f"{doing} ({name}{message})") from error
