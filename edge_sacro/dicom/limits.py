"""What reading one file may cost, at most."""

from __future__ import annotations

from dataclasses import asdict, dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class ReadLimits:
    """Bounds of one read. Past any of them the file is refused, and the next file is read as if nothing had happened.

    Attributes:
        file_bytes: largest file, and largest data set that a deflated file may inflate to.
        min_side: fewest rows and columns.
        max_side: most rows and columns.
        max_frames: most frames of one object.
        memory_bytes: address space that the decoding process may take beyond what it holds when idle.
        cpu_s: processor time of one read, in seconds, whole.
        wall_s: time of one read from sending the bytes to having the answer, in seconds.
    """

    file_bytes: int = 512 * MIB
    min_side: int = 256
    max_side: int = 8192
    max_frames: int = 4096
    memory_bytes: int = 1536 * MIB
    cpu_s: int = 20
    wall_s: float = 30.0

    def __post_init__(self) -> None:
        if not (0 < self.min_side <= self.max_side <= 65535):
            raise ValueError(f"sides of {self.min_side} to {self.max_side} pixels hold no image")
        if min(self.file_bytes, self.max_frames, self.memory_bytes, self.cpu_s, self.wall_s) <= 0:
            raise ValueError("every limit must be above zero")

    @property
    def answer_bytes(self) -> int:
        """The most that one answer of the decoding process holds: the largest image, and its table."""
        return self.max_side * self.max_side * 2 + 65536 * 4

    def as_dict(self) -> dict[str, float]:
        """Field names and values, as the decoding process is told them."""
        return asdict(self)
