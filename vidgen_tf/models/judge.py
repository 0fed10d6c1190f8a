"""Judges: small classifiers of real frames that say what a generated frame shows, and whose features compare distributions."""

import dataclasses
import math

import keras
import numpy as np
from keras import layers, ops

from .. import exam, training
from ..datasets import load, pipeline
from ..errors import CourseError
from ..worlds import digits, faces, shapes

AT_ONCE = 8192  # frames that are made floats at once: however many are judged, they take 100 MB


@dataclasses.dataclass(frozen=True)
class JudgeConfig:
    """Sizes of a judge."""

    shape: tuple[int, int, int]  # height, width, channels of a frame
    classes: dict[str, int]  # what is judged -> number of classes
    filters: tuple[int, ...] = (32, 64, 96)  # of each pair of convolutions; the second one halves the frame
    features: int = 64  # numbers that describe a frame before it is judged
    bend: float = 0.15  # training frames are turned, resized and slanted by up to this much,
    shift: float = 0.08  # and moved by up to this share of their side


def build_judge(config):
    """A convolutional classifier with one output for each thing it judges.

    Args:
        config: `JudgeConfig`.

    Returns:
        `keras.Model` from float32 `(B, H, W, C)` in [-1, 1] to a dict: logits `(B, classes)` under each name of
        `config.classes`, and `(B, features)` under "features", of mean about 0 and variance about 1 over real frames.
    """
    frame = keras.Input(config.shape, name="frame")
    x = RandomAffine(config.bend, config.shift, seed=1)(frame)
    for filters in config.filters:
        for strides in (1, 2):
            x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization()(x)
            x = layers.ReLU()(x)
    x = layers.Flatten()(x)  # (B, H/8, W/8, filters) -> (B, H/8*W/8*filters)
    x = layers.Dropout(0.1, seed=2)(x)
    x = layers.Dense(config.features, use_bias=False)(x)
    features = layers.BatchNormalization(center=False, scale=False)(x)
    x = layers.ReLU()(features)
    judgements = {name: layers.Dense(classes, name=name)(x) for name, classes in config.classes.items()}
    return keras.Model(frame, judgements | {"features": features}, name="judge")


class RandomAffine(layers.Layer):
    """Turns, resizes, slants and moves each frame a little while the model trains: a random matrix near the identity.

    Args:
        bend: largest size of the numbers that are added to the four of the identity.
        shift: largest move in x and in y, as a share of the frame's side.
        seed: int.

    Call arguments:
        frames: float tensor `(B, H, H, C)`; where a moved frame has no pixels, those of its edge are repeated.
        training: whether to do anything at all.

    Output shape:
        As the input's.
    """

    def __init__(self, bend, shift, seed):
        super().__init__()
        self.bend, self.shift, self.seed_generator = bend, shift, keras.random.SeedGenerator(seed)

    def call(self, frames, training=False):
        if not training:
            return frames
        batch, side = ops.shape(frames)[0], frames.shape[1]
        bend = keras.random.uniform((batch, 2, 2), -self.bend, self.bend, seed=self.seed_generator)
        shift = keras.random.uniform((batch, 2, 1), -self.shift * side, self.shift * side, seed=self.seed_generator)
        matrix = ops.eye(2) + bend
        middle = ops.full((2, 1), (side - 1) / 2)
        rows = ops.concatenate([matrix, middle + shift - matrix @ middle], axis=2)  # (B, 2, 3), out's (x, y, 1) -> in's (x, y)
        transform = ops.pad(ops.reshape(rows, (batch, 6)), ((0, 0), (0, 2)))  # no perspective
        return ops.image.affine_transform(frames, transform, interpolation="bilinear", fill_mode="nearest")


def judged(judge, frames):
    """What a judge says of frames, or of clips where it is one of motion.

    Args:
        judge: model of `build_judge` or `vidgen_tf.models.motion.build_motion_judge`.
        frames: uint8 `(N, H, W, C)`, or `(N, T, H, W, C)`, of the judge's size, or of a whole multiple of it, which is shrunk by
            means of squares.

    Returns:
        dict: class probabilities, float32 `(N, classes)`, under each name it judges; float32 `(N, features)` under "features".

    Raises:
        CourseError: frames of another size or number of channels.
    """
    *times, side, _, channels = judge.input_shape[1:]
    frames = np.asarray(frames)
    factor = frames.shape[-2] // side if frames.ndim == len(judge.input_shape) else 0
    if factor == 0 or frames.shape[1:] != (*times, factor * side, factor * side, channels):
        raise CourseError(
            f"This judge looks at frames (n, {', '.join(map(str, judge.input_shape[1:]))}) or a whole multiple of that size, "
            f"got {frames.shape}."
        )
    said, step = [], AT_ONCE // math.prod(times)
    for first in range(0, len(frames), step):
        part = frames[first : first + step].astype(np.float32)
        squares = part.reshape(len(part), *times, side, factor, side, factor, channels)  # (.., H, W, C) -> (.., h, f, w, f, C)
        said.append(judge.predict(squares.mean(axis=(-4, -2)) / 127.5 - 1.0, batch_size=256, verbose=0))
    said = {name: np.concatenate([part[name] for part in said]) for name in said[0]}
    features = said.pop("features")
    return {name: np.asarray(ops.softmax(logits)) for name, logits in said.items()} | {"features": features}


def accuracies(judge, frames, labels):
    """How often a judge is right, as the mean over the classes: always giving the commonest answer earns `1 / classes`.

    Args:
        judge: model of `build_judge`.
        frames: as in `judged`.
        labels: dict from what is judged to int labels `(N,)`; frames with label -1 are left out.

    Returns:
        dict from what is judged to a float in [0, 1].
    """
    said = judged(judge, frames)
    result = {}
    for name, label in labels.items():
        right = said[name].argmax(axis=1) == label
        result[name] = float(np.mean([right[label == kind].mean() for kind in np.unique(label[label >= 0])]))
    return result


def examine_digits(judge, made):
    """How made digits look to the judge, how their features are distributed, and whether they are copies.

    Args:
        judge: the zoo's "judge-digits".
        made: uint8 `(N, 28, 28, 1)`, N at least 100.

    Returns:
        dict of float: "confident", the share of pictures that the judge names with a probability of 0.9 or more; "rarest_digit",
        the smallest share of a digit among these; "frechet_distance" of the features to those of the training scans;
        "copy_ratio", the median distance to the nearest training scan, as a multiple of that of the test scans.
    """
    real, _ = digits.stills("train")
    test, _ = digits.stills("test")
    said = judged(judge, made)
    named = said["digit"].argmax(axis=1)[said["digit"].max(axis=1) >= 0.9]
    return {
        "confident": len(named) / len(made),
        "rarest_digit": float(np.bincount(named, minlength=10).min() / max(1, len(named))),
        "frechet_distance": exam.frechet_distance(said["features"], judged(judge, real)["features"]),
        "copy_ratio": exam.copy_ratio(made, test, real),
    }


def examine_faces(judge, made):
    """How the features of made faces are distributed, whether every value of every trait occurs, and whether they are copies.

    Made faces are compared with as many people that no model was trained on, one picture of each; the floor is what as many
    training people score.

    Args:
        judge: the zoo's "judge-faces".
        made: uint8 `(N, S, S, 3)`, S 32 or 64, N at least 500.

    Returns:
        dict of float: "frechet_distance" and "frechet_floor", both with n = 500; "rarest_value", the smallest share of a value
        of a trait, as a multiple of its share among real pictures; "copy_ratio", the median distance to the nearest training
        picture, as a multiple of that of unseen people.

    Raises:
        CourseError: fewer than 500 faces.
    """
    if len(made) < 500:
        raise CourseError(f"500 faces are needed to examine how they are distributed, got {len(made)}.")
    people = {split: face_pictures(made.shape[1], split) for split in ("train", "validation", "test")}
    one = {split: faces[np.arange(len(faces)), np.arange(len(faces)) % 5] for split, faces in people.items()}
    unseen = np.concatenate([one["test"], one["validation"]])[:500]
    said = {name: judged(judge, faces) for name, faces in {"made": made, "unseen": unseen, "train": one["train"]}.items()}
    features = {name: answers.pop("features")[:500] for name, answers in said.items()}
    shares = {name: np.concatenate([_shares(answer) for answer in answers.values()]) for name, answers in said.items()}
    training_pictures = people["train"].reshape(-1, *made.shape[1:])
    return {
        "frechet_distance": exam.frechet_distance(features["made"], features["unseen"]),
        "frechet_floor": exam.frechet_distance(features["train"], features["unseen"]),
        "rarest_value": float((shares["made"] / shares["train"]).min()),
        "copy_ratio": exam.copy_ratio(made[:500], unseen, training_pictures),
    }


def _shares(probabilities):
    """The share of pictures for which each class is the likeliest, from probabilities `(N, classes)`."""
    return np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1]) / len(probabilities)


class _Judge:
    """What the recipes of the zoo's judges share; `data(split)` gives the frames, and the labels under each name judged."""

    makes_clips = False

    def build(self):
        return build_judge(self.config)

    def train(self, model, steps, checkpoint):
        frames, labels = self.data("train")
        rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
        model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), dict.fromkeys(labels, loss), jit_compile=False)

        def batches(first):
            data = pipeline(frames, *labels.values(), batch_size=64, seed=self.seed, first_step=first)
            return data.map(lambda frames, *batch: (frames, dict(zip(labels, batch))))

        return training.fit(model, batches, steps, checkpoint=checkpoint, log_steps=50)

    def sample(self, model, count, seed):
        raise CourseError("A judge looks at videos and makes none: sample another model of the zoo.")

    def examine(self, model):
        """Accuracy on people and scans that were never trained on."""
        return {f"accuracy_{name}": value for name, value in accuracies(model, *self.data("test")).items()}


class JudgeDigits(_Judge):
    """How the zoo's "judge-digits" is trained: on the scans that the digits' world draws its clips from."""

    title = "Judge of digits: which of ten, on 28x28 grey frames"
    dataset = ("digits", "train")
    seed = 3
    steps = {"fast": 750, "full": 1500}
    config = JudgeConfig(shape=(28, 28, 1), classes={"digit": 10})

    def data(self, split):
        """Pictures and labels.

        Args:
            split: "train", "validation" or "test": no scan is in two of them.

        Returns:
            uint8 `(N, 28, 28, 1)`, and a dict from "digit" to int32 `(N,)`.
        """
        pictures, labels = digits.stills(split)
        return pictures, {"digit": labels.astype(np.int32)}


class JudgeMovingDigits(_Judge):
    """How the zoo's "judge-digits-32" is trained: on four frames of each clip of a moving digit."""

    title = "Judge of moving digits: which of ten, on 32x32 grey frames"
    dataset = ("digits", "train")
    seed = 3
    steps = {"fast": 1000, "full": 2200}
    config = JudgeConfig(shape=(32, 32, 1), classes={"digit": 10}, shift=0.03)

    def data(self, split):
        """Frames and labels.

        Args:
            split: "train", "validation" or "test": no scan is in two of them.

        Returns:
            uint8 `(N, 32, 32, 1)`, and a dict from "digit" to int32 `(N,)`.
        """
        clips = load(self.dataset[0], split)
        labels = np.repeat(clips.states["digit"][:, 0], 4).astype(np.int32)
        return clips.frames[:, 1::4].reshape(-1, 32, 32, 1), {"digit": labels}


class JudgeShapes(_Judge):
    """How the zoo's "judge-shapes" is trained: on four frames of each clip, for what can be seen somewhere in a frame."""

    title = "Judge of shapes: how many, which and in what colours, on 32x32 RGB frames"
    dataset = ("shapes", "train")
    seed = 3
    steps = {"fast": 1000, "full": 2200}
    config = JudgeConfig(
        shape=(32, 32, 3),
        classes={"objects": 2} | dict.fromkeys([*shapes.SHAPES, *shapes.COLORS], 2),
        bend=0.02,
        shift=0.02,
    )

    def data(self, split):
        """Frames and labels.

        Args:
            split: "train", "validation" or "test".

        Returns:
            uint8 `(N, 32, 32, 3)`, and a dict to int32 `(N,)`: "objects" 0 for one and 1 for two; under each shape and each
            colour whether an object in the frame has it; -1 for all where one object may hide the other.
        """
        clips = load(self.dataset[0], split)
        apart = np.linalg.norm(np.diff(clips.states["position"][:, 1::4], axis=2), axis=-1)[..., 0]  # (N, 4), px
        hidden = (clips.states["objects"] == 2)[:, None] & (apart < clips.states["radius"].sum(axis=1)[:, None])
        labels = {"objects": clips.states["objects"] - 1}
        for state, names in {"shape": shapes.SHAPES, "color": tuple(shapes.COLORS)}.items():
            labels |= {name: (clips.states[state] == i).any(axis=1) for i, name in enumerate(names)}
        labels = {name: np.where(hidden, -1, label[:, None]).ravel().astype(np.int32) for name, label in labels.items()}
        return clips.frames[:, 1::4].reshape(-1, 32, 32, 3), labels


class JudgeFaces(_Judge):
    """How the zoo's "judge-faces" is trained: on five frames of each clip, the one with the eyes most shut among them."""

    title = "Judge of faces: traits and expression, on 32x32 RGB frames"
    dataset = ("faces-32", "train")
    seed = 3
    steps = {"fast": 1000, "full": 2200}
    config = JudgeConfig(
        shape=(32, 32, 3),
        classes={
            "skin": 8,
            "hair_style": len(faces.HAIR_STYLES),
            "hair_colour": len(faces.HAIR_COLOURS),
            "glasses": len(faces.GLASSES),
            "beard": len(faces.BEARDS),
            "mouth_open": 2,
            "smile": 2,
            "eyes_shut": 2,
        },
        bend=0.02,
        shift=0.03,
    )

    def data(self, split):
        """Frames and labels.

        Args:
            split: "train", "validation" or "test": no person is in two of them.

        Returns:
            uint8 `(N, 32, 32, 3)`, and a dict from what is judged to int32 `(N,)`, -1 where it can't be told.
        """
        clips = load(self.dataset[0], split)
        frame = telling_frames(clips)
        return clips.frames[np.arange(len(clips))[:, None], frame].reshape(-1, 32, 32, 3), face_labels(clips.states, frame)


def telling_frames(clips):
    """Five frames of each clip: four spread over it, and the one with the eyes most shut, which is rare otherwise.

    Args:
        clips: `LabelledClips` of N clips of `vidgen_tf.worlds.faces`.

    Returns:
        int array `(N, 5)` of numbers of frames.
    """
    clip = np.arange(len(clips))[:, None]
    return np.concatenate([(clip * 3 + [0, 4, 8, 12]) % 16, clips.states["eye_open"].argmin(axis=1)[:, None]], axis=1)


def face_pictures(size, split):
    """Pictures of drawn people, five of each: see `telling_frames`.

    Args:
        size: 32 or 64, px.
        split: "train", "validation" or "test": no person is in two of them.

    Returns:
        uint8 `(N, 5, size, size, 3)`.
    """
    clips = load({32: "faces-32", 64: "faces"}[size], split)
    return clips.frames[np.arange(len(clips))[:, None], telling_frames(clips)]


def face_labels(states, frame):
    """What frames of drawn faces show.

    Args:
        states: of N clips of `vidgen_tf.worlds.faces`.
        frame: int array `(N, K)`, numbers of K frames of each clip.

    Returns:
        dict from what is judged to int32 labels `(N*K,)`, -1 where it can't be told: a bald head without a beard has no hair
        colour, and a mouth that opens or a lid that falls is neither open nor shut on its way.
    """
    traits = ("skin", "hair_style", "hair_colour", "glasses", "beard")
    labels = {name: np.broadcast_to(states[name][:, None], frame.shape) for name in traits}
    hairless = (labels["hair_style"] == faces.HAIR_STYLES.index("bald")) & (labels["beard"] == 0)
    labels["hair_colour"] = np.where(hairless, -1, labels["hair_colour"])
    curve = {name: np.take_along_axis(states[name], frame, axis=1) for name in ("mouth_open", "smile", "eye_open")}
    for name in ("mouth_open", "smile"):
        labels[name] = np.where(curve[name] > 0.6, 1, np.where(curve[name] < 0.3, 0, -1))
    labels["eyes_shut"] = np.where(curve["eye_open"] < 0.3, 1, np.where(curve["eye_open"] > 0.7, 0, -1))
    return {name: label.ravel().astype(np.int32) for name, label in labels.items()}
