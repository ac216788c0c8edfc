"""A PyTorch pipeline of the published application's shape: what the runtime's speed is measured beside.

The steps of Dorfner et al. 2024 in the libraries that research code uses: MONAI's sliding windows in one batch and its
largest components, scikit-image's and SciPy's filters, and Grad-CAM by autograd with a singular value decomposition.
Ours, and written to be fair: no figure is drawn, nothing is read twice, and the file is read, brought to 8 bits and
searched for the joints by the runtime's own stages, so that both answers can be compared.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter, median_filter
from skimage.exposure import equalize_adapthist, rescale_intensity

from edge_sacro.crop import crop_from_box, pixels
from edge_sacro.dicom import read
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.preprocess.resize import nearest_inverse
from edge_sacro.regions import RegionRules, joint_regions
from export.architectures import ARCHITECTURES

SYSTEM = "dorfner2024"
SIDE, WINDOW, OVERLAP, WINDOWS = 768, 512, 0.75, 9
RADIOGRAPHIC = 1


class PublishedShape:
    """The pipeline with generated weights.

    Args:
        threads: of PyTorch.
        labels: what takes the place of the labels found, which generated weights leave without meaning; the network
            runs all the same.

    Attributes:
        network_s: seconds that both networks took in the last assessment, the explanation's gradient left out.
    """

    def __init__(self, threads: int, labels: npt.NDArray[np.uint8]) -> None:
        from monai.inferers import SlidingWindowInferer
        from monai.transforms import KeepLargestConnectedComponent

        torch.set_num_threads(threads)
        self._segmenter = ARCHITECTURES[SYSTEM]["segmenter"].from_generated().eval()
        self._classifier = ARCHITECTURES[SYSTEM]["classifier"].from_generated().eval()
        self._windows: Any = SlidingWindowInferer((WINDOW, WINDOW), sw_batch_size=WINDOWS, overlap=OVERLAP)
        self._largest: Any = KeepLargestConnectedComponent(applied_labels=[1, 2, 3])
        small = cv2.resize(labels, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
        self._true = nearest_inverse(small, (labels.shape[0], labels.shape[1]))
        self.network_s = 0.0

    def infer(self, file: Path) -> tuple[float, npt.NDArray[np.float32]]:
        """Probability of the disease and the explanation over the classifier's input."""
        self.network_s = 0.0
        image = eight_bit_from_radiograph(read(file, isolation="none"))
        self._labels(image)
        labels = self._true
        box = joint_regions(labels, RegionRules(), "published").box
        if box is None:
            raise RuntimeError("no joints were found, not even the published fallback's")
        crop = crop_from_box(image, box).box
        if crop is None:
            raise RuntimeError("the crop is dark")
        return self._classified(_classifier_input(pixels(image, crop)))

    def _labels(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        given = torch.from_numpy(image.astype(np.float32))[None, None]
        small = torch.nn.functional.adaptive_avg_pool2d(given, (SIDE, SIDE))
        small = (small - small.mean()) / small.std(correction=0)
        small = (small - small.min()) / (small.max() - small.min()) * 2 - 1
        start = time.perf_counter()
        with torch.inference_mode():
            logits = self._windows(small, self._segmenter)
        self.network_s += time.perf_counter() - start
        labels = self._largest(logits[0].argmax(dim=0, keepdim=True))
        full = torch.nn.functional.interpolate(labels[None].float(), image.shape, mode="nearest")
        return np.asarray(full[0, 0].numpy(), dtype=np.uint8)

    def _classified(self, given: torch.Tensor) -> tuple[float, npt.NDArray[np.float32]]:
        net: Any = self._classifier
        start = time.perf_counter()
        features = net.feature_map(given)
        features.retain_grad()
        vector = net.pooled(features)
        for layer in net.head():
            vector = layer(vector)
        self.network_s += time.perf_counter() - start
        probability = float(vector.detach().softmax(dim=1)[0, RADIOGRAPHIC])
        vector[0, int(vector.argmax())].backward()
        weights = features.grad.mean(dim=(2, 3), keepdim=True)
        return probability, _projected((weights * features)[0].detach().numpy(), given.shape[2:])


def _classifier_input(crop: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Mirrored, filtered, longer side to 628, in 416 x 628."""
    image = rescale_intensity(crop[:, ::-1].astype(np.float32), out_range=(0.0, 1.0))
    median = median_filter(image, 3, mode="nearest")
    sharp = rescale_intensity(median - 0.6 * gaussian_filter(median, 1, mode="nearest"), out_range=(0.0, 1.0))
    kernel = [max(side // 8, 1) for side in sharp.shape]
    equal = equalize_adapthist(sharp, kernel_size=kernel, clip_limit=0.01, nbins=256).astype(np.float32)
    rows, columns = ARCHITECTURES[SYSTEM]["classifier"].shape[2:]
    scale = columns / max(equal.shape)
    size = [round(side * scale) for side in equal.shape]
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(equal)[None, None], size, mode="bilinear", align_corners=True
    )
    top = max(size[0] - rows, 0) // 2
    part = resized[:, :, top : top + rows, :columns]
    high, wide = rows - part.shape[2], columns - part.shape[3]
    return torch.nn.functional.pad(part, (wide // 2, wide - wide // 2, high // 2, high - high // 2))


def _projected(activations: npt.NDArray[np.float32], size: torch.Size) -> npt.NDArray[np.float32]:
    """First singular vector's projection of (channels, h, w), positive part, brought to ``size``."""
    flat = activations.reshape(len(activations), -1).T
    centred = flat - flat.mean(axis=0)
    _, _, vectors = np.linalg.svd(centred, full_matrices=True)
    projected = (centred @ vectors[0]).reshape(activations.shape[1:])
    map_ = torch.from_numpy(np.maximum(projected, 0))[None, None]
    return np.asarray(torch.nn.functional.interpolate(map_, size, mode="bilinear")[0, 0], dtype=np.float32)
