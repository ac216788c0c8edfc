"""What ``edge-sacro infer`` draws and writes beside its report: overlays, explanations and their arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sacro.errors import OutputNotWritten

if TYPE_CHECKING:
    from edge_sacro.bundle import Bundle
    from edge_sacro.report import Result
    from edge_sacro.runtime import Assessed, Runtime
    from edge_sacro.types import Radiograph


@dataclass(frozen=True)
class Pictures:
    """What is asked for.

    Attributes:
        files: the instances of the call; several go to a folder.
        overlay, explain: a PNG or a folder for each kind of picture, or None.
        explain_npz: a ``.npz`` file or a folder for the explanation's arrays, or None.
        class_index: the class to explain.
    """

    files: Sequence[Path]
    overlay: str | None
    explain: str | None
    explain_npz: str | None
    class_index: int

    @property
    def explained(self) -> bool:
        """Whether anything needs an explanation."""
        return self.explain is not None or self.explain_npz is not None

    def check(self, bundle: Bundle) -> None:
        """Refuse, before anything runs, to explain with a bundle that cannot.

        Raises:
            UsageError: it cannot.
        """
        if self.explained:
            from edge_sacro.systems.contract import check_explains

            check_explains(bundle.manifest, self.class_index)

    def write(self, runtime: Runtime, path: Path, assessed: Assessed) -> None:
        """Write what is asked for of one image; what cannot be had of it is said on standard error.

        Raises:
            OutputNotWritten: a folder is missing or a file cannot be written.
        """
        result, radiograph, explanation = *assessed[:2], None
        if self.explained:
            result, radiograph, explanation = runtime.explained(assessed, self.class_index)
        frame = result.source.frame
        if self.overlay is not None:
            self._overlay(runtime, result, radiograph, self._place(self.overlay, path, ".png", frame))
        if not self.explained:
            return
        if radiograph is None or explanation is None:
            state = result.state.value.replace("_", " ")
            _say(result, f"{state}, so there is no explanation of it")
            return
        from edge_sacro.overlay import explanation_picture, write_npz, write_png

        if self.explain is not None:
            picture = explanation_picture(explanation, result, radiograph, runtime.report([result]))
            write_png(picture, str(self._place(self.explain, path, ".png", frame)))
        if self.explain_npz is not None:
            write_npz(explanation, str(self._place(self.explain_npz, path, ".npz", frame)))

    @staticmethod
    def _overlay(runtime: Runtime, result: Result, radiograph: Radiograph | None, target: Path) -> None:
        from edge_sacro.overlay import overlay_from_result, write_png

        if radiograph is None or result.state == "refused":
            _say(result, "refused, so there is no overlay of it")
            return
        write_png(overlay_from_result(result, radiograph, runtime.report([result])), str(target))

    def _place(self, target: str, source: Path, suffix: str, frame: int | None) -> Path:
        """The file named, for one instance; else a file for each in the folder named, told apart by number.

        The number of a frame stands at the end of either name.
        """
        named = Path(target)
        end = "" if frame is None else f"-{frame:04d}"
        if len(self.files) == 1 and named.suffix.lower() == suffix:
            return named.with_name(f"{named.stem}{end}{named.suffix}")
        try:
            named.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputNotWritten(f"no folder can be made there: {error.strerror}", source=target) from error
        return named / f"{self.files.index(source) + 1:04d}-{source.stem}{end}{suffix}"


def _say(result: Result, what: str) -> None:
    click.echo(f"edge-sacro: {result.source.path}: {what}", err=True)
