"""Trains chapter 12's diffusion transformer on eight devices, divided in two ways, and compares the weights with one device's.

The devices are virtual: JAX divides the CPU into eight. On a machine with eight cards the same program uses these. It needs
JAX beside the course's environment.

    KERAS_BACKEND=jax python scripts/shard_jax.py
"""

import argparse
import os
import sys

NUM_DEVICES = 8
os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count={NUM_DEVICES}")  # read when JAX is imported

import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import distribution  # noqa: E402

from vidgen_tf.models.dit import DiffusionConfig, DiTBlock, build_transformer  # noqa: E402


def divided_axes(model):
    """How the axes of the large kernels are divided: the columns of the first of each pair, then the rows of the second, so that
    a block adds up its devices' results twice and never exchanges weights.

    Args:
        model: of `build_transformer`.

    Returns:
        dict from the path of a kernel to a tuple, "model" for the axis that is divided.
    """
    axes = {}
    for block in (layer for layer in model.layers if isinstance(layer, DiTBlock)):
        for first, second in ((block.attention.qkv, block.attention.out), (block.mlp_in, block.mlp_out)):
            axes |= {first.kernel.path: (None, "model"), second.kernel.path: ("model", None)}
    return axes


def data_parallel(axes):
    """Every device has all weights and an eighth of each batch."""
    return distribution.DataParallel(devices=distribution.list_devices()[:NUM_DEVICES])


def model_parallel(axes):
    """Two groups of four devices: each group gets half of each batch, and its devices a quarter of each large kernel."""
    mesh = distribution.DeviceMesh((2, 4), ("batch", "model"), distribution.list_devices()[:NUM_DEVICES])
    layout = distribution.LayoutMap(mesh)
    for path, divided in axes.items():
        layout[path] = divided
    return distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


def train(config, weights, batches, chosen=None):
    """Trains a transformer.

    Args:
        config: `DiffusionConfig`.
        weights: list of arrays that the training begins with, or None for new ones.
        batches: list of (inputs, velocities).
        chosen: a distribution of `keras.distribution`, or None for one device.

    Returns:
        The model; the weights before and after, lists of arrays; and the losses.
    """
    keras.utils.clear_session(free_memory=False)  # numbers layers from 1 again: a kernel has the same path each time
    distribution.set_distribution(chosen)
    model = build_transformer(config)
    if weights is not None:
        model.set_weights(weights)
    before = model.get_weights()
    model.compile(keras.optimizers.AdamW(1e-3), loss="mse")
    losses = [float(model.train_on_batch(*batch)) for batch in batches]
    return model, before, model.get_weights(), losses


def held_share(model):
    """The share of the weights that the first device holds."""
    values = [weight.value for weight in model.trainable_variables]
    return sum(value.addressable_shards[0].data.size for value in values) / sum(value.size for value in values)


def make_batch(config, batch_size):
    """Noise to fit: as good as clips to compare devices by.

    Args:
        config: `DiffusionConfig`.
        batch_size: int.

    Returns:
        (inputs, velocities), see `build_transformer`.
    """
    rng = np.random.default_rng(0)
    noisy, velocities = rng.normal(size=(2, batch_size, config.num_frames, config.latent_dim)).astype("float32")
    timesteps = rng.random((batch_size, config.num_frames)).astype("float32")
    return {"noisy": noisy, "timesteps": timesteps}, velocities


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10, help="training steps (default: 10)")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="largest difference of a weight (default: 1e-4)")
    options = parser.parse_args()
    if keras.backend.backend() != "jax":
        parser.error("set KERAS_BACKEND=jax in the environment")
    if len(distribution.list_devices()) < NUM_DEVICES:
        parser.error(f"JAX has {len(distribution.list_devices())} devices, {NUM_DEVICES} are needed: unset XLA_FLAGS")
    config = DiffusionConfig(num_layers=2)
    batches = [make_batch(config, 16)] * options.steps
    keras.utils.set_random_seed(0)
    model, first, whole, losses = train(config, None, batches)
    print(f"one device: loss {losses[0]:.4f} to {losses[-1]:.4f}, {model.count_params():,} weights")
    axes, worst = divided_axes(model), 0.0
    for make in (data_parallel, model_parallel):
        model, _, weights, losses = train(config, first, batches, make(axes))
        difference = max(float(np.abs(a - b).max()) for a, b in zip(whole, weights, strict=True))
        worst, name = max(worst, difference), make.__name__.replace("_", " ")
        held = f"a device holds {held_share(model):.0%} of them"
        print(f"{name}: loss {losses[-1]:.4f}, weights differ by {difference:.1e}, {held}")
    sys.exit(0 if worst <= options.tolerance else f"The weights differ by more than {options.tolerance}.")


if __name__ == "__main__":
    main()
