"""Measurements of clips: of the frames alone, of their distribution beside real clips, of memorisation and of physics.

Each function gives a dict from a metric of `spec.METRICS` to (value, n), n being the number of clips or objects measured.
"""

import numpy as np

from ..metrics.distribution import frechet_distance, precision_recall
from ..metrics.image import laplacian_sharpness
from ..metrics.motion import estimate_optical_flow, flicker, is_static, warping_error
from ..metrics.physics import digits_physics, object_count_consistency, shapes_physics
from ..metrics.tracking import track
from .adherence import match_colors, prompt_matches
from .features import iter_blocks
from .spec import OUT, PHYSICS_METRICS, SPECS

NUM_FLOW_CLIPS = 24  # whose optical flow is estimated: that takes longest


def frame_scores(frames):
    """What can be measured of any clips.

    Args:
        frames: uint8 `(N, T, H, W, C)`.

    Returns:
        dict of (float, int).
    """
    single = frames.shape[1] == 1
    blocks = [
        (
            laplacian_sharpness(block).mean(axis=1),
            [] if single else is_static(block),
            [] if single else [flicker(clip) for clip in block],
        )
        for block in iter_blocks(frames, "frames")
    ]
    names = ("sharpness",) if single else ("sharpness", "static_share", "flicker")
    found = {name: (float(np.mean(np.concatenate(values))), len(frames)) for name, values in zip(names, zip(*blocks))}
    if single:
        return found
    errors = [
        warping_error(clip, *_flows(clip)) for block in iter_blocks(frames[:NUM_FLOW_CLIPS], "optical flow") for clip in block
    ]
    return found | {"warping_error": (float(np.mean(errors)), len(errors))}


def _flows(clip):
    """Forward and backward optical flow, estimated quickly, as objects move by few px in all data sets."""
    return estimate_optical_flow(clip, num_warps=3), estimate_optical_flow(clip[::-1], num_warps=3)[::-1]


def memorization_scores(distance, real_distance):
    """How near clips are to training clips, beside held-out real clips.

    Args:
        distance: float `(N,)`, of generated clips to the nearest training clip.
        real_distance: float `(M,)`, of held-out real clips.

    Returns:
        dict of (float, int).
    """
    near = np.quantile(real_distance, 0.01)
    ratio = np.median(distance) / max(np.median(real_distance), 1e-9)
    return {
        "nn_distance_ratio": (float(ratio), len(distance)),
        "memorized_share": (float(np.mean(distance < near)), len(distance)),
    }


def distribution_scores(features, real_features):
    """How far the distribution of clips is from that of real ones.

    Args:
        features: dict of `clip_features`.
        real_features: dict of `clip_features` of real clips.

    Returns:
        dict of (float, int).
    """
    kinds = [kind for kind in ("frame", "video") if kind in features]
    if not kinds:
        return {}
    count = len(features["frame"])
    found = {f"{kind}_frechet_distance": (frechet_distance(features[kind], real_features[kind]), count) for kind in kinds}
    both = [np.concatenate([side[kind] for kind in kinds], axis=1) for side in (real_features, features)]
    return found | {name: (value, count) for name, value in zip(("precision", "recall"), precision_recall(*both))}


def physics_scores(frames, dataset, features, conditioning):
    """What the tracked objects of clips do: by the physics of their data set, and by their prompts.

    Args:
        frames: uint8 `(N, T, H, W, C)`.
        dataset: str, a name in `SPECS` with a tracker; of others nothing is measured.
        features: dict of `clip_features`.
        conditioning: dict of states that the clips should show, or None.

    Returns:
        dict of (float, int).
    """
    tracker = SPECS[dataset].tracker if dataset in SPECS else None
    if tracker is None:
        return {}
    tracks = track(frames, tracker)
    present = tracks.color >= 0
    found = {
        "objects": (float(present.sum(axis=1).mean()), len(frames)),
        "object_count_consistency": (float(object_count_consistency(tracks).mean()), len(frames)),
    }
    if tracker == "digits":
        errors = digits_physics(tracks)
    else:
        motion = None if conditioning is None else _motion_by_track(conditioning["motion"], match_colors(tracks, conditioning))
        errors = shapes_physics(tracks, motion)
    matches = {} if conditioning is None else prompt_matches(tracks, features, conditioning, dataset)
    found |= {name: (float(np.mean(value)), len(value)) for name, value in matches.items()}
    return found | _physics_means(errors, present)


def _physics_means(errors, present):
    """The mean of each error over objects like those of the training clips, and over others; a share counts 1 at most."""
    share = {"in_distribution": (float(errors["in_distribution"][present].mean()), int(present.sum()))}
    found = share if present.any() else {}
    for name in [name for name in PHYSICS_METRICS if name in errors]:
        value = errors[name] if name.endswith("residual") else np.minimum(errors[name], 1)
        inside = np.ones_like(present) if name == "speed_error" else errors["in_distribution"]  # a wrong speed is never inside
        for suffix, where in {"": inside, OUT: ~inside}.items():
            chosen = value[present & where & np.isfinite(value)]
            if len(chosen):
                found[name + suffix] = (float(chosen.mean()), len(chosen))
    return found


def _motion_by_track(motion, match):
    """The motions of prompts `(N, 2)` in the order of the tracked objects; -1 for those that no prompt names."""
    by_track = np.full(match.shape, -1)
    clip, k = np.nonzero(match >= 0)
    by_track[clip, match[clip, k]] = motion[clip, k]
    return by_track
