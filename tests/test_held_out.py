"""No held-out combination reaches any learner: what a recipe learns from is the same whether or not its data set holds them."""

import dataclasses
import itertools

import numpy as np
import pytest

from vidgen_tf import datasets, splits
from vidgen_tf.evaluation import labels
from vidgen_tf.pipelines import scene_layers
from vidgen_tf.recipes import (
    RECIPES,
    autoregressive,
    classifiers,
    diffusion,
    flow,
    gan,
    glo,
    latent_rnn,
    text_to_video,
    vae,
    video_gan,
)
from vidgen_tf.worlds import LabelledClips

LEARNERS = (autoregressive, classifiers, diffusion, flow, gan, glo, latent_rnn, text_to_video, vae, video_gan)
MODULES = (*LEARNERS, labels, scene_layers)
SINGLE_FRAMES = {  # a frame of a digit shows none of its motions
    "vae-digits",
    "vae-digits-low-beta",
    "classifier-digits",
}
RESTRICTED = [name for name, recipe in RECIPES.items() if recipe.dataset[0] in ("digits", "shapes")]


class Fed(Exception):
    """What a training would have learned from; it ends there."""


def pixels(vae, frames):
    """32 pixels of each frame in place of its latents, whose last digit differs with the size of a batch."""
    z = frames.reshape(*frames.shape[:2], 32, -1)[..., 0].astype(np.float32)
    return z, np.zeros_like(z)


def fed(name, monkeypatch, clips):
    """The arrays that a recipe feeds to its model where every source of clips gives these."""

    def feed(*arrays, **options):
        raise Fed(arrays)

    for module in MODULES:
        if hasattr(module, "encode"):
            monkeypatch.setattr(module, "encode", pixels)
        if hasattr(module, "encode_tokens"):
            monkeypatch.setattr(
                module,
                "encode_tokens",
                lambda tokenizer, frames: frames[:, :, 0, :4, 0].reshape(len(frames), -1).astype(np.int32),
            )
        if hasattr(module, "load"):
            monkeypatch.setattr(module, "load", lambda dataset, split="train", count=None: clips)
        if hasattr(module, "iter_drawn"):
            monkeypatch.setattr(module, "iter_drawn", lambda source, count: iter([drawn(source, clips)] if count else []))
        if hasattr(module, "pipeline"):
            monkeypatch.setattr(module, "pipeline", feed)
    recipe = RECIPES[name]
    if hasattr(recipe.config, "num_heads"):
        recipe = dataclasses.replace(recipe, config=dataclasses.replace(recipe.config, hidden_dim=8, num_layers=1, num_heads=2))
    with pytest.raises(Fed) as caught:
        recipe.train(recipe, recipe.build(), recipe.steps["full"], None)
    return caught.value.args[0]


def drawn(source, clips):
    """Digits in free motion are labelled with no motion: what they do has to be seen."""
    if not source.startswith("free-motion"):
        return clips
    return dataclasses.replace(clips, states={key: value for key, value in clips.states.items() if key != "motion"})


@pytest.fixture(scope="module")
def sources():
    """Of both data sets: clips without held-out combinations, and the same with such clips among them."""
    found = {}
    for dataset in ("digits", "shapes"):
        mixed = datasets.load(dataset, "train", 120)
        found[dataset] = mixed[~splits.is_held_out(mixed.states)], mixed
    return found


@pytest.mark.parametrize("name", RESTRICTED)
def test_held_out_combinations_reach_no_learner(name, sources, monkeypatch):
    allowed, mixed = sources[RECIPES[name].dataset[0]]
    assert isinstance(mixed, LabelledClips) and 8 < len(mixed) - len(allowed) < 60
    learned, learned_of_mixed = (fed(name, monkeypatch, clips) for clips in (allowed, mixed))
    assert len(learned[0]) > 0
    if name in SINGLE_FRAMES:
        assert learned[0].ndim == 4 and len(learned[0]) < len(learned_of_mixed[0])
        return
    for one, other in itertools.zip_longest(learned, learned_of_mixed):
        np.testing.assert_array_equal(one, other)


def test_where_nothing_is_held_out_no_combination_is():
    """Of the other data sets no combination could be named: their clips have no such pair of attributes."""
    for name in {recipe.dataset[0] for recipe in RECIPES.values()} - {"digits", "shapes"}:
        assert not splits.is_held_out(datasets.DATASETS[name].make("train", 0, 12).states).any(), name


def test_the_comparison_notices_a_learner_that_holds_nothing_out(sources, monkeypatch):
    """Its control: the same recipe without the filter."""
    monkeypatch.setattr(diffusion, "training_clips", lambda clips: clips)
    learned, learned_of_mixed = (fed("diffusion-digits", monkeypatch, clips) for clips in sources["digits"])
    assert len(learned[0]) < len(learned_of_mixed[0])
