"""Metrics of latents: whether those of a clip lie in the order of time, and how many codes of a tokenizer occur."""

import numpy as np


def temporal_order_share(latents, positions):
    """Share of clips whose nearest-neighbour chain is in the order of time, up to the first reversal.

    It says that neighbours in time are neighbours in latent space, which holds for the pixels of slow, smooth clips already:
    report the share of the pixels, and that of an untrained encoder, beside it. It doesn't say that the path is straight.

    Args:
        latents: float array `(N, T, D)`.
        positions: float array `(N, T, K, 2)` of the clips' objects; clips in which nothing moves are left out.

    Returns:
        float in [0, 1], higher is better; NaN where nothing moves in any clip. Latents in random order score about 0.
    """
    counts = [frames_before_reversal(clip) for clip in positions]
    paths = [path[:count] for path, count in zip(latents, counts, strict=True) if count]
    ordered = [np.array_equal(nearest_neighbour_chain(path), np.arange(len(path))) for path in paths]
    return float(np.mean(ordered)) if ordered else np.nan


def nearest_neighbour_chain(points):
    """Order in which points are visited by always going on to the nearest one that is left.

    Args:
        points: float array `(T, D)`.

    Returns:
        int array `(T,)`, a permutation that begins with 0, the first point.

    References:
        Rosenkrantz, Stearns and Lewis, 1977, "An analysis of several heuristics for the traveling salesman problem" (the
        nearest-neighbour tour).
    """
    points = np.asarray(points)
    order, left = [0], list(range(1, len(points)))
    while left:
        distance = np.square(points[left] - points[order[-1]]).sum(axis=1)
        order.append(left.pop(int(distance.argmin())))
    return np.array(order)


def frames_before_reversal(positions):
    """Number of frames before an object first reverses its direction: until then, no frame comes twice.

    Args:
        positions: float array `(T, K, 2)` of K objects.

    Returns:
        int from 0 to T, the frame of the reversal included; 0 where nothing moves.
    """
    step = np.diff(positions, axis=0)
    if not np.abs(step).max() > 1e-6:
        return 0
    reversed_ = (step[1:] * step[:-1] < 0).any(axis=(1, 2))
    return int(reversed_.argmax()) + 2 if reversed_.any() else len(positions)


def code_usage(tokens, num_codes):
    """How many of the codes of a tokenizer occur in tokens, and how evenly.

    Count the tokens of many clips: in a single batch most codes are missing, however good the tokenizer.

    Args:
        tokens: int array of any shape, from 0 to num_codes, exclusive.
        num_codes: int.

    Returns:
        share, float in [0, 1], of the codes that occur at all; and the perplexity, float from 1 to num_codes: 2 to the entropy of
        their frequencies in bits, the number of equally frequent codes with that entropy.

    Example:
        >>> code_usage(np.array([0, 0, 3, 3]), 8)
        (0.25, 2.0)
    """
    counts = np.bincount(np.ravel(tokens), minlength=num_codes)
    frequency = counts[counts > 0] / counts.sum()
    return float(np.mean(counts > 0)), float(np.exp2(-np.sum(frequency * np.log2(frequency))))
