"""The dense generator: the tutorials' sizes, why noise teaches it only the mean, and why learned latents teach it every frame."""

import keras
import numpy as np
import pytest

from vidgen_tf import datasets, exam, training
from vidgen_tf.models import dense

SMALL = dense.DenseConfig(latent_dim=8, hidden=(32, 32), frame_size=8)


@pytest.fixture(scope="module")
def frames():
    """Twelve frames of 8x8 RGB that differ a lot."""
    return np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)


def trained_latent_frames(frames, steps=600):
    training.set_seed(1)
    model = dense.LatentFrames(len(frames), SMALL)
    model.compile(keras.optimizers.Adam(1e-2), loss="mse", jit_compile=True)
    index = np.arange(len(frames))
    training.fit(model, lambda first: datasets.pipeline(index, frames, batch_size=12, first_step=first), steps, log_steps=100)
    return model


def test_the_tutorials_generator_has_the_published_size_and_no_bound():
    generator = dense.build_generator(dense.DenseConfig(output_activation=None))
    assert generator.count_params() == 100 * 256 + 256 + 256 * 512 + 512 + 512 * 12288 + 12288 == 6_461_184
    loud = generator.predict(100 * np.random.default_rng(0).normal(size=(4, 100)), verbose=0)
    assert loud.shape == (4, 64, 64, 3) and np.abs(loud).max() > 1
    bounded = dense.build_generator(dense.DenseConfig())
    assert np.abs(bounded.predict(100 * np.ones((1, 100)), verbose=0)).max() <= 1


def test_learned_latents_rebuild_every_frame(frames):
    model = trained_latent_frames(frames)
    rebuilt = dense.to_uint8(model.predict(np.arange(12), verbose=0))
    assert exam.psnr(frames, rebuilt).min() > 30
    index, _ = exam.nearest(rebuilt, frames)
    np.testing.assert_array_equal(index, np.arange(12))


def test_noise_paired_at_random_teaches_the_mean_frame_only(frames):
    training.set_seed(1)
    generator = dense.build_generator(SMALL)
    generator.compile(keras.optimizers.Adam(1e-2), loss="mse")
    rng = np.random.default_rng(2)
    target = frames[rng.integers(0, 12, 6000)] / 127.5 - 1
    generator.fit(rng.normal(size=(6000, 8)), target, batch_size=64, epochs=3, verbose=0)
    made = generator.predict(rng.normal(size=(50, 8)), verbose=0)
    mean = target.mean(axis=0)
    to_mean = np.sqrt(((made - mean) ** 2).mean())
    to_frames = np.sqrt(((made[:, None] - (frames / 127.5 - 1)) ** 2).mean(axis=(2, 3, 4))).min()
    assert to_mean < 0.5 * to_frames


def test_a_path_visits_its_stops_at_an_even_pace_and_stays_on_the_sphere():
    stops = np.random.default_rng(3).normal(size=(4, 8)).astype("float32")
    path = np.asarray(dense.latent_path(stops, 31))
    on_sphere = np.asarray(dense.on_sphere(stops))
    np.testing.assert_allclose(path[[0, 10, 20, 30]], on_sphere, atol=1e-4)
    np.testing.assert_allclose((path**2).mean(axis=1), 1, atol=1e-4)
    middle = on_sphere[0] + on_sphere[1]
    np.testing.assert_allclose(path[5], middle / np.sqrt((middle**2).mean()), atol=1e-4)


def test_new_latents_have_the_moments_of_the_learned_ones():
    rng = np.random.default_rng(4)
    spread = np.tile([0.5, 1.0, 1.5, 1.0], 50)  # in so many dimensions, going back to the sphere changes little
    latents = np.asarray(dense.on_sphere((rng.normal(size=(5000, 200)) * spread + 0.5).astype("float32")))
    new = dense.gaussian_latents(latents, 20000, seed=1)
    np.testing.assert_allclose((new**2).mean(axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(new.mean(axis=0), latents.mean(axis=0), atol=0.04)
    np.testing.assert_allclose(np.cov(new.T), np.cov(latents.T), atol=0.1)
    assert np.corrcoef(np.cov(new.T).ravel(), np.cov(latents.T).ravel())[0, 1] > 0.99
    np.testing.assert_array_equal(new[:5], dense.gaussian_latents(latents, 20000, seed=1)[:5])
