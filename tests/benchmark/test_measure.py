"""Measurements of the tiny bundle: what a document holds, what it does not, and that a slow stage shows."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from edge_sacro.benchmark.document import Document, document_from_file, json_from_document
from edge_sacro.benchmark.html import html_from_document
from edge_sacro.benchmark.measure import Plan, measure
from edge_sacro.benchmark.meter import Meter, NotMeasured, Reading
from edge_sacro.benchmark.order import Order
from edge_sacro.benchmark.text import text_from_document
from edge_sacro.engine import Engine, NetworkSpec, open_engine
from edge_sacro.engine.base import Array
from edge_sacro.errors import BackendFailed, BackendUnavailable, BundleNotFound, InputNotFound, NotDicom, UsageError
from edge_sacro.parity.watch import AroundEngine
from tests.benchmark.conftest import PATIENT
from tests.tiny import write_dicom

SLEEP_S = 0.05


class _Slow(AroundEngine):
    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        time.sleep(SLEEP_S)
        return super()._run(inputs, deadline)


def slow_classifier(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
    """An opener whose classifier sleeps before it runs."""
    inner = open_engine(backend, spec, model, threads)
    return _Slow(inner) if spec.name == "classifier" else inner


def test_every_stage_is_there_with_as_many_samples_as_runs(measured: Document) -> None:
    names = ["read", "normalise", "segment", "locate", "crop", "classify", "total"]
    assert list(measured.warm.stages) == names
    assert {len(each) for each in measured.warm.samples_ms.values()} == {10}
    samples = measured.warm.samples_ms
    for run in range(10):
        parts = sum(samples[name][run] for name in names[:-1])
        assert parts <= samples["total"][run] + 0.01, "stages lie within the whole"
    assert measured.warm.stages["read"].p50 == pytest.approx(np.median(samples["read"]), abs=1e-3)
    assert measured.warm.stages["total"].p99 is None


def test_a_slow_stage_shows_in_its_row_and_in_no_other(bundle: str, image: Path, measured: Document) -> None:
    plan = Plan(runs=5, warmup=1, streams=(), cold=0, meters={}, opener=slow_classifier)
    slow = measure(Order(bundle, threads=1), plan, [image])
    assert slow.warm.stages["classify"].p50 >= 1e3 * SLEEP_S > measured.warm.stages["classify"].p50
    assert slow.warm.stages["crop"].p50 < 1e3 * SLEEP_S
    assert slow.cold is None
    assert slow.streams == []


def test_a_cold_start_is_apart_and_longer_than_a_warm_run(measured: Document) -> None:
    cold = measured.cold
    assert cold is not None
    assert len(cold.first_answer_s) == 2
    assert list(cold.phases_s) == ["interpreter", "import", "open", "assess"]
    assert cold.median_s > measured.warm.stages["total"].max / 1e3
    assert all(seconds > 0 for seconds in cold.phases_s.values())


def test_streams_share_the_runs_and_their_rate_is_their_number_by_their_time(measured: Document) -> None:
    assert [each.streams for each in measured.streams] == [1, 2]
    for each in measured.streams:
        assert each.assessments == 10 == each.latency_ms.n
        assert each.per_second == pytest.approx(each.assessments / each.seconds, rel=1e-2)
        assert each.seconds * 1e3 >= each.latency_ms.max - 0.01


def test_batches_share_the_runs_and_each_is_timed_as_a_whole(bundle: str, image: Path) -> None:
    plan = Plan(runs=7, warmup=1, streams=(), batches=(1, 3, 20), cold=0, meters={})
    found = measure(Order(bundle, threads=1), plan, [image])
    assert [(each.batch, each.assessments, each.latency_ms.n) for each in found.batches] == [
        (1, 7, 7),
        (3, 9, 3),
        (20, 40, 2),
    ]
    for each in found.batches:
        assert each.per_second == pytest.approx(each.assessments / each.seconds, rel=1e-2)
    one, _, twenty = found.batches
    assert twenty.latency_ms.p50 > 5 * one.latency_ms.p50
    for words in ("batches of 3: ", "batches of 20: "):
        assert words in text_from_document(found)
    assert "Batches" in html_from_document(found)
    assert "Batches" not in html_from_document(found.model_copy(update={"batches": []}))


def test_a_document_from_before_batches_is_read(measured: Document, tmp_path: Path) -> None:
    fields = json.loads(json_from_document(measured))
    del fields["batches"]
    (tmp_path / "old.json").write_text(json.dumps(fields))
    assert list(document_from_file(str(tmp_path / "old.json")).batches) == []


@pytest.mark.parametrize(("streams", "least", "most"), [(1, 1, 1), (4, 2, 4)])
def test_callers_run_side_by_side(bundle: str, image: Path, streams: int, least: int, most: int) -> None:
    inside: list[int] = []
    counts: list[int] = []

    class Counting(AroundEngine):
        def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
            inside.append(1)
            counts.append(len(inside))
            time.sleep(SLEEP_S)
            inside.pop()
            return super()._run(inputs, deadline)

    def opener(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        return Counting(open_engine(backend, spec, model, threads))

    plan = Plan(runs=8, warmup=1, streams=(streams,), cold=0, meters={}, opener=opener)
    (told,) = measure(Order(bundle, threads=1), plan, [image]).streams
    assert told.assessments == 8
    assert least <= max(counts) <= most


def test_memory_is_told_in_the_order_in_which_it_was_read(measured: Document) -> None:
    memory = measured.memory
    assert memory.reason is None
    assert memory.start_mb is not None
    assert memory.runs_mb is not None
    assert memory.warm_mb is not None
    assert memory.peak_mb is not None
    assert memory.growth_mb == pytest.approx(memory.runs_mb - memory.warm_mb, abs=0.11)
    assert memory.peak_mb >= memory.start_mb > 10
    assert memory.children_peak_mb is not None, "the process that decodes"


def test_the_document_holds_no_name_no_path_and_no_uid_of_the_image(measured: Document, image: Path) -> None:
    text = json_from_document(measured)
    for secret in (*PATIENT.values(), "ward-7", "secret-person", str(image.parent)):
        assert secret not in text
    (told,) = measured.inputs
    assert told.sha256 == hashlib.sha256(image.read_bytes()).hexdigest()
    assert (told.rows, told.columns, told.simulated) == (512, 512, False)


def test_a_document_is_read_back_as_it_was_and_others_are_refused(measured: Document, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json_from_document(measured))
    assert json_from_document(document_from_file(str(path))) == path.read_text()
    path.write_text('{"schema_version": "edge-sacro-benchmark-0"}')
    with pytest.raises(UsageError, match="schema_version"):
        document_from_file(str(path))
    with pytest.raises(InputNotFound):
        document_from_file(str(tmp_path / "absent.json"))


class _Meter(Meter):
    name = "fake"
    told = True

    def start(self) -> None:
        pass

    def stop(self) -> Reading:
        if not self.told:
            raise NotMeasured("it broke")
        return Reading("everything", 30.0, {"a": 10.0, "b": 20.0}, 2.0)


def test_energy_is_shared_among_the_assessments_or_told_missing(bundle: str, image: Path) -> None:
    class Broken(_Meter):
        name, told = "broken", False

    meters = {"fake": _Meter, "broken": Broken}
    plan = Plan(runs=3, warmup=1, streams=(), cold=0, meters=meters)
    found = measure(Order(bundle, threads=1), plan, [image, image])
    (told,) = found.energy
    assert (told.joules_per_assessment, told.watts) == (5.0, 15.0)
    assert found.no_energy == {"broken": "it broke"}


def test_a_meter_that_does_not_start_is_told_missing_and_leaves_the_others(bundle: str, image: Path) -> None:
    class Dead(_Meter):
        name = "dead"

        def start(self) -> None:
            raise NotMeasured("its counter is empty")

    plan = Plan(runs=3, warmup=1, streams=(), cold=0, meters={"dead": Dead, "fake": _Meter})
    found = measure(Order(bundle, threads=1), plan, [image])
    assert [each.meter for each in found.energy] == ["fake"]
    assert found.no_energy == {"dead": "its counter is empty"}


@pytest.mark.parametrize("failing", [2, 7])
def test_a_call_that_fails_beside_others_ends_the_measurement_with_its_own_error(
    bundle: str, image: Path, failing: int
) -> None:
    calls = itertools.count(1)

    class Failing(AroundEngine):
        def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
            if threading.current_thread() is not measuring and next(calls) == failing:
                raise BackendFailed("the device fell off the bus", source="classifier")
            return super()._run(inputs, deadline)

    def opener(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        engine = open_engine(backend, spec, model, threads)
        return Failing(engine) if spec.name == "classifier" else engine

    plan = Plan(runs=12, warmup=1, streams=(3,), cold=0, meters={}, opener=opener)
    ended: list[BaseException] = []

    def measured() -> None:
        try:
            measure(Order(bundle, threads=1), plan, [image])
        except BackendFailed as error:
            ended.append(error)

    measuring = threading.Thread(target=measured, daemon=True)
    measuring.start()
    measuring.join(60)
    assert ["fell off the bus" in str(each) for each in ended] == [True], "it ended, and says of what"


def test_a_meter_is_stopped_when_the_backend_fails(bundle: str, image: Path) -> None:
    stopped = []

    class Watched(_Meter):
        def stop(self) -> Reading:
            stopped.append(True)
            return super().stop()

    calls = []

    class Failing(AroundEngine):
        def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
            calls.append(1)
            if len(calls) > 3:
                raise BackendFailed("the device fell off the bus", source="classifier")
            return super()._run(inputs, deadline)

    def opener(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        return Failing(open_engine(backend, spec, model, threads))

    plan = Plan(runs=3, warmup=1, streams=(), cold=0, meters={"fake": Watched}, opener=opener)
    with pytest.raises(BackendFailed):
        measure(Order(bundle, threads=1), plan, [image])
    assert stopped == [True]


def test_an_image_that_is_not_assessable_is_measured_and_warned_of(bundle: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 4096, (512, 512)).astype(np.uint16)
    plan = Plan(runs=2, warmup=1, streams=(), cold=0, meters={})
    found = measure(Order(bundle, threads=1), plan, [write_dicom(tmp_path / "a.dcm", noise)])
    assert found.inputs[0].state == "not_assessable"
    assert any("not assessable" in warning for warning in found.warnings)
    assert "classify" not in found.warm.stages


@pytest.mark.parametrize("cold", [0, 1])
def test_errors_keep_their_class_in_this_process_and_in_a_fresh_one(
    bundle: str, image: Path, tmp_path: Path, cold: int
) -> None:
    text = tmp_path / "notes.dcm"
    text.write_text("no DICOM " * 100)
    plan = Plan(runs=1, warmup=1, streams=(), cold=cold, meters={})
    with pytest.raises(NotDicom):
        measure(Order(bundle, threads=1), plan, [text])
    with pytest.raises(BundleNotFound):
        measure(Order(str(tmp_path / "nowhere")), plan, [image])
    with pytest.raises(BackendUnavailable):
        measure(Order(bundle, backend="nothing"), plan, [image])


@pytest.mark.parametrize("change", [{"runs": 0}, {"warmup": 0}, {"streams": (0,)}, {"batches": (0,)}])
def test_nothing_to_measure_is_refused(bundle: str, image: Path, change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        measure(Order(bundle), Plan(**change), [image])  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        measure(Order(bundle), Plan(), [])
