"""CT series from files and from frames: what the runtime and the command answer, slice by slice and as a whole."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner
from pydicom.dataset import FileDataset

from edge_sacro.cli import main
from edge_sacro.decide import Rule
from edge_sacro.dicom import read
from edge_sacro.errors import UsageError
from edge_sacro.phantom import CtOptions, ct_from_series, render_ct
from edge_sacro.report import Report, Result, Series, json_from_report
from edge_sacro.runtime import Runtime
from edge_sacro.series_report import series_from_results
from edge_sacro.slices import selection_from_radiograph
from edge_sacro.types import OperatingPoint, State
from tests.conftest import ROOT
from tests.systems.bundles import write_classifier_bundle
from tests.systems.enhanced import enhanced_from_slices, group, saved
from tests.tiny import write_bundle, write_dicom

SLICES = 9


@pytest.fixture(scope="module")
def slices() -> list[FileDataset]:
    """From the phantom's whole pelvis: six slices through its joints, one below them and two above."""
    series = render_ct((3, 0), CtOptions(slices=19, size=256, pelvis=True))
    return [ct_from_series(series, number) for number in range(6, 6 + SLICES)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier_bundle(tmp_path_factory.mktemp("series") / "bundle", "fu2024-resnet101")


@pytest.fixture(scope="module")
def runtime(bundle: Path) -> Runtime:
    return Runtime(bundle, threads=1)


def comparable(result: Result) -> dict[str, Any]:
    """A result without what names its file and what differs from run to run."""
    return result.model_dump(exclude={"source", "timings_ms"})


def answered(runtime: Runtime, files: list[Path]) -> tuple[list[Result], Series]:
    results = [result for file in files for result in runtime.infer_all(file)]
    (series,) = runtime.report(results).series
    return results, series


def as_files(slices: list[FileDataset], folder: Path) -> list[Path]:
    return [saved(each, folder / f"{number}.dcm") for number, each in enumerate(slices)]


def test_frames_are_answered_as_the_slices_they_were_made_of(
    runtime: Runtime, slices: list[FileDataset], tmp_path: Path
) -> None:
    alone, series = answered(runtime, as_files(slices, tmp_path))
    frames, of_frames = answered(runtime, [saved(enhanced_from_slices(slices), tmp_path / "e.dcm")])
    assert [comparable(each) for each in frames] == [comparable(each) for each in alone]
    assert [each.source.frame for each in frames] == list(range(1, SLICES + 1))
    assert [each.source.frame for each in alone] == [None] * SLICES
    assert of_frames == series
    assert len({each.probability for each in frames}) > 1, "negative control: the slices differ"
    turned, _ = answered(runtime, [saved(enhanced_from_slices(slices[::-1]), tmp_path / "r.dcm")])
    assert [comparable(each) for each in turned] != [comparable(each) for each in alone], "negative control"


def test_the_series_is_the_mean_of_the_slices_through_the_joints(
    runtime: Runtime, slices: list[FileDataset], tmp_path: Path
) -> None:
    files = as_files(slices, tmp_path)
    results, series = answered(runtime, files[::-1])
    through = [selection_from_radiograph(read(file)).through_joints for file in files]
    assert 3 <= sum(through) < SLICES, "slices of both kinds were there"
    assert series.slices == list(range(SLICES))[::-1]
    assert series.selected == [SLICES - 1 - place for place, each in enumerate(through) if each]
    chosen = [results[place].probability or 0.0 for place in series.selected]
    assert series.probability == pytest.approx(np.mean(chosen), abs=5e-5)
    assert series.largest is not None
    assert series.largest.probability == max(chosen) == results[series.largest.result].probability
    assert series.positive + series.borderline + series.negative == len(chosen)
    assert all(result.probability is not None for result in results), "the selection hides no slice"
    left_out = [result for place, result in enumerate(results) if place not in series.selected]
    assert all(each.slice and each.slice.reason_code and each.slice.reason for each in left_out)


def test_all_slices_count_where_that_is_asked_for(bundle: Path, slices: list[FileDataset], tmp_path: Path) -> None:
    with Runtime(bundle, threads=1, slices="all") as runtime:
        results, series = answered(runtime, as_files(slices, tmp_path))
    assert (series.selection, series.selected) == ("all", list(range(SLICES)))
    assert series.probability == pytest.approx(np.mean([each.probability or 0.0 for each in results]), abs=5e-5)
    assert any("Every slice counts" in note for note in series.notes)
    assert any(each.slice and not each.slice.through_joints for each in results), "the selection is stated all the same"


def test_a_series_is_decided_by_the_cut_off_and_the_guard_band_of_its_slices(
    runtime: Runtime, slices: list[FileDataset], tmp_path: Path
) -> None:
    results, series = answered(runtime, as_files(slices, tmp_path))
    mean = series.probability or 0.0
    for threshold, band, state in (
        (mean - 0.001, 0.0, "positive"),
        (mean, 0.0, "negative"),
        (mean, 0.01, "borderline"),
    ):
        rule = Rule(OperatingPoint("drawn", threshold, "test"), band)
        (again,) = series_from_results(results, rule, "joints")
        assert (again.state.value, again.probability) == (state, mean)
        assert f"mean of {len(series.selected)} slices" in again.reason


def _no_position(whole: FileDataset) -> None:
    del group(whole, 5).PlanePositionSequence


def _another_kernel(whole: FileDataset) -> None:
    for number in range(1, SLICES + 1):
        group(whole, number).CTReconstructionSequence[0].ConvolutionKernel = "B70f" if number == 5 else "H30s"


def _same_place(whole: FileDataset) -> None:
    group(whole, 5).PlanePositionSequence = copy.deepcopy(group(whole, 4).PlanePositionSequence)


@pytest.mark.parametrize(
    ("change", "code", "refused"),
    [
        (_no_position, "slice_missing", 1),
        (_another_kernel, "mixed_kernels", 0),
        (_same_place, "duplicate_positions", 0),
    ],
)
def test_an_object_whose_frames_are_no_whole_stack_has_answers_and_no_mean(
    runtime: Runtime, slices: list[FileDataset], tmp_path: Path, change: Callable[..., None], code: str, refused: int
) -> None:
    whole = enhanced_from_slices(slices)
    change(whole)
    results, series = answered(runtime, [saved(whole, tmp_path / "a.dcm")])
    assert (series.state, series.reason_code, series.probability) == (State.NOT_ASSESSABLE, code, None)
    assert series.refused == refused == sum(each.state is State.REFUSED for each in results)
    assert len(results) == len(series.slices) == SLICES
    for result in results:
        if result.state is State.REFUSED:
            assert (result.source.frame, result.reason_code) == (5, "missing_attributes")
            assert "frame 5" in result.reason


def test_a_series_of_refused_slices_is_refused(runtime: Runtime, slices: list[FileDataset], tmp_path: Path) -> None:
    chests = [copy.deepcopy(each) for each in slices[:3]]
    for each in chests:
        each.BodyPartExamined = "CHEST"
    _, series = answered(runtime, as_files(chests, tmp_path))
    assert (series.state, series.reason_code, series.refused) == (State.REFUSED, "wrong_body_part", 3)
    assert series.remedy


def test_each_series_has_its_own_answer_and_a_slice_of_none_has_no_part(
    runtime: Runtime, slices: list[FileDataset], tmp_path: Path
) -> None:
    others = [copy.deepcopy(each) for each in slices]
    for each in others:
        each.SeriesInstanceUID = "2.25.7"
    del others[0].SeriesInstanceUID
    (tmp_path / "b").mkdir()
    files = [*as_files(slices, tmp_path), *as_files(others, tmp_path / "b")]
    report = runtime.report([result for file in files for result in runtime.infer_all(file)])
    first, second = report.series
    assert (first.series_instance_uid, second.series_instance_uid) == (slices[0].SeriesInstanceUID, "2.25.7")
    assert (len(first.slices), second.slices) == (SLICES, list(range(SLICES + 1, 2 * SLICES)))


def test_a_slice_that_ran_out_of_time_is_not_passed_over(
    bundle: Path, slices: list[FileDataset], tmp_path: Path
) -> None:
    files = as_files(slices, tmp_path)
    with Runtime(bundle, threads=1) as runtime, Runtime(bundle, threads=1, deadline_s=1e-3) as late:
        results = [(late if number == 4 else runtime).infer(file) for number, file in enumerate(files)]
        (series,) = runtime.report(results).series
    assert results[4].reason_code == "deadline_exceeded"
    assert (series.reason_code, series.not_assessable) == ("slice_not_assessable", 1)


def test_radiographs_have_no_series(tmp_path: Path) -> None:
    with Runtime(write_bundle(tmp_path / "bundle"), threads=1) as runtime:
        results = runtime.infer_all(write_dicom(tmp_path / "a.dcm", SeriesInstanceUID="2.25.3"))
        report = runtime.report(results)
    assert len(results) == 1
    assert (results[0].slice, results[0].source.frame, report.series) == (None, None, ())


def test_a_system_of_radiographs_refuses_an_object_of_slices_once(slices: list[FileDataset], tmp_path: Path) -> None:
    file = saved(enhanced_from_slices(slices[:3]), tmp_path / "a.dcm")
    with Runtime(write_bundle(tmp_path / "bundle"), threads=1) as runtime:
        (result,) = runtime.infer_all(file)
        assert (result.reason_code, result.source.frame) == ("wrong_modality", None)
        assert runtime.report([result]).series == ()


def test_one_result_is_refused_to_an_object_of_several_frames(
    runtime: Runtime, slices: list[FileDataset], tmp_path: Path
) -> None:
    result = runtime.infer(saved(enhanced_from_slices(slices[:3]), tmp_path / "a.dcm"))
    assert (result.reason_code, result.probability) == ("multi_frame", None)
    assert "infer_all" in (result.remedy or "")
    assert runtime.infer(saved(enhanced_from_slices(slices[:1]), tmp_path / "b.dcm")).probability is not None


def test_a_selection_that_does_not_exist_is_refused(bundle: Path) -> None:
    with pytest.raises(UsageError, match="'some'"):
        Runtime(bundle, threads=1, slices="some")  # type: ignore[arg-type]


def _infer(bundle: Path, *arguments: str | Path) -> Any:
    return CliRunner().invoke(main, ["infer", "--bundle", str(bundle), "--threads", "1", *map(str, arguments)])


def test_the_command_prints_the_series_of_a_folder(bundle: Path, slices: list[FileDataset], tmp_path: Path) -> None:
    as_files(slices, tmp_path)
    done = _infer(bundle, tmp_path)
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    assert f"series {slices[0].SeriesInstanceUID}: " in text
    assert f"of {SLICES} slices count" in text
    assert "Not through the joints" in text
    document = json.loads(_infer(bundle, "--json", tmp_path).stdout)
    jsonschema.validate(document, json.loads((ROOT / "docs" / "report.schema.json").read_text()))
    (series,) = document["series"]
    assert series["selection"] == "joints"
    every = json.loads(_infer(bundle, "--json", "--slices", "all", tmp_path).stdout)["series"][0]
    assert len(every["selected"]) == SLICES > len(series["selected"])
    assert (
        json_from_report(Report.model_validate(document))
        == json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    )


def test_the_command_answers_each_frame_and_draws_each(bundle: Path, slices: list[FileDataset], tmp_path: Path) -> None:
    file = saved(enhanced_from_slices(slices[:4]), tmp_path / "e.dcm")
    done = _infer(bundle, "--json", "--overlay", tmp_path / "drawn", file)
    document = json.loads(done.stdout)
    assert [each["source"]["frame"] for each in document["results"]] == [1, 2, 3, 4]
    names = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert names == [f"0001-e-{number:04d}.png" for number in range(1, 5)]
    assert "e.dcm frame 3" in _infer(bundle, file).stdout


def test_each_frame_is_explained_as_the_slice_that_it_was_made_of(slices: list[FileDataset], tmp_path: Path) -> None:
    folder = write_classifier_bundle(tmp_path / "bundle", "fu2024-vgg16", explanation=True)
    file = saved(enhanced_from_slices(slices[1:5]), tmp_path / "e.dcm")
    with Runtime(folder, threads=1) as runtime:
        frames = [found for _, _, found in runtime.infer_each(file, class_index=1)]
        alone = [runtime.infer_explained(each)[2] for each in as_files(slices[1:5], tmp_path)]
        plain = [found for _, _, found in runtime.infer_each(file)]
    assert plain == [None] * 4
    for one, other in zip(frames, alone, strict=True):
        assert one is not None
        assert other is not None
        assert np.array_equal(one.cells, other.cells)
    done = _infer(folder, "--explain", tmp_path / "drawn", file)
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "drawn").iterdir())) == 4


def test_a_series_that_is_not_assessable_ends_with_three(
    bundle: Path, slices: list[FileDataset], tmp_path: Path
) -> None:
    file = saved(slices[3], tmp_path / "a.dcm")
    done = _infer(bundle, "--json", file)
    assert done.exit_code == 3
    (series,) = json.loads(done.stdout)["series"]
    assert series["reason_code"] == "too_few_slices"
    assert json.loads(done.stdout)["results"][0]["state"] in {"positive", "negative"}
