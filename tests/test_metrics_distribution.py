"""Distances of distributions against their definitions and closed forms, their symmetries, and what each of them sees."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidgen_tf.errors import CourseError
from vidgen_tf.metrics.distribution import (
    density_coverage,
    expected_frechet_distance,
    frechet_distance,
    kernel_distance,
    kernel_distance_of_rows,
    precision_recall,
)

PROPERTY = settings(deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 2**32 - 1)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def correlated(seed, n, features):
    """Features with a random covariance and mean."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, features)) @ rng.normal(size=(features, features)) + rng.normal(size=features)


def test_frechet_distance_is_its_definition_with_scipys_matrix_root():
    a, b = correlated(4, 300, 12), correlated(5, 200, 12)
    covariances = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


@PROPERTY
@given(SEEDS, st.integers(1, 6), st.integers(8, 30), st.integers(8, 30))
def test_frechet_distance_is_symmetric_not_negative_and_0_for_equal_sets(seed, features, n, m):
    a, b = correlated(seed, n, features), correlated(seed + 1, m, features)
    scale = np.var(a) + np.var(b)
    distance = frechet_distance(a, b)
    assert distance >= 0
    assert frechet_distance(b, a) == pytest.approx(distance, rel=1e-6, abs=1e-9 * scale)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6 * scale)


@PROPERTY
@given(SEEDS, st.integers(1, 6))
def test_frechet_distance_does_not_change_with_a_rotation_a_shift_of_both_or_the_order(seed, features):
    a, b, rng = correlated(seed, 20, features), correlated(seed + 1, 25, features), np.random.default_rng(seed)
    expected = pytest.approx(frechet_distance(a, b), rel=1e-6)
    rotation, _ = np.linalg.qr(rng.normal(size=(features, features)))
    assert frechet_distance(a @ rotation, b @ rotation) == expected
    assert frechet_distance(a + 3.0, b + 3.0) == expected
    assert frechet_distance(rng.permutation(a), rng.permutation(b)) == expected
    assert frechet_distance(10 * a, 10 * b) / 100 == expected, "squared units"


@PROPERTY
@given(SEEDS, st.integers(1, 6))
def test_frechet_distance_grows_as_the_square_of_a_shift_and_of_a_stretch(seed, features):
    a = correlated(seed, 30, features)
    shifts, stretches = (0.5, 1.0, 2.0, 4.0), (0.2, 0.6, 0.9)
    np.testing.assert_allclose([frechet_distance(a, a + s) for s in shifts], [features * s**2 for s in shifts], rtol=1e-6)
    total = np.var(a, axis=0, ddof=1).sum()
    shrunk = [frechet_distance(a, a.mean(0) + s * (a - a.mean(0))) for s in stretches]
    np.testing.assert_allclose(shrunk, [(1 - s) ** 2 * total for s in stretches], rtol=1e-6)


@pytest.mark.parametrize("features", [1, 5])
def test_frechet_distance_of_diagonal_gaussians_is_that_of_their_means_and_deviations(features):
    rng = np.random.default_rng(5)
    white = rng.normal(size=(50, features))
    white -= white.mean(axis=0)
    white = white @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(white.T)))).T  # its sample covariance is the identity
    mean_a, mean_b, deviation_a, deviation_b = rng.uniform(0.5, 3.0, (4, features))
    expected = np.sum((mean_a - mean_b) ** 2 + (deviation_a - deviation_b) ** 2)
    assert frechet_distance(white * deviation_a + mean_a, white * deviation_b + mean_b) == pytest.approx(expected)


def test_frechet_distance_to_features_that_do_not_vary_is_the_mean_squared_distance_to_them():
    b, point = noise(100, 6, seed=8), np.full((20, 6), 0.25)
    expected = np.sum((b.mean(0) - 0.25) ** 2) + np.var(b, axis=0, ddof=1).sum()
    assert frechet_distance(point, b) == pytest.approx(expected) == frechet_distance(b, point)


def test_frechet_distance_of_two_samples_of_one_distribution_falls_with_n_but_is_not_0():
    distances = [frechet_distance(noise(n, 16, seed=6), noise(n, 16, seed=7)) for n in (50, 200, 2000)]
    assert distances[0] > 2 * distances[1] > 4 * distances[2] > 0


def test_frechet_distance_refuses_what_it_cannot_fit():
    for wrong in (noise(6, 6), noise(20, 5), noise(20, 6, 1), noise(20)):
        for pair in ((wrong, noise(20, 6)), (noise(20, 6), wrong)):
            with pytest.raises(CourseError, match="more rows than columns"):
                frechet_distance(*pair)
    for value in (np.nan, np.inf):
        with pytest.raises(CourseError, match="finite"):
            frechet_distance(noise(20, 6), np.full((20, 6), value))


def share_in_manifold(points, others, k):
    """The definition, a point at a time: within a ball around one of the others that just reaches its k-th neighbour."""
    inside = 0
    for point in points:
        for centre in others:
            radius = np.sort(np.linalg.norm(others - centre, axis=1))[k]  # number 0 is the centre itself
            if np.linalg.norm(point - centre) <= radius:
                inside += 1
                break
    return inside / len(points)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall_are_their_definition(k):
    real, generated = noise(60, 4, seed=10), 0.6 * noise(45, 4, seed=11) + 0.5
    precision, recall = precision_recall(real, generated, num_neighbours=k)
    assert (precision, recall) == (share_in_manifold(generated, real, k), share_in_manifold(real, generated, k))
    assert 0 < recall < precision < 1


@PROPERTY
@given(SEEDS, st.integers(1, 3), st.integers(4, 12), st.integers(4, 12), st.integers(0, 4))
def test_precision_of_a_pair_is_the_recall_of_the_exchanged_pair(seed, features, n, m, largest):
    """On small whole numbers, so that equal points and points on the very edge of a ball are among them."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, largest + 1, (n, features)), rng.integers(0, largest + 1, (m, features))
    precision, recall = precision_recall(a, b)
    assert precision_recall(b, a) == (recall, precision)
    assert precision_recall(rng.permutation(a), rng.permutation(b)) == (precision, recall)
    assert precision_recall(a, a) == (1, 1)
    assert (precision, recall) == (share_in_manifold(b, a, 3), share_in_manifold(a, b, 3))


def test_precision_falls_as_samples_leave_the_real_ones_and_recall_with_them():
    real = noise(200, 4, seed=12)
    values = np.array([precision_recall(real, noise(200, 4, seed=13) + shift) for shift in (0, 0.5, 1, 2, 4)])
    assert values[0].min() > 0.7 and values[-1].max() == 0
    assert (np.diff(values, axis=0) < 0).all()


def test_recall_falls_with_each_mode_that_is_dropped_and_precision_stays():
    modes = 100 * np.arange(5)[:, None, None] + noise(5, 40, 3, seed=14)
    again = 100 * np.arange(5)[:, None, None] + noise(5, 40, 3, seed=15)
    real = modes.reshape(-1, 3)
    values = np.array([precision_recall(real, again[:kept].reshape(-1, 3)) for kept in (5, 4, 3, 2, 1)])
    assert values[0].min() > 0.8
    np.testing.assert_allclose(values[:, 1] / values[0, 1], [1, 0.8, 0.6, 0.4, 0.2], atol=0.03)
    np.testing.assert_allclose(values[:, 0], values[0, 0], atol=0.08)


def test_a_few_real_samples_repeated_have_full_precision_and_hardly_any_recall():
    real = noise(300, 8, seed=12)
    assert precision_recall(real, np.repeat(real[:6], 50, axis=0)) == (1, 6 / 300)
    assert precision_recall(real, real + 100) == (0, 0)
    assert precision_recall(real[:100], np.concatenate([real[:100], real[:100] + 100])) == (0.5, 1)


def test_precision_and_recall_refuse_what_they_cannot_compare():
    real = noise(300, 8, seed=12)
    for wrong in (real[:, :4], real[:3], real[0]):
        with pytest.raises(CourseError, match="n and m above 3"):
            precision_recall(wrong, real)
    for wrong in (np.where(np.arange(8) == 2, np.nan, real), real * np.inf):
        for pair in ((wrong, real), (real, wrong)):
            with pytest.raises(CourseError, match="finite"):
                precision_recall(*pair)


@pytest.mark.parametrize("n, m", [(150, 150), (150, 600), (400, 400)])
@pytest.mark.parametrize("spectrum", ["equal", "steep", "correlated"])
def test_the_distance_of_two_samples_is_what_their_covariance_owes(spectrum, n, m):
    """Real-to-real distances match the formula within a tenth, for any covariance."""
    rng, features = np.random.default_rng(1), 16
    root = {
        "equal": np.eye(features),
        "steep": np.diag(2.0 ** -np.arange(features)),
        "correlated": rng.normal(size=(features,) * 2),
    }
    root = root[spectrum]
    found = [frechet_distance(*(rng.normal(size=(k, features)) @ root for k in (n, m))) for _ in range(200)]
    assert np.mean(found) == pytest.approx(expected_frechet_distance(root.T @ root, n, m), rel=0.1)


def test_the_distance_owed_by_independent_features_is_the_simple_formula():
    """(1/n) (2 D + (D^2 + D) / 2) for a covariance of ones on the diagonal."""
    assert expected_frechet_distance(np.eye(64), 500, 500) == pytest.approx((128 + (64 * 64 + 64) / 2) / 500)
    assert expected_frechet_distance(np.zeros((3, 3)), 10, 10) == 0
    with pytest.raises(CourseError, match="square matrix"):
        expected_frechet_distance(np.ones((2, 3)), 10, 10)


@PROPERTY
@given(SEEDS, st.integers(1, 5), st.integers(2, 6), st.integers(2, 6))
def test_kernel_distance_is_its_definition(seed, features, n, m):
    a, b = correlated(seed, n, features), correlated(seed + 1, m, features)

    def kernel(x, y):
        return (x @ y / features + 1) ** 3

    own = [np.mean([kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j]) for x in (a, b)]
    expected = own[0] + own[1] - 2 * np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(expected, rel=1e-9, abs=1e-9 * np.abs(own).sum())
    assert kernel_distance(b, a) == pytest.approx(kernel_distance(a, b), rel=1e-9, abs=1e-9 * np.abs(own).sum())


def test_the_kernel_distance_of_resampled_rows_is_that_of_a_set_made_of_them():
    a, b, rows = noise(9, 4, seed=1), noise(6, 4, seed=2), np.array([0, 3, 3, 8, 1, 8])
    assert kernel_distance_of_rows(a, b)(rows) == pytest.approx(kernel_distance(a[rows], b), rel=1e-9)


def test_kernel_distance_has_no_bias_where_the_frechet_distance_has():
    small, large = ([(noise(n, 8, seed=2 * i), noise(n, 8, seed=2 * i + 1)) for i in range(300)] for n in (20, 80))
    for samples in (small, large):
        values = np.array([kernel_distance(*pair) for pair in samples])
        assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values)) and 0.3 < np.mean(values < 0) < 0.75
    frechet = [np.mean([frechet_distance(*pair) for pair in samples[:60]]) for samples in (small, large)]
    assert frechet[0] > 3 * frechet[1] > 0


def test_kernel_distance_grows_with_a_shift_and_with_a_scale():
    a, b = noise(200, 6, seed=1), noise(200, 6, seed=2)
    for changed in ([b + s for s in (0, 0.2, 0.5, 1)], [b * s for s in (1, 1.3, 1.8, 2.5)]):
        assert (np.diff([kernel_distance(a, x) for x in changed]) > 0).all()


def brute_density_coverage(real, generated, k):
    radius = [sorted(np.linalg.norm(x - y) for y in real)[k] for x in real]
    inside = np.array([[np.linalg.norm(g - x) < r for x, r in zip(real, radius)] for g in generated])
    return inside.sum() / (k * len(generated)), inside.any(axis=0).mean()


@PROPERTY
@given(SEEDS, st.integers(1, 4), st.integers(7, 20), st.integers(7, 20))
def test_density_and_coverage_are_their_definitions(seed, features, n, m):
    real, generated = correlated(seed, n, features), correlated(seed + 1, m, features)
    np.testing.assert_allclose(density_coverage(real, generated), brute_density_coverage(real, generated, 5))


def test_an_outlier_among_real_points_raises_precision_and_hardly_density():
    real, far = noise(300, 2, seed=3), np.full((1, 2), 40.0)
    generated = 10 + noise(300, 2, seed=4)
    with_outlier = np.concatenate([real, far])
    assert precision_recall(with_outlier, generated)[0] > 0.9 and precision_recall(real, generated)[0] < 0.1
    assert density_coverage(with_outlier, generated)[0] < 0.3
    density, coverage = density_coverage(real, noise(300, 2, seed=5))
    assert density == pytest.approx(1, abs=0.15) and coverage > 0.9
    assert density_coverage(real, np.repeat(real[:3], 100, axis=0))[1] < 0.2


@pytest.mark.parametrize("metric", [kernel_distance, density_coverage])
def test_features_that_cannot_be_compared_are_refused_by_the_others_too(metric):
    good, bad = noise(30, 4), noise(30, 4)
    bad[3, 2] = np.nan
    for wrong in (good[:, :3], good[0], good[:1], bad):
        with pytest.raises(CourseError, match="compare"):
            metric(good, wrong)
