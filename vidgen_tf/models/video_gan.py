"""A video GAN with content and motion codes, one for a clip and one for each frame, and a discriminator that sees time."""

import dataclasses

import keras
import tensorflow as tf
from keras import layers, ops

from ..errors import CourseError, check_whole
from ..layers import update_ema
from .base import Config
from .gan import AdversarialModel, gradient_penalty, rpgan_losses


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class VideoGANConfig(Config):
    """Sizes of a video GAN; each entry of `filters` doubles the size of a frame, from 4.

    Raises:
        CourseError: a size that is no whole number or below 1, fewer than 2 frames for the video discriminator, or more than a
            clip has.
    """

    content_dim: int = 32  # of the code that is drawn once for a clip
    motion_dim: int = 12  # of the code of each frame
    noise_dim: int = 8  # of what the recurrent network reads at each frame
    hidden_dim: int = 64  # of the recurrent network
    style_dim: int = 64  # of what the content code becomes before it scales and shifts channels
    feature_dim: int = 128  # of each frame, in the video discriminator
    num_classes: int = 1  # motions that can be asked for
    num_frames: int = 16  # of a clip
    num_shown_frames: int = 3  # of a clip, those that a training step renders and shows the discriminators
    filters: tuple[int, ...] = (128, 64, 32)  # channels at 4x4, 8x8, ...; reversed in the discriminators
    channels: int = 3

    def __post_init__(self):
        super().__post_init__()
        check_whole(2, num_shown_frames=self.num_shown_frames)
        if self.num_shown_frames > self.num_frames:
            raise CourseError(f"Clips of {self.num_frames} frames can't show {self.num_shown_frames}: lower num_shown_frames.")

    @property
    def image_size(self):
        """int, height and width of a frame, px."""
        return 4 * 2 ** len(self.filters)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class PerFrame(layers.Layer):
    """A network of images, applied to each frame of clips.

    Args:
        network: `keras.Model` from `(B, ...)` to `(B, ...)`.
        **options: of `keras.layers.Layer`.

    Call arguments:
        x: float `(B, K, ...)`, K of any size.

    Output shape:
        `(B, K, ...)`, behind which stands the network's own shape.
    """

    def __init__(self, network, **options):
        super().__init__(**options)
        self.network = network

    def call(self, x, training=None):
        """The network's outputs; frames stand in the batch axis while it sees them."""
        outputs = self.network(ops.reshape(x, (-1, *x.shape[2:])), training=training)  # (B, K, ...) -> (B*K, ...)
        return ops.reshape(outputs, (-1, ops.shape(x)[1], *outputs.shape[1:]))

    def compute_output_shape(self, input_shape):
        """The shape of the output.

        Args:
            input_shape: tuple `(B, K, ...)`.

        Returns:
            tuple `(B, K, ...)`.
        """
        return (*input_shape[:2], *self.network.output_shape[1:])

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
    """A recurrent network from noise and a class to the motion codes of a clip's frames.

    Args:
        config: `VideoGANConfig`.

    Returns:
        `keras.Model` from [float32 `(B, T, noise_dim)`, int32 `(B,)` classes] to float32 `(B, T, motion_dim)`.

    References:
        Tulyakov, Liu, Yang and Kautz, 2018, "MoCoGAN: decomposing motion and content for video generation".
    """
    noise = keras.Input((config.num_frames, config.noise_dim), name="noise")
    label = keras.Input((), dtype="int32", name="label")
    asked = layers.Embedding(config.num_classes, config.noise_dim, embeddings_initializer="random_normal")(label)
    asked = layers.RepeatVector(config.num_frames)(asked)  # (B, noise_dim) -> (B, T, noise_dim)
    x = layers.Concatenate()([noise, asked])
    x = layers.GRU(config.hidden_dim, return_sequences=True)(x)
    return keras.Model([noise, label], layers.Dense(config.motion_dim)(x), name="motion_network")


def build_frame_generator(config):
    """Transposed convolutions from the codes of a frame to the frame: motion lays out the picture, content paints it.

    The motion code becomes the first layer's 4x4 places. The content code scales and shifts the channels of every layer, the same
    way at all places (conditional batch normalisation), so it decides what is drawn, and has no say in where.

    Args:
        config: `VideoGANConfig`.

    Returns:
        `keras.Model` from float32 `(B, content_dim + motion_dim)` to float32 `(B, H, W, C)` in [-1, 1].

    References:
        de Vries, Strub, Mary, Larochelle, Pietquin and Courville, 2017, "Modulating early visual processing by language"; Karras,
        Laine and Aila, 2019, "A style-based generator architecture for generative adversarial networks".
    """
    codes = keras.Input((config.content_dim + config.motion_dim,), name="codes")
    content, motion = codes[:, : config.content_dim], codes[:, config.content_dim :]
    style = layers.LeakyReLU(negative_slope=0.2)(layers.Dense(config.style_dim)(content))
    first, *others = config.filters
    x = layers.Reshape((4, 4, first))(layers.Dense(4 * 4 * first)(motion))  # (B, 16 * F) -> (B, 4, 4, F)
    x = _modulate(x, style)
    for filters in others:
        x = layers.Conv2DTranspose(filters, 4, 2, padding="same", use_bias=False)(x)  # (B, h, w, F) -> (B, 2h, 2w, filters)
        x = _modulate(x, style)
    x = layers.UpSampling2D(interpolation="bilinear")(x)
    x = layers.Conv2D(config.channels, 3, padding="same")(x)
    return keras.Model(codes, layers.Activation("tanh", dtype="float32")(x), name="frame_generator")


def _modulate(x, style):
    """Batch normalisation whose scale and offset come from a style `(B, S)`, and a leaky ReLU."""
    x = layers.BatchNormalization(momentum=0.9, center=False, scale=False)(x)
    scale, offset = (layers.Dense(x.shape[-1])(style)[:, None, None] for _ in range(2))  # (B, F) -> (B, 1, 1, F)
    return layers.LeakyReLU(negative_slope=0.2)(x * (1 + scale) + offset)


def build_video_generator(config):
    """A content code, and noise for the motion, become some frames of a clip.

    Motion codes are computed for all frames, and pictures only for those that are wanted: a training step shows the
    discriminators few of them, so it costs no more than that many pictures.

    Args:
        config: `VideoGANConfig`.

    Returns:
        `keras.Model` from a list of float32 `(B, content_dim)`, float32 `(B, T, noise_dim)`, int32 `(B,)` classes, and int32
        `(B, K)` numbers of the frames wanted, to float32 frames `(B, K, H, W, C)` in [-1, 1].
    """
    content = keras.Input((config.content_dim,), name="content")
    noise = keras.Input((config.num_frames, config.noise_dim), name="noise")
    label = keras.Input((), dtype="int32", name="label")
    index = keras.Input((None,), dtype="int32", name="index")
    motion = build_motion_network(config)([noise, label])
    motion = ops.take_along_axis(motion, index[..., None], axis=1)  # (B, T, motion_dim) -> (B, K, motion_dim)
    same = ops.ones_like(motion[..., :1]) * content[:, None]  # the content code is one and the same in all frames
    clip = PerFrame(build_frame_generator(config))(ops.concatenate([same, motion], axis=-1))  # -> (B, K, H, W, C)
    return keras.Model([content, noise, label, index], clip, name="video_generator")


def build_discriminators(config, names=("image", "video")):
    """Logits of some frames of a clip: of each frame alone, and of all of them together.

    Both discriminators read the same features of the frames. The image discriminator rates each frame by them; the video
    discriminator puts the features of all frames side by side, with the frames' times and the class of the clip.

    Args:
        config: `VideoGANConfig`.
        names: of the discriminators that are wanted, "image" and "video".

    Returns:
        `keras.Model` from [float32 `(B, K, H, W, C)` in [-1, 1], int32 `(B, K)` numbers of the frames, int32 `(B,)` classes] to a
        dict of float32 logits: "image" `(B, K)` and "video" `(B, 1)`.

    References:
        Skorokhodov, Tulyakov and Elhoseiny, 2022, "StyleGAN-V: a continuous video generator with the price, image quality and
        perks of StyleGAN2" (few frames of a clip suffice, their features side by side).
    """
    shape = config.num_shown_frames, config.image_size, config.image_size, config.channels
    frames = keras.Input(shape, name="frames")
    index = keras.Input((config.num_shown_frames,), dtype="int32", name="index")
    label = keras.Input((), dtype="int32", name="label")
    features = PerFrame(_frame_encoder(config))(frames)  # (B, K, H, W, C) -> (B, K, 16 * F)
    logits = {}
    if "image" in names:
        logits["image"] = layers.Dense(1, dtype="float32")(features)[..., 0]  # (B, K)
    if "video" in names:
        x = layers.LeakyReLU(negative_slope=0.2)(layers.Dense(config.feature_dim)(features))
        times = ops.cast(index, x.dtype) / config.num_frames * 2 - 1  # (B, K), from -1 to 1
        known = ops.concatenate([times, ops.one_hot(label, config.num_classes, dtype=x.dtype)], axis=-1)
        x = ops.concatenate([layers.Flatten()(x), layers.Dense(config.feature_dim)(known)], axis=-1)
        x = layers.LeakyReLU(negative_slope=0.2)(layers.Dense(2 * config.feature_dim)(x))
        logits["video"] = layers.Dense(1, dtype="float32")(x)  # (B, 1)
    return keras.Model([frames, index, label], logits, name="discriminators")


def _frame_encoder(config):
    """Strided convolutions from frames `(B, H, W, C)` to features `(B, 16 * F)`."""
    frame = x = keras.Input((config.image_size, config.image_size, config.channels), name="frame")
    for filters in reversed(config.filters):
        x = layers.Conv2D(filters, 4, strides=2, padding="same")(x)  # (B, H, W, C) -> (B, H/2, W/2, filters)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    return keras.Model(frame, layers.Flatten()(x), name="frame_encoder")


DISCRIMINATORS = ("image", "video")


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
        codes: list of float `(B, content_dim)`, float `(B, T, noise_dim)`, int `(B,)` classes, and int `(B, K)` numbers of
            frames, see `sample_codes`; the frames are those of the averaged generator.

    Output shape:
        `(B, K, H, W, C)`, in [-1, 1].

    Raises:
        CourseError: no discriminator, or an unknown one.

    References:
        Tulyakov, Liu, Yang and Kautz, 2018, "MoCoGAN: decomposing motion and content for video generation"; Vondrick, Pirsiavash
        and Torralba, 2016, "Generating videos with scene dynamics".
    """

    def __init__(self, config, discriminators=("image", "video"), gamma=1.0, penalty_stride=4, ema_decay=0.995, seed=0):
        super().__init__(name="video_gan")
        if not discriminators or not set(discriminators) <= set(DISCRIMINATORS):
            raise CourseError(f"A video GAN needs discriminators among {', '.join(DISCRIMINATORS)}, got {discriminators!r}.")
        self.config, self.discriminators, self.seed = config, tuple(discriminators), seed
        self.gamma, self.penalty_stride, self.ema_decay = gamma, penalty_stride, ema_decay
        self.generator, self.ema_generator = build_video_generator(config), build_video_generator(config)
        self.ema_generator.set_weights(self.generator.get_weights())
        self.discriminator = build_discriminators(config, self.discriminators)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.build(self.generator.input_shape)

    def call(self, codes):
        """Frames of codes, by the averaged generator."""
        return self.ema_generator(codes)

    def sample_codes(self, label, seed):
        """Codes of clips, drawn from the standard normal distribution.

        Args:
            label: int `(B,)`, the clips' classes.
            seed: int or `keras.random.SeedGenerator`.

        Returns:
            content `(B, content_dim)`, noise `(B, T, noise_dim)`.
        """
        batch = ops.shape(label)[0]
        config = self.config
        draws = keras.random.normal((batch, config.content_dim + config.num_frames * config.noise_dim), seed=seed)
        noise = ops.reshape(draws[:, config.content_dim :], (-1, config.num_frames, config.noise_dim))
        return draws[:, : config.content_dim], noise

    def choose_frames(self, batch, seed):
        """Different frames of each clip, in order of time.

        Args:
            batch: int, number of clips.
            seed: int or `keras.random.SeedGenerator`.

        Returns:
            int32 `(batch, num_shown_frames)`.
        """
        order = ops.argsort(keras.random.uniform((batch, self.config.num_frames), seed=seed), axis=-1)
        return ops.cast(ops.sort(order[:, : self.config.num_shown_frames], axis=-1), "int32")

    def losses_of(self, real, fake, index, label, training=True):
        """Both losses, the sums over the discriminators.

        Args:
            real: float `(B, K, H, W, C)`, frames of real clips.
            fake: the same of generated ones.
            index: int `(B, K)`, the numbers of these frames.
            label: int `(B,)`, the classes of both.
            training: bool.

        Returns:
            d_loss, g_loss: float scalars.
        """
        logits = [self.discriminator([frames, index, label], training=training) for frames in (real, fake)]
        pairs = [rpgan_losses(*(one[name] for one in logits)) for name in self.discriminators]
        return tuple(sum(losses) for losses in zip(*pairs))

    def penalty(self, real, fake, index, label):
        """The R1 and R2 penalties of the sum of the logits, of every `penalty_stride`-th clip, weighted by gamma / 2.

        Args:
            real, fake, index, label: as for `losses_of`.

        Returns:
            float scalar.
        """
        if not self.gamma:
            return 0.0
        part = slice(None, None, self.penalty_stride)
        shape = real.shape[1:]

        def logit(rows, training):
            frames = ops.reshape(rows, (-1, *shape))
            logits = self.discriminator([frames, index[part], label[part]], training=training)
            return sum(ops.sum(each, axis=-1) for each in logits.values())

        # (B, K, H, W, C) -> (B, K*H, W, C): frames below one another, as the penalty of pictures wants them
        rows = [ops.reshape(frames[part], (-1, shape[0] * shape[1], *shape[2:])) for frames in (real, fake)]
        return self.gamma / 2 * sum(gradient_penalty(logit, one) for one in rows)

    def train_step(self, data):
        """One step of the discriminators, then one of the generator; neither changes the other's weights.

        Args:
            data: (clips, labels): float `(B, T, H, W, C)` in [-1, 1], and int `(B,)`.

        Returns:
            dict of float, see `report`.
        """
        real, index, label = self.unpack(data, self.seed_generator)
        with tf.GradientTape() as tape:  # the discriminators' step
            codes = self.sample_codes(label, self.seed_generator)
            fake = ops.stop_gradient(self.generator([*codes, label, index], training=True))
            d_loss, _ = self.losses_of(real, fake, index, label)
            total = self.d_optimizer.scale_loss(d_loss + self.penalty(real, fake, index, label))
        weights = self.discriminator.trainable_variables
        self.d_optimizer.apply(tape.gradient(total, weights), weights)

        with tf.GradientTape() as tape:  # the generator's step
            codes = self.sample_codes(label, self.seed_generator)
            fake = self.generator([*codes, label, index], training=True)
            _, g_loss = self.losses_of(real, fake, index, label)
            total = self.g_optimizer.scale_loss(g_loss)
        weights = self.generator.trainable_variables
        self.g_optimizer.apply(tape.gradient(total, weights), weights)
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
        real, index, label = self.unpack(data, self.seed)
        fake = self.generator([*self.sample_codes(label, self.seed), label, index], training=False)
        return self.report(*self.losses_of(real, fake, index, label, training=False))

    def unpack(self, data, seed):
        """Some frames of the real clips of a batch.

        Args:
            data: (clips, labels), what `fit` and `evaluate` pass on.
            seed: int or `keras.random.SeedGenerator`, of the choice.

        Returns:
            frames `(B, K, H, W, C)`, their numbers `(B, K)`, labels `(B,)`.
        """
        clips = self.unpack_real(data)
        _, label, _ = keras.utils.unpack_x_y_sample_weight(data)
        index = self.choose_frames(ops.shape(clips)[0], seed)
        shown = ops.take_along_axis(clips, index[..., None, None, None], axis=1)  # (B, T, H, W, C) -> (B, K, H, W, C)
        return shown, index, ops.cast(label, "int32")


def generate_clips(model, label, seed, content=None, noise=None, batch_size=64):
    """Whole clips of a trained video GAN.

    Args:
        model: `VideoGAN`.
        label: int array `(N,)`, the motion of each clip.
        seed: non-negative int, of the codes that aren't given.
        content: float `(N, content_dim)`, or None: drawn. Equal codes with different noise show one content in motion after
            motion.
        noise: float `(N, T, noise_dim)`, or None: drawn.
        batch_size: clips at once.

    Returns:
        float32 `(N, T, H, W, C)` in [-1, 1].
    """
    label = ops.cast(label, "int32")
    drawn = model.sample_codes(label, seed)
    content, noise = (ops.convert_to_numpy(d if given is None else given) for d, given in zip(drawn, (content, noise)))
    index = ops.tile(ops.arange(model.config.num_frames, dtype="int32")[None], (len(label), 1))
    inputs = [content, noise, ops.convert_to_numpy(label), ops.convert_to_numpy(index)]
    return model.predict(inputs, batch_size=batch_size, verbose=0)
