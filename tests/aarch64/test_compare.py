"""What holds two processors' answers beside each other tells every difference that matters, and none that does not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.aarch64.compare import NETWORK, PROBABILITY, networks, reports, table
from tests.aarch64.features import HWCAP, HWCAP2, cpu_info, features_from_bits

RESULT: dict[str, Any] = {
    "source": {"path": "/host/a.dcm", "sha256": "0f"},
    "state": "positive",
    "reason": "probability 0.9844 is above the cut-off 0.59",
    "probability": 0.9844,
    "crop_px": [645, 309, 1324, 691],
    "joints": {
        side: {"state": "located", "box_px": [1, 2, 3, 4], "probability": None, "reason": "both together"}
        for side in ("left", "right")
    },
    "notes": [],
    "backend": {"name": "onnxruntime", "version": "1.31.1", "processor": "x86_64 avx2", "precision": "fp32"},
    "timings_ms": {"total": 333.3},
}
REPORT: dict[str, Any] = {"bundle": {"fingerprint": "aa"}, "results": [RESULT], "ignored": []}


def other(change: Callable[[dict[str, Any]], object] = lambda _: None) -> dict[str, Any]:
    """The same answer from the other processor, with a change."""
    found = copy.deepcopy(REPORT)
    result = found["results"][0]
    result["source"]["path"] = "there/a.dcm"
    result["backend"]["processor"] = "aarch64 asimd+asimddp"
    result["timings_ms"] = {"total": 9719.7}
    change(result)
    return found


def moved(result: dict[str, Any], by: float) -> None:
    result["probability"] = round(result["probability"] + by, 4)
    result["reason"] = f"probability {result['probability']:g} is above the cut-off 0.59"


def test_time_place_and_processor_may_differ() -> None:
    found = reports(REPORT, other(), "fp32")
    assert found.holds
    assert found.largest == 0


@pytest.mark.parametrize(
    ("precision", "by", "holds"), [("int8", 0.0015, True), ("int8", 0.0025, False), ("fp32", 0.0015, False)]
)
def test_a_probability_may_move_within_its_precision_s_tolerance(precision: str, by: float, holds: bool) -> None:
    found = reports(REPORT, other(lambda result: moved(result, by)), precision)
    assert found.holds is holds
    assert found.largest == pytest.approx(by)
    assert found.allowed == PROBABILITY[precision]
    assert not found.differences


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("results[0].state", lambda result: result.update(state="borderline")),
        ("results[0].crop_px[2]", lambda result: result["crop_px"].__setitem__(2, 1325)),
        ("results[0].joints.left.box_px[0]", lambda result: result["joints"]["left"]["box_px"].__setitem__(0, 0)),
        ("results[0].joints", lambda result: result.update(joints=None)),
        ("results[0].notes", lambda result: result["notes"].append("a joint was found")),
        ("results[0].reason", lambda result: result.update(reason="probability 0.9844 is below the cut-off 0.59")),
        ("results[0].source.sha256", lambda result: result["source"].update(sha256="10")),
        ("results[0].backend.version", lambda result: result["backend"].update(version="1.23.2")),
    ],
)
def test_anything_else_is_a_difference_and_is_named(place: str, change: Callable[[dict[str, Any]], object]) -> None:
    found = reports(REPORT, other(change), "int8")
    assert not found.holds
    assert [line.partition(":")[0] for line in found.differences] == [place]


def test_a_probability_that_one_of_both_has_not_is_a_difference() -> None:
    assert not reports(REPORT, other(lambda result: result.update(probability=None)), "int8").holds


def test_a_report_without_a_result_proves_nothing() -> None:
    empty = {**REPORT, "results": []}
    assert not reports(empty, empty, "int8").holds
    assert not reports(REPORT, empty, "int8").holds


def arrays() -> dict[str, Any]:
    values = np.linspace(-2, 2, 9, dtype=np.float32)
    return {"classifier/000/in/image": values, "classifier/000/out/logits": values}


def test_a_network_s_outputs_may_differ_within_the_tolerance() -> None:
    near, far = arrays(), arrays()
    near["classifier/000/out/logits"] = near["classifier/000/out/logits"] * np.float32(1 + NETWORK["int8"] / 2)
    far["classifier/000/out/logits"] = far["classifier/000/out/logits"] * np.float32(1 + NETWORK["int8"] * 2)
    assert networks(arrays(), near, "int8").holds
    assert not networks(arrays(), near, "fp32").holds
    assert not networks(arrays(), far, "int8").holds


def test_a_network_s_inputs_are_equal_to_the_bit() -> None:
    found = arrays()
    found["classifier/000/in/image"] = np.nextafter(found["classifier/000/in/image"], np.float32(9))
    differences = networks(arrays(), found, "int8").differences
    assert len(differences) == 1
    assert differences[0].startswith("classifier/000/in/image: differs by ")


def test_a_run_that_one_of_both_has_not_is_a_difference() -> None:
    fewer = arrays()
    del fewer["classifier/000/out/logits"]
    assert not networks(arrays(), fewer, "int8").holds
    assert not networks({}, {}, "int8").holds


def test_not_a_number_is_never_within_a_tolerance() -> None:
    broken = arrays()
    broken["classifier/000/out/logits"] = np.full(9, np.nan, np.float32)
    assert not networks(arrays(), broken, "int8").holds


def test_the_table_is_aligned_under_its_heads() -> None:
    lines = table("infer\t12\t0\t0.0001\tequal\tok\nlonger name\t3\t-\t-\t\tok\n").splitlines()
    assert len({line.index(word) for line, word in zip(lines, ["  s ", "  12", "  3 "], strict=True)}) == 1


def test_cpuinfo_names_the_features_whose_bits_are_set() -> None:
    bits = 1 << HWCAP.index("asimd") | 1 << HWCAP.index("asimddp")
    found = features_from_bits(bits, 1 << HWCAP2.index("i8mm"))
    assert found == ["asimd", "asimddp", "i8mm"]
    assert (HWCAP.index("asimddp"), HWCAP2.index("i8mm")) == (20, 13)
    assert "Features\t: asimd asimddp i8mm\n" in cpu_info("cortex-a76", found)
