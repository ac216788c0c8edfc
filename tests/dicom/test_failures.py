"""Every exception class that the vendors define or raise in what we call has a row in our table."""

from __future__ import annotations

import ast
import builtins
import importlib
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom.errors
import pytest

from edge_sacro import errors
from edge_sacro.dicom.failures import DECODE, PARSE, refusal_class, vendor_call
from edge_sacro.dicom.wire import (
    error_from_message,
    message_from_error,
    message_from_radiograph,
    radiograph_from_message,
    was_received,
)
from edge_sacro.errors import InputRefused, InternalError

PYDICOM_MODULES = (
    "charset dataelem dataset datadict filebase filereader fileutil jsonrep misc multival sequence tag uid "
    "valuerep values"
)
"""What reading a data set and taking its elements runs through."""

DECODERS = {
    "jpeg8_decode": "Jpeg8Error",
    "jpegls_decode": "JpeglsError",
    "jpeg2k_decode": "Jpeg2kError",
    "packbits_decode": "PackbitsError",
}


def raised_names(module: str) -> set[str]:
    """Names of the exception classes in a module's raise statements."""
    source = Path(importlib.import_module(f"pydicom.{module}").__file__ or "").read_text(encoding="utf-8")
    calls = [node.exc for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise) and node.exc is not None]
    heads = [each.func if isinstance(each, ast.Call) else each for each in calls]
    return {each.id for each in heads if isinstance(each, ast.Name) and each.id[0].isupper()}


def test_every_class_that_pydicom_raises_where_we_call_it_is_mapped() -> None:
    names = set().union(*(raised_names(module) for module in PYDICOM_MODULES.split()))
    assert {"ValueError", "TypeError", "InvalidDicomError", "EOFError"} <= names, "the search must find the known ones"
    for name in names:
        found = getattr(builtins, name, None) or getattr(pydicom.errors, name, None)
        assert found is not None, f"{name} is raised by pydicom and defined where this test does not look"
        assert any(base.__name__ in PARSE for base in found.__mro__), name


def test_every_class_that_pydicom_defines_is_mapped() -> None:
    classes = [each for each in vars(pydicom.errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    assert len(classes) >= 2
    for each in classes:
        assert issubclass(refusal_class("parse", each), InputRefused), each


@pytest.mark.parametrize(("function", "name"), DECODERS.items())
def test_what_a_decoder_raises_on_garbage_is_mapped(function: str, name: str) -> None:
    assert issubclass(refusal_class("decode", getattr(imagecodecs, name)), errors.DecodeFailed)
    for garbage in (b"", b"\xff", b"\xff\xd8\xff\xff" * 9, b"\xff\x4f\xff\x51" + b"\xff" * 99, b"\x7f", b"\x00" * 64):
        try:
            outcome: object = getattr(imagecodecs, function)(garbage)
        except Exception as error:  # noqa: BLE001 - the test is about which ones there are
            outcome = refusal_class("decode", type(error))
        assert outcome is errors.DecodeFailed or isinstance(outcome, (bytes, np.ndarray)), garbage


def test_each_decoders_error_is_the_one_that_the_table_names() -> None:
    assert {getattr(imagecodecs, name).__name__ for name in DECODERS.values()} <= set(DECODE)


def test_library_errors_are_mapped_by_their_module() -> None:
    assert refusal_class("parse", struct.error) is errors.TruncatedFile
    assert refusal_class("parse", zlib.error) is errors.DecodeFailed
    assert refusal_class("parse", UnicodeDecodeError) is errors.ContradictoryAttributes
    assert refusal_class("decode", np.exceptions.AxisError) is errors.DecodeFailed
    for stage in ("parse", "decode"):
        assert refusal_class(stage, MemoryError) is errors.DecodeLimitExceeded  # type: ignore[arg-type]
        assert refusal_class(stage, RecursionError) is errors.DecodeLimitExceeded  # type: ignore[arg-type]


def test_class_that_no_row_names_is_a_defect_of_ours() -> None:
    class Unheard(Exception):
        pass

    assert refusal_class("parse", Unheard) is InternalError
    with pytest.raises(InternalError, match="Unheard"), vendor_call("decode", "decoding"):
        raise Unheard


def test_parsers_message_stays_inside_and_decoders_message_is_passed_on() -> None:
    with pytest.raises(errors.ContradictoryAttributes) as caught, vendor_call("parse", "the header cannot be read"):
        raise ValueError("Doe^John")
    assert "Doe" not in str(caught.value)
    with pytest.raises(errors.DecodeFailed, match="bad Huffman code"), vendor_call("decode", "refused"):
        raise ValueError("bad Huffman code")


def test_tables_name_nothing_that_is_no_refusal() -> None:
    for table in (PARSE, DECODE):
        assert set(table.values()) <= {*InputRefused.__subclasses__(), InternalError}


def test_every_error_survives_the_way_between_processes() -> None:
    for each in errors.all_errors():
        error = each("it broke", remedy="Mend it.")
        back = error_from_message(message_from_error(error), "place")
        assert type(back) is each
        assert (back.what, back.remedy, back.source) == ("it broke", "Mend it.", "place")
    assert type(error_from_message({"error": "annotations", "what": "", "remedy": ""}, "")) is InternalError
    assert type(error_from_message({}, "")) is InternalError


def test_message_that_is_no_radiograph_is_a_defect() -> None:
    from edge_sacro.dicom import ReadLimits
    from edge_sacro.dicom.reader import radiograph_from_bytes
    from tests.dicom.synthetic import dicom

    header, parts = message_from_radiograph(radiograph_from_bytes(dicom(), limits=ReadLimits()))
    payload = bytearray(b"".join(parts))
    assert radiograph_from_message(header, payload, "x").source == "x"
    fields = header["radiograph"]
    for change in (
        {"dtype": "<f8"},
        {"shape": [1, -1]},
        {"shape": [1 << 40, 1 << 40]},
        {"entries": 7},
        {"first": 5000},
        {"spacing": 3},
        {"notes": None},
    ):
        with pytest.raises(InternalError):
            radiograph_from_message({"radiograph": {**fields, **change}}, payload, "x")
    with pytest.raises(InternalError):
        radiograph_from_message({}, payload, "x")
    with pytest.raises(InternalError):
        radiograph_from_message(header, payload + b"\0", "x")


def test_message_may_leave_pixels_where_the_sender_of_the_file_has_them() -> None:
    from edge_sacro.dicom import ReadLimits
    from edge_sacro.dicom.reader import radiograph_from_bytes
    from tests.dicom.synthetic import dicom

    data = dicom()
    read = radiograph_from_bytes(data, limits=ReadLimits(), sha256="")
    header, parts = message_from_radiograph(read, data)
    payload, fields = bytearray(b"".join(parts)), header["radiograph"]
    assert len(payload) == read.grayscale.table.nbytes
    back = radiograph_from_message(header, payload, "x", data)
    np.testing.assert_array_equal(back.stored, read.stored)
    assert np.shares_memory(back.stored, np.frombuffer(data, np.uint8))
    assert was_received(header, back, data, "")
    for at in (-2, len(data) - 2, 1 << 70, "here"):
        with pytest.raises(InternalError):
            radiograph_from_message({**header, "radiograph": {**fields, "at": at}}, payload, "x", data)
    moved = {**header, "radiograph": {**fields, "at": fields["at"] - 2}}
    for header_of, found in (({**header, "read": None}, back), (moved, back)):
        assert not was_received(header_of, found, data, "")
