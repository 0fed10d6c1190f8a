"""The VAE: its samples, its KL term and its loss are what the equations say; frames of any axes are encoded and decoded."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from vidgen_tf import training
from vidgen_tf.errors import CourseError
from vidgen_tf.models import vae as vaes
from vidgen_tf.video import to_float

SMALL = vaes.VAEConfig(image_size=8, channels=1, latent_dim=3, filters=(4, 6), beta=0.5)
FRAMES = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), dtype=np.uint8)


def small_vae():
    training.set_seed(3)
    return vaes.VAE(SMALL, seed=1)


def test_a_sample_has_the_moments_of_its_gaussian():
    z_mean = np.array([[0.0, 3.0, -1.0]], "float32")
    std = np.array([[1.0, 0.2, 3.0]], "float32")
    many = [np.repeat(x, 200_000, axis=0) for x in (z_mean, 2 * np.log(std))]
    samples = np.asarray(vaes.reparameterise(*many, seed=4))
    np.testing.assert_allclose(samples.mean(axis=0), z_mean[0], atol=0.03)
    np.testing.assert_allclose(samples.std(axis=0), std[0], rtol=0.02)
    standard = (samples - z_mean) / std
    np.testing.assert_allclose([(standard**3).mean(), (standard**4).mean()], [0, 3], atol=0.05)


def test_a_sample_is_differentiable_in_its_mean_and_variance():
    """d z / d mean is 1, and d z / d log variance is half of z's distance from the mean."""
    z_mean, z_log_var = tf.constant([[1.0, 2.0]]), tf.constant([[0.5, -1.0]])
    with tf.GradientTape() as tape:
        tape.watch([z_mean, z_log_var])
        z = vaes.reparameterise(z_mean, z_log_var, seed=5)
    by_mean, by_log_var = tape.gradient(z, [z_mean, z_log_var])
    np.testing.assert_allclose(by_mean, [[1, 1]])
    np.testing.assert_allclose(by_log_var, (z - z_mean) / 2, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_sample_has_the_precision_of_its_mean(dtype):
    z_mean = ops.zeros((2, 3), dtype)
    assert vaes.reparameterise(z_mean, z_mean, seed=1).dtype == dtype


@pytest.mark.parametrize("mean, std", [(0.0, 1.0), (1.5, 1.0), (0.0, 0.3), (-2.0, 2.0)])
def test_the_kl_divergence_from_the_standard_normal_is_the_integral(mean, std):
    from scipy import integrate, stats

    q, p = stats.norm(mean, std), stats.norm(0, 1)
    expected = integrate.quad(lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), mean - 12 * std, mean + 12 * std)[0]
    ours = vaes.kl_to_standard_normal(np.array([[mean]], "float32"), np.array([[2 * np.log(std)]], "float32"))
    assert float(ours[0, 0]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("mode", [True, False])
def test_the_loss_is_a_sum_over_pixels_plus_beta_times_a_sum_over_latent_dimensions(mode):
    model, x = small_vae(), to_float(FRAMES)
    reconstruction = model(x, training=mode)
    loss = float(model.compute_loss(x=x, y_pred=reconstruction))
    error, kl = (float(tracker.result()) for tracker in model.trackers)
    assert error == pytest.approx(np.mean(np.sum((x - np.asarray(reconstruction)) ** 2, axis=(1, 2, 3))), rel=1e-5)
    z_mean, z_log_var = model.encoder(x, training=mode)
    expected = float(ops.mean(ops.sum(vaes.kl_to_standard_normal(z_mean, z_log_var), axis=1)))
    assert kl == pytest.approx(expected, rel=1e-3)
    assert loss == pytest.approx(error + 0.5 * kl, rel=1e-5)


def test_an_evaluation_reports_the_loss_and_its_two_terms():
    model, x = small_vae(), to_float(FRAMES)
    model.compile("sgd", run_eagerly=True)
    logs = model.evaluate(x, batch_size=24, verbose=0, return_dict=True)
    expected = float(ops.mean(vaes.squared_error(x, model(x))))
    assert logs["reconstruction_loss"] == pytest.approx(expected, rel=1e-5)
    assert logs["loss"] == pytest.approx(logs["reconstruction_loss"] + 0.5 * logs["kl_loss"], rel=1e-5)


def test_a_latent_is_sampled_in_training_only():
    model, x = small_vae(), to_float(FRAMES[:4])
    np.testing.assert_array_equal(model(x), model(x))
    z_mean, _ = model.encoder(x)
    np.testing.assert_array_equal(model(x), model.decoder(z_mean))
    assert np.abs(np.asarray(model(x, training=True)) - np.asarray(model(x, training=True))).max() > 0


@pytest.mark.parametrize("axes", [(24,), (4, 6), (2, 3, 4)])
def test_frames_with_any_axes_before_them_are_encoded_and_decoded_one_by_one(axes):
    model, frames = small_vae(), FRAMES.reshape(*axes, 8, 8, 1)
    z_mean, z_log_var = vaes.encode(model, frames)
    assert z_mean.shape == z_log_var.shape == (*axes, 3)
    last = (-1,) * len(axes)
    np.testing.assert_allclose(vaes.encode(model, frames[last][None])[0][0], z_mean[last], atol=1e-5)
    reconstruction = vaes.decode(model, z_mean)
    assert reconstruction.shape == frames.shape and reconstruction.dtype == np.uint8
    np.testing.assert_array_equal(vaes.decode(model, z_mean[last][None])[0], reconstruction[last])


def test_more_frames_than_a_batch_keep_their_order(monkeypatch):
    monkeypatch.setattr(vaes, "BATCH_SIZE", 5)
    model = small_vae()
    z_mean, _ = vaes.encode(model, FRAMES)
    np.testing.assert_allclose(z_mean, model.encoder(to_float(FRAMES))[0], atol=1e-5)
    np.testing.assert_allclose(to_float(vaes.decode(model, z_mean)), model.decoder(z_mean), atol=1 / 127)


def test_only_pixels_are_encoded():
    with pytest.raises(CourseError, match=r"uint8 pixels.*got float32"):
        vaes.encode(small_vae(), to_float(FRAMES))


def test_the_decoder_mirrors_the_encoder():
    config = vaes.VAEConfig(image_size=48, channels=2, filters=(4, 6, 8))
    assert config.feature_map_size == 6
    encoder, decoder = vaes.build_encoder(config), vaes.build_decoder(config)
    assert encoder.input_shape == decoder.output_shape == (None, 48, 48, 2)
    shrinking = [layer.output.shape[1:] for layer in encoder.layers if "conv2d" in layer.name]
    growing = [layer.output.shape[1:] for layer in decoder.layers if "transpose" in layer.name]
    assert shrinking == [(24, 24, 4), (12, 12, 6), (6, 6, 8)] and growing == [(12, 12, 6), (24, 24, 4), (48, 48, 2)]
