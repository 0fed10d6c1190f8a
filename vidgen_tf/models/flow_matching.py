"""Flow matching: noised samples, velocity targets, timesteps, the training step, ODE samplers and classifier-free guidance."""

import itertools
from numbers import Real

import keras
import numpy as np
from keras import ops

from ..errors import CourseError
from ..layers import update_ema
from ..tokenizer import drop_attribute
from .base import ConfiguredModel

# Scales that make sense: 0 is the unconditional model, 1 the conditional one, and well below 20 the velocity that guidance
# extrapolates carries samples out of the data's distribution, into saturated latents that decode to nothing.
MAX_GUIDANCE_SCALE = 20.0


def add_noise(clip, noise, t):
    """Noised sample x_t on the straight probability path from data to noise: `(1 - t) * clip + t * noise`.

    Args:
        clip: float `(..., D)`, the data.
        noise: float of the same shape, standard normal.
        t: float `(...)`, or broadcastable to it: timesteps, the noise levels, in [0, 1].

    Returns:
        float of the clip's shape: the clip where t = 0, the noise where t = 1.

    References:
        Liu, Gong and Liu, 2023, "Flow straight and fast: learning to generate and transfer data with rectified flow".
    """
    t = t[..., None]
    return (1 - t) * clip + t * noise


def velocity_to_noise(velocity, noisy, t):
    """The noise of a noised sample, from its velocity `noise - clip`: another prediction target.

    Args:
        velocity: float `(..., D)`.
        noisy: float of the same shape, the noised sample x_t.
        t: float `(...)`, or broadcastable to it: timesteps in [0, 1].

    Returns:
        float of the same shape.
    """
    return noisy + (1 - t[..., None]) * velocity


def velocity_to_clip(velocity, noisy, t):
    """The clip of a noised sample, from its velocity `noise - clip`: another prediction target.

    Args:
        velocity, noisy, t: as for `velocity_to_noise`.

    Returns:
        float of the same shape.
    """
    return noisy - t[..., None] * velocity


def noise_to_velocity(noise, noisy, t):
    """The velocity of a noised sample, from its noise, which is the prediction target of a DDPM.

    Args:
        noise: float `(..., D)`.
        noisy: float of the same shape, the noised sample x_t.
        t: float `(...)`, or broadcastable to it: timesteps in [0, 1), as at 1 the noised sample holds no data.

    Returns:
        float of the same shape.
    """
    return (noise - noisy) / (1 - t[..., None])


def signal_and_noise_rates(t):
    """The rates of the variance-preserving diffusion (DDPM) with the signal-to-noise ratio of timestep t.

    Args:
        t: float array of timesteps in [0, 1].

    Returns:
        (signal_rates, noise_rates), float arrays of t's shape whose squares add up to 1: `add_noise(clip, noise, t)`, divided by
        the length of (1 - t, t), is `signal_rates * clip + noise_rates * noise`.

    References:
        Ho, Jain and Abbeel, 2020, "Denoising diffusion probabilistic models".
    """
    length = np.sqrt((1 - t) ** 2 + t**2)
    return (1 - t) / length, t / length


def shift_timesteps(t, shift):
    """Timesteps nearer to 1, so that training and sampling spend more of their steps where noise is loud.

    The more numbers tell the same thing, the more noise it takes to hide it: clips of many tokens need a larger shift.

    Args:
        t: float array or tensor in [0, 1].
        shift: float, at least 1; 1 leaves the timesteps as they are.

    Returns:
        float of t's shape, in [0, 1].

    References:
        Esser and others, 2024, "Scaling rectified flow transformers for high-resolution image synthesis".
    """
    return shift * t / (1 + (shift - 1) * t)


def inference_timesteps(num_inference_steps, shift=1.0):
    """The timesteps that a sampler stops at, from noise to data.

    Args:
        num_inference_steps: int, steps of the solver.
        shift: float, see `shift_timesteps`; 1 for equal steps.

    Returns:
        float32 array `(num_inference_steps + 1, 1, 1)` that falls from 1 to 0.
    """
    return np.float32(shift_timesteps(np.linspace(1, 0, num_inference_steps + 1), shift))[:, None, None]


def sample_timesteps(count, config, seed):
    """Timesteps for training: logit-normal or uniform, one per clip or, with a probability, one per frame.

    Args:
        count: int, how many clips.
        config: `DiffusionConfig`.
        seed: `keras.random.SeedGenerator`; an int would draw the same numbers at each call.

    Returns:
        float `(count, T)` in [0, 1]; `(count, 1)` where `per_frame_timestep_prob` is 0.

    References:
        Esser and others, 2024, "Scaling rectified flow transformers for high-resolution image synthesis" (logit-normal).
        Chen and others, 2024, "Diffusion Forcing: Next-token prediction meets full-sequence diffusion" (per frame).
    """

    def draw(*shape):
        logit_normal = ops.sigmoid(keras.random.normal(shape, seed=seed))
        is_uniform = keras.random.uniform((count, 1), seed=seed) < config.uniform_timestep_prob
        t = ops.where(is_uniform, keras.random.uniform(shape, seed=seed), logit_normal)
        return shift_timesteps(t, config.timestep_shift)

    shared = draw(count, 1)
    if not config.per_frame_timestep_prob:
        return shared
    is_per_frame = keras.random.uniform((count, 1), seed=seed) < config.per_frame_timestep_prob
    return ops.where(is_per_frame, draw(count, config.num_frames), shared)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class FlowMatching(ConfiguredModel):
    """Trains a latent diffusion model by conditional flow matching, and averages its weights (EMA).

    Args:
        model: `LatentDiffusion`. Its network becomes the exponential moving average (EMA) of the trained weights.
        ema_decay: float in [0, 1), the share of the average that a step keeps, once the average has warmed up.
        seed: non-negative int, of the noise and the timesteps. `evaluate` draws the same ones at each call, so that its losses,
            and those of `fit` on validation data, can be compared.

    Call arguments:
        batch: float `(B, T, latent_dim)`, latents of clips; or a dict of these as "latents" and the model's conditioning:
            "tokens", int `(B, L)`, and "background", float `(B, T, latent_dim)`, none of them normalised.
        training: whether captions undergo dropout.

    Output shape:
        A tuple of the predicted velocity and its target `noise - latents`, each `(B, T, latent_dim)`, at random timesteps.

    References:
        Lipman and others, 2023, "Flow matching for generative modeling".
        Karras and others, 2024, "Analyzing and improving the training dynamics of diffusion models" (EMA).
    """

    def __init__(self, model, ema_decay=0.999, seed=0):
        super().__init__(name="flow_matching", autocast=False)
        self.model, self.ema_decay, self.seed = model, ema_decay, seed
        self.seed_generator, self.eval_seed_generator = (keras.random.SeedGenerator(seed) for _ in range(2))
        self.network = model.build_network()
        model.network.set_weights(self.network.get_weights())
        model.trainable = False  # the average has no gradient
        latents, conditioning = model.input_shapes["noisy"], model.conditioning_shapes
        self.build({"latents": latents} | conditioning if conditioning else latents)

    @property
    def ema_network(self):
        """The network with the averaged weights, that of the model."""
        return self.model.network

    def call(self, batch, training=False):
        """Velocities at random timesteps, predicted and true."""
        batch = dict(batch) if isinstance(batch, dict) else {"latents": batch}
        normalize = self.model.normalization
        latents = normalize(batch.pop("latents"))
        if "background" in batch:
            batch["background"] = normalize(batch["background"])
        seed = self.seed_generator if training else self.eval_seed_generator
        noise = keras.random.normal(ops.shape(latents), seed=seed)
        t = sample_timesteps(ops.shape(latents)[0], self.model.config, seed)
        inputs = {"noisy": add_noise(latents, noise, t), "timesteps": t} | batch
        return self.network(inputs, training=training), noise - latents

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Mean squared error of the velocity, plus the weighted frame-difference loss.

        The latter is the error of the changes from frame to frame. The minimum does not depend on the weight: it is the marginal
        velocity.

        Args:
            x: the batch.
            y: unused: the target is drawn with the noise.
            y_pred: tuple of predicted and true velocity, what `call` returned for x.
            sample_weight: unused.
            training: unused.

        Returns:
            scalar.

        References:
            Tevet and others, 2023, "Human motion diffusion model" (there: velocity loss, of the motion's velocity).
        """
        error = y_pred[0] - y_pred[1]
        difference = error[:, 1:] - error[:, :-1]  # (B, T, D) -> (B, T - 1, D)
        weight = self.model.config.frame_difference_weight
        return ops.mean(ops.square(error)) + weight * ops.mean(ops.square(difference))

    def train_step(self, data):
        """An optimizer step on the network, then a step of the exponential moving average.

        Args:
            data: a batch.

        Returns:
            dict of the metrics.
        """
        logs = super().train_step(data)
        step = ops.cast(self.optimizer.iterations, "float32")
        decay = ops.minimum(self.ema_decay, (1 + step) / (10 + step))  # warm-up: it forgets the first weights
        update_ema(self.ema_network, self.network, decay)
        return logs

    def evaluate(self, *arguments, **options):
        """The loss on other data, with the same noise and timesteps at each call.

        Args:
            *arguments: of `keras.Model.evaluate`.
            **options: of `keras.Model.evaluate`.

        Returns:
            float or dict, as of `keras.Model.evaluate`.
        """
        self.eval_seed_generator.state.assign([self.seed, 0])
        return super().evaluate(*arguments, **options)


def euler(velocity_fn, z, timesteps):
    """Euler's method for the ODE of the flow: integrates the velocity from noise to data.

    Args:
        velocity_fn: function from z and timesteps `(N or 1, T or 1)` to the velocity, an array like z.
        z: float array `(N, T, D)`, noise.
        timesteps: float array `(num_inference_steps + 1, N or 1, T or 1)` from 1 to 0; a frame whose timestep stays the same is
            left as it is.

    Returns:
        float array like z.
    """
    for t, t_next in itertools.pairwise(timesteps):
        z = z + (t_next - t)[..., None] * velocity_fn(z, t)
    return z


def heun(velocity_fn, z, timesteps):
    """Heun's method for the ODE of the flow: second order, two evaluations of the velocity a step.

    Args:
        velocity_fn, z, timesteps: as for `euler`.

    Returns:
        float array like z.

    References:
        Karras and others, 2022, "Elucidating the design space of diffusion-based generative models".
    """
    for t, t_next in itertools.pairwise(timesteps):
        step = (t_next - t)[..., None]
        velocity = velocity_fn(z, t)
        z = z + step * (velocity + velocity_fn(z + step * velocity, t_next)) / 2
    return z


def check_guidance_scale(guidance_scale):
    """Refuses guidance scales that are no numbers, or beyond the range in which guidance makes sense.

    Args:
        guidance_scale: float, or dict from attributes to floats, see `guided_velocity`.

    Raises:
        CourseError: a scale that is not a number from 0 to `MAX_GUIDANCE_SCALE`.
    """
    scales = guidance_scale.values() if isinstance(guidance_scale, dict) else [guidance_scale]
    for scale in scales:
        if not (isinstance(scale, Real) and 0 <= scale <= MAX_GUIDANCE_SCALE):  # NaN is in no range
            raise CourseError(
                f"guidance_scale must be a number from 0, which ignores the prompt, to {MAX_GUIDANCE_SCALE:g}, got {scale!r}: "
                "1 samples the prompt as it was learned, and from about 8 on clips leave the training distribution."
            )


def guided_velocity(model, guidance_scale, *, conditioning):
    """Classifier-free guidance: extrapolates from a velocity without the caption to that with it.

    With scale w it is `v + (w - 1) * (v - v_without)`. Where each attribute has a scale of its own, `v_without` is the velocity
    without that attribute, and the differences are added up.

    Args:
        model: trained `LatentDiffusion` with captions.
        guidance_scale: float from 0 to 20: 0 for the unconditional model, 1 for the conditional one, above 1 to amplify the
            caption; or a dict from an attribute of `tokenizer.ATTRIBUTES` to such a float: each attribute is guided on its own.
        conditioning: dict of "tokens", int `(N, L)` of `tokenize`, and for a model of scene layers "background", float
            `(N, T, latent_dim)`, normalised.

    Returns:
        Function from noisy latents `(N, T, latent_dim)` and t to the guided velocity.

    Raises:
        CourseError: an unknown attribute, or a scale that is not a number from 0 to 20.

    References:
        Ho and Salimans, 2022, "Classifier-free diffusion guidance".
        Liu and others, 2022, "Compositional visual generation with composable diffusion models" (of attributes).
    """
    check_guidance_scale(guidance_scale)
    scales = guidance_scale if isinstance(guidance_scale, dict) else {"all": guidance_scale}
    scales = {name: scale for name, scale in scales.items() if scale != 1}
    dropped = [(scale - 1, drop_attribute(conditioning["tokens"], name)) for name, scale in scales.items()]

    def velocity_fn(noisy, t):
        conditional = model.velocity(noisy, t, conditioning=conditioning)
        directions = (
            weight * (conditional - model.velocity(noisy, t, conditioning=conditioning | {"tokens": tokens}))
            for weight, tokens in dropped
        )
        return conditional + sum(directions)

    return velocity_fn


def guided_within(guided_fn, conditional_fn, interval):
    """Guidance in an interval of noise levels alone; elsewhere the caption as it was learned.

    What is decided while noise is loud, such as colours, then isn't exaggerated; and most steps need no second velocity.

    Args:
        guided_fn: function of `guided_velocity`.
        conditional_fn: the same with scale 1.
        interval: (float, float), the lowest and the highest timestep in [0, 1] at which there is guidance.

    Returns:
        Function from noisy latents `(N, T, latent_dim)` and t, one for all clips, to the velocity.

    Raises:
        CourseError: no interval within [0, 1].

    References:
        Kynkäänniemi and others, 2024, "Applying guidance in a limited interval improves sample and distribution quality in
        diffusion models".
    """
    if len(interval) != 2 or not 0 <= interval[0] <= interval[1] <= 1:
        raise CourseError(f"guidance_interval must be two timesteps from 0 to 1, the lower one first, got {interval!r}.")
    low, high = interval

    def velocity_fn(noisy, t):
        return (guided_fn if low <= float(np.max(t)) <= high else conditional_fn)(noisy, t)

    return velocity_fn
