"""The world of handwritten digits: one that goes to a wall and back, or two that bounce about (Moving MNIST).

`make` draws the captioned protocol, `make_canonical` the benchmark's, `futures` what else might have become of clips with random
walls, `stills` gives the digits themselves. Lengths are in pixels, time in frames; x grows to the right and y downwards. A digit
is a square picture, and its position that square's top left corner; a digit moves in float and is drawn at the position with the
fraction cut off, as in the original benchmark.
"""

import functools
import math
import os
import re
import sys
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import CourseError, check_whole
from . import LabelledClips, uniforms

SIDES = {32: 14, 64: 28}  # size of a frame -> side of a digit
MOTIONS = ("up then down", "down then up", "left then right", "right then left")
MOTIONS_ZH = ("先向上再向下", "先向下再向上", "先向左再向右", "先向右再向左")

# Where the scans of each split begin and end. scikit-learn's file runs fourteen times through the same sheet of about 128
# digits: the splits begin where a sheet begins, so none has its digits in two of them.
SPLITS = {
    "scikit-learn": {"train": (0, 1287), "validation": (1287, 1415), "test": (1415, 1797)},
    "mnist": {"train": (0, 55000), "validation": (55000, 60000), "test": (60000, 70000)},
}

JOURNEY = 1.25  # one digit: length of its way in a clip, as a share of its free range
STRIDE = 0.1  # canonical: length of a step, as a share of the free range
TRIES = 16  # points drawn for one direction: all miss the unit disc once in 5e10
BLOCK = 64  # clips drawn at once
FPS = 8


def make(count, *, seed, start=0, size=32, frames=16, split="train", source="scikit-learn"):
    """Clips of one digit that goes straight to a wall and comes back: the caption tells the digit, the axis and the order.

    It starts in the middle third of its free range along the axis it moves on, and anywhere on the other; its speed is
    constant, and such that it reaches the first wall, comes back visibly and never touches the other.

    Args:
        count: how many clips, at least 1.
        seed: non-negative int. Splits draw differently from the same seed.
        start: index of the first clip; clip i is the same whatever `start` and `count`.
        size: height and width in px, 32 (digits of 14 px) or 64 (28 px).
        frames: frames per clip, at least 8.
        split: "train", "validation" or "test": no scan is in two of them.
        source: "scikit-learn" (its 1797 scans) or "mnist" (the file that Keras keeps, where there is one).

    Returns:
        `LabelledClips` with uint8 frames `(count, frames, size, size, 1)`. Its states, K = 1 digit:
        `digit` (N, K) int8, 0..9; `image` (N, K) int32, the number of the scan in its source; `picture` uint8
        (N, K, side, side), the scan as it is drawn; `motion` (N,) int8, index into MOTIONS; `position` and `velocity`
        (N, T, K, 2) float32 as (x, y) in px and px per frame, the velocity being that with which the digit leaves the frame;
        `drawn` (N, T, K, 2) int16, the position in whole px; `bounce` (N, T, K) bool, whether it touches a wall.

    Raises:
        CourseError: an impossible count, seed or start, an unknown size, split or source, fewer than 8 frames, no MNIST file.

    References:
        Hu, Luo and Chen, 2022, "Make It Move: Controllable Image-to-Video Generation with Text Descriptions" (the captions).
    """
    check_whole(8, frames=frames)  # it needs them to go to the wall and come back
    free = _free_range(size)

    def plan(u):
        """The picture drawn, the motion, and position, velocity and bounces, of each row of `u`."""
        motion = (u[:, 1] * len(MOTIONS)).astype(np.int8)
        along = np.stack([motion >= 2, motion < 2], axis=-1)  # is it x, is it y that it moves along
        place = np.where(along, (1 + u[:, 2:3]) / 3, u[:, 3:4])
        sign = np.where(motion % 2 == 0, -1.0, 1.0)[:, None]
        velocity = np.where(along, sign * (JOURNEY / (frames - 1) * free), 0.0)
        return {"pick": u[:, :1], "motion": motion} | _bounce(free * place[:, None], velocity[:, None], free, frames)

    return _film(plan, 4, count, seed, start, size, frames, split, source)


def make_canonical(
    count, *, seed, start=0, size=64, frames=20, digits=2, split="train", source="scikit-learn", random_walls=False
):
    """Clips of digits that bounce about, as in the Moving MNIST benchmark: 10 frames to look at, 10 to predict.

    Each digit starts anywhere, in any direction, and moves a tenth of its free range per frame (3.6 px at 64 px). At a wall it
    is held, and the component of its velocity that led into the wall changes sign. Where digits overlap, the brighter pixel
    is seen. The first frame shows the start; the original's, one step later.

    Args:
        count: how many clips, at least 1.
        seed: non-negative int. Splits draw differently from the same seed.
        start: index of the first clip; clip i is the same whatever `start` and `count`.
        size: height and width in px, 64 (digits of 28 px, the benchmark) or 32 (14 px).
        frames: frames per clip.
        digits: digits per clip.
        split: "train", "validation" or "test": no scan is in two of them.
        source: "scikit-learn" or "mnist", as in `make`.
        random_walls: at a wall the direction is drawn anew among all that lead back inside: the same starts, uncertain futures.

    Returns:
        `LabelledClips` with uint8 frames `(count, frames, size, size, 1)` and the states of `make` but `motion`, K = `digits`.

    Raises:
        CourseError: an impossible count, seed or start, an unknown size, split or source, no frames or digits, no MNIST file.

    References:
        Srivastava, Mansimov and Salakhutdinov, 2015, "Unsupervised Learning of Video Representations using LSTMs".
        Denton and Fergus, 2018, "Stochastic Video Generation with a Learned Prior" (random walls).
    """
    check_whole(1, frames=frames, digits=digits)
    free = _free_range(size)
    per_digit = 3 + frames * TRIES * 2  # which scan, where it starts, a direction for each frame

    def plan(u):
        """The pictures drawn, and position, velocity and bounces, of each row of `u`."""
        u = u.reshape(len(u), digits, per_digit)
        points = u[..., 3:].reshape(len(u), digits, frames, TRIES, 2)
        directions = STRIDE * free * _directions(points if random_walls else points[:, :, :1])
        anew = directions if random_walls else None
        return {"pick": u[..., 0]} | _bounce(free * u[..., 1:3], directions[:, :, 0], free, frames, anew)

    return _film(plan, digits * per_digit, count, seed, start, size, frames, split, source)


def futures(clips, count, frames, *, seed, after):
    """What else might have become of clips with random walls, and what a perfect model would give for their pasts.

    The digits go on as they were, and at each wall the direction is drawn anew. Where the last frame of the past touches a wall,
    the direction in which it leaves it is still to come, and drawn as well.

    Args:
        clips: `LabelledClips` of `make_canonical(..., random_walls=True)`.
        count: futures of each clip, at least 1.
        frames: frames of each future, at least 1.
        seed: non-negative int.
        after: how many frames of each clip are the past, at least 1.

    Returns:
        uint8 `(N, count, frames, size, size, 1)`.

    Raises:
        CourseError: an impossible count or seed, no frames, no past, or a past longer than the clips.
    """
    check_whole(1, count=count, frames=frames, after=after)
    if after > clips.frames.shape[1]:
        raise CourseError(f"These clips have {clips.frames.shape[1]} frames, so no past of {after}: choose a smaller `after`.")
    size = clips.frames.shape[2]
    free = _free_range(size)
    now = {key: clips.states[key][:, after - 1].astype(np.float64) for key in ("position", "velocity")}
    position, velocity = (value.repeat(count, axis=0) for value in now.values())  # (N*count, K, 2)
    shape = (*position.shape[:2], frames + 1, TRIES, 2)
    points = uniforms(seed, 0, len(position), math.prod(shape[1:])).reshape(shape)
    anew = STRIDE * free * _directions(points)
    positions = _bounce(position, velocity, free, frames + 1, anew)["position"][:, 1:].astype(np.float32)
    video = np.zeros((len(position), frames, size, size), np.uint8)
    _draw(video, clips.states["picture"].repeat(count, axis=0), positions.astype(np.int16))
    return video.reshape(len(clips), count, frames, size, size, 1)


def stills(split="train", size=28, source="scikit-learn"):
    """The handwritten digits of a split as pictures.

    Args:
        split: "train", "validation" or "test".
        size: height and width in px, at least 1; the scan fills the picture.
        source: "scikit-learn" or "mnist", as in `make`.

    Returns:
        uint8 array `(n, size, size, 1)` and the int8 labels `(n,)`.

    Raises:
        CourseError: an unknown split or source, no size, no MNIST file.
    """
    check_whole(1, size=size)
    pictures, labels = _scans(source, split, size)
    return pictures[..., None].copy(), labels.copy()


def draw(states, size=32):
    """The frames that states describe: those of `make`, or others that no law of this world would allow.

    Args:
        states: dict with "picture" and "drawn", as `make` gives them.
        size: height and width in px.

    Returns:
        uint8 `(N, T, size, size, 1)`.
    """
    video = np.zeros((*states["drawn"].shape[:2], size, size, 1), np.uint8)
    for first in range(0, len(video), BLOCK):
        block = slice(first, first + BLOCK)
        _draw(video[block, ..., 0], states["picture"][block], states["drawn"][block])
    return video


def from_captions(captions):
    """What captions ask for: the states that they name, read back.

    Args:
        captions: sequence of N captions of `make`, English or Chinese.

    Returns:
        dict of int8 arrays as in the states of `make`: "digit" `(N, 1)` and "motion" `(N,)`.

    Raises:
        CourseError: a caption that `make` doesn't write.
    """
    forms = rf"the digit (\d) is moving ({'|'.join(MOTIONS)}) \.", rf"数字(\d)({'|'.join(MOTIONS_ZH)})移动。"
    found = [next(filter(None, (re.fullmatch(form, str(caption)) for form in forms)), None) for caption in captions]
    if not all(found):
        wrong = str(captions[found.index(None)])
        raise CourseError(f"{wrong!r} is no caption of this world, such as 'the digit 3 is moving up then down .'")
    digit, motion = ([match[i] for match in found] for i in (1, 2))
    return {
        "digit": np.array(digit, np.int8)[:, None],
        "motion": np.array([(*MOTIONS, *MOTIONS_ZH).index(name) % len(MOTIONS) for name in motion], np.int8),
    }


def optical_flow(clips):
    """Exact forward flow: at each pixel above 0 of frame t the displacement of the digit that is seen there.

    Args:
        clips: `LabelledClips` of this world.

    Returns:
        float32 `(N, T-1, H, W, 2)`, (dx, dy) in px per frame, whole numbers because digits are drawn at whole pixels; 0 on the
        background.
    """
    n, t, h, w, _ = clips.frames.shape
    flow = np.zeros((n, t - 1, h, w, 2), np.float32)
    seen = np.zeros((n, t - 1, h, w), np.uint8)
    drawn, picture = clips.states["drawn"], clips.states["picture"]
    step = drawn[:, 1:] - drawn[:, :-1]
    for k in range(drawn.shape[2]):
        at, windows = _windows(seen, picture, drawn[:, :-1], k)
        _, flow_windows = _windows(flow, picture, drawn[:, :-1], k)  # (..., 2, side, side)
        in_front = picture[:, None, k] > windows[at]
        flow_windows[at] = np.where(in_front[:, :, None], step[:, :, k, :, None, None], flow_windows[at])
        windows[at] = np.maximum(windows[at], picture[:, None, k])
    return flow


def _film(plan, per_clip, count, seed, start, size, frames, split, source):
    """The `LabelledClips` that `plan` makes of uniforms, drawn block by block so that memory hardly exceeds the frames'."""
    check_whole(1, count=count)
    check_whole(0, seed=seed)  # `uniforms` sees the blocks' counts, and the seed mixed with the split
    pictures, labels = _scans(source, split, SIDES[size])
    first_scan = SPLITS[source][split][0]
    stream = int(seed) * 3 + list(SPLITS[source]).index(split)  # clips of two splits must not share their motion either
    video = np.zeros((count, frames, size, size, 1), np.uint8)
    blocks = []
    for first in range(0, count, BLOCK):
        states = plan(uniforms(stream, start + first, min(BLOCK, count - first), per_clip))
        pick = (states.pop("pick") * len(pictures)).astype(np.int32)
        states |= {key: states[key].astype(np.float32) for key in ("position", "velocity")}
        drawn = states["position"].astype(np.int16)  # cuts off the fraction
        _draw(video[first : first + BLOCK, ..., 0], pictures[pick], drawn)
        blocks.append(states | {"digit": labels[pick], "image": first_scan + pick, "picture": pictures[pick], "drawn": drawn})
    states = {key: np.concatenate([block[key] for block in blocks]) for key in blocks[0]}
    return LabelledClips(video, *_captions(states), states, world=sys.modules[__name__], fps=FPS)


def _draw(video, picture, drawn):
    """Draws pictures `(n, K, side, side)` into black video `(n, T, H, W)` at corners `(n, T, K, 2)`: the brighter pixel wins."""
    for k in range(drawn.shape[2]):
        at, windows = _windows(video, picture, drawn, k)
        windows[at] = picture[:, None, k] if k == 0 else np.maximum(windows[at], picture[:, None, k])


def _windows(video, picture, drawn, k):
    """Index `at` and view of `video` `(n, T, H, W, ...)`: `view[at]` is the square `(n, T, ..., side, side)` under digit k."""
    n, t = drawn.shape[:2]
    side = picture.shape[-1]
    windows = sliding_window_view(video, (side, side), axis=(2, 3), writeable=True)
    clip, frame = np.ogrid[:n, :t]
    return (clip, frame, drawn[:, :, k, 1], drawn[:, :, k, 0]), windows


def _bounce(position, velocity, free, frames, anew=None):
    """Motion of squares between walls at 0 and `free`.

    Args:
        position, velocity: `(n, K, 2)` at the start.
        free: the largest position.
        frames: T.
        anew: `(n, K, T, 2)` the velocity to take up where a wall is touched at frame t, its signs aside; None to reflect.

    Returns:
        dict of float64 `position` and `velocity` `(n, T, K, 2)`, and of bool `bounce` `(n, T, K)`.
    """
    positions, velocities = np.empty((2, len(position), frames, *position.shape[1:]))
    bounces = np.empty(positions.shape[:-1], bool)
    for t in range(frames):
        if t:
            position = position + velocity
        low, high = position <= 0, position >= free
        touches = (low | high).any(axis=-1)
        position = np.clip(position, 0, free)
        if anew is not None:
            velocity = np.where(touches[..., None], anew[:, :, t], velocity)
        speed = np.abs(velocity)
        velocity = np.where(low, speed, np.where(high, -speed, velocity))
        positions[:, t], velocities[:, t], bounces[:, t] = position, velocity, touches
    return {"position": positions, "velocity": velocities, "bounce": bounces}


def _directions(u):
    """Unit vectors `(..., 2)` from uniforms `(..., TRIES, 2)`: the first point of the square that lies in the disc, normalised.
    No direction is favoured, and no sine is needed, whose last bit differs between machines."""
    points = 2 * u - 1
    square = points[..., 0] * points[..., 0] + points[..., 1] * points[..., 1]
    inside = (square <= 1) & (square > 0)
    first = inside.argmax(axis=-1)[..., None]
    length = np.sqrt(np.take_along_axis(square, first, axis=-1))
    point = np.take_along_axis(points, first[..., None], axis=-2)[..., 0, :]
    found = inside.any(axis=-1)[..., None]
    return np.where(found, point / np.where(found, length, 1.0), [1.0, 0.0])


def _free_range(size):
    if size not in SIDES:
        raise CourseError(f"Clips of digits have a size of 32 or 64 px, got {size}.")
    return float(size - SIDES[size])


def _captions(states):
    """English and Chinese captions, from the states alone."""
    digits = states["digit"].tolist()
    if "motion" in states:
        pairs = list(zip(digits, states["motion"].tolist(), strict=True))
        english = [f"the digit {d} is moving {MOTIONS[m]} ." for (d,), m in pairs]
        chinese = [f"数字{d}{MOTIONS_ZH[m]}移动。" for (d,), m in pairs]
    else:
        subject, verb = ("digit", "is") if len(digits[0]) == 1 else ("digits", "are")
        english = [f"the {subject} {_listed(group, ', ', ' and ')} {verb} moving ." for group in digits]
        chinese = [f"数字{_listed(group, '、', '和')}在移动。" for group in digits]
    return np.array(english), np.array(chinese)


def _listed(digits, comma, last):
    *others, final = map(str, digits)
    return comma.join(others) + last + final if others else final


def _scans(source, split, size):
    """Pictures, read-only uint8 `(n, size, size)`, and int8 labels `(n,)` of a split."""
    if source not in SPLITS:
        raise CourseError(f"There is no source of digits called {source!r}: choose scikit-learn or mnist.")
    if split not in SPLITS[source]:
        raise CourseError(f"There is no split called {split!r}: choose train, validation or test.")
    home = os.environ.get("KERAS_HOME", "~/.keras") if source == "mnist" else None
    return _read_scans(home, *SPLITS[source][split], size)


@functools.lru_cache(maxsize=8)
def _read_scans(keras_home, first, last, size):
    scans, labels, white = _read_scikit_learn() if keras_home is None else _read_mnist(keras_home)
    pictures = np.empty((last - first, size, size), np.uint8)
    for i in range(0, len(pictures), 1000):
        pictures[i : i + 1000] = _resized(scans[first + i : min(first + i + 1000, last)], size, white)
    labels = labels[first:last].astype(np.int8)
    pictures.flags.writeable = labels.flags.writeable = False  # the cache hands them out again
    return pictures, labels


def _read_scikit_learn():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images.astype(np.uint8), bunch.target, 16


def _read_mnist(keras_home):
    path = Path(keras_home).expanduser() / "datasets" / "mnist.npz"
    if not path.is_file():
        raise CourseError(
            f"There is no {path}: MNIST is never downloaded here, so call keras.datasets.mnist.load_data() once where there is "
            'a network, or use source="scikit-learn".'
        )
    try:
        with np.load(path) as file:
            scans = np.concatenate([file["x_train"], file["x_test"]])
            labels = np.concatenate([file["y_train"], file["y_test"]])
        if scans.shape != (70000, 28, 28) or labels.shape != (70000,) or scans.dtype != np.uint8:
            raise ValueError(f"images {scans.shape} {scans.dtype}, labels {labels.shape}")
    except Exception as error:  # whatever a damaged archive makes NumPy raise
        raise CourseError(f"{path} is damaged or not MNIST ({error}): delete it and let Keras fetch it again.") from error
    return scans, labels, 255


def _resized(scans, size, white):
    """Scans `(n, side, side)` with values 0..white, bilinear to `(n, size, size)` with values 0..255, rounded to nearest.

    Pixel centres lie at half a pixel and edges are repeated, as scikit-image and OpenCV do it; all in whole numbers, so exact.
    """
    side, one = scans.shape[1], 2 * size  # weights are counted in parts of 2 * size
    centre = np.clip((2 * np.arange(size) + 1) * side - size, 0, one * (side - 1))
    low, weight = np.divmod(centre, one)
    high = np.minimum(low + 1, side - 1)
    scans = scans.astype(np.int64)
    rows = scans[:, low] * (one - weight)[:, None] + scans[:, high] * weight[:, None]
    total = rows[:, :, low] * (one - weight) + rows[:, :, high] * weight
    whole = white * one * one
    return ((510 * total + whole) // (2 * whole)).astype(np.uint8)
