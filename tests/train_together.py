"""A worker of the tests: trains small models by `training.fit`, alone or with others, and writes their weights.

    python tests/train_together.py FOLDER STEPS NAME...

Alone where TF_CONFIG is not set. The chief writes FOLDER/NAME.npz; every worker prints a checksum of its own weights.
"""

import os
import sys
import zlib
from pathlib import Path

import keras
import numpy as np

from vidgen_tf import training, workers
from vidgen_tf.datasets import pipeline
from vidgen_tf.errors import CourseError
from vidgen_tf.models import classifier, dcgan, gan, glo, vae

BATCH_SIZE, LOG_INTERVAL = 8, 5
RNG = np.random.default_rng(0)


def noise(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def train_glo():
    """An embedding, whose gradients are sparse, and one loss of Keras' own."""
    model = glo.GLO(32, glo.GLOConfig(latent_dim=3, hidden_dims=(8,), image_size=4, num_frames=32))
    model.compile(keras.optimizers.Adam(1e-2), loss="mse", jit_compile=True)
    return model, (np.arange(32), noise(32, 4, 4, 3))


def train_vae():
    """Batch normalisation, noise, and a loss that the model computes itself."""
    model = vae.VAE(vae.VAEConfig(image_size=8, channels=1, latent_dim=3, filters=(4, 6)))
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    return model, (noise(32, 8, 8, 1),)


def train_classifier():
    """Dropout."""
    config = classifier.ClassifierConfig((8, 8, 1), {"digit": 3}, filters=(4,), feature_dim=5)
    model = classifier.build_classifier(config)
    loss = {"digit": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    model.compile(keras.optimizers.AdamW(1e-2), loss=loss, jit_compile=False)
    return model, (noise(32, 8, 8, 1), {"digit": RNG.integers(0, 3, 32)})


def train_mlp_gan():
    """Two optimizers, two draws of latents a step, and a gradient penalty. Under XLA the draws would be other ones."""
    config = gan.MLPGANConfig(latent_dim=4, hidden_dims=(8, 6), image_size=6)
    pair = gan.build_mlp_generator(config), gan.build_mlp_discriminator(config)
    model = gan.GAN(*pair, gan.rpgan_losses, gamma=1.0, seed=2)
    model.compile(*(keras.optimizers.Adam(1e-2, beta_1=0.0) for _ in range(2)), jit_compile=False)
    return model, (noise(32, 6, 6, 1),)


def train_dcgan():
    """A GAN whose generator has batch normalisation."""
    return dcgan.build_dcgan(dcgan.DCGANConfig(latent_dim=4, filters=(6, 4)), seed=2), (noise(32, 16, 16, 3),)


MODELS = {
    "glo": train_glo,
    "vae": train_vae,
    "classifier": train_classifier,
    "mlp_gan": train_mlp_gan,
    "dcgan": train_dcgan,
}


class Batches:
    """Batches of (x, y) or x, whose rows may hold dicts."""

    def __init__(self, parts):
        self.parts = parts

    def __call__(self, first):
        flat = keras.tree.flatten(self.parts)
        data = pipeline(*flat, batch_size=BATCH_SIZE, seed=3, first_step=first)

        def packed(*items):
            whole = keras.tree.pack_sequence_as(self.parts, items)
            return whole if len(whole) > 1 else whole[0]

        return data.map(packed)


def main(folder, steps, *names):
    group = workers.join() if "TF_CONFIG" in os.environ else None
    print("joined", group and (group.index, group.count), flush=True)
    for name in names:
        keras.utils.set_random_seed(1 if workers.is_chief() else 99)  # all must start from the chief's weights
        RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state
        model, parts = MODELS[name]()
        checkpoint = Path(folder) / f"{name}.checkpoint.npz"
        options = {"checkpoint": checkpoint, "checkpoint_interval_s": 1, "log_interval": LOG_INTERVAL}
        history = training.fit(model, Batches(parts), int(steps), **options)
        weights = model.get_weights()
        print(name, zlib.crc32(b"".join(w.tobytes() for w in weights)), f"loss {history['loss'][-1]:.6f}", flush=True)
        if workers.is_chief():
            np.savez(Path(folder) / f"{name}.npz", *weights)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except CourseError as error:
        sys.exit(f"error: {error}")
