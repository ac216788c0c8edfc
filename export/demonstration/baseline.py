"""What a classifier that looks at next to nothing would reach: brightness and line energy at the joints.

Simulated disease changes them, so a network's figure means little unless it is clearly above this one.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

FEATURES = ("brightness", "brightness difference", "contrast", "inverse line energy")
LINE_WIDTH = 2.0
"""Standard deviation of the Gaussian under which a line counts, in pixels."""


def trivial_features(
    gray: npt.NDArray[np.uint8], boxes: tuple[tuple[float, float, float, float], ...]
) -> npt.NDArray[np.float64]:
    """Four numbers from the true joint boxes: no segmentation and no learning in them.

    Args:
        gray: the whole radiograph, canonical view.
        boxes: left and right joint.

    Returns:
        ``FEATURES``, the larger or the mean of both joints; zeros where a joint is out of view.
    """
    values = []
    spread = float(gray.std()) or 1.0
    for box in boxes:
        x0, y0, x1, y1 = (max(round(value), 0) for value in box)
        part = gray[y0:y1, x0:x1].astype(np.float32)
        if min(part.shape) < 8:
            return np.zeros(len(FEATURES))
        lines = part - cv2.GaussianBlur(part, (0, 0), LINE_WIDTH)
        values.append(((part.mean() - gray.mean()) / spread, part.std() / spread, 1 / (lines.std() + 1)))
    table = np.array(values)
    mean = table.mean(axis=0)
    return np.array([mean[0], abs(table[0, 0] - table[1, 0]), mean[1], mean[2]])


def cross_validated_scores(
    features: npt.NDArray[np.float64], positive: npt.NDArray[np.int64], folds: int = 5
) -> npt.NDArray[np.float64]:
    """Probability of each image from a logistic regression that was fitted to the others' folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    split = StratifiedKFold(folds, shuffle=True, random_state=0)
    scores = cross_val_predict(model, features, positive, cv=split, method="predict_proba")
    return np.asarray(scores[:, 1], np.float64)
