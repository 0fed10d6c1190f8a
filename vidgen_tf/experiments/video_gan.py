"""Experiments of chapter 08: a video GAN trained against the image discriminator, the video discriminator, and both; and for a
minute, by two optimizers and with two weights of the gradient penalties."""

from ..datasets import load
from ..evaluation.video_gan import control_scores, swap_contents
from ..models.video_gan import VideoGAN
from ..recipes import RECIPES
from ..recipes.video_gan import fit_video_gan
from ..splits import training_clips
from .ablation import change_recipe, run_variants, train_variants

SEEDS = (80, 180, 280)
NUM_STEPS = 3000  # a quarter of the shipped training; after a fifth of it nothing is learned yet that could be compared
LONGER = "both, four times as long"  # the shipped training; of these three the one that validation clips prefer ships

# Variant -> the discriminators that the generator is trained against.
ABLATIONS = {"both": ("image", "video"), "image alone": ("image",), "video alone": ("video",), LONGER: ("image", "video")}

LIVE_STEPS = 600  # of the chapter's live training
LIVE_CLIPS = 250, 500  # that are generated, and that they are compared with
NUM_SWAPS = 160  # as in the chapter
LIVE_ABLATIONS = {  # variant -> the weight of the gradient penalties, and its optimizer
    "Muon, penalty 0.3": (0.3, {"optimizer": "muon", "learning_rate": 2e-2}),
    "Muon, penalty 1": (1.0, {"optimizer": "muon", "learning_rate": 2e-2}),
    "Adam, penalty 0.3": (0.3, {"optimizer": "adam", "learning_rate": 2e-3}),
}


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


def run_live(dataset, path, steps=LIVE_STEPS, seeds=SEEDS):
    """Trains a video GAN as the chapter does live, by two optimizers and with two weights of the penalties.

    Args:
        dataset: str, "digits".
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of each, a multiple of 50.
        seeds: sequence of non-negative int: each variant is trained once with each.

    Returns:
        list of dicts, one for each variant and seed: "variant", "seed", and the scores of
        `evaluation.video_gan.control_scores` of 250 clips beside 500 real ones; and "swap_accuracy", see `swap_contents`, of 160
        swaps.
    """
    config, clips = RECIPES[f"video-gan-{dataset}"].config, training_clips(load(dataset))

    def make(name, seed):
        gamma, options = LIVE_ABLATIONS[name]
        gan = VideoGAN(config, gamma=gamma, ema_decay=0.98, seed=seed)
        fit_video_gan(gan, clips, steps, seed=seed, log_interval=50, **options)
        swaps = swap_contents(gan, dataset, NUM_SWAPS, seed=2)["swap_accuracy"]
        return control_scores(gan, dataset, *LIVE_CLIPS) | {"swap_accuracy": float(swaps.mean())}

    return run_variants(LIVE_ABLATIONS, path, seeds, make)
