"""What the ledger keeps of an answer, and what it must not; that its lines stay; the command that shows them."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_sacro.cli import main
from edge_sacro.errors import InputNotFound, OutputNotWritten, UsageError
from edge_sacro.ledger.book import Book
from edge_sacro.ledger.entry import drawn_for_shadow, entry_from_result
from edge_sacro.ledger.keep import Keeper
from edge_sacro.runtime import Runtime
from tests.ledger.test_trend import drawn
from tests.tiny import write_bundle, write_dicom

PRIVATE = {
    "PatientName": "Quillfeather^Ottoline",
    "PatientID": "PID-7781-XK",
    "AccessionNumber": "ACC-55120",
    "StudyInstanceUID": "2.25.777000111222333",
    "SOPInstanceUID": "2.25.888000111222333",
    "StationName": "ROOM-SEVEN",
    "Manufacturer": "Quantum Rays",
    "DeviceSerialNumber": "SN-99-ABC",
    "InstitutionName": "Northwick Infirmary",
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_bundle(tmp_path_factory.mktemp("bundle") / "tiny"))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    attributes = {**PRIVATE, "KVP": "77", "ExposureIndex": "412.5", "DeviationIndex": "-1.2"}
    return write_dicom(tmp_path / "Quillfeather.dcm", **attributes)


def test_a_line_holds_numbers_and_no_word_of_the_patient(bundle: str, study: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with Runtime(bundle) as runtime, Keeper(ledger, runtime) as keeper:
        result, radiograph = runtime.infer_with_radiograph(study)
        keeper.keep(result, radiograph, study)
    book = Book(ledger)
    (entry,) = book.entries()
    book.close()
    assert (entry.probability, entry.state, entry.bundle) == (
        result.probability,
        result.state.value,
        runtime.bundle.fingerprint,
    )
    assert (entry.kvp, entry.exposure_index, entry.deviation_index) == (77.0, 412.5, -1.2)
    assert entry.left_mm is not None
    assert 0 < (entry.crop_part or 0) < 1
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.sqlite*"))
    for told in (*PRIVATE.values(), "Quillfeather", str(study), result.source.sha256 or ""):
        for text in (told, told.upper()):
            assert text.encode() not in kept, told
    assert entry.equipment is not None
    assert entry.equipment.encode() in kept, "the search finds what is there"


def test_two_ledgers_call_the_same_equipment_differently(bundle: str, study: Path) -> None:
    with Runtime(bundle) as runtime:
        result, radiograph = runtime.infer_with_radiograph(study)
    names = {entry_from_result(result, radiograph, "f", key).equipment for key in (b"a", b"a", b"b")}
    assert len(names) == 2


def test_a_refused_file_is_a_line_too(bundle: str, tmp_path: Path) -> None:
    file = tmp_path / "no.dcm"
    file.write_bytes(b"no DICOM")
    with Runtime(bundle) as runtime, Keeper(tmp_path / "l.sqlite", runtime) as keeper:
        keeper.keep(*runtime.infer_with_radiograph(file), file)
    book = Book(tmp_path / "l.sqlite")
    (entry,) = book.entries()
    assert (entry.state, entry.reason_code, entry.probability, entry.gray_middle) == (
        "refused",
        "not_dicom",
        None,
        None,
    )


def test_lines_are_neither_changed_nor_removed(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    book = Book(path)
    import numpy as np

    for entry in drawn(np.random.default_rng(0), 3):
        book.add(entry)
    book.close()
    connection = sqlite3.connect(path)
    for statement in ("UPDATE entry SET probability = 0", "DELETE FROM entry"):
        with pytest.raises(sqlite3.IntegrityError, match="lines are never"):
            connection.execute(statement)
    connection.close()


def test_several_threads_and_processes_add_to_one_ledger(tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "l.sqlite"
    entries = drawn(np.random.default_rng(0), 20)
    books = [Book(path), Book(path)]
    threads = [threading.Thread(target=lambda book=book: [book.add(each) for each in entries]) for book in books * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(books[0].entries()) == 80
    assert books[0].key == books[1].key


def test_what_is_no_ledger_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound):
        Book(tmp_path / "absent", create=False)
    text = tmp_path / "text"
    text.write_text("no database at all, but long enough to look like one" * 30)
    with pytest.raises(OutputNotWritten, match="Name a ledger"):
        Book(text)
    assert text.read_text().startswith("no database"), "it was left as it is"
    path = tmp_path / "later.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(OutputNotWritten, match="version 9"):
        Book(path)


def test_images_are_drawn_by_their_bytes_in_the_part_that_was_asked_for() -> None:
    import hashlib

    hashes = [hashlib.sha256(str(k).encode()).hexdigest() for k in range(2000)]
    found = [each for each in hashes if drawn_for_shadow(each, 0.1)]
    assert 150 < len(found) < 250
    assert found == [each for each in hashes if drawn_for_shadow(each, 0.1)]
    assert not any(drawn_for_shadow(each, 0.0) for each in hashes)
    assert all(drawn_for_shadow(each, 1.0) for each in hashes)


def test_a_shadow_of_fp32_by_fp32_is_refused(bundle: str, tmp_path: Path) -> None:
    with Runtime(bundle) as served, Runtime(bundle) as beside, pytest.raises(UsageError, match="fp32 beside"):
        Keeper(tmp_path / "l.sqlite", served, beside, 0.5)
    file = str(write_dicom(tmp_path / "a.dcm"))
    for options in (["--shadow", "0.5"], ["--shadow", "0.5", "--ledger", str(tmp_path / "l.sqlite")]):
        assert CliRunner().invoke(main, ["infer", "--bundle", bundle, *options, file]).exit_code == 2


@pytest.mark.heavy
def test_int8_of_the_demonstration_is_compared_with_its_fp32(tmp_path: Path) -> None:
    run = CliRunner().invoke(main, ["phantom", "--out", str(tmp_path / "p"), "--count", "3", "--left-grade", "2"])
    assert run.exit_code == 0
    ledger = str(tmp_path / "l.sqlite")
    options = ["--precision", "int8", "--ledger", ledger, "--shadow", "1"]
    assert CliRunner().invoke(main, ["infer", *options, str(tmp_path / "p")]).exit_code == 0
    book = Book(Path(ledger))
    entries = book.entries()
    book.close()
    distances = [abs((entry.shadow or 0) - (entry.probability or 0)) for entry in entries]
    assert [entry.precision for entry in entries] == ["int8"] * 3
    assert 0 < max(distances) < 0.05


def test_the_command_shows_the_state_and_ends_with_three_where_something_changed(tmp_path: Path) -> None:
    import dataclasses

    import numpy as np

    path, random = tmp_path / "l.sqlite", np.random.default_rng(3)
    book = Book(path)
    for entry in drawn(random, 300):
        book.add(entry)
    quiet = CliRunner().invoke(main, ["ledger", str(path)])
    assert (quiet.exit_code, "Nothing changed" in quiet.output) == (0, True)
    for entry in drawn(random, 100, lambda each: dataclasses.replace(each, gray_middle=30.0)):
        book.add(entry)
    book.close()
    page, table = tmp_path / "l.html", tmp_path / "l.csv"
    changed = CliRunner().invoke(main, ["ledger", str(path), "--json", "--html", str(page), "--csv", str(table)])
    assert changed.exit_code == 3
    (warning,) = json.loads(changed.output)["warnings"]
    assert warning.startswith("gray, median")
    assert "Something changed" in page.read_text()
    assert "<svg" in page.read_text()
    assert "http" not in page.read_text().replace("http://www.w3.org/2000/svg", "")
    assert len(table.read_text().splitlines()) == 401
    assert CliRunner().invoke(main, ["ledger", str(tmp_path / "absent")]).exit_code == 11


def test_a_node_keeps_a_ledger_of_its_answers(bundle: str, tmp_path: Path) -> None:
    pytest.importorskip("pynetdicom", reason="the extra serve is not installed")
    from edge_sacro.node.config import NodeConfig
    from edge_sacro.node.serve import Node

    config = NodeConfig.model_validate(
        {
            "folder": tmp_path / "node",
            "assessment": {"bundle": bundle},
            "dicom": {"port": 0},
            "http": {"enabled": False},
        }
    )
    file = write_dicom(tmp_path / "a.dcm", **PRIVATE)
    node = Node(config)
    try:
        node.start()
        with node.intake.part() as part:
            part.write(file.read_bytes())
            node.intake.take(part, via="http", peer="test")
        ends = time.monotonic() + 20
        while node.store.waiting() and time.monotonic() < ends:
            time.sleep(0.05)
    finally:
        node.stop()
    book = Book(tmp_path / "node" / "ledger.sqlite")
    assert [entry.bundle for entry in book.entries()] == [node.store.bundle], "one line, and none of the proof's image"
    book.close()


def test_a_line_that_cannot_be_written_holds_up_no_answer(bundle: str, tmp_path: Path) -> None:
    pytest.importorskip("pynetdicom", reason="the extra serve is not installed")
    from edge_sacro.node.serve import Node

    told: list[str] = []

    class Told:
        journal = type("", (), {"event": staticmethod(lambda name, **fields: told.append(f"{name} {fields['error']}"))})

    with Runtime(bundle) as runtime:
        keeper = Keeper(tmp_path / "l.sqlite", runtime)
        assessed = next(runtime.assess_each(write_dicom(tmp_path / "a.dcm")))
        connection = sqlite3.connect(tmp_path / "l.sqlite")
        connection.execute("DROP TABLE entry")
        connection.close()
        Node._write_ledger(Told, keeper, assessed, b"")  # type: ignore[arg-type]
        keeper.close()
    assert told == ["ledger_failed output_not_written"]


def test_a_node_whose_shadow_has_nothing_to_compare_does_not_start(bundle: str, tmp_path: Path) -> None:
    from edge_sacro.node.config import NodeConfig
    from edge_sacro.node.opening import open_keeper

    fields = {"folder": tmp_path, "assessment": {"bundle": bundle}, "ledger": {"shadow": 0.5}}
    with Runtime(bundle) as runtime, pytest.raises(UsageError, match="nothing to compare"):
        open_keeper(NodeConfig.model_validate(fields), runtime)
