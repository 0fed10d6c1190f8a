"""Experiment of chapter 11: a minute's training of the autoregressive transformer, by two optimizers and on fewer clips."""

import dataclasses

from .. import zoo
from ..datasets import load
from ..evaluation.autoregressive import clip_accuracy
from ..models.autoregressive import token_bits
from ..models.video_tokenizer import encode_tokens
from ..pipelines.autoregressive import condition_ids, generate_clips, prompts_of
from ..recipes import RECIPES
from ..recipes.autoregressive import fit_gpt, token_examples
from .ablation import change_recipe, train_variants

SEEDS = (11, 111, 211)
STEPS = 700
NUM_PROMPTS = 200

# Variant -> what its training changes in the baseline. AdamW has the rate of the shipped model.
ABLATIONS = {
    "Muon": {},
    "AdamW": {"optimizer": "adamw", "learning_rate": 4e-3},
    "half the clips": {"num_clips": 2500},
}


def variants():
    """The recipes that are compared, each with the batches of the chapter's live training.

    Returns:
        dict from a name in `ABLATIONS` to a `Recipe`.
    """
    live = {"optimizer": "muon", "learning_rate": 1.5e-2, "batch_size": 24, "num_clips": 5000}
    recipe = dataclasses.replace(RECIPES["gpt-digits"], training={}, train=_train)
    return {name: change_recipe(recipe, training=live | changes) for name, changes in ABLATIONS.items()}


def _train(recipe, model, steps, checkpoint):
    options = dict(recipe.training)
    clips = load(*recipe.dataset, count=options.pop("num_clips"))
    examples = token_examples(zoo.load(recipe.uses["tokenizer"]), clips, recipe.dataset[0])
    return fit_gpt(model, examples, steps, seed=recipe.seed, checkpoint=checkpoint, log_interval=50, **options)


def run_ablation(dataset, path, steps=None, seeds=SEEDS):
    """Trains the variants for as many steps each, and asks them for clips.

    Args:
        dataset: str, "digits".
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps; None for those of the chapter.
        seeds: sequence of non-negative int: each variant is trained once with each.

    Returns:
        list of dicts, one for each variant and seed: "variant", "seed", "bits_per_token" of test clips, and the accuracies of
        `evaluation.autoregressive.clip_accuracy` on prompts of the test split.
    """
    tokenizer = zoo.load(RECIPES[f"gpt-{dataset}"].uses["tokenizer"])
    clips, prompts = prompts_of(dataset, NUM_PROMPTS)
    condition, tokens = condition_ids(prompts, dataset), encode_tokens(tokenizer, clips.frames)

    def score(model, recipe):
        frames = generate_clips(model, tokenizer, condition, seed=1, **recipe.sampling)
        return {"bits_per_token": float(token_bits(model, condition, tokens).mean())} | clip_accuracy(frames, clips, dataset)

    return train_variants(variants(), path, STEPS if steps is None else steps, seeds, score)
