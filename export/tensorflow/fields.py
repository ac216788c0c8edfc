"""Fields of a configuration, each read with its default and its limits; what is not computed is refused by its path."""

from __future__ import annotations

from export.tensorflow.text_format import Message, Value


class Field:
    """A message and the path by which it is named in a refusal.

    Every method raises ValueError, naming the field, for a value that it does not give.
    """

    def __init__(self, path: str, message: Message) -> None:
        self._path = path
        self._message = message

    def child(self, name: str) -> Field:
        """The message in a field; refused where there is none."""
        value = self._last(name)
        if isinstance(value, dict):
            return Field(self.named(name), value)
        raise ValueError(f"{self.named(name)} is missing")

    def require(self, name: str, *, default: Value, needed: Value) -> None:
        """Refuse any value but one; ``default`` is what an absent field means."""
        value = self._last(name)
        value = default if value is None else value
        if value != needed:
            raise ValueError(f"{self.named(name)} is {_shown(value)}; only {_shown(needed)} is computed here")

    def text(self, name: str) -> str:
        """A string or an enumeration's name; refused where there is none."""
        value = self._last(name)
        if isinstance(value, str):
            return value
        raise ValueError(f"{self.named(name)} is {_shown(value)}, not a text")

    def one_of(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """One of some names."""
        value = default if self._last(name) is None else self.text(name)
        if value not in allowed:
            raise ValueError(f"{self.named(name)} is {value}; only {' or '.join(allowed)} is computed here")
        return value

    def refuse(self, name: str) -> None:
        """Refuse the field, whatever it holds."""
        if name in self._message:
            raise ValueError(f"{self.named(name)} is given; it is not computed here")

    def number(self, name: str, default: float | None) -> float:
        """A number; without a default, an absent field is refused."""
        value = self._last(name)
        value = default if value is None else value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        raise ValueError(f"{self.named(name)} is {_shown(value)}, not a number")

    def positive(self, name: str, default: float | None) -> float:
        """A number above 0."""
        value = self.number(name, default)
        if value <= 0:
            raise ValueError(f"{self.named(name)} is {value:g}, not positive")
        return value

    def integer(self, name: str, default: int | None, allowed: range) -> int:
        """A whole number within a range."""
        value = self.number(name, default)
        if value not in allowed:
            raise ValueError(f"{self.named(name)} is {value:g}, not {allowed.start} to {allowed.stop - 1}")
        return int(value)

    def numbers(self, name: str) -> tuple[float, ...]:
        """All numbers of a repeated field."""
        values = self._message.get(name, [])
        return tuple(float(value) for value in values if isinstance(value, int | float))

    def named(self, name: str) -> str:
        """The field's full path."""
        return f"{self._path}.{name}".removeprefix(".")

    def _last(self, name: str) -> Value | None:
        return self._message.get(name, [None])[-1]


def _shown(value: Value | None) -> str:
    if value is None:
        return "missing"
    return str(value).lower() if isinstance(value, bool) else str(value)
