"""A browser, and a page of a node that has something of everything; for the tests of the page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.node.http_node import Node, running
from tests.node.page_node import fill

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path(os.environ.get("EDGE_SACRO_CHROMIUM", "/usr/bin/chromium"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.is_file():
        pytest.skip(f"there is no {CHROMIUM}; name one with EDGE_SACRO_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
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
