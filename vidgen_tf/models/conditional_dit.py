"""A diffusion transformer with several conditions, each of which may be left out: words, and a picture or a sketch."""

import dataclasses

import keras
import numpy as np
from keras import layers, ops

from ..errors import CourseError
from ..layers import AdaLNZero, sinusoidal_embedding
from .base import check_multiple
from .dit import DiffusionConfig, DiTBlock, LatentDiffusion


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class ConditionalDiffusionConfig(DiffusionConfig):
    """Sizes of a diffusion transformer that is conditioned on attributes and on an image.

    Its tokens are moments of a clip, which see the image as a whole; or the places of a square grid, each of which sees the
    image where it lies.

    Raises:
        CourseError: as `DiffusionConfig`, or a grid or an image size that doesn't fit.
    """

    num_labels: int = 16  # ids of attribute values, from 1
    num_attributes: int = 5  # ids that a caption has
    image_size: int = 64  # height and width of the conditioning image, px
    image_channels: int = 3
    image_filters: tuple[int, ...] = (16, 32, 48, 64)  # each halves the image; none for no image
    has_grid: bool = False  # whether the tokens are the places of a square grid, row by row, not moments
    condition_dropout: float = 0.1  # probability that a condition is left out in training, each by itself

    def __post_init__(self):
        super().__post_init__()
        halvings = len(self.image_filters)
        check_multiple(self.image_size, 2**halvings, f"{halvings} layers halve it")
        if self.has_grid and (self.image_size // 2**halvings) ** 2 != self.num_frames:
            side = self.image_size // 2**halvings
            raise CourseError(f"An image of {side}x{side} places needs num_frames={side * side} tokens, got {self.num_frames}.")


@keras.saving.register_keras_serializable(package="vidgen_tf")
class ConditionDropout(layers.Layer):
    """Sets the conditions of some items of a training batch to 0, which stands for no condition.

    Args:
        rate: float in [0, 1], probability.
        seed: int.
        **options: of `keras.layers.Layer`.

    Call arguments:
        condition: tensor `(B, ...)`.
        training: whether anything is dropped.

    Output shape:
        That of the condition.

    References:
        Ho and Salimans, 2022, "Classifier-free diffusion guidance".
    """

    def __init__(self, rate, seed=0, **options):
        super().__init__(**options)
        self.rate, self.seed = rate, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, condition, training=False):
        if not training:
            return condition
        shape = (ops.shape(condition)[0], *[1] * (len(condition.shape) - 1))
        is_kept = keras.random.uniform(shape, seed=self.seed_generator) >= self.rate
        return condition * ops.cast(is_kept, condition.dtype)

    def get_config(self):
        """The layer's arguments.

        Returns:
            dict.
        """
        return super().get_config() | {"rate": self.rate, "seed": self.seed}


def embed_labels(labels, config):
    """Attribute ids as one vector: the sum of their embeddings, those of id 0 left out.

    Args:
        labels: symbolic int `(B, num_attributes)`.
        config: `ConditionalDiffusionConfig`.

    Returns:
        symbolic float `(B, 1, hidden_dim)`.
    """
    labels = ConditionDropout(config.condition_dropout, seed=11)(labels)
    single = ops.reshape(labels, (-1, 1))  # each attribute by itself
    single = ConditionDropout(config.attribute_dropout, seed=12)(single)
    labels = ops.reshape(single, (-1, config.num_attributes))
    initializer = keras.initializers.RandomNormal(stddev=1.0, seed=4)  # Keras' +-0.05 is too quiet
    vectors = layers.Embedding(config.num_labels + 1, config.hidden_dim, initializer)(labels)
    mask = ops.cast(labels > 0, vectors.dtype)[..., None]
    return layers.Dense(config.hidden_dim)(ops.sum(vectors * mask, axis=1, keepdims=True) / 2)


def embed_image(image, config):
    """Features of a conditioning image: one vector, or one for each place of a grid.

    The last weights begin at 0: at first the image says nothing.

    Args:
        image: symbolic float `(B, H, W, C)`; all 0 is no image.
        config: `ConditionalDiffusionConfig`.

    Returns:
        symbolic float `(B, 1, hidden_dim)`, or of a grid `(B, num_frames, hidden_dim)`.

    References:
        Zhang, Rao and Agrawala, 2023, "Adding conditional control to text-to-image diffusion models" (zero-initialised).
    """
    image = x = ConditionDropout(config.condition_dropout, seed=13)(image)
    options = {"strides": 2, "padding": "same", "activation": "silu", "kernel_initializer": "he_normal"}
    for filters in config.image_filters:
        x = layers.Conv2D(filters, 3, **options)(x)
    tokens = config.num_frames if config.has_grid else 1
    x = layers.Reshape((tokens, -1))(x)  # (B, h, w, F) -> (B, h*w, F), or one long vector
    features = layers.Dense(config.hidden_dim, kernel_initializer="zeros")(x)
    is_given = ops.any(image != 0, axis=(1, 2, 3), keepdims=True)[..., 0]  # (B, 1, 1)
    return features * ops.cast(is_given, features.dtype)


def token_positions(config):
    """Positional encodings of moments, or of the rows and columns of a grid.

    Args:
        config: `ConditionalDiffusionConfig`.

    Returns:
        float `(num_frames, hidden_dim)`.
    """
    numbers = np.arange(config.num_frames, dtype=np.float32)
    if not config.has_grid:
        return sinusoidal_embedding(numbers, config.hidden_dim, 100.0)
    side = round(config.num_frames**0.5)
    places = (numbers // side, numbers % side)  # rows, columns
    halves = [sinusoidal_embedding(axis, config.hidden_dim // 2, 100.0) for axis in places]
    return ops.concatenate(halves, axis=-1)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class ConditionalDiffusion(LatentDiffusion):
    """Latent diffusion, conditioned on attributes and an image, with known tokens.

    Args:
        config: `ConditionalDiffusionConfig`.

    Call arguments:
        inputs: dict of "noisy" `(B, T, latent_dim)`, normalised, "timesteps" `(B, T)`, "labels" int `(B, num_attributes)` and
            "image" `(B, H, W, C)`.

    Output shape:
        `(B, T, latent_dim)`, the velocity.
    """

    def __init__(self, config):
        super().__init__(config)

    def build_network(self):
        """A network of this model's sizes with new weights.

        Returns:
            `keras.Model`, see the call arguments.

        References:
            Peebles and Xie, 2023, "Scalable diffusion models with transformers".
        """
        config, hidden_dim = self.config, self.config.hidden_dim
        noisy = keras.Input((config.num_frames, config.latent_dim), name="noisy")
        t = keras.Input((config.num_frames if config.per_frame_timestep_prob else 1,), name="timesteps")
        labels = keras.Input((config.num_attributes,), dtype="int32", name="labels")
        inputs = {"noisy": noisy, "timesteps": t, "labels": labels}
        condition = sinusoidal_embedding(1000 * t, hidden_dim, 1e4)
        condition = layers.Dense(hidden_dim, activation="silu")(condition)
        condition = layers.Dense(hidden_dim)(condition) + embed_labels(labels, config)
        x = layers.Dense(hidden_dim)(noisy) + config.position_scale * token_positions(config)
        if config.image_filters:
            size = config.image_size
            inputs["image"] = keras.Input((size, size, config.image_channels), name="image")
            features = embed_image(inputs["image"], config)
            x, condition = (x + features, condition) if config.has_grid else (x, condition + features)
        for _ in range(config.num_layers):
            x = DiTBlock(hidden_dim, config.num_heads)(x, condition)
        x = AdaLNZero(hidden_dim, has_gate=False)(x, condition)
        velocity = layers.Dense(config.latent_dim, kernel_initializer="zeros", dtype="float32")(x)
        return keras.Model(inputs, velocity, name="transformer")


def guided_by_each(model, image_scale, words_scale, *, conditioning):
    """Classifier-free guidance with a scale for each condition.

    From no condition to the image alone, and from there to image and words: `v + a (v_image - v) + b (v_both - v_image)`.

    Args:
        model: trained `ConditionalDiffusion`.
        image_scale: float a; 1 samples the image as it was learned.
        words_scale: float b; likewise the words.
        conditioning: dict of "labels" and, where the model takes one, "image".

    Returns:
        Function from noisy `(N, T, latent_dim)` and t to the guided velocity.

    References:
        Brooks, Holynski and Efros, 2023, "InstructPix2Pix: learning to follow image editing instructions".
    """
    without_words = {name: value for name, value in conditioning.items() if name != "labels"}

    def velocity_fn(noisy, t):
        both = model.velocity(noisy, t, conditioning=conditioning)
        if image_scale == words_scale == 1:
            return both
        of_image = model.velocity(noisy, t, conditioning=without_words)
        guided = of_image + words_scale * (both - of_image)
        if image_scale == 1:
            return guided
        return guided + (image_scale - 1) * (of_image - model.velocity(noisy, t))

    return velocity_fn
