"""``python -m bench``: what is measured of a bundle in the workshop."""

from __future__ import annotations

import click

from bench.factory_command import factory
from bench.parity import parity


@click.group()
def main() -> None:
    """Measure a bundle: beside FP32, beside peers, against budgets."""


main.add_command(factory)
main.add_command(parity)


if __name__ == "__main__":
    main()
