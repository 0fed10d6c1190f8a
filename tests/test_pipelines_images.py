"""Clips of image generators: loops through latent space that can be repeated."""

import numpy as np
import pytest

from vidgen_tf import zoo
from vidgen_tf.pipelines.images import interpolation_loop
from vidgen_tf.pipelines.sampling import sample

NAMES = {"glo-faces": (64, 64, 3), "mlp-gan-digits": (28, 28, 1), "dcgan-faces": (64, 64, 3), "vae-shapes": (32, 32, 3)}


class Echo:
    """A generator whose frames are its latents."""

    def predict(self, latents, **options):
        return np.asarray(latents)[:, None, :, None] / 2


def test_a_loop_goes_from_one_latent_to_another_and_back():
    ends = np.array([[[np.sqrt(2), 0], [0, np.sqrt(2)]]], "float32")
    (clip,) = interpolation_loop(Echo(), ends)
    assert clip.frames.shape == (16, 1, 2, 1)
    across, down = clip.frames[:, 0, 0, 0].astype(int), clip.frames[:, 0, 1, 0].astype(int)
    assert across[0] == across[-1] == round((np.sqrt(2) / 2 + 1) * 127.5) and abs(down[0] - 127.5) < 1
    assert across.argmin() in (7, 8) and (np.diff(across[:8]) < 0).all() and (np.diff(across[8:]) > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_repeatable_loops(name):
    model, record = zoo.load(name), zoo.record(name)
    first, again, other = (sample(model, record, 2, seed) for seed in (5, 5, 6))
    for a, b, c in zip(first, again, other, strict=True):
        assert a.frames.shape == (16, *NAMES[name])
        np.testing.assert_array_equal(a.frames, b.frames)
        assert (a.frames != c.frames).any()
        np.testing.assert_allclose(a.frames[0].astype(int), a.frames[-1].astype(int), atol=1)
        assert np.abs(a.frames[0].astype(int) - a.frames[8]).mean() > 1
