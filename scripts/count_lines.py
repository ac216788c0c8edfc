"""Print how many lines of Python each package has, the product's and its tests'."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path


def main() -> None:
    """Count the lines of every tracked Python file by top-level folder."""
    root = Path(__file__).resolve().parents[1]
    listed = subprocess.run(
        ["git", "ls-files", "*.py"],  # noqa: S607
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    lines: Counter[str] = Counter()
    for name in listed.stdout.split():
        lines[name.split("/")[0]] += len((root / name).read_text().splitlines())
    for folder, count in sorted(lines.items()):
        print(f"{count:7d}  {folder}")
    print(f"{sum(lines.values()):7d}  in all")


if __name__ == "__main__":
    main()
