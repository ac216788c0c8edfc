"""The papers' contradictions by name, and every rule's power to find one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_sacro.reference import PAPERS, Figure, Finding, Paper, Verdict, paper_of_system, verify
from edge_sacro.reference.intervals import INTERVAL_RULES
from edge_sacro.reference.rules import RULES, Known, Recomputed
from edge_sacro.reference.types import Interval, by
from edge_sacro.reference.verify import verdict_of_value
from edge_sacro.systems import SYSTEMS

KNOWN_CONTRADICTIONS = {
    "noh2021": {
        ("controls for each patient with AS", "1.5", "1.87"),
        ("patients with AS", "241", "232"),
        ("age, mean", "33.3", "32.94"),
        ("grade 1, share of all", "57.4%", "54.30%"),
        ("patients, by their grades", "674", "911"),
        ("epochs", "17,500", "370.4"),
        ("per joint sensitivity", "96.9%", "84.32%"),
        ("per joint specificity", "86.8%", "97.44%"),
        ("per joint F1, 95% CI", "85.0 to 93.9%", "86.71 to 93.30%"),
        ("per image sensitivity", "94.6%", "81.31%"),
        ("per image specificity", "79.6%", "93.98%"),
        ("per image accuracy", "91.3%", "86.84%"),
        ("per image accuracy, 95% CI", "87.7 to 93.7%", "81.19 to 91.30%"),
        ("per image F1, 95% CI", "79.5 to 92.9%", "82.11 to 92.00%"),
    },
    "bressem2021": {
        ("PROOF HLA-B27 positive, share", "64.6%", "53.83%"),
        ("validation cut-off 1 specificity", "0.177", "0.1899"),
        ("validation cut-off 1 called positive", "227", "213"),
        ("validation cut-off 2 sensitivity", "0.753", "0.7467"),
        ("validation cut-off 3 sensitivity", "0.880", "0.8733"),
        ("test cut-off 1 specificity", "0.264", "0.2791"),
    },
    "poddubnyy2020": {
        ("validation cut-off 1 sensitivity", "0.994", "0.9875"),
        ("validation cut-off 2 sensitivity", "0.656", "0.6500"),
        ("validation cut-off 3 sensitivity", "0.9", "0.8938"),
        ("test cut-off 1 sensitivity", "1", "0.9815"),
        ("test cut-off 1 specificity", "0.478", "0.5217"),
        ("test cut-off 2 sensitivity", "0.574", "0.5556"),
        ("test cut-off 3 sensitivity", "0.87", "0.8519"),
        ("test cut-off 3 specificity", "0.966", "0.9565"),
    },
    "dorfner2024": {
        ("validation standard accuracy", "0.826", "0.8198"),
        ("validation anatomy-aware accuracy", "0.836", "0.8335"),
        ("DAMACT standard accuracy, abstract", "0.724", "0.7422"),
        ("DAMACT anatomy-aware accuracy, abstract", "0.744", "0.6994"),
        ("OptiRef standard accuracy, abstract", "0.850", "0.9116"),
        ("OptiRef anatomy-aware accuracy, abstract", "0.906", "0.8880"),
        ("DAMACT anatomy-aware AUC, 95% CI", "0.779 to 0.997", "within 0.7428 to 0.9492"),
        ("anatomy-aware odds ratio", "2.16", "2.933"),
        ("anatomy-aware odds ratio, abstract", "2.16", "2.933"),
        ("standard odds ratio", "1.24", "1.308"),
    },
    "fu2024": {
        ("DenseNet accuracy after 20 epochs", "0.95", "0.960"),
        ("VGG16 rank of improvement", "slowest", "1"),
        ("ResNeXt-50 rank of improvement", "fastest", "4"),
    },
}


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return {name: verify(paper) for name, paper in PAPERS.items()}


@pytest.mark.parametrize("name", PAPERS)
def test_the_contradictions_of_a_paper_are_these_with_both_values(
    name: str, findings: dict[str, list[Finding]]
) -> None:
    found = [each for each in findings[name] if each.verdict is Verdict.CONTRADICTION]
    assert {(each.figure, each.printed, each.recomputed) for each in found} == KNOWN_CONTRADICTIONS[name]


def test_a_contradicted_proportion_says_by_how_many_patients(findings: dict[str, list[Finding]]) -> None:
    notes = {each.figure: each.note for each in findings["bressem2021"] if each.verdict is Verdict.CONTRADICTION}
    assert notes["validation cut-off 2 sensitivity"] == "112 of 150; the printed value is 113 of 150"
    assert notes["test cut-off 1 specificity"] == "36 of 129; the printed value is 34 of 129"
    (impossible,) = (each for each in findings["poddubnyy2020"] if each.printed == "0.966" and each.note)
    assert impossible.note == "44 of 46; no whole number of 46 is the printed value"


def test_the_odds_ratio_is_a_ratio_of_proportions_by_its_counts(findings: dict[str, list[Finding]]) -> None:
    ratios = [each for each in findings["dorfner2024"] if each.figure == "anatomy-aware odds ratio"]
    assert [(each.rule.split(":")[0], each.verdict) for each in ratios] == [
        ("ratio of proportions", Verdict.AGREEMENT),
        ("odds ratio", Verdict.CONTRADICTION),
    ]


def test_every_rule_of_the_table_is_used(findings: dict[str, list[Finding]]) -> None:
    figures = [figure for paper in PAPERS.values() for figure in paper.figures]
    intervals = [figure.interval for figure in figures if figure.interval]
    assert {each.rule for figure in figures for each in figure.derived} == set(RULES)
    assert {each.rule for interval in intervals for each in interval.derived} == set(INTERVAL_RULES)


def _with_figure(paper: Paper, altered: Figure) -> Paper:
    return replace(paper, figures=tuple(altered if f.name == altered.name else f for f in paper.figures))


def _verdict(paper: Paper, figure: str) -> Verdict:
    return next(each.verdict for each in verify(paper) if each.figure == figure)


def _uses(rules: str) -> dict[str, tuple[Paper, Figure]]:
    """For each rule, the first figure that it determines before any other."""
    uses: dict[str, tuple[Paper, Figure]] = {}
    for paper in PAPERS.values():
        for figure in paper.figures:
            derived = figure.derived if rules == "values" else figure.interval.derived if figure.interval else ()
            for each in derived[:1]:
                if each.rule not in uses:
                    uses[each.rule] = (paper, figure)
    return uses


def _alone(paper: Paper, figure: Figure) -> Paper:
    """The paper with a figure's own derivations and no others."""
    bare = tuple(replace(f, derived=(), interval=_ends_only(f), published=True) for f in paper.figures)
    return _with_figure(replace(paper, figures=bare), replace(figure, published=True))


def _ends_only(figure: Figure) -> Interval | None:
    return figure.interval and replace(figure.interval, derived=())


@pytest.mark.parametrize("rule", sorted(_uses("values")))
def test_a_rule_of_values_agrees_with_a_mended_figure_and_not_with_an_altered_one(rule: str) -> None:
    paper, figure = _uses("values")[rule]
    figure = replace(figure, derived=figure.derived[:1], interval=None)
    found = RULES[rule].compute(Known(paper), figure, figure.derived[0].given)
    right = (found.low + found.high) / 2 if found.value is None else found.value
    wrong = found.low - 0.1 if found.value is None else right + 3 * (figure.unit or 1)
    if rule == "nearest share":
        wrong = right + 1.5 / paper.figure(str(figure.derived[0].given[0])).value
        figure = replace(figure, decimals=6)
    mended, altered = (replace(figure, meant=value) for value in (right, wrong))
    assert _verdict(_alone(paper, mended), figure.name) is Verdict.AGREEMENT
    assert _verdict(_alone(paper, altered), figure.name) is Verdict.CONTRADICTION


@pytest.mark.parametrize("rule", sorted(_uses("intervals")))
@pytest.mark.parametrize("end", ["low", "high"])
def test_a_rule_of_intervals_finds_an_altered_end(rule: str, end: str) -> None:
    paper, figure = _uses("intervals")[rule]
    assert figure.interval is not None
    whole = replace(figure.interval, derived=figure.interval.derived[:1])
    value, ends = figure.value / figure.scale, {"low": whole.low, "high": whole.high}
    ends[end] = f"{value + 3 * (float(ends[end]) - value):.3f}"
    altered = replace(whole, **ends)
    name = f"{figure.name}, 95% CI"
    agreeing, contradicted = (replace(figure, derived=(), interval=each) for each in (whole, altered))
    assert _verdict(_alone(paper, agreeing), name) is Verdict.AGREEMENT
    assert _verdict(_alone(paper, contradicted), name) is Verdict.CONTRADICTION


@pytest.mark.parametrize(
    ("name", "matrix", "cells", "figure"),
    [
        ("bressem2021", "validation cut-off 2", {"tp": 113, "fn": 37}, "validation cut-off 2 sensitivity"),
        ("bressem2021", "test cut-off 1", {"tn": 34, "fp": 95}, "test cut-off 1 specificity"),
        ("poddubnyy2020", "test cut-off 2", {"tp": 31, "fn": 23}, "test cut-off 2 sensitivity"),
    ],
)
def test_a_mended_matrix_takes_the_contradiction_away(
    name: str, matrix: str, cells: dict[str, int], figure: str
) -> None:
    paper = replace(PAPERS[name], figures=tuple(replace(f, interval=None) for f in PAPERS[name].figures))
    assert _verdict(paper, figure) is Verdict.CONTRADICTION
    mended = tuple(replace(m, **cells) if m.name == matrix else m for m in paper.matrices)
    assert _verdict(replace(paper, matrices=mended), figure) is not Verdict.CONTRADICTION


def test_a_mended_figure_takes_the_contradiction_away() -> None:
    paper = PAPERS["dorfner2024"]
    auc = paper.figure("DAMACT anatomy-aware AUC")
    assert auc.interval is not None
    mended = replace(auc, interval=replace(auc.interval, high="0.897"))
    assert _verdict(_with_figure(paper, mended), "DAMACT anatomy-aware AUC, 95% CI") is Verdict.AGREEMENT
    ranked = replace(PAPERS["fu2024"].figure("VGG16 rank of improvement"), meant=1.0)
    assert _verdict(_with_figure(PAPERS["fu2024"], ranked), ranked.name) is Verdict.AGREEMENT


@pytest.mark.parametrize(
    ("printed", "recomputed", "verdict"),
    [
        ("0.93", Recomputed(0.9349, 0.9349, 0.9349), Verdict.AGREEMENT),
        ("0.93", Recomputed(0.9251, 0.9251, 0.9251), Verdict.AGREEMENT),
        ("0.93", Recomputed(0.9399, 0.9399, 0.9399), Verdict.ROUNDING),
        ("0.93", Recomputed(0.9401, 0.9401, 0.9401), Verdict.CONTRADICTION),
        ("0.93", Recomputed(0.935, 0.955, 0.945), Verdict.ROUNDING),
        ("0.93", Recomputed(0.9, 0.95), Verdict.AGREEMENT),
        ("0.93", Recomputed(0.94, 0.95), Verdict.CONTRADICTION),
        ("93", Recomputed(93, 93, 93), Verdict.AGREEMENT),
        ("93", Recomputed(94, 94, 94), Verdict.CONTRADICTION),
    ],
)
def test_a_verdict_holds_a_figure_to_its_printed_digits(printed: str, recomputed: Recomputed, verdict: Verdict) -> None:
    assert verdict_of_value(Figure("any", printed, "nowhere"), recomputed) is verdict


def test_digits_give_value_and_unit() -> None:
    assert Figure("share", "96.9", "nowhere", percent=True).value == pytest.approx(0.969)
    assert Figure("share", "96.9", "nowhere", percent=True).unit == pytest.approx(0.001)
    assert Figure("count", "1,155", "nowhere").value == 1155
    assert Figure("count", "1,155", "nowhere").unit == 0
    assert Figure("share", "0.9", "nowhere", decimals=3).unit == pytest.approx(0.001)


def test_a_paper_with_a_name_twice_is_refused() -> None:
    twice = Figure("AUC", "0.9", "nowhere")
    with pytest.raises(ValueError, match="named twice: AUC"):
        Paper("a paper", "none", (twice, twice))


@pytest.mark.parametrize("derivation", [by("no such rule", "AUC"), by("same", "no such figure"), by("kappa", "none")])
def test_data_that_name_what_does_not_exist_are_an_error(derivation: object) -> None:
    broken = Paper("a paper", "none", (Figure("AUC", "0.9", "nowhere", derived=(derivation,)),))  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        verify(broken)


def test_a_number_counted_on_the_way_is_no_finding_but_must_be_right() -> None:
    paper = PAPERS["noh2021"]
    counted = paper.figure("positive joints")
    assert counted.name not in {each.figure for each in verify(paper)}
    with pytest.raises(ValueError, match="positive joints is not 162"):
        verify(_with_figure(paper, replace(counted, printed="162")))


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_cut_offs_of_the_systems_are_figures_of_their_papers(system: str) -> None:
    printed = {figure.value for figure in paper_of_system(system).figures if "cut-off" in figure.name}
    published = [point for point in SYSTEMS[system].operating_points if not point.source.startswith("ours")]
    assert {point.threshold for point in published} <= printed
    assert published or not printed
