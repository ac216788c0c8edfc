"""The bill of materials: wheels, the libraries that are hidden in them, the models; and that it is CycloneDX 1.6."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge_sacro.bundle import load_bundle
from edge_sacro.errors import KitError
from edge_sacro.kit.elf import library_from_bytes
from edge_sacro.kit.embedded import is_grafted, name_from_library, version_from_name
from edge_sacro.kit.licences import licence_of, write_licences
from edge_sacro.kit.sbom import sbom_from_kit
from edge_sacro.kit.wheels import Wheel, requirements_from_wheels, wheel_from_file, wheels_from_folder
from tests.conftest import ROOT
from tests.kit.kits import wheel
from tests.tiny import write_bundle

LIBRARIES = sorted((ROOT / "edge_sacro" / "embed" / "binaries").rglob("*.so"))
"""Two of this repository's own, for aarch64 and x86_64."""

STATED = {"components": [{"type": "library", "name": "openssl-libs", "version": "1.1.1k"}, {"name": "Holder"}, 7, {}]}


@pytest.fixture
def wheels(tmp_path: Path) -> list[Wheel]:
    """A wheel with a grafted library, an extension, and a bill of materials of its own; and two plain ones."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    content = LIBRARIES[0].read_bytes()
    files = {
        "holder/extension.cpython-311-x86_64-linux-gnu.so": content,
        "holder.libs/libcrypto-5409cd36.so.1.1.1k": content + b"\0",
        "holder.libs/notes.so": b"no library",
        "holder-1.2.dist-info/sboms/auditwheel.cdx.json": json.dumps(STATED).encode(),
        "holder-1.2.dist-info/sboms/broken.cdx.json": b"{",
        "holder-1.2.dist-info/licenses/LICENSE": b"free",
        "holder-1.2.dist-info/licenses/third/NOTICE.txt": b"thanks",
    }
    wheel(folder, "holder", "1.2", files, License_Expression="MIT OR Apache-2.0")
    wheel(folder, "edge_sacro", "1.0.0", {}, License="Apache-2.0")
    wheel(folder, "pip", "26.0", {}, Classifier="License :: OSI Approved :: MIT License")
    return wheels_from_folder(folder)


@pytest.fixture
def document(wheels: list[Wheel], tmp_path: Path) -> dict[str, Any]:
    """The bill of materials of them and the tiny bundle."""
    bundle = load_bundle(write_bundle(tmp_path / "bundle"))
    text = sbom_from_kit(wheels, bundle, "x86_64", 1_700_000_000)
    assert text == sbom_from_kit(wheels, bundle, "x86_64", 1_700_000_000)
    found: dict[str, Any] = json.loads(text)
    return found


def _by_name(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in document["components"]}


def test_a_wheel_is_told_by_name_version_licence_and_hash(document: dict[str, Any], wheels: list[Wheel]) -> None:
    found = _by_name(document)
    assert {each.name for each in wheels} <= set(found)
    holder = found["holder"]
    assert holder["purl"] == "pkg:pypi/holder@1.2"
    assert holder["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert holder["hashes"] == [{"alg": "SHA-256", "content": next(w.sha256 for w in wheels if w.name == "holder")}]
    assert found["pip"]["licenses"] == [{"license": {"name": "MIT License"}}]


def test_a_library_inside_a_wheel_is_told(document: dict[str, Any]) -> None:
    found = _by_name(document)
    grafted, extension = found["libcrypto"], found["extension.cpython-311-x86_64-linux-gnu.so"]
    assert (grafted["type"], grafted["version"]) == ("library", "1.1.1k")
    assert extension["type"] == "file"
    needs = {each["value"] for each in extension["properties"] if each["name"] == "edge-sacro:needs"}
    assert needs == {"libc.so.6", "ld-linux-aarch64.so.1"}
    assert "notes.so" not in found


def test_what_a_wheel_says_of_itself_is_taken_over(document: dict[str, Any]) -> None:
    stated = _by_name(document)["openssl-libs"]
    assert stated["version"] == "1.1.1k"
    assert sum(each["name"].lower() == "holder" for each in document["components"]) == 1


def test_every_model_is_told_with_its_hash_and_its_statement(document: dict[str, Any], tmp_path: Path) -> None:
    models = [each for each in document["components"] if each["type"] == "machine-learning-model"]
    manifest = load_bundle(tmp_path / "bundle").manifest
    assert {each["hashes"][0]["content"] for each in models} == set(manifest.files.values())
    assert all("not for clinical use" in each["description"] for each in models)
    assert all(each["modelCard"]["modelParameters"]["modelArchitecture"] == "dorfner2024" for each in models)


def test_every_reference_is_of_one_component_and_every_dependency_is_there(document: dict[str, Any]) -> None:
    references = [each["bom-ref"] for each in document["components"]]
    references.append(document["metadata"]["component"]["bom-ref"])
    assert len(set(references)) == len(references)
    named = {each for entry in document["dependencies"] for each in (entry["ref"], *entry["dependsOn"])}
    assert named <= set(references)


def _errors(document: dict[str, Any]) -> object:
    schema = pytest.importorskip("cyclonedx.schema", reason="the schemas are in cyclonedx-python-lib[json-validation]")
    validation = pytest.importorskip("cyclonedx.validation.json")
    return validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(json.dumps(document))


def test_it_is_cyclonedx(document: dict[str, Any]) -> None:
    assert _errors(document) is None
    assert _errors({**document, "components": [{"type": "libary", "name": "x"}]}) is not None


def test_a_library_of_this_repository_is_read_as_readelf_reads_it() -> None:
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not here (binutils)")
    assert [path.parent.name for path in LIBRARIES] == ["aarch64", "x86_64"]
    for path in LIBRARIES:
        told = subprocess.run(["readelf", "-dW", path], check=True, capture_output=True, text=True).stdout
        library = library_from_bytes(path.read_bytes())
        assert library is not None
        assert library.needed == tuple(re.findall(r"\(NEEDED\).*\[(.+)\]", told))
        assert [library.soname] == (re.findall(r"\(SONAME\).*\[(.+)\]", told) or [None])
        assert library.machine == path.parent.name


def test_what_is_no_library_is_none() -> None:
    content = LIBRARIES[0].read_bytes()
    for part in (b"", b"\x7fELF", content[:64], content[:200], b"\x7fELF\x01\x01" + content[6:]):
        assert library_from_bytes(part) is None
    assert library_from_bytes(content) is not None


@pytest.mark.parametrize(
    ("file", "name", "version"),
    [
        ("libtiff-d78e088c.so.6.2.0", "libtiff", "6.2.0"),
        ("libcrypto-5409cd36.so.1.1.1k", "libcrypto", "1.1.1k"),
        ("libgfortran-040039e1-0352e75f.so.5.0.0", "libgfortran", "5.0.0"),
        ("liblzfse-513e1a5b.so", "liblzfse", None),
        ("libfoo-1.2.3.so", "libfoo-1.2.3", "1.2.3"),
    ],
)
def test_names_of_grafted_libraries(file: str, name: str, version: str | None) -> None:
    assert (name_from_library(file), version_from_name(file)) == (name, version)
    assert is_grafted(f"x.libs/{file}")
    assert not is_grafted(f"x/{file}")


def test_licences_are_written_out(wheels: list[Wheel], tmp_path: Path) -> None:
    write_licences(wheels, load_bundle(write_bundle(tmp_path / "bundle")), tmp_path / "licences")
    texts = {path.name: path.read_bytes() for path in (tmp_path / "licences" / "holder").iterdir()}
    assert texts == {"01-LICENSE": b"free", "02-third-NOTICE.txt": b"thanks"}
    table = (tmp_path / "licences" / "LICENCES.txt").read_text()
    assert "holder 1.2: MIT OR Apache-2.0 (2 texts)" in table
    assert "bundle tiny 1: Apache-2.0" in table


def test_a_wheel_without_a_licence_says_so(tmp_path: Path) -> None:
    assert licence_of(wheel_from_file(wheel(tmp_path, "bare", "1", {}))) == "not stated"


def test_requirements_name_each_wheel_with_its_hash_but_pip(wheels: list[Wheel]) -> None:
    lines = requirements_from_wheels(wheels, ("serve",)).splitlines()
    assert [line.split(" --hash=sha256:")[0] for line in lines] == ["edge-sacro[serve]==1.0.0", "holder==1.2"]
    assert all(re.fullmatch(r"\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)


def test_two_wheels_of_one_distribution_are_refused(wheels: list[Wheel]) -> None:
    wheel(wheels[0].path.parent, "holder", "1.3", {})
    with pytest.raises(KitError, match="two wheels of holder"):
        wheels_from_folder(wheels[0].path.parent)
