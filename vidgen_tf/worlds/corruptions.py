"""Corruptions of real clips: frames that are still right one by one, in a video that is not."""

import numpy as np

from ..errors import CourseError
from .base import WORLDS

CORRUPTIONS = ("clean", "shuffled", "spliced", "changed", "jittery", "flickering", "backwards")
MAX_JITTER = 3  # px by which a frame is moved, at most
MAX_FLICKER = 0.3  # share of its brightness by which a frame is off, at most
LOOKS = {"shapes": ("shape", "color"), "spheres": ("texture", "color")}  # attributes that can change while the path stays


def corrupt(clips, kind, seed=0):
    """Corrupts clips in one way.

    Args:
        clips: N `LabelledClips`, at least 2; to be "changed", of shapes, of spheres or of one digit each.
        kind: a name in `CORRUPTIONS`. "shuffled": the frames of each clip in a random order; "spliced": 1 to 8 frames in a row
            come from another clip; "changed": the object is another one from a frame in the middle half on, on the same path;
            "jittery": each frame is moved by up to 3 px, what leaves on one side comes in on the other; "flickering": each frame
            is darker or brighter, by up to 0.3 of its brightness; "backwards": in reverse order; "clean": as it was.
        seed: non-negative int.

    Returns:
        uint8 array as `clips.frames`.

    Raises:
        CourseError: an unknown kind, a single clip, or clips whose objects can't be changed.

    References:
        Unterthiner and others, 2019, "FVD: A new metric for video generation" (corruptions of increasing strength).
    """
    if kind not in CORRUPTIONS or len(clips) < 2:
        raise CourseError(
            f"At least two clips are corrupted at once, and as {', '.join(CORRUPTIONS)}; got {len(clips)}, {kind!r}."
        )
    rng = np.random.default_rng(seed)
    frames, (count, times, height, width) = clips.frames, clips.frames.shape[:4]
    clip, time = np.arange(count)[:, None], np.arange(times)
    if kind == "backwards":
        return frames[:, ::-1].copy()
    if kind == "shuffled":
        return frames[clip, rng.permuted(np.tile(time, (count, 1)), axis=1)]
    if kind == "jittery":
        down, right = rng.integers(-MAX_JITTER, MAX_JITTER + 1, (2, count, times, 1, 1))
        y, x = (np.arange(height)[:, None] - down) % height, (np.arange(width) - right) % width
        return frames[clip[:, :, None, None], time[:, None, None], y, x]
    if kind == "flickering":
        gain = rng.uniform(1 - MAX_FLICKER, 1 + MAX_FLICKER, (count, times, 1, 1, 1)).astype(np.float32)
        return np.minimum(frames * gain, 255).astype(np.uint8)
    if kind == "spliced":
        length = rng.integers(1, times // 2 + 1, (count, 1))
        first = rng.integers(0, times - length + 1)
        other = np.roll(frames, 1 + rng.integers(count - 1), axis=0)
        foreign = (time >= first) & (time < first + length)
    elif kind == "changed":
        other = WORLDS[clips.world].render(_with_other_objects(clips, rng), height)
        foreign = time >= rng.integers(times // 4, times - times // 4 + 1, (count, 1))
    else:
        other, foreign = frames, np.zeros((count, times), bool)
    return np.where(foreign[..., None, None, None], other, frames)


def _with_other_objects(clips, rng):
    """The clips' states with another digit, or with another shape or texture in another colour, in place of the first object."""
    states = clips.states
    if clips.world == "digits":
        digit = states["digit"][:, 0]
        place = np.argsort(digit, kind="stable")  # half of all clips further on in the order of digits is another digit
        other = np.empty(len(clips), int)
        other[place] = np.roll(place, len(place) // 2)
        return states | {"digit_image": states["digit_image"][other]}
    if clips.world not in LOOKS:
        raise CourseError(f"Objects can be changed in clips of shapes, spheres or digits, not of {clips.world}.")
    numbers = {key: len(WORLDS[clips.world].attributes[key]) for key in LOOKS[clips.world]}
    step = {key: rng.integers(1, number, len(clips)) for key, number in numbers.items()}
    changed = {key: states[key].copy() for key in numbers}
    for key, number in numbers.items():
        changed[key][:, 0] = (changed[key][:, 0] + step[key]) % number
    return states | changed
