"""The model card, written from the figures so that it can say nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edge_sacro.manifest import Manifest
from export.demonstration.networks import CLASSIFIER_SIZE, SEGMENTER_SIZE

HEAD = """# Model card: the demonstration networks

**{statement}**

They show and test that the runtime works, from DICOM to report. No figure here says anything about patients, and none
of the networks' answers may be used for one.

| | |
|---|---|
| bundle | `{name}` {version}, system `{system}`, licence {licence} |
| segmenter | a small U-Net (MONAI), one pass at {size} x {size}, dilation {dilation} of the sacrum's height |
| classifier | a small residual network, {rows} x {columns}, global average pooling, a head of two layers |
| made by | `python -m export demonstration`, PyTorch on the CPU, seeded |
| measured by | `python -m export evaluate-demonstration`, the runtime's own stages from DICOM to probability |

## Training data

Simulated radiographs alone. The phantom of Edge-Sacro (`edge_sacro/phantom`, parametric anatomy of our own, seeds from
100,000) and, where it was given, a second simulator whose anatomy comes from scans. No patient's image was used, and no
image of the second simulator is shipped. Every training image is warped, cropped, collimated, mirrored with its sides
exchanged, given other contrast, noise and processing, and covered in part by markers, metal, gas and bars, since an
unseen anatomy and a real machine differ from both generators in more than these can show.

The shipped weights were trained in several cycles of that command's stages, one after another (`training-log.csv`,
steps counted through). Between cycles the views, the painting of labels and the jitter of crops were changed for the
better, and the segmenter's weights are the weighted mean (0.3 and 0.7) of those after its last two cycles, which found
a real joint's box better and cost nothing on simulated ones. The command as it stands holds the last views and
painting and trains in one cycle. At its full length it has not been run: its own networks will differ from the shipped
ones, and their figures have to be measured.

Held-out images of both generators were looked at between cycles, to see failures, and the classifier's AUC on them was
watched. So the figures below are a little too good. Cut-offs and the joints' painting were chosen on other images.

The joint rule of the published method is fixed, and truth masks overlap as projections do. So each joint is painted as
a core of sacrum inside a ring of ilium (`export/demonstration/labels.py`): the rule then gives the joint's box.
A joint that the image or a collimator cuts is taught as absent, so that it is reported as not assessable and not as a
box of some part.

## Figures on unseen seeds

| | {columns_head} |
|---|{rule}|
{table}

Dice is against the painted labels. A joint that was not found counts with an IoU of 0; joints that the image cuts are
left out. AUC: modified New York criterion (grade 2 or more on both sides, or 3 or more on one), bootstrap interval of
95 %, images that are not assessable left out. The trivial baseline is a cross-validated logistic regression on
brightness, contrast and line energy in the true joint boxes, fitted on the held-out images themselves.

{points}

On 500 phantoms by `edge-sacro evaluate`: [evaluation.md](evaluation.md). In INT8 and FP16:
[precisions.md](precisions.md).

Pictures: `loss-curves.png`, `roc.png`, `iou.png`, and the cases met worst (`worst-phantom.png`: green is true, white
found).
"""

TAIL = """## Limits

- Simulated grades are ranges of parameters and no reader's grades. Neighbouring grades are in part inseparable once
  projected; the operating point `demonstration` was chosen on simulated images alone.
- Two anatomies and their variations stand behind all training. On any other the figures are lower.
- Probabilities are not calibrated for any population.
- One real radiograph was looked at while the networks were made, to see whether the runtime answers sensibly on real
  pixels. That is a test of the runtime and no evidence of accuracy.

## Sources, to be credited wherever results are shown

{credits}
"""

ROWS: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("images (positive)", lambda m: f"{m['images']} ({m['positive']})"),
    ("not assessable (of these, both joints whole)",
     lambda m: f"{m['not_assessable']} ({m['not_assessable_with_both_joints_whole']})"),
    ("Dice sacrum, ilia", lambda m: ", ".join(f"{value:.3f}" for value in m["dice"].values())),
    ("IoU of joint boxes, mean", lambda m: _number(m["iou"]["mean"])),
    ("IoU, 5th percentile", lambda m: _number(m["iou"]["percentile_5"])),
    ("joints not found, IoU below 0.5",
     lambda m: f"{m['iou']['not_found']}, {m['iou']['below_half']} of {m['iou']['joints']}"),
    ("AUC", lambda m: _interval(m["auc"])),
    ("AUC of the trivial baseline", lambda m: _interval(m["auc_trivial_baseline"])),
)  # fmt: skip


def model_card(manifest: Manifest, metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """The card's Markdown.

    Args:
        manifest: of the bundle.
        metrics: figures by generator.
    """
    groups = {"phantom": "phantom", "simulator": "second simulator"}
    present = [name for name in groups if name in metrics]
    table = "\n".join(
        f"| {title} | " + " | ".join(read(metrics[name]) for name in present) + " |" for title, read in ROWS
    )
    settings = manifest.segmentation
    points = "\n".join(
        f"- `{point}` ({row['threshold']}): sensitivity {_number(row['sensitivity'])}, specificity"
        f" {_number(row['specificity'])} ({groups[name]})"
        for name in present
        for point, row in metrics[name]["operating_points"].items()
    )
    head = HEAD.format(
        statement=manifest.statement,
        name=manifest.name,
        version=manifest.version,
        system=manifest.system,
        licence=manifest.licence,
        size=SEGMENTER_SIZE,
        dilation=settings.dilation_fraction if settings else "none",
        rows=CLASSIFIER_SIZE[0],
        columns=CLASSIFIER_SIZE[1],
        columns_head=" | ".join(groups[name] for name in present),
        rule="---|" * (len(present) - 1) + "---",
        table=table,
        points=points,
    )
    return head + "\n" + TAIL.format(credits="\n".join(f"- {credit}" for credit in manifest.credits))


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _interval(figure: Mapping[str, Any]) -> str:
    low, high = figure["interval_95"]
    return f"{_number(figure['value'])} ({_number(low)} to {_number(high)})"
