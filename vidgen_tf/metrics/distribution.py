"""Metrics between two sets of feature vectors: how far one distribution is from another."""

import numpy as np
from scipy.spatial.distance import cdist

from ..errors import CourseError


def frechet_distance(features_a, features_b):
    """Squared Fréchet distance between Gaussians fitted to two sets of features, as in FID and FVD.

    It is `|m_a - m_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2))` with the sample means m and covariances C.

    The number means something only together with the network that gave the features and with n: two halves of one set of real
    clips have a distance too, which grows as n falls. So print that real-to-real distance at the same n beside every result.

    Args:
        features_a: float array `(n, D)`, n larger than D.
        features_b: float array `(m, D)`, m larger than D.

    Returns:
        float at least 0, in squared units of the features, lower is better; 0 for equal sets. It is symmetric, and doesn't
        change with the order of the rows or a rotation of the feature space.

    Raises:
        CourseError: not two sets of finite features of one length, or no more rows than features.

    References:
        Dowson and Landau, 1982, "The Fréchet distance between multivariate normal distributions".
        Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter, 2017, "GANs trained by a two time-scale update rule converge to
        a local Nash equilibrium" (FID).
        Unterthiner, van Steenkiste, Kurach, Marinier, Michalski and Gelly, 2018, "Towards accurate generative models of video:
        a new metric and challenges" (FVD).
    """
    a, b = np.asarray(features_a, np.float64), np.asarray(features_b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) <= a.shape[1]:
        message = "A Fréchet distance compares features (n, d) and (m, d) with more rows than columns"
        raise CourseError(f"{message}, got {a.shape} and {b.shape}.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise CourseError("A Fréchet distance needs finite features; some are not: has the model diverged?")
    covariance_a, covariance_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(covariance_a)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    # C_a C_b has the eigenvalues of the symmetric root(C_a) C_b root(C_a), and these are real and at least 0.
    eigenvalues = np.linalg.eigvalsh(root @ covariance_b @ root)
    trace = np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.sqrt(np.maximum(eigenvalues, 0)).sum()
    return float(np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + max(trace, 0.0))


def expected_frechet_distance(covariance, n, m):
    """About what `frechet_distance` is between two samples of one Gaussian: the real-to-real distance that its covariance owes.

    To second order in the errors of means and covariances, with the eigenvalues l of the covariance:
    `(1/n + 1/m) / 2 * (2 sum_i l_i + sum_ij l_i l_j (1 + [i = j]) / (l_i + l_j))`.

    Args:
        covariance: float array `(D, D)`, of the features.
        n: int, rows of one sample, well above D.
        m: int, rows of the other.

    Returns:
        float at least 0, in squared units of the features.

    Raises:
        CourseError: no square matrix.

    References:
        Chong and Forsyth, 2020, "Effectively unbiased FID and Inception score and where to find them" (that the bias goes as
        1/n, and depends on what is measured).
    """
    covariance = np.asarray(covariance, np.float64)
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
        raise CourseError(f"A covariance is a square matrix, got {covariance.shape}.")
    values = np.maximum(np.linalg.eigvalsh(covariance), 0)
    sums = values[:, None] + values
    shares = np.divide(np.outer(values, values), sums, out=np.zeros_like(sums), where=sums > 0)
    return float((1 / n + 1 / m) / 2 * (2 * values.sum() + shares.sum() + np.trace(shares)))


def kernel_distance(features_a, features_b):
    """Unbiased squared maximum mean discrepancy with a cubic kernel, as in KID.

    It is the mean of `k(x, x')` within each set, over pairs of different rows, less twice the mean of `k(x, y)` between them,
    with `k(x, y) = (x y / D + 1)^3`. Other than a Fréchet distance it has no bias: of two samples of one distribution it is 0 on
    average, however small they are, and a little below 0 half of the time.

    Args:
        features_a: float array `(n, D)`, n at least 2.
        features_b: float array `(m, D)`, m at least 2.

    Returns:
        float, lower is better, without unit; it depends on the scale of the features.

    Raises:
        CourseError: not two sets of finite features of one length, or a single row.

    References:
        Bińkowski, Sutherland, Arbel and Gretton, 2018, "Demystifying MMD GANs".
    """
    return kernel_distance_of_rows(features_a, features_b)(np.arange(len(features_a)))


def kernel_distance_of_rows(features_a, features_b):
    """The kernel distance of chosen rows of one set from another set, such as those of a resample: kernels are computed once.

    Args:
        features_a: float array `(n, D)`, n at least 2.
        features_b: float array `(m, D)`, m at least 2.

    Returns:
        function from int indices of rows of `features_a`, two or more, to a float, the `kernel_distance` of these rows from
        `features_b`.

    Raises:
        CourseError: as `kernel_distance`.
    """
    a, b = _checked(features_a, features_b, 1, "A kernel distance compares features (n, d) and (m, d), n and m above 1")
    own, between, other = _kernel(a, a), _kernel(a, b).mean(axis=1), _mean_of_pairs(_kernel(b, b))
    return lambda rows: float(_mean_of_pairs(own[np.ix_(rows, rows)]) + other - 2 * between[rows].mean())


def precision_recall(real_features, generated_features, num_neighbours=3):
    """Improved precision and recall: fidelity and coverage of generated clips, by manifolds of k nearest neighbours.

    The manifold of a set is the union of the balls around its points that just reach their k-th nearest neighbour. Precision is
    the share of generated points in the manifold of the real ones; recall is the share of real points in the manifold of the
    generated ones. So `precision(a, b) = recall(b, a)`.

    Args:
        real_features: float array `(n, D)`.
        generated_features: float array `(m, D)`.
        num_neighbours: k; n and m are larger.

    Returns:
        precision, recall: floats in [0, 1], higher is better. Two samples of one distribution score less than 1, the less the
        fewer they are.

    Raises:
        CourseError: features of different lengths, too few, or not finite.

    References:
        Kynkäänniemi, Karras, Laine, Lehtinen and Aila, 2019, "Improved precision and recall metric for assessing generative
        models".
    """
    precise, recalled = manifold_membership(real_features, generated_features, num_neighbours)
    return float(precise.mean()), float(recalled.mean())


def manifold_membership(real_features, generated_features, num_neighbours=3):
    """Which points lie in the manifold of the other set: what `precision_recall` averages.

    Args:
        real_features: float array `(n, D)`.
        generated_features: float array `(m, D)`.
        num_neighbours: k; n and m are larger.

    Returns:
        bool `(m,)`, of the generated points in the manifold of the real ones; bool `(n,)`, of the real ones in the other.

    Raises:
        CourseError: as `precision_recall`.
    """
    message = f"Precision and recall compare features (n, d) and (m, d), n and m above {num_neighbours}"
    real, generated = _checked(real_features, generated_features, num_neighbours, message)
    distances = cdist(generated, real)
    radius_real, radius_generated = (_radii(x, num_neighbours) for x in (real, generated))
    return (distances <= radius_real).any(axis=1), (distances <= radius_generated[:, None]).any(axis=0)


def density_coverage(real_features, generated_features, num_neighbours=5):
    """Density and coverage: fidelity and diversity by the balls around real points alone, so that outliers count for less.

    Density is how many real points' balls a generated point lies in, on average, divided by k. Coverage is the share of real
    points with a generated point in their ball. A ball just reaches its k-th nearest neighbour among the real points.

    Args:
        real_features: float array `(n, D)`.
        generated_features: float array `(m, D)`.
        num_neighbours: k; n and m are larger.

    Returns:
        density, float at least 0, about 1 for samples of one distribution; coverage, float in [0, 1], for such samples about
        `1 - (1 / 2)^k` or more.

    Raises:
        CourseError: as `precision_recall`.

    References:
        Naeem, Oh, Uh, Choi and Yoo, 2020, "Reliable fidelity and diversity metrics for generative models".
    """
    message = f"Density and coverage compare features (n, d) and (m, d), n and m above {num_neighbours}"
    real, generated = _checked(real_features, generated_features, num_neighbours, message)
    within = cdist(generated, real) < _radii(real, num_neighbours)
    return float(within.sum(axis=1).mean() / num_neighbours), float(within.any(axis=0).mean())


def _mean_of_pairs(kernel):
    """The mean over pairs of different rows of a set, from the kernel `(n, n)` of all pairs."""
    return (kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1))


def _kernel(a, b):
    """`k(x, y)` of all rows x of `(n, D)` and y of `(m, D)`, `(n, m)`; NumPy's `** 3` takes ten times as long as two products."""
    x = a @ b.T / a.shape[1] + 1
    return x * x * x


def _radii(points, num_neighbours):
    """Distance of each point `(n, D)` to its k-th nearest neighbour, `(n,)`."""
    return np.sort(cdist(points, points), axis=1)[:, num_neighbours]  # at place 0 is the point itself


def _checked(features_a, features_b, more_than, message):
    """Both as finite float64 `(n, D)` and `(m, D)` with more than so many rows."""
    a, b = np.asarray(features_a, np.float64), np.asarray(features_b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) <= more_than:
        raise CourseError(f"{message}, got {a.shape} and {b.shape}.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise CourseError(f"{message}, all of them finite: has the model diverged?")
    return a, b
