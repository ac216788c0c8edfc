"""The gate's figures, each against numbers that are known, and each fault told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.accuracy import (
    Answer,
    Budget,
    Figures,
    auc_from_scores,
    compared,
    explanation_agreement,
    faults,
    network_faults,
    truths_from_json,
)
from edge_sacro.bundle import load_bundle
from edge_sacro.errors import CalibrationRefused, UsageError
from tests.calibration.nets import classifier_with_explanation, write_standard_bundle

KEPT = Figures(10, 0.01, 0.001, 0.9, 0.001, 0, 0, 0, 1.0, 1.0)


def answer(name: str, probability: float | None, crop: tuple[int, ...] | None = (0, 0, 10, 10)) -> Answer:
    return Answer(name, {} if probability is None else {"image": probability}, crop)


def test_figures_are_those_of_the_pairs(tmp_path: Path) -> None:
    """The cut-off is 0.59 and the band 0.01 wide on either side."""
    manifest = load_bundle(write_standard_bundle(tmp_path / "b", classifier_with_explanation())).manifest
    one = [answer("a", 0.2), answer("b", 0.585), answer("c", 0.9), answer("d", 0.5), answer("e", 0.7)]
    two = [
        answer("a", 0.21),
        answer("b", 0.595),
        answer("c", 0.88, (0, 0, 5, 10)),
        answer("d", 0.75),
        answer("e", None),
    ]
    found = compared(one, two, {"a": False, "b": False, "c": True, "d": True}, manifest)
    assert (found.images, found.lost, found.flips, found.flips_outside) == (4, 1, 2, 1)
    assert found.max_dp == pytest.approx(0.25)
    assert found.mean_dp == pytest.approx((0.01 + 0.01 + 0.02 + 0.25) / 4)
    assert found.auc == pytest.approx(0.75)
    assert found.delta_auc == pytest.approx(0.25)
    assert found.least_iou == pytest.approx(0.5)
    apart = compared(one, two, {}, manifest, {"d"})
    assert (apart.unstable, apart.flips, apart.flips_outside) == (1, 1, 0)
    assert (apart.max_dp, apart.unstable_max_dp) == pytest.approx((0.02, 0.25))
    same = compared(one, one, {}, manifest)
    assert (same.max_dp, same.flips, same.lost, same.auc, same.delta_auc) == (0.0, 0, 0, None, None)
    with pytest.raises(CalibrationRefused, match="no file"):
        compared([answer("a", None)], [answer("a", 0.1)], {}, manifest)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"max_dp": 0.0201}, "max |dp|"),
        ({"delta_auc": -0.0051}, "|dAUC|"),
        ({"flips_outside": 1}, "flip outside"),
        ({"lost": 1}, "one precision alone"),
    ],
)
def test_every_line_of_the_budget_is_kept_or_told(changed: dict[str, float], told: str) -> None:
    assert faults(replace(KEPT, flips=3), Budget()) == []
    (fault,) = faults(replace(KEPT, **changed), Budget())
    assert told in fault


def test_an_explanation_that_turns_or_vanishes_is_told() -> None:
    true = np.zeros((1, 2, 4, 4), np.float32)
    true[0, :, 1, 1] = 1.0
    true[0, :, 2, 2] = 0.5
    reference = [{"explanation": true}]
    assert explanation_agreement(reference, [{"explanation": 3 * true}]) == pytest.approx((1.0, 1.0))
    assert network_faults(reference, [{"explanation": true}], Budget()) == []
    turned = true.copy()
    turned[0, 1, 2, 2] = 1.1
    cosine, peak = explanation_agreement(reference, [{"explanation": turned}])
    assert cosine == pytest.approx((1 + 0.55) / np.sqrt(1.25 * (1 + 1.21)))
    assert peak == pytest.approx(0.5)
    assert len(network_faults(reference, [{"explanation": turned}], Budget())) == 2
    assert explanation_agreement(reference, [{"explanation": 0 * true}])[0] == 0.0
    assert explanation_agreement([{"explanation": 0 * true}], [{"explanation": true}]) == (1.0, 1.0)


def test_a_classifiers_probability_is_held_on_the_same_inputs() -> None:
    reference = [{"logits": np.array([[0.0, 0.0]], np.float32)}]
    near, far = ([{"logits": np.array([[0.0, value]], np.float32)}] for value in (0.07, 0.09))
    assert network_faults(reference, near, Budget()) == []
    assert "max |dp| is 0.0225" in network_faults(reference, far, Budget())[0]


def test_area_under_the_curve_counts_ties_half() -> None:
    labels = np.array([True, True, False, False])
    assert auc_from_scores(np.array([0.9, 0.5, 0.5, 0.1]), labels) == pytest.approx(0.875)
    assert auc_from_scores(np.array([0.1, 0.2]), np.array([True, True])) is None


def test_truth_without_its_keys_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text('{"images": [{"sha256": "a", "mny_positive": true}]}')
    assert truths_from_json(path) == {"a": True}
    path.write_text('{"images": [{"sha256": "a"}]}')
    with pytest.raises(UsageError, match="mny_positive"):
        truths_from_json(path)
