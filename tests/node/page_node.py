"""A node with one instance in each state that the page has to show, assessed by the demonstration bundle."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

import pydicom

from edge_sacro.node.records import DeliveryState
from edge_sacro.node.web import HEAT_NAME, heat_png
from edge_sacro.runtime import Runtime
from edge_sacro.types import State
from tests.node.http_node import BUNDLE, PACS, Node, phantom_bytes

if TYPE_CHECKING:
    from playwright.sync_api import Page


def fill(node: Node) -> dict[str, int]:
    """Take five phantoms and bring four of them to their ends; the numbers by what they became."""
    healthy = phantom_bytes(11, spacing_mm=0.4, left_grade=0, right_grade=0)
    diseased = phantom_bytes(12, spacing_mm=0.4, left_grade=4, right_grade=3)
    hand = pydicom.dcmread(io.BytesIO(phantom_bytes(13)))
    hand.BodyPartExamined = "HAND"
    del hand.AnatomicRegionSequence
    buffer = io.BytesIO()
    hand.save_as(buffer)
    numbers = {}
    with Runtime(threads=1) as runtime:
        for name, content in (("negative", healthy), ("positive", diseased), ("refused", buffer.getvalue())):
            numbers[name] = take(node, content)
            _assess(node, runtime, content)
    for delivery in node.store.outstanding(PACS.name)[:1]:
        node.store.delivery_moved(delivery.id, DeliveryState.STORED)
    numbers["quarantined"] = take(node, phantom_bytes(14))
    node.store.next_to_assess()
    node.store.quarantine(numbers["quarantined"], "crashed", "the node went down twice while it was assessed")
    numbers["waiting"] = take(node, phantom_bytes(15))
    return numbers


def take(node: Node, content: bytes) -> int:
    with node.intake.part() as part:
        part.write(content)
        return node.intake.take(part, via="dimse", peer="XRAY1").sequence


def _assess(node: Node, runtime: Runtime, content: bytes) -> None:
    instance = node.store.next_to_assess()
    assert instance is not None
    result, radiograph, explanation = runtime.infer_explained(content, name=f"instance {instance.sequence}")
    report = runtime.report([result])
    files = {"sr.dcm": b"SR" * 4700, "report.json": b"{}"}
    if radiograph is not None and explanation is not None:
        files[HEAT_NAME] = heat_png(explanation, radiograph, result.crop_px)
    node.enter(instance, report.model_copy(update={"bundle": BUNDLE}), files, send=result.state is not State.REFUSED)


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
