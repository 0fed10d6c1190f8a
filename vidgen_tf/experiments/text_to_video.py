"""Experiments of chapter 13: an ablation study of the text-to-video models, and text to video trained from scratch."""

import tempfile
import time

import numpy as np

from .. import training
from ..datasets import load
from ..errors import CourseError
from ..evaluation.adherence import AccuracyCurve, adherence_scores, prompt_accuracy
from ..files import check_writable
from ..models.vae import VAE
from ..pipelines.text_to_video import evaluation_prompts, sample_captions
from ..pipelines.video import load_autoencoder
from ..recipes import RECIPES
from ..recipes.diffusion import SHORT_RUN_LEARNING_RATE, fit_examples
from ..recipes.text_to_video import (
    ATTRIBUTE_GUIDANCE_SCALE,
    COLLISION_REPEATS,
    SHORT_RUN_ATTRIBUTE_DROPOUT,
    autoencoder_frames,
    training_set,
)
from ..recipes.vae import fit_vae
from ..worlds import shapes
from ..zoo.experiments import write_rows
from ..zoo.weights import write_weights
from .ablation import change_recipe, run_variants, train_variants

SEED = 13
SEEDS = (13, 113, 213)  # of the ablation study
GUIDANCE_SCALE = 2.5  # of the ablation study, one for the whole caption
AUTOENCODER_STEPS = {"digits": 1500, "shapes": 9000}  # from scratch: a blurred digit can be read, a blurred triangle is a circle

FROM_SCRATCH = "from scratch"
SCRATCH_STEPS = {  # variant -> training steps of the transformer
    "digits": {FROM_SCRATCH: 2500},
    "shapes": {FROM_SCRATCH: 2500, "shipped autoencoder": 1000},
}

# Variant -> what it changes in the one before it; the first ones lack what the others add, the last are the shipped recipes.
ABLATIONS = {
    "digits": {
        "no attribute dropout": {"config": {"attribute_dropout": 0.0}},
        "attribute dropout": {"config": {"attribute_dropout": 0.1}},
        "+ twice as many clips": {"training": {"num_extra_clips": 8000}},
        "+ free-motion clips": {"training": {"num_free_motion_clips": 8000}},
    },
    "shapes": {
        "one latent per frame": {
            "config": {"num_scene_layers": 1, "frame_difference_weight": 0.0, "uniform_timestep_prob": 0.0},
            "training": {"collision_repeats": 1},
        },
        "scene layers": {"config": {"num_scene_layers": 2}},
        "+ frame-difference loss": {"config": {"frame_difference_weight": 1.0}},
        "+ collision repeats": {"training": {"collision_repeats": COLLISION_REPEATS}},
        "+ 25 % uniform timesteps": {"config": {"uniform_timestep_prob": 0.25}},
    },
}


def variants(dataset):
    """The recipes that are compared: the shipped one in a short run, built up choice by choice.

    Args:
        dataset: str, "digits" or "shapes".

    Returns:
        dict from a name in `ABLATIONS[dataset]` to a `Recipe`.
    """
    short_run = {"num_extra_clips": 0, "num_free_motion_clips": 0, "learning_rate": SHORT_RUN_LEARNING_RATE}
    recipe, recipes = change_recipe(RECIPES[f"text-to-video-{dataset}"], training=short_run), {}
    for name, changes in ABLATIONS[dataset].items():
        recipes[name] = recipe = change_recipe(recipe, **changes)
    return recipes


def run_ablation(dataset, path, steps=1500, seeds=SEEDS):
    """Trains the variants equally long and measures their prompt adherence on 400 validation prompts.

    Args:
        dataset, path, steps, seeds: as for `experiments.diffusion.run_ablation`.

    Returns:
        list of dicts, one for each variant and seed: "variant", "seed", and the accuracies of `ablation_scores`.
    """

    def score(model, recipe):
        return ablation_scores(model, load_autoencoder(recipe.uses["autoencoder"]), dataset)

    return train_variants(variants(dataset), path, steps, seeds, score)


def ablation_scores(model, vae, dataset, count=400):
    """Joint and motion accuracy, on validation prompts and on those for held-out attribute combinations.

    Args:
        model: trained `LatentDiffusion` with captions.
        vae: the trained `VAE` of its latents.
        dataset: str, "digits" or "shapes".
        count: int, prompts of each kind, at least 100.

    Returns:
        dict of float: "joint_accuracy" and "motion_accuracy", with "held_out_" before them for held-out combinations; of shapes,
        the joint accuracy of prompts for "one_object_", "two_objects_" and "collision_" before it; of digits,
        "held_out_joint_accuracy_by_attribute", guided by `ATTRIBUTE_GUIDANCE_SCALE`.
    """
    matches = {}
    for prefix in ("", "held_out_"):
        clips, prompts = evaluation_prompts(dataset, count, "validation", held_out=bool(prefix))
        found = prompt_accuracy(sample_captions(model, vae, prompts, GUIDANCE_SCALE, seed=2), dataset, clips)
        matches |= {f"{prefix}{name}": found[name] for name in ("joint_accuracy", "motion_accuracy")}
    if dataset == "digits":  # clips and prompts are those for held-out combinations
        sampled = sample_captions(model, vae, prompts, ATTRIBUTE_GUIDANCE_SCALE, seed=2)
        matches["held_out_joint_accuracy_by_attribute"] = prompt_accuracy(sampled, dataset, clips)["joint_accuracy"]
    else:
        states, joint = evaluation_prompts(dataset, count, "validation")[0].states, matches["joint_accuracy"]
        two, collide = states["objects"] == 2, states["motion"][:, 0] == shapes.MOTIONS.index("collides")
        subsets = {"one_object": ~two, "two_objects": two, "collision": collide}
        matches |= {f"{name}_joint_accuracy": joint[chosen] for name, chosen in subsets.items()}
    return {name: float(np.mean(value)) for name, value in matches.items()}


def train_from_scratch(dataset, folder, autoencoder_steps, steps=2500, eval_interval=250, seed=SEED, resume=False):
    """Text to video from scratch: trains autoencoder and transformer, and measures accuracy against training time.

    Args:
        dataset: str, "digits" or "shapes".
        folder: str or Path, where both weight files go, their checkpoints, and `curve.json`, the accuracy against the seconds.
        autoencoder_steps: training steps of the VAE, a multiple of 100; 0 for the shipped one.
        steps: training steps of the transformer, a multiple of 50.
        eval_interval: training steps of the transformer between two measurements, a multiple of 50.
        seed: non-negative int.
        resume: go on from the checkpoints there; otherwise they are removed first.

    Returns:
        list of dicts: "step" of the transformer, "seconds" of training since the start, and the accuracies of 200 validation
        prompts; in the last one, those of 400 test prompts, and "transformer_seconds", what the transformer's training alone has
        taken.

    Raises:
        CourseError: an unknown data set, a folder that can't be written to, or a damaged checkpoint.
    """
    if dataset not in ABLATIONS:
        raise CourseError(f"There is no text-to-video of {dataset!r}; there is one of {', '.join(ABLATIONS)}.")
    recipe = change_recipe(RECIPES[f"text-to-video-{dataset}"], config={"attribute_dropout": SHORT_RUN_ATTRIBUTE_DROPOUT})
    names, folder = {"vae": recipe.uses["autoencoder"], "model": recipe.name}, check_writable(folder)
    kept = _kept_files(folder, names, resume)
    training.set_seed(seed)
    vae, clock = _autoencoder(recipe, autoencoder_steps, seed, kept["vae"])
    model, start = recipe.build(), time.monotonic()
    examples = training_set(dataset, vae, recipe.config.num_scene_layers)
    validation = evaluation_prompts(dataset, 200, "validation")
    clock += time.monotonic() - start
    scale = recipe.sampling["guidance_scale"]
    curve = AccuracyCurve(lambda: adherence_scores(model, vae, *validation, scale), eval_interval, kept["curve"])
    options = {"seed": seed, "checkpoint": kept["model"], "log_interval": 50, "callbacks": [curve]}
    history = fit_examples(model, examples, steps, learning_rate=SHORT_RUN_LEARNING_RATE, **options)
    clocks = dict(zip(history["step"], history["seconds"]))
    test = adherence_scores(model, vae, *evaluation_prompts(dataset, 400), scale)
    last = {"step": steps, "transformer_seconds": clocks[steps]} | test
    rows = [{"seconds": clock + clocks[row["step"]]} | row for row in [*curve.rows, last]]
    write_weights(vae, folder / f"{names['vae']}.weights.h5")
    write_weights(model, folder / f"{names['model']}.weights.h5")
    write_rows(folder / "curve.json", rows)
    for path in kept.values():
        path.unlink(missing_ok=True)
    return rows


def run_from_scratch(dataset, path, steps=None, seeds=SEEDS):
    """Text to video from scratch with each seed; of shapes once more on the shipped autoencoder.

    Args:
        dataset: str, "digits" or "shapes".
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of the transformer, a multiple of 50; None for `SCRATCH_STEPS`.
        seeds: sequence of non-negative int: each variant is trained once with each.

    Returns:
        list of dicts, the rows of `train_from_scratch` with "variant", a name in `SCRATCH_STEPS[dataset]`, and "seed".
    """

    def make(name, seed):
        options = (AUTOENCODER_STEPS[dataset] if name == FROM_SCRATCH else 0, steps or SCRATCH_STEPS[dataset][name])
        with tempfile.TemporaryDirectory() as folder:
            return {"curve": train_from_scratch(dataset, folder, *options, seed=seed)}

    runs = run_variants(SCRATCH_STEPS[dataset], path, seeds, make)
    return [{"variant": run["variant"], "seed": run["seed"]} | row for run in runs for row in run["curve"]]


def _autoencoder(recipe, steps, seed, checkpoint):
    """The autoencoder, trained here or shipped, and the seconds that its training took."""
    if not steps:
        return load_autoencoder(recipe.uses["autoencoder"]), 0.0
    vae = VAE(RECIPES[recipe.uses["autoencoder"]].config, seed)
    frames = autoencoder_frames(load(recipe.dataset[0]), recipe.config.num_scene_layers)
    return vae, fit_vae(vae, frames, steps, seed=seed, checkpoint=checkpoint)["seconds"][-1]


def _kept_files(folder, names, resume):
    """The files that let an interrupted training go on."""
    kept = {key: folder / f"{name}-from-scratch.checkpoint.npz" for key, name in names.items()}
    kept["curve"] = folder / f"{names['model']}-from-scratch.curve.json"
    if not resume:
        for path in kept.values():
            path.unlink(missing_ok=True)
    return kept
