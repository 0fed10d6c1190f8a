"""Spectra of images: a wave stands at its frequency, noise is flat, and the last two points make the Nyquist ratio."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from vidgen_tf.errors import CourseError
from vidgen_tf.figures import compare_spectra
from vidgen_tf.figures.spectra import wave_energies
from vidgen_tf.metrics.image import nyquist_ratio


@pytest.fixture
def axes():
    return Figure().subplots()


@pytest.mark.parametrize("axis", [1, 2])
def test_a_wave_has_its_energy_at_its_frequency(axis):
    wave = np.cos(2 * np.pi * 3 * np.arange(16) / 16)
    images = np.broadcast_to(np.expand_dims(wave, 2 - axis), (2, 16, 16))[..., None]
    energies = wave_energies(images)
    assert energies.shape == (9,) and energies[3] == pytest.approx(8**2 / 2)  # along one axis; 0 along the other
    np.testing.assert_allclose(np.delete(energies, 3)[1:], 0, atol=1e-20)


def test_white_noise_is_flat_and_stripes_stand_out():
    noise = np.random.default_rng(0).normal(size=(400, 32, 32, 1))
    energies = wave_energies(noise)
    np.testing.assert_allclose(energies, 32, rtol=0.06)
    board = np.indices((32, 32)).sum(axis=0)[..., None] % 2
    both = wave_energies(noise + board)
    assert both[-1] / both[-2] == pytest.approx(nyquist_ratio(noise + board)) and both[-1] > 5 * both[-2]


def test_channels_are_averaged():
    images = np.random.default_rng(0).integers(0, 256, size=(3, 8, 8, 3), dtype=np.uint8)
    np.testing.assert_allclose(wave_energies(images), wave_energies(images.mean(axis=-1, keepdims=True)))


def test_a_curve_for_each_set_without_the_mean(axes):
    images = {
        "real": np.random.default_rng(0).normal(size=(4, 16, 16, 1)),
        "other": np.ones((2, 16, 16, 3)) * np.eye(16)[..., None],
    }
    assert compare_spectra(images, axes=axes) is axes and axes.get_yscale() == "log"
    assert [line.get_label() for line in axes.lines] == ["real", "other"]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), np.arange(1, 9) / 16)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), wave_energies(images["real"])[1:])


def test_what_has_no_spectrum_is_refused(axes):
    with pytest.raises(CourseError, match=r"square images \(N, S, S, C\)"):
        wave_energies(np.zeros((2, 8, 9, 1)))
    with pytest.raises(CourseError, match=r"sides of \[8, 16\] px"):
        compare_spectra({"a": np.ones((2, 8, 8, 1)), "b": np.ones((2, 16, 16, 1))}, axes=axes)
    with pytest.raises(CourseError, match="nothing to compare"):
        compare_spectra({}, axes=axes)
