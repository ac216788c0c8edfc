"""A bundle that the system's stages cannot feed or read is refused when it is loaded."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from edge_sacro.errors import BundleContractBroken
from edge_sacro.manifest import Manifest
from edge_sacro.runtime import Runtime
from edge_sacro.systems import SYSTEMS
from edge_sacro.systems.contract import check_bundle
from tests.systems.bundles import write_classifier_bundle, write_detector_bundle
from tests.tiny import write_bundle, write_standard_bundle


def test_every_system_has_its_own_name_and_cut_offs_with_sources() -> None:
    assert all(name == system.name for name, system in SYSTEMS.items())
    for system in SYSTEMS.values():
        names = [point.name for point in system.operating_points]
        assert names
        assert len(set(names)) == len(names)
        assert all(point.source for point in system.operating_points)


def _fields(folder: Path) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return fields


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("contracts")
    return {
        "dorfner2024": _fields(write_bundle(folder / "tiny")),
        "dorfner2024-standard": _fields(write_standard_bundle(folder / "standard")),
        "noh2021": _fields(write_detector_bundle(folder / "noh")),
        **{
            name: _fields(write_classifier_bundle(folder / name, name, explanation=True))
            for name in ("bressem2021", "poddubnyy2020", "fu2024-vgg16")
        },
    }


def _check(fields: dict[str, Any]) -> None:
    manifest = Manifest.model_validate_json(json.dumps(fields))
    check_bundle(SYSTEMS[manifest.system].contract(manifest), manifest)


def _changed(fields: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(fields)
    *way, last = (int(step) if step.isdigit() else step for step in place.split("."))
    inner: Any = changed
    for step in way:
        inner = inner[step]
    inner[last] = value
    return changed


def test_the_bundles_of_these_tests_meet_their_contracts(manifests: dict[str, dict[str, Any]]) -> None:
    for fields in manifests.values():
        _check(fields)


@pytest.mark.parametrize(
    ("system", "place", "value", "told"),
    [
        ("bressem2021", "networks.classifier.inputs.0.shape", [1, 1, 96, 96], "(1, 3, 96, 96)"),
        ("bressem2021", "networks.classifier.inputs.0.shape", [1, 3, 96, 64], "(1, 3, 96, 96)"),
        ("bressem2021", "classification.rows", 64, "(1, 3, 64, 96)"),
        ("bressem2021", "networks.classifier.outputs.0.shape", [1, 1], "'logits' is (1, 1)"),
        ("bressem2021", "networks.classifier.outputs.0.name", "probabilities", "no output 'logits'"),
        ("bressem2021", "networks.classifier.outputs.1.name", "features", "'features' is known to no stage"),
        ("bressem2021", "networks.classifier.outputs.1.shape", [1, 3, 12, 12], "'explanation' is (1, 3, 12, 12)"),
        ("bressem2021", "classes", ["r-axSpA", "nr-axSpA"], "classes are"),
        ("bressem2021", "numerics", "published", "numerics are 'published'"),
        ("poddubnyy2020", "normaliser", "hounsfield-window-1", "normaliser is 'hounsfield-window-1'"),
        ("fu2024-vgg16", "normaliser", "normaliser-1", "normaliser is 'normaliser-1'"),
        ("fu2024-vgg16", "classes", ["sacroiliitis", "no sacroiliitis"], "classes are"),
        ("noh2021", "classes", ["sacroiliitis", "normal"], "classes are"),
        ("noh2021", "detection.size", 64, "(1, 3, 64, 64)"),
        ("noh2021", "networks.detector.outputs.0.shape", [1, 2, 3], "'boxes' is (1, 2, 2, 4)"),
        ("noh2021", "networks.detector.outputs.0.shape", [1, 3, 2], "'scores' is (1, 3, 2)"),
        ("dorfner2024", "networks.segmenter.outputs.0.shape", [1, 3, 128, 128], "segmenter: output 'logits'"),
        ("dorfner2024", "segmentation.window", 64, "segmenter: inputs are"),
        ("dorfner2024-standard", "networks.classifier.inputs.0.shape", [1, 3, 32, 48], "(1, 1, 32, 48)"),
    ],
)
def test_what_the_stages_do_not_have_is_named(
    manifests: dict[str, dict[str, Any]], system: str, place: str, value: Any, told: str
) -> None:
    with pytest.raises(BundleContractBroken) as raised:
        _check(_changed(manifests[system], place, value))
    assert told in str(raised.value)


def test_the_runtime_refuses_such_a_bundle_before_it_opens_a_network(tmp_path: Path) -> None:
    folder = write_classifier_bundle(tmp_path / "bundle", "bressem2021", classes=["r-axSpA", "nr-axSpA"])
    opened: list[object] = []
    with pytest.raises(BundleContractBroken, match="classes are"):
        Runtime(folder, opener=lambda *arguments: opened.append(arguments))  # type: ignore[arg-type,func-returns-value]
    assert not opened
