"""The order of latents: the chain by its definition, and controls that say what the share of clips in order is worth."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidgen_tf.metrics.latents import frames_before_reversal, nearest_neighbour_chain, temporal_order_share
from vidgen_tf.worlds import digits

PROPERTY = settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def test_a_chain_follows_a_path_and_notices_a_jump():
    path = np.cumsum(np.random.default_rng(1).uniform(0.5, 1, (10, 1)) * [[1.0, 2.0]], axis=0)
    np.testing.assert_array_equal(nearest_neighbour_chain(path), np.arange(10))
    path[[3, 7]] = path[[7, 3]]
    assert nearest_neighbour_chain(path).tolist() == [0, 1, 2, 7, 4, 5, 6, 3, 8, 9]


@PROPERTY
@given(st.integers(0, 2**32 - 1), st.integers(1, 10), st.integers(1, 4))
def test_a_chain_visits_every_point_once_and_always_the_nearest_that_is_left(seed, count, dimensions):
    points = np.random.default_rng(seed).normal(size=(count, dimensions))
    chain = nearest_neighbour_chain(points).tolist()
    assert chain[0] == 0 and sorted(chain) == list(range(count))
    for i in range(1, count):
        distance = [np.linalg.norm(points[k] - points[chain[i - 1]]) for k in chain[i:]]
        assert distance[0] == min(distance)


def test_frames_before_a_reversal_include_the_one_at_which_it_happens():
    up = np.arange(6.0)[:, None, None] * [[0.0, 1.0]]
    assert frames_before_reversal(up) == 6
    assert frames_before_reversal(0 * up) == 0
    bounce = np.array([0, 1, 2, 3, 2, 1.0])[:, None, None] * [[1.0, 0.0]]
    assert frames_before_reversal(bounce) == 4  # frames 0 to 3
    both = np.concatenate([up, bounce], axis=1)
    assert frames_before_reversal(both) == 4


def test_the_share_is_that_of_clips_that_move():
    positions = np.tile(np.arange(6.0)[None, :, None, None] * [[0.0, 1.0]], (3, 1, 1, 1))
    positions[2] = 0
    latents = positions[..., 0, :].copy()
    assert temporal_order_share(latents, positions) == 1
    latents[1] = latents[1][[0, 3, 1, 2, 4, 5]]
    assert temporal_order_share(latents, positions) == 0.5
    assert np.isnan(temporal_order_share(latents[2:], positions[2:]))


@pytest.fixture(scope="module")
def moving():
    """Clips of digits."""
    return digits.make(60, seed=7)


def test_the_share_is_about_0_for_latents_without_order(moving):
    """The control of every bar: white noise and the true latents in another order."""
    positions, rng = moving.states["position"], np.random.default_rng(0)
    pixels = moving.frames.reshape(60, 16, -1).astype(float)
    assert temporal_order_share(rng.normal(size=(60, 16, 32)), positions) < 0.05
    assert temporal_order_share(pixels[:, rng.permutation(16)], positions) < 0.05


def test_the_share_of_pixels_is_high_already_so_it_says_little_of_an_encoder(moving):
    """The other control: without a network, and after a random projection to 32 numbers, frames are in order too."""
    positions = moving.states["position"]
    pixels = moving.frames.reshape(60, 16, -1).astype(float)
    projected = pixels @ np.random.default_rng(1).normal(size=(1024, 32))
    assert temporal_order_share(pixels, positions) > 0.9
    assert temporal_order_share(projected, positions) > 0.6


def test_the_share_falls_as_noise_hides_the_path(moving):
    positions = moving.states["position"]
    grain = np.random.default_rng(2).normal(size=(60, 16, 2))
    shares = [temporal_order_share(positions[:, :, 0] + strength * grain, positions) for strength in (0, 0.3, 0.6, 1.2, 4.8)]
    assert shares[0] == 1 and shares[-1] < 0.05 and (np.diff(shares) < 0).all()


@PROPERTY
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100))
def test_the_share_does_not_change_with_a_rotation_a_shift_or_a_scale_of_latent_space(seed, scale):
    rng = np.random.default_rng(seed)
    positions = np.tile(np.arange(6.0)[None, :, None, None] * [[0.0, 1.0]], (10, 1, 1, 1))
    latents = np.arange(6.0)[:, None] + rng.normal(scale=0.4, size=(10, 6, 3))
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    assert temporal_order_share(scale * latents @ rotation + 5, positions) == temporal_order_share(latents, positions)
