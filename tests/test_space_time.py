"""Text to video by tokens of space and time: the linear autoencoder, the text encoder, the transformer, and what is measured."""

import keras
import numpy as np
import pytest
import scipy.stats
from keras import ops

from vidgen_tf import subwords, zoo
from vidgen_tf.errors import CourseError
from vidgen_tf.evaluation.space_time import face_matches, said_accuracies
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
from vidgen_tf.models.space_time_dit import (
    GaussianPreconditioning,
    SpaceTimeConfig,
    SpaceTimeDiffusion,
    regress_velocity,
    space_time_positions,
)
from vidgen_tf.models.text_transformer import TextTransformer
from vidgen_tf.pipelines.space_time import sample_prompts, unseen_prompts
from vidgen_tf.pipelines.text_to_video import load_pretrained, text_to_video
from vidgen_tf.recipes import RECIPES, space_time
from vidgen_tf.recipes.space_time import CAPTIONS_PER_CLIP, fit_captioned, fit_prompts
from vidgen_tf.splits import HELD_OUT_HAIR, is_held_out_hair
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
    num_components=5,
    timestep_shift=3.0,
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


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_the_guessed_velocity_is_that_of_gaussian_latents(t):
    """Against least squares on drawn latents and noise: slope, and what it leaves over."""
    rng, variance = np.random.default_rng(1), 2.5
    latents, noise = np.sqrt(variance) * rng.normal(size=200000), rng.normal(size=200000)
    noisy, velocity = (1 - t) * latents + t * noise, noise - latents
    slope, spread = (float(part) for part in regress_velocity(np.float32(t), np.float32(variance)))
    fitted = scipy.stats.linregress(noisy, velocity)
    assert abs(fitted.slope - slope) < 0.02 and abs(np.var(velocity - slope * noisy) / spread - 1) < 0.02


def test_the_guess_without_a_prompt_expects_the_mean_and_knows_less():
    rng, layer = np.random.default_rng(0), GaussianPreconditioning(3)
    noisy, t = rng.normal(size=(1, 2, 4)).astype(np.float32), np.full((1, 1), 0.7, np.float32)
    components = np.float32([[1, -1, 2]])
    layer(noisy, t, components, np.ones((1, 1)))
    mean, basis = rng.normal(size=8).astype(np.float32), rng.normal(size=(8, 3)).astype(np.float32)
    layer.assign_clips(mean, np.full(8, 2.0), np.full(8, 0.5), basis)
    for is_told, expected, variance in ((1.0, mean + basis @ components[0], 0.5), (0.0, mean, 2.0)):
        inputs, velocity, spread = layer(noisy, t, components, np.full((1, 1), is_told, np.float32))
        slope, left = regress_velocity(np.float32(0.7), np.float32(variance))
        assert np.allclose(np.ravel(velocity), slope * (noisy.ravel() - 0.3 * expected) - expected, atol=1e-5)
        assert np.allclose(spread, np.sqrt(left)) and np.allclose(
            np.ravel(inputs[..., 1]), (expected - mean) / np.sqrt(2), atol=1e-6
        )


def told_clips(count=400, spread=0.2):
    """Clips of two prompts, each a kind of its own; what a clip adds to its kind is nearly the same in all its numbers."""
    rng = np.random.default_rng(0)
    kinds = rng.normal(size=(2, 2, TINY.latent_dim)).astype(np.float32)
    kind = np.arange(count) % 2
    added = rng.normal(size=(count, 1, 1)) + 0.2 * rng.normal(size=(count, 2, TINY.latent_dim))
    latents = kinds[kind] + spread * added.astype(np.float32)
    tokens = subwords.encode(PROMPTS)[kind]
    return kinds, {"latents": latents, "tokens": np.repeat(tokens[:, None], CAPTIONS_PER_CLIP, axis=1)}


PROMPTS = ("someone smiles", "someone blinks")


@pytest.fixture(scope="module")
def told():
    return told_clips()


@pytest.fixture(scope="module")
def reader(told):
    """A model whose text encoder has learned, and whose transformer has not."""
    keras.utils.set_random_seed(1)
    model = SpaceTimeDiffusion(TINY)
    fit_prompts(model, told[1], 200, seed=1)
    return model


def nearest_kinds(model, kinds, guidance_scale=1.0, prompts=PROMPTS):
    """Which kind each of forty samples is nearest to, and how far it is from that one; the prompts take turns."""
    tokens = subwords.encode([prompts[i % len(prompts)] for i in range(40)])
    velocity_fn = guided_velocity(model, guidance_scale, conditioning={"tokens": tokens})
    sampled = model.sample(40, seed=3, num_inference_steps=40, velocity_fn=velocity_fn)
    error = np.abs(sampled[:, None] - kinds[None]).mean(axis=(2, 3))
    return error.argmin(axis=1), error.min(axis=1)


@pytest.mark.parametrize("guidance_scale", [1.0, 2.0])
def test_a_reader_samples_the_clips_of_a_prompt_before_the_transformer_has_learned_anything(told, reader, guidance_scale):
    nearest, error = nearest_kinds(reader, told[0], guidance_scale)
    assert np.array_equal(nearest, np.arange(40) % 2) and error.mean() < 0.3  # half of the distance between the kinds is 0.56


def test_without_a_prompt_a_reader_samples_either_kind(told, reader):
    nearest, _ = nearest_kinds(reader, told[0], 1.0, [""])
    assert 8 <= np.sum(nearest) <= 32


def test_a_reader_of_captions_of_other_clips_knows_nothing(told):
    shuffled = np.random.default_rng(1).permutation(told[1]["tokens"])  # the control
    keras.utils.set_random_seed(1)
    model = SpaceTimeDiffusion(TINY)
    fit_prompts(model, told[1] | {"tokens": shuffled}, 200, seed=1)
    right = nearest_kinds(model, told[0])[0] == np.arange(40) % 2
    assert 10 < right.sum() < 30


def test_the_flow_is_learned_from_where_the_reader_stands_and_leaves_the_text_encoder_alone(told, reader):
    model = SpaceTimeDiffusion(TINY)
    model.network.set_weights(reader.network.get_weights())
    model.normalization.set_weights(reader.normalization.get_weights())
    trainer = FlowMatching(model)
    assert all(np.array_equal(a, b) for a, b in zip(trainer.network.get_weights(), reader.network.get_weights()))
    trained = {weight.path.split("/")[0] for weight in trainer.network.trainable_variables}
    assert not trained & {"text_encoder", "expected_hidden", "expected", "preconditioning"} and trained
    batch = told[1] | {"tokens": told[1]["tokens"][:, 0]}

    def loss():
        trainer = FlowMatching(model)
        trainer.compile()
        return trainer.evaluate(batch, batch_size=100, verbose=0)

    before = loss()
    fit_captioned(model, told[1], 400, seed=1, learning_rate=1e-2, log_interval=100)
    assert loss() < 0.97 * before


def test_a_reader_is_saved_and_loaded(told, reader, tmp_path):
    reader.save(tmp_path / "reader.keras")
    loaded = keras.models.load_model(tmp_path / "reader.keras")
    noisy = np.random.default_rng(0).normal(size=(2, 2, TINY.latent_dim)).astype(np.float32)
    for t in (1.0, 0.5, 0.0):
        conditioning = {"tokens": subwords.encode(PROMPTS)}
        velocities = [model.velocity(noisy, t, conditioning=conditioning) for model in (reader, loaded)]
        assert np.all(np.isfinite(velocities[0])) and np.allclose(*velocities, atol=1e-5)


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
    prompts, said = unseen_prompts("faces", 60)
    assert len(prompts) == 60 and sum(not prompt.isascii() for prompt in prompts) == 30
    assert not np.any(is_held_out_hair(said))
    prompts, said = unseen_prompts("faces", 60, held_out=True)
    assert len(prompts) == 60 and np.all(is_held_out_hair(said))
    assert {*zip(said["hair_style"].tolist(), said["hair_colour"].tolist())} == {*HELD_OUT_HAIR}


def test_real_clips_are_read_as_what_their_captions_say():
    from vidgen_tf.datasets import load
    from vidgen_tf.worlds.paraphrases import paraphrase

    clips = load("faces", "test", 120)
    said = paraphrase(clips.states, "faces", seed=9, split="test")[2]
    scores = said_accuracies(clips.frames, said, "faces")
    assert scores["joint_accuracy"] > 0.93 and min(scores.values()) > 0.93
    wrong = said | {"expression": (said["expression"] + 1) % 5}
    assert said_accuracies(clips.frames, wrong, "faces")["motion_accuracy"] < 0.1
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
    allowed = mixed[~is_held_out_hair(mixed.states)]
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
        sample_prompts(SpaceTimeDiffusion(TINY), autoencoder, ["someone smiles"], {"digit": 2.0}, world="faces")
    with pytest.raises(CourseError, match="no prompt"):
        sample_prompts(SpaceTimeDiffusion(TINY), autoencoder, [], 2.0, world="faces")


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
    prompts, said = unseen_prompts("faces", 40)
    model, patches = load_pretrained("faces")
    frames = sample_prompts(model, patches, prompts, **record["sampling"], seed=3, world="faces")
    scores, recorded = said_accuracies(frames, said, "faces"), record["scores"]
    for name in ("appearance_accuracy", "motion_accuracy", "joint_accuracy"):
        deviation = np.sqrt(recorded[name] * (1 - recorded[name]) / 40)
        assert abs(scores[name] - recorded[name]) <= 4 * deviation + 0.02, name
    swapped = {name: np.roll(value, 1) for name, value in said.items()}
    assert said_accuracies(frames, swapped, "faces")["joint_accuracy"] < 0.3 * scores["joint_accuracy"]  # the control
