"""The command as an integrator types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_sacro.benchmark.document import Document, json_from_document
from edge_sacro.benchmark.html import html_from_document
from edge_sacro.cli import main
from tests.benchmark.documents import document
from tests.signed import signed, write_keys
from tests.tiny import write_bundle, write_dicom


def _bench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["bench", *map(str, arguments)])


QUICK = ("--threads", "1", "--runs", "2", "--warmup", "1", "--cold", "0", "--streams", "")


def test_files_are_measured_and_written_as_json_and_as_a_page(bundle: str, image: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.json", tmp_path / "a.html"
    done = _bench(image, "--bundle", bundle, *QUICK, "--json", out[0], "--html", out[1])
    assert done.exit_code == 0, done.output
    found = json.loads(out[0].read_text())
    assert found["setup"]["runs"] == 2
    assert found["inputs"][0]["simulated"] is False
    assert "classify" in done.stdout
    assert "not for clinical use" in done.stdout
    assert "p99 needs 100 runs, and there are 2" in done.stdout
    assert "<svg" in out[1].read_text()


def test_a_phantom_is_drawn_where_no_file_is_given(
    bundle: str, phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def drawn(folder: Path, ct: bool) -> list[Path]:
        asked.append((folder.is_dir(), ct))
        return [phantom]

    monkeypatch.setattr("edge_sacro.benchmark.child.draw_phantom", drawn)
    done = _bench("--bundle", bundle, *QUICK, "--json", tmp_path / "a.json")
    assert done.exit_code == 0, done.output
    (told,) = json.loads((tmp_path / "a.json").read_text())["inputs"]
    assert told["simulated"] is True
    assert told["rows"] * told["columns"] > 2_000_000, "at full size"
    assert asked == [(True, False)]


def test_two_measurements_are_compared_by_the_command(tmp_path: Path) -> None:
    paths = []
    for name, factor in (("a", 1.0), ("b", 2.0)):
        paths.append(tmp_path / f"{name}.json")
        times = [factor * (10 + index % 7) for index in range(50)]
        paths[-1].write_text(json_from_document(document({"read": times, "total": times})))
    a, b = paths
    done = _bench("compare", a, b)
    assert done.exit_code == 0, done.output
    assert "slower" in done.stdout
    assert _bench("compare", b, a).exit_code == 0
    assert _bench("compare", a, b, "--fail-above", "2.5").exit_code == 0
    failed = _bench("compare", a, b, "--fail-above", "1.5")
    assert failed.exit_code == 83
    assert "slower" in failed.stdout, "what was measured is told all the same"


def test_other_bundles_are_compared_by_force_alone(tmp_path: Path) -> None:
    for name, fingerprint in (("a", "a" * 64), ("b", "b" * 64)):
        (tmp_path / f"{name}.json").write_text(json_from_document(document({"total": [1.0] * 10}, fingerprint)))
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    assert _bench("compare", a, b).exit_code == 2
    assert _bench("compare", a, b, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--streams", "1,x"), 2),
        (("--streams", "0"), 2),
        (("--runs", "0"), 2),
        (("--engines", ".", "--backend", "onnxruntime"), 2),
        (("--bundle", "/nowhere"), 31),
    ],
)
def test_what_cannot_be_meant_ends_with_its_exit_code(arguments: tuple[str, ...], code: int) -> None:
    assert _bench(*arguments).exit_code == code


def test_a_refused_file_ends_with_its_own_exit_code(bundle: str, tmp_path: Path) -> None:
    lateral = write_dicom(tmp_path / "lateral.dcm", ViewPosition="LL")
    done = _bench(lateral, "--bundle", bundle, *QUICK)
    assert done.exit_code == 19
    assert _bench(tmp_path / "empty", "--bundle", bundle, *QUICK).exit_code == 11


def test_the_page_is_one_file_and_escapes_what_it_is_given(measured: Document) -> None:
    named = measured.model_copy(
        update={
            "bundle": measured.bundle.model_copy(update={"name": "<script>alert(1)</script>"}),
            "warnings": ["<b>busy</b>"],
        }
    )
    text = html_from_document(named)
    for forbidden in ("<script", "http", "<b>busy", "url(", "<link", "<img"):
        assert forbidden not in text
    assert "&lt;b&gt;busy" in text
    assert text.count("<svg") == 3
    for stage in measured.warm.stages:
        assert f"<td>{stage}</td>" in text


def test_a_page_of_one_run_with_no_stream_is_drawn_too() -> None:
    text = html_from_document(document({"read": [1.0], "total": [1.0]}))
    assert text.count("<svg") == 2
    assert "the kernel has no RAPL zone" in text


def test_a_pinned_key_holds_in_this_process_and_in_fresh_ones(image: Path, tmp_path: Path) -> None:
    keys = write_keys(tmp_path)
    folder = signed(write_bundle(tmp_path / "bundle"), keys / "maker")
    quick = [*QUICK, "--cold", "1", "--state", tmp_path / "state.json"]
    done = _bench(image, "--bundle", folder, *quick, "--trust", keys / "maker.pub")
    assert done.exit_code == 0, done.output
    assert "cold start to first answer" in done.stdout
    assert _bench(image, "--bundle", folder, *quick, "--trust", keys / "other.pub").exit_code == 35
