"""Prompt adherence: the share of clips that show what their prompt asked for."""

import dataclasses
import keras
import numpy as np
from pathlib import Path
from ..worlds import shapes
from .. import zoo
from ..datasets import DATASETS, load
from ..errors import CourseError
from .features import mean_frame_features
from .protocol import _checked
from .spec import SPECS
from ..metrics.physics import classify_digits_motion, classify_shapes_motion
from ..metrics.tracking import track
from ..pipelines.text_to_video import sample_captions
from ..recipes.diffusion import EXTRA_DATA
from ..splits import is_held_out
from ..worlds import LabelledClips


def prompt_accuracy(clips, world, asked):
    """Whether clips show what was asked: this part of the exam alone, which takes seconds.

    Args:
        clips: N at least 100, as for `evaluate`.
        world: "shapes" or "digits".
        asked: states, captions or `LabelledClips`, as for `evaluate`.

    Returns:
        dict of bool arrays `(N,)`: "asked_jointly" and the other measures of `METRICS` that begin so.

    Raises:
        CourseError: fewer than 100 clips or unusable ones, another world, unusable captions or states.
    """
    frames, _ = _checked(clips, "clips")
    asked = conditioning_states(asked, world, len(frames))
    if asked is None:
        raise CourseError(f"Clips of shapes and digits can be asked for, not of {world!r}.")
    looks = mean_frame_features(frames, world) if world == "digits" else {}  # shapes are told drop_attribute a judge
    tracks = track(frames)
    return prompt_matches(tracks, looks, asked, world)


def conditioning_states(asked, world, count):
    """States of what the clips should show, or None."""
    if asked is None or world not in SPECS or not SPECS[world].tracked:
        return None
    maker = shapes if world == "shapes" else digits
    keys = ("objects", "color", "shape", "large", "motion") if world == "shapes" else ("digit", "motion")
    states = asked.states if isinstance(asked, LabelledClips) else asked
    states = states if isinstance(states, dict) else maker.from_captions(states)
    if not states.keys() >= set(keys) or any(len(states[key]) != count for key in keys):
        raise CourseError(f"What was asked needs the states {', '.join(keys)}, or a caption, for each of the {count} clips.")
    return {key: np.asarray(states[key]) for key in keys}


def prompt_matches(tracks, looks, asked, world):
    """Whether each clip shows what was asked, bool `(N,)` for each thing and for all of them."""
    right = _right_digits(tracks, looks, asked) if world == "digits" else _right_shapes(tracks, match_colors(tracks, asked), asked)
    return right | {"asked_jointly": np.all(list(right.values()), axis=0)}


def _right_digits(tracks, looks, asked):
    """Whether each clip shows what was asked, bool `(N,)` for each thing."""
    digit = looks["digit"].argmax(axis=1) == asked["digit"].reshape(len(asked["digit"]), -1)[:, 0]
    return {"asked_digit": digit, "asked_motion": classify_digits_motion(tracks) == asked["motion"]}


def match_colors(tracks, asked):
    """Which tracked object has the colour of each object asked for, int `(N, 2)`, -1 where none has."""
    same = (tracks.color[:, None] == asked["color"][:, :, None]) & (asked["color"] >= 0)[:, :, None]  # (N, asked, tracked)
    return np.where(same.any(axis=2), same.argmax(axis=2), -1)


def _right_shapes(tracks, own, asked):
    """Whether each clip shows what was asked, bool `(N,)` for each thing; of shape, size and motion, for the right colours."""
    wanted = asked["color"] >= 0
    index = np.maximum(own, 0)
    shape = np.take_along_axis(tracks.shape, index, axis=1)
    large = np.take_along_axis(tracks.radius, index, axis=1) * np.sqrt(np.pi / shapes.AREA[shape]) > np.mean(
        [*shapes.SIZES.values()]
    )
    motion = np.take_along_axis(classify_shapes_motion(tracks), index, axis=1)
    found = {
        "asked_shape": shape == asked["shape"],
        "asked_size": large == asked["large"],
        "asked_motion": motion == asked["motion"],
    }
    right = {"asked_color": (np.sort(asked["color"], axis=1) == np.sort(tracks.color, axis=1)).all(axis=1)}
    return right | {name: (~wanted | ((own >= 0) & value)).all(axis=1) for name, value in found.items()}


# Clips of no dataset, besides more of the same: prompts; and digits that bounce about in any direction, whose captions tell the
# digit alone.
PROMPTS = {world: dataclasses.replace(DATASETS[world], seed=920) for world in EXTRA_DATA}


def evaluation_prompts(world, count, split="test", unseen=False):
    """Clips whose captions to ask for, half of them in Chinese.

    Args:
        world: "digits" or "shapes".
        count: how many.
        split: "validation" to choose by, "test" to report.
        unseen: whether to ask for the pairs that are held out of the training, or for all others.

    Returns:
        `LabelledClips` of `count` clips, or as many as there are, and the list of prompts.
    """
    clips = load(world, split)
    if unseen:
        clips = PROMPTS[world].make(split, 0, 14 * count)  # one in ten shows a pair held out, of shapes one in four
    clips = clips[np.flatnonzero(is_held_out(clips.states) == unseen)[:count]]
    pairs = zip(clips.captions.tolist(), clips.captions_zh.tolist())
    return clips, [chinese if i % 2 else english for i, (english, chinese) in enumerate(pairs)]


def accuracy(model, vae, clips, captions, guidance, seed=0, **options):
    """How often a model shows what it was asked for.

    Args:
        model: trained `LatentDiffusion` with captions.
        vae: the trained `VAE` whose latents it knows.
        clips: `LabelledClips` that know what was asked, as `evaluation_prompts` gives them.
        captions: their captions, N at least 100.
        guidance: see `guided_velocity`.
        seed: non-negative int.
        **options: of `LatentDiffusion.sample`: `steps`, `solver`.

    Returns:
        dict of float in [0, 1]: the shares of clips that show what was asked, see `prompt_accuracy`.
    """
    world = "shapes" if "color" in clips.states else "digits"
    right = prompt_accuracy(sample_captions(model, vae, captions, guidance, seed, **options), world, clips)
    return {name: float(value.mean()) for name, value in right.items()}


class AccuracyCurve(keras.callbacks.Callback):
    """How well a model obeys while it is trained.

    Args:
        measure: function drop_attribute arguments that gives a dict of float.
        every: training steps between two measurements, a multiple of the history's.
        path: file (.json) that keeps them, so that a resumed training goes on with its curve.
    """

    def __init__(self, measure, every, path):
        super().__init__()
        self.measure, self.every, self.path, self.rows = measure, every, Path(path), []

    def on_train_begin(self, logs=None):
        if self.path.is_file():
            self.rows = zoo.read_rows(self.path)

    def on_epoch_end(self, epoch, logs=None):
        step = (epoch + 1) * self.params["steps"]
        if step % self.every == 0:
            before = [row for row in self.rows if row["step"] < step]  # a killed run may have been ahead of its checkpoint
            self.rows = [*before, {"step": step} | self.measure()]
            zoo.write_rows(self.path, self.rows)
