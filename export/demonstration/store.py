"""Examples on disk, so that a run that was cut off goes on where it stood. Plain arrays, no pickles."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from edge_sacro.types import Box
from export.demonstration.data import Example, example_from_source, phantom_source, simulator_source
from export.demonstration.labels import Frame

NOWHERE = [-1, -1, -1, -1]

Task = tuple[str, Path | int]
"""``("phantom", seed)``, or the path of a simulator's DICOM file and ``"simulator"``."""


def examples_from_tasks(tasks: Sequence[Task], cache: Path, workers: int) -> list[Example]:
    """Render or read what the cache does not hold, then load everything, in the order of the tasks.

    Args:
        tasks: what to have.
        cache: folder of ``.npz`` files, made if absent.
        workers: processes.
    """
    cache.mkdir(parents=True, exist_ok=True)
    files = [cache / f"{name_from_task(task)}.npz" for task in tasks]
    missing = [(task, file) for task, file in zip(tasks, files, strict=True) if not file.exists()]
    if workers > 1 and len(missing) > 1:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            list(pool.map(_make, missing, chunksize=4))
    else:
        for each in missing:
            _make(each)
    return [read_example(file) for file in files]


def name_from_task(task: Task) -> str:
    """A name for the cache: generator and number or file."""
    kind, what = task
    return f"{kind}-{what}" if isinstance(what, int) else f"{kind}-{what.stem}"


def _make(job: tuple[Task, Path]) -> None:
    (kind, what), file = job
    source = phantom_source(what) if isinstance(what, int) else simulator_source(what)
    if kind not in source.name:
        raise ValueError(f"a task of kind {kind!r} gave {source.name!r}")
    write_example(file, example_from_source(source))


def write_example(file: Path, example: Example) -> None:
    """Write one example; the file appears whole or not at all."""
    boxes = [box.as_list() if box else NOWHERE for box in example.boxes]
    partial = file.with_suffix(".part.npz")
    np.savez_compressed(
        partial,
        image=example.image,
        bits=example.bits,
        patch=example.patch,
        numbers=np.array([*example.corner, example.frame.rows, example.frame.columns, *example.grades]),
        boxes=np.array(boxes),
        source=np.array(example.source),
    )
    partial.replace(file)


def read_example(file: Path) -> Example:
    """Read one example."""
    with np.load(file, allow_pickle=False) as stored:
        x, y, rows, columns, left, right = (int(value) for value in stored["numbers"])
        boxes = [Box(*(int(v) for v in box)) if box[0] >= 0 else None for box in stored["boxes"]]
        return Example(
            stored["image"],
            stored["bits"],
            Frame(rows, columns),
            (boxes[0], boxes[1]),
            (left, right),
            stored["patch"],
            (x, y),
            str(stored["source"]),
        )
