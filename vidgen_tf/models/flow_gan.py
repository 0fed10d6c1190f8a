"""A flow-based GAN: one frame and the motion of another clip become the next frames, by pixels moved along an optical flow."""

import dataclasses

import keras
import tensorflow as tf
from keras import layers, ops

from ..errors import CourseError, check_whole
from ..layers import update_ema
from .base import Config, check_multiple
from .dcgan import DCGANConfig, build_dcgan_discriminator
from .gan import AdversarialModel, r1_r2_penalty, real_and_fake_logits, rpgan_losses
from .optical_flow import Warp, contract, expand, total_variation

MASK_BIAS = 3.0  # of the logit of the occlusion mask: at first nearly all is fetched


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class FlowGANConfig(Config):
    """Sizes of a flow-based GAN of images.

    Raises:
        CourseError: a size that is no whole number or below 1, no filters, or an image size that can't be halved often enough.
    """

    image_size: int = 64  # height and width of a frame, px
    channels: int = 3
    filters: tuple[int, ...] = (24, 48, 64)  # of the U-Net, at half, a quarter, ... of the image size
    motion_dim: int = 8  # numbers that say how a frame of the driving clip differs from its first one
    driving_size: int = 32  # height and width of the driving clip's grey frames, px
    encoder_filters: tuple[int, ...] = (16, 32, 48)  # of the motion encoder; each halves the driving frames
    discriminator_filters: tuple[int, ...] = (48, 32, 24, 16)  # each halves the frames, the last first
    use_flow: bool = True  # False: the same network without flow and mask; its residual image is the frame
    l1_weight: float = 30.0  # of the mean absolute error of the frames
    change_weight: float = 10.0  # how much more an error counts where the frame differs from the first one
    residual_weight: float = 3.0  # of the same of the residual images, which learn before the mask opens
    smoothness_weight: float = 0.2  # of the total variation of the flow
    mask_weight: float = 0.1  # of the square by which the mask's logit leaves MASK_BIAS
    adversarial_weight: float = 1.0  # of the loss against the discriminator; 0 trains by the others alone
    gamma: float = 1.0  # of the R1 and R2 penalties of the discriminator
    penalty_stride: int = 4  # the penalties use every image of a batch for 1, every fourth for 4
    ema_decay: float = 0.99  # per step, of the exponential moving average of the generator's weights

    def __post_init__(self):
        super().__post_init__()
        for name in ("filters", "encoder_filters", "discriminator_filters"):
            check_whole(1, **{f"len({name})": len(getattr(self, name))})
        check_multiple(self.image_size, 2 ** len(self.filters), f"{len(self.filters)} layers halve it")


def build_motion_encoder(config):
    """How a driving clip has moved: the difference of the codes of two of its frames.

    A network reads each frame alone. What both frames share, the look of the person that moves, drops out of the difference to
    first order; and a clip that stands still has the code 0.

    Args:
        config: `FlowGANConfig`.

    Returns:
        `keras.Model` from float32 `(B, 2, h, w, 1)` in [-1, 1], the first frame and the frame at time t, to float32
        `(B, motion_dim)`.

    References:
        Siarohin, Lathuilière, Tulyakov, Ricci and Sebe, 2019, "First order motion model for image animation" (relative motion).
    """
    pair = keras.Input((2, config.driving_size, config.driving_size, 1), name="driving")
    frame = x = keras.Input((config.driving_size, config.driving_size, 1), name="driving_frame")
    for filters in config.encoder_filters:
        x = layers.Conv2D(filters, 3, strides=2, padding="same", kernel_initializer="he_normal")(x)
        x = layers.LeakyReLU(negative_slope=0.1)(x)  # (B, h, w, C) -> (B, h/2, w/2, filters)
    code = layers.Dense(config.motion_dim)(layers.Flatten()(x))
    encoder = keras.Model(frame, code, name="frame_encoder")
    return keras.Model(pair, encoder(pair[:, 1]) - encoder(pair[:, 0]), name="motion_encoder")


def build_flow_generator(config):
    """A frame and a driving pair become the frame at time t, by flow, occlusion mask and a residual image.

    The flow is a backward flow: from each pixel of the frame at time t to where its colour stands in the first frame. Flow and
    mask are computed at half the size and enlarged; both vary little from pixel to pixel.

    Args:
        config: `FlowGANConfig`.

    Returns:
        `keras.Model` from [float32 frame `(B, H, W, C)` in [-1, 1], float32 driving pair `(B, 2, h, w, 1)`] to a dict of
        float32: "frame" and "residual" `(B, H, W, C)`, "flow" `(B, H, W, 2)` in px, and "mask" `(B, H, W, 1)` in [0, 1], 1 where
        the colour is fetched and 0 where it was hidden. Without flow, only "frame".

    References:
        Ohnishi, Yamamoto, Ushiku and Harada, 2018, "Hierarchical video generation from orthogonal information: optical flow and
        texture"; Wang, Liu, Zhu, Liu, Tao, Kautz and Catanzaro, 2018, "Video-to-video synthesis" (flow, mask and hallucinated
        image).
    """
    frame = keras.Input((config.image_size, config.image_size, config.channels), name="first_frame")
    driving = keras.Input((2, config.driving_size, config.driving_size, 1), name="driving")
    code = build_motion_encoder(config)(driving)
    x = expand(contract(frame, config.filters, first_stride=2), code)  # (B, H, W, C) -> (B, H/2, W/2, F)
    detail = layers.Conv2D(16, 3, padding="same", activation="leaky_relu")(layers.UpSampling2D()(x))
    output_layer = {"padding": "same", "dtype": "float32"}
    residual = layers.Conv2D(config.channels, 3, activation="tanh", **output_layer)(detail)
    if not config.use_flow:
        return keras.Model([frame, driving], {"frame": residual}, name="generator")
    moves = layers.Conv2D(3, 3, kernel_initializer="zeros", **output_layer)(x)
    moves = layers.UpSampling2D(interpolation="bilinear", dtype="float32")(moves)  # -> (B, H, W, 3)
    flow, mask = moves[..., :2], ops.sigmoid(moves[..., 2:] + MASK_BIAS)
    output = mask * Warp(dtype="float32")(frame, flow) + (1 - mask) * residual
    parts = {"frame": output, "flow": flow, "mask": mask, "residual": residual}
    return keras.Model([frame, driving], parts, name="generator")


def choose_frames(clips, driving, seed):
    """First frames, driving pairs, and the frames that should come out, at times drawn at random.

    Args:
        clips: float `(B, T, H, W, C)` in [-1, 1].
        driving: float `(B, T, h, w, 1)` in [-1, 1], clips with the same motion.
        seed: int or `keras.random.SeedGenerator`, of the times.

    Returns:
        list of frames `(B, H, W, C)` and driving pairs `(B, 2, h, w, 1)`; and targets `(B, H, W, C)`.
    """
    count, num_frames = ops.shape(clips)[0], clips.shape[1]
    place = ops.arange(count) * num_frames + keras.random.randint((count,), 1, num_frames, seed=seed)
    at_time = [ops.take(ops.reshape(x, (-1, *x.shape[2:])), place, axis=0) for x in (clips, driving)]  # (B, ...)
    return [clips[:, 0], ops.stack([driving[:, 0], at_time[1]], axis=1)], at_time[0]


def generator_loss(config, parts, first, target, adversarial):
    """The weighted sum of a flow-based generator's losses.

    Args:
        config: `FlowGANConfig`, with the weights.
        parts: dict that the generator returned.
        first: float `(B, H, W, C)`, the frames that were animated.
        target: float `(B, H, W, C)`, the frames that should have come out.
        adversarial: float scalar, the generator's loss against the discriminator.

    Returns:
        loss, l1_loss: float scalars, the sum and the mean absolute error of the frames.
    """
    first, target = ops.cast(first, "float32"), ops.cast(target, "float32")
    weight = 1 + config.change_weight * ops.abs(target - first)  # (B, H, W, C)
    error = ops.abs(parts["frame"] - target)
    loss = config.l1_weight * ops.mean(weight * error) + config.adversarial_weight * adversarial
    if config.use_flow:
        loss += config.smoothness_weight * total_variation(parts["flow"])
        logit = ops.log(parts["mask"] + 1e-6) - ops.log(1 - parts["mask"] + 1e-6)  # of the sigmoid
        loss += config.mask_weight * ops.mean(ops.square(logit - MASK_BIAS))
        loss += config.residual_weight * ops.mean(weight * ops.abs(parts["residual"] - target))
    return loss, ops.mean(error)


def build_pair_discriminator(config):
    """A DCGAN's discriminator of a frame that lies, as further channels, behind the frame that it was made from.

    Args:
        config: `FlowGANConfig`.

    Returns:
        `keras.Model` from float32 `(B, H, W, 2 * channels)` in [-1, 1] to float32 logits `(B, 1)`.

    Raises:
        CourseError: discriminator filters that don't fit the image size.
    """
    sizes = DCGANConfig(1, config.discriminator_filters, 2 * config.channels)
    if sizes.image_size != config.image_size:
        count = len(config.discriminator_filters)
        raise CourseError(f"{count} discriminator_filters read frames of {sizes.image_size} px, not of {config.image_size}.")
    return build_dcgan_discriminator(sizes)


def discriminator_step(gan, real, fake):
    """One step of a GAN's discriminator, which leaves the generator alone.

    Args:
        gan: compiled `FlowGAN`.
        real: float `(B, H, W, 2 * channels)`, frames to animate with the frames that should come out.
        fake: the same with generated frames.

    Returns:
        float scalar, the discriminator's loss.
    """
    weights, config = gan.discriminator.trainable_variables, gan.config
    with tf.GradientTape() as tape:
        d_loss, _ = rpgan_losses(*real_and_fake_logits(gan.discriminator, real, fake))
        penalty = r1_r2_penalty(gan.discriminator, real, fake, config.gamma, config.penalty_stride)
        total = gan.d_optimizer.scale_loss(d_loss + penalty)
    gan.d_optimizer.apply(tape.gradient(total, weights), weights)
    return d_loss


@keras.saving.register_keras_serializable(package="vidgen_tf")
class FlowGAN(AdversarialModel):
    """A flow-based GAN that animates a frame, with a moving average of the generator's weights.

    Args:
        config: `FlowGANConfig`.
        seed: int, of the choice of times.

    Call arguments:
        inputs: list of float `(B, H, W, C)`, the frame to animate, and float `(B, 2, h, w, 1)`, the driving clip's first frame
            and its frame at time t.

    Output shape:
        Dict as `build_flow_generator` describes it, of the averaged generator.

    Raises:
        CourseError: discriminator filters that don't fit the image size.

    References:
        Wang, Liu, Zhu, Liu, Tao, Kautz and Catanzaro, 2018, "Video-to-video synthesis"; Isola, Zhu, Zhou and Efros, 2017,
        "Image-to-image translation with conditional adversarial networks" (L1 beside an adversarial loss).
    """

    def __init__(self, config, seed=0):
        super().__init__(name="flow_gan")
        self.config, self.seed = config, seed
        self.generator, self.ema_generator = build_flow_generator(config), build_flow_generator(config)
        self.ema_generator.set_weights(self.generator.get_weights())
        self.discriminator = build_pair_discriminator(config)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.l1_tracker = keras.metrics.Mean(name="l1_loss")
        self.build([tensor.shape for tensor in self.generator.inputs])

    def call(self, inputs):
        """Frames of the averaged generator, with their flow, mask and residual image."""
        return self.ema_generator(inputs)

    def train_step(self, data):
        """One step of the discriminator, then one of the generator; neither changes the other's weights.

        Both see the same generated frames, each behind the frame that it was made from.

        Args:
            data: (clips, driving): float `(B, T, H, W, C)` and `(B, T, h, w, 1)` in [-1, 1], the same motion in both.

        Returns:
            dict of float: "loss", "d_loss", "g_loss", the generator's adversarial loss, and "l1_loss".
        """
        inputs, target = choose_frames(self.unpack_real(data), data[1], self.seed_generator)
        with tf.GradientTape() as tape:
            parts = self.generator(inputs, training=True)
            real, fake = (ops.concatenate([inputs[0], frame], axis=-1) for frame in (target, parts["frame"]))
            d_loss = discriminator_step(self, real, ops.stop_gradient(fake))
            _, g_loss = rpgan_losses(*real_and_fake_logits(self.discriminator, real, fake))
            loss, l1_loss = generator_loss(self.config, parts, inputs[0], target, g_loss)
            total = self.g_optimizer.scale_loss(loss)
        weights = self.generator.trainable_variables
        self.g_optimizer.apply(tape.gradient(total, weights), weights)
        update_ema(self.ema_generator, self.generator, self.config.ema_decay)
        return self.report(d_loss, g_loss, l1_loss)

    def test_step(self, data):
        """The losses without a step.

        The times are the same for every batch, so that evaluations can be compared.

        Args:
            data: as for `train_step`.

        Returns:
            dict of float, as of `train_step`.
        """
        inputs, target = choose_frames(self.unpack_real(data), data[1], self.seed)
        parts = self.generator(inputs, training=False)
        pair = (ops.concatenate([inputs[0], frame], axis=-1) for frame in (target, parts["frame"]))
        d_loss, g_loss = rpgan_losses(*real_and_fake_logits(self.discriminator, *pair, training=False))
        return self.report(d_loss, g_loss, generator_loss(self.config, parts, inputs[0], target, g_loss)[1])

    @property
    def metrics(self):
        """The running means of the losses; Keras resets them at the start of each epoch."""
        return [*self.trackers, self.l1_tracker]

    def report(self, d_loss, g_loss, l1_loss):
        """Updates the running means with a batch.

        Args:
            d_loss: float scalar, the discriminator's loss.
            g_loss: float scalar, the generator's adversarial loss.
            l1_loss: float scalar, the mean absolute error of the frames.

        Returns:
            dict of the running means: "loss" (of both adversarial losses), "d_loss", "g_loss" and "l1_loss".
        """
        self.l1_tracker.update_state(l1_loss)
        return super().report(d_loss, g_loss) | {"l1_loss": self.l1_tracker.result()}
