"""Prompt adherence: accuracy per attribute and joint accuracy of what clips show, against what their prompts say."""

from pathlib import Path

import keras
import numpy as np

from ..errors import CourseError
from ..metrics.physics import classify_digits_motion, classify_shapes_motion
from ..metrics.tracking import track
from ..pipelines.text_to_video import sample_captions
from ..worlds import WORLDS, LabelledClips, shapes
from ..zoo.experiments import read_rows, write_rows
from .features import mean_frame_features
from .inputs import checked_clips
from .spec import SPECS

# The states that a prompt names, by the tracker of a data set, which is named as the world that knows its objects.
PROMPT_STATES = {"shapes": ("objects", "color", "shape", "size", "motion"), "digits": ("digit", "motion")}


def prompt_accuracy(clips, dataset, conditioning):
    """Whether each clip shows what its prompt says: this part of an evaluation alone, which takes seconds.

    Args:
        clips: N at least 100, as for `protocol.evaluate`.
        dataset: str, "shapes" or "digits".
        conditioning: states, captions or `LabelledClips`, as for `protocol.evaluate`.

    Returns:
        dict of bool arrays `(N,)`: "joint_accuracy", whether all attributes are right, and the other metrics of `spec.METRICS`
        that end so. Their means are the accuracies.

    Raises:
        CourseError: fewer than 100 clips or unusable ones, another data set, unusable captions or states.
    """
    frames, _ = checked_clips(clips, "clips")
    conditioning = conditioning_states(conditioning, dataset, len(frames))
    if conditioning is None:
        raise CourseError(f"Prompt adherence is measured of clips of shapes and digits, given their prompts, not of {dataset!r}.")
    features = mean_frame_features(frames, dataset) if dataset == "digits" else {}  # shapes need no classifier
    return prompt_matches(track(frames, SPECS[dataset].tracker), features, conditioning, dataset)


def conditioning_states(conditioning, dataset, count):
    """The states that the prompts of clips name.

    Args:
        conditioning: states as the data set gives them, captions, or `LabelledClips`; or None.
        dataset: str, a name in `SPECS`, or another one, or None.
        count: int, how many clips there are.

    Returns:
        dict of the arrays of `PROMPT_STATES`; None without prompts, or for a data set without a tracker.

    Raises:
        CourseError: captions that the data set doesn't have, missing states, or states of another number of clips.
    """
    tracker = SPECS[dataset].tracker if dataset in SPECS else None
    if conditioning is None or tracker is None:
        return None
    names = PROMPT_STATES[tracker]
    states = conditioning.states if isinstance(conditioning, LabelledClips) else conditioning
    states = states if isinstance(states, dict) else WORLDS[tracker].parse_captions(states)
    if not states.keys() >= set(names) or any(len(states[name]) != count for name in names):
        raise CourseError(f"{count} clips need as many prompts: captions, or the states {', '.join(names)}.")
    return {name: np.asarray(states[name]) for name in names}


def prompt_clusters(conditioning):
    """Which clips have the same prompt.

    Args:
        conditioning: dict of `conditioning_states`, or None.

    Returns:
        int `(N,)`, a number for each prompt; None without prompts.
    """
    if conditioning is None:
        return None
    columns = [np.reshape(value, (len(value), -1)) for value in conditioning.values()]
    return np.unique(np.concatenate(columns, axis=1), axis=0, return_inverse=True)[1].ravel()


def prompt_matches(tracks, features, conditioning, dataset):
    """Whether each clip shows what its prompt says, by its tracked objects and a frame classifier.

    Args:
        tracks: `Tracks` of N clips.
        features: dict of `mean_frame_features`; of digits its class probabilities are used.
        conditioning: dict of `conditioning_states`.
        dataset: str, "shapes" or "digits".

    Returns:
        dict of bool arrays `(N,)`: an accuracy for each attribute, and "joint_accuracy" for all of them.
    """
    matches = _match_digits if dataset == "digits" else _match_shapes
    right = matches(tracks, features, conditioning)
    return right | {"joint_accuracy": np.all(list(right.values()), axis=0)}


def _match_digits(tracks, features, conditioning):
    digit = features["digit"].argmax(axis=1) == conditioning["digit"].reshape(len(conditioning["digit"]), -1)[:, 0]
    return {"digit_accuracy": digit, "motion_accuracy": classify_digits_motion(tracks) == conditioning["motion"]}


def _match_shapes(tracks, features, conditioning):
    """The right colours, and shape, size and motion of the object that has each colour."""
    match, wanted = match_colors(tracks, conditioning), conditioning["color"] >= 0
    index = np.maximum(match, 0)
    shape = np.take_along_axis(tracks.shape, index, axis=1)
    radius = np.take_along_axis(tracks.radius, index, axis=1) * np.sqrt(np.pi / shapes.AREA[shape])  # of the shape, not of a disc
    found = {
        "shape": shape,
        "size": radius > np.mean([*shapes.SIZES.values()]),
        "motion": np.take_along_axis(classify_shapes_motion(tracks), index, axis=1),
    }
    right = {"color_accuracy": (np.sort(conditioning["color"], axis=1) == np.sort(tracks.color, axis=1)).all(axis=1)}
    for name, value in found.items():
        right[f"{name}_accuracy"] = (~wanted | ((match >= 0) & (value == conditioning[name]))).all(axis=1)
    return right


def match_colors(tracks, conditioning):
    """The tracked object that has the colour of each object of a prompt.

    Args:
        tracks: `Tracks` of N clips of shapes.
        conditioning: dict of `conditioning_states`.

    Returns:
        int `(N, 2)`, an index into the tracked objects, -1 where none has the colour.
    """
    color = conditioning["color"]
    same = (tracks.color[:, None] == color[:, :, None]) & (color >= 0)[:, :, None]  # (N, prompt's, tracked)
    return np.where(same.any(axis=2), same.argmax(axis=2), -1)


def adherence_scores(model, vae, clips, captions, guidance_scale, seed=0, **options):
    """Samples clips for prompts and measures their prompt adherence.

    Args:
        model: trained `LatentDiffusion` with captions.
        vae: the trained `VAE` of its latents.
        clips: `LabelledClips` whose states the prompts name, as `evaluation_prompts` gives them.
        captions: the prompts, N at least 100.
        guidance_scale: see `guided_velocity`.
        seed: non-negative int.
        **options: of `LatentDiffusion.sample`: `num_inference_steps`, `solver`.

    Returns:
        dict of float in [0, 1]: the accuracies of `prompt_accuracy`.
    """
    sampled = sample_captions(model, vae, captions, guidance_scale, seed, **options)
    return {name: float(value.mean()) for name, value in prompt_accuracy(sampled, clips.world, clips).items()}


class AccuracyCurve(keras.callbacks.Callback):
    """Measures prompt adherence while a model is trained.

    Args:
        measure: function without arguments that gives a dict of float.
        eval_interval: training steps between two measurements, a multiple of the history's `log_interval`.
        path: file (.json) that keeps them, so that a resumed training goes on with its curve.
    """

    def __init__(self, measure, eval_interval, path):
        super().__init__()
        self.measure, self.eval_interval, self.path, self.rows = measure, eval_interval, Path(path), []

    def on_train_begin(self, logs=None):
        if self.path.is_file():
            self.rows = read_rows(self.path)

    def on_epoch_end(self, epoch, logs=None):
        step = (epoch + 1) * self.params["steps"]
        if step % self.eval_interval == 0:
            before = [row for row in self.rows if row["step"] < step]  # a killed run may have been ahead of its checkpoint
            self.rows = [*before, {"step": step} | self.measure()]
            write_rows(self.path, self.rows)
