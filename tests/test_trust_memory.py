"""The memory of sequences: no way back, no silent beginning anew, no loss."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_sacro.bundle import Examination, load_bundle
from edge_sacro.bundle_files import write_atomically
from edge_sacro.errors import (
    BundleError,
    BundleRolledBack,
    EdgeSacroError,
    OutputNotWritten,
)
from edge_sacro.trust import Trust, trust_from_files
from tests.signed import as_zip, refusal_of, signed, write_keys
from tests.tiny import write_bundle


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def folder(tmp_path: Path, keys: Path) -> Path:
    """The tiny bundle, sequence 5, signed by the maker."""
    return signed(write_bundle(tmp_path / "tiny", sequence=5), keys / "maker")


@pytest.fixture
def trust(tmp_path: Path, keys: Path) -> Trust:
    return trust_from_files([keys / "maker.pub"], tmp_path / "state" / "sequences.json")


def _release(folder: Path, keys: Path, sequence: int) -> Path:
    return signed(write_bundle(folder / str(sequence), sequence=sequence), keys / "maker")


def test_a_lower_sequence_than_was_taken_is_refused_and_an_equal_or_higher_one_is_not(
    tmp_path: Path, keys: Path, trust: Trust
) -> None:
    third, fourth, second = (_release(tmp_path, keys, number) for number in (3, 4, 2))
    for release in (third, third, fourth, fourth):
        assert load_bundle(release, trust).signed_by
    for old in (third, second, as_zip(second)):
        refusal = refusal_of(old, trust)
        assert isinstance(refusal, BundleRolledBack)
        assert "4 was taken here" in str(refusal)
        assert "manifest.json" in str(refusal)
    assert load_bundle(third, Trust(trust.keys, None)).signed_by, "control: without the memory it passes"


def test_each_bundle_has_a_sequence_of_its_own(tmp_path: Path, keys: Path, trust: Trust) -> None:
    load_bundle(_release(tmp_path, keys, 9), trust)
    other = signed(write_bundle(tmp_path / "other", name="second", sequence=1), keys / "maker")
    assert load_bundle(other, trust).manifest.sequence == 1
    assert trust.state is not None
    assert json.loads(trust.state.read_text())["sequences"] == {"dorfner2024/tiny": 9, "dorfner2024/second": 1}


@pytest.mark.parametrize("file", ["signature.json", "segmenter.onnx", "manifest.json"])
def test_a_refused_bundle_leaves_no_memory(file: str, folder: Path, trust: Trust) -> None:
    (folder / file).unlink()
    refusal_of(folder, trust)
    assert trust.state is not None
    assert not trust.state.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"null", b"[]",
        b'{"sequences": {"dorfner2024/tiny": -1}}', b'{"sequences": {"dorfner2024/tiny": "5"}}',
        b'{"schema_version": 2, "sequences": {}}', b'{"sequences": {}, "more": 1}', b" " * ((1 << 20) + 1),
    ],
)  # fmt: skip
def test_a_damaged_memory_is_refused_and_left_as_it_is(content: bytes, folder: Path, trust: Trust) -> None:
    assert trust.state is not None
    trust.state.parent.mkdir()
    trust.state.write_bytes(content)
    refusal = refusal_of(folder, trust)
    assert isinstance(refusal, BundleError)
    assert refusal.source == str(trust.state)
    assert "Restore the file" in refusal.remedy
    assert trust.state.read_bytes() == content


def test_a_memory_that_cannot_be_written_refuses_the_bundle(folder: Path, tmp_path: Path, trust: Trust) -> None:
    (tmp_path / "file").write_text("")
    refusal = refusal_of(folder, Trust(trust.keys, tmp_path / "file" / "sequences.json"))
    assert isinstance(refusal, EdgeSacroError)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "sequences.json.lock").mkdir()
    assert isinstance(refusal_of(folder, trust), OutputNotWritten)


def test_the_memory_is_not_written_again_where_it_knows_the_sequence(folder: Path, trust: Trust) -> None:
    assert trust.state is not None
    load_bundle(folder, trust)
    before = trust.state.stat()
    load_bundle(folder, trust)
    after = trust.state.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert before.st_mode & 0o777 == 0o600


def test_bundles_taken_at_the_same_time_are_all_remembered(folder: Path, trust: Trust) -> None:
    manifest = load_bundle(folder).manifest
    many = [manifest.model_copy(update={"name": f"b{number}", "sequence": number}) for number in range(1, 41)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: trust.remember(each, "memory"), many))
    assert trust.state is not None
    known = json.loads(trust.state.read_text())["sequences"]
    assert known == {f"dorfner2024/b{number}": number for number in range(1, 41)}


def test_a_crash_while_writing_leaves_the_file_that_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "memory"
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    write_atomically(path, b"before")
    assert len(synced) == 2, "the file, and the folder that names it"

    def crash(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(OutputNotWritten, match="No space left"):
        write_atomically(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path], "no temporary file stays"


@pytest.mark.parametrize("file", ["signature.json", "segmenter.onnx"])
def test_a_refused_bundle_that_is_examined_to_the_end_leaves_no_memory_either(
    file: str, folder: Path, trust: Trust
) -> None:
    """Else whoever can hand in a bundle could shut out every later one by a high sequence."""
    assert trust.state is not None
    content = (folder / file).read_bytes()
    (folder / file).unlink()
    examination = Examination(folder, trust)
    assert [check.name for check in examination.checks() if check.error is not None] == [file]
    assert examination.bundle is None
    assert not trust.state.exists()
    (folder / file).write_bytes(content)
    list(Examination(folder, trust).checks())
    assert trust.state.exists(), "control: the mended bundle is remembered"
