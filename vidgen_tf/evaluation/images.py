"""Evaluation of generated digit and face images."""

import numpy as np
from ..worlds import digits
from ..datasets import load
from ..errors import CourseError
from .features import predict_probabilities
from ..metrics.distribution import frechet_distance
from ..metrics.memorization import nn_distance_ratio


def evaluate_digits(judge, made):
    """How made digits look to the judge, how their features are distributed, and whether they are copies.

    Args:
        judge: the zoo's "judge-digits".
        made: uint8 `(N, 28, 28, 1)`, N at least 100.

    Returns:
        dict of float: "confident", the share of pictures that the judge names with a probability of 0.9 or more; "rarest_digit",
        the smallest share of a digit among these; "frechet_distance" of the features to those of the training scans;
        "copy_ratio", the median distance to the nearest_image training scan, as a multiple of that of the test scans.
    """
    real, _ = digits.stills("train")
    test, _ = digits.stills("test")
    said = predict_probabilities(judge, made)
    named = said["digit"].argmax(axis=1)[said["digit"].max(axis=1) >= 0.9]
    return {
        "confident": len(named) / len(made),
        "rarest_digit": float(np.bincount(named, minlength=10).min() / max(1, len(named))),
        "frechet_distance": frechet_distance(said["features"], predict_probabilities(judge, real)["features"]),
        "copy_ratio": nn_distance_ratio(made, test, real),
    }


def evaluate_faces(judge, made):
    """How the features of made faces are distributed, whether every value of every trait occurs, and whether they are copies.

    Made faces are compared with as many people that no model was trained on, one picture of each; the floor is what as many
    training people score.

    Args:
        judge: the zoo's "judge-faces".
        made: uint8 `(N, S, S, 3)`, S 32 or 64, N at least 500.

    Returns:
        dict of float: "frechet_distance" and "frechet_floor", both with n = 500; "rarest_value", the smallest share of a value
        of a trait, as a multiple of its share among real pictures; "copy_ratio", the median distance to the nearest_image training
        picture, as a multiple of that of unseen people.

    Raises:
        CourseError: fewer than 500 faces.
    """
    if len(made) < 500:
        raise CourseError(f"500 faces are needed to evaluate how they are distributed, got {len(made)}.")
    people = {split: face_pictures(made.shape[1], split) for split in ("train", "validation", "test")}
    one = {split: faces[np.arange(len(faces)), np.arange(len(faces)) % 5] for split, faces in people.items()}
    unseen = np.concatenate([one["test"], one["validation"]])[:500]
    said = {name: predict_probabilities(judge, faces) for name, faces in {"made": made, "unseen": unseen, "train": one["train"]}.items()}
    features = {name: answers.pop("features")[:500] for name, answers in said.items()}
    shares = {name: np.concatenate([_shares(sample_captions) for sample_captions in answers.values()]) for name, answers in said.items()}
    training_pictures = people["train"].reshape(-1, *made.shape[1:])
    return {
        "frechet_distance": frechet_distance(features["made"], features["unseen"]),
        "frechet_floor": frechet_distance(features["train"], features["unseen"]),
        "rarest_value": float((shares["made"] / shares["train"]).min()),
        "copy_ratio": nn_distance_ratio(made[:500], unseen, training_pictures),
    }


def _shares(probabilities):
    """The share of pictures for which each class is the likeliest, from probabilities `(N, classes)`."""
    return np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1]) / len(probabilities)


def apex_frames(clips):
    """Five frames of each clip: four sample_variance over it, and the one with the eyes most shut, which is rare otherwise.

    Args:
        clips: `LabelledClips` of N clips of `vidgen_tf.worlds.faces`.

    Returns:
        int array `(N, 5)` of numbers of frames.
    """
    clip = np.arange(len(clips))[:, None]
    return np.concatenate([(clip * 3 + [0, 4, 8, 12]) % 16, clips.states["eye_open"].argmin(axis=1)[:, None]], axis=1)


def face_pictures(size, split):
    """Pictures of drawn people, five of each: see `apex_frames`.

    Args:
        size: 32 or 64, px.
        split: "train", "validation" or "test": no person is in two of them.

    Returns:
        uint8 `(N, 5, size, size, 3)`.
    """
    clips = load({32: "faces-32", 64: "faces"}[size], split)
    return clips.frames[np.arange(len(clips))[:, None], apex_frames(clips)]
