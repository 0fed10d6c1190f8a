"""Reference statistics: what real clips that no model was trained on score."""

import dataclasses
import functools

import numpy as np

from .. import datasets, zoo
from ..errors import CourseError
from ..models.vae import decode, encode
from ..worlds import WORLDS, LabelledClips, digits
from .adherence import conditioning_states, prompt_clusters
from .copies import TrainingClips, copy_distances
from .features import clip_features, iter_blocks, load_cached, mean_frame_features
from .inputs import checked_clips
from .measurements import distribution_scores, frame_scores, memorization_scores, physics_scores
from .spec import DIGIT_IMAGES, SPECS

CAPTIONED_SEEDS = 930, 931  # of real clips for given captions, and of those that give their real-to-real distance


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """Real clips that no model was trained on, and what is measured of them; empty for a data set that isn't known.

    Args:
        frames: uint8 `(M, T, H, W, C)`.
        features: dict of `clip_features`.
        distance: float `(M,)`, of each to the nearest training clip, or None.
        real: dict from metric to `Estimate`.
        reconstruction: dict from metric to `Estimate`, of the clips after an autoencoder.
    """

    frames: np.ndarray
    features: dict
    distance: np.ndarray | None
    real: dict
    reconstruction: dict


def reference_for(dataset, reference, shape):
    """The reference statistics for clips of a shape.

    Args:
        dataset: str, a name in `SPECS` or `datasets.DATASETS`, or None.
        reference: real clips as in `checked_clips`, or None for the data set's test clips.
        shape: of the clips, `(N, T, H, W, C)`.

    Returns:
        `Reference`.

    Raises:
        CourseError: unknown data set, or clips of another shape than its own.
    """
    if dataset is not None and dataset not in SPECS and dataset not in datasets.DATASETS:
        known = ", ".join(dict.fromkeys([*SPECS, *datasets.DATASETS]))
        raise CourseError(f"There is no data set {dataset!r} to evaluate beside; there are {known}, or None for other clips.")
    if reference is not None:
        frames, _ = checked_clips(reference, "reference clips")
        labelled = isinstance(reference, LabelledClips) and "motion" in reference.states
        states = reference.states if labelled else None
    elif dataset is None:
        return Reference(np.empty((0, *shape[1:]), np.uint8), {}, None, {}, {})
    else:
        frames, states = real_clips(dataset, "test")
    expected = shape[1:] if len(frames) == 0 else frames.shape[1:]
    if shape[2:] != expected[1:] or expected[0] not in (1, shape[1]):
        name = dataset or "the reference"
        raise CourseError(f"Clips of {name} are {expected} (time, height, width, channels), got {shape[1:]}.")
    return _test_reference(dataset, shape[0]) if reference is None else _measured(dataset, frames, states, shape[0])


@functools.lru_cache(maxsize=4)
def _test_reference(dataset, count):
    return _measured(dataset, *real_clips(dataset, "test"), count)


def real_clips(dataset, split):
    """Real clips of a data set.

    Args:
        dataset: str, a name in `SPECS` or `datasets.DATASETS`.
        split: "train", "validation" or "test".

    Returns:
        uint8 `(N, T, H, W, C)`, and their states, or None.
    """
    if dataset == DIGIT_IMAGES:
        return digits.images(split)[0][:, None], None
    clips = datasets.load(dataset, split)
    return clips.frames, clips.states


def _measured(dataset, frames, states, count):
    """Measures real clips: alone, against as many fresh ones as are evaluated, and after an autoencoder."""
    real = frame_scores(frames)
    if dataset is None:
        return Reference(frames, {}, None, real, {})
    features, distance = clip_features(frames, dataset), copy_distances(frames, TrainingClips(dataset))
    conditioning = conditioning_states(states, dataset, len(frames))
    real |= distribution_scores(clip_features(_fresh_clips(dataset, count), dataset), features)
    real |= memorization_scores(distance, distance) | physics_scores(frames, dataset, features, conditioning)
    reconstruction = {}
    if dataset in SPECS and SPECS[dataset].autoencoder in zoo.manifest():
        decoded = _reconstruct(frames[:count], SPECS[dataset].autoencoder)
        conditioning = conditioning and {key: value[:count] for key, value in conditioning.items()}
        read = mean_frame_features(decoded[:, ::4], dataset) if dataset == "digits" else {}  # shapes need no classifier
        reconstruction = frame_scores(decoded) | physics_scores(decoded, dataset, read, conditioning)
    return Reference(frames, features, distance, real, reconstruction)


def captioned_reference(dataset, conditioning):
    """Features of real clips that show what prompts ask for, and the real-to-real distances of others that do.

    A distance to clips of other prompts would hold the choice of prompts against a model, or for it.

    Args:
        dataset: str, "shapes" or "digits".
        conditioning: dict of states that N clips should show, see `adherence.conditioning_states`.

    Returns:
        dict of `clip_features` of N clips, and the dict of `distribution_scores` of N others against them.
    """
    world, options = WORLDS[SPECS[dataset].tracker], {"split": "test"} if dataset == "digits" else {}
    clips, others = (world.make_captioned(conditioning, seed=seed, **options).frames for seed in CAPTIONED_SEEDS)
    features = clip_features(clips, dataset)
    return features, distribution_scores(clip_features(others, dataset), features, prompt_clusters(conditioning))


def _fresh_clips(dataset, count):
    """Real clips that are neither trained on nor in the test split: its next ones; of digit images, the validation ones."""
    if dataset == DIGIT_IMAGES:
        return real_clips(dataset, "validation")[0]
    return datasets.DATASETS[dataset].make("test", datasets.DATASETS[dataset].splits["test"], count).frames


def _reconstruct(frames, name):
    """Clips, each frame encoded and decoded."""
    model = load_cached(name)
    return np.concatenate([decode(model, encode(model, block)[0]) for block in iter_blocks(frames, "reconstruction")])
