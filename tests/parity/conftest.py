"""One measurement of the tiny bundle in three precisions, for every test that reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.manifest import Precision
from edge_sacro.parity.document import Document
from edge_sacro.parity.measure import Setup, measure
from tests.parity import variants

AGAINST: tuple[tuple[str, Precision], ...] = (("onnxruntime", "fp32"), ("onnxruntime", "fp16"), ("onnxruntime", "int8"))


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return variants.write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return variants.write_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def bundle(folder: Path) -> Bundle:
    return load_bundle(folder)


@pytest.fixture(scope="session")
def document(bundle: Bundle, images: list[Path]) -> Document:
    return measure(bundle, images, Setup(against=AGAINST, threads=1))
