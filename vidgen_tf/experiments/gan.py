"""Experiments of chapters 03 and 04: losses, penalties and averaged weights of a GAN; its output layer and grids of pixels."""

import numpy as np

from .. import training, zoo
from ..evaluation.images import evaluate_digits
from ..evaluation.labels import face_images
from ..metrics.image import nyquist_ratio
from ..models.dcgan import DCGANConfig, build_dcgan
from ..models.gan import MLPGANConfig, non_saturating_losses, rpgan_losses
from ..recipes.gan import build_mlp_gan, fit_gan
from ..video import to_uint8
from ..worlds import digits
from .ablation import run_variants

SEEDS = (4, 104, 204)
NUM_IMAGES = {"digits": 1000, "faces": 200}  # that are measured
INTERVAL = 75  # steps between two measurements of the grid

# Variant -> the losses, and the weight of the gradient penalties.
LOSSES = {
    "non-saturating": (non_saturating_losses, 0.0),
    "non-saturating, R1 and R2": (non_saturating_losses, 1.0),
    "relativistic": (rpgan_losses, 0.0),
    "relativistic, R1 and R2": (rpgan_losses, 1.0),
}
OUTPUTS = {
    "3x3 kernels": {"kernel_size": 3, "use_resize_conv": False},
    "4x4 kernels": {"use_resize_conv": False},
    "4x4 kernels, resized output": {},
}


def run_losses(dataset, path, steps=1500, seeds=SEEDS):
    """Trains the fully connected GAN with each loss, with and without gradient penalties.

    Args:
        dataset: str, "digits".
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of each, a multiple of 100.
        seeds: sequence of non-negative int: each variant is trained once with each.

    Returns:
        list of dicts, one for each variant and seed: "variant", "seed", and the scores of `evaluation.images.evaluate_digits` of
        1000 images, by the averaged weights and, with "_last" behind the name, by those of the last step.
    """
    config, classifier, (images, _) = MLPGANConfig(), zoo.load("classifier-digits-28"), digits.images("train")
    latents = _latents(config, dataset)

    def make(name, seed):
        gan = build_mlp_gan(config, *LOSSES[name], seed=seed)
        fit_gan(gan, images, steps, batch_size=64, seed=seed, log_interval=100)
        scores = {}
        for behind, generator in {"": gan.ema_generator, "_last": gan.generator}.items():
            made = to_uint8(generator.predict(latents, batch_size=250, verbose=0))
            scores |= {f"{key}{behind}": value for key, value in evaluate_digits(classifier, made).items()}
        return scores

    return run_variants(LOSSES, path, seeds, make)


def run_outputs(dataset, path, steps=300, seeds=SEEDS):
    """Trains the convolutional GAN with each output layer, and looks for a grid of pixels on the way.

    Args:
        dataset: str, "faces".
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of each, a multiple of 75.
        seeds: sequence of non-negative int: each variant is trained once with each.

    Returns:
        list of dicts, one for each variant and seed: "variant", "seed", and "nyquist_ratio_0", "nyquist_ratio_75", ...: the
        `metrics.image.nyquist_ratio` of 200 images by the generator's weights after as many steps.
    """
    images = face_images(DCGANConfig().image_size, "train")
    images, latents = images.reshape(-1, *images.shape[2:]), _latents(DCGANConfig(), dataset)

    def make(name, seed):
        gan = build_dcgan(DCGANConfig(**OUTPUTS[name]), seed=seed)
        kept = training.SnapshotCallback(lambda: nyquist_ratio(to_uint8(gan.generator(latents))))
        kept.on_epoch_end(0)  # before the first step
        fit_gan(gan, images, steps, batch_size=32, seed=seed, log_interval=INTERVAL, callbacks=[kept])
        return {f"nyquist_ratio_{i * INTERVAL}": float(ratio) for i, ratio in enumerate(kept.snapshots)}

    return run_variants(OUTPUTS, path, seeds, make)


def _latents(config, dataset):
    """Latents of the images that are measured: the same for all variants."""
    return np.random.default_rng(1000).normal(size=(NUM_IMAGES[dataset], config.latent_dim)).astype(np.float32)
