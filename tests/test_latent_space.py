"""Latent spaces: interpolation at an even pace on the hypersphere, and samples with the moments of learned latents."""

import numpy as np
import pytest

from vidgen_tf.models import latent_space


def test_normalised_latents_have_a_mean_square_of_1_and_their_direction():
    latents = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32") * 10
    normalized = np.asarray(latent_space.normalize_2nd_moment(latents))
    np.testing.assert_allclose((normalized**2).mean(axis=-1), 1, atol=1e-5)
    lengths = np.linalg.norm(latents, axis=-1, keepdims=True)
    np.testing.assert_allclose(normalized, latents / lengths * np.sqrt(8), rtol=1e-5)
    np.testing.assert_array_equal(latent_space.normalize_2nd_moment(np.zeros((1, 8), "float32")), np.zeros((1, 8)))


def test_an_interpolation_reaches_its_latents_at_an_even_pace_and_stays_on_the_hypersphere():
    latents = np.random.default_rng(3).normal(size=(4, 8)).astype("float32")
    path = np.asarray(latent_space.interpolate_latents(latents, 31))
    normalized = np.asarray(latent_space.normalize_2nd_moment(latents))
    np.testing.assert_allclose(path[[0, 10, 20, 30]], normalized, atol=1e-4)
    np.testing.assert_allclose((path**2).mean(axis=1), 1, atol=1e-4)
    middle = normalized[0] + normalized[1]
    np.testing.assert_allclose(path[5], middle / np.sqrt((middle**2).mean()), atol=1e-4)


@pytest.mark.parametrize("num_frames", [1, 2, 7])
def test_an_interpolation_of_two_latents_has_as_many_frames_as_asked_for(num_frames):
    latents = np.eye(2, dtype="float32")
    path = np.asarray(latent_space.interpolate_latents(latents, num_frames))
    assert path.shape == (num_frames, 2)
    np.testing.assert_allclose(path[0], [np.sqrt(2), 0], atol=1e-5)


def test_new_latents_have_the_moments_of_the_learned_ones():
    rng = np.random.default_rng(4)
    std = np.tile([0.5, 1.0, 1.5, 1.0], 50)  # in so many dimensions, normalisation changes little
    latents = np.asarray(latent_space.normalize_2nd_moment((rng.normal(size=(5000, 200)) * std + 0.5).astype("float32")))
    new = latent_space.gaussian_latents(latents, 20000, seed=1)
    np.testing.assert_allclose((new**2).mean(axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(new.mean(axis=0), latents.mean(axis=0), atol=0.04)
    np.testing.assert_allclose(np.cov(new.T), np.cov(latents.T), atol=0.1)
    assert np.corrcoef(np.cov(new.T).ravel(), np.cov(latents.T).ravel())[0, 1] > 0.99
    np.testing.assert_array_equal(new[:5], latent_space.gaussian_latents(latents, 20000, seed=1)[:5])
