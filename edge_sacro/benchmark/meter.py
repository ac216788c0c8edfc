"""The seam of the meters: begin, end, and tell joules or why there are none."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar


class NotMeasured(Exception):
    """A meter is not here, or does not tell; the message says why. Never leaves this package."""


@dataclass(frozen=True)
class Reading:
    """What one meter told.

    Attributes:
        covers: what of the device it measures.
        joules: in all.
        rails: joules by rail.
        seconds: that it covers.
    """

    covers: str
    joules: float
    rails: dict[str, float]
    seconds: float


class Meter(ABC):
    """Measures from ``start`` to ``stop``. Making one raises :class:`NotMeasured` where it is not here."""

    name: ClassVar[str]

    @abstractmethod
    def start(self) -> None:
        """Begin."""

    @abstractmethod
    def stop(self) -> Reading:
        """End, and tell.

        Raises:
            NotMeasured: nothing was told meanwhile.
        """
