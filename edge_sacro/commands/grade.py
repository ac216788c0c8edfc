"""``edge-sacro grade``: from grades to the modified New York criterion, and back."""

from __future__ import annotations

import click

from edge_sacro.commands import exits_with_code

VERDICTS = {"definite": True, "not-definite": False}


@click.command(short_help="Grades of both joints and the New York criterion.")
@click.argument("grades", nargs=-1, type=int, metavar="[LEFT RIGHT]")
@click.option("--meaning", type=int, metavar="GRADE", help="Print what a grade means.")
@click.option("--back", type=click.Choice(list(VERDICTS)), help="Print every pair of grades that has this verdict.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@exits_with_code
def grade(grades: tuple[int, ...], meaning: int | None, back: str | None, as_json: bool) -> None:
    """Hold the grades of the patient's LEFT and RIGHT sacroiliac joint, 0 to 4, to the modified New York criterion.

    Each joint's truth by Noh 2021 (grade 2 or more) is told beside it.
    """
    import json
    from dataclasses import asdict

    from edge_sacro.errors import UsageError
    from edge_sacro.grades import CRITERION, meaning_from_grade, pairs_from_verdict, verdict_from_grades

    if (len(grades) == 2) + (meaning is not None) + (back is not None) != 1 or len(grades) not in {0, 2}:
        raise UsageError("give two grades, or --meaning, or --back")
    if meaning is not None:
        text = meaning_from_grade(meaning)
        click.echo(json.dumps({"grade": meaning, "meaning": text}) if as_json else f"{meaning}: {text}")
        return
    if back is not None:
        pairs = pairs_from_verdict(VERDICTS[back])
        if as_json:
            click.echo(json.dumps({"definite": VERDICTS[back], "left_right": pairs}))
            return
        click.echo(f"{len(pairs)} pairs of grades, left-right ({CRITERION}):")
        click.echo(" ".join(f"{left}-{right}" for left, right in pairs))
        return
    verdict = verdict_from_grades(*grades)
    if as_json:
        click.echo(json.dumps(asdict(verdict)))
        return
    click.echo(f"{'definite' if verdict.definite else 'no definite'} radiographic sacroiliitis: {verdict.grounds}")
    for side, number, positive in (
        ("left", verdict.left_grade, verdict.left_sacroiliitis),
        ("right", verdict.right_grade, verdict.right_sacroiliitis),
    ):
        alone = "sacroiliitis" if positive else "no sacroiliitis"
        click.echo(f"{side} joint: grade {number}, {meaning_from_grade(number)}; {alone} by Noh 2021")
