"""Measurements of clips: of the frames alone, of their distribution beside real clips, of memorisation and of physics."""

import numpy as np
from .adherence import match_colors, prompt_matches
from .features import clip_features, iter_blocks
from .reference import real_clips
from .spec import PHYSICS_METRICS, SPECS
from ..metrics.distribution import frechet_distance, precision_recall
from ..metrics.image import laplacian_sharpness
from ..metrics.memorization import nearest_clip
from ..metrics.motion import estimated_flow, flicker, is_static, warping_error
from ..metrics.physics import digits_physics, object_count_consistency, shapes_physics
from ..metrics.tracking import track


WARPED = 24  # clips whose flow is estimated: that takes longest


def measure_frames(frames):
    """What can be measured of clips of any world."""
    still = frames.shape[1] == 1
    blocks = [
        (laplacian_sharpness(block).mean(axis=1), [] if still else is_static(block), [] if still else [flicker(clip) for clip in block])
        for block in iter_blocks(frames, "frames")
    ]
    names = ("sharpness",) if still else ("sharpness", "frozen", "flicker")
    found = {name: (float(np.mean(np.concatenate(values))), len(frames)) for name, values in zip(names, zip(*blocks))}
    if still:
        return found
    errors = [warping_error(clip, *_flows(clip)) for block in iter_blocks(frames[:WARPED], "flow") for clip in block]
    return found | {"warping_error": (float(np.mean(errors)), len(errors))}


def _flows(clip):
    """The flows there and back, estimated: quickly, as all of these worlds move by few px."""
    return estimated_flow(clip, warps=3), estimated_flow(clip[::-1], warps=3)[::-1]


def measure_against(frames, world, reference_statistics, asked):
    """What can be measured of clips by real ones and by their world."""
    if world is None:
        return {}
    training, _ = real_clips(world, "train")
    distance = nearest_clip(frames, training)[1]
    looks = clip_features(frames, world)
    found = memorization_scores(distance, reference_statistics.distance) | physics_scores(frames, world, looks, asked)
    return found | distribution_scores(looks, reference_statistics.looks)


def memorization_scores(distance, real_distance):
    near = np.quantile(real_distance, 0.01)
    ratio = np.median(distance) / max(np.median(real_distance), 1e-9)
    return {"copy_ratio": (float(ratio), len(distance)), "copies": (float(np.mean(distance < near)), len(distance))}


def distribution_scores(looks, real_looks):
    """How far clips are distributed from real ones, by what the judges see."""
    kinds = [kind for kind in ("content", "motion") if kind in looks]
    if not kinds:
        return {}
    count = len(looks["content"])
    found = {f"{kind}_distance": (frechet_distance(looks[kind], real_looks[kind]), count) for kind in kinds}
    both = [np.concatenate([side[kind] for kind in kinds], axis=1) for side in (real_looks, looks)]
    return found | {name: (value, count) for name, value in zip(("precision", "recall"), precision_recall(*both))}


def physics_scores(frames, world, looks, asked):
    """What the objects of clips do, by the laws of their world and by what was asked."""
    if world not in SPECS or not SPECS[world].tracked:
        return {}
    tracks = track(frames)
    present = tracks.color >= 0
    found = {
        "objects": (float(present.sum(axis=1).mean()), len(frames)),
        "kept_count": (float(object_count_consistency(tracks).mean()), len(frames)),
    }
    if world == "digits":
        laws = digits_physics(tracks)
    else:
        motion = None if asked is None else _motion_by_track(asked["motion"], match_colors(tracks, asked), present.shape)
        laws = shapes_physics(tracks, motion)
    right = {} if asked is None else prompt_matches(tracks, looks, asked, world)
    found |= {name: (float(np.mean(value)), len(value)) for name, value in right.items()}
    return found | _kept_laws(laws, present)


def _kept_laws(laws, present):
    """The mean of each law's error over objects inside the training range, and over those outside; a share counts 1 at most."""
    found = {"in_range": (float(laws["in_range"][present].mean()), int(present.sum()))} if present.any() else {}
    for name in [name for name in PHYSICS_METRICS if name in laws]:
        value = laws[name] if name.endswith("residual") else np.minimum(laws[name], 1)
        inside = np.ones_like(present) if name == "speed_error" else laws["in_range"]  # a wrong speed is never inside
        for suffix, where in {"": inside, "_outside": ~inside}.items():
            chosen = value[present & where & np.isfinite(value)]
            if len(chosen):
                found[name + suffix] = (float(chosen.mean()), len(chosen))
    return found


def _motion_by_track(asked_motion, own, shape):
    """The motion asked for, in the order of the tracked objects; -1 for those that nobody asked for."""
    motion = np.full(shape, -1)
    clip, k = np.nonzero(own >= 0)
    motion[clip, own[clip, k]] = asked_motion[clip, k]
    return motion
