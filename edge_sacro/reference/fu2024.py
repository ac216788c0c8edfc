"""Fu Q, Yuan X, Han X, et al. Enhancing the diagnostic accuracy of sacroiliitis, Br J Hosp Med 2024, hmed.2024.0228.

Pages are counted along the page breaks of the text at hand, from the title page.
"""

from __future__ import annotations

from edge_sacro.reference.types import Figure, Paper, by

DATA, SPLIT, RESULTS, TABLE_1 = "Data Collection, p. 4", "Training, p. 6", "Results, p. 7", "Table 1, p. 9"
OF_ALL = "if the evaluated images hold sacroiliitis as often as the whole data set"
AFTER_20 = "the text does not say on which images; for the other four networks it is the accuracy of Table 1"
GROWTH = "the gain in accuracy over 20 epochs; ties share a rank"

COHORT = (
    Figure("images", "830", DATA, derived=(by("sum", "images with sacroiliitis", "images without sacroiliitis"),)),
    Figure("images with sacroiliitis", "254", DATA),
    Figure("images without sacroiliitis", "576", DATA),
    Figure("rows and columns", "512", DATA),
    Figure("training share", "70", SPLIT),
    Figure("validation share", "15", SPLIT),
    Figure("test share", "15", SPLIT),
    Figure(
        "whole share",
        "100",
        SPLIT,
        derived=(by("sum", "training share", "validation share", "test share"),),
        published=False,
    ),
    Figure("folds of cross-validation", "10", SPLIT, note="beside a split of 70:15:15"),
)

_TABLE_1 = (
    # network, accuracy, AUC, recall, F1; accuracy at the start and after 20 epochs
    ("VGG16", ("92", "85", "82", "87"), ("0.72", "0.92")),
    ("ResNet101", ("95", "90", "89", "92"), ("0.79", "0.95")),
    ("DenseNet", ("96", "92", "91", "94"), ("0.75", "0.95")),
    ("Inception-v4", ("97", "95", "94", "96"), ("0.85", "0.97")),
    ("ResNeXt-50", ("99", "98", "97", "98"), ("0.86", "0.99")),
)
_SAID_OF_GROWTH = {"VGG16": ("slowest", 5), "ResNeXt-50": ("fastest", 1)}
_IN_TEXT = (
    ("ResNeXt-50 accuracy", "99"),
    ("ResNeXt-50 AUC", "98"),
    ("Inception-v4 AUC", "95"),
    ("ResNeXt-50 recall", "97"),
    ("ResNeXt-50 F1", "98"),
    ("Inception-v4 accuracy", "97"),
)


def _networks() -> tuple[Figure, ...]:
    """Table 1, and the text's accuracy over the course of training."""
    rows: list[Figure] = []
    for network, (accuracy, auc, recall, f1), (start, end) in _TABLE_1:
        given = (f"{network} recall", f"{network} F1", "images with sacroiliitis", "images without sacroiliitis")
        from_recall = by("accuracy from recall", *given, note=OF_ALL)
        same = by("same", f"{network} accuracy", note=AFTER_20 if network == "DenseNet" else "")
        rows += [
            Figure(f"{network} accuracy", accuracy, TABLE_1, percent=True, derived=(from_recall,)),
            Figure(f"{network} AUC", auc, TABLE_1, True, (by("AUC bounds from recall", *given, note=OF_ALL),)),
            Figure(f"{network} recall", recall, TABLE_1, percent=True),
            Figure(f"{network} F1", f1, TABLE_1, percent=True),
            Figure(f"{network} accuracy at the start", start, RESULTS),
            Figure(f"{network} accuracy after 20 epochs", end, RESULTS, derived=(same,)),
        ]
    return tuple(rows)


def _growth(network: str) -> Figure:
    """The rank of a network's rate of improvement, which the text gives in a word."""
    others = [name for name, *_ in _TABLE_1 if name != network]
    pairs = [f"{name} accuracy {when}" for name in (network, *others) for when in ("at the start", "after 20 epochs")]
    word, rank = _SAID_OF_GROWTH[network]
    derived = (by("rank of gain", *pairs, note=GROWTH),)
    return Figure(f"{network} rank of improvement", word, RESULTS, derived=derived, meant=rank)


PAPER = Paper(
    name="fu2024",
    citation="Fu Q et al., Br J Hosp Med 2024, hmed.2024.0228",
    figures=(
        *COHORT,
        *_networks(),
        *(_growth(network) for network in _SAID_OF_GROWTH),
        *(Figure(f"{name}, text", printed, RESULTS, True, (by("same", name),)) for name, printed in _IN_TEXT),
    ),
)
