"""Diffusion transformer (DiT) over the latents of a clip: one token per frame, the velocity of flow matching out."""

import dataclasses
from typing import ClassVar

import keras
import numpy as np
from keras import layers

from ..errors import CourseError, check_whole
from ..layers import AdaLNZero, Attention, LatentNormalization, sinusoidal_embedding
from .base import Config, ConfiguredModel
from .flow_matching import euler, inference_timesteps
from .text_encoder import TextEncoder

# What a model may be conditioned on: captions, the latents of the scene layer behind, attributes, a picture or a sketch.
CONDITIONING = ("tokens", "background", "labels", "image")


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class DiffusionConfig(Config):
    """Sizes and conditioning of a diffusion transformer, and the timesteps and loss of its training.

    Raises:
        CourseError: a size below 1, heads that don't divide the hidden dimension, or a probability beyond [0, 1].
    """

    timestep_shift: ClassVar[float] = 1.0  # see `shift_timesteps`
    num_frames: int = 16
    latent_dim: int = 32  # of a frame
    hidden_dim: int = 128  # of a token
    num_layers: int = 4  # transformer blocks
    num_heads: int = 4  # of the attention
    position_scale: float = 1.0  # amplitude of the positional encoding of the frames
    uniform_timestep_prob: float = 0.0  # probability of uniform timesteps, not logit-normal ones
    per_frame_timestep_prob: float = 0.25  # probability of a timestep for each frame of a training clip
    frame_difference_weight: float = 0.0  # weight of the frame-difference loss
    num_scene_layers: int = 1  # with 2, a model of one layer of a scene, conditioned on the layer behind it
    has_captions: bool = False  # whether the model is conditioned on captions
    attribute_dropout: float = 0.1  # of the captions in training, see `TextEncoder`
    caption_dropout: float = 0.1

    def __post_init__(self):
        super().__post_init__()
        if self.hidden_dim % 2 or self.hidden_dim % self.num_heads:
            wanted = f"even and a multiple of num_heads, {self.num_heads}"
            raise CourseError(f"hidden_dim must be {wanted}, got {self.hidden_dim}.")
        for name in (field.name for field in dataclasses.fields(self)):
            if name.endswith(("_prob", "_dropout")) and not 0 <= getattr(self, name) <= 1:
                raise CourseError(f"{name} is a probability from 0 to 1, got {getattr(self, name)}.")


@keras.saving.register_keras_serializable(package="vidgen_tf")
class DiTBlock(layers.Layer):
    """Transformer block with adaLN-Zero: attention over frames and a context, if any, then an MLP.

    Args:
        hidden_dim: int, size of a token.
        num_heads: int, heads of the attention.
        has_context: whether the frames also attend to a context, the tokens of a caption.
        **options: of `keras.layers.Layer`.

    Call arguments:
        x: float `(B, T, hidden_dim)`, the frames.
        condition: float `(B, T, hidden_dim)` or `(B, 1, hidden_dim)`: embedded timestep and pooled caption.
        context: None, or float `(B, L, hidden_dim)`.
        context_mask: None, or float `(B, L)`, 1 where the context may be attended to and 0 elsewhere.

    Output shape:
        That of x; at initialisation the block is the identity.

    References:
        Peebles and Xie, 2023, "Scalable diffusion models with transformers".
    """

    def __init__(self, hidden_dim, num_heads, has_context=False, **options):
        super().__init__(**options)
        self.hidden_dim, self.num_heads, self.has_context = hidden_dim, num_heads, has_context
        self.attention = Attention(hidden_dim, num_heads, has_context)
        self.attention_norm = AdaLNZero(hidden_dim)
        self.mlp_in, self.mlp_out = layers.Dense(4 * hidden_dim, activation="gelu"), layers.Dense(hidden_dim)
        self.mlp_norm = AdaLNZero(hidden_dim)

    def build(self, x_shape, condition_shape, context_shape=None, context_mask_shape=None):
        """Makes the weights.

        Args:
            x_shape: shape of x.
            condition_shape: shape of the condition.
            context_shape: shape of the context, where there is one.
            context_mask_shape: unused; it follows.
        """
        self.attention_norm.build(x_shape, condition_shape)
        self.attention.build(x_shape, context_shape)
        self.mlp_norm.build(x_shape, condition_shape)
        self.mlp_in.build(x_shape)
        self.mlp_out.build((*x_shape[:-1], 4 * self.hidden_dim))

    def call(self, x, condition, context=None, context_mask=None):
        normed, gate = self.attention_norm(x, condition)
        x = x + gate * self.attention(normed, context, context_mask)
        normed, gate = self.mlp_norm(x, condition)
        return x + gate * self.mlp_out(self.mlp_in(normed))

    def get_config(self):
        """The block's arguments, so that a saved model can be loaded.

        Returns:
            dict.
        """
        return super().get_config() | {
            "hidden_dim": self.hidden_dim,
            "num_heads": self.num_heads,
            "has_context": self.has_context,
        }


def build_transformer(config):
    """Diffusion transformer: the velocity of a noised clip, given its timesteps and conditioning.

    Args:
        config: `DiffusionConfig`.

    Returns:
        `keras.Model` from a dict to the velocity, float `(B, T, latent_dim)`. The dict: "noisy", float `(B, T, latent_dim)`;
        "timesteps", float `(B, T)` in [0, 1], or `(B, 1)` where no frame has a timestep of its own; and with captions or scene
        layers the conditioning: "tokens", int `(B, L)` of `tokenize`, and "background", float `(B, T, latent_dim)`.

    References:
        Peebles and Xie, 2023, "Scalable diffusion models with transformers".
    """
    hidden_dim = config.hidden_dim
    noisy = keras.Input((config.num_frames, config.latent_dim), name="noisy")
    t = keras.Input((config.num_frames if config.per_frame_timestep_prob else 1,), name="timesteps")
    inputs, context = {"noisy": noisy, "timesteps": t}, ()
    condition = layers.Dense(hidden_dim, activation="silu")(sinusoidal_embedding(1000 * t, hidden_dim, 1e4))
    condition = layers.Dense(hidden_dim)(condition)  # (B, T, hidden_dim) or (B, 1, hidden_dim)
    if config.has_captions:
        inputs["tokens"] = keras.Input((None,), dtype="int32", name="tokens")
        encoder = TextEncoder(hidden_dim, config.attribute_dropout, config.caption_dropout)
        *context, pooled = encoder(inputs["tokens"])
        condition = condition + pooled
    positions = sinusoidal_embedding(np.arange(config.num_frames, dtype=np.float32), hidden_dim, 100.0)
    x = layers.Dense(hidden_dim)(noisy) + config.position_scale * positions
    if config.num_scene_layers > 1:
        inputs["background"] = keras.Input(noisy.shape[1:], name="background")
        x = x + layers.Dense(hidden_dim)(inputs["background"])
    for _ in range(config.num_layers):
        x = DiTBlock(hidden_dim, config.num_heads, has_context=bool(context))(x, condition, *context)
    x = AdaLNZero(hidden_dim, has_gate=False)(x, condition)
    velocity = layers.Dense(config.latent_dim, kernel_initializer="zeros", dtype="float32")(x)
    return keras.Model(inputs, velocity, name="transformer")


def complete_conditioning(conditioning, shapes, count):
    """Checks what a model is given to be conditioned on, and adds zeros, which stand for nothing, where it is given nothing.

    Args:
        conditioning: None, or a dict, see `LatentDiffusion.velocity`.
        shapes: dict, see `LatentDiffusion.conditioning_shapes`.
        count: int, how many clips.

    Returns:
        dict of an array for each name in `shapes`.

    Raises:
        CourseError: a conditioning that the model doesn't take, or no background for a model of scene layers.
    """
    conditioning = dict(conditioning or {})
    if wrong := conditioning.keys() - shapes.keys():
        takes = ", ".join(shapes) or "nothing"
        raise CourseError(f"This model is conditioned on {takes}, so leave out {', '.join(sorted(wrong))}.")
    if "background" in shapes and conditioning.get("background") is None:
        raise CourseError("A model of scene layers needs the conditioning 'background', the latents of the layer behind.")
    for name, shape in shapes.items():
        if conditioning.get(name) is None:
            conditioning[name] = np.zeros(
                (count, *(size or 1 for size in shape[1:])), np.float32 if name == "image" else np.int32
            )
    return conditioning


def check_known_frames(known_latents, known_mask, shape, config):
    """Refuses known frames that a model can't hold fixed.

    Args:
        known_latents: see `LatentDiffusion.sample`.
        known_mask: see `LatentDiffusion.sample`.
        shape: tuple, of the latents to sample.
        config: `DiffusionConfig` of the model.

    Returns:
        known_mask as a bool array `(T,)`.

    Raises:
        CourseError: known latents of another shape, or any for a model without per-frame timesteps.
    """
    if not config.per_frame_timestep_prob:
        raise CourseError("Known frames need a model that was trained with per_frame_timestep_prob above 0.")
    known_mask = np.asarray(known_mask, bool)
    if np.shape(known_latents) != shape or known_mask.shape != shape[1:2]:
        got = f"{np.shape(known_latents)} and {known_mask.shape}"
        raise CourseError(f"known_latents are {shape} and known_mask {shape[1:2]}, got {got}.")
    return known_mask


@keras.saving.register_keras_serializable(package="vidgen_tf")
class LatentDiffusion(ConfiguredModel):
    """Latent video diffusion: a transformer in the normalised latent space of a VAE, and its sampler.

    `input_shapes` is a dict of the shapes of the network's inputs, with None for the size of the batch and for the length of
    captions; `conditioning_shapes` is its part that the model is conditioned on, "tokens" and "background".

    Args:
        config: `DiffusionConfig`.

    Call arguments:
        inputs: dict of `build_transformer`'s network; noisy latents and background are normalised.

    Output shape:
        `(B, T, latent_dim)`, the velocity.

    References:
        Rombach and others, 2022, "High-resolution image synthesis with latent diffusion models".
    """

    def __init__(self, config):
        super().__init__(name="latent_diffusion", autocast=False)
        self.config, self.normalization = config, LatentNormalization(config.latent_dim, dtype="float32")
        self.normalization.build((None, None, config.latent_dim))
        self.network = self.build_network()
        self.network.jit_compile = False  # XLA would compile anew for each number of clips
        self.input_shapes = shapes = {tensor.name: tensor.shape for tensor in self.network.inputs}
        self.conditioning_shapes = {name: shapes[name] for name in shapes if name in CONDITIONING}
        self.build(shapes)

    def build_network(self):
        """A network of this model's sizes with new weights.

        Returns:
            `keras.Model`, see `build_transformer`.
        """
        return build_transformer(self.config)

    def call(self, inputs, training=False):
        """The velocity."""
        return self.network(inputs, training=training)

    def velocity(self, noisy, t, *, conditioning=None):
        """The predicted velocity, as arrays: what samplers call.

        Args:
            noisy: float array `(B, T, latent_dim)`, normalised latents at noise level t.
            t: float array `(B or 1, T or 1)` in [0, 1].
            conditioning: None, or a dict of what `conditioning_shapes` names: "tokens", int `(B, L)` of `tokenize`, where None
                and 0 are the unconditional model; "background", float `(B, T, latent_dim)`, the normalised latents of the scene
                layer behind this one.

        Returns:
            float32 array `(B, T, latent_dim)`.

        Raises:
            CourseError: a conditioning that the model doesn't take, or no background for a model of scene layers.
        """
        t = np.broadcast_to(np.float32(t), (len(noisy), *self.input_shapes["timesteps"][1:]))
        conditioning = complete_conditioning(conditioning, self.conditioning_shapes, len(noisy))
        return self.network.predict_on_batch({"noisy": np.float32(noisy), "timesteps": t} | conditioning)

    def sample(
        self,
        count,
        num_inference_steps=20,
        seed=0,
        solver=euler,
        velocity_fn=None,
        known_latents=None,
        known_mask=None,
    ):
        """Samples latents of clips: integrates the flow's ODE from noise to data, around known frames.

        Args:
            count: int, how many clips, at least 1.
            num_inference_steps: int, steps of the solver, at least 1.
            seed: non-negative int, of the noise.
            solver: `euler` or `heun`.
            velocity_fn: function from noisy `(count, T, latent_dim)` and t to the velocity; None for the unconditional
                `velocity`.
            known_latents: None, or float `(count, T, latent_dim)`, latents whose frames are kept where `known_mask` is True.
            known_mask: bool `(T,)`.

        Returns:
            float32 array `(count, T, latent_dim)`; known frames come back as they are.

        Raises:
            CourseError: no clips, no steps, known latents of another shape, or any for a model without per-frame timesteps.

        References:
            Chen and others, 2024, "Diffusion Forcing: Next-token prediction meets full-sequence diffusion" (known frames, t = 0).
        """
        check_whole(1, count=count, num_inference_steps=num_inference_steps)
        shape = (count, self.config.num_frames, self.config.latent_dim)
        z = np.random.default_rng(seed).standard_normal(shape, np.float32)
        timesteps = inference_timesteps(num_inference_steps, self.config.timestep_shift)
        if known_latents is not None:
            known_mask = check_known_frames(known_latents, known_mask, shape, self.config)
            timesteps = np.where(known_mask, np.float32(0), timesteps)  # -> (steps + 1, 1, T)
            z[:, known_mask] = np.asarray(self.normalization(known_latents))[:, known_mask]
        z = solver(velocity_fn or self.velocity, z, timesteps)
        sampled = np.asarray(self.normalization.denormalize(z))
        return sampled if known_latents is None else np.where(known_mask[:, None], known_latents, sampled)
