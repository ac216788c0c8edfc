"""``python -m bench``: what is measured of a bundle in the workshop."""

from __future__ import annotations

import click

from bench.batch_command import batch
from bench.budgets_command import budgets
from bench.factory_command import factory
from bench.gpu_command import gpu
from bench.growth_command import growth
from bench.parity import parity
from bench.peers_command import peers
from bench.profile_command import profile
from bench.receive_command import receive
from bench.reliability_command import reliability
from bench.systems_command import systems


@click.group()
def main() -> None:
    """Measure bundles and published systems: beside FP32, beside peers, against budgets."""


main.add_command(batch)
main.add_command(budgets)
main.add_command(factory)
main.add_command(growth)
main.add_command(gpu)
main.add_command(parity)
main.add_command(peers)
main.add_command(profile)
main.add_command(reliability)
main.add_command(receive)
main.add_command(systems)


if __name__ == "__main__":
    main()
