"""Experiment of chapter 08: a video GAN trained against the image discriminator, the video discriminator, and both."""

from ..evaluation.video_gan import control_scores
from ..recipes import RECIPES
from .ablation import change_recipe, train_variants

SEEDS = (80, 180, 280)
NUM_STEPS = 3000  # a quarter of the shipped training; after a fifth of it nothing is learned yet that could be compared
LONGER = "both, four times as long"  # the shipped training; of these three the one that validation clips prefer ships

# Variant -> the discriminators that the generator is trained against.
ABLATIONS = {"both": ("image", "video"), "image alone": ("image",), "video alone": ("video",), LONGER: ("image", "video")}


def variants():
    """The recipes that are compared.

    Returns:
        dict from a name in `ABLATIONS` to a `Recipe`.
    """
    shipped = RECIPES["video-gan-digits"]
    return {name: change_recipe(shipped, training={"discriminators": chosen}) for name, chosen in ABLATIONS.items()}


def run_ablation(dataset, path, steps=None, seeds=SEEDS):
    """Trains the variants for as many steps each, and measures clips of all kinds.

    Args:
        dataset: str, "digits".
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of each variant, or None for `NUM_STEPS`; `LONGER` gets four times as many. A step is the quicker,
            the fewer discriminators there are; equal steps show each generator as many clips.
        seeds: sequence of non-negative int: each variant is trained once with each.

    Returns:
        list of dicts, one for each variant and seed: "variant", "seed", and the scores of
        `evaluation.video_gan.control_scores`.
    """

    def score(model, recipe):
        return control_scores(model, dataset)

    steps = NUM_STEPS if steps is None else steps
    return train_variants(variants(), path, steps, seeds, score, {LONGER: 4 * steps})
