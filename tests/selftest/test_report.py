"""The report: canonical JSON, signed by the site's key, one page for the file, and the command's exit codes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_sacro.benchmark.order import Order
from edge_sacro.cli import main
from edge_sacro.errors import BundleNotTrusted, EdgeSacroError, SelftestFailed, UsageError
from edge_sacro.selftest.document import SelftestReport, report_from_file, verify_report
from edge_sacro.selftest.golden import GOLDEN_NAME, Golden, json_from_golden
from edge_sacro.selftest.html import html_from_report
from edge_sacro.trust import trust_from_files
from tests.signed import signed, write_keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the key pairs ``maker``, the site's here, and ``other``."""
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def out(order: Order, recorded: tuple[Golden, Path], keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a signed report."""
    folder = tmp_path_factory.mktemp("out")
    done = _run(order, recorded[1], "--out", str(folder), "--key", str(keys / "maker"))
    assert done.exit_code == 0, done.output
    return folder


def _run(order: Order, golden: Path, *more: str) -> Result:
    """Without rounds: the tiny networks' time is too short to be steady on a busy machine."""
    command = ["selftest", "--bundle", order.bundle, "--threads", "1", "--golden", str(golden), "--rounds", "0", *more]
    return CliRunner().invoke(main, command)


def _verified(path: Path, key: Path) -> SelftestReport:
    return verify_report(path, trust_from_files([key], None).keys)


def test_the_report_is_canonical_and_whole(out: Path) -> None:
    report, text = report_from_file(out / "report.json")
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=2, ensure_ascii=False).encode() + b"\n"
    assert report.passed
    assert report.measured is not None
    assert report.measured.largest_deviation == 0
    assert report.measured.largest_box_px == 0


def test_a_signed_report_is_verified(out: Path, keys: Path) -> None:
    assert _verified(out / "report.json", keys / "maker.pub").passed
    told = CliRunner().invoke(
        main, ["selftest", "--verify", str(out / "report.json"), "--trust", str(keys / "maker.pub")]
    )
    assert told.exit_code == 0
    assert "signed" in told.output


def _other_digit(signature: bytes) -> bytes:
    """The signature with another first digit."""
    document = json.loads(signature)
    first, rest = document["signature"][0], document["signature"][1:]
    changed = {**document, "signature": ("1" if first == "0" else "0") + rest}
    return json.dumps(changed, sort_keys=True, indent=2).encode() + b"\n"


def test_a_report_that_was_changed_is_refused(out: Path, keys: Path, tmp_path: Path) -> None:
    text, signature = ((out / name).read_bytes() for name in ("report.json", "report.json.sig"))
    changed = text.replace(b'"passed": true', b'"passed":  true')
    assert changed != text
    spoilt: list[tuple[bytes, bytes | None, str, type[EdgeSacroError]]] = [
        (changed, signature, "maker", SelftestFailed),
        (text, signature, "other", SelftestFailed),
        (text, None, "maker", SelftestFailed),
        (text, _other_digit(signature), "maker", SelftestFailed),
        (text, signature[:-1], "maker", BundleNotTrusted),
        (b"{}", signature, "maker", UsageError),
    ]
    for content, written, key, error in spoilt:
        (tmp_path / "report.json").write_bytes(content)
        (tmp_path / "report.json.sig").unlink(missing_ok=True)
        if written is not None:
            (tmp_path / "report.json.sig").write_bytes(written)
        with pytest.raises(error):
            _verified(tmp_path / "report.json", keys / f"{key}.pub")


def test_the_page_shows_every_check_and_loads_nothing(out: Path) -> None:
    report, _ = report_from_file(out / "report.json")
    page = (out / "report.html").read_text()
    assert all(check.name in page for check in report.checks)
    assert "not for clinical use" in page
    assert not re.search(r"<(script|link|iframe|img)|https?://|url\(", page)


def test_the_page_escapes_what_it_shows(out: Path) -> None:
    report, _ = report_from_file(out / "report.json")
    evil = report.checks[0].model_copy(update={"found": "<script>alert(1)</script>", "name": "<b>"})
    page = html_from_report(report.model_copy(update={"checks": [evil], "release": "<i>"}), None)
    assert "<script>" not in page
    assert "<b>" not in page
    assert "<i>" not in page


def test_a_failed_check_is_an_exit_code_and_stands_on_the_page(
    order: Order, golden: Golden, folder: Path, tmp_path: Path
) -> None:
    study = golden.studies[0].model_copy(update={"state": "borderline"})
    (tmp_path / GOLDEN_NAME).write_text(json_from_golden(golden.model_copy(update={"studies": [study]})))
    (tmp_path / "pelvis.dcm").write_bytes((folder / "pelvis.dcm").read_bytes())
    done = _run(order, tmp_path, "--out", str(tmp_path / "out"))
    assert done.exit_code == SelftestFailed.exit_code
    assert "selftest FAILED: 1 checks" in done.output
    assert "FAILED" in (tmp_path / "out" / "report.html").read_text()
    assert not (tmp_path / "out" / "report.json.sig").exists()


def test_the_text_says_that_it_is_a_demonstration(order: Order, folder: Path) -> None:
    assert _run(order, folder).output.startswith("Test bundle, not for clinical use.\n")


def test_a_node_s_configuration_says_what_is_checked(order: Order, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(
        f'folder = "{tmp_path}"\n[assessment]\nbundle = "{order.bundle}"\nthreads = 1\n[limits]\ndisk_reserve_mb = 1\n'
    )
    command = ["selftest", "--config", str(tmp_path / "node.toml"), "--golden", str(folder), "--rounds", "0"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "257 MB or more: 1 kept for results" in done.output
    assert CliRunner().invoke(main, [*command, "--bundle", order.bundle]).exit_code == UsageError.exit_code


def test_answers_are_recorded_at_acceptance_and_hold_afterwards(order: Order, folder: Path, tmp_path: Path) -> None:
    command = ["selftest", "--bundle", order.bundle, "--threads", "1", "--record", str(tmp_path / "accepted")]
    done = CliRunner().invoke(main, [*command, str(folder / "pelvis.dcm")])
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "accepted").iterdir()} == {GOLDEN_NAME, "pelvis.dcm"}
    assert _run(order, tmp_path / "accepted").exit_code == 0


@pytest.mark.parametrize("more", [["study.dcm"], ["--key", "site.key"]])
def test_options_that_cannot_be_meant_are_refused(order: Order, folder: Path, more: list[str]) -> None:
    assert _run(order, folder, *more).exit_code == UsageError.exit_code


def test_a_report_is_verified_with_a_key_alone(out: Path) -> None:
    done = CliRunner().invoke(main, ["selftest", "--verify", str(out / "report.json")])
    assert done.exit_code == UsageError.exit_code


def test_a_signed_bundle_is_verified_and_the_memory_of_sequences_is_not_written(
    order: Order, folder: Path, keys: Path, tmp_path: Path
) -> None:
    """A selftest may run as root, and the node could not read a memory that root wrote."""
    bundle, state = tmp_path / "bundle", tmp_path / "sequences.json"
    shutil.copytree(order.bundle, bundle)
    signed(bundle, keys / "maker")
    (tmp_path / "node.toml").write_text(
        f'folder = "{tmp_path}"\n[assessment]\nbundle = "{bundle}"\ntrust = ["{keys / "maker.pub"}"]\nthreads = 1\n'
    )
    command = ["selftest", "--config", str(tmp_path / "node.toml"), "--golden", str(folder), "--rounds", "0"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "signed by" in done.output
    assert not state.exists()
    state.write_text('{"schema_version": 1, "sequences": {"dorfner2024/tiny": 7}}')
    assert "7 was taken here" in CliRunner().invoke(main, command).output
    (bundle / "signature.json").unlink()
    assert "the bundle is not signed" in CliRunner().invoke(main, command).output
