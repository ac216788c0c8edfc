"""The error tree: drawn as it is, one exit code a class, a remedy for each, the docs in step."""

from __future__ import annotations

import re

from edge_sacro import errors
from edge_sacro.errors import EdgeSacroError, all_errors
from tests.conftest import ROOT


def test_each_class_has_its_own_exit_code_and_code() -> None:
    exit_codes = [error.exit_code for error in all_errors()]
    codes = [error.code for error in all_errors()]
    assert len(set(exit_codes)) == len(exit_codes)
    assert len(set(codes)) == len(codes)


def test_no_class_takes_the_exit_code_of_an_answer() -> None:
    assert not {0, 3} & {error.exit_code for error in all_errors()}


def test_the_drawing_in_the_docstring_is_the_tree() -> None:
    drawn = dict(re.findall(r"(\w+)\s+(\d+)", (errors.__doc__ or "").split("Exit code 3")[0]))
    assert drawn == {error.__name__: str(error.exit_code) for error in all_errors()}


def test_each_message_says_where_what_and_how_to_mend_it() -> None:
    for error in all_errors():
        text = str(error("it broke", source="study.dcm"))
        assert text.startswith("study.dcm: it broke")
        assert error.code in text
        assert text.endswith(error.default_remedy)
        assert error.default_remedy.endswith(".")


def test_an_error_told_of_another_place_keeps_its_class_and_remedy() -> None:
    moved = errors.WrongView("it is lateral", source="a", remedy="Turn it.").with_source("b")
    assert type(moved) is errors.WrongView
    assert (moved.source, moved.remedy) == ("b", "Turn it.")


def test_docs_list_every_error_with_its_exit_code() -> None:
    text = (ROOT / "docs" / "errors.md").read_text()
    listed = {(name, int(code)) for name, code in re.findall(r"^\| `(\w+)` \| (\d+) \|", text, re.MULTILINE)}
    assert listed == {(error.code, error.exit_code) for error in all_errors()}


def test_docs_list_every_reason_for_no_decision() -> None:
    from edge_sacro.reasons import IMAGE_REASONS, JOINT_REASONS, SERIES_REASONS, SLICE_REASONS

    text = (ROOT / "docs" / "errors.md").read_text()
    for code, sentence in {**JOINT_REASONS, **IMAGE_REASONS, **SLICE_REASONS, **SERIES_REASONS}.items():
        assert f"| `{code}` | {sentence} |" in text


def test_all_errors_finds_the_whole_module() -> None:
    defined = {
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, EdgeSacroError)
    }
    assert set(all_errors()) == defined
