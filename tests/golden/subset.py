"""Which golden arrays live in the product's tests, as plain slices of the reference arrays.

``python -m tests.golden.subset <folder of the reference arrays>`` writes ``data/`` again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[np.generic]]

DATA = Path(__file__).parent / "data"

CROP_CASES = (
    "normal",
    "no_left_intersection",
    "no_right_intersection",
    "no_intersection_both",
    "left_two_pieces",
    "empty_left_class",
    "empty_sacrum",
    "zero_image",
    "dark_top_shrinks_crop",
    "striped",
    "constant_image",
    "touching_borders",
    "thin_sides",
    "diag_pieces",
    "tie_pieces",
)
CLAHE_CASES = ("f32_64x96", "f32_odd_101x67", "f32_neg_60x61", "const_f32_40x50", "two_level_64x64", "tiny_7x5")
CLASSIFIER_CASES = {"wide_260x640": 41, "tall_700x300": 42, "aspect_416x628": 44, "small_120x171": 45}
"""Crops by their case, and the seed of the synthetic radiograph that each of them is."""
EXPLAINED_CASES = ("wide_260x640", "tall_700x300", "small_120x171")
INVERSE_SIZES = ((600, 720), (901, 1103), (2500, 3000), (333, 517))


def subset(reference: Path) -> dict[str, Arrays]:
    """File name to arrays, each [x, y] as in the reference."""

    def load(name: str) -> Arrays:
        with np.load(reference / f"{name}.npz") as arrays:
            return dict(arrays)

    return {
        "segmentation": _segmentation(load("b_seg_pre"), load("c_unet"), load("d_seg_post")),
        "crop": _crop(load("e_crop")),
        "clahe": _clahe(load("f_clahe")),
        "classifier": _classifier(load("g_classifier"), load("i_e2e")),
        "explanation": _explanation(load("h_gradcam"), load("g_classifier")),
    }


def _segmentation(pre: Arrays, net: Arrays, post: Arrays) -> Arrays:
    kept: Arrays = {}
    for image in ("L_600x720", "L_901x1103", "I16_901x1103"):
        kept[f"{image}/resized_sub12"] = pre[f"{image}/resized_sub6"][0, ::2, ::2]
        kept[f"{image}/scaled_sub12"] = pre[f"{image}/scaled_sub6"][0, ::2, ::2]
    kept["const_300x200/scaled_sub12"] = pre["const_300x200/scaled_sub6"][0, ::2, ::2]
    for name in ("tiny64_in", "tiny64_logits", "sw_rowcrop_full", "sw_argmax_sub2"):
        kept[name] = net[name]
    kept["sw_logits_sub24"] = net["sw_logits_sub6"][:, ::4, ::4]
    kept["onepass768_logits_sub24"] = net["onepass768_logits_sub6"][:, ::4, ::4]
    kept["inv_label768"] = post["inv_label768"]
    for case in ("cc", "cc_speckle", "cc_missing"):
        kept[f"{case}_in"], kept[f"{case}_out"] = post[f"{case}_in"], post[f"{case}_out"]
    for rows, columns in INVERSE_SIZES:
        kept[f"inv_{rows}x{columns}_sha256"] = post[f"inv_{rows}x{columns}_sha256"]
    return kept


def _crop(arrays: Arrays) -> Arrays:
    kept: Arrays = {"extent_table": arrays["extent_table"]}
    shared_image = arrays["normal/image"]
    for case in CROP_CASES:
        for name in ("mask", "sij_mask", "bbox_x0x1y0y1_inclusive", "otsu_threshold", "fg_bbox_x0x1y0y1_inclusive"):
            if f"{case}/{name}" in arrays:
                kept[f"{case}/{name}"] = arrays[f"{case}/{name}"]
        if case == "normal" or not np.array_equal(arrays[f"{case}/image"], shared_image):
            kept[f"{case}/image"] = arrays[f"{case}/image"]
    return kept


def _clahe(arrays: Arrays) -> Arrays:
    kept = {f"{case}/{name}": arrays[f"{case}/{name}"] for case in CLAHE_CASES for name in ("in", "out")}
    kept |= {f"f32_64x96/{name}": arrays[f"f32_64x96/{name}"] for name in ("rescaled", "median", "gauss", "filtered")}
    kept |= {f"order/{name}": arrays[f"order/{name}"] for name in ("in", "deploy_rotate_then_clahe")}
    return kept


def _classifier(arrays: Arrays, whole: Arrays) -> Arrays:
    kept: Arrays = {}
    for case in CLASSIFIER_CASES:
        kept[f"{case}/input_sub8"] = arrays[f"{case}/input_sub4"][::2, ::2]
        for name in ("resized_shape", "logits", "prob"):
            kept[f"{case}/{name}"] = arrays[f"{case}/{name}"]
    kept["rand_pcg64_99/logits"] = arrays["rand_pcg64_99/logits"]
    for case in ("e2e_600x720", "e2e_600x720_idealmask", "e2e_901x1103"):
        for name in ("logits", "prob"):
            kept[f"{case}/{name}"] = whole[f"{case}/{name}"]
        kept[f"{case}/crop_shape"] = np.array(whole[f"{case}/crop"].shape[1:])
        kept[f"{case}/crop_sub4"] = whole[f"{case}/crop"][0, ::4, ::4]
        kept[f"{case}/input_sub8"] = whole[f"{case}/input"][::8, ::8]
    kept["e2e_600x720/mask"] = whole["e2e_600x720/mask"]
    kept["e2e_901x1103/mask"] = whole["e2e_901x1103/mask"]
    return kept


def _explanation(maps: Arrays, classified: Arrays) -> Arrays:
    kept: Arrays = {}
    for case in EXPLAINED_CASES:
        kept[f"{case}/raw_cam"] = maps[f"{case}/raw_cam_13x20"]
        kept[f"{case}/cam_sub8"] = maps[f"{case}/cam_eigen0"][::8, ::8]
        kept[f"{case}/prob"] = classified[f"{case}/prob"]
    return kept


def main(folder: str) -> None:
    """Write the subset of the reference arrays in ``folder``."""
    DATA.mkdir(exist_ok=True)
    for name, arrays in subset(Path(folder)).items():
        np.savez_compressed(DATA / f"{name}.npz", **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
