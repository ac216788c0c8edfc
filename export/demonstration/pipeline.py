"""The whole of ``python -m export demonstration``: simulate, train both networks, export, seal the bundle."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from torch import nn

from edge_sacro.engine import open_engine
from edge_sacro.engine.base import NetworkSpec, TensorSpec
from edge_sacro.locate import CLASSES as SEGMENTER_CLASSES
from export.demonstration.data import Example, simulator_files
from export.demonstration.loop import Log, Schedule
from export.demonstration.manifest import manifest_fields, sealed_bundle
from export.demonstration.networks import CLASSIFIER_SIZE, SEGMENTER_SIZE, Classifier, Segmenter
from export.demonstration.operating import probabilities, youden_threshold
from export.demonstration.store import Task, examples_from_tasks
from export.demonstration.train_classifier import Crops, crops_from_examples, train_classifier
from export.demonstration.train_segmenter import train_segmenter
from export.explained_graph import explained_from_graph
from export.onnx_graph import onnx_from_module, round_to_half, store_in_half

logger = logging.getLogger(__name__)

FIRST_TRAINING_SEED = 100_000
"""Phantoms are trained on from this seed; those from 900,000 on are kept for evaluation."""

VALIDATION_PART = 10
"""One image in so many chooses the operating point and trains nothing."""


@dataclass(frozen=True)
class Settings:
    """What to train on, how long, and where to put it.

    Attributes:
        out: the bundle's folder.
        docs: folder of the training log.
        cache: folder of rendered examples and checkpoints.
        phantoms: how many of our own phantoms.
        simulator: folders of the other simulator; none trains on phantoms alone.
        segmenter, classifier: schedules.
        variants: varied crops of each radiograph, beside the plain one.
        workers: processes that render and augment.
    """

    out: Path
    docs: Path
    cache: Path
    phantoms: int = 400
    simulator: tuple[Path, ...] = ()
    segmenter: Schedule = field(default_factory=lambda: Schedule(3600, rate=3e-3))
    classifier: Schedule = field(default_factory=lambda: Schedule(3300, batch=16, rate=3e-3))
    variants: int = 2
    workers: int = 2


def run(settings: Settings) -> Path:
    """Train, export and seal; returns the bundle's folder.

    Raises:
        FileNotFoundError: a simulator's folder holds no ``truth.json``.
    """
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    tasks = training_tasks(settings)
    logger.info("%d radiographs; rendering and reading what the cache lacks", len(tasks))
    examples = examples_from_tasks(tasks, settings.cache / "examples", settings.workers)
    training = [example for number, example in enumerate(examples) if number % VALIDATION_PART]
    validation = examples[::VALIDATION_PART]
    settings.docs.mkdir(parents=True, exist_ok=True)
    with (settings.docs / "training-log.csv").open("w", newline="") as stream:
        log = _log_to(csv.DictWriter(stream, ("network", "step", "loss", "seconds")))
        torch.manual_seed(settings.segmenter.seed)
        segmenter = train_segmenter(Segmenter(), training, settings.segmenter, log)
        crops = _training_crops(training, settings)
        torch.manual_seed(settings.classifier.seed)
        classifier = train_classifier(Classifier(), crops, settings.classifier, log)
    return export(segmenter, classifier, validation, settings)


def training_tasks(settings: Settings) -> list[Task]:
    """Phantoms and simulator images, evenly mixed so that validation has its part of each."""
    phantoms: list[Task] = [("phantom", FIRST_TRAINING_SEED + number) for number in range(settings.phantoms)]
    simulated: list[Task] = [("simulator", file) for folder in settings.simulator for file in simulator_files(folder)]
    return phantoms + simulated


def export(segmenter: nn.Module, classifier: nn.Module, validation: Sequence[Example], settings: Settings) -> Path:
    """Write both networks as ONNX, hold them to PyTorch, choose the operating point and seal the bundle."""
    settings.out.mkdir(parents=True, exist_ok=True)
    shapes = {"segmenter": (1, 1, SEGMENTER_SIZE, SEGMENTER_SIZE), "classifier": (1, 1, *CLASSIFIER_SIZE)}
    files, differences = {}, {}
    for name, trained in (("segmenter", segmenter), ("classifier", classifier)):
        module = round_to_half(trained.eval())
        files[name] = store_in_half(onnx_from_module(module, settings.out / f"{name}.onnx", shapes[name]))
        differences[name] = difference_from_torch(module, files[name], shapes[name])
        logger.info("%s: ONNX Runtime differs from PyTorch by %.2g at most", name, differences[name])
    onnx.save(explained_from_graph(onnx.load(files["classifier"])), files["classifier"])
    crops = crops_from_examples(validation, 0, 0, settings.workers)
    predicted = probabilities(classifier, crops)
    figures = replace(youden_threshold(predicted, crops.positive), onnx_difference=differences["classifier"])
    sealed_bundle(settings.out, files, manifest_fields(figures, with_simulator=bool(settings.simulator)))
    return settings.out


def difference_from_torch(module: nn.Module, file: Path, shape: tuple[int, ...], count: int = 4) -> float:
    """The largest difference of a logit between PyTorch and the runtime's CPU engine on random inputs."""
    logits = (1, SEGMENTER_CLASSES, *shape[2:]) if file.stem == "segmenter" else (1, 2)
    spec = NetworkSpec(file.stem, (TensorSpec("image", shape),), (TensorSpec("logits", logits),))
    random = np.random.default_rng(0)
    largest = 0.0
    with closing(open_engine("onnxruntime", spec, file.read_bytes(), 1)) as engine:
        for _ in range(count):
            image = random.random(shape, dtype=np.float32)
            with torch.no_grad():
                expected = module(torch.from_numpy(image)).numpy()
            found = engine.run({"image": image})["logits"]
            largest = max(largest, float(np.abs(found - expected).max()))
    return largest


def _training_crops(examples: Sequence[Example], settings: Settings) -> Crops:
    plain = crops_from_examples(examples, 0, 0, settings.workers)
    if settings.variants == 0:
        return plain
    return plain.joined(crops_from_examples(examples, settings.variants, settings.classifier.seed, settings.workers))


def _log_to(writer: csv.DictWriter[str]) -> Log:
    writer.writeheader()

    def log(row: dict[str, float | int | str]) -> None:
        writer.writerow({key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()})
        logger.info("%s step %s loss %.4f", row["network"], row["step"], row["loss"])

    return log
