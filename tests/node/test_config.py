"""The configuration: typed, whole, and nothing in it that is not known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_sacro.errors import NodeConfigInvalid
from edge_sacro.node.config import NodeConfig, config_from_file
from tests.conftest import ROOT

EXAMPLE = ROOT / "docs" / "node.toml"


def _read(folder: Path, text: str) -> NodeConfig:
    path = folder / "node.toml"
    path.write_text(text)
    return config_from_file(path)


def test_the_example_is_a_configuration_and_shows_every_key() -> None:
    config = config_from_file(EXAMPLE)
    assert config.dicom.ae_title == "EDGESACRO"
    text = EXAMPLE.read_text()

    def keys(model: Any) -> set[str]:
        found = set()
        for name, field in model.model_fields.items():
            found.add(name)
            for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if hasattr(inner, "model_fields"):
                    found |= keys(inner)
        return found

    absent = [key for key in sorted(keys(NodeConfig)) if key not in text]
    assert absent == []


def test_one_key_is_enough() -> None:
    config = NodeConfig(folder=Path("/srv/node"))
    assert config.destinations == ()
    assert config.dicom.host == "127.0.0.1"


def test_relative_paths_start_at_the_files_folder(tmp_path: Path) -> None:
    config = _read(
        tmp_path,
        'folder = "data"\nlog = "node.log"\n[assessment]\nbundle = "bundles/one.zip"\n'
        'trust = ["maker.pub", "/etc/other.pub"]\n',
    )
    assert config.folder == tmp_path / "data"
    assert config.log == tmp_path / "node.log"
    assert config.assessment.bundle == str(tmp_path / "bundles/one.zip")
    assert config.assessment.trust == (tmp_path / "maker.pub", Path("/etc/other.pub"))


def test_the_name_of_the_bundle_that_ships_is_no_path(tmp_path: Path) -> None:
    assert _read(tmp_path, 'folder = "data"\n').assessment.bundle == "demonstration"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "folder: Field required"),
        ('folder = "d"\nfodler = 1\n', "fodler: Extra inputs are not permitted"),
        ('folder = "d"\n[dicom]\nport = 70000\n', "dicom.port"),
        ('folder = "d"\n[dicom]\nae_title = "LONGER THAN SIXTEEN"\n', "dicom.ae_title"),
        ('folder = "d"\n[dicom]\nae_title = " LEADING"\n', "dicom.ae_title"),
        ('folder = "d"\n[dicom]\nhost = "0.0.0.0"\n', "without tls"),
        ('folder = "d"\n[http]\nhost = "0.0.0.0"\n', "without tls"),
        ('folder = "d"\n[[dicom.peers]]\nae_title = "A"\naddresses = ["everywhere"]\n', "dicom.peers.0"),
        ('folder = "d"\n[limits]\nattempts = 0\n', "limits.attempts"),
        ('folder = "d"\n[assessment]\nprecision = "fp8"\n', "assessment.precision"),
        ('folder = "d"\n[assessment]\nengines = "e"\nbackend = "null"\n', "engines have their own backend"),
        ('folder = "d"\n[[destinations]]\nname = "a"\nhost = "pacs"\nport = 104\nae_title = "P"\n', "without tls"),
        (
            'folder = "d"\n[[destinations]]\nname = "a"\nhost = "::1"\nport = 104\nae_title = "P"\nobjects = []\n',
            "objects",
        ),
        ("folder = ", "is no TOML file"),
    ],
)
def test_what_is_wrong_is_named_and_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(NodeConfigInvalid, match=told.replace(".", r"\.")) as caught:
        _read(tmp_path, text)
    assert str(tmp_path / "node.toml") in str(caught.value)


def test_two_destinations_have_two_names(tmp_path: Path) -> None:
    one = '[[destinations]]\nname = "a"\nhost = "localhost"\nport = 104\nae_title = "P"\n'
    with pytest.raises(NodeConfigInvalid, match="two have one name"):
        _read(tmp_path, f'folder = "d"\n{one}{one}')


def test_plain_connections_are_let_through_where_they_are_asked_for(tmp_path: Path) -> None:
    config = _read(tmp_path, 'folder = "d"\n[dicom]\nhost = "0.0.0.0"\nplain_network = true\n')
    assert config.dicom.plain_network


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NodeConfigInvalid, match="cannot be read"):
        config_from_file(tmp_path / "absent.toml")
