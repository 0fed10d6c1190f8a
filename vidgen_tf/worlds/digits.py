"""Handwritten digits: one that goes to a wall and back, or two that bounce (Moving MNIST).

`make` draws the captioned clips, `make_moving_mnist` those of the benchmark; `sample_futures` samples what may follow the context
frames of clips with stochastic bounces; `images` gives the digit images themselves. Lengths are in px, time in frames; x grows to
the right and y downwards. A digit's position is the top left corner of its square image; it moves in float and is rendered at the
position with the fraction cut off, as in the original benchmark.
"""

import functools
import math
import os
import re
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import CourseError, check_whole
from .base import LabelledClips, uniforms

name = "digits"
tracker = "digits"

SIDES = {32: 14, 64: 28}  # size of a frame -> side of a digit
MOTIONS = ("up then down", "down then up", "left then right", "right then left")
MOTIONS_ZH = ("先向上再向下", "先向下再向上", "先向左再向右", "先向右再向左")

attributes = {"digit": tuple("0123456789"), "motion": MOTIONS}

# Where the scans of each split begin and end. scikit-learn's file runs fourteen times through the same sheet of about 128
# digits: the splits begin where a sheet begins, so none has its digits in two of them.
SPLITS = {
    "scikit-learn": {"train": (0, 1287), "validation": (1287, 1415), "test": (1415, 1797)},
    "mnist": {"train": (0, 55000), "validation": (55000, 60000), "test": (60000, 70000)},
}

PATH_LENGTH = 1.25  # of one digit in a clip of `make`, as a share of its free range
STEP_LENGTH = 0.1  # Moving MNIST: path length per frame, as a share of the free range
TRIES = 16  # points drawn for one direction: all miss the unit disc once in 5e10
BLOCK = 64  # clips rendered at once
FPS = 8

# The two captions of `make`, and of `make_moving_mnist`.
WITH_MOTION = rf"the digit (\d) is moving ({'|'.join(MOTIONS)}) \.", rf"数字(\d)({'|'.join(MOTIONS_ZH)})移动。"
WITHOUT_MOTION = r"the digits? (\d(?:, \d)*(?: and \d)?) (?:is|are) moving \.", r"数字(\d(?:、\d)*(?:和\d)?)在移动。"


def make(count, *, seed, start=0, size=32, num_frames=16, split="train", source="scikit-learn"):
    """Clips of one digit that goes straight to a wall and comes back; the caption names the digit, the axis and the order.

    It starts in the middle third of its free range along the axis it moves on, and anywhere on the other; its speed is
    constant, and such that it reaches the first wall, comes back visibly and never touches the other.

    Args:
        count: number of clips, at least 1.
        seed: non-negative int. Splits draw differently from the same seed.
        start: index of the first clip; clip i is the same whatever `start` and `count`.
        size: height and width in px, 32 (digits of 14 px) or 64 (28 px).
        num_frames: frames per clip, at least 8.
        split: "train", "validation" or "test": no scan is in two of them.
        source: "scikit-learn" (its 1797 scans) or "mnist" (the file that Keras keeps, where there is one).

    Returns:
        `LabelledClips` with uint8 frames `(count, num_frames, size, size, 1)`. Its states, K = 1 digit:
        `digit` (N, K) int8, 0..9; `image_index` (N, K) int32, the index of the scan in its source; `digit_image` uint8
        (N, K, side, side), the scan as it is rendered; `motion` (N,) int8, index into MOTIONS; `position` and `velocity`
        (N, T, K, 2) float32 as (x, y) in px and px per frame, the velocity being that with which the digit leaves the frame;
        `pixel_position` (N, T, K, 2) int16, the position in whole px; `bounce` (N, T, K) bool, whether it touches a wall.

    Raises:
        CourseError: an impossible count, seed or start, an unknown size, split or source, fewer than 8 frames, no MNIST file.

    References:
        Hu, Luo and Chen, 2022, "Make It Move: Controllable Image-to-Video Generation with Text Descriptions" (the captions).
    """
    check_whole(8, num_frames=num_frames)  # it needs them to go to the wall and come back
    return _labelled(_simulate_there_and_back(size, num_frames), 4, count, seed, start, size, num_frames, split, source)


def make_captioned(states, *, seed, split="train"):
    """Clips as of `make`, 32x32, that show what captions say, drawn anew in all else: by another hand, from another place.

    Args:
        states: dict of int arrays "digit" `(N, 1)` and "motion" `(N,)`, as `make` or `parse_captions` gives them.
        seed, split: as for `make`. Clip i is the same whatever the others show.

    Returns:
        `LabelledClips`, whose captions are those of the states.
    """
    _, labels = _scans("scikit-learn", split, SIDES[32])
    own = [np.flatnonzero(labels == digit) for digit in range(10)]  # the scans of each digit
    asked, simulate = zip(np.ravel(states["digit"]), states["motion"]), _simulate_there_and_back(32, 16)

    def captioned(u):
        for row, (digit, motion) in zip(u, asked):
            scan = own[digit][int(row[0] * len(own[digit]))]
            row[:2] = (scan + 0.5) / len(labels), (motion + 0.5) / len(MOTIONS)
        return simulate(u)

    return _labelled(captioned, 4, len(states["motion"]), seed, 0, 32, 16, split, "scikit-learn")


def _simulate_there_and_back(size, num_frames):
    """The laws of `make`: a function from uniforms `(N, 4)` to scan, motion, position, velocity and bounces."""
    free = _free_range(size)

    def simulate(u):
        motion = (u[:, 1] * len(MOTIONS)).astype(np.int8)
        along = np.stack([motion >= 2, motion < 2], axis=-1)  # is it x, is it y that it moves along
        place = np.where(along, (1 + u[:, 2:3]) / 3, u[:, 3:4])
        sign = np.where(motion % 2 == 0, -1.0, 1.0)[:, None]
        velocity = np.where(along, sign * (PATH_LENGTH / (num_frames - 1) * free), 0.0)
        return {"scan": u[:, :1], "motion": motion} | _bounce(free * place[:, None], velocity[:, None], free, num_frames)

    return simulate


def make_moving_mnist(
    count, *, seed, start=0, size=64, num_frames=20, num_digits=2, split="train", source="scikit-learn", stochastic_bounces=False
):
    """Clips of bouncing digits, as in the Moving MNIST benchmark: 10 context frames, 10 to predict.

    Each digit starts anywhere, in any direction, and moves a tenth of its free range per frame (3.6 px at 64 px). At a wall it
    is held, and the component of its velocity that led into the wall changes sign. Where digits overlap, the brighter pixel
    is seen. The first frame shows the start; the original's, one step later.

    Args:
        count: number of clips, at least 1.
        seed: non-negative int. Splits draw differently from the same seed.
        start: index of the first clip; clip i is the same whatever `start` and `count`.
        size: height and width in px, 64 (digits of 28 px, the benchmark) or 32 (14 px).
        num_frames: frames per clip, at least 1.
        num_digits: digits per clip, at least 1.
        split: "train", "validation" or "test": no scan is in two of them.
        source: "scikit-learn" or "mnist", as in `make`.
        stochastic_bounces: whether the direction is drawn anew at a wall, uniformly among all that lead back inside: the same
            starts, an uncertain future.

    Returns:
        `LabelledClips` with uint8 frames `(count, num_frames, size, size, 1)` and the states of `make` but `motion`,
        K = `num_digits`.

    Raises:
        CourseError: an impossible count, seed or start, an unknown size, split or source, no frames or digits, no MNIST file.

    References:
        Srivastava, Mansimov and Salakhutdinov, 2015, "Unsupervised Learning of Video Representations using LSTMs".
        Denton and Fergus, 2018, "Stochastic Video Generation with a Learned Prior" (stochastic bounces).
    """
    check_whole(1, num_frames=num_frames, num_digits=num_digits)
    free = _free_range(size)
    per_digit = 3 + num_frames * TRIES * 2  # which scan, where it starts, a direction for each frame

    def simulate(u):
        """The scans, and position, velocity and bounces, of each row of `u`."""
        u = u.reshape(len(u), num_digits, per_digit)
        points = u[..., 3:].reshape(len(u), num_digits, num_frames, TRIES, 2)
        directions = STEP_LENGTH * free * _directions(points if stochastic_bounces else points[:, :, :1])
        anew = directions if stochastic_bounces else None
        return {"scan": u[..., 0]} | _bounce(free * u[..., 1:3], directions[:, :, 0], free, num_frames, anew)

    return _labelled(simulate, num_digits * per_digit, count, seed, start, size, num_frames, split, source)


def sample_futures(clips, count, num_frames, *, seed, num_context_frames):
    """Samples of the future of clips with stochastic bounces, from its true distribution given the context frames.

    The digits go on as they were, and at each wall the direction is drawn anew. Where the last context frame touches a wall,
    the direction in which it leaves it is still to come, and drawn as well.

    Args:
        clips: N `LabelledClips` of `make_moving_mnist(..., stochastic_bounces=True)`.
        count: samples of each clip's future, at least 1.
        num_frames: frames of each sample, at least 1.
        seed: non-negative int.
        num_context_frames: frames of each clip that are known, at least 1.

    Returns:
        uint8 `(N, count, num_frames, size, size, 1)`.

    Raises:
        CourseError: an impossible count or seed, no frames, no context, or more context frames than the clips have.
    """
    check_whole(1, count=count, num_frames=num_frames, num_context_frames=num_context_frames)
    if num_context_frames > clips.frames.shape[1]:
        raise CourseError(
            f"These clips have {clips.frames.shape[1]} frames, so num_context_frames={num_context_frames} is too many."
        )
    size = clips.frames.shape[2]
    free = _free_range(size)
    now = {key: clips.states[key][:, num_context_frames - 1].astype(np.float64) for key in ("position", "velocity")}
    position, velocity = (value.repeat(count, axis=0) for value in now.values())  # (N*count, K, 2)
    shape = (*position.shape[:2], num_frames + 1, TRIES, 2)
    points = uniforms(seed, 0, len(position), math.prod(shape[1:])).reshape(shape)
    anew = STEP_LENGTH * free * _directions(points)
    positions = _bounce(position, velocity, free, num_frames + 1, anew)["position"][:, 1:].astype(np.float32)
    futures = {"digit_image": clips.states["digit_image"].repeat(count, axis=0), "pixel_position": positions.astype(np.int16)}
    return render(futures, size).reshape(len(clips), count, num_frames, size, size, 1)


def images(split="train", size=28, source="scikit-learn"):
    """The handwritten digits of a split as images (optdigits, or MNIST).

    Args:
        split: "train", "validation" or "test".
        size: height and width in px, at least 1; the scan fills the image.
        source: "scikit-learn" or "mnist", as in `make`.

    Returns:
        uint8 array `(n, size, size, 1)` and the int8 labels `(n,)`.

    Raises:
        CourseError: an unknown split or source, no size, no MNIST file.
    """
    check_whole(1, size=size)
    scans, labels = _scans(source, split, size)
    return scans[..., None].copy(), labels.copy()


def render(states, size=32):
    """The frames that states describe: those of `make`, or counterfactual ones that no law of this world would allow.

    Args:
        states: dict with "digit_image" and "pixel_position", as `make` gives them.
        size: height and width in px.

    Returns:
        uint8 `(N, T, size, size, 1)`.
    """
    frames = np.zeros((*states["pixel_position"].shape[:2], size, size, 1), np.uint8)
    for first in range(0, len(frames), BLOCK):
        block = slice(first, first + BLOCK)
        _paint(frames[block, ..., 0], states["digit_image"][block], states["pixel_position"][block])
    return frames


def parse_captions(captions):
    """The states that captions name.

    Args:
        captions: sequence of N captions of `make` or `make_moving_mnist`, English or Chinese.

    Returns:
        dict of int8 arrays as in the states: "digit" `(N, K)`, K the most digits that a caption names, -1 for a digit that is
        absent; and, if any caption names it, "motion" `(N,)`, -1 where it is left open.

    Raises:
        CourseError: a caption that this world doesn't make.
    """
    digits, motions = [], []
    for caption in map(str, captions):
        motion = next(filter(None, (re.fullmatch(form, caption) for form in WITH_MOTION)), None)
        match = motion or next(filter(None, (re.fullmatch(form, caption) for form in WITHOUT_MOTION)), None)
        if match is None:
            raise CourseError(f"{caption!r} is no caption of this world, such as 'the digit 3 is moving up then down .'")
        digits.append(re.findall(r"\d", match[1]))
        motions.append((*MOTIONS, *MOTIONS_ZH).index(motion[2]) % len(MOTIONS) if motion else -1)
    states = {"digit": np.full((len(digits), max(map(len, digits), default=1)), -1, np.int8)}
    for row, found in zip(states["digit"], digits):
        row[: len(found)] = list(map(int, found))
    return states | ({"motion": np.array(motions, np.int8)} if max(motions, default=0) >= 0 else {})


def optical_flow(clips):
    """Exact forward flow: at each pixel above 0 of frame t the displacement of the digit that is seen there.

    Args:
        clips: `LabelledClips` of this world.

    Returns:
        float32 `(N, T-1, H, W, 2)`, (dx, dy) in px per frame, whole numbers because digits are rendered at whole pixels; 0 on the
        background.
    """
    n, t, h, w, _ = clips.frames.shape
    flow = np.zeros((n, t - 1, h, w, 2), np.float32)
    seen = np.zeros((n, t - 1, h, w), np.uint8)
    position, image = clips.states["pixel_position"], clips.states["digit_image"]
    step = position[:, 1:] - position[:, :-1]
    for k in range(position.shape[2]):
        at, windows = _windows(seen, image, position[:, :-1], k)
        _, flow_windows = _windows(flow, image, position[:, :-1], k)  # (..., 2, side, side)
        in_front = image[:, None, k] > windows[at]
        flow_windows[at] = np.where(in_front[:, :, None], step[:, :, k, :, None, None], flow_windows[at])
        windows[at] = np.maximum(windows[at], image[:, None, k])
    return flow


def _labelled(simulate, per_clip, count, seed, start, size, num_frames, split, source):
    """The `LabelledClips` that `simulate` makes of uniforms, block by block so that memory hardly exceeds the frames'."""
    check_whole(1, count=count)
    check_whole(0, seed=seed)  # `uniforms` sees the blocks' counts, and the seed mixed with the split
    scans, labels = _scans(source, split, SIDES[size])
    first_scan = SPLITS[source][split][0]
    stream = int(seed) * 3 + list(SPLITS[source]).index(split)  # clips of two splits must not share their motion either
    frames = np.zeros((count, num_frames, size, size, 1), np.uint8)
    blocks = []
    for first in range(0, count, BLOCK):
        states = simulate(uniforms(stream, start + first, min(BLOCK, count - first), per_clip))
        scan = (states.pop("scan") * len(scans)).astype(np.int32)
        states |= {key: states[key].astype(np.float32) for key in ("position", "velocity")}
        states |= {"digit": labels[scan], "image_index": first_scan + scan, "digit_image": scans[scan]}
        states["pixel_position"] = states["position"].astype(np.int16)  # cuts off the fraction
        _paint(frames[first : first + BLOCK, ..., 0], states["digit_image"], states["pixel_position"])
        blocks.append(states)
    states = {key: np.concatenate([block[key] for block in blocks]) for key in blocks[0]}
    return LabelledClips(frames, *_captions(states), states, world=name, fps=FPS)


def _paint(frames, image, position):
    """Paints images `(n, K, side, side)` into black frames `(n, T, H, W)` at corners `(n, T, K, 2)`: the brighter pixel wins."""
    for k in range(position.shape[2]):
        at, windows = _windows(frames, image, position, k)
        windows[at] = image[:, None, k] if k == 0 else np.maximum(windows[at], image[:, None, k])


def _windows(frames, image, position, k):
    """Index `at` and view of `frames` `(n, T, H, W, ...)`: `view[at]` is the square `(n, T, ..., side, side)` under digit k."""
    n, t = position.shape[:2]
    side = image.shape[-1]
    windows = sliding_window_view(frames, (side, side), axis=(2, 3), writeable=True)
    clip, frame = np.ogrid[:n, :t]
    return (clip, frame, position[:, :, k, 1], position[:, :, k, 0]), windows


def _bounce(position, velocity, free, num_frames, anew=None):
    """Motion of squares between walls at 0 and `free`.

    Args:
        position, velocity: `(n, K, 2)` at the start.
        free: the largest position.
        num_frames: T.
        anew: `(n, K, T, 2)` the velocity to take up where a wall is touched at frame t, its signs aside; None to reflect.

    Returns:
        dict of float64 `position` and `velocity` `(n, T, K, 2)`, and of bool `bounce` `(n, T, K)`.
    """
    positions, velocities = np.empty((2, len(position), num_frames, *position.shape[1:]))
    bounces = np.empty(positions.shape[:-1], bool)
    for t in range(num_frames):
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
    """Images, read-only uint8 `(n, size, size)`, and int8 labels `(n,)` of a split."""
    if source not in SPLITS:
        raise CourseError(f"There is no source of digits called {source!r}: choose scikit-learn or mnist.")
    if split not in SPLITS[source]:
        raise CourseError(f"There is no split called {split!r}: choose train, validation or test.")
    home = os.environ.get("KERAS_HOME", "~/.keras") if source == "mnist" else None
    return _read_scans(home, *SPLITS[source][split], size)


@functools.lru_cache(maxsize=8)
def _read_scans(keras_home, first, last, size):
    scans, labels, white = _read_scikit_learn() if keras_home is None else _read_mnist(keras_home)
    images = np.empty((last - first, size, size), np.uint8)
    for i in range(0, len(images), 1000):
        images[i : i + 1000] = _resized(scans[first + i : min(first + i + 1000, last)], size, white)
    labels = labels[first:last].astype(np.int8)
    images.flags.writeable = labels.flags.writeable = False  # the cache hands them out again
    return images, labels


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
