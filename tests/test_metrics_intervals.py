"""Intervals against closed forms and by how often they hold the true value."""

import numpy as np
import pytest

from vidgen_tf.errors import CourseError
from vidgen_tf.metrics import intervals
from vidgen_tf.metrics.distribution import frechet_distance
from vidgen_tf.metrics.intervals import mean_estimate, resampled_estimate


def test_the_interval_of_a_mean_is_about_two_standard_errors_to_each_side():
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = mean_estimate(values)
    assert found.value == values.mean() and found.n == 400
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(found.value - half, abs=0.12 * half)
    assert found.high == pytest.approx(found.value + half, abs=0.12 * half)


def test_intervals_hold_the_true_value_19_times_in_20(monkeypatch):
    """Of shares too, and where clips of one prompt are alike."""
    monkeypatch.setattr(intervals, "NUM_RESAMPLES", 400)  # quicker
    rng, held = np.random.default_rng(1), []
    for _ in range(300):
        ease = np.repeat(rng.random(40), 10)  # 40 prompts, 10 clips each; the mean over all prompts is 0.5
        right = rng.random(400) < ease
        by_prompt, by_clip = mean_estimate(right, np.repeat(np.arange(40), 10)), mean_estimate(right)
        held.append([found.low <= 0.5 <= found.high for found in (by_prompt, by_clip)])
    by_prompt, by_clip = np.mean(held, axis=0)
    assert 0.91 <= by_prompt <= 0.98 and by_clip < 0.8, "clips of one prompt are no independent cases"


def test_a_share_without_a_single_miss_has_the_rule_of_three():
    found = mean_estimate(np.ones(60, bool), np.arange(60) // 2)
    assert (found.value, found.low, found.high) == (1, 0.9, 1)
    found = mean_estimate(np.zeros(300, bool))
    assert (found.value, found.low, found.high) == (0, 0, 0.01)
    found = mean_estimate(np.zeros(300))
    assert (found.low, found.high) == (0, 0), "of what is no share, equal values have no spread"


def test_single_clusters_have_no_interval_and_nan_counts_for_nothing():
    assert mean_estimate([1.0, 2.0], ["a", "a"]).low is None
    found = mean_estimate([1.0, np.nan, 2.0, 3.0])
    assert found.value == 2 and found.n == 3
    for wrong in ([np.nan], [], [[1.0]]):
        with pytest.raises(CourseError, match="at least one value"):
            mean_estimate(wrong)
    with pytest.raises(CourseError, match="a cluster each"):
        mean_estimate([1.0, 2.0], [1])


def test_the_order_of_the_items_and_the_names_of_the_clusters_make_no_difference():
    rng = np.random.default_rng(2)
    values, clusters = rng.normal(size=90), np.arange(90) // 3
    names = np.array([f"prompt {c:02d}" for c in clusters])
    assert mean_estimate(values, clusters) == mean_estimate(values, names)
    order = rng.permutation(90)
    again = mean_estimate(values[order], clusters[order])
    assert again.low == pytest.approx(mean_estimate(values, clusters).low)


def test_the_interval_of_a_distance_is_as_wide_as_new_samples_scatter():
    """And lies about what was measured, though resampling itself would raise it."""
    real, scatter = np.random.default_rng(3).normal(size=(1000, 6)), []
    for seed in range(40):
        made = np.random.default_rng(100 + seed).normal(0.3, 1, size=(200, 6))
        scatter.append(frechet_distance(made, real))
    found = resampled_estimate(lambda chosen: frechet_distance(made[chosen], real), 200)
    assert found.value == scatter[-1] and found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(scatter), rel=0.35)
