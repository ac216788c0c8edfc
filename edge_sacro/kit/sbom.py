"""The bill of materials of a kit: CycloneDX 1.6 as JSON, wheels, the libraries inside them, and the models."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from typing import Any

from edge_sacro import __version__
from edge_sacro.bundle import Bundle
from edge_sacro.kit.embedded import embedded_in_wheel, name_from_library, stated_in_wheel
from edge_sacro.kit.licences import licence_of
from edge_sacro.kit.wheels import Wheel

_SPACE = uuid.UUID("6f1d1b54-4f2d-5d0f-9d0e-3f0a4b1c2d3e")
"""Of the serial numbers: the same content has the same one."""

Component = dict[str, Any]


def sbom_from_kit(wheels: Sequence[Wheel], bundle: Bundle, target: str, moment: int) -> bytes:
    """The document.

    Args:
        wheels: of the kit.
        bundle: of the kit.
        target: what the kit is for.
        moment: seconds since 1970.
    """
    root = f"edge-sacro-kit@{__version__}-{target}"
    components, depends = [], []
    for wheel in wheels:
        made = _wheel(wheel)
        inner = [*_libraries(wheel, made["bom-ref"]), *_stated(wheel, made["bom-ref"])]
        components += [made, *inner]
        depends.append({"ref": made["bom-ref"], "dependsOn": sorted(each["bom-ref"] for each in inner)})
    models = _models(bundle)
    components += models
    names = sorted([each["ref"] for each in depends] + [each["bom-ref"] for each in models])
    depends.append({"ref": root, "dependsOn": names})
    depends += [{"ref": each["bom-ref"], "dependsOn": []} for each in models]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": dt.datetime.fromtimestamp(moment, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [{"type": "application", "name": "edge-sacro kit", "version": __version__}]},
            "component": {"type": "application", "bom-ref": root, "name": "edge-sacro-kit", "version": __version__},
        },
        "components": components,
        "dependencies": depends,
    }
    serial = uuid.uuid5(_SPACE, json.dumps(document, sort_keys=True))
    return json.dumps({**document, "serialNumber": f"urn:uuid:{serial}"}, sort_keys=True, indent=1).encode() + b"\n"


def _wheel(wheel: Wheel) -> Component:
    reference = f"pkg:pypi/{wheel.name}@{wheel.version}"
    stated = wheel.metadata.get("License-Expression")
    licence = {"expression": str(stated)} if stated else {"license": {"name": licence_of(wheel)}}
    return {
        "type": "library",
        "bom-ref": reference,
        "name": wheel.name,
        "version": wheel.version,
        "purl": reference,
        "hashes": _hash(wheel.sha256),
        "licenses": [licence],
        "properties": [{"name": "edge-sacro:file", "value": wheel.path.name}],
    }


def _libraries(wheel: Wheel, parent: str) -> list[Component]:
    """The shared libraries of a wheel: another project's as libraries, the package's own extensions as files."""
    made = []
    for each in embedded_in_wheel(wheel):
        file = each.path.rpartition("/")[2]
        properties = [
            {"name": "edge-sacro:inside", "value": parent},
            {"name": "edge-sacro:path", "value": each.path},
            *({"name": "edge-sacro:needs", "value": name} for name in each.needed),
        ]
        if each.soname is not None:
            properties.append({"name": "edge-sacro:soname", "value": each.soname})
        component: Component = {
            "type": "library" if each.grafted else "file",
            "bom-ref": f"{parent}#{each.path}",
            "name": name_from_library(file) if each.grafted else file,
            "hashes": _hash(each.sha256),
            "properties": properties,
        }
        if each.version is not None:
            component["version"] = each.version
        made.append(component)
    return made


def _stated(wheel: Wheel, parent: str) -> list[Component]:
    """What the wheel's own bill of materials says is inside; its words, marked as such."""
    made = []
    for index, each in enumerate(stated_in_wheel(wheel)):
        component: Component = {
            "type": "library",
            "bom-ref": f"{parent}#stated-{index}",
            "name": str(each["name"]),
            "properties": [
                {"name": "edge-sacro:inside", "value": parent},
                {"name": "edge-sacro:stated-by", "value": "the wheel's own bill of materials"},
            ],
        }
        for key in ("version", "purl", "cpe"):
            if isinstance(each.get(key), str):
                component[key] = each[key]
        made.append(component)
    return made


def _models(bundle: Bundle) -> list[Component]:
    """Every network of the bundle, in each precision, as a machine-learning model."""
    manifest, made = bundle.manifest, []
    files: dict[str, list[str]] = {}
    for network, each in manifest.networks.items():
        for variant in each.variants:
            only = f" on {', '.join(variant.backends)}" if variant.backends else ""
            files.setdefault(variant.file, []).append(f"{network}, {variant.precision}{only}")
    for file, uses in sorted(files.items()):
        made.append(
            {
                "type": "machine-learning-model",
                "bom-ref": f"bundle:{manifest.name}@{manifest.version}#{file}",
                "name": f"{manifest.name}/{file}",
                "version": manifest.version,
                "description": f"{'; '.join(uses)}. {manifest.statement}",
                "hashes": _hash(manifest.files[file]),
                "licenses": [{"license": {"name": manifest.licence}}],
                "modelCard": {
                    "modelParameters": {
                        "approach": {"type": "supervised"},
                        "task": "detection of radiographic sacroiliitis",
                        "modelArchitecture": manifest.system,
                    },
                    "considerations": {
                        "useCases": [manifest.intended_use],
                        "technicalLimitations": [manifest.statement],
                    },
                },
                "properties": [{"name": "edge-sacro:bundle-fingerprint", "value": bundle.fingerprint}],
            }
        )
    return made


def _hash(sha256: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}]
