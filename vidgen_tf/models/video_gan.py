"""A video GAN: one content code for a clip, motion codes that move it, and discriminators of frames and of clips."""

import dataclasses

import keras
import tensorflow as tf
from keras import layers, ops

from ..errors import CourseError, check_whole
from ..layers import Shift, depth_to_space, update_ema
from .base import Config, ConfiguredModel
from .gan import AdversarialModel, r1_r2_penalty, rpgan_losses
from .video_discriminators import DISCRIMINATORS, embedding_of, shown_inputs


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class VideoGANConfig(Config):
    """Sizes of a video GAN; each entry of `filters` but the first doubles the size of the features.

    Raises:
        CourseError: a size that is no whole number or below 1, groups that don't divide the last entry of `filters`, no
            filters or too many, fewer than 2 frames for the video discriminator, or more than a clip has.
    """

    content_dim: int = 32  # of the code that is drawn once for a clip and is the same in all of its frames
    noise_dim: int = 16  # of what the motion of a clip begins from
    motion_dim: int = 16  # of the motion code of each frame
    hidden_dim: int = 64  # of the recurrent network
    num_motions: int = 1  # kinds of motion that can be asked for
    num_contents: int = 1  # kinds of content that can be asked for
    num_groups: int = 1  # of channels, each of which is moved by shifts of its own
    is_styled: bool = False  # motion codes also change how things look, by residual blocks
    num_frames: int = 16  # of a clip
    num_shown_frames: int = 5  # of a clip, those that a training step renders and shows the discriminators
    image_size: int = 32  # height and width of a frame, px; content may fill less of it
    filters: tuple[int, ...] = (128, 32)  # channels of the content network at 4x4, 8x8, ...
    frame_filters: tuple[int, ...] = (32,)  # of what makes a frame of content that was moved; the size stays
    discriminator_filters: tuple[int, ...] = (32, 64, 128)  # of both discriminators; each halves the size
    feature_dim: int = 128  # of what the discriminators compare with the classes asked for
    channels: int = 1

    def __post_init__(self):
        super().__post_init__()
        check_whole(1, **{"len(filters)": len(self.filters)})
        check_whole(2, num_shown_frames=self.num_shown_frames)
        if self.num_shown_frames > self.num_frames:
            shown = self.num_shown_frames
            raise CourseError(f"{self.num_frames} frames can't show {shown}: lower num_shown_frames.")
        if self.image_size % 4 or self.padding < 0:
            least = 4 * 2 ** len(self.filters)
            wanted = f"a multiple of 4, {least} at least for these filters"
            raise CourseError(f"image_size must be {wanted}, got {self.image_size}.")
        if self.filters[-1] % self.num_groups:
            cut = f"{self.filters[-1]} channels can't be cut into {self.num_groups} groups"
            raise CourseError(f"{cut}: change num_groups.")

    @property
    def padding(self):
        """int, cells of empty space on each side of the content; a cell of features is 2x2 pixels."""
        return self.image_size // 4 - 2 ** len(self.filters)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class PerFrame(layers.Layer):
    """A network of images, applied to each frame of clips.

    Args:
        network: `keras.Model` from a list of inputs `(B, ...)` to `(B, ...)`.
        **options: of `keras.layers.Layer`.

    Call arguments:
        inputs: list of float `(B, K, ...)`, K of any size.

    Output shape:
        `(B, K, ...)`, behind which stands the network's own shape.
    """

    def __init__(self, network, **options):
        super().__init__(**options)
        self.network = network

    def call(self, inputs, training=None):
        """The network's outputs; frames stand in the batch axis while it sees them."""
        rows = [ops.reshape(x, (-1, *x.shape[2:])) for x in inputs]  # (B, K, ...) -> (B*K, ...)
        outputs = self.network(rows, training=training)
        return ops.reshape(outputs, (-1, ops.shape(inputs[0])[1], *outputs.shape[1:]))

    def compute_output_shape(self, input_shape):
        """The shape of the output.

        Args:
            input_shape: list of tuples `(B, K, ...)`.

        Returns:
            tuple `(B, K, ...)`.
        """
        return (*input_shape[0][:2], *self.network.output_shape[1:])

    def get_config(self):
        """The constructor's arguments, as Keras writes them into a file.

        Returns:
            dict.
        """
        return super().get_config() | {"network": keras.saving.serialize_keras_object(self.network)}

    @classmethod
    def from_config(cls, config):
        """A new layer from what `get_config` returned.

        Args:
            config: dict.

        Returns:
            `PerFrame`.
        """
        return cls(keras.saving.deserialize_keras_object(config.pop("network")), **config)


def build_motion_network(config):
    """A recurrent network from noise and a kind of motion to the motion codes of a clip's frames.

    The noise is where the recurrent network begins; at each frame it reads what was asked for, the noise again, and the time.

    Args:
        config: `VideoGANConfig`.

    Returns:
        `keras.Model` from [float32 `(B, noise_dim)`, int32 `(B,)` kinds of motion] to float32 `(B, T, motion_dim)`.

    References:
        Tulyakov, Liu, Yang and Kautz, 2018, "MoCoGAN: decomposing motion and content for video generation".
    """
    noise = keras.Input((config.noise_dim,), name="noise")
    kind = keras.Input((), dtype="int32", name="kind")
    asked = layers.Concatenate()([noise, embedding_of(config.num_motions, config.noise_dim)(kind)])
    state = layers.Dense(config.hidden_dim, activation="tanh")(asked)
    x = layers.RepeatVector(config.num_frames)(asked)  # (B, D) -> (B, T, D)
    time = ops.ones_like(x[..., :1]) * ops.linspace(-1.0, 1.0, config.num_frames)[:, None]
    x = ops.concatenate([x, time], axis=-1)
    x = layers.GRU(config.hidden_dim, return_sequences=True)(x, initial_state=state)
    return keras.Model([noise, kind], layers.Dense(config.motion_dim)(x), name="motion_network")


def build_content_network(config):
    """Transposed convolutions from a content code to features half as large as a frame, once for a clip.

    Args:
        config: `VideoGANConfig`.

    Returns:
        `keras.Model` from [float32 `(B, content_dim)`, int32 `(B,)` kinds of content] to float32 `(B, H/2, W/2, filters[-1])`.
    """
    content = keras.Input((config.content_dim,), name="content")
    kind = keras.Input((), dtype="int32", name="kind")
    x = content
    if config.num_contents > 1:
        x = layers.Concatenate()([x, embedding_of(config.num_contents, config.content_dim)(kind)])
    first, *others = config.filters
    x = layers.Dense(4 * 4 * first, use_bias=False)(x)
    x = layers.Reshape((4, 4, first))(x)  # (B, 16 * F) -> (B, 4, 4, F)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for filters in others:
        x = layers.Conv2DTranspose(filters, 4, 2, padding="same", use_bias=False)(x)  # -> (B, 2h, 2w, F)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.ZeroPadding2D(config.padding)(x)  # empty space: nothing is there but what is moved there
    return keras.Model([content, kind], x, name="content_network")


def build_frame_network(config):
    """Convolutions from a clip's features, moved to where they are in a frame, to the frame.

    Args:
        config: `VideoGANConfig`.

    Returns:
        `keras.Model` from [float32 `(B, H/2, W/2, filters[-1])` features, float32 `(B, motion_dim)` motion codes] to float32
        frames `(B, H, W, C)` in [-1, 1].
    """
    side = config.image_size // 2
    features = x = keras.Input((side, side, config.filters[-1]), name="features")
    motion = keras.Input((config.motion_dim,), name="motion")
    begin = "zeros" if config.is_styled else "ones"
    for filters in config.frame_filters:
        h = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        h = layers.BatchNormalization(momentum=0.9, gamma_initializer=begin)(h)
        if config.is_styled:
            styles = [layers.Dense(filters, kernel_initializer="zeros")(motion) for _ in range(2)]
            scale, offset = (style[:, None, None] for style in styles)
            h = h * (1 + scale) + offset  # (B, F) -> (B, 1, 1, F): the same at all places
        h = layers.LeakyReLU(negative_slope=0.2)(h)
        x = x + h if config.is_styled else h
    x = layers.Conv2D(4 * config.channels, 3, padding="same", name="to_frame")(x)
    x = depth_to_space(x[:, None], 2)[:, 0]  # (B, H/2, W/2, 4C) -> (B, H, W, C)
    frame = layers.Activation("tanh", dtype="float32")(x)
    return keras.Model([features, motion], frame, name="frame_network")


def build_video_generator(config):
    """A content code, and noise for the motion, become some frames of a clip.

    Content is computed once for a clip, motion codes for all frames, and pictures only for the frames that are wanted.

    Args:
        config: `VideoGANConfig`.

    Returns:
        `keras.Model` from a list of float32 `(B, content_dim)`, float32 `(B, noise_dim)`, int32 `(B, 2)` kinds of motion and of
        content, and int32 `(B, K)` numbers of the frames wanted, to float32 frames `(B, K, H, W, C)` in [-1, 1].
    """
    content = keras.Input((config.content_dim,), name="content")
    noise = keras.Input((config.noise_dim,), name="noise")
    kinds = keras.Input((2,), dtype="int32", name="kinds")
    index = keras.Input((None,), dtype="int32", name="index")
    motion = build_motion_network(config)([noise, kinds[:, 0]])
    motion = ops.take_along_axis(motion, index[..., None], axis=1)  # (B, T, motion_dim) -> (B, K, motion_dim)
    features = build_content_network(config)([content, kinds[:, 1]])
    begin = "zeros" if config.is_styled else "glorot_uniform"
    shift = layers.Dense(2 * config.num_groups, kernel_initializer=begin, name="to_shift")(motion)
    shift = shift * (config.image_size / 8)  # in cells: a quarter of the features' width
    moved = Shift(config.num_groups)(features, shift)  # (B, h, w, F) -> (B, K, h, w, F)
    clip = PerFrame(build_frame_network(config))([moved, motion])
    return keras.Model([content, noise, kinds, index], clip, name="video_generator")


@keras.saving.register_keras_serializable(package="vidgen_tf")
class VideoGenerator(ConfiguredModel):
    """The generator of a video GAN alone, which is what ships.

    Args:
        config: `VideoGANConfig`.

    Call arguments:
        codes: list of float `(B, content_dim)`, float `(B, noise_dim)`, int `(B, 2)` kinds, and int `(B, K)` numbers of frames.

    Output shape:
        `(B, K, H, W, C)`, in [-1, 1].
    """

    def __init__(self, config):
        super().__init__(name="video_generator")
        self.config, self.network = config, build_video_generator(config)
        self.build(self.network.input_shape)

    def call(self, codes, training=None):
        """Frames of codes."""
        return self.network(codes, training=training)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class VideoGAN(AdversarialModel):
    """A video GAN with content and motion codes, and a moving average of the generator's weights.

    Args:
        config: `VideoGANConfig`.
        discriminators: tuple of names in `DISCRIMINATORS`: which of them the generator is trained against.
        gamma: float, weight of the R1 and R2 penalties of each discriminator; 0 leaves them out.
        penalty_stride: int; the penalties use every `penalty_stride`-th clip of a batch.
        ema_decay: float in [0, 1), decay per step of the exponential moving average (EMA).
        seed: int, of the codes and of the choice of frames.

    Call arguments:
        codes: list of float `(B, content_dim)`, float `(B, noise_dim)`, int `(B, 2)` kinds, and int `(B, K)` numbers of frames,
            see `sample_codes`; the frames are those of the averaged generator.

    Output shape:
        `(B, K, H, W, C)`, in [-1, 1].

    Raises:
        CourseError: no discriminator, or an unknown one.

    References:
        Tulyakov, Liu, Yang and Kautz, 2018, "MoCoGAN: decomposing motion and content for video generation".
    """

    def __init__(self, config, discriminators=("image", "video"), gamma=1.0, penalty_stride=4, ema_decay=0.995, seed=0):
        super().__init__(name="video_gan")
        if not discriminators or not set(discriminators) <= DISCRIMINATORS.keys():
            raise CourseError(f"A video GAN needs discriminators among {', '.join(DISCRIMINATORS)}, got {discriminators!r}.")
        self.config, self.discriminators, self.seed = config, tuple(discriminators), seed
        self.gamma, self.penalty_stride, self.ema_decay = gamma, penalty_stride, ema_decay
        self.generator, self.ema_generator = build_video_generator(config), build_video_generator(config)
        self.ema_generator.set_weights(self.generator.get_weights())
        shown = shown_inputs(config)
        logits = {name: DISCRIMINATORS[name](config)(list(shown)) for name in self.discriminators}
        self.discriminator = keras.Model(list(shown), logits, name="discriminators")
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.build(self.generator.input_shape)

    def call(self, codes):
        """Frames of codes, by the averaged generator."""
        return self.ema_generator(codes)

    def choose_frames(self, batch, seed):
        """Some frames of each clip, equally far apart: how far, and where they begin, is drawn once for a batch.

        Args:
            batch: int, number of clips.
            seed: int or `keras.random.SeedGenerator`.

        Returns:
            int32 `(batch, num_shown_frames)`.
        """
        count, last = self.config.num_shown_frames, self.config.num_frames - 1
        draws = keras.random.uniform((2,), seed=seed)
        step = 1 + ops.floor(draws[0] * (last // (count - 1)))
        begin = ops.floor(draws[1] * (last + 1 - step * (count - 1)))
        index = ops.cast(begin + step * ops.arange(count, dtype="float32"), "int32")
        return ops.broadcast_to(index, (batch, count))

    def losses_of(self, real, fake, index, kinds, training=True):
        """Both losses, the sums over the discriminators.

        Args:
            real: float `(B, K, H, W, C)`, frames of real clips.
            fake: the same of generated ones.
            index: int `(B, K)`, the numbers of these frames.
            kinds: int `(B, 2)`, the kinds of motion and of content of both.
            training: bool.

        Returns:
            d_loss, g_loss: float scalars.
        """
        logits = [self.discriminator([frames, index, kinds], training=training) for frames in (real, fake)]
        pairs = [rpgan_losses(*(one[name] for one in logits)) for name in self.discriminators]
        return tuple(sum(losses) for losses in zip(*pairs))

    def penalty(self, real, fake, index, kinds):
        """The R1 and R2 penalties of the mean logits, of every `penalty_stride`-th clip, weighted by gamma / 2.

        Args:
            real, fake, index, kinds: as for `losses_of`.

        Returns:
            float scalar.
        """
        shape, part = real.shape[1:], slice(None, None, self.penalty_stride)

        def logit(rows, training):
            frames = ops.reshape(rows, (-1, *shape))
            logits = self.discriminator([frames, index[part], kinds[part]], training=training)
            return sum(ops.sum(each, axis=-1) / each.shape[-1] ** 0.5 for each in logits.values())

        # (B, K, H, W, C) -> (B, K*H, W, C): frames below one another, as the penalty of pictures wants them
        rows = [ops.reshape(frames, (-1, shape[0] * shape[1], *shape[2:])) for frames in (real, fake)]
        return r1_r2_penalty(logit, *rows, self.gamma, self.penalty_stride)

    def train_step(self, data):
        """One step of the discriminators and one of the generator, on the same frames; neither changes the other's weights.

        Args:
            data: (clips, kinds): float `(B, T, H, W, C)` in [-1, 1], and int `(B, 2)`.

        Returns:
            dict of float, see `report`.
        """
        real, index, kinds = self.unpack(data, self.seed_generator)
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            codes = sample_codes(self.config, ops.shape(kinds)[0], self.seed_generator)
            fake = self.generator([*codes, kinds, index], training=True)
            d_loss, g_loss = self.losses_of(real, fake, index, kinds)
            penalty = self.penalty(real, ops.stop_gradient(fake), index, kinds)
            d_total, g_total = self.d_optimizer.scale_loss(d_loss + penalty), self.g_optimizer.scale_loss(g_loss)
        for optimizer, tape, total, network in (
            (self.d_optimizer, d_tape, d_total, self.discriminator),
            (self.g_optimizer, g_tape, g_total, self.generator),
        ):
            weights = network.trainable_variables
            optimizer.apply(tape.gradient(total, weights), weights)
        update_ema(self.ema_generator, self.generator, self.ema_decay)
        return self.report(d_loss, g_loss)

    def test_step(self, data):
        """Both losses without a step.

        Codes and chosen frames are the same for every batch, so that evaluations can be compared.

        Args:
            data: as for `train_step`.

        Returns:
            dict of float, see `report`.
        """
        real, index, kinds = self.unpack(data, self.seed)
        codes = sample_codes(self.config, ops.shape(kinds)[0], self.seed)
        fake = self.generator([*codes, kinds, index], training=False)
        return self.report(*self.losses_of(real, fake, index, kinds, training=False))

    def unpack(self, data, seed):
        """Some frames of the real clips of a batch.

        Args:
            data: (clips, kinds), what `fit` and `evaluate` pass on.
            seed: int or `keras.random.SeedGenerator`, of the choice.

        Returns:
            frames `(B, K, H, W, C)`, their numbers `(B, K)`, kinds `(B, 2)`.
        """
        clips = self.unpack_real(data)
        _, kinds, _ = keras.utils.unpack_x_y_sample_weight(data)
        index = self.choose_frames(ops.shape(clips)[0], seed)
        shown = ops.take_along_axis(clips, index[..., None, None, None], axis=1)  # (B, T, H, W, C) -> (B, K, H, W, C)
        return shown, index, ops.cast(kinds, "int32")


def sample_codes(config, count, seed):
    """Codes of clips, drawn from the standard normal distribution.

    Args:
        config: `VideoGANConfig`.
        count: int, how many.
        seed: int or `keras.random.SeedGenerator`.

    Returns:
        content `(count, content_dim)`, noise `(count, noise_dim)`.
    """
    draws = keras.random.normal((count, config.content_dim + config.noise_dim), seed=seed)
    return draws[:, : config.content_dim], draws[:, config.content_dim :]
