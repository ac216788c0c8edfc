"""The worker's side: one runtime, one task after another. Every engine runs this and nothing else."""

from __future__ import annotations

import os
import platform
import traceback
from pathlib import Path

from edge_sacro import __version__
from edge_sacro.ahead import ReadInstance
from edge_sacro.batch.rows import row_from_result
from edge_sacro.batch.tasks import Answer, Failure, Recipe, Task, Told
from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.errors import BatchMismatch, EdgeSacroError, InputNotFound, InputRefused, InternalError
from edge_sacro.memory import keep_freed_memory
from edge_sacro.report import Result
from edge_sacro.runtime import Runtime


class Assessing:
    """A runtime that answers tasks.

    Args:
        recipe: what to open.

    Raises:
        BatchMismatch: this is another version of Edge-Sacro, or the bundle is another one than the driver's.
        BundleError, BackendError: the runtime cannot be opened.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._place = f"{platform.node()}/{os.getpid()}"
        if recipe.version != __version__:
            raise BatchMismatch(
                f"this worker has edge-sacro {__version__}, the driver {recipe.version}", source=self._place
            )
        keep_freed_memory()
        loaded = load_bundle(recipe.bundle)
        if loaded.fingerprint != recipe.fingerprint:
            what = f"its bundle has the fingerprint {loaded.fingerprint}, the driver's {recipe.fingerprint}"
            raise BatchMismatch(what, source=self._place)
        self._runtime = _opened(recipe, loaded)

    def told(self) -> Told:
        """What is running here; no network is run for it."""
        nothing = ReadInstance("(none)", InputNotFound("nothing was given"), None, 0.0)
        backend = self._runtime.infer(nothing).backend.model_dump(mode="json", exclude={"processor"})
        return Told(__version__, self._runtime.bundle.fingerprint, backend, self._place)

    def answer(self, task: Task) -> Answer:
        """The rows of one instance, or why this worker could not make them."""
        try:
            results = self._results(task)
        except EdgeSacroError as error:
            return Answer((), task.sha256, (), failure_from_error(error), memory_bytes())
        except Exception as error:  # noqa: BLE001 - a defect that one file shows must not take the others along
            frame = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
            return Answer((), task.sha256, (), failure_from_error(InternalError(what)), memory_bytes())
        rows = [row_from_result(result) for result in results]
        return Answer(rows, results[0].source.sha256, [each.timings_ms for each in results], None, memory_bytes())

    def close(self) -> None:
        """Give back what the backend holds."""
        self._runtime.close()

    def _results(self, task: Task) -> list[Result]:
        name = task.label.encode("utf-8", "backslashreplace").decode()  # a path may hold bytes that are no text
        if isinstance(task.content, InputRefused):
            return [self._runtime.infer(ReadInstance(name, task.content, None, 0.0))]
        return self._runtime.infer_all(task.label if task.content is None else task.content, name=name)


def failure_from_error(error: EdgeSacroError) -> Failure:
    """An error for another process."""
    return Failure(error.code, error.what, error.source, error.remedy)


def error_from_failure(failure: Failure) -> EdgeSacroError:
    """The error that ``failure_from_error`` was given."""
    from edge_sacro.errors import all_errors

    kinds = {kind.code: kind for kind in all_errors()}
    return kinds.get(failure.code, InternalError)(failure.what, source=failure.source, remedy=failure.remedy)


def memory_bytes(process: int | str = "self") -> int:
    """Resident memory of a process; 0 where it is not there any more, or no such thing can be read here."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _opened(recipe: Recipe, loaded: Bundle) -> Runtime:
    from edge_sacro.engine import open_engine

    opener = open_engine
    if recipe.engines is not None:
        from edge_sacro.engine.serve import QualifiedEngines
        from edge_sacro.engine.store import EngineStore

        opener = QualifiedEngines(EngineStore(recipe.engines), loaded, recipe.precision)
    return Runtime(
        loaded,
        backend=recipe.backend,
        precision=recipe.precision,
        threads=recipe.threads,
        deadline_s=recipe.deadline_s,
        operating_point=recipe.operating_point,
        overrides=recipe.overrides,
        opener=opener,
    )
