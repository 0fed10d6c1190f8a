"""Experiment of chapter 16: whether a video Fréchet distance rises with a corruption that its classifier has never seen."""

import dataclasses

from ..datasets import load
from ..evaluation.features import predict_probabilities
from ..evaluation.labels import LABELS
from ..metrics.distribution import frechet_distance
from ..recipes import RECIPES
from ..recipes.classifiers import fit_classifier
from ..worlds.corruptions import CORRUPTIONS, corrupt
from .ablation import run_variants

SEEDS = (3, 103, 203)
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
ALL = "trained on all"
KINDS = CORRUPTIONS[1:-1]  # played backwards, a digit moves as others do


def distances(classifier, clips, kinds, seed=0):
    """Video Fréchet distances between one half of real clips and the other, corrupted more and more.

    Args:
        classifier: model of `build_video_classifier`.
        clips: `LabelledClips`, real ones that the classifier has not learned from.
        kinds: iterable of str, names of corruptions.
        seed: non-negative int, of the corruptions.

    Returns:
        dict from "kind_strength" to a float; at a strength of 0 it is the distance between real clips.
    """
    half = len(clips) // 2
    real = predict_probabilities(classifier, clips.frames[:half])["features"]
    found = {}
    for kind in kinds:
        for strength in STRENGTHS:
            frames = corrupt(clips[half:], kind, seed, strength)
            found[f"{kind}_{strength}"] = frechet_distance(predict_probabilities(classifier, frames)["features"], real)
    return found


def run_unseen(dataset, path, steps=500, seeds=SEEDS):
    """Trains video classifiers each without the clips of one corruption, and one on all; and measures that corruption.

    Args:
        dataset: str, "digits".
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of each, a multiple of 50.
        seeds: sequence of non-negative int: each classifier is trained once with each.

    Returns:
        list of dicts, one for each classifier and seed: "variant", the corruption that was left out, or `ALL`; "seed"; and the
        `distances` for this corruption, or for every one.
    """
    recipe, clips = RECIPES[f"video-classifier-{dataset}"], load(dataset, "test")
    frames, labels = LABELS[recipe.evaluation]("train")

    def make(name, seed):
        seen = labels["order"] != (CORRUPTIONS.index(name) if name in KINDS else None)
        classifier = dataclasses.replace(recipe, seed=seed).build()
        fit_classifier(classifier, frames[seen], {key: label[seen] for key, label in labels.items()}, steps, seed)
        return distances(classifier, clips, [name] if name in KINDS else KINDS)

    return run_variants((ALL, *KINDS), path, seeds, make)
