"""Storage commitment as its user: what is asked, which reports count, and what is sent again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pynetdicom", reason="the extra 'serve' is not installed")
from pydicom.dataset import Dataset
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance, Verification

from edge_sacro.errors import StorageFailed
from edge_sacro.node.commitment import Commitments
from edge_sacro.node.config import Destination
from edge_sacro.node.records import State
from tests.node.dicom_outbox import PACS, SENDING, Pacs, Queue, destination, report, sending
from tests.node.dicom_peers import US, eventually, receiving

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""pynetdicom's own server, which stands for the destination, does not close every socket."""


def asked(port: int, **more: Any) -> Destination:
    return destination(port, storage_commitment=True, **more)


def reports_on_new_association(port: int, event_type: int, information: Dataset, title: str = PACS) -> int | None:
    """Report as most destinations do; None where there is no association to be had."""
    entity = AE(title)
    entity.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    association = entity.associate("127.0.0.1", port, ae_title=US, ext_neg=[role])
    if not association.is_established:
        return None
    uids = StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    status, _ = association.send_n_event_report(information, event_type, *uids)
    association.release()
    return int(status.Status)


def test_a_result_is_done_once_a_report_on_the_same_association_says_so(tmp_path: Path) -> None:
    queue, pacs = Queue(tmp_path), Pacs()
    queue.add("1.2.1", "1.2.2")

    def answer(event: evt.Event, information: Dataset) -> None:
        kind, told = report(information)
        uids = StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        event.assoc.send_n_event_report(told, kind, *uids)

    pacs.on_asked = answer
    with pacs.running():
        where = asked(pacs.port)
        with sending(queue, where, commitments=Commitments([where], queue.outbox)):
            assert eventually(lambda: queue.instance_states() == [State.DELIVERED])
    assert queue.states() == ["committed"] * 2
    ((transaction, uids),) = pacs.asked
    assert uids == ["1.2.1", "1.2.2"]
    assert {each.transaction_uid for each in queue.deliveries()} <= {transaction, None}


def test_a_report_may_come_on_an_association_of_its_own(tmp_path: Path) -> None:
    queue, pacs, statuses = Queue(tmp_path / "a"), Pacs(), []
    queue.add("1.2.1")
    with pacs.running():
        where = asked(pacs.port)
        commitments = Commitments([where], queue.outbox)
        with receiving(tmp_path / "b", reports=commitments) as node:
            pacs.on_asked = lambda _, information: statuses.extend(
                reports_on_new_association(node.receiver.port, *report(information), title=title)
                for title in ("OTHER", PACS, PACS)
            )
            with sending(queue, where, commitments=commitments):
                assert eventually(lambda: len(statuses) == 3)
    assert statuses == [None, 0x0000, 0x0000]
    assert queue.instance_states() == [State.DELIVERED]


def test_who_only_reports_may_not_send(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "a")
    commitments = Commitments([asked(1)], queue.outbox)
    with receiving(tmp_path / "b", reports=commitments) as node:
        offered = [build_context(Verification), build_context("1.2.840.10008.5.1.4.1.1.1.1")]
        association = AE(PACS).associate(*node.address, offered, ae_title=US)
        accepted = [each.abstract_syntax for each in association.accepted_contexts]
        association.release()
    assert accepted == [Verification]


def test_what_is_not_committed_to_is_sent_again(tmp_path: Path) -> None:
    queue, pacs = Queue(tmp_path), Pacs()
    queue.add("1.2.1", "1.2.2")
    with pacs.running():
        where = asked(pacs.port)
        commitments = Commitments([where], queue.outbox)
        pacs.on_asked = lambda _, information: commitments.hear(
            PACS, *report(information, failed={"1.2.2": 0x0112} if len(pacs.asked) == 1 else {})
        )
        with sending(queue, where, commitments=commitments):
            assert eventually(lambda: queue.instance_states() == [State.DELIVERED])
    assert pacs.uids() == ["1.2.1", "1.2.2", "1.2.2"]
    assert [uids for _, uids in pacs.asked] == [["1.2.1", "1.2.2"], ["1.2.2"]]
    assert queue.events("not_committed")[0]["reason"] == "0x0112"


def test_what_will_never_be_committed_to_sets_the_instance_aside(tmp_path: Path) -> None:
    queue, pacs = Queue(tmp_path), Pacs()
    queue.add("1.2.1")
    with pacs.running():
        where = asked(pacs.port)
        commitments = Commitments([where], queue.outbox)
        pacs.on_asked = lambda _, information: commitments.hear(PACS, *report(information, failed={"1.2.1": 0x0122}))
        with sending(queue, where, commitments=commitments):
            assert eventually(lambda: queue.instance_states() == [State.QUARANTINED])


def test_without_a_report_in_time_it_is_sent_and_asked_again(tmp_path: Path) -> None:
    queue, pacs = Queue(tmp_path), Pacs()
    queue.add("1.2.1")
    settings = SENDING.model_copy(update={"commitment_s": 0.3})
    with pacs.running():
        where = asked(pacs.port)
        commitments = Commitments([where], queue.outbox)
        pacs.on_asked = lambda _, information: (
            commitments.hear(PACS, *report(information)) if len(pacs.asked) == 2 else None
        )
        with sending(queue, where, settings, commitments):
            assert eventually(lambda: queue.instance_states() == [State.DELIVERED])
    assert pacs.uids() == ["1.2.1", "1.2.1"]
    assert pacs.asked[0][0] != pacs.asked[1][0]


def test_after_a_restart_it_is_asked_anew_and_not_sent_again(tmp_path: Path) -> None:
    queue, pacs = Queue(tmp_path), Pacs()
    queue.add("1.2.1")
    with pacs.running():
        where = asked(pacs.port)
        commitments = Commitments([where], queue.outbox)
        with sending(queue, where, commitments=commitments):
            assert eventually(lambda: len(pacs.asked) == 1)
        pacs.on_asked = lambda _, information: commitments.hear(PACS, *report(information))
        with sending(queue, where, commitments=commitments):
            assert eventually(lambda: queue.instance_states() == [State.DELIVERED])
    assert pacs.uids() == ["1.2.1"]
    assert len(pacs.asked) == 2


def test_what_is_stored_is_done_where_commitment_is_no_longer_wanted(tmp_path: Path) -> None:
    queue, pacs = Queue(tmp_path), Pacs()
    queue.add("1.2.1")
    with pacs.running():
        where = asked(pacs.port)
        with sending(queue, where, commitments=Commitments([where], queue.outbox)):
            assert eventually(lambda: len(pacs.asked) == 1)
        with sending(queue, destination(pacs.port)):
            assert eventually(lambda: queue.instance_states() == [State.DELIVERED])
    assert pacs.uids() == ["1.2.1"]


@pytest.mark.parametrize("offered", [True, False], ids=["refused", "not offered"])
def test_a_destination_that_does_not_commit_is_told_and_asked_again(tmp_path: Path, offered: bool) -> None:
    queue, pacs = Queue(tmp_path), Pacs()
    queue.add("1.2.1")
    pacs.commitment_status = 0x0110
    dx = build_context("1.2.840.10008.5.1.4.1.1.1.1", ["1.2.840.10008.1.2.1"])
    with pacs.running(contexts=None if offered else [dx]):
        where = asked(pacs.port)
        with sending(queue, where, commitments=Commitments([where], queue.outbox)) as sender:
            assert eventually(lambda: len(queue.events("destination_fails")) >= 2)
            assert "storage commitment" in str(sender.trouble)
    assert queue.states() == ["confirming"]
    assert pacs.uids() == ["1.2.1"]


def _information(transaction: object = "2.25.1") -> Dataset:
    information = Dataset()
    if transaction is not None:
        information.add_new(0x00081195, "UI", transaction)
    return information


@pytest.mark.parametrize(
    ("kind", "information", "status"),
    [
        (1, _information(), 0x0000),
        (3, _information(), 0x0113),
        (1, _information(None), 0x0115),
        (1, Dataset(), 0x0115),
    ],
    ids=["unknown transaction", "unknown event", "no transaction", "empty"],
)
def test_a_report_that_says_nothing_of_ours_changes_nothing(
    tmp_path: Path, kind: int, information: Dataset, status: int
) -> None:
    queue = Queue(tmp_path)
    queue.add("1.2.1")
    assert Commitments([asked(1)], queue.outbox).hear(PACS, kind, information) == status
    assert queue.states() == ["waiting"]


def test_a_report_of_another_destination_does_not_count(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    queue.add("1.2.1")
    (delivery,) = queue.deliveries()
    queue.store.delivery_moved(delivery.id, "confirming", transaction_uid="2.25.1")  # type: ignore[arg-type]
    commitments = Commitments([asked(1), asked(2, name="other", ae_title="OTHER")], queue.outbox)
    information = _information()
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.1"
    information.ReferencedSOPSequence = [item]
    assert commitments.titles() == {PACS, "OTHER"}
    assert commitments.hear("OTHER", 1, information) == 0x0000
    assert queue.states() == ["confirming"]
    assert commitments.hear(PACS, 1, information) == 0x0000
    assert queue.states() == ["committed"]


def test_a_report_that_cannot_be_entered_stops_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(tmp_path)

    def fail(_: str) -> None:
        raise StorageFailed("x")

    monkeypatch.setattr(queue.store, "committing", fail)
    assert Commitments([asked(1)], queue.outbox).hear(PACS, 1, _information()) == 0x0110
    assert isinstance(queue.outbox.halt.error, StorageFailed)
