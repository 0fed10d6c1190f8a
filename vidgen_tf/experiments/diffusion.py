"""Experiments of chapter 12: an ablation study of the latent diffusion models."""

from ..evaluation.scores import evaluate_trained
from ..recipes import RECIPES
from ..recipes.diffusion import SHORT_RUN_LEARNING_RATE
from .ablation import change_recipe, train_variants

SEEDS = (12, 112, 212)

# Variant -> what it changes in the baseline.
ABLATIONS = {
    "digits": {
        "baseline": {},
        "position scale 0.02": {"config": {"position_scale": 0.02}},
        "uniform timesteps": {"config": {"uniform_timestep_prob": 1.0}},
        "VAE beta 0.1": {"uses": {"autoencoder": "vae-digits"}},
    },
    "shapes": {  # the baseline's VAE has a beta of 0.1
        "baseline": {},
        "position scale 0.02": {"config": {"position_scale": 0.02}},
        "uniform timesteps": {"config": {"uniform_timestep_prob": 1.0}},
    },
}


def variants(dataset):
    """The recipes that are compared. The baseline is the shipped one in a short run: on the training split alone, with a larger
    learning rate and one timestep per clip.

    Args:
        dataset: str, "digits" or "shapes".

    Returns:
        dict from a name in `ABLATIONS[dataset]` to a `Recipe`.
    """
    short_run = {"num_extra_clips": 0, "learning_rate": SHORT_RUN_LEARNING_RATE}
    baseline = change_recipe(RECIPES[f"diffusion-{dataset}"], config={"per_frame_timestep_prob": 0.0}, training=short_run)
    return {name: change_recipe(baseline, **changes) for name, changes in ABLATIONS[dataset].items()}


def run_ablation(dataset, path, steps=1000, seeds=SEEDS):
    """Trains the variants equally long and evaluates each as the zoo's models are.

    Args:
        dataset: str, "digits" or "shapes".
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of each, a multiple of 100.
        seeds: sequence of non-negative int: each variant is trained once with each.

    Returns:
        list of dicts, one for each variant and seed: "variant", "seed", and the scores of `evaluation.video.evaluate_video`.
    """
    return train_variants(variants(dataset), path, steps, seeds, lambda model, recipe: evaluate_trained(model, recipe.record()))
