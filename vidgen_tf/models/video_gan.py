"""A video GAN with content and motion codes, one for a clip and one for each frame, and a discriminator that sees time."""

import dataclasses

import keras
import tensorflow as tf
from keras import layers, ops

from ..errors import CourseError, check_whole
from ..layers import update_ema
from .base import Config
from .dcgan import DCGANConfig, build_dcgan_discriminator, build_dcgan_generator
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
    codes = ops.concatenate([same, motion], axis=-1)
    dim = config.content_dim + config.motion_dim
    image_generator = build_dcgan_generator(DCGANConfig(dim, config.filters, config.channels))
    clip = PerFrame(image_generator)(codes)  # (B, K, dim) -> (B, K, H, W, C)
    return keras.Model([content, noise, label, index], clip, name="video_generator")


def build_image_discriminator(config):
    """One logit for each frame, which is seen alone.

    Args:
        config: `VideoGANConfig`.

    Returns:
        `keras.Model` from [float32 `(B, K, H, W, C)` in [-1, 1], int32 `(B, K)` numbers of the frames, int32 `(B,)` classes] to
        float32 logits `(B, K)`; only the frames matter.
    """
    frames, index, label = _shown(config)
    network = build_dcgan_discriminator(DCGANConfig(1, config.filters, config.channels))
    logits = PerFrame(network)(frames)[..., 0]  # (B, K, H, W, C) -> (B, K, 1) -> (B, K)
    return keras.Model([frames, index, label], logits, name="image_discriminator")


def build_video_discriminator(config):
    """One logit for some frames of a clip together, with their times and the clip's class.

    The frames lie on one another as channels, so that the first convolution can already compare them.

    Args:
        config: `VideoGANConfig`.

    Returns:
        `keras.Model` from [float32 `(B, K, H, W, C)` in [-1, 1], int32 `(B, K)` numbers of the frames, int32 `(B,)` classes] to
        float32 logits `(B, 1)`.

    References:
        Skorokhodov, Tulyakov and Elhoseiny, 2022, "StyleGAN-V: a continuous video generator with the price, image quality and
        perks of StyleGAN2" (few frames of a clip suffice).
    """
    frames, index, label = _shown(config)
    size, depth = config.image_size, config.num_shown_frames * config.channels
    stack = ops.reshape(ops.transpose(frames, (0, 2, 3, 1, 4)), (-1, size, size, depth))  # (B, K, H, W, C) -> (B, H, W, K*C)
    times = ops.cast(index, stack.dtype) / config.num_frames * 2 - 1  # (B, K), from -1 to 1
    known = ops.concatenate([times, ops.one_hot(label, config.num_classes, dtype=stack.dtype)], axis=-1)
    planes = ops.ones_like(stack[..., :1]) * known[:, None, None]  # (B, H, W, K + classes)
    channels = depth + config.num_shown_frames + config.num_classes
    network = build_dcgan_discriminator(DCGANConfig(1, config.filters, channels))
    logits = network(ops.concatenate([stack, planes], axis=-1))
    return keras.Model([frames, index, label], logits, name="video_discriminator")


def _shown(config):
    """What both discriminators read: frames, their numbers, and the class."""
    shape = config.num_shown_frames, config.image_size, config.image_size, config.channels
    frames = keras.Input(shape, name="frames")
    index = keras.Input((config.num_shown_frames,), dtype="int32", name="index")
    return frames, index, keras.Input((), dtype="int32", name="label")


DISCRIMINATORS = {"image": build_image_discriminator, "video": build_video_discriminator}


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
        if not discriminators or not set(discriminators) <= DISCRIMINATORS.keys():
            raise CourseError(f"A video GAN needs discriminators among {', '.join(DISCRIMINATORS)}, got {discriminators!r}.")
        self.config, self.discriminators, self.seed = config, tuple(discriminators), seed
        self.gamma, self.penalty_stride, self.ema_decay = gamma, penalty_stride, ema_decay
        self.generator, self.ema_generator = build_video_generator(config), build_video_generator(config)
        self.ema_generator.set_weights(self.generator.get_weights())
        shown = _shown(config)
        logits = {name: DISCRIMINATORS[name](config)(list(shown)) for name in self.discriminators}
        self.discriminator = keras.Model(list(shown), logits, name="discriminators")
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
