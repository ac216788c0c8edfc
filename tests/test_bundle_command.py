"""``edge-sacro bundle`` as a maker, a site and an auditor type it."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_sacro.bundle import load_bundle
from edge_sacro.cli import main
from edge_sacro.commands.bundle import PASSPHRASE
from tests.signed import as_zip, flipped, signed, write_keys
from tests.tiny import write_bundle, write_dicom


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_keys(tmp_path_factory.mktemp("keys"))


def _run(*arguments: str | Path, code: int = 0, **environment: str) -> Result:
    done = CliRunner(env=environment).invoke(main, [str(each) for each in arguments])
    assert done.exit_code == code, done.output
    return done


def test_packing_gives_the_same_bytes_at_any_time_from_folder_and_zip(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "tiny")
    _run("bundle", "pack", folder, "--out", tmp_path / "a.zip")
    for file in folder.iterdir():
        os.utime(file, (1, 1))
        file.chmod(0o600)
    _run("bundle", "pack", folder, "--out", tmp_path / "b.zip")
    _run("bundle", "pack", tmp_path / "a.zip", "--out", tmp_path / "c.zip")
    packed = {(tmp_path / name).read_bytes() for name in ("a.zip", "b.zip", "c.zip")}
    assert len(packed) == 1
    assert load_bundle(tmp_path / "a.zip").fingerprint == load_bundle(folder).fingerprint
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["classifier.onnx", "manifest.json", "segmenter.onnx"]
        assert archive.testzip() is None


def test_a_broken_bundle_is_not_packed(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "tiny")
    (folder / "notes.txt").write_text("?")
    assert "notes.txt" in _run("bundle", "pack", folder, "--out", tmp_path / "a.zip", code=33).stderr
    assert not (tmp_path / "a.zip").exists()


def test_a_higher_sequence_is_a_new_manifest_that_has_to_be_signed_again(tmp_path: Path, keys: Path) -> None:
    folder = signed(write_bundle(tmp_path / "tiny", sequence=2), keys / "maker")
    done = _run("bundle", "pack", folder, "--sequence", "3", "--out", tmp_path / "a.zip")
    assert "Sign the bundle again" in done.stderr
    bundle = load_bundle(tmp_path / "a.zip")
    assert (bundle.manifest.sequence, bundle.signature) == (3, None)
    assert bundle.fingerprint != load_bundle(folder).fingerprint
    assert "not higher" in _run("bundle", "pack", folder, "--sequence", "2", "--out", tmp_path / "b.zip", code=2).stderr
    _run("bundle", "pack", folder, "--out", tmp_path / "c.zip")
    assert load_bundle(tmp_path / "c.zip").signature == load_bundle(folder).signature, "control: kept where it holds"


def test_keygen_writes_a_private_key_for_its_owner_and_never_over_another(tmp_path: Path) -> None:
    done = _run("bundle", "keygen", "--out", tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert "not encrypted" in done.stdout
    assert "PUBLIC KEY" in (tmp_path / "key.pub").read_text()
    before = (tmp_path / "key").read_bytes()
    assert "never written over" in _run("bundle", "keygen", "--out", tmp_path / "key", code=2).stderr
    (tmp_path / "key").unlink()
    assert "key.pub" in _run("bundle", "keygen", "--out", tmp_path / "key", code=2).stderr
    assert before not in (tmp_path / "key.pub").read_bytes()


def test_an_encrypted_key_needs_its_passphrase(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "tiny")
    right, wrong, empty = ({PASSPHRASE: word} for word in ("right", "wrong", ""))
    _run("bundle", "keygen", "--out", tmp_path / "key", **right)
    assert b"ENCRYPTED" in (tmp_path / "key").read_bytes()
    sign = ("bundle", "sign", folder, "--key", tmp_path / "key")
    assert "cannot be read" in _run(*sign, code=2, **wrong).stderr
    assert not (folder / "signature.json").exists()
    _run(*sign, **right)
    asked = CliRunner().invoke(main, [str(each) for each in sign], input="right\n")
    assert asked.exit_code == 0
    assert "right" not in asked.output
    refused = _run("bundle", "keygen", "--out", tmp_path / "other", code=2, **empty)
    assert "protects nothing" in refused.stderr
    typed = CliRunner().invoke(
        main, ["bundle", "keygen", "--encrypt", "--out", str(tmp_path / "typed")], input="word\nword\n"
    )
    assert typed.exit_code == 0
    assert b"ENCRYPTED" in (tmp_path / "typed").read_bytes()


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_signing_twice_changes_nothing_and_another_key_takes_the_place(form: str, tmp_path: Path, keys: Path) -> None:
    folder = write_bundle(tmp_path / "tiny")
    path = folder if form == "folder" else as_zip(folder)
    written = folder / "signature.json" if form == "folder" else path
    _run("bundle", "sign", path, "--key", keys / "maker")
    once = written.read_bytes()
    _run("bundle", "sign", path, "--key", keys / "maker")
    assert written.read_bytes() == once
    assert "is replaced" in _run("bundle", "sign", path, "--key", keys / "other").stderr
    assert written.read_bytes() != once
    _run("bundle", "verify", path, "--trust", keys / "other.pub", "--state", tmp_path / "state.json")


def test_the_installed_bundle_is_never_signed_in_place(keys: Path) -> None:
    assert "Pack it" in _run("bundle", "sign", "demonstration", "--key", keys / "maker", code=2).stderr


def test_verify_lists_every_check_and_ends_with_the_first_failures_code(tmp_path: Path, keys: Path) -> None:
    folder = signed(write_bundle(tmp_path / "tiny", sequence=1), keys / "maker")
    pin = ("--trust", keys / "maker.pub", "--state", tmp_path / "state.json")
    done = _run("bundle", "verify", folder, *pin)
    for name in ("container", "signature.json", "manifest.json", "classifier.onnx", "segmenter.onnx", "sequence"):
        assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith(name)] == ["passed"]
    assert "intact, and of a pinned key" in done.stdout
    assert load_bundle(folder).fingerprint in done.stdout

    model = folder / "classifier.onnx"
    model.write_bytes(flipped(model.read_bytes(), 100))
    (folder / "more.txt").write_text("")
    done = _run("bundle", "verify", folder, *pin, code=33)
    verdicts = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()[1:7]}
    assert verdicts["classifier.onnx"] == verdicts["more.txt"] == "FAILED"
    assert verdicts["segmenter.onnx"] == verdicts["signature.json"] == "passed"
    assert "REFUSED, 2 checks failed" in done.stdout
    assert "classifier.onnx" in done.stderr
    (folder / "signature.json").unlink()
    _run("bundle", "verify", folder, *pin, code=35)
    _run("bundle", "verify", tmp_path / "nowhere", *pin, code=31)


def test_verify_without_a_pinned_key_does_not_say_that_the_signature_passed(tmp_path: Path, keys: Path) -> None:
    folder = signed(write_bundle(tmp_path / "tiny"), keys / "maker")
    done = _run("bundle", "verify", folder)
    assert "signature.json   not checked" in done.stdout
    assert "whose it is was not verified" in done.stdout


def test_verify_remembers_and_refuses_a_lower_sequence(tmp_path: Path, keys: Path) -> None:
    new = signed(write_bundle(tmp_path / "new", sequence=7), keys / "maker")
    old = signed(write_bundle(tmp_path / "old", sequence=6), keys / "maker")
    pin = {"EDGE_SACRO_TRUST": str(keys / "maker.pub"), "XDG_STATE_HOME": str(tmp_path / "home")}
    _run("bundle", "verify", old, **pin)
    _run("bundle", "verify", new, **pin)
    assert "7 was taken here" in _run("bundle", "verify", old, code=36, **pin).stderr
    assert (tmp_path / "home" / "edge-sacro" / "sequences.json").is_file()


def test_show_tells_what_a_reader_needs(tmp_path: Path, keys: Path) -> None:
    folder = signed(write_bundle(tmp_path / "tiny"), keys / "maker")
    bundle = load_bundle(folder)
    text = _run("bundle", "show", folder).stdout
    for part in (
        "tiny 1", "not for clinical use", "dorfner2024, corrected", "Apache-2.0", "segmenter.onnx", "fp32 (default)",
        "1x1x32x48", "0.59", "accuracy (default)", "Dorfner 2024", "none measured", bundle.fingerprint, "not verified",
    ):  # fmt: skip
        assert part in text
    document = json.loads(_run("bundle", "show", folder, "--json").stdout)
    assert document["fingerprint"] == bundle.fingerprint
    assert document["manifest"] == bundle.manifest.model_dump(mode="json")
    assert document["sizes"]["classifier.onnx"] == (folder / "classifier.onnx").stat().st_size
    assert bundle.signature is not None
    assert document["signature"]["key_id"] == bundle.signature.key_id


def test_infer_takes_only_a_bundle_of_a_pinned_key_and_the_report_names_it(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = signed(write_bundle(tmp_path / "tiny", sequence=1), keys / "maker")
    image = write_dicom(tmp_path / "a.dcm")
    command = ("infer", "--threads", "1", "--json", image, "--bundle")
    signature = load_bundle(folder).signature
    assert signature is not None
    assert json.loads(_run(*command, folder).stdout)["bundle"]["signed_by"] is None
    assert "no key is pinned" in _run(*command, folder, "--state", tmp_path / "state.json", code=2).stderr
    monkeypatch.setenv("EDGE_SACRO_STATE", str(tmp_path / "state.json"))
    document = json.loads(_run(*command, folder, "--trust", keys / "maker.pub").stdout)
    assert document["bundle"]["signed_by"] == signature.key_id
    _run(*command, folder, "--trust", keys / "other.pub", code=35)
    _run(*command, "demonstration", "--trust", keys / "maker.pub", code=35)
    _run(*command, folder, code=35, EDGE_SACRO_TRUST=str(keys / "other.pub"))
    _run(*command, folder, EDGE_SACRO_TRUST=os.pathsep.join(str(keys / f"{name}.pub") for name in ("other", "maker")))
    _run(*command, folder, "--trust", keys / "absent.pub", code=2)
    shutil.copytree(folder, tmp_path / "later")
    later = signed(write_bundle(tmp_path / "later", sequence=2), keys / "maker")
    _run(*command, later, "--trust", keys / "maker.pub")
    _run(*command, folder, "--trust", keys / "maker.pub", code=36)
