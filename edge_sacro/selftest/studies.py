"""The phantoms of a selftest: as files beside their golden answers, or drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from edge_sacro.errors import InputNotFound
from edge_sacro.selftest.golden import Drawn, Golden

FIRST = (
    Drawn(seed=7, left_grade=0, right_grade=0),
    Drawn(seed=8, left_grade=3, right_grade=3),
    Drawn(seed=9101, left_grade=3, right_grade=3),
)
"""What is drawn where nothing is named: a healthy pelvis, and twice definite sacroiliitis on both sides."""


def draw(drawn: Drawn, target: Path) -> None:
    """Draw one phantom to a file: a radiograph, or the middle slice of a CT series of three."""
    from edge_sacro.phantom import CtOptions, PhantomOptions, write_ct_study, write_study

    left, right = drawn.left_grade, drawn.right_grade
    with TemporaryDirectory(prefix=".selftest-", dir=target.parent) as folder:
        if drawn.ct:
            write_ct_study(Path(folder), 1, drawn.seed, CtOptions(3, left_grade=left, right_grade=right))
        else:
            write_study(Path(folder), 1, drawn.seed, PhantomOptions(left_grade=left, right_grade=right))
        made = sorted(Path(folder).rglob("*.dcm"))
        made[len(made) // 2].replace(target)


def files_of(golden: Golden, folder: Path | None, scratch: Path) -> list[Path]:
    """Every study's file, in the order of the golden answers.

    Args:
        golden: the answers.
        folder: where the files lie; None to draw them.
        scratch: where to draw.

    Raises:
        InputNotFound: a file is not there and cannot be drawn.
    """
    found = []
    for study in golden.studies:
        path = None if folder is None else folder / study.file
        if path is None or not path.is_file():
            if study.drawn is None:
                raise InputNotFound("the study is not there", source=str(path or study.file))
            path = scratch / study.file
            draw(study.drawn, path)
        found.append(path)
    return found


def drawn_studies(ct: bool, scratch: Path) -> tuple[list[Path], Sequence[Drawn]]:
    """The phantoms that are drawn where nothing is named."""
    drawn = [each.model_copy(update={"ct": ct}) for each in FIRST]
    paths = [scratch / f"{'ct' if ct else 'dx'}-{each.seed}-{each.left_grade}{each.right_grade}.dcm" for each in drawn]
    for each, path in zip(drawn, paths, strict=True):
        draw(each, path)
    return paths, drawn
