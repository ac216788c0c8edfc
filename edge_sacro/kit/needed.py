"""Which wheels a target needs: every Requires-Dist followed, its conditions evaluated for the target and not for here.

``pip download --python-version`` takes wheels for another Python, and yet evaluates the conditions of requirements for
the Python that it runs on: built on 3.11, a kit for 3.10 would lack what is needed below 3.11. So the requirements
are read once more here, by the same library that pip has inside.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_sacro.errors import KitError
from edge_sacro.kit.targets import Target
from edge_sacro.kit.wheels import Wheel, normal_name

_READ = """
import json, sys
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.specifiers import SpecifierSet

asked = json.load(sys.stdin)
answers = []
for text, extras in asked["requirements"]:
    requirement = Requirement(text)
    environments = [{**asked["environment"], "extra": extra} for extra in ("", *extras)]
    holds = requirement.marker is None or any(map(requirement.marker.evaluate, environments))
    wanted = {"name": requirement.name, "extras": sorted(requirement.extras), "specifier": str(requirement.specifier)}
    answers.append(wanted if holds else None)
fits = [SpecifierSet(specifier).contains(version, prereleases=True) for specifier, version in asked["versions"]]
print(json.dumps({"needed": answers, "fits": fits}))
"""


@dataclass(frozen=True)
class Needed:
    """What a distribution is needed as.

    Attributes:
        name: as PEP 503 has it.
        extras: of it.
        specifier: versions that will do, as ``>=2.0``.
    """

    name: str
    extras: tuple[str, ...]
    specifier: str

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.name}{'[' + ','.join(self.extras) + ']' if self.extras else ''}{self.specifier}"


def needed_wheels(
    wheels: Sequence[Wheel], extras: Sequence[str], target: Target, python: str
) -> tuple[set[str], list[Needed]]:
    """Follow the product's requirements through the wheels that are there.

    Args:
        wheels: of any distributions, the product's among them.
        extras: of the product.
        target: what they are needed on.
        python: its version.

    Returns:
        the names of those that are needed, pip's among them, and what is needed and not there.

    Raises:
        KitError: a wheel that is there has a version that another one does not take, or pip is not here.
    """
    there = {wheel.name: wheel for wheel in wheels}
    environment = _environment(target, python)
    missing: dict[str, Needed] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    waiting = [Needed("edge-sacro", tuple(sorted(extras)), ""), Needed("pip", (), "")]
    while waiting:
        waiting = [each for each in waiting if (each.name, each.extras) not in seen]
        seen |= {(each.name, each.extras) for each in waiting}
        missing |= {each.name: each for each in waiting if each.name not in there}
        present = [each for each in waiting if each.name in there]
        waiting = _followed(present, there, environment)
    return {name for name, _ in seen if name in there}, sorted(missing.values(), key=lambda each: each.name)


def _followed(present: Sequence[Needed], there: dict[str, Wheel], environment: dict[str, str]) -> list[Needed]:
    """What these need in their turn; each version is held against what it is needed as."""
    asked = [
        (str(text), each.extras)
        for each in present
        for text in there[each.name].metadata.get_all("Requires-Dist") or ()
    ]
    versions = [(each.specifier, there[each.name].version) for each in present]
    answer = _asked({"requirements": asked, "environment": environment, "versions": versions})
    wrong = [each for each, fits in zip(present, answer["fits"], strict=True) if not fits]
    if wrong:
        version = there[wrong[0].name].version
        raise KitError(f"{wrong[0].name} {version} is there, and {wrong[0].requirement} is needed", source="wheels")
    return [
        Needed(normal_name(each["name"]), tuple(each["extras"]), each["specifier"])
        for each in answer["needed"]
        if each is not None
    ]


def _asked(question: dict[str, object]) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603 - our own interpreter and a constant text
        [sys.executable, "-c", _READ], input=json.dumps(question), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        told = done.stderr.strip().splitlines()[-1:] or ["no word"]
        raise KitError(
            f"the wheels' requirements cannot be read: {told[0]}",
            source="pip",
            remedy="Install pip beside the interpreter that builds the kit.",
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _environment(target: Target, python: str) -> dict[str, str]:
    """The target, as conditions of requirements name it (PEP 508)."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": target.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
