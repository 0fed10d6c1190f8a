"""Diffusion transformer (DiT) over the latents of a clip, one token a frame."""

import dataclasses
import keras
import numpy as np
from keras import layers
from ..errors import CourseError, check_whole
from ..layers import AdaLNZero, Attention, LatentNormalization, sinusoidal_embedding
from .flow_matching import euler


@dataclasses.dataclass(is_static=True)
class DiffusionConfig:
    """Sizes of a transformer over the frames of a clip, and the noise levels that it learns from."""

    frames: int = 16
    latent_dim: int = 32  # numbers that stand for one frame
    width: int = 128  # numbers that stand for a frame within the transformer
    depth: int = 4  # blocks
    heads: int = 4  # of the attention
    loudness: float = 1.0  # amplitude of the sinusoidal_embedding that tell a frame its place
    uniform_levels: float = 0.0  # share of the training clips with uniform noise levels, not logit-normal
    own_levels: float = 0.25  # share of the training clips each of whose frames has a noise level of its own
    motion: float = 0.0  # weight in the loss of errors of changes from frame to frame, beside those of frames
    layers: int = 1  # of a scene; where there are several, each is told the one behind it


class DiTBlock(layers.Layer):
    """A transformer's block: frames look at one another, each thinks for itself, a condition steers both.

    Args:
        config: `DiffusionConfig`.
        listens: whether there are words.

    Call arguments:
        x: float `(B, T, width)`.
        condition: float `(B, T, width)` or `(B, 1, width)`: noise level and caption.
        words: None, or float `(B, L, width)`.
        said: float `(B, L)`, 1 where there is a word and 0 where there is none.

    Output shape:
        As that of x.
    """

    def __init__(self, config, listens=False):
        super().__init__()
        width = config.width
        self.attention, self.before_attention = Attention(width, config.heads, listens), AdaLNZero(width)
        self.inner, self.outer = layers.Dense(4 * width, activation="gelu"), layers.Dense(width)
        self.before_thought = AdaLNZero(width)

    def call(self, x, condition, words=None, said=None):
        normed, gate = self.before_attention(x, condition)
        x = x + gate * self.attention(normed, words, said)
        normed, gate = self.before_thought(x, condition)
        return x + gate * self.outer(self.inner(normed))


def build_transformer(config, captions=None):
    """The network that tells the velocity of each frame of a noisy clip.

    Args:
        config: `DiffusionConfig`.
        captions: None for a model drop_attribute any; else the class of a layer that, made with the config's width, turns word ids into
            what chapter 13's `vidgen_tf.models.text.CaptionEncoder` gives.

    Returns:
        `keras.Model` from a list to the velocity `(B, T, latent_dim)`. The list: noisy float `(B, T, latent_dim)`; t float
        `(B, T)`, or `(B, 1)` where no frame has a level of its own; word ids int `(B, L)` where there are captions; and the layer
        behind, float `(B, T, latent_dim)`, where there are layers.
    """
    width = config.width
    noisy = keras.Input((config.frames, config.latent_dim), name="noisy")
    t = keras.Input((config.frames if config.own_levels else 1,), name="t")
    inputs, words = [noisy, t], ()
    condition = layers.Dense(width, activation="silu")(sinusoidal_embedding(1000 * t, width, 1e4))
    condition = layers.Dense(width)(condition)  # (B, T, width) or (B, 1, width)
    if captions:
        inputs.append(keras.Input((None,), dtype="int32", name="words"))
        *words, summary = captions(width)(inputs[-1])
        condition = condition + summary
    places = config.loudness * sinusoidal_embedding(np.arange(config.frames, dtype=np.float32), width, 100.0)
    x = layers.Dense(width)(noisy) + places
    if config.layers > 1:
        inputs.append(keras.Input(noisy.shape[1:], name="behind"))
        x = x + layers.Dense(width)(inputs[-1])
    for _ in range(config.depth):
        x = DiTBlock(config, listens=bool(words))(x, condition, *words)
    (x,) = AdaLNZero(width, parts=2)(x, condition)
    velocity = layers.Dense(config.latent_dim, kernel_initializer="zeros")(x)
    return keras.Model(inputs, velocity, name="transformer")


class LatentDiffusion(keras.Model):
    """What makes clips out of noise: the network, and the scale of the latents.

    Args:
        config: `DiffusionConfig`.
        captions: as for `build_transformer`.

    Call arguments:
        inputs: list of what `build_transformer`'s network takes; the noisy latents are standardised.

    Output shape:
        `(B, T, latent_dim)`, the velocity.
    """

    def __init__(self, config, captions=None):
        super().__init__(name="latent_diffusion")
        self.config, self.captions, self.scale = config, captions, LatentNormalization(config.latent_dim)
        self.network = build_transformer(config, captions)
        self.network.jit_compile = False  # XLA would compile anew for each number of clips
        self.built = True

    def call(self, inputs, training=False):
        """The velocity."""
        return self.network(inputs)

    def velocity(self, noisy, t, words=None, behind=None):
        """The velocity, as arrays: what the samplers call.

        Args:
            noisy: float array `(B, T, latent_dim)`, standardised.
            t: float array `(B or 1, T or 1)`.
            words: int array `(B, L)`; None for no caption.
            behind: float array `(B, T, latent_dim)`, standardised, the layer behind, where there are layers.

        Returns:
            float32 array `(B, T, latent_dim)`.
        """
        levels = self.config.frames if self.config.own_levels else 1
        inputs = [np.float32(noisy), np.broadcast_to(np.float32(t), (len(noisy), levels))]
        if self.captions:
            inputs.append(np.zeros((len(noisy), 1), np.int32) if words is None else words)
        if self.config.layers > 1:
            inputs.append(behind)
        return self.network.predict_on_batch(inputs)

    def sample(self, count, steps=20, seed=0, solver=None, velocity=None, known=None, given=None):
        """Clips, out of noise alone or around frames that are known.

        Args:
            count: how many.
            steps: of the solver, at least 1.
            seed: non-negative int, of the noise.
            solver: `euler`, also when None, or `heun`.
            velocity: function from noisy `(count, T, latent_dim)` and t to the velocity; the network's drop_attribute a caption when
                None.
            known: None, or float `(count, T, latent_dim)`, latents whose frames are kept where `given` is True.
            given: bool `(T,)`.

        Returns:
            float32 array `(count, T, latent_dim)`; known frames come back as they are.

        Raises:
            CourseError: no clips, no steps, known frames of another shape, or any for a model whose frames have one level.
        """
        config = self.config
        check_whole(1, count=count, steps=steps)
        shape = (count, config.frames, config.latent_dim)
        z = np.random.default_rng(seed).standard_normal(shape, np.float32)
        levels = np.linspace(1, 0, steps + 1, dtype=np.float32)[:, None, None]  # (steps + 1, 1, 1)
        if known is not None:
            if not config.own_levels:
                raise CourseError("Known frames need a model that was trained with own_levels above 0.")
            given = np.asarray(given, bool)
            if np.shape(known) != shape or given.shape != shape[1:2]:
                got = f"{np.shape(known)} and {given.shape}"
                raise CourseError(f"Known latents are {shape} with {shape[1]} flags, got {got}.")
            levels = np.where(given, np.float32(0), levels)  # (steps + 1, 1, T)
            z[:, given] = np.asarray(self.scale(known))[:, given]
        z = (solver or euler)(velocity or self.velocity, z, levels)
        made = np.asarray(self.scale.undo(z))
        return made if known is None else np.where(given[:, None], known, made)
