"""The queue: what it keeps, in which order, and which states follow one another."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edge_sacro.errors import DiskFull, StorageFailed
from edge_sacro.node import store as store_module
from edge_sacro.node.records import DeliveryState, NewDelivery, Outcome, Received, State
from edge_sacro.node.schema import MIGRATIONS
from edge_sacro.node.store import Store

NEGATIVE = Outcome("negative", None, None, "{}", "results/1", "2.25.8")
REFUSED = Outcome("refused", "not_dicom", "it is none", "{}", "results/1", None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "queue.sqlite")


def received(sha256: str = "a" * 64, uid: str = "2.25.7") -> Received:
    return Received(sha256, f"instances/{sha256[:2]}/{sha256}.dcm", 9, "1.2.3", uid, "1.2.840", "dimse", "MODALITY")


def object_for(name: str, path: str = "results/1/sr.dcm") -> NewDelivery:
    return NewDelivery(name, path, "1.2.3", "2.25.9")


def test_a_change_is_on_disk_when_it_returns(store: Store) -> None:
    assert store._rows("PRAGMA synchronous")[0][0] == 2  # FULL
    assert store._rows("PRAGMA journal_mode")[0][0] == "wal"


def test_the_same_bytes_again_are_the_same_instance(store: Store) -> None:
    first, again = store.accept(received()), store.accept(received())
    assert (first.what, again.what) == ("new", "again")
    assert first.sequence == again.sequence
    instance = store.instance(first.sequence)
    assert instance is not None
    assert instance.times_received == 2


def test_other_bytes_under_a_known_uid_are_kept_beside_and_marked(store: Store) -> None:
    first, other = store.accept(received("a" * 64)), store.accept(received("b" * 64))
    assert (first.what, other.what) == ("new", "conflict")
    assert {each.conflict for each in store.by_uid("2.25.7")} == {True, False}
    # and a UID that nobody used before is none
    assert store.accept(received("c" * 64, "2.25.8")).what == "new"


def test_the_order_is_that_of_arrival_whatever_the_clock_says(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for digit, time in zip("abc", ("2038-01-20", "1970-01-01", "2026-03-29T02:30"), strict=True):
        monkeypatch.setattr(store_module, "utc_now", lambda time=time: time)
        store.accept(received(digit * 64, f"2.25.{ord(digit)}"))
    taken = [store.next_to_assess() for _ in range(4)]
    assert [None if each is None else each.sha256[0] for each in taken] == ["a", "b", "c", None]
    # by its clock it would have been another one: the times do stand in that order
    times = [each.received_at for each in taken if each is not None]
    assert times != sorted(times)


def test_what_a_killed_process_had_taken_waits_again_and_the_attempt_counts(store: Store) -> None:
    store.accept(received())
    assert store.next_to_assess() is not None
    assert store.next_to_assess() is None
    assert store.recover() == 1
    taken = store.next_to_assess()
    assert taken is not None
    assert taken.attempts == 2


def test_an_instance_given_back_has_lost_no_attempt(store: Store) -> None:
    sequence = store.accept(received()).sequence
    store.next_to_assess()
    store.give_back(sequence)
    taken = store.next_to_assess()
    assert taken is not None
    assert taken.attempts == 1


@pytest.mark.parametrize(("outcome", "ended"), [(NEGATIVE, State.DELIVERED), (REFUSED, State.REFUSED)])
def test_an_instance_ends_when_its_last_delivery_has(store: Store, outcome: Outcome, ended: State) -> None:
    sequence = store.accept(received()).sequence
    store.assessed(sequence, outcome, [object_for("one"), object_for("two")])
    one, two = store.deliveries(sequence)
    store.delivery_moved(one.id, DeliveryState.STORED)
    assert _state(store, sequence) == State.SENDING
    store.delivery_moved(two.id, DeliveryState.WAITING, error="down")
    assert _state(store, sequence) == State.SENDING
    store.delivery_moved(two.id, DeliveryState.CONFIRMING, transaction_uid="2.25.5")
    assert _state(store, sequence) == State.SENDING
    assert [each.id for each in store.committing("2.25.5")] == [two.id]
    store.delivery_moved(two.id, DeliveryState.COMMITTED)
    assert _state(store, sequence) == ended


def test_without_destinations_an_instance_ends_at_once(store: Store) -> None:
    sequence = store.accept(received()).sequence
    store.assessed(sequence, NEGATIVE, [])
    assert _state(store, sequence) == State.DELIVERED


def test_a_delivery_refused_for_good_sets_the_instance_aside_once_the_others_ended(store: Store) -> None:
    sequence = store.accept(received()).sequence
    store.assessed(sequence, NEGATIVE, [object_for("one"), object_for("two")])
    one, two = store.deliveries(sequence)
    store.delivery_moved(one.id, DeliveryState.REJECTED, error="0xA900")
    assert _state(store, sequence) == State.SENDING
    store.delivery_moved(two.id, DeliveryState.STORED)
    instance = store.instance(sequence)
    assert instance is not None
    assert (instance.state, instance.reason_code) == (State.QUARANTINED, "delivery_rejected")


def test_only_what_is_in_quarantine_can_be_tried_again_and_then_from_the_beginning(store: Store) -> None:
    sequence = store.accept(received()).sequence
    assert not store.requeue(sequence)
    store.assessed(sequence, NEGATIVE, [object_for("one")])
    store.quarantine(sequence, "internal", "ValueError")
    assert store.requeue(sequence)
    assert store.deliveries(sequence) == []
    taken = store.next_to_assess()
    assert taken is not None
    assert (taken.sequence, taken.attempts, taken.reason_code) == (sequence, 1, None)


def test_what_waits_for_a_destination_that_is_none_any_more_is_found(store: Store) -> None:
    sequence = store.accept(received()).sequence
    store.assessed(sequence, NEGATIVE, [object_for("one"), object_for("two")])
    assert [each.destination for each in store.forsaken(["two"])] == ["one"]
    assert [each.destination for each in store.forsaken([])] == ["one", "two"]
    assert store.forsaken(["one", "two"]) == []


def test_files_may_go_only_of_what_ended_and_is_not_in_quarantine(store: Store) -> None:
    done, waits, aside = (store.accept(received(digit * 64, f"2.25.{n}")).sequence for n, digit in enumerate("abc", 1))
    store.assessed(done, NEGATIVE, [])
    store.quarantine(aside, "internal", "why")
    assert [each.sequence for each in store.purgeable("9999", 10)] == [done]
    assert store.purgeable("1970", 10) == []
    store.purged(done)
    assert store.purgeable("9999", 10) == []
    assert not store.knows_file(Path(received("a" * 64).path))
    assert store.knows_file(Path(received("b" * 64).path))
    assert waits == 2


def test_the_page_goes_on_from_a_number_and_counts_name_every_state(store: Store) -> None:
    for digit in "abc":
        store.accept(received(digit * 64, f"2.25.{ord(digit)}"))
    store.assessed(2, NEGATIVE, [])
    assert [each.sequence for each in store.page(limit=2)] == [3, 2]
    assert [each.sequence for each in store.page(limit=2, before=2)] == [1]
    assert [each.sequence for each in store.page(limit=9, state=State.DELIVERED)] == [2]
    assert store.counts() == {
        "received": 2,
        "assessing": 0,
        "sending": 0,
        "delivered": 1,
        "refused": 0,
        "quarantined": 0,
    }
    assert store.waiting() == 2


def test_everything_is_there_after_the_file_was_closed_and_opened(store: Store, tmp_path: Path) -> None:
    store.accept(received())
    store.checkpoint()
    store.close()
    again = Store(tmp_path / "queue.sqlite")
    assert again.counts()["received"] == 1
    assert again._rows("PRAGMA user_version")[0][0] == len(MIGRATIONS)


def test_an_older_queue_is_brought_up_to_date_with_what_is_in_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.accept(received())
    store.close()
    later = (*MIGRATIONS, "ALTER TABLE instance ADD COLUMN later TEXT;")
    monkeypatch.setattr(store_module, "MIGRATIONS", later)
    monkeypatch.setattr(store_module, "Instance", dict)
    migrated = Store(tmp_path / "queue.sqlite")
    assert migrated._rows("SELECT sha256, later FROM instance")[0][:] == ("a" * 64, None)
    migrated.close()
    monkeypatch.setattr(store_module, "MIGRATIONS", MIGRATIONS)
    with pytest.raises(StorageFailed, match="version 2"):
        Store(tmp_path / "queue.sqlite")


def test_a_damaged_queue_is_refused(store: Store, tmp_path: Path) -> None:
    for n in range(200):
        store.accept(received(f"{n:064x}", f"2.25.{n + 1}"))
    store.checkpoint()
    store.close()
    file = tmp_path / "queue.sqlite"
    content = bytearray(file.read_bytes())
    content[5000:9000] = b"\xff" * 4000
    file.write_bytes(content)
    with pytest.raises(StorageFailed):
        Store(file)


def test_a_full_disk_leaves_the_queue_as_it_was(store: Store) -> None:
    store.accept(received())
    pages = store._rows("PRAGMA page_count")[0][0]
    store._rows(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for n in range(500):
            store.accept(received(f"{n:064x}", f"2.25.{n + 1}"))

    with pytest.raises(DiskFull):
        fill()
    before = sum(store.counts().values())
    store._rows("PRAGMA max_page_count = 100000")
    store.accept(received("f" * 64, "2.25.99999"))
    assert sum(store.counts().values()) == before + 1


def test_an_error_of_the_disk_is_told_as_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        in_transaction = False

        def execute(self, *_: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(store, "_connection", Broken())
    with pytest.raises(StorageFailed, match="disk I/O error"):
        store.accept(received())


def _state(store: Store, sequence: int) -> str:
    instance = store.instance(sequence)
    assert instance is not None
    return instance.state
