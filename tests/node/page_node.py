"""A node with one instance in each state that the page has to show, assessed by the demonstration bundle."""

from __future__ import annotations

import io

import pydicom

from edge_sacro.node.records import DeliveryState
from edge_sacro.node.web import HEAT_NAME, heat_png
from edge_sacro.runtime import Runtime
from edge_sacro.types import State
from tests.node.http_node import BUNDLE, PACS, Node, phantom_bytes


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
