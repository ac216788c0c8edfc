"""The log: one JSON line an event; it never stops the node, and can be moved away."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from edge_sacro.errors import OutputNotWritten
from edge_sacro.node.alerts import AlertingJournal
from edge_sacro.node.audit import AuditTrail
from edge_sacro.node.audit_check import records_from_file
from edge_sacro.node.journal import Journal


def test_each_event_is_one_line_of_json(tmp_path: Path) -> None:
    stream = io.StringIO()
    Journal(stream).event("received", instance=7, note="two\nlines, \N{LATIN SMALL LETTER U WITH DIAERESIS}")
    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    told = json.loads(line)
    assert (told["event"], told["instance"]) == ("received", 7)
    assert told["note"] == "two\nlines, \N{LATIN SMALL LETTER U WITH DIAERESIS}"


def test_a_file_is_appended_to_and_private(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    for _ in range(2):
        journal = Journal(path=path)
        journal.event("opened")
        journal.close()
    assert len(path.read_text().splitlines()) == 2
    assert path.stat().st_mode & 0o077 == 0


def test_after_logrotate_has_moved_the_file_away_a_new_one_is_begun(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    journal = Journal(path=path)
    journal.event("before")
    path.rename(tmp_path / "node.log.1")
    journal.event("between")
    journal.reopen()
    journal.event("after")
    journal.close()
    assert [json.loads(each)["event"] for each in path.read_text().splitlines()] == ["after"]
    old = (tmp_path / "node.log.1").read_text().splitlines()
    assert [json.loads(each)["event"] for each in old] == ["before", "between"]


def test_lines_that_cannot_be_written_are_counted_and_the_next_one_says_so() -> None:
    class Full(io.StringIO):
        full = False

        def write(self, text: str) -> int:
            if self.full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    stream = Full()
    journal = Journal(stream)
    stream.full = True
    journal.event("one")
    journal.event("two")
    assert journal.lost == 2
    stream.full = False
    journal.event("three")
    journal.event("four")
    told = [json.loads(each) for each in stream.getvalue().splitlines()]
    assert [each.get("lines_lost_before") for each in told] == [2, None]


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self").exists(), reason="needs /proc to name a bad place")
def test_a_log_that_cannot_be_opened_is_refused_at_the_start() -> None:
    with pytest.raises(OutputNotWritten):
        Journal(path=Path("/proc/self/no-such-folder/node.log"))


def test_what_a_peer_was_kept_from_stands_in_the_audit_trail_too(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path / "audit.jsonl", tmp_path / "audit.key")
    journal = AlertingJournal(io.StringIO())
    journal.trail = trail
    journal.event("received", instance=1)
    journal.event("peer_cut", kind="long_pdu", address="192.0.2.7", times=3)
    trail.close()
    (record,) = records_from_file(tmp_path / "audit.jsonl")
    assert (record["event"], record["alert"], record["address"]) == ("alert", "peer_cut", "192.0.2.7")
