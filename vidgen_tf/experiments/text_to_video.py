"""Experiments of chapter 13: an ablation study of the training set, and text to video trained from nothing."""

import dataclasses
import functools
import keras
import time
from ..worlds import shapes
from .. import zoo
from ..datasets import load
from ..errors import CourseError
from ..evaluation.adherence import AccuracyCurve, accuracy, evaluation_prompts, prompt_accuracy
from ..models.dit import LatentDiffusion
from ..models.text_encoder import TextEncoder
from ..models.vae import VAE
from ..pipelines.text_to_video import sample_captions
from ..recipes.diffusion import SHORT_RUN_LEARNING_RATE
from ..recipes.text_to_video import SHORT_RUN_ATTRIBUTE_DROPOUT, fit, pictures, training_set
from ..recipes.vae import fit_vae


# Recipes that are compared, of digits each with what the one before has and one thing more.
ABLATIONS = {
    "digits": {
        "captions whole or not at all": {"captions": functools.partial(TextEncoder, one=0.0)},
        "things left open": {},
        "and twice as many clips": {"fresh": 8000},
        "and digits that wander": {"fresh": 8000, "wandering": 8000},
    },
    "shapes": {
        "two things in one vector": {"config": {"layers": 1, "motion": 0.0, "uniform_levels": 0.0}},
        "layer by layer": {"config": {"motion": 0.0, "uniform_levels": 0.0}, "meetings": 1},
        "and changes count": {"config": {"uniform_levels": 0.0}, "meetings": 1},
        "and meetings come often": {"config": {"uniform_levels": 0.0}},
        "and loud noise more often": {},
    },
}


def run_ablation(world, path, steps=1500, guidance=2.5, seed=13):
    """Models of the recipes in `ABLATIONS`, trained equally long: what do they sample_captions to prompts of all kinds?

    Args:
        world: "digits" or "shapes".
        path: file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of each, a multiple of 100.
        guidance: one scale for the whole caption.
        seed: non-negative int.

    Returns:
        list of dicts: "recipe", a name in `ABLATIONS`; the shares of 400 validation prompts with all of it right, "seen" and, of
        pairs held out, "unseen"; with "_motion" behind it, with the motion right; "one thing", "two things" and "collide", the
        shares of those seen that ask for one, for two, or for two that collide; of digits "unseen_by_attribute", with guidance of
        each attribute on its own.
    """
    recipe, rungs = RECIPES[world], ABLATIONS[world]
    vae = zoo.load(recipe.vae)

    def rung(name):
        keras.utils.set_random_seed(seed)
        more = dict(rungs[name])
        config = dataclasses.replace(recipe.config, **more.pop("config", {}))
        model = LatentDiffusion(config, more.pop("captions", TextEncoder))
        fit(model, training_set(world, vae, layers=config.layers, **more), steps, rate=SHORT_RUN_LEARNING_RATE, seed=seed, log_steps=100)
        right = {}
        for asked in ("seen", "unseen"):
            clips, prompts = evaluation_prompts(world, 400, "validation", asked == "unseen")
            shown = prompt_accuracy(sample_captions(model, vae, prompts, guidance, seed=2), world, clips)
            right |= {asked: shown["asked_jointly"], f"{asked}_motion": shown["asked_motion"]}
        if world == "shapes":
            clips, _ = evaluation_prompts(world, 400, "validation")
            two, meet = clips.states["objects"] == 2, clips.states["motion"][:, 0] == shapes.MOTIONS.index("collides")
            right |= {"one thing": right["seen"][~two], "two things": right["seen"][two], "collide": right["seen"][meet]}
        else:
            made = sample_captions(model, vae, prompts, recipe.by_attribute, seed=2)
            right["unseen_by_attribute"] = prompt_accuracy(made, world, clips)["asked_jointly"]
        return {key: float(value.mean()) for key, value in right.items()}

    return zoo.rows_of(path, rungs, rung)


def train_from_scratch(world, folder, vae_steps, steps=2500, every=250, seed=13, resume=False):
    """Encoder and transformer, both trained here and now: text to video from nothing.

    Args:
        world: "digits" or "shapes".
        folder: where both weight files go, their checkpoints, and `curve.json`, the accuracy against the seconds.
        vae_steps: training steps of the encoder and its decoder, a multiple of 100; 0 for the load_pretrained ones.
        steps: training steps of the transformer, a multiple of 50.
        every: training steps of the transformer between two measurements of the accuracy, a multiple of 50.
        seed: non-negative int.
        resume: go on from the checkpoints there; otherwise they are removed first.

    Returns:
        list of dicts: "step" of the transformer, "seconds" of training since the start, and the class_accuracy of 200 validation
        prompts; in the last one, those of 400 test prompts, and "transformer_seconds", what the transformer's training alone has
        taken.

    Raises:
        CourseError: an unknown world, a folder that can't be written to, or a damaged checkpoint.
    """
    if world not in RECIPES:
        raise CourseError(f"There is no text-to-video of {world!r}; there is one of {', '.join(RECIPES)}.")
    recipe = RECIPES[world]()
    names = {"vae": recipe.vae, "model": f"text-to-video-{world}"}
    folder = zoo.workplace(folder)
    kept = _kept(folder, names, resume)
    keras.utils.set_random_seed(seed)
    vae, clock = VAE(zoo.recipe(recipe.vae).config, seed) if vae_steps else zoo.load(recipe.vae), 0.0
    model = LatentDiffusion(recipe.config, functools.partial(TextEncoder, one=SHORT_RUN_ATTRIBUTE_DROPOUT))
    if vae_steps:
        frames = pictures(load(world), recipe.config.layers)
        clock = fit_vae(vae, frames, vae_steps, seed=seed, checkpoint=kept["vae"])["seconds"][-1]
    start = time.monotonic()
    learned, some = training_set(world, vae), evaluation_prompts(world, 200, "validation")
    clock += time.monotonic() - start
    curve = AccuracyCurve(lambda: accuracy(model, vae, *some, recipe.guidance), every, kept["curve"])
    options = {"seed": seed, "checkpoint": kept["model"], "log_steps": 50, "callbacks": [curve]}
    history = fit(model, learned, steps, rate=SHORT_RUN_LEARNING_RATE, **options)
    clocks = dict(zip(history["step"], history["seconds"]))
    grade = {"step": steps, "transformer_seconds": clocks[steps]} | accuracy(model, vae, *evaluation_prompts(world, 400), recipe.guidance)
    rows = [{"seconds": clock + clocks[row["step"]]} | row for row in [*curve.rows, grade]]
    zoo.write_weights(vae, folder / f"{names['vae']}.weights.h5")
    zoo.write_weights(model, folder / f"{names['model']}.weights.h5")
    zoo.write_rows(folder / "curve.json", rows)
    for path in kept.values():
        path.unlink(missing_ok=True)
    return rows


def _kept(folder, names, resume):
    """The files that let an interrupted training go on."""
    kept = {key: folder / f"{name}-from-scratch.checkpoint.npz" for key, name in names.items()}
    kept["curve"] = folder / f"{names['model']}-from-scratch.curve.json"
    if not resume:
        for path in kept.values():
            path.unlink(missing_ok=True)
    return kept
