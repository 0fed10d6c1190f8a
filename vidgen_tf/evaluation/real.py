"""The reference row: what real clips of each data set score alone, measured once, on the whole test split."""

import dataclasses
import json
from pathlib import Path

from .. import datasets
from ..errors import CourseError
from ..files import atomic_path
from ..metrics.intervals import Estimate
from .measurements import frame_scores
from .report import metric_order

REAL_SCORES = Path(__file__).with_name("real_scores.json")


def real_scores(dataset):
    """What real clips score, to be shown beside those of any model.

    Args:
        dataset: str, a name in `datasets.DATASETS`.

    Returns:
        dict of `Estimate`, with 95 % intervals: "sharpness", "temporal_autocorrelation", "flicker",
        "warping_error" and "static_share".

    Raises:
        CourseError: unknown data set, or the file is damaged.
    """
    try:
        rows = json.loads(REAL_SCORES.read_text())
    except (OSError, ValueError) as error:
        raise CourseError(f"{REAL_SCORES} is damaged: restore it with git checkout.") from error
    if dataset not in rows:
        raise CourseError(f"There are no scores of real clips of {dataset!r}; there are some of {', '.join(rows)}.")
    return {metric: Estimate(**row) for metric, row in rows[dataset].items()}


def write_real_scores(names=tuple(datasets.DATASETS), path=REAL_SCORES):
    """Measures the test split of each data set and writes what it scores.

    Args:
        names: names in `datasets.DATASETS`.
        path: where the file goes.
    """
    rows = {}
    for name in names:
        found = frame_scores(datasets.load(name, "test").frames)
        rows[name] = {metric: dataclasses.asdict(found[metric]) for metric in sorted(found, key=metric_order)}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n")
