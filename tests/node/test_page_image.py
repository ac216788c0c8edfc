"""The radiograph in a real browser: values, overlays, window and zoom by mouse, keys and touch, small screens too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_sacro.dicom.display import Window, window_fraction
from tests.node.http_node import Node
from tests.node.page_node import coloured, drawn, opened, until, wait_for_image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.heavy


def test_overlays_window_and_zoom_change_what_is_drawn_and_come_back(
    page: Page, stand: tuple[Node, dict[str, int]]
) -> None:
    _, numbers = stand
    opened(page, numbers["positive"])
    wait_for_image(page)
    first = drawn(page)
    page.keyboard.press("b")
    plain = drawn(page)
    assert not coloured(plain), "without boxes all is gray"
    assert coloured(first), "the joints' boxes have colours"
    page.keyboard.press("g")
    assert coloured(drawn(page)), "the heat map has colours"
    assert page.locator("#heat-words").is_visible()
    page.keyboard.press("g")
    assert drawn(page) == plain
    for there, back in (("i", "i"), ("]", "r"), (".", "r"), ("+", "0"), ("ArrowLeft", "0")):
        page.keyboard.press(there)
        changed = drawn(page)
        assert changed != plain, there
        page.keyboard.press(back)
        assert drawn(page) == plain, back
    page.keyboard.press(".")
    assert sum(drawn(page)) > sum(plain), "brighter is brighter"
    page.keyboard.press("b")


def test_the_mouse_zooms_about_its_place_pans_and_windows(page: Page, stand: tuple[Node, dict[str, int]]) -> None:
    _, numbers = stand
    opened(page, numbers["negative"])
    wait_for_image(page)
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 3
    before = page.inner_text("#readout")
    page.mouse.move(x, y)
    page.mouse.wheel(0, -300)
    until(page, "old => document.getElementById('readout').textContent !== old", before)
    zoomed = drawn(page)
    page.mouse.down()
    page.mouse.move(x + 90, y + 40, steps=4)
    page.mouse.up()
    assert drawn(page) != zoomed
    level = page.inner_text("#readout").split("·")[:2]
    page.mouse.down(button="right")
    page.mouse.move(x + 120, y - 60, steps=4)
    page.mouse.up(button="right")
    page.wait_for_timeout(100)
    assert page.inner_text("#readout").split("·")[:2] != level


def test_boxes_stand_where_the_report_says(page: Page, stand: tuple[Node, dict[str, int]]) -> None:
    """The box of the patient's left joint, in its colour, is found on the canvas where the report's pixels lie."""
    node, numbers = stand
    stored = node.store.instance(numbers["positive"])
    assert stored is not None
    assert stored.report is not None
    left = json.loads(stored.report)["results"][0]["joints"]["left"]["box_px"]
    opened(page, numbers["positive"])
    wait_for_image(page)
    page.wait_for_timeout(120)
    found = page.evaluate(
        """() => { const c = document.getElementById('canvas'), w = c.width;
        const d = c.getContext('2d').getImageData(0, 0, w, c.height).data;
        let x0 = w, x1 = 0; for (let i = 0; i < d.length; i += 4)
          if (Math.abs(d[i] - 238) < 4 && Math.abs(d[i+1] - 176) < 4 && Math.abs(d[i+2] - 42) < 4) {
            const x = (i / 4) % w; if (x < x0) x0 = x; if (x > x1) x1 = x; }
        return [x0, x1, w, c.height]; }"""
    )
    rows_columns = page.evaluate(f"fetch('/v1/instances/{numbers['positive']}/image').then(r => r.json())")
    rows, columns = rows_columns["rows"], rows_columns["columns"]
    scale = min(found[2] / columns, found[3] / rows)
    expected = (found[2] - columns * scale) / 2 + left[0] * scale
    assert abs(found[0] - expected) <= 3
    assert found[0] > found[2] / 2, "the patient's left is at the right"


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1024, 768), (420, 800)])
def test_nothing_is_cut_off(
    browser: Browser, stand: tuple[Node, dict[str, int]], tmp_path: Path, width: int, height: int
) -> None:
    node, numbers = stand
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=width < 1280)
    page = context.new_page()
    page.goto(f"{node.url}/#/{numbers['positive']}")
    wait_for_image(page)
    page.screenshot(path=tmp_path / f"study-{width}.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    canvas = page.locator("#canvas").bounding_box()
    assert canvas is not None
    assert canvas["height"] > height / 2
    assert canvas["width"] > width / 2
    for button in page.locator("#study .tools button:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["height"] >= 24, "WCAG 2.2, 2.5.8"
    assert page.locator("#demonstration").is_visible()
    context.close()


def test_a_finger_moves_and_two_fingers_zoom(browser: Browser, stand: tuple[Node, dict[str, int]]) -> None:
    node, numbers = stand
    context = browser.new_context(viewport={"width": 1024, "height": 768}, has_touch=True)
    page = context.new_page()
    page.goto(f"{node.url}/#/{numbers['positive']}")
    wait_for_image(page)
    before = page.inner_text("#readout")
    touch = context.new_cdp_session(page)

    def fingers(kind: str, *points: tuple[int, int]) -> None:
        ids: list[dict[str, Any]] = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": ids})

    fingers("touchStart", (300, 450), (400, 450))
    for spread in range(10, 90, 10):
        fingers("touchMove", (300 - spread, 450), (400 + spread, 450))
    fingers("touchEnd")
    until(page, "old => document.getElementById('readout').textContent !== old", before)
    percent = [int(re.findall(r"zoom (\d+)", text)[0]) for text in (before, page.inner_text("#readout"))]
    assert percent[1] > 1.5 * percent[0]
    context.close()


def test_the_browser_windows_as_the_reference_does(page: Page) -> None:
    values = np.linspace(-50, 150, 41)
    for kind, center, width in (
        ("LINEAR", 40.0, 80.0),
        ("LINEAR", 40.0, 1.0),
        ("LINEAR_EXACT", 40.0, 80.0),
        ("SIGMOID", 40.0, 80.0),
    ):
        found = page.evaluate(
            """async ([values, center, width, kind]) => { const { fraction } = await import('/static/viewer.js');
            return values.map((value) => fraction(value, center, width, kind)); }""",
            [values.tolist(), center, width, kind],
        )
        expected = window_fraction(values, Window(center, width, kind))  # type: ignore[arg-type]
        assert np.abs(np.array(found) - expected).max() < 1e-12, kind
        shifted = window_fraction(values, Window(center + 1, width, kind))  # type: ignore[arg-type]
        assert np.abs(np.array(found) - shifted).max() > 1e-3, "negative control: another center"
