"""The first part of a multipart answer (RFC 2046 5.1, PS3.18 8.6.1)."""

from __future__ import annotations

from email.message import Message

from edge_sacro.errors import NotDicom, TruncatedFile


def first_part(content_type: str, body: bytes, source: str) -> bytes:
    """The bytes of the first part; of an answer that is one DICOM file itself, the whole.

    Args:
        content_type: the answer's header.
        body: the answer.
        source: what to call it in messages.

    Raises:
        NotDicom: it is neither.
        TruncatedFile: no boundary ends the part.
    """
    header = Message()
    header["Content-Type"] = content_type
    if header.get_content_type() == "application/dicom":
        return body
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/related" or not boundary:
        raise NotDicom(f"the server answers with {content_type[:100]!r}", source=source)
    mark = b"--" + boundary.encode("latin-1", "replace")
    start = 0 if body.startswith(mark) else body.find(b"\r\n" + mark) + 2
    if not body.startswith(mark, start):
        raise NotDicom("the answer has no part", source=source)
    head = body.find(b"\r\n\r\n", start)
    if head < 0:
        raise TruncatedFile("the answer ends within the header of its part", source=source)
    end = body.find(b"\r\n" + mark, head + 2)
    if end < 0:
        raise TruncatedFile("the answer ends before its part does", source=source)
    return body[head + 4 : end]
