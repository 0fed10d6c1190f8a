"""Intervals: how far a measured value may lie from the true one, because only so many clips were measured."""

import dataclasses

import numpy as np

from ..errors import CourseError

NUM_RESAMPLES = 4000
QUANTILES = (0.025, 0.975)  # of a 95 % interval


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A measured value with its interval.

    Args:
        value: float.
        n: int, how many clips, objects or pairs it was measured on; None for what was counted, not sampled.
        low: float, lower end of its 95 % interval, or None.
        high: float, upper end, or None.
    """

    value: float
    n: int | None = None
    low: float | None = None
    high: float | None = None


def mean_estimate(values, clusters=None, seed=0):
    """The mean with a 95 % interval by the cluster bootstrap.

    Clips of one prompt share what is easy or hard about it, so they say less than as many clips of different prompts: whole
    clusters are drawn with replacement, not single clips. A share of which every case is 0, or every case 1, has no spread to
    resample; its interval reaches as far as 3 / number of clusters, the rule of three.

    Args:
        values: float `(N,)`, NaN is left out; bool for a share.
        clusters: `(N,)` of any kind, equal for values that belong together, such as the clips of one prompt; None where each
            stands for itself.
        seed: non-negative int, of the resampling.

    Returns:
        `Estimate`, n the number of values; without an interval where all come from one cluster.

    Raises:
        CourseError: no value, or another number of clusters.

    References:
        Efron and Tibshirani, 1993, "An introduction to the bootstrap".
        Hanley and Lippman-Hand, 1983, "If nothing goes wrong, is everything all right?" (rule of three).
    """
    is_share = np.asarray(values).dtype == bool
    values = np.asarray(values, np.float64)
    clusters = np.arange(len(values)) if clusters is None else np.asarray(clusters)
    if values.ndim != 1 or clusters.shape != values.shape or not np.isfinite(values).any():
        raise CourseError(f"A mean is taken of at least one value, with a cluster each, got {values.shape} and {clusters.shape}.")
    finite = np.isfinite(values)
    values, (names, cluster) = values[finite], np.unique(clusters[finite], return_inverse=True)
    mean, count = float(values.mean()), len(names)
    if count < 2:
        return Estimate(mean, len(values))
    if is_share and mean in (0.0, 1.0):
        return Estimate(mean, len(values), max(mean - 3 / count, 0.0), min(mean + 3 / count, 1.0))
    sums, sizes = np.bincount(cluster, values), np.bincount(cluster)
    drawn = np.random.default_rng(seed).integers(count, size=(NUM_RESAMPLES, count))
    low, high = np.quantile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), QUANTILES)
    return Estimate(mean, len(values), float(low), float(high))


def resampled_estimate(statistic, count, clusters=None, num_resamples=100, seed=0):
    """A statistic of a sample with a 95 % interval by the cluster bootstrap, its bias taken off.

    A distance between distributions grows when items are drawn twice. So the interval is the spread of the resampled values
    about their own mean, laid about the statistic of the whole sample.

    Args:
        statistic: function from int indices `(N,)` of items, some of them repeated, to a float.
        count: int, N.
        clusters: as for `mean_estimate`.
        num_resamples: int.
        seed: non-negative int, of the resampling.

    Returns:
        `Estimate`, n = count.

    References:
        Efron and Tibshirani, 1993, "An introduction to the bootstrap".
    """
    _, cluster = np.unique(np.arange(count) if clusters is None else np.asarray(clusters), return_inverse=True)
    members, rng = [np.flatnonzero(cluster == c) for c in range(cluster.max() + 1)], np.random.default_rng(seed)
    value = float(statistic(np.arange(count)))
    if len(members) < 2:
        return Estimate(value, count)
    drawn = [np.concatenate([members[c] for c in rng.integers(len(members), size=len(members))]) for _ in range(num_resamples)]
    spread = np.array([statistic(chosen) for chosen in drawn])
    low, high = value + np.quantile(spread - spread.mean(), QUANTILES)
    return Estimate(value, count, float(low), float(high))
