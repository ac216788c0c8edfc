"""The audit trail: what is done to it is found, what is done by the node is in it."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from edge_sacro.errors import DiskFull, StorageFailed
from edge_sacro.node.audit import FIRST, AuditTrail, Record, line_from_record, record_hash
from edge_sacro.node.audit_check import check_trail, records_from_file
from edge_sacro.node.audit_messages import KINDS, messages_from_records
from edge_sacro.node.audited import AuditedStore
from edge_sacro.node.records import DeliveryState, NewDelivery, Outcome, Received, State

UID = "1.2.840.113619.2.5.1762583153.215519.978957063.78"


@pytest.fixture
def trail(tmp_path: Path) -> AuditTrail:
    return AuditTrail(tmp_path / "audit.jsonl", tmp_path / "audit.key")


def _path(folder: Path) -> Path:
    return folder / "audit.jsonl"


def _received(n: int = 1) -> Received:
    return Received(f"{n:064x}", f"instances/{n}", 9, "1.2.3", f"{UID}.{n}", "1.2.840", "dimse", "MODALITY")


def _filled(folder: Path, count: int = 6) -> list[bytes]:
    """A trail of some records, as lines."""
    trail = AuditTrail(_path(folder), folder / "audit.key")
    for n in range(count):
        trail.append("received", sync=False, instance=n)
    trail.close()
    return _path(folder).read_bytes().splitlines(keepends=True)


def test_an_untouched_trail_is_whole(tmp_path: Path) -> None:
    lines = _filled(tmp_path)
    verdict = check_trail(_path(tmp_path))
    assert verdict.findings == []
    assert verdict.records == len(lines) == 6
    assert verdict.head == json.loads(lines[-1])["hash"]
    assert json.loads(lines[0])["previous"] == FIRST


def _changed(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b'"instance":2', b'"instance":9'), *lines[3:]]


def _rehashed(lines: list[bytes]) -> list[bytes]:
    record: Record = json.loads(lines[2])
    record["instance"] = 9
    record["hash"] = record_hash(record)
    return [*lines[:2], line_from_record(record), *lines[3:]]


def _spaced(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b'":', b'": '), *lines[3:]]


@pytest.mark.parametrize(
    ("harm", "finding"),
    [
        (_changed, "record 3 was changed"),
        (_rehashed, "record 4 does not follow the one before it"),
        (_spaced, "record 3 is no record"),
        (lambda lines: [*lines[:2], *lines[3:]], "record 3 does not follow the one before it"),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "record 3 does not follow the one before it"),
        (lambda lines: [*lines, lines[-1]], "record 7 says that it is number 6"),
        (lambda lines: lines[1:], "record 1 does not follow the one before it"),
        (lambda lines: [*lines[:3], b"\n", *lines[3:]], "record 4 is no record"),
    ],
)
def test_a_record_changed_removed_moved_or_repeated_is_found(
    tmp_path: Path, harm: Callable[[list[bytes]], list[bytes]], finding: str
) -> None:
    lines = _filled(tmp_path)
    _path(tmp_path).write_bytes(b"".join(harm(lines)))
    assert finding in check_trail(_path(tmp_path)).findings


def test_records_cut_off_the_end_are_missed_beside_the_queue_or_by_a_noted_head(tmp_path: Path) -> None:
    trail = AuditTrail(_path(tmp_path), tmp_path / "audit.key")
    store = AuditedStore(tmp_path / "queue.sqlite", trail)
    for n in (1, 2):
        sequence = store.accept(_received(n)).sequence
        store.assessed(
            sequence,
            Outcome("negative", None, None, "{}", "r", None),
            [NewDelivery("archive", f"r{n}", "1.2", "2.25.3")],
        )
        store.delivery_moved(store.deliveries(sequence)[0].id, DeliveryState.STORED)
    head = check_trail(_path(tmp_path)).head
    whole = _path(tmp_path).read_bytes().splitlines(keepends=True)
    assert len(whole) == 6
    assert check_trail(_path(tmp_path), store, head).findings == []
    _path(tmp_path).write_bytes(b"".join(whole[:4]))
    cut = check_trail(_path(tmp_path), store)
    assert [each.split(",")[0] for each in cut.findings] == ["instance 2 was assessed", "delivery 2 has ended"]
    assert check_trail(_path(tmp_path), head=head).findings == ["no record has the hash that was noted"]
    # the chain alone does not tell
    assert check_trail(_path(tmp_path)).findings == []
    # receptions are not synced for themselves: their absence is told apart
    _path(tmp_path).write_bytes(b"")
    assert check_trail(_path(tmp_path), store).unsynced == 2


def test_a_uid_is_found_by_who_has_it_and_the_key_and_by_nobody_else(trail: AuditTrail, tmp_path: Path) -> None:
    store = AuditedStore(tmp_path / "queue.sqlite", trail)
    store.accept(_received())
    text = _path(tmp_path).read_text()
    assert UID not in text
    assert trail.uid_hash(f"{UID}.1") in text
    other = AuditTrail(tmp_path / "other.jsonl", tmp_path / "other.key")
    assert other.uid_hash(f"{UID}.1") not in text


def test_the_record_stands_before_the_change_and_a_change_without_one_is_not_made(
    trail: AuditTrail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = AuditedStore(tmp_path / "queue.sqlite", trail)
    sequence = store.accept(_received()).sequence

    def broken(*_: object, **__: object) -> Record:
        raise DiskFull("no space")

    monkeypatch.setattr(trail, "append", broken)
    with pytest.raises(DiskFull):
        store.assessed(sequence, Outcome("negative", None, None, "{}", "r", None), [])
    with pytest.raises(DiskFull):
        store.quarantine(sequence, "internal", "why")
    with pytest.raises(DiskFull):
        store.accept(_received(2))
    instance = store.instance(sequence)
    assert instance is not None
    assert instance.state == State.RECEIVED
    assert store.instance(2) is None


def test_what_the_node_and_an_operator_do_is_in_it_and_synced_where_it_must_be(
    trail: AuditTrail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    append = trail.append

    def watched(event: str, *, sync: bool, **fields: str | float | None) -> Record:
        if sync:
            synced.append(event)
        return append(event, sync=sync, **fields)

    monkeypatch.setattr(trail, "append", watched)
    store = AuditedStore(tmp_path / "queue.sqlite", trail)
    store.bundle = "f" * 64
    sequence = store.accept(_received()).sequence
    delivery = NewDelivery("archive", "results/1/sr.dcm", "1.2.3", "2.25.3")
    store.assessed(sequence, Outcome("positive", None, None, "{}", "results/1", None), [delivery])
    (made,) = store.deliveries(sequence)
    store.delivery_moved(made.id, DeliveryState.WAITING, error="down")
    store.delivery_moved(made.id, DeliveryState.REJECTED, error="0xA900")
    assert store.requeue(sequence)
    assert not store.requeue(sequence)
    store.quarantine(sequence, "internal", "why")
    records = list(records_from_file(_path(tmp_path)))
    assert [each["event"] for each in records] == ["received", "assessed", "delivered", "requeued", "quarantined"]
    assert synced == ["assessed", "delivered", "requeued", "quarantined"]
    received, assessed, delivered = records[:3]
    assert (received["actor"], received["via"], received["sha256"]) == ("MODALITY", "dimse", f"{1:064x}")
    assert (assessed["bundle"], assessed["outcome"], assessed["objects"]) == ("f" * 64, "positive", 1)
    assert (delivered["destination"], delivered["outcome"]) == ("archive", "rejected")


def _append_many(folder: Path, count: int) -> None:
    trail = AuditTrail(_path(folder), folder / "audit.key")
    for n in range(count):
        trail.append("received", sync=False, instance=n)
    trail.close()


def test_two_processes_write_one_chain(tmp_path: Path) -> None:
    trail = AuditTrail(_path(tmp_path), tmp_path / "audit.key")
    other = multiprocessing.get_context("spawn").Process(target=_append_many, args=(tmp_path, 200))
    other.start()
    for n in range(200):
        trail.append("assessed", sync=False, instance=n)
    other.join(30)
    assert other.exitcode == 0
    verdict = check_trail(_path(tmp_path))
    assert (verdict.records, verdict.findings) == (400, [])


@pytest.mark.parametrize("torn", [b'{"n":7,"ev', b"\0" * 300, b'{"n":7}\n{"n":8}\n'])
def test_an_end_torn_by_a_loss_of_power_is_set_aside_and_told(tmp_path: Path, torn: bytes) -> None:
    _filled(tmp_path)
    with _path(tmp_path).open("ab") as file:
        file.write(torn)
    trail = AuditTrail(_path(tmp_path), tmp_path / "audit.key")
    trail.append("received", sync=False, instance=7)
    verdict = check_trail(_path(tmp_path))
    assert (verdict.records, verdict.findings) == (8, [])
    mended = list(records_from_file(_path(tmp_path)))[6]
    assert (mended["event"], mended["bytes_cut"]) == ("audit_mended", len(torn))
    (kept,) = tmp_path.glob("audit.jsonl.cut-at-*")
    assert kept.read_bytes() == torn


def test_a_record_that_does_not_fit_on_the_disk_leaves_none_of_it(
    trail: AuditTrail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail.append("received", sync=False, instance=1)
    write, left = os.write, [10]

    def narrow(descriptor: int, content: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] = 0
        return write(descriptor, bytes(content)[:10])

    monkeypatch.setattr(os, "write", narrow)
    with pytest.raises(DiskFull):
        trail.append("received", sync=False, instance=2)
    monkeypatch.undo()
    trail.append("received", sync=False, instance=3)
    assert check_trail(_path(tmp_path)).findings == []
    assert [each["instance"] for each in records_from_file(_path(tmp_path))] == [1, 3]


def test_a_sync_that_fails_is_a_failure_of_the_disk(trail: AuditTrail, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(StorageFailed):
        trail.append("assessed", sync=True)


# Names and cardinalities of PS3.15 A.5.1, the parts that are written here.
STRUCTURE = {
    "AuditMessage": (
        set(),
        {
            "EventIdentification": (1, 1),
            "ActiveParticipant": (1, 99),
            "AuditSourceIdentification": (1, 1),
            "ParticipantObjectIdentification": (0, 99),
        },
    ),
    "EventIdentification": (
        {"EventActionCode", "EventDateTime", "EventOutcomeIndicator"},
        {"EventID": (1, 1), "EventTypeCode": (0, 99)},
    ),
    "ActiveParticipant": ({"UserID", "UserIsRequestor"}, {"RoleIDCode": (0, 99)}),
    "AuditSourceIdentification": ({"AuditSourceID"}, {}),
    "ParticipantObjectIdentification": (
        {"ParticipantObjectID", "ParticipantObjectTypeCode", "ParticipantObjectTypeCodeRole"},
        {"ParticipantObjectIDTypeCode": (1, 1), "ParticipantObjectDetail": (0, 99)},
    ),
    "ParticipantObjectDetail": ({"type", "value"}, {}),
    **{
        coded: ({"csd-code", "codeSystemName", "originalText"}, {})
        for coded in ("EventID", "EventTypeCode", "RoleIDCode", "ParticipantObjectIDTypeCode")
    },
}


def _structural_errors(element: ET.Element) -> list[str]:
    attributes, children = STRUCTURE[element.tag]
    found = [] if set(element.attrib) == attributes else [f"{element.tag}: {sorted(element.attrib)}"]
    tags = [each.tag for each in element]
    order = [tag for tag in children if tag in tags]
    if [tag for n, tag in enumerate(tags) if n == 0 or tags[n - 1] != tag] != order:
        found.append(f"{element.tag}: order {tags}")
    for tag, (least, most) in children.items():
        if not least <= tags.count(tag) <= most:
            found.append(f"{element.tag}: {tags.count(tag)} {tag}")
    return found + [error for each in element for error in _structural_errors(each)]


def test_every_record_becomes_an_audit_message_of_the_standards_structure(trail: AuditTrail, tmp_path: Path) -> None:
    for event in KINDS:
        trail.append(event, sync=False, actor="MODALITY", destination="archive", instance=1, uid="ab", sha256="cd")
    messages = list(messages_from_records(records_from_file(_path(tmp_path)), lambda _: None, "EDGESACRO"))
    assert len(messages) == len(KINDS)
    for text in messages:
        assert "\n" not in text
        assert _structural_errors(ET.fromstring(text)) == []  # noqa: S314 - made here
    broken = messages[0].replace("EventID", "EventId")
    with pytest.raises(KeyError):
        _structural_errors(ET.fromstring(broken))  # noqa: S314 - made here


def test_a_message_says_who_sent_what_to_whom_and_how_it_ended(trail: AuditTrail, tmp_path: Path) -> None:
    trail.append("received", sync=False, actor="MODALITY", uid="ab")
    trail.append("delivered", sync=False, actor="node", destination="archive", instance=1, outcome="rejected")
    received, delivered = (
        ET.fromstring(each)  # noqa: S314 - made here
        for each in messages_from_records(records_from_file(_path(tmp_path)), lambda n: f"{UID}.{n}", "EDGESACRO")
    )

    def roles(message: ET.Element) -> dict[str, str]:
        return {each[0].attrib["csd-code"]: each.attrib["UserID"] for each in message.iter("ActiveParticipant")}

    assert roles(received) == {"110153": "MODALITY", "110152": "EDGESACRO"}
    assert roles(delivered) == {"110153": "EDGESACRO", "110152": "archive"}
    assert [each.attrib["csd-code"] for each in received.iter("EventID")] == ["110104"]
    (outcome,) = (each.attrib["EventOutcomeIndicator"] for each in delivered.iter("EventIdentification"))
    assert outcome == "8"
    (study,) = delivered.iter("ParticipantObjectIdentification")
    assert study.attrib["ParticipantObjectID"] == f"{UID}.1"
