"""Predictions and features of the zoo's classifiers."""

import functools
import math

import numpy as np
from keras import ops

from .. import zoo
from ..errors import CourseError
from ..files import progress
from .inputs import BLOCK
from .spec import SPECS

BATCH_SIZE = 8192  # frames that are floats at once: however many are classified, they take 100 MB


def predict_probabilities(classifier, frames):
    """Class probabilities and features of frames, or of clips.

    Args:
        classifier: model of `build_classifier` or `build_video_classifier`.
        frames: uint8 `(N, H, W, C)`, or `(N, T, H, W, C)` for a video classifier, of the classifier's size, or of a whole
            multiple of it, which is reduced by means of squares.

    Returns:
        dict: class probabilities, float32 `(N, classes)`, under each of its outputs; float32 `(N, features)` under "features".

    Raises:
        CourseError: frames of another size or number of channels.
    """
    *times, side, _, channels = classifier.input_shape[1:]
    frames = np.asarray(frames)
    side = side or frames.shape[-2]  # of a network that takes any size
    factor = frames.shape[-2] // side if frames.ndim == len(classifier.input_shape) else 0
    if factor == 0 or frames.shape[1:] != (*times, factor * side, factor * side, channels):
        raise CourseError(
            f"This classifier takes frames (n, {', '.join(map(str, classifier.input_shape[1:]))}) or a whole multiple of that "
            f"size, got {frames.shape}."
        )
    parts, step = [], BATCH_SIZE // math.prod(times)
    for first in range(0, len(frames), step):
        part = frames[first : first + step].astype(np.float32)
        squares = part.reshape(len(part), *times, side, factor, side, factor, channels)  # (.., H, W, C) -> (.., h, f, w, f, C)
        parts.append(classifier.predict(squares.mean(axis=(-4, -2)) / 127.5 - 1.0, batch_size=256, verbose=0))
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    features = outputs.pop("features")
    return {name: np.asarray(ops.softmax(logits)) for name, logits in outputs.items()} | {"features": features}


def class_accuracy(classifier, frames, labels):
    """Accuracy of a classifier, the mean over the classes: always predicting the commonest class scores `1 / classes`.

    Args:
        classifier: model of `build_classifier` or `build_video_classifier`.
        frames: as in `predict_probabilities`.
        labels: dict from an output to int labels `(N,)`; frames with label -1 are left out.

    Returns:
        dict from an output to a float in [0, 1].
    """
    outputs = predict_probabilities(classifier, frames)
    result = {}
    for name, label in labels.items():
        right = outputs[name].argmax(axis=1) == label
        result[name] = float(np.mean([right[label == kind].mean() for kind in np.unique(label[label >= 0])]))
    return result


def iter_blocks(clips, label):
    """Clips, some at a time, with a bar where that takes long and somebody may be looking.

    Args:
        clips: array whose first axis counts clips.
        label: str, what is done to them.

    Yields:
        slices of the array.
    """
    for first in progress(range(0, len(clips), BLOCK), label=label, unit="block", delay=2):
        yield clips[first : first + BLOCK]


@functools.lru_cache(maxsize=8)
def load_cached(name):
    """A model of the zoo, read once: don't train it any further.

    Args:
        name: str, a name in the zoo.

    Returns:
        `keras.Model`.
    """
    return zoo.load(name)


def clip_features(frames, dataset):
    """Features of clips.

    Args:
        frames: uint8 `(N, T, H, W, C)`.
        dataset: str, a name in `SPECS`; of others there are no features.

    Returns:
        dict of what `mean_frame_features` and `video_features` give.
    """
    return mean_frame_features(frames, dataset) | video_features(frames, dataset)


def video_features(frames, dataset):
    """Features of a video classifier, which sees the frames' order; they take a sixth of the time of those of all frames.

    Args:
        frames: uint8 `(N, T, H, W, C)`.
        dataset: str, a name in `SPECS`; of others, and of those without a video classifier, there are no features.

    Returns:
        dict of "video", float `(N, D)`.
    """
    if dataset not in SPECS or not SPECS[dataset].video_classifier:
        return {}
    classifier = load_cached(SPECS[dataset].video_classifier)
    blocks = [predict_probabilities(classifier, block)["features"] for block in iter_blocks(frames, "video features")]
    return {"video": np.concatenate(blocks)}


def mean_frame_features(frames, dataset):
    """Features of a frame classifier averaged over each clip, so that the frames' order makes no difference.

    Args:
        frames: uint8 `(N, T, H, W, C)`.
        dataset: str, a name in `SPECS`; of others there are no features.

    Returns:
        dict of float `(N, D)`: "frame", the features, and, of digits, "digit", the class probabilities.
    """
    if dataset not in SPECS:
        return {}
    found = {}
    for block in iter_blocks(frames, "frame features"):
        outputs = predict_probabilities(load_cached(SPECS[dataset].frame_classifier), block.reshape(-1, *block.shape[2:]))
        for key, name in {"features": "frame", "digit": "digit"}.items():
            if key in outputs:
                found.setdefault(name, []).append(outputs[key].reshape(*block.shape[:2], -1).mean(axis=1))
    return {name: np.concatenate(values) for name, values in found.items()}
