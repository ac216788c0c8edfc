"""The page in a real browser: what is shown in each state, by mouse, by keys, by touch, and by nobody else's files."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_sacro.dicom.display import Window, window_fraction
from edge_sacro.node.config import Http
from tests.node.http_node import Node, phantom_bytes, running
from tests.node.page_node import fill, take

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.heavy
CHROMIUM = Path(os.environ.get("EDGE_SACRO_CHROMIUM", "/usr/bin/chromium"))
TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of this test


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.is_file():
        pytest.skip(f"there is no {CHROMIUM}; name one with EDGE_SACRO_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[tuple[Node, dict[str, int]]]:
    node = Node(tmp_path_factory.mktemp("page") / "node")
    numbers = fill(node)
    with running(node):
        yield node, numbers


@pytest.fixture
def page(browser: Browser, stand: tuple[Node, dict[str, int]], tmp_path: Path) -> Iterator[Page]:
    """The page; every test fails on an error of its script, a broken policy or a request to elsewhere."""
    node, _ = stand
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: None if request.url.startswith(node.url) else wrong.append(request.url))
    page.goto(node.url)
    page.wait_for_selector("#rows tr")
    yield page
    page.screenshot(path=tmp_path / "last.png")
    context.close()
    assert wrong == []


def until(page: Page, expression: str, argument: object = None) -> None:
    """Wait until an expression holds. The browser's own way of waiting would need what the page's policy forbids."""
    end = time.monotonic() + 15
    while not page.evaluate(expression, argument):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(30)


def opened(page: Page, number: int) -> Page:
    page.evaluate("number => { location.hash = `#/${number}`; }", number)
    until(page, f"document.title.endsWith('number {number}')")
    until(page, f"document.getElementById('panel').innerText.includes('Number {number} ')")
    return page


def drawn(page: Page) -> list[int]:
    """The canvas' pixels, every 101st, red, green and blue."""
    page.wait_for_timeout(120)
    return list(
        page.evaluate(
            """() => { const c = document.getElementById('canvas');
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            const out = []; for (let i = 0; i < d.length; i += 404) out.push(d[i], d[i+1], d[i+2]); return out; }"""
        )
    )


def coloured(pixels: list[int]) -> int:
    """How many of them are no gray."""
    triples = zip(pixels[::3], pixels[1::3], pixels[2::3], strict=True)
    return sum(max(each) - min(each) > 24 for each in triples)


def wait_for_image(page: Page) -> None:
    until(page, "document.getElementById('readout').textContent.startsWith('Window')")


def test_the_worklist_shows_every_state_in_words(page: Page, stand: tuple[Node, dict[str, int]]) -> None:
    rows = page.locator("#rows tr").all_inner_texts()
    assert len(rows) == 5
    for text, words in zip(
        rows,
        (
            ("PHANTOM, HTTP-15", "No result yet", "Waiting"),
            ("PHANTOM, HTTP-14", "No result", "Set aside", "went down twice"),
            ("PHANTOM, HTTP-13", "Refused", "HAND"),
            ("PHANTOM, HTTP-12", "Positive", "above the cut-off", "to send"),
            ("PHANTOM, HTTP-11", "Negative", "Done", "archive"),
        ),
        strict=True,
    ):
        for each in words:
            assert each in text
    assert "not for clinical use" in page.inner_text("#demonstration")
    health = page.inner_text("#health")
    for each in ("Ready", "Waiting 1", "Set aside 1", "Disk free", "To archive 1 to send"):
        assert each in health
    assert "HTTP-1" not in page.url


def test_the_list_is_filtered_by_state(page: Page) -> None:
    page.click("#filters button:has-text('Set aside')")
    until(page, "document.querySelectorAll('#rows tr').length === 1")
    assert "HTTP-14" in page.inner_text("#rows")
    page.click("#filters button:has-text('Being assessed')")
    page.wait_for_selector("#empty:not([hidden])")
    assert page.get_attribute("#filters button:has-text('Being assessed')", "aria-pressed") == "true"


def test_keys_alone_go_from_the_list_to_a_study_and_back(page: Page, stand: tuple[Node, dict[str, int]]) -> None:
    _, numbers = stand
    for key in ("j", "ArrowDown", "j", "j", "k", "j"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.textContent") == str(numbers["positive"])
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel .decision.positive")
    page.keyboard.press("n")
    page.wait_for_selector("#panel .decision.negative")
    page.keyboard.press("p")
    page.wait_for_selector("#panel .decision.positive")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()
    assert page.locator("#study").is_visible(), "Escape closed the help alone"
    page.keyboard.press("Escape")
    until(page, "document.activeElement.closest('#rows') !== null")
    assert page.evaluate("document.activeElement.textContent") == str(numbers["positive"])


def test_a_positive_study_shows_its_decision_reason_joints_and_statement(
    page: Page, stand: tuple[Node, dict[str, int]]
) -> None:
    _, numbers = stand
    opened(page, numbers["positive"])
    panel = page.inner_text("#panel")
    for each in (
        "Positive for radiographic sacroiliitis",
        "is above the cut-off 0.59",
        "borderline within 0.03",
        "Right",
        "Left",
        "Structured report (DICOM SR)",
        "to be sent",
        "demonstration 1.0.0",
        "from XRAY1 (DICOM)",
    ):
        assert each in panel
    wait_for_image(page)
    assert "right and left sacroiliac joint" in page.inner_text("#image-words")
    assert "not for clinical use" in page.inner_text("#demonstration")


def test_no_study_without_a_result_reads_as_a_negative_one(page: Page, stand: tuple[Node, dict[str, int]]) -> None:
    _, numbers = stand
    for name, words in (
        ("refused", ("Refused: no result", "This is no negative result.", "HAND")),
        ("quarantined", ("Set aside: needs attention", "went down twice", "Try again")),
        ("waiting", ("Waiting: no result yet",)),
    ):
        opened(page, numbers[name])
        panel = page.inner_text("#panel")
        for each in words:
            assert each in panel, name
        assert "Negative" not in panel, name
        assert "Probability 0" not in panel, name


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


def test_a_result_object_can_be_saved(page: Page, stand: tuple[Node, dict[str, int]]) -> None:
    _, numbers = stand
    opened(page, numbers["negative"])
    with page.expect_download() as download:
        page.click("text=Structured report (DICOM SR)")
    assert download.value.suggested_filename == f"{numbers['negative']}-sr.dcm"
    assert Path(download.value.path()).read_bytes() == b"SR" * 4700


def test_what_arrives_and_what_is_tried_again_is_shown_without_a_reload(browser: Browser, tmp_path: Path) -> None:
    node = Node(tmp_path / "node")
    with running(node):
        page = browser.new_page()
        page.goto(node.url)
        page.wait_for_selector("#empty:not([hidden])")
        assert "No radiograph has been received yet." in page.inner_text("#empty")
        number = take(node, phantom_bytes(14))
        page.wait_for_selector("#rows tr")
        until(page, "document.getElementById('live').textContent.includes('was received')")
        node.store.next_to_assess()
        node.store.quarantine(number, "crashed", "the node went down")
        opened(page, number)
        page.click("#again")
        page.wait_for_selector("text=Waiting: no result yet")
        again = node.store.instance(number)
        assert again is not None
        assert again.state == "received"
        node.server.stop()
        page.wait_for_selector("#lost:not([hidden])", timeout=10_000)
        assert "What is shown may be old." in page.inner_text("#lost")
        page.close()


def test_a_node_with_a_token_asks_for_it_once(browser: Browser, tmp_path: Path) -> None:
    place = tmp_path / "token"
    place.write_text(TOKEN)
    place.chmod(0o600)
    node = Node(tmp_path / "node", Http(port=0, token_file=place))
    number = take(node, phantom_bytes(14))
    with running(node):
        page = browser.new_page()
        page.goto(node.url)
        page.fill("#token", "wrong")
        page.press("#token", "Enter")
        page.wait_for_selector("#login-wrong:not([hidden])")
        page.fill("#token", TOKEN)
        page.press("#token", "Enter")
        page.wait_for_selector("#rows tr")
        opened(page, number)
        wait_for_image(page)
        page.reload()
        wait_for_image(page)
        assert not page.locator("#login").is_visible()
        page.close()


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


def test_every_control_has_a_name_and_every_state_its_word(page: Page, stand: tuple[Node, dict[str, int]]) -> None:
    _, numbers = stand
    opened(page, numbers["positive"])
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, a, canvas')].filter(e =>
        !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).map(e => e.outerHTML)"""
    )
    assert nameless == []
    assert page.evaluate("document.documentElement.lang") == "en"
    for landmark in ("header", "main", "aside[aria-label]", "[aria-live=polite]", "[role=alert]"):
        assert page.locator(landmark).count() >= 1, landmark
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_the_docs_page_lists_the_routes(page: Page, stand: tuple[Node, dict[str, int]]) -> None:
    node, _ = stand
    page.goto(f"{node.url}/docs")
    page.wait_for_selector("#routes section")
    assert "POST /dicom-web/studies" in page.inner_text("#routes")


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
