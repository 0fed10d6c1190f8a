"""Flow matching: noised samples, velocity targets, timesteps, the training step, ODE samplers and classifier-free guidance."""

import itertools
import keras
import numpy as np
from keras import ops
from .dit import build_transformer
from ..tokenizer import drop_attribute


def add_noise(clip, noise, t):
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


def signal_and_noise_rates(t):
    """Where a DDPM meets a mixture: noise level t, stretched until the squares of both rates add up to 1.

    Args:
        t: float array of noise levels in [0, 1].

    Returns:
        (signal_rates, noise_rates), float arrays of t's shape. `add_noise(clip, noise, t)`, divided by the length of (1 - t, t), is
        `signal_rates * clip + noise_rates * noise`.

    References:
        Ho, Jain and Abbeel, 2020, "Denoising diffusion probabilistic models".
    """
    length = np.sqrt((1 - t) ** 2 + t**2)
    return (1 - t) / length, t / length


def sample_timesteps(count, config, seed):
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
        t = sample_timesteps(ops.shape(clips)[0], self.model.config, self.seed_generator)
        return self.student([add_noise(clips, noise, t), t, *told], training=training), noise - clips

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Mean squared error of the velocity, and of its changes from frame to frame, weighted.

        With any weight the best sample_captions is the same: the average velocity.

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


def guided_velocity(model, words, guidance, behind=None):
    """The velocity towards what a caption says, and away from clips that it doesn't speak of.

    Args:
        model: trained `LatentDiffusion` with captions.
        words: int `(N, L)` of `tokenize`.
        guidance: float, 1 for the caption as the model has learned it, above 1 to exaggerate it; or a dict from an attribute of
            `text.ATTRIBUTES` to such a float: each is exaggerated on its own.
        behind: float `(N, T, latent_dim)`, standardised, the layer behind, where there are layers.

    Returns:
        Function from noisy latents `(N, T, latent_dim)` and levels t to the velocity.

    Raises:
        CourseError: an unknown attribute.

    References:
        Ho and Salimans, 2022, "Classifier-free diffusion guidance".
        Liu and others, 2022, "Compositional visual generation with composable diffusion models" (of attributes).
    """
    scales = guidance if isinstance(guidance, dict) else {"all": guidance}
    pulls = [(scale - 1, drop_attribute(words, name)) for name, scale in scales.items() if scale != 1]

    def velocity(noisy, t):
        asked = model.velocity(noisy, t, words, behind)
        return asked + sum(pull * (asked - model.velocity(noisy, t, fewer, behind)) for pull, fewer in pulls)

    return velocity
