"""Latent video diffusion: a small transformer learns which way leads from noise to clips, and then goes it step by step.

A clip is a path of latents `(T, latent_dim)`, one token per frame, as chapter 05's encoder gives them. At noise level t it is
mixed with noise: `noisy = (1 - t) * clip + t * noise`, so that t = 0 is the clip itself and t = 1 is noise alone. The network
tells the velocity `noise - clip`. Levels are `(B, T)`, one for each frame, or `(B, 1)`, one for the whole clip.
"""

import dataclasses
import functools
import itertools
import math

import keras
import numpy as np
from keras import layers, ops

from .. import exam, training, zoo
from ..datasets import DATASETS, load, pipeline
from ..errors import CourseError, check_whole
from ..files import progress
from ..video import Clip
from ..worlds import shapes
from .latent_rnn import Standardise
from .vae import decode, encode

AT_ONCE = 128  # clips that are sampled together
HASTY = 7e-3  # largest step size of a minute's training; 1000 steps on shapes obeyed 49 % at 3e-3, 60 at 5 and 8, 54 at 12e-3
WARM_UP = 100  # steps, until the step size is at its largest
SEEDS = 1_000_003  # from a layer's seed to the next one's
MANY = 400  # steps, from which on XLA's compiling of a step is worth its seconds
FRESH = {world: dataclasses.replace(DATASETS[world], seed=900) for world in ("digits", "shapes")}  # more of the same clips
DRAWN = 500  # clips that are drawn and encoded together


@dataclasses.dataclass(frozen=True)
class DiffusionConfig:
    """Sizes of a transformer over the frames of a clip, and the noise levels that it learns from."""

    frames: int = 16
    latent_dim: int = 32  # numbers that stand for one frame
    width: int = 128  # numbers that stand for a frame within the transformer
    depth: int = 4  # blocks
    heads: int = 4  # of the attention
    loudness: float = 1.0  # amplitude of the sinusoids that tell a frame its place
    uniform_levels: float = 0.0  # share of the training clips with uniform noise levels, not logit-normal
    own_levels: float = 0.25  # share of the training clips each of whose frames has a noise level of its own
    motion: float = 0.0  # weight in the loss of errors of changes from frame to frame, beside those of frames
    layers: int = 1  # of a scene; where there are several, each is told the one behind it


def mixed(clip, noise, t):
    """A clip on its straight way to noise.

    Args:
        clip: float `(..., D)`.
        noise: float of the same shape.
        t: float `(...)`, or broadcastable to it: noise levels in [0, 1].

    Returns:
        float of the clip's shape: the clip where t = 0, the noise where t = 1.

    References:
        Liu, Gong and Liu, 2023, "Flow straight and fast: learning to generate and transfer data with rectified flow".
    """
    t = t[..., None]
    return (1 - t) * clip + t * noise


def velocity_to_noise(velocity, noisy, t):
    """The noise in a mixture, from its velocity `noise - clip`.

    Args:
        velocity: float `(..., D)`.
        noisy: float of the same shape, the mixture.
        t: float `(...)`, or broadcastable to it: noise levels in [0, 1].

    Returns:
        float of the same shape.
    """
    return noisy + (1 - t[..., None]) * velocity


def velocity_to_clip(velocity, noisy, t):
    """The clip in a mixture, from its velocity `noise - clip`.

    Args:
        velocity: float `(..., D)`.
        noisy: float of the same shape, the mixture.
        t: float `(...)`, or broadcastable to it: noise levels in [0, 1].

    Returns:
        float of the same shape.
    """
    return noisy - t[..., None] * velocity


def noise_to_velocity(noise, noisy, t):
    """The velocity of a mixture, from the noise that is in it: what a DDPM predicts, in other clothes.

    Args:
        noise: float `(..., D)`.
        noisy: float of the same shape, the mixture.
        t: float `(...)`, or broadcastable to it: noise levels in [0, 1), for at 1 the noise tells nothing of the clip.

    Returns:
        float of the same shape.
    """
    return (noise - noisy) / (1 - t[..., None])


def ddpm_rates(t):
    """Where a DDPM meets a mixture: noise level t, stretched until the squares of both rates add up to 1.

    Args:
        t: float array of noise levels in [0, 1].

    Returns:
        (signal_rates, noise_rates), float arrays of t's shape. `mixed(clip, noise, t)`, divided by the length of (1 - t, t), is
        `signal_rates * clip + noise_rates * noise`.

    References:
        Ho, Jain and Abbeel, 2020, "Denoising diffusion probabilistic models".
    """
    length = np.sqrt((1 - t) ** 2 + t**2)
    return (1 - t) / length, t / length


def sinusoids(places, width, slowest):
    """Numbers from -1 to 1 that tell places apart: sines and cosines, each pair slower than the last.

    Args:
        places: float `(...)`.
        width: how many numbers for each place, an even int.
        slowest: the slowest wave is so many times slower than the fastest, whose phase is the place itself, in radians.

    Returns:
        float `(..., width)`.

    References:
        Vaswani and others, 2017, "Attention is all you need".
    """
    rates = slowest ** -np.linspace(0, 1, width // 2, dtype=np.float32)
    phase = places[..., None] * rates  # (...) -> (..., width/2)
    return ops.concatenate([ops.sin(phase), ops.cos(phase)], axis=-1)


class Attention(layers.Layer):
    """Each frame asks all frames of its clip, and all words of its caption where there is one.

    Args:
        width: numbers that stand for a frame.
        heads: how many questions each frame asks at once; the width is a multiple of it.
        listens: whether there are words.

    Call arguments:
        x: float `(B, T, width)`, the frames.
        words: None, or float `(B, L, width)`.
        said: float `(B, L)`, 1 where there is a word and 0 where there is none.

    Output shape:
        As that of x.

    References:
        Vaswani and others, 2017, "Attention is all you need".
    """

    def __init__(self, width, heads, listens=False):
        super().__init__()
        self.heads = heads
        self.from_frames, self.out = layers.Dense(3 * width), layers.Dense(width)
        self.from_words = layers.Dense(2 * width) if listens else None

    def call(self, x, words=None, said=None):
        queries, keys, values = ops.split(self.from_frames(x), 3, axis=-1)
        if words is not None:
            more_keys, more_values = ops.split(self.from_words(words), 2, axis=-1)
            keys = ops.concatenate([keys, more_keys], axis=1)  # (B, T, width) -> (B, T + L, width)
            values = ops.concatenate([values, more_values], axis=1)
        q, k, v = (self.in_heads(part) for part in (queries, keys, values))
        scores = q @ ops.transpose(k, (0, 1, 3, 2)) / math.sqrt(q.shape[-1])  # (B, H, T, T + L)
        if words is not None:
            silence = ops.pad(1e9 * (1 - said), ((0, 0), (x.shape[1], 0)))  # (B, L) -> (B, T + L)
            scores = scores - silence[:, None, None]
        heard = ops.softmax(scores) @ v  # (B, H, T, width/H)
        heard = ops.transpose(heard, (0, 2, 1, 3))  # -> (B, T, H, width/H)
        return self.out(ops.reshape(heard, (-1, *x.shape[1:])))

    def in_heads(self, x):
        """Shares out the numbers among the heads.

        Args:
            x: float `(B, S, width)`.

        Returns:
            float `(B, heads, S, width / heads)`.
        """
        length, width = ops.shape(x)[1], x.shape[-1]
        return ops.transpose(ops.reshape(x, (-1, length, self.heads, width // self.heads)), (0, 2, 1, 3))


class AdaptiveNorm(layers.Layer):
    """Layer normalisation whose scale and shift a condition tells, and a gate for the result (adaLN-zero).

    Args:
        width: numbers that stand for a frame.
        parts: 3 for scale, shift and gate; 2 for scale and shift alone.

    Call arguments:
        x: float `(B, T, width)`.
        condition: float `(B, T, width)` or `(B, 1, width)`.

    Output shape:
        A tuple: normalised x, as x; and, with 3 parts, the gate, as the condition. At first the condition is not listened to,
        and the gate is 0, so that a new block changes nothing.

    References:
        Peebles and Xie, 2023, "Scalable diffusion models with transformers".
    """

    def __init__(self, width, parts=3):
        super().__init__()
        self.parts = parts
        self.norm = layers.LayerNormalization(center=False, scale=False, epsilon=1e-6)
        self.told = layers.Dense(parts * width, kernel_initializer="zeros")

    def call(self, x, condition):
        scale, shift, *gate = ops.split(self.told(ops.silu(condition)), self.parts, axis=-1)
        return self.norm(x) * (1 + scale) + shift, *gate


class Block(layers.Layer):
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
        self.attention, self.before_attention = Attention(width, config.heads, listens), AdaptiveNorm(width)
        self.inner, self.outer = layers.Dense(4 * width, activation="gelu"), layers.Dense(width)
        self.before_thought = AdaptiveNorm(width)

    def call(self, x, condition, words=None, said=None):
        normed, gate = self.before_attention(x, condition)
        x = x + gate * self.attention(normed, words, said)
        normed, gate = self.before_thought(x, condition)
        return x + gate * self.outer(self.inner(normed))


def build_transformer(config, captions=None):
    """The network that tells the velocity of each frame of a noisy clip.

    Args:
        config: `DiffusionConfig`.
        captions: None for a model without any; else the class of a layer that, made with the config's width, turns word ids into
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
    condition = layers.Dense(width, activation="silu")(sinusoids(1000 * t, width, 1e4))
    condition = layers.Dense(width)(condition)  # (B, T, width) or (B, 1, width)
    if captions:
        inputs.append(keras.Input((None,), dtype="int32", name="words"))
        *words, summary = captions(width)(inputs[-1])
        condition = condition + summary
    places = config.loudness * sinusoids(np.arange(config.frames, dtype=np.float32), width, 100.0)
    x = layers.Dense(width)(noisy) + places
    if config.layers > 1:
        inputs.append(keras.Input(noisy.shape[1:], name="behind"))
        x = x + layers.Dense(width)(inputs[-1])
    for _ in range(config.depth):
        x = Block(config, listens=bool(words))(x, condition, *words)
    (x,) = AdaptiveNorm(width, parts=2)(x, condition)
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
        self.config, self.captions, self.scale = config, captions, Standardise(config.latent_dim)
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
            velocity: function from noisy `(count, T, latent_dim)` and t to the velocity; the network's without a caption when
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


def euler(velocity, z, levels):
    """From noise to clips along straight pieces.

    Args:
        velocity: function from z and levels `(N or 1, T or 1)` to an array like z.
        z: float array `(N, T, D)`, noise.
        levels: float array `(steps + 1, N or 1, T or 1)` from 1 to 0; a frame whose level stays the same does not move.

    Returns:
        float array like z.
    """
    for t, after in itertools.pairwise(levels):
        z = z + (after - t)[..., None] * velocity(z, t)
    return z


def heun(velocity, z, levels):
    """As `euler`, but along the mean of the velocities at both ends: twice the work, a smaller error.

    Args:
        velocity: function from z and levels `(N or 1, T or 1)` to an array like z.
        z: float array `(N, T, D)`, noise.
        levels: float array `(steps + 1, N or 1, T or 1)` from 1 to 0; a frame whose level stays the same does not move.

    Returns:
        float array like z.
    """
    for t, after in itertools.pairwise(levels):
        step = (after - t)[..., None]
        here = velocity(z, t)
        z = z + step * (here + velocity(z + step * here, after)) / 2
    return z


class FlowMatching(keras.Model):
    """Teaches a student the velocity at random noise levels; the model keeps the average of its weights.

    Args:
        model: `LatentDiffusion`. Its network becomes the average over the training of the student's weights.
        ema: how much of the average is kept at each step, once it has got going.
        seed: of the noise and its levels.

    Call arguments:
        batch: float `(B, T, latent_dim)`, clips; or a tuple of these and, where the model has them, their word ids, int `(B, L)`,
            and the layers behind them, float `(B, T, latent_dim)`.
        training: whether the student trains, and words are left out of its captions.

    Output shape:
        A tuple of the student's velocity and the true one, each `(B, T, latent_dim)`.

    References:
        Lipman and others, 2023, "Flow matching for generative modeling".
        Chen and others, 2024, "Diffusion Forcing: Next-token prediction meets full-sequence diffusion" (levels of their own).
    """

    def __init__(self, model, ema=0.999, seed=0):
        super().__init__(name="flow_matching")
        self.model, self.ema, self.seed_generator = model, ema, keras.random.SeedGenerator(seed)
        self.student = build_transformer(model.config, model.captions)
        model.network.set_weights(self.student.get_weights())
        model.trainable = False  # an average learns from its student alone
        self.built = True

    def call(self, batch, training=False):
        """Velocities at random noise levels, told and true."""
        clips, *told = batch if isinstance(batch, tuple) else (batch,)
        if self.model.config.layers > 1:
            told[-1] = self.model.scale(told[-1])
        clips = self.model.scale(clips)
        noise = keras.random.normal(ops.shape(clips), seed=self.seed_generator)
        t = draw_levels(ops.shape(clips)[0], self.model.config, self.seed_generator)
        return self.student([mixed(clips, noise, t), t, *told], training=training), noise - clips

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Mean squared error of the velocity, and of its changes from frame to frame, weighted.

        With any weight the best answer is the same: the average velocity.

        Args:
            x: the batch.
            y: unused: the target is drawn with the noise.
            y_pred: what `call` returned for it.
            sample_weight: unused.
            training: unused.

        Returns:
            scalar.

        References:
            Tevet and others, 2023, "Human motion diffusion model" (a loss of changes).
        """
        told, true = y_pred
        error = told - true
        changes = error[:, 1:] - error[:, :-1]  # (B, T, D) -> (B, T - 1, D)
        return ops.mean(ops.square(error)) + self.model.config.motion * ops.mean(ops.square(changes))

    def train_step(self, data):
        """A step of the student, and of the average after it.

        Args:
            data: a batch.

        Returns:
            dict of the metrics.
        """
        logs = super().train_step(data)
        step = ops.cast(self.optimizer.iterations, "float32")
        keep = ops.minimum(self.ema, (1 + step) / (10 + step))  # at first the average must forget quickly
        for average, weight in zip(self.model.network.weights, self.student.weights):
            average.assign(keep * average + (1 - keep) * weight)
        return logs


def draw_levels(count, config, seed):
    """Noise levels to learn from: one for a whole clip, or, in a share of the clips, one for each frame.

    Args:
        count: how many clips.
        config: `DiffusionConfig`.
        seed: `keras.random.SeedGenerator`; an int would draw the same numbers again and again.

    Returns:
        float `(count, T)`; `(count, 1)` where no frame has a level of its own.

    References:
        Esser and others, 2024, "Scaling rectified flow transformers for high-resolution image synthesis" (logit-normal).
    """

    def draw(*shape):
        middling = ops.sigmoid(keras.random.normal(shape, seed=seed))
        even = keras.random.uniform((count, 1), seed=seed) < config.uniform_levels
        return ops.where(even, keras.random.uniform(shape, seed=seed), middling)

    shared = draw(count, 1)
    if not config.own_levels:
        return shared
    own = keras.random.uniform((count, 1), seed=seed) < config.own_levels
    return ops.where(own, draw(count, config.frames), shared)


def fit_diffusion(
    model,
    latents,
    steps,
    words=None,
    behind=None,
    rate=3e-3,
    batch_size=64,
    ema=None,
    seed=0,
    **options,
):
    """Trains a model of clips: AdamW, a step size that rises for 100 steps and falls to 0 along a cosine.

    Args:
        model: `LatentDiffusion` whose scale has been adapted; its weights become the average over the training.
        latents: float32 `(N, T, latent_dim)`.
        steps: training steps in all, more than 100.
        words: int32 `(N, L)`, the clips' captions where the model has captions.
        behind: float32 `(N, T, latent_dim)`, the layers behind them where the model has layers.
        rate: the largest step size.
        batch_size: clips per step.
        ema: how much of the average is kept at each step; None for as much as makes it last a tenth of the training.
        seed: order of the batches and their noise.
        **options: of `training.fit`: `checkpoint`, `log_steps`, `callbacks`.

    Returns:
        The history of `training.fit`.
    """
    trainer = FlowMatching(model, 1 - 10 / steps if ema is None else ema, seed)
    falling = {"decay_steps": steps - WARM_UP, "warmup_target": rate, "warmup_steps": WARM_UP}
    schedule = keras.optimizers.schedules.CosineDecay(0.0, **falling)
    optimizer = keras.optimizers.AdamW(schedule, beta_2=0.99, weight_decay=0.01, global_clipnorm=1.0)
    trainer.compile(optimizer, jit_compile=steps >= MANY)
    arrays = [array for array in (latents, words, behind) if array is not None]

    def batches(first):
        data = pipeline(*arrays, batch_size=batch_size, seed=seed, first_step=first)
        if len(arrays) == 1:
            return data
        return data.map(lambda *batch: (batch,))  # a pair alone would be inputs and targets

    return training.fit(trainer, batches, steps, **options)


def drawn(dataset, count, split="train"):
    """Clips of no stored dataset, some at a time, as all of them at once might fill the memory.

    Args:
        dataset: `Dataset`, see `FRESH`.
        count: how many clips in all.
        split: "train", "validation" or "test".

    Yields:
        `LabelledClips`.
    """
    blocks = range(0, count, DRAWN)
    for first in progress(blocks, label="drawing clips", unit="block", delay=2):
        yield dataset.make(split, first, min(DRAWN, count - first))


def layered(vae, clips):
    """Latents of the two layers of clips of shapes, the second thing's beside what is behind it.

    Args:
        vae: trained `VAE` of their frames.
        clips: N `LabelledClips` of shapes.

    Returns:
        dict of float32 arrays `(2N, T, latent_dim)`, all first layers and then all second ones: "z_mean", "z_log_var", and
        "behind": 0 for a first layer, and for a second one the z_mean of the first.
    """
    parts = [encode(vae, shapes.layer(clips.states, k)) for k in range(2)]
    z_mean, z_log_var = (np.concatenate(pair) for pair in zip(*parts))
    first = parts[0][0]
    return {"z_mean": z_mean, "z_log_var": z_log_var, "behind": np.concatenate([np.zeros_like(first), first])}


def joined(parts):
    """Examples from several sources, one behind the other.

    Args:
        parts: list of dicts of arrays with the same names.

    Returns:
        dict of arrays.
    """
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def painted(model, vae, count, steer, seed, **options):
    """Clips, layer by layer from back to front; a model of one layer paints once.

    Args:
        model: trained `LatentDiffusion`.
        vae: the trained `VAE` whose latents it knows.
        count: how many clips.
        steer: function from a layer's number and the layers behind, float `(count, T, latent_dim)`, standardised, to which clips
            have such a layer, bool `(count,)`, and their velocity.
        seed: non-negative int.
        **options: of `LatentDiffusion.sample`: `steps`, `solver`.

    Returns:
        uint8 `(count, T, H, W, C)`.
    """
    z, frames = np.zeros((count, model.config.frames, model.config.latent_dim), np.float32), None
    for k in range(model.config.layers):
        asked, velocity = steer(k, np.asarray(model.scale(z)))
        if asked.any():
            z[asked] = model.sample(int(asked.sum()), seed=seed + k * SEEDS, velocity=velocity, **options)
            layer = decode(vae, z[asked])
            if k == 0:
                frames = layer
            else:
                frames[asked] = shapes.overlay(frames[asked], layer)
    return frames


def sampled(model, vae, count, seed=0, **options):
    """Clips as frames, some at a time.

    Args:
        model: trained `LatentDiffusion`.
        vae: the trained `VAE` whose latents it knows.
        count: how many clips.
        seed: non-negative int.
        **options: of `LatentDiffusion.sample`: `steps`, `solver`.

    Returns:
        uint8 `(count, T, H, W, C)`.
    """
    made = []
    for first in range(0, count, AT_ONCE):
        some = min(AT_ONCE, count - first)

        def steer(k, behind, some=some):
            return np.ones(some, bool), functools.partial(model.velocity, behind=behind)

        made.append(painted(model, vae, some, steer, seed + first, **options))
    return np.concatenate(made)


class _DiffusionRecipe:
    """What the recipes of the zoo's unconditional models share."""

    seed = 12
    steps = {"fast": 600, "full": 12000}
    fresh = 16000  # more clips to draw for a full training
    config = DiffusionConfig()

    def build(self):
        """The model before training.

        Returns:
            `LatentDiffusion`.
        """
        return LatentDiffusion(self.config)

    def train(self, model, steps, checkpoint):
        """Measures the scale of the training clips' latents and trains on them.

        Args:
            model: `LatentDiffusion`.
            steps: training steps in all.
            checkpoint: path of the checkpoint file.

        Returns:
            The history of `training.fit`.
        """
        learned = self.lesson(self.fresh if steps > self.steps["fast"] else 0)
        model.scale.adapt(learned["z_mean"], learned["z_log_var"])
        options = {"seed": self.seed, "checkpoint": checkpoint, "log_steps": 100}
        return fit_diffusion(model, learned["z_mean"], steps, behind=learned.get("behind"), **options)

    def lesson(self, fresh=0):
        """What there is to learn from.

        Args:
            fresh: how many clips to draw besides those of the training set.

        Returns:
            dict of float32 arrays `(N, T, latent_dim)`: "z_mean", "z_log_var" and, where there are layers, "behind". Where there
            is no second thing, the ground alone is learned.
        """
        vae, parts = zoo.load(self.vae), []
        for clips in itertools.chain([load(*self.dataset)], drawn(FRESH[self.dataset[0]], fresh)):
            if self.config.layers > 1:
                parts.append(layered(vae, clips))
            else:
                parts.append(dict(zip(("z_mean", "z_log_var"), encode(vae, clips.frames))))
        return joined(parts)

    def sample(self, model, count, seed):
        """Clips of 16 frames, out of noise."""
        return [Clip(clip) for clip in sampled(model, zoo.load(self.vae), count, seed)]

    def examine(self, model):
        """How 500 clips are distributed, and how they move.

        Args:
            model: trained `LatentDiffusion`.

        Returns:
            dict of float: measures of `exam.examine`; "motion_floor", the motion distance of as many real clips.
        """
        report = exam.examine(sampled(model, zoo.load(self.vae), 500, seed=1), self.dataset[0])
        kept = ("content_distance", "motion_distance", "path_residual", "copies")
        found = {name: report.scores[name] for name in kept if name in report.scores}  # without things to follow, no path
        return found | {"motion_floor": report.real["motion_distance"]}


class DiffusionDigits(_DiffusionRecipe):
    """How the zoo's "diffusion-digits" is trained."""

    title = "Latent video diffusion: a digit that goes to a wall and back, out of noise"
    dataset = ("digits", "train")
    vae = "vae-digits-low-beta"


class DiffusionShapes(_DiffusionRecipe):
    """How the zoo's "diffusion-shapes" is trained."""

    title = "Latent video diffusion: shapes that move, fall and collide, out of noise"
    dataset = ("shapes", "train")
    vae = "vae-shapes"
    config = DiffusionConfig(layers=2, motion=1.0)


RECIPES = {"digits": DiffusionDigits, "shapes": DiffusionShapes}

# Networks that are compared: the shipped one, and what is changed of it.
ABLATION = {
    "as it ships": {},
    "the same, another seed": {"seed": 112},
    "quiet places": {"loudness": 0.02},
    "uniform noise levels": {"uniform_levels": 1.0},
    "chapter 05's encoder": {"vae": "vae-{}"},  # of the world
}


def ablate(world, path, steps=1000):
    """Networks that differ in one choice, trained equally long, all frames of a clip at one level: what do they make?

    Args:
        world: "digits" or "shapes".
        path: file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of each, a multiple of 100.

    Returns:
        list of dicts: "recipe", a name in `ABLATION`; and the exam of 500 clips, as the zoo's records have it.
    """

    def row(name):
        recipe = RECIPES[world]()
        change = {"seed": recipe.seed, "own_levels": 0.0, "vae": recipe.vae} | ABLATION[name]
        seed, recipe.vae = change.pop("seed"), change.pop("vae").format(world)
        learned = recipe.lesson()
        keras.utils.set_random_seed(seed)
        model = LatentDiffusion(dataclasses.replace(recipe.config, **change))
        model.scale.adapt(learned["z_mean"], learned["z_log_var"])
        options = {"rate": HASTY, "seed": seed, "log_steps": 100}
        fit_diffusion(model, learned["z_mean"], steps, behind=learned.get("behind"), **options)
        return recipe.examine(model)

    return zoo.rows_of(path, ABLATION, row)
