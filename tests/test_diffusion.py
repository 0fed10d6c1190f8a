"""Latent video diffusion: the straight way to noise, the samplers, the transformer, what trains and what stays."""

import dataclasses
import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from vidgen_tf import training, zoo
from vidgen_tf.datasets import pipeline
from vidgen_tf.errors import CourseError
from vidgen_tf.models import diffusion as D

SMALL = D.DiffusionConfig(frames=5, latent_dim=3, width=8, depth=2, heads=2)
SHALLOW = dataclasses.replace(SMALL, depth=1)  # compiles sooner
RNG = np.random.default_rng(0)
CLIPS, NOISE = (RNG.normal(size=(40, 5, 3)).astype("float32") for _ in range(2))


def small(seed=3, **changes):
    """A model whose zero-initialised parts have woken up."""
    training.set_seed(seed)
    model = D.LatentDiffusion(dataclasses.replace(SMALL, **changes))
    rng = np.random.default_rng(seed)
    model.network.set_weights([w + 0.2 * rng.normal(size=w.shape) for w in model.network.get_weights()])
    return model


def trained(steps, checkpoint=None, ema=0.9, callbacks=()):
    training.set_seed(3)
    model = D.LatentDiffusion(SHALLOW)
    options = {
        "batch_size": 8,
        "ema": ema,
        "seed": 4,
        "checkpoint": checkpoint,
        "log_steps": 5,
        "callbacks": callbacks,
    }
    D.fit_diffusion(model, CLIPS, steps, **options)
    return model


@pytest.mark.parametrize("t", [0.0, 0.3, 0.9, 1.0])
def test_noise_clip_and_velocity_are_one_and_the_same_knowledge(t):
    t = np.full((40, 1), t, "float32")
    noisy, velocity = D.mixed(CLIPS, NOISE, t), NOISE - CLIPS
    np.testing.assert_allclose(D.velocity_to_noise(velocity, noisy, t), NOISE, atol=1e-5)
    np.testing.assert_allclose(D.velocity_to_clip(velocity, noisy, t), CLIPS, atol=1e-5)
    if t[0, 0] < 1:
        np.testing.assert_allclose(D.noise_to_velocity(NOISE, noisy, t), velocity, atol=1e-4)
    step = 1e-3  # the velocity is the derivative by t
    np.testing.assert_allclose((D.mixed(CLIPS, NOISE, t + step) - noisy) / step, velocity, atol=2e-3)


def test_a_mixture_is_a_ddpms_stretched():
    t = np.linspace(0, 1, 40, dtype="float32")[:, None]
    signal, noise = D.ddpm_rates(t)
    np.testing.assert_allclose(signal**2 + noise**2, 1, rtol=1e-6)
    length = np.sqrt((1 - t) ** 2 + t**2)[..., None]
    expected = signal[..., None] * CLIPS + noise[..., None] * NOISE
    np.testing.assert_allclose(D.mixed(CLIPS, NOISE, t) / length, expected, atol=1e-6)
    assert (np.diff(signal[:, 0]) < 0).all() and signal[0, 0] == 1 and noise[-1, 0] == 1


def gaussian(mean, deviation):
    """The exact velocity where clips are Gaussian: the mean of noise - clip, given their mixture."""

    def velocity(z, t):
        t = t[..., None]
        variance = (1 - t) ** 2 * deviation**2 + t**2
        return (t - (1 - t) * deviation**2) / variance * (z - (1 - t) * mean) - mean

    return velocity


@pytest.mark.parametrize("solver, steps, tolerance", [(D.euler, 400, 0.02), (D.heun, 40, 0.004)])
def test_a_sampler_reproduces_a_gaussian(solver, steps, tolerance):
    """The flow from N(0, 1) to N(m, s) is x = m + s z, so each point's end is known."""
    mean, deviation = np.float32([1.5, -2.0, 0.0]), np.float32([0.3, 1.0, 2.0])
    z = np.random.default_rng(1).normal(size=(500, 1, 3))
    levels = np.linspace(1, 0, steps + 1)[:, None, None]
    made = solver(gaussian(mean, deviation), z, levels)
    assert np.abs(made - (mean + deviation * z)).max() < tolerance * np.abs(z).max()


def test_heuns_error_falls_with_the_square_of_the_step_and_eulers_with_the_step():
    z = np.random.default_rng(1).normal(size=(50, 1, 3))

    def error(solver, steps):
        levels = np.linspace(1, 0, steps + 1)[:, None, None]
        return np.abs(solver(gaussian(1.0, 0.5), z, levels) - (1 + 0.5 * z)).max()

    assert error(D.euler, 20) / error(D.euler, 80) == pytest.approx(4, rel=0.3)
    assert error(D.heun, 20) / error(D.heun, 80) == pytest.approx(16, rel=0.3)


def test_sinusoids_are_loud_and_tell_places_apart():
    told = np.asarray(D.sinusoids(np.arange(16, dtype="float32"), 32, 100.0))
    np.testing.assert_allclose(told[:, :16] ** 2 + told[:, 16:] ** 2, 1, rtol=1e-5)
    np.testing.assert_allclose(told[:, 0], np.sin(np.arange(16)), atol=1e-5)
    np.testing.assert_allclose(told[:, 15], np.sin(np.arange(16) / 100), atol=1e-5)
    distance = np.linalg.norm(told[:, None] - told[None], axis=-1) + 9 * np.eye(16)
    assert distance.min() > 0.5


def test_attention_is_a_weighted_mean():
    """Against the equations, written out in NumPy, with words of which some are not there."""
    training.set_seed(1)
    layer = D.Attention(8, 2, listens=True)
    x, words = RNG.normal(size=(4, 5, 8)).astype("float32"), RNG.normal(size=(4, 6, 8)).astype("float32")
    said = np.float32([[1, 1, 1, 0, 0, 0], [1] * 6, [0] * 6, [0, 1, 0, 1, 0, 0]])
    heard = np.asarray(layer(x, words, said))
    frames, others, out = (part.get_weights() for part in (layer.from_frames, layer.from_words, layer.out))
    queries, keys, values = np.split(x @ frames[0] + frames[1], 3, axis=-1)
    more_keys, more_values = np.split(words @ others[0] + others[1], 2, axis=-1)
    for clip in range(4):
        there = said[clip] == 1
        k, v = (np.concatenate(pair) for pair in ((keys[clip], more_keys[clip, there]), (values[clip], more_values[clip, there])))
        expected = []
        for head in (slice(0, 4), slice(4, 8)):
            weight = np.exp(queries[clip][:, head] @ k[:, head].T / 2)
            expected.append(weight / weight.sum(axis=1, keepdims=True) @ v[:, head])
        np.testing.assert_allclose(heard[clip], np.concatenate(expected, axis=1) @ out[0] + out[1], atol=1e-5)


def test_a_new_block_changes_nothing_and_a_new_network_says_nothing():
    x, condition = RNG.normal(size=(4, 5, 8)).astype("float32"), RNG.normal(size=(4, 1, 8)).astype("float32")
    np.testing.assert_array_equal(D.Block(SMALL)(x, condition), x)
    network = D.build_transformer(SMALL)
    assert not np.asarray(network([CLIPS, np.full((40, 5), 0.5, "float32")])).any()


def test_the_adaptive_norm_scales_and_shifts_what_is_normalised():
    layer = D.AdaptiveNorm(8, parts=2)
    x, condition = RNG.normal(size=(4, 5, 8)).astype("float32"), RNG.normal(size=(4, 5, 8)).astype("float32")
    (normed,) = layer(x, condition)
    np.testing.assert_allclose(np.mean(normed, axis=-1), 0, atol=1e-6)
    np.testing.assert_allclose(np.std(normed, axis=-1), 1, atol=1e-4)
    kernel, bias = RNG.normal(size=(8, 16)), RNG.normal(size=16)
    layer.told.set_weights([kernel, bias])
    told = condition / (1 + np.exp(-condition)) @ kernel + bias
    np.testing.assert_allclose(layer(x, condition)[0], normed * (1 + told[..., :8]) + told[..., 8:], atol=1e-4)


def test_a_level_for_all_frames_is_the_same_level_for_each():
    model = small()
    shared, each = (np.full((40, times), 0.3, "float32") for times in (1, 5))
    np.testing.assert_allclose(model.velocity(CLIPS, shared), model.velocity(CLIPS, each), atol=1e-5)
    each[:, 2] = 0.9
    assert (np.abs(model.velocity(CLIPS, shared) - model.velocity(CLIPS, each)).max(axis=(0, 2)) > 1e-4).all()


def test_the_order_of_frames_matters_only_by_their_places():
    t = np.full((1, 1), 0.5, "float32")
    mute, loud = small(loudness=0.0), small()
    order = [3, 1, 4, 0, 2]
    np.testing.assert_allclose(mute.velocity(CLIPS[:, order], t), mute.velocity(CLIPS, t)[:, order], atol=1e-5)
    assert np.abs(loud.velocity(CLIPS[:, order], t) - loud.velocity(CLIPS, t)[:, order]).max() > 1e-3


@pytest.mark.parametrize("solver", [D.euler, D.heun])
def test_known_frames_stay_exactly_and_steer_the_others(solver):
    model = small()
    model.scale.adapt(3 * CLIPS + 1, np.full_like(CLIPS, -6.0))
    given = np.array([True, False, False, True, False])
    made = model.sample(40, steps=3, seed=1, solver=solver, known=CLIPS, given=given)
    np.testing.assert_array_equal(made[:, given], CLIPS[:, given])
    free = model.sample(40, steps=3, seed=1, solver=solver)
    assert np.abs(made - free)[:, ~given].max() > 1e-3
    np.testing.assert_array_equal(free, model.sample(40, steps=3, seed=1, solver=solver))
    assert np.abs(free - model.sample(40, steps=3, seed=2, solver=solver)).max() > 0.1


def test_impossible_samples_are_refused():
    model = D.LatentDiffusion(SMALL)
    for wrong in ({"count": 0}, {"count": 2, "steps": 0}):
        with pytest.raises(CourseError, match="must be a whole number, at least 1"):
            model.sample(**wrong)
    for known, given in ((CLIPS[:, :4], np.ones(5)), (CLIPS, np.ones(4)), (CLIPS[:7], np.ones(5))):
        with pytest.raises(CourseError, match="Known latents are"):
            model.sample(40, known=known, given=given)
    with pytest.raises(CourseError, match="own_levels above 0"):
        D.LatentDiffusion(dataclasses.replace(SMALL, own_levels=0.0)).sample(40, known=CLIPS, given=np.ones(5))


def test_levels_are_drawn_as_their_names_say():
    drawn = np.asarray(D.draw_levels(20000, dataclasses.replace(SMALL, own_levels=0.0), keras.random.SeedGenerator(1)))
    assert drawn.shape == (20000, 1)
    odds = np.log(drawn / (1 - drawn))
    assert abs(odds.mean()) < 0.03 and abs(odds.std() - 1) < 0.02
    even = np.asarray(
        D.draw_levels(20000, dataclasses.replace(SMALL, uniform_levels=1.0, own_levels=0.25), keras.random.SeedGenerator(1))
    )
    assert even.shape == (20000, 5) and abs(even.mean() - 0.5) < 0.01 and abs(even.std() - 12**-0.5) < 0.01
    assert abs(np.mean(np.ptp(even, axis=1) > 0) - 0.25) < 0.015
    mixed = dataclasses.replace(SMALL, uniform_levels=0.25, own_levels=0.0)
    loud = np.mean(np.asarray(D.draw_levels(20000, mixed, keras.random.SeedGenerator(1))) > 0.9)
    assert loud == pytest.approx(0.75 * np.mean(drawn > 0.9) + 0.25 * 0.1, abs=0.006)


def test_the_loss_is_the_squared_error_of_the_velocity():
    """Told nothing, the velocity has the variance of noise and of clips; and the target is noise - clip by its mixture."""
    model = D.LatentDiffusion(SMALL)
    trainer = D.FlowMatching(model, seed=1)
    told, true = (np.asarray(part) for part in trainer(np.repeat(CLIPS, 100, axis=0)))
    assert not told.any()
    expected = 1 + np.mean(CLIPS.astype(float) ** 2)
    assert float(trainer.compute_loss(y_pred=(told, true))) == pytest.approx(expected, rel=0.03)


def test_errors_of_changes_count_as_the_configuration_says():
    """An error that is the same in all frames changes nothing from frame to frame; one that alternates changes most."""
    trainer = D.FlowMatching(D.LatentDiffusion(dataclasses.replace(SMALL, motion=0.5)))
    true, same = np.zeros((2, 5, 3)), np.ones((2, 5, 3))
    alternating = np.broadcast_to(np.resize([1.0, -1.0], 5)[:, None], (2, 5, 3))
    for error, expected in ((same, 1.0), (alternating, 1 + 0.5 * 4)):
        assert float(trainer.compute_loss(y_pred=(true + error, true))) == pytest.approx(expected)
    plain = D.FlowMatching(D.LatentDiffusion(SMALL))
    assert float(plain.compute_loss(y_pred=(alternating, true))) == pytest.approx(1.0)


class Weights(keras.callbacks.Callback):
    """The student's and the average's first weight after each step."""

    def on_train_begin(self, logs=None):
        self.student, self.average = [self.now(self.model.student)], [self.now(self.model.model.network)]

    def now(self, network):
        return np.concatenate([w.numpy().ravel() for w in network.weights])

    def on_train_batch_end(self, batch, logs=None):
        self.student.append(self.now(self.model.student))
        self.average.append(self.now(self.model.model.network))


def test_the_average_follows_its_student():
    kept = Weights()
    trained(110, ema=0.9, callbacks=[kept])
    average = kept.average[0]
    np.testing.assert_array_equal(average, kept.student[0])
    for n, (student, seen) in enumerate(zip(kept.student[1:], kept.average[1:]), start=1):
        keep = min(0.9, (1 + n) / (10 + n))
        average = keep * average + (1 - keep) * student
        np.testing.assert_allclose(seen, average, rtol=1e-4, atol=1e-6)
    assert np.abs(kept.student[-1] - kept.average[-1]).max() > 1e-5


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path):
    class Killed(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 21:
                raise KeyboardInterrupt

    class Patient(D.training._State):
        """Writes a checkpoint at every entry of the history."""

        def __init__(self, model, path, every):
            super().__init__(model, path, every=0.0)

    whole = trained(120)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(D.training, "_State", Patient)
        with pytest.raises(KeyboardInterrupt):
            trained(120, tmp_path / "half.npz", callbacks=[Killed()])
    assert 0 < np.load(tmp_path / "half.npz")["done"] < 120
    again = trained(120, tmp_path / "half.npz")
    for a, b in zip(whole.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_learns_what_the_clips_have_in_common():
    """Clips that go through a line: after some steps samples lie on it."""
    line = np.float32([1, -1, 0.5]) * RNG.normal(size=(400, 5, 1)).astype("float32")
    training.set_seed(0)
    model = D.LatentDiffusion(dataclasses.replace(SHALLOW, width=32, own_levels=0.0))
    D.fit_diffusion(model, line, 300, rate=3e-3, ema=0.97, seed=0, log_steps=100)
    made = model.sample(100, seed=1)
    along = made @ np.float32([1, -1, 0.5]) / 1.5
    off = np.linalg.norm(made - along[..., None] * np.float32([1, -1, 0.5]) / 1.5, axis=-1)
    assert off.mean() < 0.4 * np.abs(along).mean()


def test_what_ships_is_the_average_alone():
    model = D.LatentDiffusion(SMALL)
    D.FlowMatching(model)
    shapes = [w.shape for w in model.weights]
    assert shapes == [w.shape for w in D.LatentDiffusion(SMALL).weights]
    assert len(shapes) == 2 + len(D.build_transformer(SMALL).weights)


def test_batches_go_in_as_one_input():
    words = np.ones((40, 4), np.int32)
    data = pipeline(CLIPS, words, batch_size=8).map(lambda *batch: (batch,))
    x, y, weight = keras.utils.unpack_x_y_sample_weight(next(iter(data)))
    assert y is None and weight is None and [part.shape for part in x] == [(8, 5, 3), (8, 4)]


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_the_transformer_is_the_same_under_jax(tmp_path):
    code = """
import sys, numpy as np
from vidgen_tf.models import diffusion as D
from vidgen_tf.models.text import CaptionEncoder
config = D.DiffusionConfig(frames=5, latent_dim=3, width=8, depth=2, heads=2)
network = D.build_transformer(config, CaptionEncoder)
rng = np.random.default_rng(0)
network.set_weights([rng.normal(size=w.shape) * 0.3 for w in network.get_weights()])
inputs = rng.normal(size=(6, 5, 3)), rng.uniform(size=(6, 5)), rng.integers(0, 9, (6, 7))
out = network([np.float32(inputs[0]), np.float32(inputs[1]), np.int32(inputs[2])])
np.save(sys.argv[1], np.asarray(out))
"""
    made = []
    for backend in ("tensorflow", "jax"):
        path = tmp_path / f"{backend}.npy"
        environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run([sys.executable, "-c", code, str(path)], env=environment, check=True, timeout=120)
        made.append(np.load(path))
    np.testing.assert_allclose(*made, atol=1e-5)


@pytest.mark.parametrize("recipe", [D.DiffusionDigits(), D.DiffusionShapes()])
def test_the_recipes_build_models_of_their_encoders_latents(recipe):
    assert recipe.config.latent_dim == zoo.recipe(recipe.vae).config.latent_dim
    assert all(steps % 100 == 0 for steps in recipe.steps.values())
    assert recipe.build().network.output_shape == (None, 16, 32)


def test_an_ablation_changes_one_choice_at_a_time(monkeypatch, tmp_path):
    """Without training: each row has its own network, and is examined as the zoo's models are."""
    networks = []
    encoders = []
    monkeypatch.setattr(
        D.DiffusionDigits, "lesson", lambda self: encoders.append(self.vae) or {"z_mean": CLIPS, "z_log_var": CLIPS}
    )
    monkeypatch.setattr(D.DiffusionDigits, "config", SMALL)
    monkeypatch.setattr(D.DiffusionDigits, "examine", lambda self, model: {"motion_distance": 1.0})
    monkeypatch.setattr(D, "fit_diffusion", lambda model, *_, seed, **__: networks.append((model.config, seed)))
    rows = D.ablate("digits", tmp_path / "rows.json", steps=100)
    assert rows == [{"recipe": name, "motion_distance": 1.0} for name in D.ABLATION]
    plain = dataclasses.replace(SMALL, own_levels=0.0)
    quiet, uniform = (dataclasses.replace(plain, **change) for change in ({"loudness": 0.02}, {"uniform_levels": 1.0}))
    assert networks == [(plain, 12), (plain, 112), (quiet, 12), (uniform, 12), (plain, 12)]
    assert encoders == [*4 * ["vae-digits-low-beta"], "vae-digits"] and not list(tmp_path.iterdir())
