"""The GANs' training step: each half touches only its own weights, and the losses and the penalty are what the papers say."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vidgen_tf import datasets, training
from vidgen_tf.models import gan

SMALL = gan.MLPGANConfig(latent_dim=4, hidden=(8, 16), frame_size=6)
REAL = np.random.default_rng(0).uniform(-1, 1, (16, 6, 6, 1)).astype("float32")


def small_gan(losses=gan.bce_losses, gamma=0.0, d_rate=1e-3, g_rate=1e-3, jit_compile=False):
    training.set_seed(5)
    model = gan.GAN(gan.build_mlp_generator(SMALL), gan.build_mlp_discriminator(SMALL), losses, gamma, seed=1)
    model.compile(keras.optimizers.SGD(d_rate), keras.optimizers.SGD(g_rate), jit_compile=jit_compile)
    return model


def changed(network, before):
    return [not np.array_equal(a, b) for a, b in zip(network.get_weights(), before, strict=True)]


def test_the_classic_pair_has_the_published_sizes():
    config = gan.MLPGANConfig()
    generator, discriminator = gan.build_mlp_generator(config), gan.build_mlp_discriminator(config)
    assert generator.output_shape == (None, 28, 28, 1) and discriminator.output_shape == (None, 1)
    assert generator.count_params() == 101 * 256 + 257 * 512 + 513 * 1024 + 1025 * 784
    assert discriminator.count_params() == 785 * 1024 + 1025 * 512 + 513 * 256 + 257
    assert np.abs(generator(100 * np.ones((2, 100), "float32"))).max() <= 1


@pytest.mark.parametrize("losses, gamma", [(gan.bce_losses, 0.0), (gan.relativistic_losses, 1.0)])
def test_each_half_of_a_step_touches_only_its_own_weights(losses, gamma):
    for d_rate, g_rate in [(0.1, 0.0), (0.0, 0.1)]:
        model = small_gan(losses, gamma, d_rate, g_rate)
        d_before, g_before = model.discriminator.get_weights(), model.generator.get_weights()
        model.train_on_batch(REAL)
        assert any(changed(model.discriminator, d_before)) == (d_rate > 0)
        assert all(changed(model.generator, g_before)) == (g_rate > 0)


def test_both_sides_learn_in_the_direction_of_their_own_loss():
    """A discriminator that learns alone tells better; a generator that learns alone is rated higher."""
    latent = np.random.default_rng(1).normal(size=(64, 4)).astype("float32")

    def lead(model):
        return float(np.mean(model.discriminator(REAL)) - np.mean(model.discriminator(model.generator(latent))))

    for d_rate, g_rate, grows in [(0.05, 0.0, True), (0.0, 0.5, False)]:
        model = small_gan(gan.relativistic_losses, 0.0, d_rate, g_rate)
        before = lead(model)
        for _ in range(40):
            model.train_on_batch(REAL)
        assert (lead(model) > before) == grows


def test_the_classic_losses_are_binary_cross_entropy():
    real, fake = np.array([[2.0], [-1.0]], "float32"), np.array([[0.5], [-3.0]], "float32")
    d_loss, g_loss = gan.bce_losses(real, fake)
    p, q = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    expected = -np.mean(0.9 * np.log(p) + 0.1 * np.log(1 - p)) - np.mean(np.log(1 - q))
    assert float(d_loss) == pytest.approx(expected, abs=1e-5)
    assert float(g_loss) == pytest.approx(-np.mean(np.log(q)), abs=1e-5)


def test_the_relativistic_losses_depend_on_differences_alone():
    real, fake = np.array([[2.0], [-1.0]], "float32"), np.array([[0.5], [-3.0]], "float32")
    d_loss, g_loss = gan.relativistic_losses(real, fake)
    assert float(d_loss) == pytest.approx(np.mean(np.log1p(np.exp(-(real - fake)))), abs=1e-6)
    assert float(g_loss) == pytest.approx(np.mean(np.log1p(np.exp(real - fake))), abs=1e-6)
    shifted = gan.relativistic_losses(real + 7, fake + 7)
    np.testing.assert_allclose([float(d_loss), float(g_loss)], [float(loss) for loss in shifted], atol=1e-6)
    assert float(gan.relativistic_losses(real, real)[0]) == pytest.approx(np.log(2), abs=1e-6)


def test_the_penalty_of_a_linear_critic_is_the_squared_length_of_its_weights():
    frame = keras.Input((6, 6, 1))
    critic = keras.Model(frame, keras.layers.Dense(1)(keras.layers.Flatten()(frame)))
    expected = float(np.sum(critic.get_weights()[0] ** 2))
    assert float(gan.gradient_penalty(critic, tf.constant(REAL))) == pytest.approx(expected, rel=1e-5)


def test_the_penalty_keeps_the_discriminator_flat():
    def slope(gamma):
        model = small_gan(gan.relativistic_losses, gamma, d_rate=0.05, g_rate=0.0)
        for _ in range(200):
            model.train_on_batch(REAL)
        return float(gan.gradient_penalty(model.discriminator, tf.constant(REAL)))

    assert slope(gamma=10.0) < 0.5 * slope(gamma=0.0)


def test_the_average_follows_the_generator():
    model = small_gan(g_rate=0.5)
    expected = model.generator.get_weights()
    for _ in range(3):
        model.train_on_batch(REAL)
        expected = [0.995 * old + 0.005 * new for old, new in zip(expected, model.generator.get_weights())]
    for ours, theirs in zip(model.ema_generator.get_weights(), expected):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_saved_weights_give_the_same_pictures(tmp_path):
    from vidgen_tf import zoo

    latent = np.random.default_rng(2).normal(size=(5, 4)).astype("float32")
    model, again = small_gan(), small_gan()
    model.train_on_batch(REAL)
    zoo.write_weights(model.ema_generator, tmp_path / "g.weights.h5")
    zoo.read_weights(again.ema_generator, tmp_path / "g.weights.h5")
    np.testing.assert_allclose(model(latent), again(latent), atol=2e-3)  # half precision on disk


def test_a_gan_resumes_to_the_weights_of_an_uninterrupted_run(tmp_path):
    def run(model, steps, checkpoint):
        return training.fit(
            model,
            lambda first: datasets.pipeline(REAL, batch_size=8, first_step=first),
            steps,
            checkpoint=checkpoint,
            log_steps=4,
        )

    whole, parts = small_gan(), small_gan()
    run(whole, 16, None)
    run(parts, 8, tmp_path / "c.npz")
    resumed = small_gan()
    history = run(resumed, 16, tmp_path / "c.npz")
    assert len(history["d_loss"]) == len(history["g_loss"]) == 4
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
