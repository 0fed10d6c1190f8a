"""Judges of motion: small classifiers of whole clips. Their features tell a video from a pile of good frames."""

import dataclasses

import keras
import numpy as np
from keras import layers, ops

from ..datasets import load
from ..errors import CourseError
from ..worlds import digits, shapes
from .judge import _Judge

ORDERS = ("true", "shuffled", "spliced", "changed", "jittery", "flickering", "backwards")  # what may have been done to a clip
JITTER, FLICKER = 3, 0.3  # px, and share of the brightness: the most by which a frame is off


@dataclasses.dataclass(frozen=True)
class MotionJudgeConfig:
    """Sizes of a judge of motion."""

    shape: tuple[int, int, int, int]  # frames, height, width, channels of a clip
    classes: dict[str, int]  # what is judged of a clip -> number of classes
    looks: dict[str, int]  # what is judged of its frames, whatever their order -> number of classes
    filters: tuple[int, ...] = (16, 32, 48)  # of the convolutions on each frame; each one halves it
    frame_features: int = 64  # numbers that describe a frame
    time_filters: tuple[int, ...] = (96, 96, 96)  # of the convolutions along time; all but the first one halve it
    features: int = 64  # numbers that describe a clip before it is judged


def build_motion_judge(config):
    """A classifier of clips: each frame becomes a few numbers by convolutions, and these are compared along time.

    What is in the frames is judged by the mean of these numbers over the clip: who has to name a thing notices when it becomes
    another.

    Args:
        config: `MotionJudgeConfig`.

    Returns:
        `keras.Model` from float32 `(B, T, H, W, C)` in [-1, 1] to a dict: logits `(B, classes)` under each name of
        `config.classes` and `config.looks`, and `(B, features)` under "features", of mean about 0 and variance about 1 over the
        clips of the training, real and corrupted.

    References:
        Unterthiner and others, 2019, "FVD: A new metric for video generation" (that such features must see motion).
    """
    times, *frame = config.shape
    clip = keras.Input(config.shape, name="clip")
    x = ops.reshape(clip, (-1, *frame))  # (B, T, H, W, C) -> (B*T, H, W, C)
    for filters in config.filters:
        x = layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))  # (B*T, H, W, C) -> (B*T, H/2, W/2, filters)
    x = layers.Dense(config.frame_features, use_bias=False)(layers.Flatten()(x))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = ops.reshape(x, (-1, times, config.frame_features))  # (B*T, F) -> (B, T, F)
    seen, changes = ops.mean(x, axis=1), ops.abs(x[:, 1:] - x[:, :-1])
    x = ops.concatenate([x, ops.pad(changes, ((0, 0), (1, 0), (0, 0)))], axis=-1)  # (B, T, F) -> (B, T, 2F)
    for i, filters in enumerate(config.time_filters):
        x = layers.Conv1D(filters, 3, strides=1 if i == 0 else 2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))  # (B, T, F) -> (B, T or T/2, filters)
    x = layers.Dropout(0.1, seed=2)(layers.Flatten()(x))
    x = layers.Dense(config.features, use_bias=False)(x)
    features = layers.BatchNormalization(center=False, scale=False)(x)
    x = layers.ReLU()(features)
    judgements = {name: layers.Dense(classes, name=name)(x) for name, classes in config.classes.items()}
    judgements |= {name: layers.Dense(classes, name=name)(seen) for name, classes in config.looks.items()}
    return keras.Model(clip, judgements | {"features": features}, name="motion_judge")


def corrupted(clips, order, seed=0):
    """Clips whose frames are still those of their world, but whose course in time is not.

    Args:
        clips: `LabelledClips` of N clips of `worlds.shapes` or of one digit each, at least 2.
        order: "shuffled": the frames of each clip in a random order; "spliced": 1 to 8 frames in a row come from another clip;
            "changed": the object is another one from a frame in the middle half on, on the same path; "jittery": each frame is
            moved by up to 3 px, what leaves on one side comes in on the other; "flickering": each frame is darker or brighter, by
            up to 0.3 of its brightness; "backwards"; or "true".
        seed: non-negative int.

    Returns:
        uint8 array as `clips.frames`.

    Raises:
        CourseError: an unknown order, or a single clip.
    """
    if order not in ORDERS or len(clips) < 2:
        raise CourseError(f"At least two clips are corrupted at once, and as {', '.join(ORDERS)}; got {len(clips)}, {order!r}.")
    rng = np.random.default_rng(seed)
    frames, (count, times, height, width) = clips.frames, clips.frames.shape[:4]
    clip, time = np.arange(count)[:, None], np.arange(times)
    if order == "backwards":
        return frames[:, ::-1].copy()
    if order == "shuffled":
        return frames[clip, rng.permuted(np.tile(time, (count, 1)), axis=1)]
    if order == "jittery":
        down, right = rng.integers(-JITTER, JITTER + 1, (2, count, times, 1, 1))
        y, x = (np.arange(height)[:, None] - down) % height, (np.arange(width) - right) % width
        return frames[clip[:, :, None, None], time[:, None, None], y, x]
    if order == "flickering":
        gain = rng.uniform(1 - FLICKER, 1 + FLICKER, (count, times, 1, 1, 1)).astype(np.float32)
        return np.minimum(frames * gain, 255).astype(np.uint8)
    if order == "spliced":
        length = rng.integers(1, times // 2 + 1, (count, 1))
        first = rng.integers(0, times - length + 1)
        other = np.roll(frames, 1 + rng.integers(count - 1), axis=0)
        foreign = (time >= first) & (time < first + length)
    elif order == "changed":
        other = clips.world.draw(_others(clips, rng), height)
        foreign = time >= rng.integers(times // 4, times - times // 4 + 1, (count, 1))
    else:
        other, foreign = frames, np.zeros((count, times), bool)
    return np.where(foreign[..., None, None, None], other, frames)


def _others(clips, rng):
    """The clips' states with another digit, or with another shape in another colour, in place of the first object."""
    states = clips.states
    if clips.world is digits:
        kinds = states["digit"][:, 0]
        place = np.argsort(kinds, kind="stable")  # half of all clips further on in the order of digits is another digit
        other = np.empty(len(clips), int)
        other[place] = np.roll(place, len(place) // 2)
        return states | {"picture": states["picture"][other]}
    step = {key: rng.integers(1, number, len(clips)) for key, number in {"shape": 3, "color": 6}.items()}
    shape, color = states["shape"].copy(), states["color"].copy()
    shape[:, 0] = (shape[:, 0] + step["shape"]) % len(shapes.SHAPES)
    color[:, 0] = (color[:, 0] + step["color"]) % len(shapes.COLORS)
    return states | {"shape": shape, "color": color}


class _MotionJudge(_Judge):
    """What the recipes of the judges of motion share; `_motions(states)` gives the labels under each motion judged, and
    `_looks(states)` those under what is seen in the frames."""

    seed = 3
    steps = {"fast": 500, "full": 2000}

    def build(self):
        return build_motion_judge(self.config)

    def data(self, split):
        """Clips and labels: each clip of a split as it is, and once more corrupted, in one way after another.

        Args:
            split: "train", "validation" or "test".

        Returns:
            uint8 `(2N, 16, 32, 32, C)`, and a dict to int32 `(2N,)`: "order", index into `ORDERS`, the motions, and what is seen.
            -1 where the corruption doesn't show, because nothing moves, or leaves no motion, or no one thing, to be judged.
        """
        clips = load(self.dataset[0], split, self.clips if split == "train" else None)
        frames, order = np.empty_like(clips.frames), self._orders(clips.states)
        for kind in np.unique(order):
            these = np.flatnonzero(order == kind)
            frames[these] = corrupted(clips[these], ORDERS[kind], self.seed)
        order[(frames == clips.frames).all(axis=(1, 2, 3, 4))] = -1
        moves = np.isin(order, [ORDERS.index("changed"), ORDERS.index("flickering")])  # as it did
        same = ~np.isin(order, [ORDERS.index("spliced"), ORDERS.index("changed")])
        labels = {"order": np.concatenate([np.zeros(len(clips)), order])}
        for found, kept in ((self._motions(clips.states), moves), (self._looks(clips.states), same)):
            for name, label in found.items():
                labels[name] = np.concatenate([label, np.where(kept, label, -1)])
        return np.concatenate([clips.frames, frames]), {name: label.astype(np.int32) for name, label in labels.items()}

    def _orders(self, states):
        """What is done to each clip, int `(N,)`: anything but backwards, which most motions of these worlds are as well."""
        return 1 + np.arange(len(states["motion"])) % (len(ORDERS) - 2)


class JudgeMotionDigits(_MotionJudge):
    """How the zoo's "judge-motion-digits" is trained."""

    title = "Judge of motion: which way a digit goes, and whether its frames are in order, on 16 frames of 32x32 grey"
    dataset = ("digits", "train")
    clips = 8000
    config = MotionJudgeConfig(
        shape=(16, 32, 32, 1),
        classes={"order": len(ORDERS) - 1, "motion": len(digits.MOTIONS)},
        looks={"digit": 10},
    )

    def _motions(self, states):
        return {"motion": states["motion"]}

    def _looks(self, states):
        return {"digit": states["digit"][:, 0]}


class JudgeMotionShapes(_MotionJudge):
    """How the zoo's "judge-motion-shapes" is trained."""

    title = "Judge of motion: what shapes do, and whether their frames are in order, on 16 frames of 32x32 RGB"
    dataset = ("shapes", "train")
    clips = 4000
    config = MotionJudgeConfig(
        shape=(16, 32, 32, 3),
        classes={"order": len(ORDERS)} | dict.fromkeys(shapes.MOTIONS, 2),
        looks=dict.fromkeys([*shapes.SHAPES, *shapes.COLORS], 2),
    )

    def _motions(self, states):
        """Under each motion, whether an object does it."""
        return {name: (states["motion"] == i).any(axis=1).astype(np.int8) for i, name in enumerate(shapes.MOTIONS)}

    def _looks(self, states):
        """Under each shape and each colour, whether an object has it."""
        found = {}
        for key, names in {"shape": shapes.SHAPES, "color": tuple(shapes.COLORS)}.items():
            found |= {name: (states[key] == i).any(axis=1).astype(np.int8) for i, name in enumerate(names)}
        return found

    def _orders(self, states):
        """Half of the clips in which something falls are played backwards: it falls up."""
        falls = (states["motion"] == shapes.MOTIONS.index("falls")).any(axis=1)
        return np.where(falls & (np.arange(len(falls)) % 2 == 0), ORDERS.index("backwards"), super()._orders(states))
