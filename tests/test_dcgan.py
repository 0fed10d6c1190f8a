"""The convolutional pair: sizes, no built-in checkerboard, logits of single images, and steps that change their own weights."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from vidgen_tf import training
from vidgen_tf.models import dcgan, gan

SMALL = dcgan.DCGANConfig(latent_dim=5, filters=(6, 4))
REAL = np.random.default_rng(0).uniform(-1, 1, (8, 16, 16, 3)).astype("float32")


def small_gan(**options):
    training.set_seed(2)
    return dcgan.build_dcgan(SMALL, seed=1, **options)


@pytest.mark.parametrize("filters, side", [((6, 4), 16), ((8, 4, 2), 32), ((8, 6, 4, 2), 64)])
@pytest.mark.parametrize("use_resize_conv", [True, False])
def test_each_entry_of_filters_doubles_the_image(filters, side, use_resize_conv):
    config = dataclasses.replace(SMALL, filters=filters, use_resize_conv=use_resize_conv)
    assert config.image_size == side
    generator = dcgan.build_dcgan_generator(config)
    frames = np.asarray(generator(100 * np.ones((2, config.latent_dim), "float32")))
    assert frames.shape == (2, side, side, 3) and np.abs(frames).max() <= 1
    discriminator = dcgan.build_dcgan_discriminator(config)
    assert discriminator.output_shape == (None, 1)
    assert discriminator.get_layer(index=-2).output.shape[1:] == (16 * config.filters[0],)


def test_a_logit_depends_on_its_own_image_alone():
    """With batch normalisation it would depend on the other images of the batch."""
    discriminator = dcgan.build_dcgan_discriminator(SMALL)
    whole, alone = discriminator(REAL, training=True), discriminator(REAL[:1], training=True)
    np.testing.assert_allclose(whole[:1], alone, atol=1e-5)


def test_only_kernels_that_are_a_multiple_of_the_stride_overlap_evenly():
    """The footprints of a kernel of ones on a constant input: as many on each pixel, or not."""
    for side, even in [(2, True), (3, False), (4, True), (5, False)]:
        layer = keras.layers.Conv2DTranspose(1, side, 2, padding="same", kernel_initializer="ones")
        inside = np.asarray(layer(np.ones((1, 8, 8, 1), "float32")))[0, 4:-4, 4:-4, 0]
        assert (np.ptp(inside) == 0) == even, side


def test_each_networks_step_changes_its_own_weights_alone():
    for d_rate, g_rate in [(0.1, 0.0), (0.0, 0.1)]:
        model = small_gan()
        model.compile(keras.optimizers.SGD(d_rate), keras.optimizers.SGD(g_rate), run_eagerly=True)
        networks = {"d": model.discriminator, "g": model.generator}
        before = {name: [np.array(w) for w in network.trainable_variables] for name, network in networks.items()}
        model.train_on_batch(REAL)
        for name, rate in {"d": d_rate, "g": g_rate}.items():
            after = networks[name].trainable_variables
            same = [np.array_equal(a, b) for a, b in zip(after, before[name], strict=True)]
            assert not all(same) if rate else all(same), name


def test_the_penalty_on_every_fourth_image_is_that_of_these_images():
    discriminator = dcgan.build_dcgan_discriminator(SMALL)
    real, fake = tf.constant(REAL), tf.constant(-REAL)
    expected = gan.gradient_penalty(discriminator, real[::4]) + gan.gradient_penalty(discriminator, fake[::4])
    ours = gan.r1_r2_penalty(discriminator, real, fake, 3.0, stride=4)
    assert float(ours) == pytest.approx(1.5 * float(expected), rel=1e-5)
    assert gan.r1_r2_penalty(discriminator, real, fake, 0.0, stride=4) == 0


def test_the_average_normalises_like_the_generator():
    """Moving means and variances are weights too: without them an averaged generator would give grey images."""
    model = small_gan()
    for _ in range(60):
        model.train_on_batch(REAL)
    moving = [w for w in model.ema_generator.weights if "moving_variance" in w.path]
    assert moving and all(np.abs(np.asarray(w) - 1).max() > 0.05 for w in moving)


def test_both_optimizers_have_the_learning_rate():
    schedule = keras.optimizers.schedules.CosineDecay(3e-4, 100)
    for learning_rate, expected in ((2e-3, 2e-3), (schedule, 3e-4)):
        model = small_gan(learning_rate=learning_rate)
        assert [float(optimizer.learning_rate) for optimizer in model.optimizers] == pytest.approx([expected] * 2)
