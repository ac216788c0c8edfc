"""STOW-RS: parts as they come, each kept or failed by itself, told as PS3.18 says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge_sacro.dicom.summary import summary_from_file
from edge_sacro.node.web.multipart import Begin, End, Multipart, Piece, boundary_from_type
from edge_sacro.node.web.problems import Problem
from tests.node.http_node import Node, phantom_bytes, running

TYPE = 'multipart/related; type="application/dicom"; boundary=b7'
PART = "Content-Type: application/dicom"


@pytest.fixture(scope="module")
def radiograph() -> bytes:
    return phantom_bytes()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "node", instance_mb=1, pdu_s=2.0)


@pytest.fixture
def client(node: Node) -> Iterator[httpx.Client]:
    with running(node) as client:
        yield client


def body(*parts: bytes, header: str = PART, end: bytes = b"\r\n--b7--\r\n") -> bytes:
    return b"".join(b"\r\n--b7\r\n" + header.encode() + b"\r\n\r\n" + each for each in parts) + end


def stow(client: httpx.Client, content: Any, path: str = "/dicom-web/studies", **headers: str) -> httpx.Response:
    return client.post(path, content=content, headers={"Content-Type": TYPE, **headers})


def other(radiograph: bytes) -> bytes:
    """The same file under another SOP Instance UID, here and in its meta information."""
    uid = radiograph[radiograph.index(b"2.25.") :].split(b"\0")[0][:20]
    return radiograph.replace(uid, uid[:-1] + (b"1" if uid[-1:] != b"1" else b"2"))


def test_stored_parts_are_told_by_their_uids_and_stay(client: httpx.Client, node: Node, radiograph: bytes) -> None:
    answer = stow(client, body(radiograph, other(radiograph)))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    document = answer.json()
    assert "00081198" not in document
    items = document["00081199"]["Value"]
    stored = [node.store.instance(1), node.store.instance(2)]
    assert [each["00081155"]["Value"][0] for each in items] == [each.sop_instance_uid for each in stored if each]
    assert items[0]["00081150"] == {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.1.1"]}
    assert items[0]["00081190"] == {"vr": "UR"}
    files = sorted(each.read_bytes() for each in node.spool.instances.rglob("*.dcm"))
    assert files == sorted([radiograph, other(radiograph)])


def test_a_bad_part_fails_alone(client: httpx.Client, node: Node, radiograph: bytes) -> None:
    large = radiograph + bytes(1 << 20)
    answer = stow(client, body(b"no DICOM", radiograph, large))
    assert answer.status_code == 202
    document = answer.json()
    assert len(document["00081199"]["Value"]) == 1
    reasons = [each["00081197"]["Value"][0] for each in document["00081198"]["Value"]]
    assert reasons == [0xC000, 0xA700]
    assert node.store.waiting() == 1
    assert not list(node.spool.incoming.iterdir())


def test_nothing_stored_is_a_conflict(client: httpx.Client) -> None:
    answer = stow(client, body(b"no DICOM"))
    assert (answer.status_code, "00081199" in answer.json()) == (409, False)


def test_an_instance_of_another_study_fails_where_a_study_is_named(
    client: httpx.Client, tmp_path: Path, radiograph: bytes
) -> None:
    (tmp_path / "x.dcm").write_bytes(radiograph)
    study = summary_from_file(tmp_path / "x.dcm").study_instance_uid
    refused = stow(client, body(radiograph), "/dicom-web/studies/1.2.3")
    assert refused.status_code == 409
    (item,) = refused.json()["00081198"]["Value"]
    assert item["00081197"]["Value"] == [0xA900]
    assert item["00081155"]["Value"][0].startswith("2.25.")
    assert stow(client, body(radiograph), f"/dicom-web/studies/{study}").status_code == 200
    assert stow(client, body(radiograph), "/dicom-web/studies/a..b").status_code == 422


def test_a_body_that_ends_early_is_told_and_what_was_stored_stays(
    client: httpx.Client, node: Node, radiograph: bytes
) -> None:
    whole = body(radiograph, other(radiograph))
    answer = stow(client, whole[: len(whole) // 2 + 4000])
    assert (answer.status_code, answer.json()["code"]) == (400, "multipart")
    assert node.store.waiting() == 1
    assert not list(node.spool.incoming.iterdir())
    assert stow(client, whole).status_code == 200, "sent again it is known again"
    assert node.store.waiting() == 2


def test_other_types_are_refused_before_anything_is_kept(client: httpx.Client, node: Node, radiograph: bytes) -> None:
    for content_type in (
        "application/dicom",
        "multipart/form-data; boundary=b7",
        'multipart/related; type="application/dicom+json"; boundary=b7',
        'multipart/related; type="application/dicom"',
    ):
        answer = client.post("/dicom-web/studies", content=body(radiograph), headers={"Content-Type": content_type})
        assert answer.status_code in (400, 415), content_type
    assert stow(client, body(radiograph), Accept="application/dicom+xml").status_code == 406
    assert stow(client, b"--b7--\r\n").status_code == 400
    json_part = stow(client, body(radiograph, header="Content-Type: application/json"))
    assert json_part.status_code == 409
    assert node.store.waiting() == 0


def test_a_full_queue_refuses_the_first_part_with_503(tmp_path: Path, radiograph: bytes) -> None:
    node = Node(tmp_path / "node", queue=1)
    with running(node) as client:
        both = stow(client, body(radiograph, other(radiograph)))
        assert both.status_code == 202
        assert both.json()["00081198"]["Value"] == [{"00081197": {"vr": "US", "Value": [0xA700]}}]
        full = stow(client, body(other(radiograph)))
        assert (full.status_code, "retry-after" in full.headers) == (503, True)


def parsed(content: bytes, size: int) -> list[tuple[dict[str, str], bytes]]:
    """The parts of a body that comes in pieces of some size."""
    multipart, found = Multipart(b"b7"), list[tuple[dict[str, str], bytes]]()
    whole = False
    for start in range(0, len(content), size):
        for event in multipart.feed(content[start : start + size]):
            if isinstance(event, Begin):
                found.append((event.headers, b""))
                whole = False
            elif isinstance(event, Piece):
                assert event.content
                found[-1] = (found[-1][0], found[-1][1] + event.content)
            else:
                assert isinstance(event, End)
                whole = True
    assert multipart.complete
    assert whole
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
def test_parts_do_not_depend_on_how_the_body_was_cut(size: int) -> None:
    tricky = [b"\r\n--b", b"--b7", b"\r\n--b6\r\n", b"\r\n\r\n", b"", bytes(range(256)) * 3, b"\r\n-\r\n--\r\n--b"]
    content = b"preamble, ignored" + body(*tricky, end=b"\r\n--b7-- \t\r\nepilogue, --b7 ignored")
    parts = parsed(content, size)
    assert [each for _, each in parts] == tricky
    assert parts[0][0] == {"content-type": "application/dicom"}


@pytest.mark.parametrize(
    "content", [b"--b7 x\r\n\r\n", b"--b7\r\nno colon\r\n\r\n", b"--b7\r\nA: " + b"x" * 9000, b"--b7" + b" " * 9000]
)
def test_a_malformed_body_is_refused_in_bounded_memory(content: bytes) -> None:
    with pytest.raises(Problem):
        list(Multipart(b"b7").feed(content))


@pytest.mark.parametrize("boundary", ["", "x" * 71, "a b ", "a\x00b", "ä"])
def test_a_boundary_that_is_none_is_refused(boundary: str) -> None:
    with pytest.raises(Problem):
        boundary_from_type(f'multipart/related; type="application/dicom"; boundary="{boundary}"', "application/dicom")
