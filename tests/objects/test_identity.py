"""Patient and study arrive as the sender wrote them, whatever character set and encoding the source has."""

from __future__ import annotations

import copy
import io
import struct
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from edge_sacro.errors import MissingAttributes, NotDicom
from edge_sacro.objects import Answered, Making, header_from_bytes
from tests.objects.answers import bytes_by_kind, file_bytes
from tests.objects.tools import complaints

JAPANESE = (
    (b"ISO_IR 13\\ISO 2022 IR 87 ", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J="),
    (b"\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"),
    (b"ISO_IR 192", "Yamada^Tarou=山田^太郎".encode()),
    (b"GB18030 ", "Wang^XiaoDong=王^小东".encode("gb18030")),
    (b"ISO_IR 100", "Müller^Jürgen".encode("latin-1")),
    (b"ISO_IR 100", b"not \xff\x80 of that set "),
)


def with_raw(drawn: Answered, **values: bytes) -> Answered:
    """The source with these bytes as values, not one of them understood."""
    header = copy.deepcopy(drawn.header)
    for keyword, value in values.items():
        tag = Tag(keyword)
        padded = value + b" " * (len(value) % 2)
        header[tag] = RawDataElement(tag, pydicom.datadict.dictionary_VR(tag), len(padded), padded, 0, False, True)
    return replace(drawn, header=header)


def raw_value(content: bytes, keyword: str) -> bytes:
    """The bytes of the first element of a short VR, as they stand in the file."""
    tag = Tag(keyword)
    start = struct.pack("<HH", tag.group, tag.element) + pydicom.datadict.dictionary_VR(tag).encode()
    place = content.index(start) + len(start)
    (length,) = struct.unpack_from("<H", content, place)
    return content[place + 2 : place + 2 + length]


@pytest.mark.parametrize(("character_set", "name"), JAPANESE)
def test_a_name_survives_byte_for_byte(
    drawn: Answered, making: Making, character_set: bytes, name: bytes, tmp_path: Path
) -> None:
    named = with_raw(drawn, SpecificCharacterSet=character_set, PatientName=name, StudyDescription=name[:60])
    for kind, content in bytes_by_kind(named, making).items():
        assert raw_value(content, "SpecificCharacterSet").strip() == character_set.strip()
        assert raw_value(content, "PatientName").rstrip() == name.rstrip()
        assert raw_value(content, "StudyDescription").rstrip() == name[:60].rstrip()
        (tmp_path / kind).write_bytes(content)
        if name[:3] != b"not":
            assert complaints(tmp_path / kind) == []


def test_a_reader_sees_the_japanese_name(drawn: Answered, making: Making) -> None:
    character_set, name = JAPANESE[1]
    content = bytes_by_kind(with_raw(drawn, SpecificCharacterSet=character_set, PatientName=name), making)["sr"]
    dataset = pydicom.dcmread(io.BytesIO(content))
    assert dataset.PatientName.ideographic == "山田^太郎"
    other = bytes_by_kind(with_raw(drawn, PatientName=name), making)["sr"]
    with pytest.warns(UserWarning, match="escape sequence"):
        assert pydicom.dcmread(io.BytesIO(other)).PatientName.ideographic != "山田^太郎", "negative control"


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_identity_is_the_same_from_another_encoding(
    drawn: Answered, making: Making, drawn_bytes: bytes, syntax: pydicom.uid.UID
) -> None:
    source = pydicom.dcmread(io.BytesIO(drawn_bytes))
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "XR1", "99TEST", "Becken ä"
    source.ProcedureCodeSequence = [code]
    source.PregnancyStatus = 4
    source.PatientName = "Müller^Jürgen"
    plain = replace(drawn, header=header_from_bytes(file_bytes(source), "plain"))
    expected = {kind: content for kind, content in bytes_by_kind(plain, making).items() if kind != "sc"}
    if syntax == ExplicitVRBigEndian:
        source.PixelData = source.pixel_array.astype(">u2").tobytes()
    source.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    pydicom.dcmwrite(
        buffer,
        source,
        force_encoding=True,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
    )
    other = replace(drawn, header=header_from_bytes(buffer.getvalue(), "other"))
    found = {kind: content for kind, content in bytes_by_kind(other, making).items() if kind != "sc"}
    for kind in expected:
        one, two = (pydicom.dcmread(io.BytesIO(each[kind])) for each in (expected, found))
        assert one == two, kind
        assert two.PregnancyStatus == 4
        assert two.ProcedureCodeSequence[0].CodeMeaning == "Becken ä"


def test_what_the_source_lacks_is_empty_where_the_standard_wants_it(drawn: Answered, making: Making) -> None:
    header = copy.deepcopy(drawn.header)
    for keyword in ("PatientName", "PatientID", "StudyDate", "SpecificCharacterSet", "PatientComments"):
        delattr(header, keyword)
    for content in bytes_by_kind(replace(drawn, header=header), making).values():
        dataset = pydicom.dcmread(io.BytesIO(content))
        assert (dataset.PatientName, dataset.PatientID, dataset.StudyDate) == ("", "", "")
        assert "SpecificCharacterSet" not in dataset
        assert "PatientComments" not in dataset


def test_a_source_that_nothing_can_refer_to_is_refused(drawn_bytes: bytes) -> None:
    source = pydicom.dcmread(io.BytesIO(drawn_bytes))
    del source.StudyInstanceUID
    tag = Tag("SeriesInstanceUID")
    source[tag] = RawDataElement(tag, "UI", 8, b"../../x\0", 0, False, True)
    with pytest.raises(MissingAttributes, match="StudyInstanceUID, SeriesInstanceUID"):
        header_from_bytes(file_bytes(source), "study.dcm")
    with pytest.raises(NotDicom, match=r"study\.dcm"):
        header_from_bytes(b"GIF89a", "study.dcm")
    assert header_from_bytes(drawn_bytes, "study.dcm").PatientID
