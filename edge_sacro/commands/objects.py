"""What ``edge-sacro infer`` makes for archives and viewers: DICOM objects of each answer, in a folder."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from edge_sacro.errors import InputRefused, OutputNotWritten, UsageError

if TYPE_CHECKING:
    from edge_sacro.objects import Answered, Making, Outcome
    from edge_sacro.report import Report
    from edge_sacro.runtime import Assessed, Runtime

Command = TypeVar("Command", bound=Callable[..., Any])
_KINDS: tuple[Literal["sr", "seg", "pr", "sc"], ...] = ("sr", "seg", "pr", "sc")

_OPTIONS = (
    click.option("--sr", is_flag=True, help="Make a DICOM structured report (TID 1500) of each answer."),
    click.option("--seg", is_flag=True, help="Make a DICOM segmentation, where the system segments."),
    click.option("--pr", is_flag=True, help="Make a presentation state: boxes and words over the image."),
    click.option("--sc", is_flag=True, help="Make a secondary capture of the overlay."),
    click.option("--objects", "folder", metavar="FOLDER", help="Folder for the DICOM objects."),
)


def object_options(command: Command) -> Command:
    """The options for DICOM objects; the command is given one :class:`Objects` for all of them."""

    @functools.wraps(command)
    def run(**arguments: Any) -> Any:
        kinds = frozenset(kind for kind in _KINDS if arguments.pop(kind))
        return command(objects=Objects(kinds, arguments.pop("folder")), **arguments)

    decorated: Any = run
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


@dataclass
class Objects:
    """The objects of one call.

    Attributes:
        kinds: which are asked for.
        folder: where to write them.
        written, kept: how many are new, and how many were there already.
        missing: how many could not be made, where there should be one.
    """

    kinds: frozenset[Literal["sr", "seg", "pr", "sc"]]
    folder: str | None
    written: int = 0
    kept: int = 0
    missing: int = 0
    _moment: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.timezone.utc).astimezone())
    _slices: dict[int, Answered] = field(default_factory=dict)

    def check(self, paths: Collection[str]) -> None:
        """Refuse, before anything runs, what cannot be made or written, and make the folder.

        Raises:
            UsageError: kinds without a folder, a folder without kinds, or one that is read from.
            OutputNotWritten: highdicom is absent, or no folder can be made there.
        """
        if bool(self.kinds) != (self.folder is not None):
            raise UsageError(
                "DICOM objects need both a kind and a folder",
                source="--objects",
                remedy="Name the folder by --objects, and at least one of --sr, --seg, --pr, --sc.",
            )
        if self.folder is None:
            return
        from edge_sacro.objects import check_objects

        check_objects(self.kinds)
        place = Path(self.folder).resolve()
        for path in map(Path, paths):
            if path.is_dir() and place.is_relative_to(path.resolve()):
                raise UsageError(
                    f"the folder lies in {path}, which is read from: results would be read as images the next time",
                    source="--objects",
                    remedy="Name a folder elsewhere.",
                )
        try:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputNotWritten(f"no folder can be made there: {error.strerror}", source=str(self.folder)) from error

    def write(self, runtime: Runtime, index: int, path: Path, assessed: Assessed) -> None:
        """Make and write what is asked for of one image; what cannot be had of it is said on standard error.

        Args:
            runtime: that answered.
            index: the answer's place in the report.
            path: of the source.
            assessed: the answer, the image and what the system computed.

        Raises:
            OutputNotWritten: a file cannot be written, or is no longer the one that was assessed.
        """
        if not self.kinds:
            return
        from edge_sacro.objects import result_objects

        answered = self._answered(path, assessed)
        if answered is None:
            return
        kinds = self.kinds
        if runtime.reads_frames:
            # Slices are reported with their series.
            self._slices[index] = replace(answered, radiograph=None, labels=None)
            kinds -= {"sr"}
        self._write_all(path, result_objects(answered, self._making(runtime.report([])), kinds))

    def write_series(self, report: Report) -> None:
        """Make and write a report of each CT series, and of each slice that belongs to none.

        Raises:
            OutputNotWritten: a file cannot be written.
        """
        if "sr" not in self.kinds:
            return
        from edge_sacro.objects import result_objects, series_report

        making, left = self._making(report), dict(self._slices)
        for series in report.series:
            slices = self._counted(series.selected) or self._counted(series.slices)
            for index in series.slices:
                left.pop(index, None)
            if slices:
                self._write_all(Path(series.series_instance_uid), [series_report(series, slices, making)])
        for answered in left.values():
            self._write_all(Path(answered.result.source.path), result_objects(answered, making, {"sr"}))

    def say(self) -> None:
        """How many there are, on standard error."""
        if self.kinds:
            already = f", {self.kept} of them there already" if self.kept else ""
            click.echo(f"edge-sacro: {self.written + self.kept} DICOM objects in {self.folder}{already}", err=True)

    @property
    def exit_code(self) -> int:
        """0, or that of a result that was not written."""
        return OutputNotWritten.exit_code if self.missing else 0

    def _counted(self, places: Sequence[int]) -> list[Answered]:
        return [self._slices[index] for index in places if index in self._slices]

    def _answered(self, path: Path, assessed: Assessed) -> Answered | None:
        """The image with its header, read anew from the file that was assessed and no other."""
        import hashlib

        from edge_sacro.dicom.source import DEFAULT_LIMITS, bytes_from_source
        from edge_sacro.objects import Answered, header_from_bytes

        result, radiograph, assessment = assessed
        try:
            data = bytes_from_source(path, DEFAULT_LIMITS, str(path))
            header = header_from_bytes(data, str(path))
        except InputRefused as refusal:
            self.missing += 1
            click.echo(f"edge-sacro: {path}: no DICOM object can be made: {refusal.what}", err=True)
            return None
        if hashlib.sha256(data).hexdigest() != result.source.sha256:
            raise OutputNotWritten("the file changed after it was assessed", source=str(path))
        return Answered(result, header, radiograph, None if assessment is None else assessment.labels)

    def _making(self, report: Report) -> Making:
        from edge_sacro.objects import Making

        return Making(report.bundle, self._moment)

    def _write_all(self, path: Path, outcomes: Sequence[Outcome]) -> None:
        from edge_sacro.objects import NoObject, write_object

        for outcome in outcomes:
            if isinstance(outcome, NoObject):
                self.missing += outcome.failed
                click.echo(f"edge-sacro: {path}: no {outcome.kind.upper()}: {outcome.reason}", err=True)
                continue
            _, new = write_object(outcome, Path(str(self.folder)))
            self.written += new
            self.kept += not new
