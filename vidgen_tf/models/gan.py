"""Generative adversarial networks: losses and training step of all GANs of the course, and the fully connected pair."""

import dataclasses
import keras
import tensorflow as tf
from keras import layers, ops
from ..layers import update_ema


@dataclasses.dataclass(is_static=True)
class MLPGANConfig:
    """Sizes of the fully connected pair."""

    latent_dim: int = 100  # numbers that stand for one picture
    hidden: tuple[int, ...] = (256, 512, 1024)  # units of the generator; the discriminator mirrors them
    frame_size: int = 28  # height and width of a grey picture, px


def build_mlp_generator(config):
    """Dense layers from a latent to a grey picture.

    Args:
        config: `MLPGANConfig`.

    Returns:
        `keras.Model` from float32 `(B, latent_dim)` to float32 `(B, frame_size, frame_size, 1)` in [-1, 1].
    """
    latent = x = keras.Input((config.latent_dim,), name="latent")
    for units in config.hidden:
        x = layers.Dense(units)(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    x = layers.Dense(config.frame_size**2, activation="tanh")(x)
    frame = layers.Reshape((config.frame_size, config.frame_size, 1))(x)  # (B, H*W) -> (B, H, W, 1)
    return keras.Model(latent, frame, name="generator")


def build_mlp_discriminator(config):
    """Dense layers from a grey picture to one number: high for "real", low for "made".

    Args:
        config: `MLPGANConfig`.

    Returns:
        `keras.Model` from float32 `(B, frame_size, frame_size, 1)` to logits `(B, 1)`.
    """
    frame = keras.Input((config.frame_size, config.frame_size, 1), name="frame")
    x = layers.Flatten()(frame)
    for units in reversed(config.hidden):
        x = layers.Dense(units)(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    logit = layers.Dense(1)(x)
    return keras.Model(frame, logit, name="discriminator")


def non_saturating_losses(real_logits, fake_logits, real_label=0.9):
    """The classic losses: the discriminator is a classifier, the generator wants its pictures called real.

    Args:
        real_logits: float `(B, 1)`, the discriminator's output for real pictures.
        fake_logits: float `(B, 1)`, for made ones.
        real_label: target for real pictures; a little below 1 keeps the discriminator from ever being sure.

    Returns:
        d_loss, g_loss: scalars.

    References:
        Goodfellow et al., 2014, "Generative adversarial nets"; Salimans et al., 2016, "Improved techniques for training GANs".
    """
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    on_real = bce(real_label * ops.ones_like(real_logits), real_logits)
    on_fake = bce(ops.zeros_like(fake_logits), fake_logits)
    return on_real + on_fake, bce(ops.ones_like(fake_logits), fake_logits)


def rpgan_losses(real_logits, fake_logits):
    """Losses on pairs: one player wants real pictures real_and_fake_logits above made ones, the other the reverse.

    Args:
        real_logits: float `(B, 1)`, the discriminator's output for real pictures.
        fake_logits: float `(B, 1)`, for made ones.

    Returns:
        d_loss, g_loss: scalars.

    References:
        Jolicoeur-Martineau, 2019, "The relativistic discriminator"; Huang et al., 2024, "The GAN is dead; long live the GAN!".
    """
    ahead = real_logits - fake_logits
    return ops.mean(ops.softplus(-ahead)), ops.mean(ops.softplus(ahead))


def gradient_penalty(discriminator, frames):
    """Mean squared length of the discriminator's gradient at pictures: 0 where its rating is flat.

    Args:
        discriminator: `keras.Model` from pictures to logits.
        frames: float `(B, H, W, C)`.

    Returns:
        scalar.

    References:
        Mescheder, Geiger and Nowozin, 2018, "Which training methods for GANs do actually converge?".
    """
    with tf.GradientTape() as tape:
        tape.watch(frames)
        ratings = ops.sum(discriminator(frames, training=True))
    slope = tape.gradient(ratings, frames)  # (B, H, W, C)
    return ops.mean(ops.sum(ops.square(slope), axis=(1, 2, 3)))


def real_and_fake_logits(discriminator, real, fake):
    """A discriminator's ratings of real and of made pictures.

    Args:
        discriminator: `keras.Model` from pictures to logits.
        real: float `(B, H, W, C)`, real pictures.
        fake: made ones.

    Returns:
        real_logits, fake_logits: float `(B, 1)`.
    """
    return discriminator(real, training=True), discriminator(fake, training=True)


def r1_r2_penalty(discriminator, real, fake, gamma, every=1):
    """The gradient penalties on real and made pictures, weighted.

    Args:
        discriminator: `keras.Model` from pictures to logits.
        real: float `(B, H, W, C)`, real pictures.
        fake: made ones.
        gamma: twice the weight; 0 saves the work.
        every: 1 looks at all pictures, 4 at every fourth one: the same penalty on average, for a quarter of the work.

    Returns:
        scalar.
    """
    if not gamma:
        return 0.0
    penalties = [gradient_penalty(discriminator, frames[::every]) for frames in (real, fake)]
    return gamma / 2 * sum(penalties)


class GAN(keras.Model):
    """Two networks in competition: a generator of pictures, and a discriminator of made and real ones.

    Args:
        generator: `keras.Model` from latents `(B, latent_dim)` to pictures.
        discriminator: `keras.Model` from pictures to logits `(B, 1)`.
        losses: `non_saturating_losses` or `rpgan_losses`.
        gamma: weight of the gradient penalty on real and made pictures; 0 leaves it out.
        penalty_every: 1 measures the penalty on all pictures of a batch, 4 on every fourth.
        ema_decay: share of the old value in the running average of the generator's weights, which makes calmer pictures than
            the generator of any one step.
        seed: of the latents drawn in training.

    Call arguments:
        latent: float `(B, latent_dim)`; the averaged generator makes pictures of them.

    Output shape:
        That of the generator.
    """

    def __init__(self, generator, discriminator, losses, gamma=0.0, penalty_every=1, ema_decay=0.995, seed=0):
        super().__init__(name="gan")
        self.generator, self.discriminator = generator, discriminator
        self.losses_of, self.penalty, self.ema_decay = losses, (gamma, penalty_every), ema_decay
        self.ema_generator = keras.models.clone_model(generator)
        self.ema_generator.set_weights(generator.get_weights())
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.trackers = [keras.metrics.Mean(name="d_loss"), keras.metrics.Mean(name="g_loss")]
        self.built = True

    def compile(self, d_optimizer, g_optimizer, **options):
        """Sets one optimizer for each network.

        Args:
            d_optimizer: `keras.optimizers.Optimizer` of the discriminator.
            g_optimizer: of the generator.
            **options: as for `keras.Model.compile`.
        """
        super().compile(**options)
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer
        d_optimizer.build(self.discriminator.trainable_variables)
        g_optimizer.build(self.generator.trainable_variables)

    @property
    def metrics(self):
        """The running means of both losses; Keras resets them at each entry of the history."""
        return self.trackers

    def call(self, latent):
        """Pictures for latents."""
        return self.ema_generator(latent)

    def train_step(self, data):
        """One step of the discriminator, then one of the generator; neither touches the other's weights.

        Args:
            data: float `(B, H, W, C)`, real pictures.

        Returns:
            dict of the losses' running means, "d_loss" and "g_loss".
        """
        real, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        shape = ops.shape(real)[0], self.generator.input_shape[-1]
        with tf.GradientTape() as tape:  # half a step: the discriminator learns
            latent = keras.random.normal(shape, seed=self.seed_generator)
            fake = ops.stop_gradient(self.generator(latent, training=True))
            d_loss, _ = self.losses_of(*real_and_fake_logits(self.discriminator, real, fake))
            total = d_loss + r1_r2_penalty(self.discriminator, real, fake, *self.penalty)
        weights = self.discriminator.trainable_variables
        self.d_optimizer.apply(tape.gradient(total, weights), weights)

        with tf.GradientTape() as tape:  # the other half: the generator learns
            latent = keras.random.normal(shape, seed=self.seed_generator)
            fake = self.generator(latent, training=True)
            _, g_loss = self.losses_of(*real_and_fake_logits(self.discriminator, real, fake))
        weights = self.generator.trainable_variables
        self.g_optimizer.apply(tape.gradient(g_loss, weights), weights)
        update_ema(self.ema_generator, self.generator, self.ema_decay)

        for tracker, loss in zip(self.trackers, (d_loss, g_loss)):
            tracker.update_state(loss)
        return {tracker.name: tracker.result() for tracker in self.trackers}
