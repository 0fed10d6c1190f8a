"""Experiments of chapter 09: the flow-based GAN and its controls, in trainings as short as the chapter's own."""

from ..evaluation.motion import evaluate_motion_transfer
from ..recipes import RECIPES
from ..recipes.flow import control_steps
from .ablation import change_recipe, train_variants

SEEDS = (31, 131, 231)
NUM_CLIPS = 500  # training clips, as many as the chapter uses

# Variant -> what it changes in the baseline.
ABLATIONS = {
    "baseline": {},
    "without flow": {"config": {"use_flow": False}},
    "driven by themselves": {"training": {"is_driven_by_others": False}},
}


def variants():
    """The recipes that are compared, each with fewer training clips than the shipped one.

    Returns:
        dict from a name in `ABLATIONS` to a `Recipe`.
    """
    baseline = change_recipe(RECIPES["flow-gan-faces"], training={"num_clips": NUM_CLIPS})
    return {name: change_recipe(baseline, **changes) for name, changes in ABLATIONS.items()}


def run_ablation(dataset, path, steps=None, seeds=SEEDS):
    """Trains the variants for as many minutes each, and animates test people with them.

    Args:
        dataset: str, "faces".
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of the baseline, a multiple of 25; None for the budget "fast". The variant without flow, whose
            steps are quicker, gets more.
        seeds: sequence of non-negative int: each variant is trained once with each.

    Returns:
        list of dicts, one for each variant and seed: "variant", "seed", and the scores of
        `evaluation.motion.evaluate_motion_transfer`.
    """
    steps = RECIPES[f"flow-gan-{dataset}"].steps["fast"] if steps is None else steps

    def score(model, recipe):
        return evaluate_motion_transfer(model, {"dataset": {"name": dataset}})

    return train_variants(variants(), path, steps, seeds, score, {"without flow": control_steps(steps)})
