"""Recipes of the latent diffusion models: what they learn from, how they train, and that a stopped training goes on."""

import dataclasses

import keras
import numpy as np
import pytest

from vidgen_tf import datasets, training
from vidgen_tf.models.dit import DiffusionConfig, LatentDiffusion
from vidgen_tf.models.vae import VAE, VAEConfig, encode
from vidgen_tf.recipes import RECIPES, diffusion, text_to_video
from vidgen_tf.splits import is_held_out
from vidgen_tf.tokenizer import detokenize, swap_phrases, tokenize
from vidgen_tf.worlds import digits, shapes

TINY = DiffusionConfig(num_frames=5, latent_dim=3, hidden_dim=8, num_layers=1, num_heads=2)
RNG = np.random.default_rng(0)
CLIPS = RNG.normal(size=(40, 5, 3)).astype("float32")
NAMES = ("diffusion-digits", "diffusion-shapes", "text-to-video-digits", "text-to-video-shapes")


def small_vae(channels):
    training.set_seed(2)
    return VAE(VAEConfig(channels=channels, filters=(4, 4, 4)))


def trained(steps=30, callbacks=(), **options):
    training.set_seed(3)
    model = LatentDiffusion(TINY)
    defaults = {"batch_size": 8, "ema_decay": 0.9, "seed": 4, "log_interval": 5}
    diffusion.fit_diffusion(model, CLIPS, steps, callbacks=list(callbacks), **defaults | options)
    return model


class StopAt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_same_weights(monkeypatch, tmp_path):
    monkeypatch.setattr(diffusion, "WARMUP_STEPS", 10)
    path, whole = tmp_path / "half.npz", trained()
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=path, checkpoint_interval_s=0.0, callbacks=[StopAt(3)])
    assert 0 < np.load(path)["done"] < 30
    again = trained(checkpoint=path)
    for a, b in zip(whole.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_each_clip_comes_in_a_batch_with_its_own_conditioning(monkeypatch):
    config = dataclasses.replace(TINY, has_captions=True, num_scene_layers=2)
    conditioning = {"tokens": np.arange(40, dtype=np.int32)[:, None], "background": -CLIPS}
    monkeypatch.setattr(training, "fit", lambda trainer, batches, steps, **options: (trainer, batches(0)))
    trainer, data = diffusion.fit_diffusion(LatentDiffusion(config), CLIPS, 200, conditioning=conditioning, batch_size=8)
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(next(iter(data)))
    assert y is None and sample_weight is None and list(x) == ["latents", "tokens", "background"]
    np.testing.assert_array_equal(x["latents"], CLIPS[x["tokens"][:, 0]])
    np.testing.assert_array_equal(x["background"], -x["latents"])
    assert trainer.ema_decay == 1 - 10 / 200 and all(part.shape == (8, 5, 3) for part in trainer(x))


@pytest.mark.slow
def test_samples_lie_where_the_training_clips_do():
    """Clips on a line: after some steps samples lie on it."""
    direction = np.float32([1, -1, 0.5])
    line = direction * RNG.normal(size=(400, 5, 1)).astype("float32")
    training.set_seed(0)
    model = LatentDiffusion(dataclasses.replace(TINY, hidden_dim=32, per_frame_timestep_prob=0.0))
    diffusion.fit_diffusion(model, line, 300, learning_rate=3e-3, ema_decay=0.97, seed=0, log_interval=100)
    sampled = model.sample(100, seed=1)
    along = sampled @ direction / 1.5
    off = np.linalg.norm(sampled - along[..., None] * direction / 1.5, axis=-1)
    assert off.mean() < 0.4 * np.abs(along).mean()


def test_examples_set_the_scale_of_the_latents(monkeypatch):
    """Their std is that of samples of the posterior: of the means and of the variances about them."""
    monkeypatch.setattr(diffusion, "fit_diffusion", lambda model, latents, steps, **options: options)
    model, examples = LatentDiffusion(TINY), {"z_mean": 2 * CLIPS + 1, "z_log_var": np.zeros_like(CLIPS), "tokens": "tokens"}
    options = diffusion.fit_examples(model, examples, 120, seed=5)
    assert options == {"conditioning": {"tokens": "tokens"}, "seed": 5}
    np.testing.assert_allclose(model.normalization.mean, (2 * CLIPS + 1).mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(model.normalization.std, np.sqrt(4 * CLIPS.var(axis=(0, 1)) + 1), rtol=1e-5)


def test_extra_clips_are_those_of_no_data_set():
    parts = list(datasets.iter_drawn("more-digits", 1003))
    assert [len(part) for part in parts] == [500, 500, 3]
    whole = datasets.DRAWN["more-digits"].make("train", 0, 1003)
    np.testing.assert_array_equal(np.concatenate([part.frames for part in parts]), whole.frames)
    assert not (whole.frames[:50] == datasets.load("digits", "train", 50).frames).all(axis=(1, 2, 3, 4)).any()


@pytest.mark.parametrize("name", NAMES)
def test_extra_clips_are_for_long_trainings(name, monkeypatch):
    """In the fast budget a model learns from the training split alone, and from the recipe's extra clips beyond it."""
    recipe, seen = dataclasses.replace(RECIPES[name], training={"num_extra_clips": 30}), []
    module = text_to_video if recipe.config.has_captions else diffusion
    channels = {"digits": 1, "shapes": 3}[recipe.dataset[0]]
    monkeypatch.setattr(module, "load", lambda name: datasets.load(name, "train", 40))
    monkeypatch.setattr(module.zoo, "load", lambda name: small_vae(channels))
    monkeypatch.setattr(module, "fit_examples", lambda model, examples, steps, **options: seen.append((examples, options)))
    for steps in (recipe.steps["fast"], recipe.steps["full"]):
        recipe.train(recipe, None, steps, "checkpoint")
    (few, options), (more, _) = seen
    assert options == {"seed": recipe.seed, "checkpoint": "checkpoint", "log_interval": 100}
    assert set(few) == {"z_mean", "z_log_var"} | ({"tokens"} if recipe.config.has_captions else set()) | (
        {"background"} if recipe.config.num_scene_layers == 2 else set()
    )
    assert len(few["z_mean"]) < len(more["z_mean"])
    if module is diffusion:
        dataset = recipe.dataset[0]
        stored, extra = datasets.load(dataset, "train", 40), datasets.DRAWN[f"more-{dataset}"].make("train", 0, 30)
        counts = [np.sum(~is_held_out(clips.states)) for clips in (stored, extra)]
        assert len(few["z_mean"]) == counts[0] * recipe.config.num_scene_layers
        assert len(more["z_mean"]) == sum(counts) * recipe.config.num_scene_layers


@pytest.mark.parametrize("name", NAMES)
def test_the_recipes_are_whole(name):
    recipe = RECIPES[name]
    assert recipe.config.latent_dim == RECIPES[recipe.uses["autoencoder"]].config.latent_dim
    assert recipe.config.has_captions == name.startswith("text-to-video")
    assert recipe.dataset == (recipe.reference, "train") and name.endswith(recipe.reference)
    assert all(steps > diffusion.WARMUP_STEPS and steps % 100 == 0 for steps in recipe.steps.values())
    assert recipe.build().network.output_shape == (None, 16, 32)


def test_no_held_out_combination_is_learned_from_and_each_part_of_it_is(monkeypatch):
    monkeypatch.setattr(text_to_video, "load", lambda name: datasets.load(name, "train", 400))
    vae = small_vae(1)
    examples = text_to_video.training_set("digits", vae, num_extra_clips=60, num_free_motion_clips=40)
    z_mean, z_log_var, tokens = (examples[name] for name in ("z_mean", "z_log_var", "tokens"))
    captions = detokenize(tokens)
    states = digits.parse_captions([caption for caption in captions if "then" in caption])
    assert not is_held_out(states).any() and set(states["digit"][:, 0]) == set(range(10))
    assert z_mean.shape == z_log_var.shape == (len(tokens), 16, 32)
    assert 20 < sum(caption.endswith("is moving .") for caption in captions) <= 40, "some move nearly as is held out"
    assert sum(caption.startswith("数字") for caption in captions) == len(captions) / 2
    seen = datasets.load("digits", "train", 400)
    kept = np.flatnonzero(~is_held_out(seen.states))
    assert captions[: len(kept)] == seen.captions[kept].tolist() and captions[len(kept)] == seen.captions_zh[kept[0]]
    np.testing.assert_allclose(z_mean[3], np.asarray(vae.encoder(seen.frames[kept[3]] / 127.5 - 1)[0]), atol=1e-4)


def test_scene_layers_are_examples_with_their_own_phrase_first():
    """The second object is conditioned on the first one's latents, and taken more often where both collide."""
    vae, clips = small_vae(3), datasets.load("shapes", "train", 60)
    kept = clips[~is_held_out(clips.states)]
    second = np.flatnonzero(kept.states["color"][:, 1] >= 0)
    collides = kept.states["motion"][second, 1] == shapes.MOTIONS.index("collides")
    assert 0 < collides.sum() < len(second)
    second = np.repeat(second, np.where(collides, 3, 1))
    examples = text_to_video.encode_examples(vae, clips, num_scene_layers=2, collision_repeats=3)
    half = len(kept) + len(second)
    assert {name: len(array) for name, array in examples.items()} == dict.fromkeys(examples, 2 * half)
    assert detokenize(examples["tokens"][[0, half]]) == [kept.captions[0], kept.captions_zh[0]]
    swapped = swap_phrases(tokenize([kept.captions[second[0]]]))
    np.testing.assert_array_equal(examples["tokens"][len(kept)], swapped[0])
    expected = encode(vae, shapes.render_layer(kept.states, 1)[second])[0]
    np.testing.assert_allclose(examples["z_mean"][len(kept) : half], expected, atol=1e-4)
    np.testing.assert_array_equal(examples["z_mean"][:half], examples["z_mean"][half:])
    assert not examples["background"][: len(kept)].any()
    np.testing.assert_array_equal(examples["background"][len(kept) : half], examples["z_mean"][: len(kept)][second])


def test_an_autoencoder_learns_whole_frames_or_single_objects():
    clips = datasets.load("shapes", "train", 30)
    learned = clips[~is_held_out(clips.states)]
    np.testing.assert_array_equal(text_to_video.autoencoder_frames(clips, 1), learned.frames.reshape(-1, 32, 32, 3))
    two = int(np.sum(learned.states["objects"] == 2))
    frames = text_to_video.autoencoder_frames(clips, 2)
    assert 0 < two < len(learned) < 30 and frames.shape == ((len(learned) + two) * 16, 32, 32, 3)
    plain = (frames == shapes.BACKGROUND).all(axis=-1).mean(axis=(1, 2))
    assert plain.min() > 0.5 and plain.max() < 1, "one object in each frame"
