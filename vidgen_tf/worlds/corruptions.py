"""Corruptions of real clips: frames that are still right one by one, in a video that is not; and frames that are not."""

import numpy as np
from scipy.ndimage import gaussian_filter

from ..errors import CourseError
from .base import WORLDS

CORRUPTIONS = ("clean", "shuffled", "spliced", "changed", "jittery", "flickering", "backwards")  # the video classifiers' labels
UNSEEN_CORRUPTIONS = ("frozen", "blurred", "noisy")  # of which no classifier has learned
MAX_JITTER = 3  # px by which a frame is moved, at most
MAX_FLICKER = 0.3  # share of its brightness by which a frame is off, at most
MAX_BLUR = 1.0  # px, standard deviation
MAX_NOISE = 25.5  # standard deviation, in units of uint8
LOOKS = {"shapes": ("shape", "color"), "spheres": ("texture", "color")}  # attributes that can change while the path stays


def corrupt(clips, kind, seed=0, strength=1.0):
    """Corrupts clips in one way.

    Args:
        clips: N `LabelledClips`, at least 2; to be "changed", of shapes, of spheres or of one digit each.
        kind: a name in `CORRUPTIONS` or `UNSEEN_CORRUPTIONS`. "shuffled": the frames of each clip in a random order; "spliced": 1
            to 8 frames in a row come from another clip; "changed": the object is another one from a frame in the middle half on,
            on the same path; "jittery": each frame is moved by up to 3 px, what leaves on one side comes in on the other;
            "flickering": each frame is darker or brighter, by up to 0.3 of its brightness; "backwards": in reverse order;
            "clean": as it was; "frozen": nothing moves any more; "blurred": by a Gaussian of 1 px; "noisy": each pixel is off by
            a tenth of its range, root mean square.
        seed: non-negative int.
        strength: float from 0 to 1: the share of the clips that is shuffled, spliced, changed or run backwards, or of the frames
            that jitter or are frozen, the last ones; or by how much of the above frames flicker and are blurred or noisy.

    Returns:
        uint8 array as `clips.frames`.

    Raises:
        CourseError: an unknown kind, a strength beyond its range, a single clip, or clips whose objects can't be changed.

    References:
        Unterthiner and others, 2019, "FVD: A new metric for video generation" (corruptions of increasing strength).
    """
    kinds = CORRUPTIONS + UNSEEN_CORRUPTIONS
    if kind not in kinds or len(clips) < 2:
        raise CourseError(f"At least two clips are corrupted at once, and as {', '.join(kinds)}; got {len(clips)}, {kind!r}.")
    if not 0 <= strength <= 1:
        raise CourseError(f"The strength of a corruption is a number from 0 to 1, got {strength}.")
    if kind in ("flickering", "blurred", "noisy"):
        return _repainted(clips.frames, kind, strength, np.random.default_rng(seed))
    count, times = clips.frames.shape[:2]
    chosen = np.random.default_rng([seed, 1]).random((count, times))
    if kind == "frozen":
        last = max(times - 1 - round(strength * (times - 1)), 0)
        return clips.frames[:, np.minimum(np.arange(times), last)]
    if kind != "jittery":
        chosen = chosen[:, :1]  # whole clips
    changed = _rearranged(clips, kind, np.random.default_rng(seed))
    return np.where((chosen < strength)[..., None, None, None], changed, clips.frames)


def _repainted(frames, kind, strength, rng):
    """Frames in their order, with other pixels."""
    if kind == "flickering":
        off = strength * MAX_FLICKER
        gain = rng.uniform(1 - off, 1 + off, (*frames.shape[:2], 1, 1, 1)).astype(np.float32)
        return np.minimum(frames * gain, 255).astype(np.uint8)
    if kind == "blurred":
        return gaussian_filter(frames, (0, 0, strength * MAX_BLUR, strength * MAX_BLUR, 0))
    return np.uint8(np.clip(frames + strength * MAX_NOISE * rng.normal(size=frames.shape), 0, 255))


def _rearranged(clips, kind, rng):
    """Frames of these clips, of others, or of other objects, in another order or at other places."""
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
