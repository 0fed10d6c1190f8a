"""The convolutional pair: sizes, no built-in checkerboard, half-steps that touch their own weights, and faces that are new."""

import keras
import numpy as np
import pytest

from vidgen_tf import training, zoo
from vidgen_tf.errors import CourseError
from vidgen_tf.models import dcgan, gan
from vidgen_tf.models import judge as judges

SMALL = dcgan.DCGANConfig(latent_dim=5, filters=(6, 4))
REAL = np.random.default_rng(0).uniform(-1, 1, (8, 16, 16, 3)).astype("float32")


def small_gan(**options):
    training.set_seed(2)
    return dcgan.build_dcgan(SMALL, seed=1, **options)


@pytest.mark.parametrize("config, side", [(SMALL, 16), (dcgan.DCGANConfig(), 32), (dcgan.DCGANFaces.config, 64)])
@pytest.mark.parametrize("smooth", [True, False])
def test_each_entry_of_filters_doubles_the_picture(config, side, smooth):
    config = dcgan.dataclasses.replace(config, smooth_output=smooth)
    assert config.frame_size == side
    generator = dcgan.build_dcgan_generator(config)
    frames = np.asarray(generator(100 * np.ones((2, config.latent_dim), "float32")))
    assert frames.shape == (2, side, side, 3) and np.abs(frames).max() <= 1
    discriminator = dcgan.build_dcgan_discriminator(config)
    assert discriminator.output_shape == (None, 1)
    assert discriminator.get_layer(index=-2).output.shape[1:] == (16 * config.filters[0],)


def test_the_discriminator_rates_each_picture_on_its_own():
    """With batch normalisation a rating would depend on the other pictures of the batch."""
    discriminator = dcgan.build_dcgan_discriminator(SMALL)
    whole, alone = discriminator(REAL, training=True), discriminator(REAL[:1], training=True)
    np.testing.assert_allclose(whole[:1], alone, atol=1e-5)


def test_only_kernels_that_are_a_multiple_of_the_stride_are_free_of_checkerboards():
    """Stamps of a kernel of ones on a constant input: as many on each pixel, or not."""
    for side, even in [(2, True), (3, False), (4, True), (5, False)]:
        layer = keras.layers.Conv2DTranspose(1, side, 2, padding="same", kernel_initializer="ones")
        inside = np.asarray(layer(np.ones((1, 8, 8, 1), "float32")))[0, 4:-4, 4:-4, 0]
        assert (np.ptp(inside) == 0) == even, side


def test_each_half_of_a_step_touches_only_its_own_weights():
    for d_rate, g_rate in [(0.1, 0.0), (0.0, 0.1)]:
        model = small_gan()
        model.compile(keras.optimizers.SGD(d_rate), keras.optimizers.SGD(g_rate))
        networks = {"d": model.discriminator, "g": model.generator}
        before = {name: [np.array(w) for w in network.trainable_variables] for name, network in networks.items()}
        model.train_on_batch(REAL)
        for name, rate in {"d": d_rate, "g": g_rate}.items():
            after = networks[name].trainable_variables
            same = [np.array_equal(a, b) for a, b in zip(after, before[name], strict=True)]
            assert not all(same) if rate else all(same), name


def test_the_penalty_on_every_fourth_picture_is_that_of_these_pictures():
    import tensorflow as tf

    critic = dcgan.build_dcgan_discriminator(SMALL)
    real, fake = tf.constant(REAL), tf.constant(-REAL)
    expected = gan.gradient_penalty(critic, real[::4]) + gan.gradient_penalty(critic, fake[::4])
    assert float(gan.roughness(critic, real, fake, 3.0, every=4)) == pytest.approx(1.5 * float(expected), rel=1e-5)
    assert gan.roughness(critic, real, fake, 0.0, every=4) == 0


def test_the_average_normalises_like_the_generator():
    """Moving means and variances are weights too: without them an averaged generator would draw grey."""
    model = small_gan()
    for _ in range(60):
        model.train_on_batch(REAL)
    moving = [w for w in model.ema_generator.weights if "moving_variance" in w.path]
    assert moving and all(np.abs(np.asarray(w) - 1).max() > 0.05 for w in moving)


@pytest.fixture(scope="module")
def shipped():
    model = zoo.load("dcgan-faces")
    latents = np.random.default_rng(77).normal(size=(600, 64)).astype("float32")
    from vidgen_tf.video import to_uint8

    return to_uint8(model.predict(latents, batch_size=200, verbose=0))


def test_shipped_faces_keep_the_chapters_bars_on_other_latents(shipped):
    result = judges.examine_faces(zoo.load("judge-faces"), shipped)
    assert result["frechet_distance"] <= 8 * result["frechet_floor"]
    assert result["rarest_value"] > 0 and result["copy_ratio"] >= 0.5


def test_examined_copies_and_monotony_are_caught():
    judge, people = zoo.load("judge-faces"), judges.face_pictures(32, "train")
    copies = judges.examine_faces(judge, people[:1000, 2])
    assert copies["copy_ratio"] == 0 and copies["frechet_distance"] < 3 * copies["frechet_floor"]
    one_person = judges.examine_faces(
        judge, np.repeat(people[:1, 0], 600, axis=0) ^ np.arange(600, dtype=np.uint8)[:, None, None, None] % 2
    )
    assert one_person["rarest_value"] == 0 and one_person["frechet_distance"] > 20 * one_person["frechet_floor"]
    with pytest.raises(CourseError, match="500 faces are needed"):
        judges.examine_faces(judge, people[:499, 0])


def test_five_telling_frames_of_each_person():
    from vidgen_tf.datasets import load

    clips = load("faces-32", "test", count=20)
    frames = judges.telling_frames(clips)
    assert frames.shape == (20, 5) and frames.min() >= 0 and frames.max() < 16
    np.testing.assert_array_equal(frames[:, 4], clips.states["eye_open"].argmin(axis=1))
    pictures = judges.face_pictures(32, "test")
    np.testing.assert_array_equal(pictures[3, 1], clips.frames[3, frames[3, 1]])
