"""Text to video by tokens of space and time: the linear autoencoder, the text encoder, the transformer, and what is measured."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from vidgen_tf import subwords, zoo
from vidgen_tf.errors import CourseError
from vidgen_tf.evaluation.space_time import face_matches, prompt_accuracies
from vidgen_tf.models.flow_matching import FlowMatching, guided_velocity
from vidgen_tf.models.patch_autoencoder import (
    PatchAutoencoder,
    PatchAutoencoderConfig,
    cosine_basis,
    decode_clips,
    encode_clips,
    from_patches,
    principal_components,
    to_patches,
)
from vidgen_tf.models.space_time_dit import SpaceTimeConfig, SpaceTimeDiffusion, space_time_positions
from vidgen_tf.models.text_transformer import TextTransformer
from vidgen_tf.pipelines.space_time import sample_prompts, world_prompts
from vidgen_tf.pipelines.text_to_video import load_pretrained, text_to_video
from vidgen_tf.recipes import RECIPES, space_time
from vidgen_tf.recipes.space_time import CAPTIONS_PER_CLIP, fit_captioned, fit_prompts
from vidgen_tf.splits import HELD_OUT_HAIR, is_held_out_prompt
from vidgen_tf.worlds import faces

SMALL = PatchAutoencoderConfig(
    image_size=16, num_frames=4, patch_size=8, temporal_factor=2, frame_components=12, latent_channels=6, change_gain=1.0
)
TINY = SpaceTimeConfig(
    num_frames=2,
    grid_size=2,
    latent_channels=6,
    hidden_dim=24,
    num_layers=1,
    num_heads=2,
    vocabulary_size=640,
    text_dim=16,
    text_layers=1,
)


@pytest.fixture(scope="module")
def clips():
    return faces.make(40, seed=1, size=16, num_frames=4).frames


@pytest.fixture(scope="module")
def autoencoder(clips):
    model = PatchAutoencoder(SMALL)
    model.fit_components(clips)
    return model


def test_patches_are_put_together_again():
    clip = np.random.default_rng(0).normal(size=(2, 4, 16, 16, 3)).astype(np.float32)
    patches = to_patches(clip, SMALL)
    assert patches.shape == (2, 2, 2, 4, 192)
    assert np.array_equal(patches[1, 0, 1, 2], clip[1, 1, 8:, :8].ravel())  # the second frame's lower left patch
    assert np.array_equal(from_patches(patches, SMALL), clip)


def test_cosines_are_orthonormal_and_the_first_one_is_the_mean():
    basis = cosine_basis(4, 1.0)
    assert np.allclose(basis @ basis.T, np.eye(4), atol=1e-6)
    assert np.allclose(basis[0] @ [1, 2, 3, 4], 2.5 * 2)  # of unit length: the mean times the root of 4
    assert np.allclose(cosine_basis(4, 3.0)[1:], 3 * basis[1:])


def test_principal_components_are_those_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    rows = (np.random.default_rng(1).normal(size=(300, 10)) * np.arange(1, 11)).astype(np.float32)
    mean, components, deviations = principal_components(rows, 3)
    reference = decomposition.PCA(3).fit(rows)
    assert np.allclose(np.abs(components.T @ reference.components_.T), np.eye(3), atol=1e-3)
    assert np.allclose(mean, reference.mean_, atol=1e-4)
    assert np.allclose(deviations, np.sqrt(reference.explained_variance_ * 299 / 300), rtol=1e-3)


def test_a_reconstruction_is_the_better_the_more_numbers_a_latent_has(clips):
    errors = []
    for channels in (1, 6, 24):
        config = PatchAutoencoderConfig(**SMALL.get_config() | {"latent_channels": channels, "frame_components": 12})
        model = PatchAutoencoder(config)
        model.fit_components(clips)
        errors.append(np.mean((decode_clips(model, encode_clips(model, clips)).astype(float) - clips) ** 2))
    assert errors[0] > 1.5 * errors[1] and errors[1] > 1.5 * errors[2]
    spread = np.mean((clips - clips.mean(axis=0)) ** 2)
    assert errors[0] < 0.7 * spread  # one number tells more than the mean clip


def test_latents_have_mean_0_and_deviations_between_those_of_pixels_and_1(autoencoder, clips):
    latents = encode_clips(autoencoder, clips).reshape(-1, 4, 6)
    assert np.allclose(latents.mean(axis=0), 0, atol=0.05)
    deviations = latents.std(axis=0)
    assert np.all(np.diff(deviations, axis=1) < 1e-3)  # the first component varies most
    assert 0.9 < np.sqrt(np.mean(deviations**2)) < 1.1


def test_a_gain_of_changes_leaves_more_of_them(clips):
    kept = {}
    for gain in (1.0, 8.0):
        model = PatchAutoencoder(
            PatchAutoencoderConfig(**SMALL.get_config() | {"temporal_factor": 4, "frame_components": 64, "change_gain": gain})
        )
        model.fit_components(clips)
        made = decode_clips(model, encode_clips(model, clips)).astype(float)
        kept[gain] = np.mean((np.diff(made, axis=1) - np.diff(clips.astype(float), axis=1)) ** 2)
    assert kept[8.0] < 0.9 * kept[1.0]


def test_a_place_that_looks_the_same_in_all_clips_is_no_trouble():
    """Black bars, a station's logo: their numbers have no variance, and are not divided by 0."""
    frames = np.random.default_rng(0).integers(0, 255, (12, 4, 16, 16, 3)).astype(np.uint8)
    frames[:, :, :8] = 0
    config = PatchAutoencoderConfig(image_size=16, num_frames=4, patch_size=8, frame_components=8, latent_channels=6)
    model = PatchAutoencoder(config)
    model.fit_components(frames)
    kept = decode_clips(model, encode_clips(model, frames))
    assert np.all(kept[:, :, :8] < 8)


def test_an_autoencoder_is_saved_and_loaded(autoencoder, clips, tmp_path):
    autoencoder.save(tmp_path / "autoencoder.keras")
    loaded = keras.models.load_model(tmp_path / "autoencoder.keras")
    assert np.allclose(encode_clips(loaded, clips[:3]), encode_clips(autoencoder, clips[:3]), atol=1e-5)


@pytest.mark.parametrize(
    "changes, message",
    [({"patch_size": 5}, "multiple"), ({"num_frames": 5}, "multiple"), ({"latent_channels": 25}, "at most 24")],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(CourseError, match=message):
        PatchAutoencoderConfig(**SMALL.get_config() | changes)


def test_clips_of_another_size_are_refused(autoencoder):
    with pytest.raises(CourseError, match="uint8"):
        encode_clips(autoencoder, np.zeros((2, 4, 32, 32, 3), np.uint8))


def test_the_text_encoder_knows_the_order_of_words_and_not_the_padding():
    encoder = TextTransformer(50, 16, 2, 2, 8, dropout=0.0)
    tokens = np.array([[3, 4, 5, 0, 0, 0, 0, 0], [5, 4, 3, 0, 0, 0, 0, 0], [3, 4, 5, 6, 0, 0, 0, 0], [0] * 8])
    vectors, mask, pooled = encoder(tokens)
    assert not np.allclose(pooled[0], pooled[1], atol=1e-3)  # the same words in another order
    assert np.array_equal(mask, tokens > 0)
    assert np.all(np.asarray(vectors)[np.asarray(mask) == 0] == 0) and np.all(np.isfinite(pooled))
    one = TextTransformer(50, 16, 2, 2, 4, dropout=0.0)
    one(tokens[:, :4])
    one.set_weights(encoder.get_weights())
    assert np.allclose(one(tokens[:1, :4])[2], pooled[:1], atol=1e-5)  # four padded places fewer


def test_prompts_are_dropped_in_training_alone():
    encoder = TextTransformer(50, 16, 1, 2, 4, dropout=0.5)
    tokens = np.ones((400, 4), np.int32)
    assert np.all(encoder(tokens)[1] == 1)
    dropped = np.mean(np.asarray(encoder(tokens, training=True)[1]).max(axis=1) == 0)
    assert 0.4 < dropped < 0.6


def test_each_token_has_a_position_of_its_own():
    positions = np.asarray(space_time_positions(TINY)).reshape(-1, TINY.hidden_dim)
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    assert np.all(distances[~np.eye(len(positions), dtype=bool)] > 0.3)


def test_a_new_transformer_predicts_0_and_listens_to_the_prompt_once_trained():
    keras.utils.set_random_seed(1)
    model, rng = SpaceTimeDiffusion(TINY), np.random.default_rng(0)
    noisy = rng.normal(size=(4, 2, TINY.latent_dim)).astype(np.float32)
    tokens = subwords.encode(["someone smiles", "someone blinks"] * 2)
    assert not np.any(model.velocity(noisy, 0.5, conditioning={"tokens": tokens}))
    # two prompts, two clips: what is sampled must be that of the prompt
    both = rng.normal(size=(2, 2, TINY.latent_dim)).astype(np.float32)
    examples = {"latents": np.tile(both, (40, 1, 1)), "tokens": np.tile(tokens[:2, None], (40, CAPTIONS_PER_CLIP, 1))}
    fit_captioned(model, examples, 300, text_steps=200, seed=1, learning_rate=1e-2, log_interval=100)
    sampled = model.sample(4, seed=3, velocity_fn=guided_velocity(model, 1.0, conditioning={"tokens": tokens}))
    error = np.abs(sampled[:, None] - both[None]).mean(axis=(2, 3))
    assert error.argmin(axis=1).tolist() == [0, 1, 0, 1] and error.min(axis=1).max() < 0.35


def test_the_text_encoder_learns_what_clips_have_in_common_and_the_flow_leaves_it_alone():
    keras.utils.set_random_seed(1)
    model, rng = SpaceTimeDiffusion(TINY), np.random.default_rng(0)
    tokens = subwords.encode(["someone smiles", "someone blinks"] * 40)
    latents = np.zeros((80, 2, TINY.latent_dim), np.float32)
    latents[:, 0, 1:4] = rng.normal(size=(80, 3))  # what no prompt tells
    latents[:, 0, 0] = np.where(np.arange(80) % 2, 9, -9)  # what the prompt decides
    examples = {"latents": latents, "tokens": np.repeat(tokens[:, None], CAPTIONS_PER_CLIP, axis=1)}
    before = model.text_encoder.get_weights()
    losses = fit_prompts(model, examples, 200, seed=1)["loss"]
    assert losses[-1] < 0.072  # of 48 numbers four vary: 4 / 48 without the prompt, 3 / 48 with it
    learned = model.text_encoder.get_weights()
    assert any(np.any(new != old) for new, old in zip(learned, before))
    for has_frozen_text in (True, False):
        model.config = dataclasses.replace(TINY, has_frozen_text=has_frozen_text)
        encoder = FlowMatching(model, 0.9, seed=1).network.get_layer("text_encoder")
        assert all(np.array_equal(new, old) for new, old in zip(encoder.get_weights(), learned))
        assert bool(encoder.trainable_variables) != has_frozen_text


def test_the_loss_learns_in_every_weight():
    model = SpaceTimeDiffusion(TINY)
    trainer = FlowMatching(model, 0.9, seed=1)
    for weight in trainer.network.trainable_variables:  # away from the zeros at which nothing passes through
        weight.assign(weight + 0.05 * keras.random.normal(weight.shape, seed=2))
    batch = {"latents": ops.ones((4, 2, TINY.latent_dim)), "tokens": subwords.encode(["someone smiles"] * 4)}
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = trainer.compute_loss(batch, y_pred=trainer(batch, training=False))
    gradients = tape.gradient(loss, [weight.value for weight in trainer.network.trainable_variables])
    silent = [weight.path for weight, g in zip(trainer.network.trainable_variables, gradients) if g is None]
    assert silent == []


@pytest.mark.parametrize("changes", [{"hidden_dim": 20}, {"num_heads": 5}, {"prompt_dropout": 1.5}])
def test_impossible_transformers_are_refused(changes):
    with pytest.raises(CourseError):
        SpaceTimeConfig(**TINY.get_config() | changes)


def test_prompts_for_tests_are_half_chinese_and_hold_out_what_training_has_not():
    prompts, said = world_prompts("faces", 60)
    assert len(prompts) == 60 and sum(not prompt.isascii() for prompt in prompts) == 30
    assert not np.any(is_held_out_prompt(said, "faces"))
    prompts, said = world_prompts("faces", 60, held_out=True)
    assert len(prompts) == 60 and np.all(is_held_out_prompt(said, "faces"))
    assert {*zip(said["hair_style"].tolist(), said["hair_colour"].tolist())} == {*HELD_OUT_HAIR}
    assert not {*world_prompts("faces", 60)[0]} & {*world_prompts("faces", 60, forms="train")[0]}
    assert np.all(is_held_out_prompt(world_prompts("digits", 10, held_out=True)[1], "digits"))


def test_real_clips_are_read_as_what_their_captions_say():
    from vidgen_tf.datasets import load
    from vidgen_tf.worlds.paraphrases import paraphrase

    clips = load("faces", "test", 120)
    said = paraphrase(clips.states, "faces", seed=9, split="test")[2]
    scores = prompt_accuracies(clips.frames, said)
    assert scores["joint_accuracy"] > 0.93 and min(scores.values()) > 0.93
    wrong = said | {"expression": (said["expression"] + 1) % 5}
    assert prompt_accuracies(clips.frames, wrong)["motion_accuracy"] < 0.1
    other = said | {"hair_colour": np.where(said["hair_colour"] < 0, -1, (said["hair_colour"] + 1) % 5)}
    matches = face_matches(clips.frames, other)
    assert matches["hair_colour_accuracy"][said["hair_colour"] < 0].all()  # what is left open can't be wrong
    assert not matches["hair_colour_accuracy"][said["hair_colour"] >= 0].any()


def test_held_out_hair_reaches_neither_the_autoencoder_nor_the_transformer(monkeypatch):
    mixed = faces.make(60, seed=5, size=64, num_frames=16)
    mixed.states["hair_style"][:20], mixed.states["hair_colour"][:20] = HELD_OUT_HAIR[0]
    monkeypatch.setattr(space_time, "load", lambda *arguments: mixed)
    monkeypatch.setattr(space_time, "iter_drawn", lambda name, count: iter([mixed] if count else []))
    monkeypatch.setattr(space_time, "encode_clips", lambda model, frames: frames[:, :, 0, :4, 0].astype(np.float32))
    allowed = mixed[~is_held_out_prompt(mixed.states, "faces")]
    assert len(allowed) <= 40
    examples = space_time.training_set("faces", None, num_extra_clips=60)
    assert np.array_equal(examples["latents"], np.tile(allowed.frames[:, :, 0, :4, 0], (2, 1, 1)))
    assert examples["tokens"].shape == (2 * len(allowed), CAPTIONS_PER_CLIP, subwords.PROMPT_LENGTH)
    assert not np.array_equal(*np.split(examples["tokens"], 2))  # other captions for the clips of another block
    recipe, seen = RECIPES["patch-autoencoder-faces"], []
    monkeypatch.setattr(PatchAutoencoder, "fit_components", lambda self, frames, seed: seen.append(frames))
    recipe.train(recipe, PatchAutoencoder(SMALL), 1, None)
    assert np.array_equal(seen[0], allowed.frames)


def test_guidance_of_single_attributes_is_refused(autoencoder):
    with pytest.raises(CourseError, match="as a number"):
        sample_prompts(SpaceTimeDiffusion(TINY), autoencoder, ["someone smiles"], {"digit": 2.0})
    with pytest.raises(CourseError, match="captions of faces: circle"):
        sample_prompts(SpaceTimeDiffusion(TINY), autoencoder, ["a circle smiles"], 2.0)
    with pytest.raises(CourseError, match="no prompt"):
        sample_prompts(SpaceTimeDiffusion(TINY), autoencoder, [], 2.0)


def test_prompts_about_faces_become_clips_with_their_prompts():
    prompts = ["someone with curly red hair smiles", "a red circle falls"]
    clips = text_to_video(prompts, seed=1, num_inference_steps=2)
    assert [clip.frames.shape for clip in clips] == [(16, 64, 64, 3), (16, 32, 32, 3)]
    assert [clip.caption for clip in clips] == prompts
    with pytest.raises(CourseError, match="holds no model of faces"):
        text_to_video(prompts[:1], folder="build")


def test_the_shipped_model_does_what_prompts_in_new_forms_say():
    """A tenth of what its record was measured on."""
    record = zoo.record("text-to-video-faces")
    prompts, said = world_prompts("faces", 40)
    model, patches = load_pretrained("faces")
    frames = sample_prompts(model, patches, prompts, **record["sampling"], seed=3)
    scores, recorded = prompt_accuracies(frames, said), record["scores"]
    for name in ("appearance_accuracy", "motion_accuracy", "joint_accuracy"):
        deviation = np.sqrt(recorded[name] * (1 - recorded[name]) / 40)
        assert abs(scores[name] - recorded[name]) < 4 * deviation, name
    swapped = {name: np.roll(value, 1) for name, value in said.items()}
    assert prompt_accuracies(frames, swapped)["joint_accuracy"] < 0.3 * scores["joint_accuracy"]  # the control
