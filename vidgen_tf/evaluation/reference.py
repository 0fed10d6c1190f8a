"""Reference statistics: what real clips that no model was trained on score."""

import dataclasses
import functools
import numpy as np
from .. import datasets
from ..worlds import digits
from .. import zoo
from ..errors import CourseError
from .adherence import conditioning_states
from .features import clip_features, iter_blocks, load_cached, mean_frame_features
from .measurements import distribution_scores, measure_frames, memorization_scores, physics_scores
from .protocol import _checked
from .spec import SPECS
from ..metrics.memorization import nearest_clip
from ..worlds import LabelledClips


@dataclasses.dataclass(is_static=True, eq=False)
class Reference:
    """Real clips that no model was trained on, and what is measured of them; none of a world that isn't known."""

    frames: np.ndarray
    looks: dict  # what the judges see, see `clip_features`
    distance: np.ndarray | None  # of each to the nearest_image training clip
    real: dict  # measure -> (value, n)
    rebuilt: dict


def reference_for(world, reference, shape):
    """The reference_statistics for clips of a shape."""
    if world is not None and world not in SPECS and world not in datasets.DATASETS:
        known = ", ".join(dict.fromkeys([*SPECS, *datasets.DATASETS]))
        raise CourseError(f"There is no world {world!r} with an exam; there are {known}, or None for other clips.")
    if reference is not None:
        frames, _ = _checked(reference, "reference clips")
        labelled = isinstance(reference, LabelledClips) and "motion" in reference.states
        states = reference.states if labelled else None
    elif world is None:
        return Reference(np.empty((0, *shape[1:]), np.uint8), {}, None, {}, {})
    else:
        frames, states = real_clips(world, "test")
    expected = shape[1:] if len(frames) == 0 else frames.shape[1:]
    if shape[2:] != expected[1:] or expected[0] not in (1, shape[1]):
        raise CourseError(f"Clips of {world or 'the reference'} are {expected} (time, height, width, channels), got {shape[1:]}.")
    return _standard_reference(world, shape[0]) if reference is None else build_reference(world, frames, states, shape[0])


@functools.lru_cache(maxsize=2)
def _standard_reference(world, count):
    return build_reference(world, *real_clips(world, "test"), count)


def real_clips(world, split):
    """Real clips of a world, and their states."""
    if world == "scans":
        return digits.stills(split)[0][:, None], None
    clips = datasets.load(world, split)
    return clips.frames, clips.states


def build_reference(world, frames, states, count):
    """Measures real clips; as many training clips as are examined, or all, give the distances that these are held against."""
    real = measure_frames(frames)
    if world is None:
        return Reference(frames, {}, None, real, {})
    training, _ = real_clips(world, "train")
    looks, distance, asked = clip_features(frames, world), nearest_clip(frames, training)[1], conditioning_states(states, world, len(frames))
    real |= distribution_scores(clip_features(training[:count], world), looks)
    real |= memorization_scores(distance, distance) | physics_scores(frames, world, looks, asked)
    rebuilt = {}
    if world in SPECS and SPECS[world].rebuilder in zoo.manifest():
        again = reconstruct(frames[:count], SPECS[world].rebuilder)
        asked = asked and {key: value[:count] for key, value in asked.items()}
        read = mean_frame_features(again[:, ::4], world) if world == "digits" else {}  # shapes are told drop_attribute a judge
        rebuilt = measure_frames(again) | physics_scores(again, world, read, asked)
    return Reference(frames, looks, distance, real, rebuilt)


def reconstruct(frames, name):
    """Clips, each frame encoded and decoded again."""
    from .models.vae import decode, encode

    model = load_cached(name)
    return np.concatenate([decode(model, encode(model, block)[0]) for block in iter_blocks(frames, "rebuilding")])
