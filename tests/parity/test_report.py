"""The page, its plots, the table at the terminal and the record in the bundle."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.errors import BudgetBroken, UsageError
from edge_sacro.parity.document import Breach, Document, LeftOut
from edge_sacro.parity.html import html_from_document
from edge_sacro.parity.measure import Setup, measure
from edge_sacro.parity.plots import flips_by_cut_off, flips_plot, probability_plot, tensor_plot
from edge_sacro.parity.record import write_record
from edge_sacro.parity.svg import HEIGHT, WIDTH, Axis, Plot, Series, nice_step, svg_from_plot
from edge_sacro.parity.text import text_from_document
from tests import tiny

VOID = {"meta", "br"}


class _Balanced(HTMLParser):
    """Follows open tags; fails where one closes another."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def broken(bundle: Bundle, images: list[Path]) -> Document:
    return measure(bundle, images, Setup(against=[("onnxruntime", "int8")], control="swapped-classes", threads=1))


def test_the_page_stands_alone_and_says_what_was_measured(document: Document, broken: Document) -> None:
    left_out = [LeftOut(name="openvino:int8", reason="needs the package <b>")]
    for each, verdict in ((document.model_copy(update={"left_out": left_out}), "holds"), (broken, "is broken")):
        page = html_from_document(each)
        parser = _Balanced()
        parser.feed(page)
        assert parser.open == []
        assert f"The budget {verdict}." in page
        assert not re.search(r"<script|\bsrc=|\bhref=|https?:|url\(|@import", page)
        assert page.count("<svg") == 3
        assert each.bundle.statement in page
    assert "needs the package &lt;b&gt;" in html_from_document(document.model_copy(update={"left_out": left_out}))
    assert "to the opposite" in html_from_document(broken)
    assert "wrong on purpose" in html_from_document(broken)


def test_a_files_name_cannot_write_into_the_page(bundle: Bundle, tmp_path: Path) -> None:
    path = tiny.write_dicom(tmp_path / "<script>alert(1)<script>.dcm")
    page = html_from_document(measure(bundle, [path], Setup(against=[("onnxruntime", "fp32")], threads=1)))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_plots_are_well_formed_and_keep_within_their_frame(document: Document) -> None:
    for plot in (probability_plot(document), flips_plot(document), tensor_plot(document)):
        assert plot is not None
        root = ET.fromstring(svg_from_plot(plot))  # noqa: S314 - our own text
        assert root.find("title") is not None
        _, top, _, _ = (float(part) for part in root.attrib["viewBox"].split())
        for text in root.iter("text"):
            assert 0 <= float(text.attrib["x"]) <= WIDTH
            assert top <= float(text.attrib["y"]) <= HEIGHT
        for line in root.iter("polyline"):
            for point in line.attrib["points"].split():
                x, y = (float(part) for part in point.split(","))
                assert 0 <= x <= WIDTH
                assert top <= y <= HEIGHT


def test_every_mark_says_which_image_it_is(document: Document) -> None:
    plot = probability_plot(document)
    assert plot is not None
    labels = [label for series in plot.series for label in series.labels]
    assert len(labels) == 3 * 7
    assert all("sacrum" in label for label in labels)
    assert svg_from_plot(plot).count("<title>") == 1 + len(labels)


def test_flips_are_counted_at_every_cut_off(broken: Document) -> None:
    counts = flips_by_cut_off(broken, broken.contenders[0])
    pairs = [
        (broken.instances[index].reference.probabilities["image"], each.answer.probabilities["image"])
        for index, each in enumerate(broken.contenders[0].comparisons)
    ]
    for cut_off, count in zip(np.linspace(0, 1, 401), counts, strict=True):
        assert count == sum((a > cut_off) != (b > cut_off) for a, b in pairs)
    assert counts.max() > 0


@pytest.mark.parametrize(("rough", "step"), [(0.16, 0.2), (0.2, 0.2), (0.21, 0.5), (7.0, 10.0), (1.0, 1.0)])
def test_steps_of_an_axis_are_round(rough: float, step: float) -> None:
    assert nice_step(rough) == pytest.approx(step)


def test_an_axis_marks_round_values_decades_or_names() -> None:
    assert [text for _, text in Axis("p", 0.0, 1.0).ticks()] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert [text for _, text in Axis("e", 1e-3, 10.0, log=True).ticks()] == ["1e-3", "1e-2", "1e-1", "1e0", "1e1"]
    assert Axis("e", 1e-4, 1.0, log=True).fraction(1e-2) == pytest.approx(0.5)
    assert Axis("e", 1e-4, 1.0, log=True).fraction(0.0) == 0
    assert Axis("n", -0.5, 1.5, names=("a", "b")).ticks() == [(0.0, "a"), (1.0, "b")]


def test_series_differ_without_their_colours() -> None:
    axis = Axis("x", 0.0, 1.0)
    plot = Plot("t", axis, axis, [Series(str(n), [(0.5, 0.5)]) for n in range(6)])
    shapes = re.findall(r'd="M[^a-zA-Z]*([^"]*)"', svg_from_plot(plot))
    marks = {re.sub(r"[\d.,-]+", "", shape) + str(shape.count("L")) for shape in shapes}
    lines = Plot("t", axis, axis, [Series(str(n), [(0, 0), (1, 1)], line=True) for n in range(6)])
    dashes = re.findall(r"<polyline[^>]*?(?:stroke-dasharray=\"([^\"]*)\")?/>", svg_from_plot(lines))
    assert len(marks) >= 3
    assert len(set(dashes)) == 6


def test_the_terminal_names_verdict_breaches_and_what_was_left_out(document: Document, broken: Document) -> None:
    text = text_from_document(
        document.model_copy(update={"left_out": [LeftOut(name="openvino:fp32", reason="not here")]})
    )
    assert text.count("holds") == 3
    assert "openvino:fp32: left out, not here" in text
    text = text_from_document(broken)
    assert "broken" in text
    assert "decisions turn to their opposite" in text
    assert "Negative control, wrong on purpose: swapped-classes" in text


def test_the_record_goes_into_the_bundle_without_images_or_names(
    document: Document, folder: Path, tmp_path: Path
) -> None:
    target = Path(shutil.copytree(folder, tmp_path / "bundle"))
    path = write_record(document, target)
    loaded = load_bundle(target)
    assert loaded.manifest.records == {"parity": path.name}
    record = Document.model_validate_json(loaded.files[path.name])
    assert record.bundle.networks.items() <= loaded.manifest.files.items()
    assert record.contenders[2].summary.with_probability == 7
    assert b"sacrum" not in loaded.files[path.name]
    write_record(document, target)
    assert load_bundle(target).fingerprint == loaded.fingerprint


def test_no_record_is_written_of_what_is_broken_a_control_or_another_bundle(
    document: Document, broken: Document, folder: Path, tmp_path: Path
) -> None:
    target = Path(shutil.copytree(folder, tmp_path / "bundle"))
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    bad = document.contenders[0].model_copy(update={"breaches": [Breach(measure="flips", sentence="one")]})
    with pytest.raises(BudgetBroken):
        write_record(document.model_copy(update={"contenders": [bad]}), target)
    with pytest.raises(UsageError, match="control"):
        write_record(broken, target)
    with pytest.raises(UsageError, match="other networks"):
        write_record(document, tiny.write_bundle(tmp_path / "other"))
    with pytest.raises(UsageError, match="folder"):
        write_record(document, tmp_path / "absent")
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
