"""Experiments of chapter 12: an ablation study of the diffusion model."""

import dataclasses
import keras
from .. import zoo
from ..models.dit import LatentDiffusion
from ..recipes.diffusion import SHORT_RUN_LEARNING_RATE, fit_diffusion


# Networks that are compared: the load_pretrained one, and what is changed of it.
ABLATION = {
    "as it ships": {},
    "the same, another seed": {"seed": 112},
    "quiet places": {"loudness": 0.02},
    "uniform noise levels": {"uniform_levels": 1.0},
    "chapter 05's encoder": {"vae": "vae-{}"},  # of the world
}


def ablate(world, path, steps=1000):
    """Networks that differ in one choice, trained equally long, all frames of a clip at one level: what do they make?

    Args:
        world: "digits" or "shapes".
        path: file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of each, a multiple of 100.

    Returns:
        list of dicts: "recipe", a name in `ABLATION`; and the exam of 500 clips, as the zoo's records have it.
    """

    def row(name):
        recipe = RECIPES[world]()
        change = {"seed": recipe.seed, "own_levels": 0.0, "vae": recipe.vae} | ABLATION[name]
        seed, recipe.vae = change.pop("seed"), change.pop("vae").format(world)
        learned = recipe.lesson()
        keras.utils.set_random_seed(seed)
        model = LatentDiffusion(dataclasses.replace(recipe.config, **change))
        model.scale.adapt(learned["z_mean"], learned["z_log_var"])
        options = {"rate": SHORT_RUN_LEARNING_RATE, "seed": seed, "log_steps": 100}
        fit_diffusion(model, learned["z_mean"], steps, behind=learned.get("behind"), **options)
        return recipe.examine(model)

    return zoo.rows_of(path, ABLATION, row)
