"""The GANs' training step: each network's step changes its own weights alone; losses and penalties are the papers'."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vidgen_tf import datasets, training
from vidgen_tf.models import gan

SMALL = gan.MLPGANConfig(latent_dim=4, hidden_dims=(8, 16), image_size=6)
REAL = np.random.default_rng(0).uniform(-1, 1, (16, 6, 6, 1)).astype("float32")


def small_gan(loss_fn=gan.non_saturating_losses, gamma=0.0, d_rate=1e-3, g_rate=1e-3, **options):
    training.set_seed(5)
    model = gan.GAN(gan.build_mlp_generator(SMALL), gan.build_mlp_discriminator(SMALL), loss_fn, gamma, seed=1)
    options = {"run_eagerly": True, "jit_compile": False} | options
    model.compile(keras.optimizers.SGD(d_rate), keras.optimizers.SGD(g_rate), **options)
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


@pytest.mark.parametrize("loss_fn, gamma", [(gan.non_saturating_losses, 0.0), (gan.rpgan_losses, 1.0)])
def test_each_networks_step_changes_its_own_weights_alone(loss_fn, gamma):
    for d_rate, g_rate in [(0.1, 0.0), (0.0, 0.1)]:
        model = small_gan(loss_fn, gamma, d_rate, g_rate)
        d_before, g_before = model.discriminator.get_weights(), model.generator.get_weights()
        model.train_on_batch(REAL)
        assert any(changed(model.discriminator, d_before)) == (d_rate > 0)
        assert all(changed(model.generator, g_before)) == (g_rate > 0)


def test_both_networks_learn_in_the_direction_of_their_own_loss():
    """A discriminator that learns alone separates better; a generator that learns alone gets higher logits."""
    latent = np.random.default_rng(1).normal(size=(64, 4)).astype("float32")

    def margin(model):
        return float(np.mean(model.discriminator(REAL)) - np.mean(model.discriminator(model.generator(latent))))

    for d_rate, g_rate, grows in [(0.05, 0.0, True), (0.0, 0.5, False)]:
        model = small_gan(gan.rpgan_losses, 0.0, d_rate, g_rate, run_eagerly=False)
        before = margin(model)
        for _ in range(40):
            model.train_on_batch(REAL)
        assert (margin(model) > before) == grows


def test_the_non_saturating_losses_are_binary_cross_entropy():
    real, fake = np.array([[2.0], [-1.0]], "float32"), np.array([[0.5], [-3.0]], "float32")
    d_loss, g_loss = gan.non_saturating_losses(real, fake)
    p, q = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    expected = -np.mean(0.9 * np.log(p) + 0.1 * np.log(1 - p)) - np.mean(np.log(1 - q))
    assert float(d_loss) == pytest.approx(expected, abs=1e-5)
    assert float(g_loss) == pytest.approx(-np.mean(np.log(q)), abs=1e-5)


def test_the_relativistic_losses_depend_on_differences_alone():
    real, fake = np.array([[2.0], [-1.0]], "float32"), np.array([[0.5], [-3.0]], "float32")
    d_loss, g_loss = gan.rpgan_losses(real, fake)
    assert float(d_loss) == pytest.approx(np.mean(np.log1p(np.exp(-(real - fake)))), abs=1e-6)
    assert float(g_loss) == pytest.approx(np.mean(np.log1p(np.exp(real - fake))), abs=1e-6)
    shifted = gan.rpgan_losses(real + 7, fake + 7)
    np.testing.assert_allclose([float(d_loss), float(g_loss)], [float(loss) for loss in shifted], atol=1e-6)
    assert float(gan.rpgan_losses(real, real)[0]) == pytest.approx(np.log(2), abs=1e-6)


def test_the_penalty_of_a_linear_discriminator_is_the_squared_norm_of_its_weights():
    frame = keras.Input((6, 6, 1))
    linear = keras.Model(frame, keras.layers.Dense(1)(keras.layers.Flatten()(frame)))
    expected = float(np.sum(linear.get_weights()[0] ** 2))
    assert float(gan.gradient_penalty(linear, tf.constant(REAL))) == pytest.approx(expected, rel=1e-5)


def test_the_penalty_keeps_the_discriminators_gradient_small():
    def penalty(gamma):
        model = small_gan(gan.rpgan_losses, gamma, d_rate=0.05, g_rate=0.0, run_eagerly=False)
        for _ in range(200):
            model.train_on_batch(REAL)
        return float(gan.gradient_penalty(model.discriminator, tf.constant(REAL)))

    assert penalty(gamma=10.0) < 0.5 * penalty(gamma=0.0)


def test_the_average_is_exponential():
    model = small_gan(g_rate=0.5)
    expected = model.generator.get_weights()
    for _ in range(3):
        model.train_on_batch(REAL)
        expected = [0.995 * old + 0.005 * new for old, new in zip(expected, model.generator.get_weights())]
    for ours, theirs in zip(model.ema_generator.get_weights(), expected):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_what_is_reported_is_both_losses_and_their_sum():
    model = small_gan(gan.rpgan_losses, gamma=5.0, d_rate=0.0, g_rate=0.0)
    latent = keras.random.normal((16, 4), seed=1)  # as in evaluate
    expected = gan.rpgan_losses(model.discriminator(REAL), model.discriminator(model.generator(latent)))
    evaluated = model.evaluate(REAL, batch_size=16, verbose=0, return_dict=True)
    assert [evaluated["d_loss"], evaluated["g_loss"]] == pytest.approx([float(loss) for loss in expected], rel=1e-5)
    trained = model.train_on_batch(REAL, return_dict=True)
    for logs in (evaluated, trained):
        assert logs["loss"] == pytest.approx(logs["d_loss"] + logs["g_loss"], rel=1e-6)
    assert trained["d_loss"] < 3, "the penalty is no part of the reported loss"


def test_an_evaluation_leaves_the_training_as_it_was():
    models = [small_gan(), small_gan()]
    for model in models:
        model.train_on_batch(REAL)
    models[0].evaluate(REAL, verbose=0)
    for model in models:
        model.train_on_batch(REAL)
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_optimizers_are_those_of_the_two_networks():
    model = small_gan(d_rate=0.1, g_rate=0.2)
    assert [float(optimizer.learning_rate) for optimizer in model.optimizers] == pytest.approx([0.1, 0.2])
    model.train_on_batch(REAL)
    assert [int(optimizer.iterations) for optimizer in model.optimizers] == [1, 1]


def test_a_gan_resumes_to_the_weights_of_an_uninterrupted_run(tmp_path):
    def run(model, steps, checkpoint):
        def batches(first):
            return datasets.pipeline(REAL, batch_size=8, first_step=first)

        return training.fit(model, batches, steps, checkpoint=checkpoint, log_interval=4)

    whole, part, resumed = (small_gan(run_eagerly=False) for _ in range(3))
    run(whole, 16, None)
    run(part, 8, tmp_path / "c.npz")
    history = run(resumed, 16, tmp_path / "c.npz")
    assert len(history["d_loss"]) == len(history["g_loss"]) == 4
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
