"""The dense generator: its published size, why noise teaches it only the mean frame, why learned latents teach it every frame."""

import keras
import numpy as np
import pytest

from vidgen_tf import datasets, training
from vidgen_tf.metrics.image import psnr
from vidgen_tf.metrics.memorization import nearest_image
from vidgen_tf.models import glo
from vidgen_tf.video import to_float, to_uint8

SMALL = glo.DenseConfig(latent_dim=8, hidden_dims=(32, 32), image_size=8)


@pytest.fixture(scope="module")
def frames():
    """Twelve frames of 8x8 RGB that differ a lot."""
    return np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)


def test_the_generator_of_the_first_tutorials_has_the_published_size_and_no_bound():
    generator = glo.build_generator(glo.DenseConfig(output_activation=None))
    assert generator.count_params() == 100 * 256 + 256 + 256 * 512 + 512 + 512 * 12288 + 12288 == 6_461_184
    unbounded = generator(100 * np.random.default_rng(0).normal(size=(4, 100)).astype("float32"))
    assert unbounded.shape == (4, 64, 64, 3) and np.abs(unbounded).max() > 1
    bounded = glo.build_generator(glo.DenseConfig())
    assert np.abs(bounded(100 * np.ones((1, 100), "float32"))).max() <= 1


def test_a_frame_is_generated_from_its_own_latent_on_the_hypersphere():
    training.set_seed(1)
    model = glo.GLO(12, SMALL)
    latents = np.asarray(model.latents.embeddings)
    normalized = latents / np.sqrt((latents**2).mean(axis=1, keepdims=True))
    np.testing.assert_allclose(model(np.array([5, 0])), model.generator(normalized[[5, 0]]), atol=1e-5)
    latents[5] *= 3
    model.latents.set_weights([latents])
    np.testing.assert_allclose(model(np.array([5])), model.generator(normalized[[5]]), atol=1e-5)


def test_a_table_of_latents_has_a_row_per_training_frame():
    config = glo.GLOConfig(latent_dim=8, hidden_dims=(32, 32), image_size=8, num_frames=12)
    model = glo.GLO(config.num_frames, config)
    assert model.latents.embeddings.shape == (12, 8)
    assert model.count_params() == 12 * 8 + glo.build_generator(SMALL).count_params()


def test_learned_latents_reconstruct_every_frame(frames):
    training.set_seed(1)
    model, index = glo.GLO(len(frames), SMALL), np.arange(len(frames))
    model.compile(keras.optimizers.Adam(1e-2), loss="mse", jit_compile=True)

    def batches(first):
        return datasets.pipeline(index, frames, batch_size=12, first_step=first)

    training.fit(model, batches, 600, log_interval=100)
    reconstruction = to_uint8(model.predict(index, verbose=0))
    assert psnr(frames, reconstruction).min() > 30
    np.testing.assert_array_equal(nearest_image(reconstruction, frames)[0], index)


def test_noise_paired_at_random_teaches_the_mean_frame_only(frames):
    training.set_seed(1)
    generator = glo.build_generator(SMALL)
    generator.compile(keras.optimizers.Adam(1e-2), loss="mse")
    rng = np.random.default_rng(2)
    target = to_float(frames[rng.integers(0, 12, 6000)])
    generator.fit(rng.normal(size=(6000, 8)), target, batch_size=64, epochs=3, verbose=0)
    generated = generator.predict(rng.normal(size=(50, 8)), verbose=0)
    to_mean = np.sqrt(((generated - target.mean(axis=0)) ** 2).mean())
    to_frames = np.sqrt(((generated[:, None] - to_float(frames)) ** 2).mean(axis=(2, 3, 4))).min()
    assert to_mean < 0.5 * to_frames
