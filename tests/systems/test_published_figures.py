"""Each system points at its paper's figures, and its cut-offs are published ones, each by its own name there."""

from __future__ import annotations

import math

import pytest

from edge_sacro.reference import PAPERS, paper_of_system
from edge_sacro.systems import SYSTEMS

CUT_OFFS = {
    "noh2021": {"best_box": "score cut-off"},
    "bressem2021": {
        "balanced": "cut-off 3, balanced",
        "sensitivity": "cut-off 1, favouring sensitivity",
        "specificity": "cut-off 2, favouring specificity",
    },
    "poddubnyy2020": {
        "validation-balanced": "validation cut-off 3, balanced",
        "validation-sensitivity": "validation cut-off 1, favouring sensitivity",
        "validation-specificity": "validation cut-off 2, favouring specificity",
        "test-balanced": "test cut-off 3, balanced",
        "test-sensitivity": "test cut-off 1, favouring sensitivity",
        "test-specificity": "test cut-off 2, favouring specificity",
    },
    "dorfner2024": {"accuracy": "anatomy-aware cut-off"},
    "dorfner2024-standard": {"accuracy": "standard cut-off"},
}
"""By system and operating point, the figure of the paper; fu2024 publishes none."""


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_pointer_leads_to_a_paper_of_the_same_authors_and_year(name: str) -> None:
    reference = SYSTEMS[name].reference
    assert reference in PAPERS
    assert paper_of_system(name) is PAPERS[reference]
    author = SYSTEMS[name].citation.split()[0]
    assert PAPERS[reference].citation.startswith(author)
    assert sum(paper.citation.startswith(author) for paper in PAPERS.values()) == 1


@pytest.mark.parametrize("name", SYSTEMS)
def test_operating_points_are_the_figures_that_they_are_named_for(name: str) -> None:
    system, paper = SYSTEMS[name], paper_of_system(name)
    published = {point.name: point for point in system.operating_points if not point.source.startswith("ours")}
    figures = CUT_OFFS.get(name, {})
    assert set(published) == set(figures)
    for point, figure in figures.items():
        printed = paper.figure(figure)
        assert math.isclose(published[point].threshold, printed.value, abs_tol=1e-12)
        assert not math.isclose(published[point].threshold, printed.value + printed.unit, abs_tol=1e-12)


def test_no_cut_off_of_the_preprint_is_one_of_the_later_paper() -> None:
    preprint, paper = (
        {point.threshold for point in SYSTEMS[name].operating_points} for name in ("poddubnyy2020", "bressem2021")
    )
    assert not preprint & paper


def test_a_name_without_figures_has_no_paper() -> None:
    with pytest.raises(KeyError):
        paper_of_system("noh")
