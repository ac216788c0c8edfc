"""What a system was not published for is refused by name, and what a user overrides is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_sacro.dicom import check_acceptance, read
from edge_sacro.errors import LossyLimitExceeded, UnsupportedModality, UsageError, WrongBodyPart, WrongView
from edge_sacro.types import Radiograph
from tests.dicom.synthetic import dicom


@pytest.fixture(scope="module")
def pelvis() -> Radiograph:
    return read(dicom())


def test_frontal_pelvis_is_accepted_without_a_note(pelvis: Radiograph) -> None:
    assert check_acceptance(pelvis) == ()
    assert check_acceptance(replace(pelvis, modality="CR", view="PA")) == ()


@pytest.mark.parametrize("modality", ["MR", "CT", "US", "OT", ""])
def test_other_modalities_are_refused_and_cannot_be_overridden(pelvis: Radiograph, modality: str) -> None:
    with pytest.raises(UnsupportedModality):
        check_acceptance(replace(pelvis, modality=modality), overrides=frozenset({"wrong_view"}))
    with pytest.raises(UsageError):
        check_acceptance(pelvis, overrides=frozenset({"wrong_modality"}))
    assert check_acceptance(replace(pelvis, modality="CT", view=None), frozenset({"CT"})) == ()


@pytest.mark.parametrize(
    "part",
    ["PELVIS", "HIP", "HIPS", "SIJOINT", "SI JOINT", "S.I. JOINT", "SSPINE", "SACRUM", "ABDOMEN/PELVIS",
     "ABDOMENPELVIS", "ABDOMEN AND PELVIS", "PELVIS AND LOWER EXTREMITIES", "LSPINE", "LS SPINE", "L-SPINE", "Pelvis"],
)  # fmt: skip
def test_spellings_of_the_pelvis_are_accepted(pelvis: Radiograph, part: str) -> None:
    assert check_acceptance(replace(pelvis, body_part=part)) == ()


@pytest.mark.parametrize("part", ["CHEST", "HAND", "KNEE", "CSPINE", "SKULL", "ABDOMEN", "PELVISX"])
def test_other_body_parts_are_refused_unless_overridden(pelvis: Radiograph, part: str) -> None:
    wrong = replace(pelvis, body_part=part)
    with pytest.raises(WrongBodyPart, match=part):
        check_acceptance(wrong)
    (note,) = check_acceptance(wrong, overrides=frozenset({"wrong_body_part"}))
    assert part in note
    with pytest.raises(WrongBodyPart):
        check_acceptance(wrong, overrides=frozenset({"wrong_view"}))


@pytest.mark.parametrize("view", ["LATERAL", "LL", "RL", "LLD", "RLD", "LLO", "RLO", "OBLIQUE"])
def test_other_views_are_refused_unless_overridden(pelvis: Radiograph, view: str) -> None:
    wrong = replace(pelvis, view=view)
    with pytest.raises(WrongView, match=view):
        check_acceptance(wrong)
    (note,) = check_acceptance(wrong, overrides=frozenset({"wrong_view"}))
    assert view in note


def test_absent_body_part_and_view_are_accepted_and_said(pelvis: Radiograph) -> None:
    notes = check_acceptance(replace(pelvis, body_part=None, view=None))
    assert len(notes) == 2


def test_loss_beyond_the_limit_is_refused_unless_overridden(pelvis: Radiograph) -> None:
    (loss,) = check_acceptance(replace(pelvis, lossy=True, lossy_ratio=50.0))
    assert "50" in loss
    heavy = replace(pelvis, lossy=True, lossy_ratio=50.5)
    with pytest.raises(LossyLimitExceeded):
        check_acceptance(heavy)
    assert check_acceptance(heavy, lossy_limit=51) == check_acceptance(heavy, overrides=frozenset({"lossy_limit"}))[:1]
    _, note = check_acceptance(heavy, overrides=frozenset({"lossy_limit"}))
    assert "50.5" in note


def test_first_refusal_that_is_not_overridden_is_raised(pelvis: Radiograph) -> None:
    wrong = replace(pelvis, body_part="HAND", view="LL")
    with pytest.raises(WrongView):
        check_acceptance(wrong, overrides=frozenset({"wrong_body_part"}))
    assert len(check_acceptance(wrong, overrides=frozenset({"wrong_body_part", "wrong_view"}))) == 2


@pytest.mark.shared
def test_rg2_is_accepted_and_its_lossy_copies_say_so(shared_dir: Path) -> None:
    lossy = {"RG2_JPLY", "RG2_JLSN", "RG2_J2KI"}
    for path in sorted((shared_dir / "data" / "wg04_rg2").glob("*.dcm")):
        notes = check_acceptance(read(path))
        assert any("view" in note for note in notes)
        assert any("loss" in note for note in notes) == (path.stem in lossy)
