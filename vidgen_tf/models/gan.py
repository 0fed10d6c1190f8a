"""Generative adversarial networks (GANs): losses, gradient penalties and training step, and the fully connected pair."""

import dataclasses

import keras
import tensorflow as tf
from keras import layers, ops

from ..layers import update_ema
from .base import Config, ConfiguredModel, check_float_frames


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class MLPGANConfig(Config):
    """Sizes of a fully connected generator and discriminator."""

    latent_dim: int = 100
    hidden_dims: tuple[int, ...] = (256, 512, 1024)  # units of the generator; the discriminator's reversed
    image_size: int = 28  # height and width of a grey image, px


def build_mlp_generator(config):
    """A multilayer perceptron from a latent to a grey image.

    Args:
        config: `MLPGANConfig`.

    Returns:
        `keras.Model` from float32 `(B, latent_dim)` to float32 `(B, image_size, image_size, 1)` in [-1, 1].
    """
    latent = x = keras.Input((config.latent_dim,), name="latent")
    for units in config.hidden_dims:
        x = layers.Dense(units)(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    shape = (config.image_size, config.image_size, 1)
    x = layers.Dense(config.image_size**2, activation="tanh", dtype="float32")(x)
    frame = layers.Reshape(shape, dtype="float32")(x)  # (B, H*W) -> (B, H, W, 1)
    return keras.Model(latent, frame, name="generator")


def build_mlp_discriminator(config):
    """A multilayer perceptron from a grey image to one logit, high for real images and low for generated.

    Args:
        config: `MLPGANConfig`.

    Returns:
        `keras.Model` from float32 `(B, image_size, image_size, 1)` in [-1, 1] to float32 logits `(B, 1)`.
    """
    frame = keras.Input((config.image_size, config.image_size, 1), name="frame")
    x = layers.Flatten()(frame)
    for units in reversed(config.hidden_dims):
        x = layers.Dense(units)(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    logit = layers.Dense(1, dtype="float32")(x)
    return keras.Model(frame, logit, name="discriminator")


@keras.saving.register_keras_serializable(package="vidgen_tf")
def non_saturating_losses(real_logits, fake_logits, real_label=0.9):
    """Binary cross-entropy of both networks, the generator's in non-saturating form, with label smoothing.

    The smoothing is one-sided: targets of generated images stay 0.

    Args:
        real_logits: float `(B, 1)`, the discriminator's logits of real images.
        fake_logits: float `(B, 1)`, of generated ones.
        real_label: float, target of the discriminator for real images; below 1 keeps it from growing overconfident.

    Returns:
        d_loss, g_loss: float scalars, in nats.

    References:
        Goodfellow et al., 2014, "Generative adversarial nets"; Salimans et al., 2016, "Improved techniques for training GANs".
    """
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    on_real = bce(real_label * ops.ones_like(real_logits), real_logits)
    on_fake = bce(ops.zeros_like(fake_logits), fake_logits)
    return on_real + on_fake, bce(ops.ones_like(fake_logits), fake_logits)


@keras.saving.register_keras_serializable(package="vidgen_tf")
def rpgan_losses(real_logits, fake_logits):
    """Relativistic pairing losses (RpGAN): logistic losses of the difference of real and generated logits.

    Args:
        real_logits: float `(B, 1)`, the discriminator's logits of real images.
        fake_logits: float `(B, 1)`, of generated ones.

    Returns:
        d_loss, g_loss: float scalars; both are log 2 where the logits are equal.

    References:
        Jolicoeur-Martineau, 2019, "The relativistic discriminator: a key element missing from standard GAN"; Huang, Gokaslan,
        Kuleshov and Tompkin, 2024, "The GAN is dead; long live the GAN! A modern GAN baseline".
    """
    difference = real_logits - fake_logits
    return ops.mean(ops.softplus(-difference)), ops.mean(ops.softplus(difference))


def gradient_penalty(discriminator, frames):
    """Squared norm of the gradient of a discriminator's logit with respect to its input, batch mean.

    Args:
        discriminator: `keras.Model` from images to logits.
        frames: float `(B, H, W, C)`.

    Returns:
        float scalar, at least 0.

    References:
        Mescheder, Geiger and Nowozin, 2018, "Which training methods for GANs do actually converge?".
    """
    with tf.GradientTape() as tape:
        tape.watch(frames)
        logits = ops.sum(discriminator(frames, training=True))
    gradient = tape.gradient(logits, frames)  # (B, H, W, C)
    return ops.mean(ops.sum(ops.square(gradient), axis=(1, 2, 3)))


def real_and_fake_logits(discriminator, real, fake, training=True):
    """A discriminator's logits of real and of generated images.

    Args:
        discriminator: `keras.Model` from images to logits.
        real: float `(B, H, W, C)`, real images.
        fake: float of the same shape, generated ones.
        training: bool, whether layers such as dropout act as in training.

    Returns:
        real_logits, fake_logits: float `(B, 1)`.
    """
    return discriminator(real, training=training), discriminator(fake, training=training)


def r1_r2_penalty(discriminator, real, fake, gamma, stride=1):
    """The R1 and R2 penalties, of gradients at real and at generated images, weighted by gamma / 2.

    Args:
        discriminator: `keras.Model` from images to logits.
        real: float `(B, H, W, C)`, real images (R1).
        fake: float of the same shape, generated ones (R2).
        gamma: float; 0 leaves both out.
        stride: int; every `stride`-th image of the batch is used: 4 estimates the same penalty at a quarter of the cost.

    Returns:
        float scalar.

    References:
        Mescheder, Geiger and Nowozin, 2018, "Which training methods for GANs do actually converge?".
    """
    if not gamma:
        return 0.0
    penalties = [gradient_penalty(discriminator, frames[::stride]) for frames in (real, fake)]
    return gamma / 2 * sum(penalties)


class AdversarialModel(ConfiguredModel):
    """A generator and a discriminator with an optimizer each: compiling, reporting both losses, saving and loading.

    Args:
        name: str, the model's.
    """

    def __init__(self, name):
        super().__init__(name=name)
        self.trackers = [keras.metrics.Mean(name=name) for name in ("loss", "d_loss", "g_loss")]

    def compile(self, d_optimizer, g_optimizer, **options):
        """Sets the optimizers; under the policy "mixed_float16" both scale their losses dynamically.

        Args:
            d_optimizer: `keras.optimizers.Optimizer` of the discriminator.
            g_optimizer: `keras.optimizers.Optimizer` of the generator.
            **options: `jit_compile` and the other options of `keras.Model.compile`.
        """
        super().compile(optimizer=None, **options)
        self.d_optimizer, self.g_optimizer = self._scaled(d_optimizer), self._scaled(g_optimizer)
        self.d_optimizer.build(self.discriminator.trainable_variables)
        self.g_optimizer.build(self.generator.trainable_variables)

    @property
    def optimizers(self):
        """list of both optimizers, the discriminator's first."""
        return [self.d_optimizer, self.g_optimizer]

    @property
    def metrics(self):
        """The running means of the losses; Keras resets them at the start of each epoch."""
        return self.trackers

    def unpack_real(self, data):
        """The real images of a batch.

        Args:
            data: what `fit` and `evaluate` pass on: float `(B, H, W, C)` in [-1, 1], or a tuple that begins with it.

        Returns:
            float tensor `(B, H, W, C)`.

        Raises:
            CourseError: pixels that are no floats, see `check_float_frames`.
        """
        real, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        check_float_frames(real)
        return ops.convert_to_tensor(real)

    def report(self, d_loss, g_loss):
        """Updates the running means with a batch.

        Args:
            d_loss: float scalar, the discriminator's loss.
            g_loss: float scalar, the generator's.

        Returns:
            dict of the running means: "d_loss", "g_loss" and their sum, "loss".
        """
        for tracker, value in zip(self.trackers, (d_loss + g_loss, d_loss, g_loss), strict=True):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.trackers}

    def get_compile_config(self):
        """What `compile` was called with, for a saved model.

        Returns:
            dict; empty before `compile`.
        """
        if not self.compiled:
            return {}
        return {"d_optimizer": self.d_optimizer, "g_optimizer": self.g_optimizer, "jit_compile": self.jit_compile}

    def compile_from_config(self, config):
        """Compiles a loaded model.

        Args:
            config: dict that `get_compile_config` returned, serialized.
        """
        self.compile(**keras.saving.deserialize_keras_object(config))

    def _scaled(self, optimizer):
        half = self.dtype_policy.name == "mixed_float16"
        scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        return keras.optimizers.LossScaleOptimizer(optimizer) if half and not scales else optimizer


@keras.saving.register_keras_serializable(package="vidgen_tf")
class GAN(AdversarialModel):
    """A generative adversarial network (GAN) of images, with a moving average of the generator's weights.

    Args:
        generator: `keras.Model` from latents `(B, latent_dim)` to images `(B, H, W, C)`.
        discriminator: `keras.Model` from images to logits `(B, 1)`.
        loss_fn: function from real and fake logits to both losses: `non_saturating_losses` or `rpgan_losses`.
        gamma: float, weight of the R1 and R2 penalties, see `r1_r2_penalty`; 0 leaves them out.
        penalty_stride: int; the penalties use every `penalty_stride`-th image of a batch.
        ema_decay: float in [0, 1), decay per step of the exponential moving average (EMA).
        seed: int, of the latents.

    Call arguments:
        latent: float `(B, latent_dim)`; the images are those of the averaged generator.

    Output shape:
        That of the generator.

    References:
        Goodfellow et al., 2014, "Generative adversarial nets"; Yazici et al., 2019, "The unusual effectiveness of averaging in
        GAN training".
    """

    def __init__(self, generator, discriminator, loss_fn, gamma=0, penalty_stride=1, ema_decay=0.995, seed=0):
        super().__init__(name="gan")
        self.generator, self.discriminator, self.loss_fn = generator, discriminator, loss_fn
        self.gamma, self.penalty_stride, self.ema_decay, self.seed = gamma, penalty_stride, ema_decay, seed
        self.ema_generator = keras.models.clone_model(generator)
        self.ema_generator.set_weights(generator.get_weights())
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.build(generator.input_shape)

    def call(self, latent):
        """Images of latents, by the averaged generator."""
        return self.ema_generator(latent)

    def train_step(self, data):
        """One step of the discriminator, then one of the generator; neither changes the other's weights.

        Args:
            data: float `(B, H, W, C)` in [-1, 1], real images.

        Returns:
            dict of float, see `report`.
        """
        real = self.unpack_real(data)
        shape = ops.shape(real)[0], self.generator.input_shape[-1]
        with tf.GradientTape() as tape:  # the discriminator's step
            latent = keras.random.normal(shape, seed=self.seed_generator)
            fake = ops.stop_gradient(self.generator(latent, training=True))
            d_loss, _ = self.loss_fn(*real_and_fake_logits(self.discriminator, real, fake))
            penalty = r1_r2_penalty(self.discriminator, real, fake, self.gamma, self.penalty_stride)
            total = self.d_optimizer.scale_loss(d_loss + penalty)
        weights = self.discriminator.trainable_variables
        self.d_optimizer.apply(tape.gradient(total, weights), weights)

        with tf.GradientTape() as tape:  # the generator's step
            latent = keras.random.normal(shape, seed=self.seed_generator)
            fake = self.generator(latent, training=True)
            _, g_loss = self.loss_fn(*real_and_fake_logits(self.discriminator, real, fake))
            total = self.g_optimizer.scale_loss(g_loss)
        weights = self.generator.trainable_variables
        self.g_optimizer.apply(tape.gradient(total, weights), weights)
        update_ema(self.ema_generator, self.generator, self.ema_decay)
        return self.report(d_loss, g_loss)

    def test_step(self, data):
        """Both losses without a step.

        The latents are the same for every batch, so that evaluations can be compared.

        Args:
            data: float `(B, H, W, C)` in [-1, 1], real images.

        Returns:
            dict of float, see `report`.
        """
        real = self.unpack_real(data)
        latent = keras.random.normal((ops.shape(real)[0], self.generator.input_shape[-1]), seed=self.seed)
        fake = self.generator(latent, training=False)
        logits = real_and_fake_logits(self.discriminator, real, fake, training=False)
        return self.report(*self.loss_fn(*logits))
