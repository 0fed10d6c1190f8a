"""Recurrent models of latent trajectories: a deterministic GRU, and stochastic video generation with a learned prior (SVG-LP)."""

import dataclasses

import keras
import numpy as np
from keras import layers, ops

from ..errors import CourseError, check_whole
from ..layers import LatentNormalization
from .base import Config, ConfiguredModel
from .vae import reparameterise


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class LatentRNNConfig(Config):
    """Sizes of the recurrent models; the last three are the stochastic model's."""

    latent_dim: int = 32
    hidden_dim: int = 256  # units of the predictor's GRU
    input_noise_std: float = 0.2  # of noise on the context latents in training, against exposure bias
    z_dim: int = 4  # dimensions of the stochastic latent of a frame
    gaussian_hidden_dim: int = 128  # units of the prior's and of the posterior's GRU
    beta: float = 0.5  # weight of the KL term
    has_learned_prior: bool = True  # False: z is a standard normal variable until the frame is seen


def build_predictor(config, z_dim=0):
    """A GRU over a latent trajectory and two dense layers that predict the next latent at each time step.

    Args:
        config: `LatentRNNConfig`.
        z_dim: int, dimensions of the stochastic latent of each next frame; 0 for a deterministic predictor.

    Returns:
        `keras.Model` from [latents float `(B, T, latent_dim)`, z `(B, T, z_dim)` (only where z_dim > 0), state `(B, hidden_dim)`]
        to the predictions float32 `(B, T, latent_dim)`, causal in time, and the state after the last frame.
    """
    latents = keras.Input((None, config.latent_dim), name="latents")
    z = keras.Input((None, z_dim), name="z")
    state = keras.Input((config.hidden_dim,), name="state")
    x = layers.GaussianNoise(config.input_noise_std, seed=1)(latents)  # in training only
    x = layers.Concatenate()([x, z]) if z_dim else x
    gru = layers.GRU(config.hidden_dim, return_sequences=True, return_state=True)
    hidden, new_state = gru(x, initial_state=state)
    hidden = layers.Dense(config.hidden_dim, activation="relu")(hidden)
    prediction = layers.Dense(config.latent_dim, dtype="float32")(hidden)  # -> (B, T, latent_dim)
    inputs = [latents, z, state] if z_dim else [latents, state]
    return keras.Model(inputs, [prediction, new_state], name="predictor")


def build_gaussian_gru(config, name):
    """A GRU over a latent trajectory that outputs a Gaussian of the stochastic latent z at each time step.

    Args:
        config: `LatentRNNConfig`.
        name: str, "prior" or "posterior".

    Returns:
        `keras.Model` from [latents float `(B, T, latent_dim)`, state `(B, gaussian_hidden_dim)`] to z_mean and z_log_var, float32
        `(B, T, z_dim)` each, causal in time, and the state after the last frame.
    """
    latents = keras.Input((None, config.latent_dim), name="latents")
    state = keras.Input((config.gaussian_hidden_dim,), name="state")
    x = layers.GaussianNoise(config.input_noise_std, seed=2)(latents) if name == "prior" else latents
    gru = layers.GRU(config.gaussian_hidden_dim, return_sequences=True, return_state=True)
    hidden, new_state = gru(x, initial_state=state)
    names = "z_mean", "z_log_var"
    z_mean, z_log_var = (layers.Dense(config.z_dim, name=part, dtype="float32")(hidden) for part in names)
    return keras.Model([latents, state], [z_mean, z_log_var, new_state], name=name)


def build_prior(config):
    """The distribution of z before the frame is seen: learned, or the standard normal one, whatever the frames (SVG-FP).

    Args:
        config: `LatentRNNConfig`.

    Returns:
        `keras.Model` with the inputs and outputs of `build_gaussian_gru`; a fixed prior has no weights, and its means and log
        variances are 0.

    References:
        Denton and Fergus, 2018, "Stochastic video generation with a learned prior".
    """
    if config.has_learned_prior:
        return build_gaussian_gru(config, "prior")
    latents = keras.Input((None, config.latent_dim), name="latents")
    state = keras.Input((config.gaussian_hidden_dim,), name="state")
    zeros = ops.zeros_like(ops.repeat(latents[..., :1], config.z_dim, axis=-1))
    return keras.Model([latents, state], [zeros, zeros, state], name="prior")


def from_zero_state(network, *inputs, training=False):
    """Runs a recurrent network from the zero initial state.

    Args:
        network: model of `build_predictor` or `build_gaussian_gru`.
        *inputs: float `(B, T, ...)`, all its inputs but the state.
        training: bool, whether input noise is added.

    Returns:
        list of its outputs; the last one is the state after the last frame.
    """
    units = network.input_shape[-1][-1]
    return network([*inputs, ops.zeros((ops.shape(inputs[0])[0], units))], training=training)


def latent_error(target, prediction):
    """Squared error of each predicted latent, summed over its dimensions.

    Args:
        target: float `(B, T, latent_dim)`, normalised.
        prediction: float of the same shape.

    Returns:
        float `(B, T)`.
    """
    return ops.sum(ops.square(target - prediction), axis=-1)


def kl_divergence(q_mean, q_log_var, p_mean, p_log_var):
    """Kullback-Leibler divergence of Gaussians q from Gaussians p, for each dimension.

    Args:
        q_mean, q_log_var: float, mean and logarithm of the variance of q.
        p_mean, p_log_var: float of the same shape, those of p.

    Returns:
        float of the same shape, at least 0, in nats.
    """
    ratio = ops.exp(q_log_var - p_log_var)
    return 0.5 * (ratio + ops.square(q_mean - p_mean) * ops.exp(-p_log_var) - 1 - q_log_var + p_log_var)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class LatentGRU(ConfiguredModel):
    """A deterministic recurrent predictor in latent space: the conditional mean of the next latent.

    Args:
        config: `LatentRNNConfig`.

    Call arguments:
        latents: float `(B, T, latent_dim)`, latent trajectories of whole clips.
        training: bool, whether noise is added to the context latents.

    Output shape:
        `(B, T-1, latent_dim)`, float32: normalised latents of frames 1 to T-1, each predicted from the true ones before it
        (teacher forcing).

    References:
        Cho et al., 2014, "Learning phrase representations using RNN encoder-decoder for statistical machine translation".
    """

    def __init__(self, config):
        super().__init__(name="latent_gru")
        self.config, self.normalization = config, LatentNormalization(config.latent_dim, dtype="float32")
        self.predictor = build_predictor(config)
        self.normalization.build((None, None, config.latent_dim))
        self.build((None, None, config.latent_dim))

    def call(self, latents, training=False):
        """Predictions of the next latents, with teacher forcing."""
        return from_zero_state(self.predictor, self.normalization(latents)[:, :-1], training=training)[0]

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        """Squared error of the next latent, summed over its dimensions, mean over clips and frames.

        Args:
            x: float `(B, T, latent_dim)`, latent trajectories.
            y: unused: a trajectory is its own target.
            y_pred: float `(B, T-1, latent_dim)`, what `call` returned for them.
            sample_weight: unused.
            training: unused.

        Returns:
            float scalar.
        """
        return ops.mean(latent_error(self.normalization(x)[:, 1:], y_pred))

    def rollout(self, latents, num_frames):
        """Predicts the latents that follow a context, free-running: each prediction is the next input.

        Args:
            latents: float `(B, T, latent_dim)`, of the context frames.
            num_frames: int, how many to predict.

        Returns:
            float32 array `(B, num_frames, latent_dim)`.

        Raises:
            CourseError: see `check_context`.
        """
        check_context(latents, num_frames, self.config)
        prediction, state = from_zero_state(self.predictor, self.normalization(latents))
        predictions = [prediction[:, -1:]]  # of the frame that follows the context
        while len(predictions) < num_frames:
            prediction, state = self.predictor([predictions[-1], state])
            predictions.append(prediction)
        return ops.convert_to_numpy(self.normalization.denormalize(ops.concatenate(predictions, axis=1)))


@keras.saving.register_keras_serializable(package="vidgen_tf")
class LatentSVG(ConfiguredModel):
    """Stochastic video generation in latent space, with a learned prior (SVG-LP) or a fixed one (SVG-FP).

    A predictor is conditioned on a stochastic latent z of each next frame. In training z is a sample of the posterior network,
    which reads that frame too; a prior network, which reads the frames before it only, is trained to match the posterior by a KL
    term and replaces it at generation.

    Args:
        config: `LatentRNNConfig`.
        seed: int, of the samples of z in training.

    Call arguments:
        latents: float `(B, T, latent_dim)`, latent trajectories of whole clips.
        training: bool; True samples z from the posterior and adds noise to the context latents, False takes the prior's mean.

    Output shape:
        `(B, T-1, latent_dim)`, float32: normalised latents of frames 1 to T-1, each predicted from the true ones before it
        (teacher forcing). The KL term is in `losses`.

    References:
        Denton and Fergus, 2018, "Stochastic video generation with a learned prior".
    """

    def __init__(self, config, seed=0):
        super().__init__(name="latent_svg")
        self.config, self.seed = config, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.normalization = LatentNormalization(config.latent_dim, dtype="float32")
        self.predictor = build_predictor(config, config.z_dim)
        self.prior = build_prior(config)
        self.posterior = build_gaussian_gru(config, "posterior")
        self.trackers = [keras.metrics.Mean(name=name) for name in ("prediction_loss", "kl_loss")]
        self.normalization.build((None, None, config.latent_dim))
        self.build((None, None, config.latent_dim))

    def prior_and_posterior(self, latents, training=False):
        """The Gaussians of z of the prior and of the posterior, for frames 1 to T-1.

        Args:
            latents: float `(B, T, latent_dim)`, latent trajectories of whole clips.
            training: bool, whether noise is added to the prior's input.

        Returns:
            (z_mean, z_log_var) of the prior, given the frames before, and (z_mean, z_log_var) of the posterior, given the frame
            itself too; float32 `(B, T-1, z_dim)` each.
        """
        normalized = self.normalization(latents)
        *prior, _ = from_zero_state(self.prior, normalized[:, :-1], training=training)
        *posterior, _ = from_zero_state(self.posterior, normalized, training=training)
        return prior, [part[:, 1:] for part in posterior]

    def call(self, latents, training=False):
        """Predictions of the next latents, with teacher forcing."""
        prior, posterior = self.prior_and_posterior(latents, training)
        self.add_loss(ops.mean(ops.sum(kl_divergence(*posterior, *prior), axis=-1)))
        z = reparameterise(*posterior, self.seed_generator) if training else prior[0]
        return from_zero_state(self.predictor, self.normalization(latents)[:, :-1], z, training=training)[0]

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        """The negative evidence lower bound, with the KL term weighted by beta.

        Args:
            x, y, y_pred, sample_weight, training: as for `LatentGRU.compute_loss`.

        Returns:
            float scalar: squared error summed over latent dimensions plus beta times the KL divergence of the posterior from the
            prior, summed over the dimensions of z; mean over clips and frames.
        """
        error, kl = ops.mean(latent_error(self.normalization(x)[:, 1:], y_pred)), sum(self.losses)
        for tracker, value in zip(self.trackers, (error, kl), strict=True):
            tracker.update_state(value)
        return error + self.config.beta * kl

    def rollout(self, latents, num_frames, seed=0):
        """Samples the latents that follow a context, free-running, with z from the prior.

        Args:
            latents: float `(B, T, latent_dim)`, of the context frames, at least two.
            num_frames: int, how many to sample.
            seed: non-negative int.

        Returns:
            float32 array `(B, num_frames, latent_dim)`.

        Raises:
            CourseError: see `check_context`.
        """
        check_context(latents, num_frames, self.config, shortest=2)
        x, samples, noise = self.normalization(latents), [], keras.random.SeedGenerator(seed)
        z, _, _ = from_zero_state(self.posterior, x)  # the context frames are known
        _, state = from_zero_state(self.predictor, x[:, :-1], z[:, 1:])
        z_mean, z_log_var, prior_state = from_zero_state(self.prior, x)
        for _ in range(num_frames):
            z = reparameterise(z_mean[:, -1:], z_log_var[:, -1:], noise)
            x, state = self.predictor([x[:, -1:], z, state])
            z_mean, z_log_var, prior_state = self.prior([x, prior_state])
            samples.append(x)
        return ops.convert_to_numpy(self.normalization.denormalize(ops.concatenate(samples, axis=1)))


def check_context(latents, num_frames, config, shortest=1):
    """Refuses a context that a rollout can't start from.

    Args:
        latents: float `(B, T, latent_dim)`, of the context frames.
        num_frames: int, how many frames are to follow.
        config: `LatentRNNConfig`.
        shortest: int, fewest context frames.

    Raises:
        CourseError: no frames to predict, too few context frames, or latents of another shape.
    """
    check_whole(1, num_frames=num_frames)
    if len(latents.shape) != 3 or latents.shape[1] < shortest or latents.shape[2] != config.latent_dim:
        raise CourseError(
            f"A rollout needs latents (clips, frames, {config.latent_dim}) of at least {shortest} context frames, got "
            f"{tuple(latents.shape)}: encode clips with a VAE of {config.latent_dim} latent dimensions first."
        )


def sample_futures(model, latents, num_frames, num_samples, seed=0):
    """Several samples of the future of each context.

    Args:
        model: trained `LatentSVG`.
        latents: float array `(N, T, latent_dim)`, of the context frames.
        num_frames: int, frames of each sample.
        num_samples: int, samples per context.
        seed: non-negative int.

    Returns:
        float32 array `(N, num_samples, num_frames, latent_dim)`.
    """
    samples = model.rollout(np.repeat(latents, num_samples, axis=0), num_frames, seed)
    return samples.reshape(len(latents), num_samples, *samples.shape[1:])


def prior_variance(model, latents):
    """The prior's variance of z relative to the posterior's: how uncertain a frame is before it is seen.

    The scale of z is arbitrary, as the predictor can undo any scaling, so a ratio of variances is measured: 1 where the prior
    is as certain of z as the posterior, which has read the frame.

    Args:
        model: trained `LatentSVG`.
        latents: float `(N, T, latent_dim)`, latent trajectories of whole clips.

    Returns:
        float32 array `(N, T-1)`, for frames 1 to T-1, mean over the dimensions of z.
    """
    (_, prior_log_var), (_, posterior_log_var) = model.prior_and_posterior(latents)
    return ops.convert_to_numpy(ops.mean(ops.exp(prior_log_var - posterior_log_var), axis=-1))
