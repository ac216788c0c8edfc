"""``edge-sacro reference`` as people and programs type it, and the page that it writes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from edge_sacro import reference
from edge_sacro.cli import main
from edge_sacro.commands.reference import markdown_from_findings
from edge_sacro.reference import PAPERS, Verdict, verify
from edge_sacro.reference.types import by
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "reference-metrics.md"
GENERATED = "<!-- edge-sacro reference verify --only contradiction --markdown -->\n"


def _reference(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["reference", *arguments])


def test_contradictions_of_the_papers_leave_the_exit_code_alone() -> None:
    done = _reference("verify", "--paper", "noh2021")
    assert done.exit_code == 0, done.output
    assert "contradiction: 14" in done.stdout
    assert "86.84%" in done.stdout


def test_findings_are_one_document_for_programs() -> None:
    document = json.loads(_reference("verify", "--json", "--only", "contradiction").stdout)
    assert document["counts"]["contradiction"] == len(document["findings"]) == 41
    assert {finding["paper"] for finding in document["findings"]} == set(PAPERS)
    first = next(each for each in document["findings"] if each["figure"] == "per image accuracy")
    assert (first["printed"], first["recomputed"], first["place"]) == ("91.3%", "86.84%", "Table 2")


def test_figures_that_nothing_determines_are_listed_on_demand() -> None:
    document = json.loads(_reference("verify", "--json", "--only", "not determined", "--paper", "noh2021").stdout)
    assert "mAP at IoU 0.5" in {finding["figure"] for finding in document["findings"]}
    assert all(finding["recomputed"] == "" for finding in document["findings"])


def test_broken_data_end_with_the_code_of_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    paper = PAPERS["fu2024"]
    broken = replace(paper.figures[0], derived=(by("same", "no such figure"),))
    monkeypatch.setitem(reference.PAPERS, "fu2024", replace(paper, figures=(broken, *paper.figures[1:])))
    done = _reference("verify", "--paper", "fu2024")
    assert done.exit_code == 70
    assert "no such figure" in done.stderr


def test_figures_of_a_system_are_shown_with_their_places() -> None:
    text = _reference("show", "noh2021").stdout
    assert "Noh SH et al." in text
    assert "156 / 29 / 5 / 190" in text
    document = json.loads(_reference("show", "dorfner2024-standard", "--json").stdout)
    ratio = next(each for each in document["figures"] if each["name"] == "anatomy-aware odds ratio")
    assert (ratio["printed"], ratio["interval_95"], ratio["place"]) == ("2.16", "1.19 to 3.86", "Section 3.5")
    assert all(each["place"] for each in document["figures"])


@pytest.mark.parametrize("arguments", [["show", "nobody1999"], ["verify", "--paper", "nobody1999"]])
def test_an_unknown_paper_is_refused_with_the_known_ones(arguments: list[str]) -> None:
    done = _reference(*arguments)
    assert done.exit_code == 2
    assert "bressem2021" in done.stderr


def test_the_page_lists_the_contradictions_as_the_command_prints_them() -> None:
    generated = PAGE.read_text(encoding="utf-8").partition(GENERATED)[2]
    contradictions = [
        finding for paper in PAPERS.values() for finding in verify(paper) if finding.verdict is Verdict.CONTRADICTION
    ]
    assert generated == markdown_from_findings(contradictions)
    assert generated != markdown_from_findings(contradictions[1:])


def test_the_page_counts_what_is_held() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for paper in PAPERS.values():
        published = sum(figure.published for figure in paper.figures)
        assert f"| `{paper.name}` | {published} | {len(paper.matrices)} |" in text
