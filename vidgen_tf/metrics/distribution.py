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
    real, generated = np.asarray(real_features, np.float64), np.asarray(generated_features, np.float64)
    shapes = real.shape, generated.shape
    if real.ndim != 2 or generated.ndim != 2 or shapes[0][1] != shapes[1][1] or min(len(real), len(generated)) <= num_neighbours:
        message = f"Precision and recall compare features (n, d) and (m, d), n and m above {num_neighbours}"
        raise CourseError(f"{message}, got {shapes[0]} and {shapes[1]}.")
    if not (np.isfinite(real).all() and np.isfinite(generated).all()):
        raise CourseError("Precision and recall need finite features; some are not: has the model diverged?")
    distances = cdist(generated, real)
    radius_real, radius_generated = (np.sort(cdist(x, x), axis=1)[:, num_neighbours] for x in (real, generated))  # 0 is the point
    precision = np.mean((distances <= radius_real).any(axis=1))
    recall = np.mean((distances <= radius_generated[:, None]).any(axis=0))
    return float(precision), float(recall)
