"""What HTTP clients see, and what they are kept from, stands in the audit trail; not at each refresh of a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest

from edge_sacro.node.alerts import ALERTS, AlertingJournal
from edge_sacro.node.audit import AuditTrail, Record
from edge_sacro.node.audit_check import records_from_file
from edge_sacro.node.audit_messages import messages_from_records
from edge_sacro.node.audited import AuditedStore
from edge_sacro.node.config import Http
from edge_sacro.node.web import looks
from edge_sacro.node.web.looks import Looks
from tests.node.http_node import DICOM, Node, phantom_bytes, running

TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of this test


class AuditedNode(Node):
    """A node whose queue and log have an audit trail."""

    def __init__(self, folder: Path, http: Http | None = None) -> None:
        super().__init__(folder, http)
        self.store.close()
        self.trail = AuditTrail(folder / "audit.jsonl", folder / "audit.key")
        store = AuditedStore(folder / "queue.db", self.trail)
        journal = AlertingJournal(self.log)
        journal.trail = self.trail
        self.store, self.journal = store, journal
        self.rewire(accessed=store.accessed, listed=store.listed)

    def records(self, event: str) -> list[Record]:
        return [each for each in records_from_file(self.config.folder / "audit.jsonl") if each["event"] == event]


@pytest.fixture
def node(tmp_path: Path) -> AuditedNode:
    return AuditedNode(tmp_path / "node")


@pytest.fixture
def client(node: AuditedNode) -> Iterator[httpx.Client]:
    with running(node) as client:
        for number in (1, 2):
            assert client.post("/v1/instances", content=phantom_bytes(number), headers=DICOM).status_code == 201
        yield client


def test_a_page_of_names_is_recorded_once_for_each_client_and_what_it_was_shown(
    client: httpx.Client, node: AuditedNode
) -> None:
    for _ in range(3):
        assert len(client.get("/v1/instances").json()["instances"]) == 2
    assert [(each["actor"], each["newest"], each["oldest"]) for each in node.records("listed")] == [
        ("http:127.0.0.1", 2, 1)
    ]
    client.get("/v1/instances?limit=1")
    client.get("/v1/instances?state=received")
    assert [(each["newest"], each["oldest"], each["state"]) for each in node.records("listed")[1:]] == [
        (2, 2, None),
        (2, 1, "received"),
    ]
    client.post("/v1/instances", content=phantom_bytes(3), headers=DICOM)
    client.get("/v1/instances")
    assert node.records("listed")[-1]["newest"] == 3, "a new name is a new look"


def test_a_page_without_a_name_is_no_look(client: httpx.Client, node: AuditedNode) -> None:
    assert client.get("/v1/instances?state=quarantined").json()["instances"] == []
    assert node.records("listed") == []


def test_what_is_shown_of_one_instance_is_recorded_once(client: httpx.Client, node: AuditedNode) -> None:
    for number in (1, 1, 2, 1):
        assert client.get(f"/v1/instances/{number}").json()["patient"] is not None
    assert client.get("/v1/instances/3").status_code == 404
    assert [(each["instance"], each["what"]) for each in node.records("accessed")] == [(1, "detail"), (2, "detail")]


def test_the_same_look_is_recorded_again_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[object, ...]] = []
    now = [0.0]
    monkeypatch.setattr(looks.time, "monotonic", lambda: now[0])
    seen = Looks(lambda *look: told.append(look), lambda *look: told.append(look), apart_s=10)
    for now[0] in (0.0, 9.0, 10.0, 11.0):
        seen.at_instance("ANN", 1)
    seen.at_instance("BOB", 1)
    assert told == [(1, "ANN", "detail"), (1, "ANN", "detail"), (1, "BOB", "detail")]


def test_a_look_that_could_not_be_recorded_is_not_taken_for_recorded() -> None:
    told: list[str] = []

    def failing_once(actor: str, *_: object) -> None:
        told.append(actor)
        if len(told) == 1:
            raise OSError

    seen = Looks(lambda *_: None, failing_once)
    with pytest.raises(OSError):  # noqa: PT011 - the one above
        seen.at_list("ANN", 2, 1, None)
    seen.at_list("ANN", 2, 1, None)
    seen.at_list("ANN", 2, 1, None)
    assert told == ["ANN", "ANN"]


def test_as_a_message_a_look_is_a_query_by_the_client(node: AuditedNode) -> None:
    store = node.store
    assert isinstance(store, AuditedStore)
    store.listed("CONSOLE", 9, 3, "received")
    records = records_from_file(node.config.folder / "audit.jsonl")
    (message,) = (ET.fromstring(each) for each in messages_from_records(records, lambda _: None, "EDGESACRO"))  # noqa: S314
    assert [each.attrib["csd-code"] for each in message.iter("EventID")] == ["110112"]
    asked = {each.attrib["UserID"]: each.attrib["UserIsRequestor"] for each in message.iter("ActiveParticipant")}
    assert asked == {"CONSOLE": "true", "EDGESACRO": "false"}
    (shown,) = message.iter("ParticipantObjectIdentification")
    assert shown.attrib["ParticipantObjectID"] == "instances 9 to 3"


def test_who_is_kept_out_raises_an_alert_and_who_is_let_in_none(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    node = AuditedNode(tmp_path / "node", Http(port=0, token_file=token))
    with running(node) as client:
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get("/v1/instances", headers=right).status_code == 200
        assert client.get("/v1/instances/7", headers=right).status_code == 404
        assert node.records("alert") == []
        for _ in range(20):
            assert client.get("/v1/instances", headers={"Authorization": "Bearer guess"}).status_code == 401
        assert client.get("/v1/instances", headers={**right, "Origin": "https://evil.example"}).status_code == 403
    alerts = [(each["alert"], each["kind"], each["address"]) for each in node.records("alert")]
    assert alerts == [
        ("http_refused", "not_authorised", "127.0.0.1"),
        ("http_refused", "cross_origin", "127.0.0.1"),
    ], "each kind once in its time, whatever the number of tries"
    assert "guess" not in node.log.getvalue()
    assert {each[0] for each in alerts} <= ALERTS
