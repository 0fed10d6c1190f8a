"""The phantom of cardiac ultrasound: its masks, its muscle's area, and the statistics of its speckle."""

import numpy as np
import pytest

from vidgen_tf.errors import CourseError
from vidgen_tf.simulation import ultrasound
from vidgen_tf.simulation.ultrasound import make_hearts


@pytest.fixture(scope="module")
def hearts():
    return make_hearts(20, seed=3)


def test_clips_and_masks_have_their_shapes_and_a_seed_gives_the_same_ones(hearts):
    frames, masks = hearts
    assert frames.shape == (20, 16, 32, 32, 1) and frames.dtype == np.uint8
    assert masks.shape == (20, 16, 32, 32) and masks.dtype == bool
    again = make_hearts(20, seed=3)
    np.testing.assert_array_equal(frames, again[0])
    assert (make_hearts(20, seed=4)[0] != frames).any()


def test_each_heart_beats_once_and_its_chamber_is_darker_than_what_is_around(hearts):
    frames, masks = hearts
    area = masks.sum(axis=(2, 3))
    assert (area.min(axis=1) > 0).all() and (area.max(axis=1) > 1.2 * area.min(axis=1)).all()
    ends = np.abs(area[:, 0] - area[:, -1])
    assert (ends < 0.6 * (area.max(axis=1) - area.min(axis=1)) + 8).all(), "the end of the beat is near its beginning"
    for clip, mask in zip(frames[..., 0], masks):
        assert clip[mask].mean() < clip[~mask].mean() - 20


def test_the_muscle_keeps_its_area_over_the_beat():
    radius, wall = ultrasound._walls(np.random.default_rng(0), 50)
    area = (radius + wall) ** 2 - radius**2
    np.testing.assert_allclose(area, area[:, :1].repeat(16, axis=1), rtol=1e-9)
    assert (wall.max(axis=1) > wall.min(axis=1)).all(), "a wall thickens when the chamber shrinks"


def test_speckle_has_the_distribution_of_rayleigh_and_fades_over_frames():
    speckle = ultrasound._speckle(np.random.default_rng(1), (8, 16, 64, 64))
    assert np.mean(speckle**2) == pytest.approx(1, abs=0.02)
    assert speckle.mean() / speckle.std() == pytest.approx(1.913, abs=0.05)  # the closed form: sqrt(pi / (4 - pi))
    power = (speckle**2 - 1).reshape(8, 16, -1)
    near, far = (np.mean(power[:, :-lag] * power[:, lag:]) / np.mean(power**2) for lag in (1, 8))
    assert near == pytest.approx(ultrasound.KEPT_SPECKLE**2, abs=0.06)  # of intensities: the square of that of amplitudes
    assert abs(far) < 0.1


@pytest.mark.parametrize("wrong", [{"count": 0}, {"seed": -1}, {"size": 15}, {"size": 32.5}])
def test_make_hearts_refuses_what_is_impossible(wrong):
    with pytest.raises(CourseError):
        make_hearts(**{"count": 1, "seed": 0, "size": 32} | wrong)
