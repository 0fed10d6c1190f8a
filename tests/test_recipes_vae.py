"""How the VAEs are trained: a stopped training goes on to the weights of an uninterrupted one."""

import keras
import numpy as np
import pytest

from vidgen_tf import training
from vidgen_tf.models.vae import VAE, VAEConfig
from vidgen_tf.recipes.vae import fit_vae

FRAMES = np.random.default_rng(0).integers(0, 256, (96, 8, 8, 1), dtype=np.uint8)


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def small_vae():
    training.set_seed(3)
    return VAE(VAEConfig(image_size=8, channels=1, latent_dim=3, filters=(4, 6), beta=0.5), seed=1)


def test_a_vae_resumes_to_the_weights_of_an_uninterrupted_run(tmp_path):
    """Its learning rate depends on the number of steps, so the first part is stopped from within."""
    whole, part, resumed = small_vae(), small_vae(), small_vae()
    fit_vae(whole, FRAMES, 8, log_interval=2)
    options = {"checkpoint": tmp_path / "c.npz", "log_interval": 2}
    with pytest.raises(KeyboardInterrupt):
        fit_vae(part, FRAMES, 8, **options, checkpoint_interval_s=0, callbacks=[Stop()])
    history = fit_vae(resumed, FRAMES, 8, **options)
    assert history["step"].tolist() == [2, 4, 6, 8]
    expected = history["reconstruction_loss"] + 0.5 * history["kl_loss"]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-4)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
