"""Measurements of clips: of the frames alone, of their distribution beside real clips, of memorisation and of physics.

Each function gives a dict from a metric of `spec.METRICS` to an `Estimate`: value, n and 95 % interval, n being the number of
clips or objects measured. `clusters` `(N,)` says which clips belong together, those of one prompt; None for clips that each stand
for themselves.
"""

import numpy as np

from ..metrics.distribution import density_coverage, frechet_distance, kernel_distance_of_rows, manifold_membership
from ..metrics.image import laplacian_sharpness
from ..metrics.intervals import Estimate, mean_estimate, resampled_estimate
from ..metrics.motion import estimate_optical_flow, flicker, is_static, temporal_autocorrelation, warping_error
from ..metrics.physics import digits_physics, object_count_consistency, shapes_physics
from ..metrics.tracking import track
from .adherence import match_colors, prompt_matches
from .features import iter_blocks
from .spec import OUT, PHYSICS_METRICS, SPECS

NUM_FLOW_CLIPS = 24  # whose optical flow is estimated: that takes longest


def frame_scores(frames, clusters=None):
    """What can be measured of any clips.

    Args:
        frames: uint8 `(N, T, H, W, C)`.
        clusters: as above.

    Returns:
        dict of `Estimate`.
    """
    single = frames.shape[1] == 1
    blocks = [
        (
            laplacian_sharpness(block).mean(axis=1),
            [] if single else is_static(block),
            [] if single else [flicker(clip) for clip in block],
            [] if single else [temporal_autocorrelation(clip) for clip in block],
        )
        for block in iter_blocks(frames, "frames")
    ]
    names = ("sharpness",) if single else ("sharpness", "static_share", "flicker", "temporal_autocorrelation")
    found = {name: mean_estimate(np.concatenate(values), clusters) for name, values in zip(names, zip(*blocks))}
    if single:
        return found
    errors = [
        warping_error(clip, *_flows(clip)) for block in iter_blocks(frames[:NUM_FLOW_CLIPS], "optical flow") for clip in block
    ]
    return found | {"warping_error": mean_estimate(errors, None if clusters is None else clusters[: len(errors)])}


def _flows(clip):
    """Forward and backward optical flow, estimated quickly, as objects move by few px in all data sets."""
    return estimate_optical_flow(clip, num_warps=3), estimate_optical_flow(clip[::-1], num_warps=3)[::-1]


def memorization_scores(distance, real_distance, clusters=None):
    """How near clips are to training clips, beside held-out real clips.

    Args:
        distance: float `(N, K)`, of generated clips to the nearest training clip, by K searches.
        real_distance: float `(M, K)`, of held-out real clips. A copy is nearer, by one of the searches, than all but a hundredth
            of these; each search may raise its share of these false alarms.
        clusters: as above.

    Returns:
        dict of `Estimate`.
    """
    near = np.quantile(real_distance, 0.01 / distance.shape[1], axis=0)
    usual = max(np.median(real_distance[:, 0]), 1e-9)
    return {
        "nn_distance_ratio": resampled_estimate(lambda rows: np.median(distance[rows, 0]) / usual, len(distance), clusters),
        "memorized_share": mean_estimate((distance < near).any(axis=1), clusters),
    }


def distribution_scores(features, real_features, clusters=None):
    """How far the distribution of clips is from that of real ones.

    Args:
        features: dict of `clip_features`, or of one kind of them.
        real_features: dict of `clip_features` of real clips, of the same kinds at least.
        clusters: as above.

    Returns:
        dict of `Estimate`.
    """
    kinds = [kind for kind in ("frame", "video") if kind in features]
    if not kinds:
        return {}
    found, count = {}, len(features[kinds[0]])
    for kind in kinds:
        made, real = features[kind], real_features[kind]
        for name, distance in {"frechet": _frechet_distance_of_rows, "kernel": kernel_distance_of_rows}.items():
            found[f"{kind}_{name}_distance"] = resampled_estimate(distance(made, real), count, clusters)
    both = [np.concatenate([side[kind] for kind in kinds], axis=1) for side in (real_features, features)]
    precise, recalled = manifold_membership(*both)
    density, coverage = density_coverage(*both)
    found |= {"precision": mean_estimate(precise, clusters), "recall": mean_estimate(recalled)}
    return found | {"density": Estimate(density, count), "coverage": Estimate(coverage, count)}


def _frechet_distance_of_rows(made, real):
    return lambda rows: frechet_distance(made[rows], real)


def physics_scores(frames, dataset, features, conditioning, clusters=None):
    """What the tracked objects of clips do: by the physics of their data set, and by their prompts.

    Args:
        frames: uint8 `(N, T, H, W, C)`.
        dataset: str, a name in `SPECS` with a tracker; of others nothing is measured.
        features: dict of `clip_features`.
        conditioning: dict of states that the clips should show, or None.
        clusters: as above.

    Returns:
        dict of `Estimate`.
    """
    tracker = SPECS[dataset].tracker if dataset in SPECS else None
    if tracker is None:
        return {}
    tracks = track(frames, tracker)
    present = tracks.color >= 0
    found = {
        "objects": mean_estimate(present.sum(axis=1), clusters),
        "object_count_consistency": mean_estimate(object_count_consistency(tracks), clusters),
    }
    if tracker == "digits":
        errors = digits_physics(tracks)
    else:
        motion = None if conditioning is None else _motion_by_track(conditioning["motion"], match_colors(tracks, conditioning))
        errors = shapes_physics(tracks, motion)
    matches = {} if conditioning is None else prompt_matches(tracks, features, conditioning, dataset)
    found |= {name: mean_estimate(value, clusters) for name, value in matches.items()}
    return found | _physics_means(errors, present, np.arange(len(frames)) if clusters is None else clusters)


def _physics_means(errors, present, clusters):
    """The mean of each error over objects like those of the training clips, and over others; a share counts 1 at most."""
    clusters = np.repeat(clusters[:, None], present.shape[1], axis=1)  # objects of one clip belong together
    found = {"in_distribution": mean_estimate(errors["in_distribution"][present], clusters[present])} if present.any() else {}
    for name in [name for name in PHYSICS_METRICS if name in errors]:
        value = errors[name] if name.endswith("residual") else np.minimum(errors[name], 1)
        inside = np.ones_like(present) if name == "speed_error" else errors["in_distribution"]  # a wrong speed is never inside
        for suffix, where in {"": inside, OUT: ~inside}.items():
            chosen = present & where & np.isfinite(value)
            if chosen.any():
                found[name + suffix] = mean_estimate(value[chosen], clusters[chosen])
    return found


def _motion_by_track(motion, match):
    """The motions of prompts `(N, 2)` in the order of the tracked objects; -1 for those that no prompt names."""
    by_track = np.full(match.shape, -1)
    clip, k = np.nonzero(match >= 0)
    by_track[clip, match[clip, k]] = motion[clip, k]
    return by_track
