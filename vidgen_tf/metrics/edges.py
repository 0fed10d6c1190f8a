"""How well the lines of two drawings match: precision, recall and F score of boundaries, with a tolerance in pixels."""

import numpy as np
from scipy import ndimage


def boundary_f_score(drawn, wanted, tolerance_px=1.0):
    """The F score of lines: harmonic mean of their precision and recall, with a tolerance.

    Precision is the share of drawn lines that are wanted, recall the share of wanted ones that are drawn.

    A pixel counts as matched if a line of the other drawing is no further away than the tolerance. A large tolerance flatters:
    in a picture full of lines, each is near some other. So compare with the score of another picture's lines.

    Args:
        drawn: bool `(N, H, W)`.
        wanted: bool of the same shape.
        tolerance_px: float.

    Returns:
        float `(N,)` in [0, 1]; 0 where one of the two has no line, 1 where both have none.

    References:
        Martin, Fowlkes and Malik, 2004, "Learning to detect natural image boundaries using local brightness, color, and texture
        cues".
    """
    return np.array([_f_score(one, other, tolerance_px) for one, other in zip(drawn, wanted)])


def _f_score(drawn, wanted, tolerance_px):
    if not (drawn.any() and wanted.any()):
        return float(drawn.any() == wanted.any())
    near = [ndimage.distance_transform_edt(~lines) <= tolerance_px for lines in (wanted, drawn)]
    precision, recall = near[0][drawn].mean(), near[1][wanted].mean()
    return 2 * precision * recall / max(precision + recall, 1e-12)
