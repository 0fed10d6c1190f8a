"""Recurrent models of latent trajectories: a deterministic GRU, and stochastic video generation with a learned prior (SVG-LP)."""

import dataclasses
import keras
import numpy as np
from keras import layers, ops
from ..errors import CourseError, check_whole
from ..layers import LatentNormalization
from .vae import reparameterise


@dataclasses.dataclass(is_static=True)
class LatentRNNConfig:
    """Sizes of this chapter's recurrent models. The last three are the stochastic model's."""

    latent_dim: int = 32  # numbers that stand for one frame
    units: int = 256  # numbers that the predictor remembers
    noise: float = 0.2  # deviation of the noise on the past in training: practice in mending one's own errors
    z_dim: int = 4  # random numbers for each frame
    belief_units: int = 128  # numbers that the prior and the posterior remember, each
    beta: float = 0.5  # weight of the KL divergence


def build_predictor(config, z_dim=0):
    """A GRU that reads a path frame by frame, and two dense layers that say each time where it goes next.

    Args:
        config: `LatentRNNConfig`.
        z_dim: random numbers that it is given for each next frame, 0 for a deterministic predictor.

    Returns:
        `keras.Model` from [path float `(B, T, latent_dim)`, z `(B, T, z_dim)` (only where z_dim > 0), state `(B, units)`] to the
        predicted frames `(B, T, latent_dim)`, each from those up to its own place, and the state after the last one.
    """
    path = keras.Input((None, config.latent_dim), name="path")
    z = keras.Input((None, z_dim), name="z")
    state = keras.Input((config.units,), name="state")
    x = layers.GaussianNoise(config.noise, seed=1)(path)  # in training only
    seen = layers.Concatenate()([x, z]) if z_dim else x
    memory = layers.GRU(config.units, return_sequences=True, return_state=True)
    hidden, after = memory(seen, initial_state=state)
    hidden = layers.Dense(config.units, activation="relu")(hidden)
    following = layers.Dense(config.latent_dim)(hidden)  # (B, T, units) -> (B, T, latent_dim)
    return keras.Model([path, z, state] if z_dim else [path, state], [following, after], name="predictor")


def build_gaussian_gru(config, name):
    """A GRU that reads a path frame by frame and answers each time with a Gaussian of z.

    Args:
        config: `LatentRNNConfig`.
        name: "prior" or "posterior".

    Returns:
        `keras.Model` from [path float `(B, T, latent_dim)`, state `(B, belief_units)`] to z_mean and z_log_var `(B, T, z_dim)`,
        each from the frames up to its own place, and the state after the last one.
    """
    path = keras.Input((None, config.latent_dim), name="path")
    state = keras.Input((config.belief_units,), name="state")
    x = layers.GaussianNoise(config.noise, seed=2)(path) if name == "prior" else path
    memory = layers.GRU(config.belief_units, return_sequences=True, return_state=True)
    hidden, after = memory(x, initial_state=state)
    z_mean, z_log_var = (layers.Dense(config.z_dim, name=part)(hidden) for part in ("z_mean", "z_log_var"))
    return keras.Model([path, state], [z_mean, z_log_var, after], name=name)


def from_zero_state(network, *inputs, training=False):
    """Runs a recurrent network from a state of zeros: it has read nothing yet.

    Args:
        network: model of `build_predictor` or `build_gaussian_gru`.
        *inputs: float `(B, T, ...)`, all that it takes but the state.
        training: whether noise is added to what it reads.

    Returns:
        list of its outputs; the last one is its state after the last frame.
    """
    units = network.input_shape[-1][-1]
    return network([*inputs, ops.zeros((ops.shape(inputs[0])[0], units))], training=training)


def latent_error(following, predicted):
    """Squared error of each predicted latent, summed over its dimensions.

    Args:
        following: float `(B, T, latent_dim)`, standardised, what came next.
        predicted: float of the same shape.

    Returns:
        float `(B, T)`.
    """
    return ops.sum(ops.square(following - predicted), axis=-1)


def kl_divergence(q_mean, q_log_var, p_mean, p_log_var):
    """Kullback-Leibler divergence of Gaussians q from Gaussians p, for each dimension on its own.

    Args:
        q_mean, q_log_var: float, mean and logarithm of the variance of q.
        p_mean, p_log_var: float of the same shape, those of p.

    Returns:
        float of that shape, at least 0, in nats.
    """
    ratio = ops.exp(q_log_var - p_log_var)
    return 0.5 * (ratio + ops.square(q_mean - p_mean) * ops.exp(-p_log_var) - 1 - q_log_var + p_log_var)


class LatentGRU(keras.Model):
    """A deterministic predictor: one next frame for one past.

    Args:
        config: `LatentRNNConfig`.

    Call arguments:
        latents: float `(B, T, latent_dim)`, of whole clips.
        training: whether noise is added to what it reads.

    Output shape:
        `(B, T-1, latent_dim)`: standardised frames 1 to T-1, each predicted from the true frames before it.

    References:
        Cho and others, 2014, "Learning phrase representations using RNN encoder-decoder for statistical machine translation".
    """

    def __init__(self, config):
        super().__init__(name="latent_gru")
        self.config, self.scale = config, LatentNormalization(config.latent_dim)
        self.predictor = build_predictor(config)
        self.built = True

    def call(self, latents, training=False):
        """Next frames, from true pasts."""
        return from_zero_state(self.predictor, self.scale(latents)[:, :-1], training=training)[0]

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        """Squared error of the next frame, summed over latent dimensions, mean over clips and frames.

        Args:
            x: float `(B, T, latent_dim)`, clips.
            y: unused: a clip is its own target.
            y_pred: float `(B, T-1, latent_dim)`, what `call` returned for them.
            sample_weight: unused.
            training: unused.

        Returns:
            scalar.
        """
        return ops.mean(latent_error(self.scale(x)[:, 1:], y_pred))

    def rollout(self, latents, frames):
        """Goes on from the past, each prediction being part of the past of the next one.

        Args:
            latents: float `(B, T, latent_dim)`, the past.
            frames: how many to add.

        Returns:
            float array `(B, frames, latent_dim)`.

        Raises:
            CourseError: see `check_context`.
        """
        check_context(latents, frames, self.config)
        following, state = from_zero_state(self.predictor, self.scale(latents))
        made = [following[:, -1:]]  # what comes after the past
        while len(made) < frames:
            following, state = self.predictor([made[-1], state])  # it now reads its own frames, one by one
            made.append(following)
        return ops.convert_to_numpy(self.scale.undo(ops.concatenate(made, axis=1)))


class LatentSVG(keras.Model):
    """Stochastic video generation with a learned prior: a predictor that is told the news in some z.

    In training z comes from a posterior that has seen the very frame to be predicted; a prior that has not learns to foretell
    what the posterior will say, and stands in for it where there is no such frame yet.

    Args:
        config: `LatentRNNConfig`.
        seed: of the draws in training.

    Call arguments:
        latents: float `(B, T, latent_dim)`, of whole clips.
        training: whether z is drawn from the posterior and noise added to the past; else z is the prior's mean, which knows no
            more than the past.

    Output shape:
        `(B, T-1, latent_dim)`: standardised frames 1 to T-1, each predicted from the true frames before it.

    References:
        Denton and Fergus, 2018, "Stochastic video generation with a learned prior".
    """

    def __init__(self, config, seed=0):
        super().__init__(name="latent_svg")
        self.config, self.seed_generator = config, keras.random.SeedGenerator(seed)
        self.scale, self.predictor = LatentNormalization(config.latent_dim), build_predictor(config, config.z_dim)
        self.prior, self.posterior = build_gaussian_gru(config, "prior"), build_gaussian_gru(config, "posterior")
        self.trackers = [keras.metrics.Mean(name=name) for name in ("prediction_loss", "kl_loss")]
        self.built = True

    @property
    def metrics(self):
        """The running means of both terms of the loss; Keras resets them at each entry of the history."""
        return self.trackers

    def beliefs(self, latents, training=False):
        """What the prior and the posterior say of z, for frames 1 to T-1.

        Args:
            latents: float `(B, T, latent_dim)`, of whole clips.
            training: whether noise is added to what the prior reads.

        Returns:
            (z_mean, z_log_var) of the prior, which has read the frames before, and (z_mean, z_log_var) of the posterior, which
            has read the frame itself too; each `(B, T-1, z_dim)`.
        """
        path = self.scale(latents)
        *prior, _ = from_zero_state(self.prior, path[:, :-1], training=training)
        *posterior, _ = from_zero_state(self.posterior, path, training=training)
        return prior, [part[:, 1:] for part in posterior]

    def call(self, latents, training=False):
        """Next frames, from true pasts."""
        prior, posterior = self.beliefs(latents, training)
        self.kl = ops.mean(ops.sum(kl_divergence(*posterior, *prior), axis=-1))
        z = reparameterise(*posterior, self.seed_generator) if training else prior[0]
        return from_zero_state(self.predictor, self.scale(latents)[:, :-1], z, training=training)[0]

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        """Squared error summed over latent dimensions, plus beta times the divergence, summed likewise.

        Args:
            x: float `(B, T, latent_dim)`, clips.
            y: unused: a clip is its own target.
            y_pred: float `(B, T-1, latent_dim)`, what `call` returned for them.
            sample_weight: unused.
            training: unused.

        Returns:
            scalar.
        """
        error = ops.mean(latent_error(self.scale(x)[:, 1:], y_pred))
        for tracker, value in zip(self.trackers, (error, self.kl)):
            tracker.update_state(value)
        return error + self.config.beta * self.kl

    def rollout(self, latents, frames, seed=0):
        """Goes on from the past, with draws from the prior.

        Args:
            latents: float `(B, T, latent_dim)`, the past, at least two frames.
            frames: how many to add.
            seed: non-negative int, of the draws.

        Returns:
            float array `(B, frames, latent_dim)`.

        Raises:
            CourseError: see `check_context`.
        """
        check_context(latents, frames, self.config, shortest=2)
        path, draws, made = self.scale(latents), keras.random.SeedGenerator(seed), []
        z, _, _ = from_zero_state(self.posterior, path)  # of the past it knows all
        _, state = from_zero_state(self.predictor, path[:, :-1], z[:, 1:])
        z_mean, z_log_var, belief = from_zero_state(self.prior, path)
        for _ in range(frames):
            z = reparameterise(z_mean[:, -1:], z_log_var[:, -1:], draws)
            path, state = self.predictor([path[:, -1:], z, state])
            z_mean, z_log_var, belief = self.prior([path, belief])
            made.append(path)
        return ops.convert_to_numpy(self.scale.undo(ops.concatenate(made, axis=1)))


def check_context(latents, frames, config, shortest=1):
    """Refuses what a rollout can't go on from.

    Args:
        latents: float `(B, T, latent_dim)`, the past.
        frames: how many are to be added.
        config: `LatentRNNConfig`.
        shortest: fewest frames of a past.

    Raises:
        CourseError: no frames to add, or no such past.
    """
    check_whole(1, frames=frames)
    if len(latents.shape) != 3 or latents.shape[1] < shortest or latents.shape[2] != config.latent_dim:
        raise CourseError(
            f"A rollout goes on from latents (clips, frames, {config.latent_dim}) with at least {shortest} of their frames, "
            f"got {tuple(latents.shape)}: encode clips with a VAE of {config.latent_dim} latent dimensions first."
        )


def sample_futures(model, latents, frames, count, seed=0):
    """Several sample_futures of each past.

    Args:
        model: trained `LatentSVG`.
        latents: float `(N, T, latent_dim)`, the pasts.
        frames: frames of each future.
        count: sample_futures of each past.
        seed: non-negative int.

    Returns:
        float array `(N, count, frames, latent_dim)`.
    """
    made = model.rollout(np.repeat(latents, count, axis=0), frames, seed)
    return made.reshape(len(latents), count, *made.shape[1:])


def prior_variance(model, latents):
    """How unsure the prior is of each frame before it comes: its variance in units of the posterior's.

    A dimension of z has no unit, because what comes after it may stretch or shrink it at will, at every frame anew. What the
    posterior leaves open is the natural unit: 1 where the prior is as sure of z as the posterior, which has seen the frame.

    Args:
        model: trained `LatentSVG`.
        latents: float `(N, T, latent_dim)`, of whole clips.

    Returns:
        float array `(N, T-1)`, for frames 1 to T-1, the mean over dimensions of z.
    """
    (_, prior_log_var), (_, posterior_log_var) = model.beliefs(latents)
    return ops.convert_to_numpy(ops.mean(ops.exp(prior_log_var - posterior_log_var), axis=-1))
