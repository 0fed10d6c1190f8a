"""How the video GANs are trained. What ships is the moving average of the generator's weights."""

import functools

import keras
import numpy as np

from .. import training, zoo
from ..datasets import load, pipeline
from ..models.video_gan import PerFrame, VideoGAN, VideoGANConfig
from ..splits import training_clips
from .recipe import Recipe

LOG_INTERVAL = 50  # steps between two entries of a history
OPTIMIZERS = {  # neither remembers earlier gradients: in a game the other player has moved since
    "adam": functools.partial(keras.optimizers.Adam, beta_1=0.0, beta_2=0.99),
    "muon": functools.partial(
        keras.optimizers.Muon, momentum=0.0, weight_decay=0.0, adam_lr_ratio=0.1, adam_beta_1=0.0, adam_beta_2=0.99
    ),
}


def clip_kinds(clips):
    """The kinds of motion and of content that a video GAN is asked for.

    Args:
        clips: N `LabelledClips` of digits or of faces.

    Returns:
        int32 `(N, 2)`: of digits the motion and the digit; of faces the expression and 0, as one is asked for no person.
    """
    states = clips.states
    if clips.world == "digits":
        return np.stack([states["motion"], states["digit"][:, 0]], axis=1).astype(np.int32)
    return np.stack([states["expression"], np.zeros_like(states["expression"])], axis=1).astype(np.int32)


def build_optimizers(steps, learning_rate, warmup_steps=0, optimizer="adam"):
    """Optimizers for both sides of a video GAN; the learning rates fall to a tenth along a cosine.

    Args:
        steps: int, training steps in all.
        learning_rate: float, the largest.
        warmup_steps: int; the generator's learning rate rises from 0 over as many: a trained generator waits for discriminators
            that know nothing yet.
        optimizer: str, a key of `OPTIMIZERS`. Muon gets much further in some hundred steps; it wants a larger learning rate.

    Returns:
        list of two `keras.optimizers.Optimizer`: the discriminators', the generator's.

    References:
        Jordan and others, 2024, "Muon: an optimizer for hidden layers in neural networks".
    """
    decay, warmup = steps - warmup_steps, {"warmup_target": learning_rate, "warmup_steps": warmup_steps}
    schedules = [keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=0.1)] * 2
    if warmup_steps:
        schedules[1] = keras.optimizers.schedules.CosineDecay(0.0, decay, alpha=0.1, **warmup)
    return [OPTIMIZERS[optimizer](schedule) for schedule in schedules]


def fit_video_gan(
    gan,
    clips,
    steps,
    generator=None,
    *,
    batch_size=32,
    learning_rate=5e-4,
    warmup_steps=0,
    optimizer="adam",
    seed=0,
    **fit_options,
):
    """Trains a video GAN with the optimizers of `build_optimizers`.

    Args:
        gan: `VideoGAN`.
        clips: `LabelledClips` of digits or of faces.
        steps: training steps in all.
        generator: `keras.Model` like the GAN's generator, which gets the averaged weights, or None.
        batch_size: clips per step.
        learning_rate, warmup_steps, optimizer: of `build_optimizers`.
        seed: non-negative int, order of the batches.
        **fit_options: checkpoint, callbacks and the other options of `training.fit`.

    Returns:
        The history of `training.fit`.
    """
    gan.compile(*build_optimizers(steps, learning_rate, warmup_steps, optimizer), jit_compile=True)
    kinds = clip_kinds(clips)

    def batches(first):
        return pipeline(clips.frames, kinds, batch_size=batch_size, seed=seed, first_step=first)

    history = training.fit(gan, batches, steps, **fit_options)
    if generator is not None:
        generator.set_weights(gan.ema_generator.get_weights())
    return history


def start_from_images(generator, image_generator):
    """Gives a video generator the weights of an image generator: before it learns motion, it knows what pictures look like.

    Args:
        generator: `keras.Model` of `build_video_generator`, with one kind of content.
        image_generator: trained `keras.Model` of `build_dcgan_generator`, with the same filters and as many latents as contents;
            its last layer resizes, then convolves.
    """
    *content, kernel, bias = image_generator.get_weights()
    # Twice as large by bilinear interpolation, then 3 taps: a pixel of phase 0 or 1 is a mixture of 3 of the smaller picture's.
    taps = np.float32([[[3, 1, 0], [1, 3, 0], [0, 3, 1]], [[1, 3, 0], [0, 3, 1], [0, 1, 3]]]) / 4  # (phase, tap, place)
    kernel = np.einsum("pky,qlx,klfc->yxfpqc", taps, taps, kernel)  # (3, 3, F, C) -> (3, 3, F, 2, 2, C)
    kernel, bias = kernel.reshape(3, 3, kernel.shape[2], -1), np.tile(bias, 4)
    generator.get_layer("content_network").set_weights(content)
    frame_network = next(layer.network for layer in generator.layers if isinstance(layer, PerFrame))
    frame_network.get_layer("to_frame").set_weights([kernel, bias])


def build_gan(recipe):
    """The video GAN of a recipe before its training, which may begin with the weights of an image generator.

    Args:
        recipe: `Recipe`.

    Returns:
        `VideoGAN`.
    """
    gan = VideoGAN(recipe.config, recipe.training["discriminators"], seed=recipe.seed)
    if "image_generator" in recipe.uses:
        start_from_images(gan.generator, zoo.load(recipe.uses["image_generator"]))
        gan.ema_generator.set_weights(gan.generator.get_weights())
    return gan


def _train(recipe, model, steps, checkpoint):
    """Trains on clips of a data set, without held-out attribute combinations."""
    clips, gan = training_clips(load(*recipe.dataset)), build_gan(recipe)
    settings = {key: value for key, value in recipe.training.items() if key != "discriminators"}
    options = {"seed": recipe.seed, "checkpoint": checkpoint, "log_interval": LOG_INTERVAL} | settings
    return fit_video_gan(gan, clips, steps, model, **options)


RECIPES = [
    Recipe(
        name="video-gan-digits",
        title="Video GAN: one moving digit, 32x32 grey, motion and digit as asked",
        model="VideoGenerator",
        config=VideoGANConfig(num_motions=4, num_contents=10),
        dataset=("digits", "train"),
        steps={"fast": 250, "full": 12000},
        seed=280,
        train=_train,
        evaluation="video_gan",
        pipeline="video_gan",
        reference="digits",
        training={"discriminators": ("image", "video"), "batch_size": 32, "learning_rate": 5e-4},
    ),
    Recipe(
        name="video-gan-faces",
        title="Video GAN: a drawn face, 64x64 RGB, with the expression asked for",
        model="VideoGenerator",
        config=VideoGANConfig(
            content_dim=64,
            num_motions=5,
            num_groups=4,
            is_styled=True,
            num_shown_frames=4,
            image_size=64,
            filters=(256, 128, 64, 32),
            frame_filters=(32, 32),
            discriminator_filters=(32, 64, 64, 128),
            channels=3,
        ),
        dataset=("faces", "train"),
        steps={"fast": 100, "full": 8000},
        seed=181,
        train=_train,
        evaluation="video_gan",
        pipeline="video_gan",
        reference="faces",
        uses={"image_generator": "dcgan-faces"},
        training={"discriminators": ("image", "video"), "batch_size": 16, "learning_rate": 5e-4, "warmup_steps": 200},
    ),
]
