"""The page in a real browser: what is shown in each state, by mouse, by keys, by touch, and by nobody else's files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_sacro.node.config import Http
from tests.node.http_node import Node, phantom_bytes, running
from tests.node.page_node import opened, take, until, wait_for_image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.heavy
TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of this test


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
