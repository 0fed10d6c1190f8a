"""How the recurrent models of latents are trained: normalisation is measured, a stopped training goes on to the same weights."""

import keras
import numpy as np
import pytest

from vidgen_tf import training
from vidgen_tf.models.latent_rnn import LatentGRU, LatentRNNConfig, LatentSVG
from vidgen_tf.recipes.latent_rnn import fit_rnn

SMALL = LatentRNNConfig(latent_dim=3, hidden_dim=8, input_noise_std=0.1, z_dim=2, gaussian_hidden_dim=5)
Z_MEAN = np.tile(np.random.default_rng(0).normal(size=(40, 7, 3)).astype("float32"), (4, 1, 1))
Z_LOG_VAR = np.full_like(Z_MEAN, -6.0)
KINDS = {"gru": lambda: LatentGRU(SMALL), "svg": lambda: LatentSVG(SMALL, seed=1)}


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def small(kind):
    training.set_seed(3)
    return KINDS[kind]()


@pytest.mark.parametrize("kind", KINDS)
def test_training_resumes_to_the_weights_of_an_uninterrupted_run(kind, tmp_path, monkeypatch):
    """The learning rate depends on the number of steps, so the first part is stopped from within. Three networks side by side add
    up in an order that may differ in the last bit; what a resumed run could forget moves weights by a thousandth."""
    whole, part, resumed = (small(kind) for _ in range(3))
    fit_rnn(whole, Z_MEAN, Z_LOG_VAR, 8, log_interval=2)
    options, fit = {"checkpoint": tmp_path / "c.npz", "log_interval": 2}, training.fit
    with monkeypatch.context() as patch:
        patch.setattr(training, "fit", lambda *a, **o: fit(*a, **o, checkpoint_interval_s=0, callbacks=[Stop()]))
        with pytest.raises(KeyboardInterrupt):
            fit_rnn(part, Z_MEAN, Z_LOG_VAR, 8, **options)
    history = fit_rnn(resumed, Z_MEAN, Z_LOG_VAR, 8, **options)
    assert history["step"].tolist() == [2, 4, 6, 8]
    np.testing.assert_allclose(whole.normalization.std, np.sqrt(Z_MEAN.var(axis=(0, 1)) + np.exp(-6)), rtol=1e-5)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
