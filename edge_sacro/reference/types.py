"""What a published figure is: the digits as printed, their place, and what else in the paper determines them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Derivation:
    """One way in which other published figures determine a figure.

    Attributes:
        rule: a row of ``edge_sacro.reference.rules.RULES``.
        given: names of figures or matrices of the same paper, or plain numbers that the paper gives in words.
        note: what a reader of the finding must know.
    """

    rule: str
    given: tuple[str | int, ...]
    note: str = ""


def by(rule: str, *given: str | int, note: str = "") -> Derivation:
    """A derivation, as the data files write it: ``by("share", "men", "patients")``."""
    return Derivation(rule, given, note)


@dataclass(frozen=True)
class Interval:
    """The printed ends of a 95 % interval, in the digits and the unit of its figure."""

    low: str
    high: str
    derived: tuple[Derivation, ...] = ()


@dataclass(frozen=True)
class Figure:
    """One published figure.

    Attributes:
        name: what it is of; no other figure of the paper has this name.
        printed: the digits, as the paper prints them, without a percent sign.
        place: table or section, and the page where the edition's page breaks are known.
        percent: the digits are percent.
        derived: what determines it, none where nothing else in the paper does.
        interval: its 95 % interval.
        decimals: decimals that were printed, where the digits leave trailing zeros out; None: as the digits have them.
        meant: the number, where the paper says it in words or as a ratio (``printed``).
        published: False for a number that the paper leaves its readers to count, a step on the way to others.
        note: what a reader must know.
    """

    name: str
    printed: str
    place: str
    percent: bool = False
    derived: tuple[Derivation, ...] = ()
    interval: Interval | None = None
    decimals: int | None = None
    meant: float | None = None
    published: bool = True
    note: str = ""

    @cached_property
    def value(self) -> float:
        """The figure; 0 to 1 where the paper prints percent."""
        return self.meant if self.meant is not None else self.from_digits(self.printed)

    @cached_property
    def unit(self) -> float:
        """One unit of the last printed digit, on the scale of ``value``; 0 for a count, which is exact."""
        decimals = _decimals(self.printed) if self.decimals is None else self.decimals
        if decimals == 0 and not self.percent:
            return 0.0
        return self.scale * float(10**-decimals)

    @property
    def scale(self) -> float:
        """0.01 for percent, else 1."""
        return 0.01 if self.percent else 1.0

    def from_digits(self, digits: str) -> float:
        """The value that printed digits have in this figure's unit."""
        return float(digits.replace(",", "")) * self.scale

    def as_printed(self, value: float) -> str:
        """A value in this figure's unit, one digit finer than the paper prints."""
        if self.unit == 0 and value == round(value):
            return f"{value / self.scale:.0f}"
        decimals = max(_decimals(self.printed), self.decimals or 0) + 1
        return f"{value / self.scale:.{decimals}f}"


@dataclass(frozen=True)
class Matrix:
    """A published 2 x 2 table; positive is sacroiliitis, counted in joints, images or patients."""

    name: str
    tp: int
    fp: int
    fn: int
    tn: int
    place: str
    note: str = ""


@dataclass(frozen=True)
class Paper:
    """Everything that one paper prints about cohorts, cut-offs and performance."""

    name: str
    citation: str
    figures: tuple[Figure, ...]
    matrices: tuple[Matrix, ...] = ()

    def __post_init__(self) -> None:
        names = [figure.name for figure in self.figures] + [matrix.name for matrix in self.matrices]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{self.name}: named twice: {', '.join(twice)}")

    def figure(self, name: str) -> Figure:
        """The figure of this name.

        Raises:
            KeyError: the paper has none.
        """
        return {figure.name: figure for figure in self.figures}[name]


def _decimals(digits: str) -> int:
    return len(digits.partition(".")[2])
