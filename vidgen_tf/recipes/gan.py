"""How the GANs are trained. What ships is the moving average of the generator's weights."""

import keras

from .. import training
from ..datasets import pipeline
from ..evaluation.labels import face_images
from ..models.dcgan import DCGANConfig, build_dcgan
from ..models.gan import GAN, MLPGANConfig, build_mlp_discriminator, build_mlp_generator, rpgan_losses
from ..worlds import digits
from .recipe import Recipe


def fit_gan(gan, images, steps, batch_size, seed=0, **fit_options):
    """Trains a pair of networks.

    Args:
        gan: compiled `GAN`.
        images: uint8 `(N, H, W, C)`, real ones.
        steps: training steps in all.
        batch_size: images per step.
        seed: non-negative int, order of the batches.
        **fit_options: checkpoint, callbacks, log_interval and the other options of `training.fit`.

    Returns:
        The history of `training.fit`.
    """

    def batches(first):
        return pipeline(images, batch_size=batch_size, seed=seed, first_step=first)

    return training.fit(gan, batches, steps, **fit_options)


def build_mlp_gan(config, loss_fn=rpgan_losses, gamma=1.0, seed=0):
    """A fully connected GAN, compiled with two Adam optimizers.

    Args:
        config: `MLPGANConfig`.
        loss_fn: `non_saturating_losses` or `rpgan_losses`.
        gamma: float, weight of the R1 and R2 penalties; 0 leaves them out.
        seed: int, of the latents.

    Returns:
        compiled `GAN`.
    """
    gan = GAN(build_mlp_generator(config), build_mlp_discriminator(config), loss_fn, gamma, seed=seed)
    gan.compile(*(keras.optimizers.Adam(2e-4, beta_1=0.0, beta_2=0.99) for _ in range(2)), jit_compile=True)
    return gan


def _train_mlp(recipe, model, steps, checkpoint):
    """Trains the fully connected pair on the digit images of the training split."""
    gan = build_mlp_gan(recipe.config, seed=recipe.seed)
    return _fit_generator(recipe, gan, digits.images("train")[0], model, 64, steps, checkpoint)


def _train_dcgan(recipe, model, steps, checkpoint):
    """Trains the convolutional pair on five frames of each training person."""
    faces = face_images(recipe.config.image_size, "train")
    gan = build_dcgan(recipe.config, keras.optimizers.schedules.CosineDecay(5e-4, steps, alpha=0.1), recipe.seed)
    return _fit_generator(recipe, gan, faces.reshape(-1, *faces.shape[2:]), model, 32, steps, checkpoint)


def _fit_generator(recipe, gan, images, generator, batch_size, steps, checkpoint):
    history = fit_gan(gan, images, steps, batch_size, recipe.seed, checkpoint=checkpoint, log_interval=100)
    generator.set_weights(gan.ema_generator.get_weights())
    return history


RECIPES = [
    Recipe(
        name="mlp-gan-digits",
        title="MLP GAN: centred handwritten digits, 28x28 grey",
        model="MLPGenerator",
        config=MLPGANConfig(),
        dataset=("digits", "train"),
        steps={"fast": 1500, "full": 8000},
        seed=4,
        train=_train_mlp,
        evaluation="digit_images",
        pipeline="generator_interpolation",
        reference="digit-images",
        uses={"frame_classifier": "classifier-digits-28"},
    ),
    Recipe(
        name="dcgan-faces",
        title="DCGAN: drawn faces, 64x64 RGB",
        model="DCGANGenerator",
        config=DCGANConfig(filters=(256, 128, 64, 32)),  # one doubling more than in chapter 04
        dataset=("faces", "train"),
        steps={"fast": 500, "full": 9000},
        seed=5,
        train=_train_dcgan,
        evaluation="face_images",
        pipeline="generator_interpolation",
        reference="faces",
        uses={"frame_classifier": "classifier-faces"},
    ),
]
