"""The inputs of one image's networks, made on the device and written where each network takes them.

The image is brought to the device when it is asked for; the last kernel of each input runs when the network's engine is
at hand, into that engine's own memory, so that nothing is copied on the way. All errors are those of the device, of the
engine, and of the twins in ``edge_sacro.systems.inputs``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from edge_sacro.classify import ClassifierGeometry
from edge_sacro.cuda.device import Buffer
from edge_sacro.cuda.image import gray_from_table, gray_table_on_device, image_from_radiograph
from edge_sacro.cuda.resized import detector_input, slice_input, squished_input
from edge_sacro.cuda.segmenter import segmenter_window
from edge_sacro.cuda.session import Session, Tensor
from edge_sacro.cuda.structs import Encoding
from edge_sacro.cuda.systems import AnatomyCase, anatomy_case, window_table
from edge_sacro.engine.base import Array, DeviceInput, Engine
from edge_sacro.errors import BackendFailed, BundleContractBroken
from edge_sacro.locate import Numerics, SegmentationGeometry
from edge_sacro.preprocess.resize import Size
from edge_sacro.preprocess.tf_resize import aspect_size
from edge_sacro.systems.inputs import Gray, GrayLevels
from edge_sacro.types import Box, Radiograph

FLOATS = Encoding()
"""How every engine takes its input, whatever it computes in: its contract says float32."""

Write = Callable[[Buffer], Tensor]
"""Queues the last kernel of an input, which writes it into this memory."""


@dataclass(frozen=True, eq=False)
class InPlaceInput:
    """An input that is written where its engine takes it.

    Attributes:
        session: of the device.
        write: writes it.
    """

    session: Session
    write: Write

    def run(self, engine: Engine, deadline: float | None) -> dict[str, Array]:
        """As ``edge_sacro.systems.inputs.NetworkInput``."""
        (given,) = engine.spec.inputs
        with engine.in_place(deadline) as lent:
            try:
                self._fill(lent.device_input(given.name), engine)
                return lent.run(self.session.device.stream, deadline=deadline)
            except BaseException:
                # A kernel that still writes must have ended before another thread has the engine. Where the device has
                # failed it has, and the error that ended the work is the one to tell.
                with suppress(BackendFailed):
                    self.session.device.synchronise()
                raise

    def _fill(self, place: DeviceInput, engine: Engine) -> None:
        made = self.write(Buffer(place.address, place.nbytes))
        if made.shape != place.shape or made.dtype != place.dtype:
            raise BundleContractBroken(
                f"the kernels wrote {made.dtype} {made.shape}, the engine takes {place.dtype} {place.shape}",
                source=engine.spec.name,
            )


@dataclass(frozen=True, eq=False)
class DeviceAnatomy:
    """As ``edge_sacro.systems.inputs.AnatomyInputs``."""

    session: Session
    case: AnatomyCase

    def gray(self) -> Gray:
        """A copy of the host's own."""
        return self.case.gray()

    def windows(self, geometry: SegmentationGeometry) -> Callable[[int, int], InPlaceInput]:
        """The image is resized once; each window is one launch more."""
        resized = self.case.segmenter_image(geometry)
        return lambda x, y: InPlaceInput(
            self.session, lambda place: segmenter_window(resized, (x, y), FLOATS, place=place)
        )

    def crop(self, box: Box, geometry: ClassifierGeometry) -> InPlaceInput:
        """Mirrored, filtered, resized and padded when it runs."""
        return InPlaceInput(
            self.session, lambda place: self.case.classifier_crops([box], geometry, FLOATS, place=place)
        )


class DeviceInputs:
    """Inputs of one image at a time, made in a session's memory. As ``edge_sacro.systems.inputs.Inputs``.

    Args:
        session: that nobody else uses meanwhile.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def anatomy(self, radiograph: Radiograph, numerics: Numerics) -> DeviceAnatomy:
        """As ``Inputs``."""
        return DeviceAnatomy(self._session, anatomy_case(self._session, radiograph, numerics))

    def squished(self, radiograph: Radiograph, size: Size) -> InPlaceInput:
        """As ``Inputs``."""
        image = image_from_radiograph(self._session, radiograph)
        table = gray_table_on_device(image)
        return InPlaceInput(self._session, partial(squished_input, image, table, size, FLOATS))

    def detector(self, radiograph: Radiograph, size: int) -> tuple[InPlaceInput, Size, GrayLevels]:
        """As ``Inputs``."""
        image = image_from_radiograph(self._session, radiograph)
        table = gray_table_on_device(image)
        filled = aspect_size((image.rows, image.columns), size)
        given = InPlaceInput(self._session, lambda place: detector_input(image, table, size, FLOATS, place)[0])
        return given, filled, lambda: gray_from_table(image, table)

    def slice(self, radiograph: Radiograph, window: tuple[float, float], size: Size) -> InPlaceInput:
        """As ``Inputs``; the pixels' values differ by 1e-6 at most, as ``docs/cuda.md`` says."""
        image = image_from_radiograph(self._session, radiograph)
        table = window_table(image, radiograph, window)
        return InPlaceInput(self._session, partial(slice_input, image, table, size, FLOATS))
