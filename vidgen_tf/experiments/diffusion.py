"""Experiments of chapter 12: an ablation study of the latent diffusion models."""

import dataclasses

from .. import training, zoo
from ..evaluation.scores import evaluate_trained
from ..recipes import RECIPES
from ..recipes.diffusion import SHORT_RUN_LEARNING_RATE

SEEDS = (12, 112, 212)
NAMES = {
    "digits": ("baseline", "position scale 0.02", "uniform timesteps", "VAE beta 0.1"),
    "shapes": ("baseline", "position scale 0.02", "uniform timesteps"),  # its baseline's VAE has that beta
}


def variants(dataset):
    """The recipes that are compared: each but the baseline differs from it in one choice, which its name says.

    The baseline is the shipped recipe in a short run: on the training split alone, and with one timestep per clip.

    Args:
        dataset: str, "digits" or "shapes".

    Returns:
        dict from a name in `NAMES[dataset]` to a `Recipe`.
    """
    shipped = RECIPES[f"diffusion-{dataset}"]
    config = dataclasses.replace(shipped.config, per_frame_timestep_prob=0.0)
    baseline = dataclasses.replace(shipped, config=config, training={"learning_rate": SHORT_RUN_LEARNING_RATE})
    changes = {
        "baseline": {},
        "position scale 0.02": {"config": dataclasses.replace(config, position_scale=0.02)},
        "uniform timesteps": {"config": dataclasses.replace(config, uniform_timestep_prob=1.0)},
        "VAE beta 0.1": {"uses": {"autoencoder": f"vae-{dataset}"}},
    }
    return {name: dataclasses.replace(baseline, **changes[name]) for name in NAMES[dataset]}


def run_ablation(dataset, path, steps=1000, seeds=SEEDS):
    """Trains the variants equally long and evaluates each as the zoo's models are.

    Args:
        dataset: str, "digits" or "shapes".
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of each, a multiple of 100.
        seeds: sequence of non-negative int: each variant is trained once with each.

    Returns:
        list of dicts, one for each variant and seed: "variant", "seed", and the scores of `evaluate_video`.
    """
    recipes = variants(dataset)

    def make(run):
        name, seed = run
        recipe = dataclasses.replace(recipes[name], seed=seed)
        training.set_seed(seed)
        model = recipe.build()
        recipe.train(recipe, model, steps, None)
        return {"variant": name, "seed": seed} | evaluate_trained(model, recipe.record())

    return zoo.run_rows(path, [(name, seed) for name in recipes for seed in seeds], make)
