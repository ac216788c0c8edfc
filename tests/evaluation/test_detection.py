"""Mean average precision against COCO's own toolkit, and against the definition written out."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from edge_sacro.evaluation.boxes import measures_from_boxes
from edge_sacro.evaluation.detection import OVERLAPS, Detection, Rule, Truth, average_precision, mean_average_precision
from edge_sacro.evaluation.predictions import Case
from edge_sacro.types import Box

LABELS = ("normal", "sacroiliitis")


def _drawn(seed: int, images: int = 14) -> tuple[list[Detection], list[Truth]]:
    """Two or three boxes an image; most are found, some twice, some in another class, some where nothing is."""
    random = np.random.default_rng(seed)
    found, truth = [], []

    def box(x: float, y: float, w: float, h: float) -> Box:
        left, top = max(int(x), 0), max(int(y), 0)
        return Box(left, top, left + max(int(w), 4), top + max(int(h), 4))

    for index in range(images):
        for slot in range(int(random.integers(2, 4))):
            x, y, w, h = 40 + 150 * slot, random.uniform(20, 60), random.uniform(50, 90), random.uniform(90, 160)
            label = LABELS[int(random.integers(2))]
            truth.append(Truth(str(index), label, box(x, y, w, h)))
            for _ in range(int(random.integers(0, 3))):
                moved = box(*(np.array([x, y, w, h]) + random.normal(0, 9, 4)))
                said = label if random.random() < 0.85 else LABELS[int(random.integers(2))]
                found.append(Detection(str(index), said, moved, float(random.random())))
        if random.random() < 0.4:
            found.append(Detection(str(index), LABELS[0], box(300, 300, 60, 60), float(random.random())))
    return found, truth


def _by_definition(found: list[Detection], truth: list[Truth], overlap: float, rule: Rule) -> float:
    """One class, every step in the open; scores differ."""
    taken: set[int] = set()
    hits = []
    for each in sorted(found, key=lambda d: d.score, reverse=True):
        choices = [(each.box.iou(t.box), n) for n, t in enumerate(truth) if t.image == each.image and n not in taken]
        best, number = max(choices, default=(0.0, -1))
        hits.append(best >= overlap)
        if best >= overlap:
            taken.add(number)
    points = [(sum(hits[: n + 1]) / len(truth), sum(hits[: n + 1]) / (n + 1)) for n in range(len(hits))]
    if rule == "coco":
        recalls = [step / 100 for step in range(101)]
        return float(np.mean([max((p for r, p in points if r >= recall - 1e-12), default=0.0) for recall in recalls]))
    levels = sorted({r for r, _ in points} | {0.0})
    return sum((b - a) * max(p for r, p in points if r >= b) for a, b in pairwise(levels))


@pytest.mark.parametrize("rule", ["coco", "all-points"])
@pytest.mark.parametrize("overlap", [0.5, 0.75])
def test_average_precision_is_its_definition(rule: Rule, overlap: float) -> None:
    for seed in range(6):
        found, truth = _drawn(seed)
        for label in LABELS:
            of_class = [each for each in found if each.label == label]
            to_find = [each for each in truth if each.label == label]
            expected = _by_definition(of_class, to_find, overlap, rule)
            assert average_precision(of_class, to_find, overlap, rule) == pytest.approx(expected, abs=1e-12)


def test_mean_average_precision_is_that_of_cocos_toolkit(capsys: pytest.CaptureFixture[str]) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    for seed in range(4):
        found, truth = _drawn(seed)
        expected = _of_toolkit(coco, evaluation, found, truth)
        assert mean_average_precision(found, truth) == pytest.approx(expected[0], abs=1e-9)
        assert mean_average_precision(found, truth, (0.5,)) == pytest.approx(expected[1], abs=1e-9)
        assert mean_average_precision(found, truth, (0.5,), "all-points") != pytest.approx(expected[1], abs=1e-9)
    assert "Average Precision" in capsys.readouterr().out


def _of_toolkit(coco: object, evaluation: object, found: list[Detection], truth: list[Truth]) -> tuple[float, float]:
    """COCO's AP over 0.5 to 0.95 and at 0.5."""

    def rectangle(box: Box) -> list[float]:
        return [box.x0, box.y0, box.width, box.height]

    data = coco.COCO()  # type: ignore[attr-defined]
    data.dataset = {
        "info": {},
        "images": [{"id": index} for index in range(14)],
        "categories": [{"id": n + 1, "name": label} for n, label in enumerate(LABELS)],
        "annotations": [
            {
                "id": n + 1,
                "image_id": int(each.image),
                "category_id": LABELS.index(each.label) + 1,
                "bbox": rectangle(each.box),
                "area": each.box.area,
                "iscrowd": 0,
            }
            for n, each in enumerate(truth)
        ],
    }
    data.createIndex()
    results = data.loadRes(
        [
            {
                "image_id": int(each.image),
                "category_id": LABELS.index(each.label) + 1,
                "bbox": rectangle(each.box),
                "score": each.score,
            }
            for each in found
        ]
    )
    run = evaluation.COCOeval(data, results, "bbox")  # type: ignore[attr-defined]
    run.evaluate()
    run.accumulate()
    run.summarize()
    return float(run.stats[0]), float(run.stats[1])


def test_boxes_of_equal_score_are_one_point_whatever_their_order() -> None:
    truth = [Truth("a", "joint", Box(0, 0, 10, 10)), Truth("b", "joint", Box(0, 0, 10, 10))]
    right = Detection("a", "joint", Box(0, 0, 10, 10), 1.0)
    wrong = Detection("b", "joint", Box(50, 50, 60, 60), 1.0)
    first, second = (average_precision(order, truth, 0.5) for order in ([right, wrong], [wrong, right]))
    assert first == second == pytest.approx(0.5 * 51 / 101)
    apart = Detection("a", "joint", Box(0, 0, 10, 10), 2.0)
    assert average_precision([wrong, apart], truth, 0.5) == pytest.approx(51 / 101), "negative control: a better score"


def test_what_cannot_be_found_has_no_precision_and_nothing_found_has_none_left() -> None:
    box = Truth("a", "joint", Box(0, 0, 10, 10))
    assert average_precision([], [], 0.5) is None
    assert mean_average_precision([], []) is None
    assert average_precision([], [box], 0.5) == 0
    assert len(OVERLAPS) == 10
    assert (OVERLAPS[0], OVERLAPS[-1]) == (0.5, 0.95)


def _joint(name: str, box: Box | None, truth: bool, score: float | None) -> Case:
    return Case(name, "left", name, truth, score, box=box, truth_box=Box(0, 0, 100, 100))


def test_a_joint_that_was_not_found_counts_with_no_overlap() -> None:
    joints = [_joint("a", Box(0, 0, 100, 100), True, 0.9), _joint("b", None, False, None)]
    figures = {each.quantity: each for each in measures_from_boxes(joints)}
    assert figures["mean IoU"].value == 0.5
    assert figures["joints found, IoU 0.5 or more"].counts == (1, 2)
    assert figures["mAP of sides at IoU 0.5"].value == pytest.approx(51 / 101)


def test_the_class_of_a_joint_counts_in_the_detectors_precision_and_not_in_finding_it() -> None:
    whole = Box(0, 0, 100, 100)
    right = [_joint("a", whole, True, 0.9), _joint("b", whole, False, 0.2)]
    wrong = [_joint("a", whole, True, 0.1), _joint("b", whole, False, 0.8)]
    for joints, expected in ((right, 1.0), (wrong, 0.5)):
        figures = {each.quantity: each.value for each in measures_from_boxes(joints)}
        assert figures["mAP of sides at IoU 0.5"] == 1
        assert figures["mAP at IoU 0.5"] == pytest.approx(expected)


def test_no_box_at_all_is_no_figure() -> None:
    assert measures_from_boxes([_joint("a", None, True, 0.9)]) == []
    assert measures_from_boxes([]) == []
