"""Predictions and features of the zoo's classifiers."""

import functools
import math
import numpy as np
from keras import ops
from .. import zoo
from ..errors import CourseError
from .spec import SPECS
from ..quiet import quiet


BATCH_SIZE = 8192  # frames that are made floats at once: however many are predict_probabilities, they take 100 MB


def predict_probabilities(judge, frames):
    """What a judge says of frames, or of clips where it is one of motion.

    Args:
        judge: model of `build_classifier` or `vidgen_tf.models.motion.build_motion_judge`.
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
    said, step = [], BATCH_SIZE // math.prod(times)
    for first in range(0, len(frames), step):
        part = frames[first : first + step].astype(np.float32)
        squares = part.reshape(len(part), *times, side, factor, side, factor, channels)  # (.., H, W, C) -> (.., h, f, w, f, C)
        said.append(judge.predict(squares.mean(axis=(-4, -2)) / 127.5 - 1.0, batch_size=256, verbose=0))
    said = {name: np.concatenate([part[name] for part in said]) for name in said[0]}
    features = said.pop("features")
    return {name: np.asarray(ops.softmax(logits)) for name, logits in said.items()} | {"features": features}


def class_accuracy(judge, frames, labels):
    """How often a judge is right, as the mean over the classes: always giving the commonest sample_captions earns `1 / classes`.

    Args:
        judge: model of `build_classifier`.
        frames: as in `predict_probabilities`.
        labels: dict from what is predict_probabilities to int labels `(N,)`; frames with label -1 are left out.

    Returns:
        dict from what is predict_probabilities to a float in [0, 1].
    """
    said = predict_probabilities(judge, frames)
    result = {}
    for name, label in labels.items():
        right = said[name].argmax(axis=1) == label
        result[name] = float(np.mean([right[label == kind].mean() for kind in np.unique(label[label >= 0])]))
    return result


BLOCK = 125  # clips measured at once


def iter_blocks(clips, label):
    """Clips, some at a time, with a bar where that takes long and somebody may be looking."""
    from tqdm.auto import tqdm

    for first in tqdm(range(0, len(clips), BLOCK), desc=label, unit="block", delay=2, leave=False, disable=quiet()):
        yield clips[first : first + BLOCK]


@functools.lru_cache(maxsize=8)
def load_cached(name):
    return zoo.load(name)


def clip_features(frames, world):
    """How clips look to the judges: what `mean_frame_features` gives, and under "motion", float `(N, D)`, what the judge of motion sees."""
    from .models.judge import predict_probabilities

    looks = mean_frame_features(frames, world)
    if world in SPECS and SPECS[world].motion:
        judge = load_cached(SPECS[world].motion)
        looks["motion"] = np.concatenate([predict_probabilities(judge, block)["features"] for block in iter_blocks(frames, "motion")])
    return looks


def mean_frame_features(frames, world):
    """What a judge sees in the frames of clips: dict of "content", float `(N, D)`, its features averaged over the clip, so that
    the frames' order makes no difference; and "digit", the class probabilities averaged over the clip."""
    from .models.judge import predict_probabilities

    if world not in SPECS:
        return {}
    found = {}
    for block in iter_blocks(frames, "content"):
        said = predict_probabilities(load_cached(SPECS[world].content), block.reshape(-1, *block.shape[2:]))
        for key, name in {"features": "content", "digit": "digit"}.items():
            if key in said:
                found.setdefault(name, []).append(said[key].reshape(*block.shape[:2], -1).mean(axis=1))
    return {name: np.concatenate(values) for name, values in found.items()}
