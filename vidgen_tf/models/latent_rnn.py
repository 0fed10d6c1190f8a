"""Recurrent models of clips in latent space: one predicts the next frame, the other draws it among those that are possible.

Each frame is a few numbers, the means that chapter 05's encoder gives; a clip is a path of such latents `(T, latent_dim)`.
"""

import dataclasses

import keras
import numpy as np
from keras import layers, ops

from .. import training, zoo
from ..datasets import load, pipeline
from ..errors import CourseError, check_whole
from ..video import Clip
from .judge import judged
from .vae import decode, encode, reparameterise

CONTEXT_FRAMES = 5  # of each clip that a rollout sees
FUTURES = 20  # of each clip that a stochastic model is examined with


@dataclasses.dataclass(frozen=True)
class LatentRNNConfig:
    """Sizes of this chapter's recurrent models. The last three are the stochastic model's."""

    latent_dim: int = 32  # numbers that stand for one frame
    units: int = 256  # numbers that the predictor remembers
    noise: float = 0.2  # deviation of the noise on the past in training: practice in mending one's own errors
    z_dim: int = 4  # random numbers for each frame
    belief_units: int = 128  # numbers that the prior and the posterior remember, each
    beta: float = 0.5  # weight of the KL divergence


class Standardise(layers.Layer):
    """Latents shifted and scaled: over an encoder's clouds each dimension has mean 0 and variance 1.

    The variance is that of points drawn from the clouds, their own width included: a dimension that an encoder does not use, all
    of whose clouds are the prior, is not blown up.

    Args:
        latent_dim: numbers of a latent.

    Call arguments:
        latents: float `(..., latent_dim)`.

    Output shape:
        As the input's.
    """

    def __init__(self, latent_dim):
        super().__init__(name="standardise")
        options = {"shape": (latent_dim,), "trainable": False}
        self.mean = self.add_weight(initializer="zeros", name="mean", **options)
        self.deviation = self.add_weight(initializer="ones", name="deviation", **options)
        self.built = True

    def adapt(self, z_mean, z_log_var):
        """Measures mean and deviation.

        Args:
            z_mean: float array `(N, T, latent_dim)`, the clouds' means.
            z_log_var: float array of the same shape, the logarithms of their variances.
        """
        self.mean.assign(z_mean.mean(axis=(0, 1)))
        self.deviation.assign(np.sqrt(z_mean.var(axis=(0, 1)) + np.exp(z_log_var).mean(axis=(0, 1))))

    def call(self, latents):
        return (latents - self.mean) / self.deviation

    def undo(self, standardised):
        """Latents again.

        Args:
            standardised: float `(..., latent_dim)`.

        Returns:
            float of the same shape.
        """
        return standardised * self.deviation + self.mean


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


def build_belief(config, name):
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


def from_blank(network, *inputs, training=False):
    """Runs a recurrent network from a state of zeros: it has read nothing yet.

    Args:
        network: model of `build_predictor` or `build_belief`.
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


def kl_between(q_mean, q_log_var, p_mean, p_log_var):
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
        self.config, self.scale = config, Standardise(config.latent_dim)
        self.predictor = build_predictor(config)
        self.built = True

    def call(self, latents, training=False):
        """Next frames, from true pasts."""
        return from_blank(self.predictor, self.scale(latents)[:, :-1], training=training)[0]

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
            CourseError: see `check_past`.
        """
        check_past(latents, frames, self.config)
        following, state = from_blank(self.predictor, self.scale(latents))
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
        self.scale, self.predictor = Standardise(config.latent_dim), build_predictor(config, config.z_dim)
        self.prior, self.posterior = build_belief(config, "prior"), build_belief(config, "posterior")
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
        *prior, _ = from_blank(self.prior, path[:, :-1], training=training)
        *posterior, _ = from_blank(self.posterior, path, training=training)
        return prior, [part[:, 1:] for part in posterior]

    def call(self, latents, training=False):
        """Next frames, from true pasts."""
        prior, posterior = self.beliefs(latents, training)
        self.kl = ops.mean(ops.sum(kl_between(*posterior, *prior), axis=-1))
        z = reparameterise(*posterior, self.seed_generator) if training else prior[0]
        return from_blank(self.predictor, self.scale(latents)[:, :-1], z, training=training)[0]

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
            CourseError: see `check_past`.
        """
        check_past(latents, frames, self.config, shortest=2)
        path, draws, made = self.scale(latents), keras.random.SeedGenerator(seed), []
        z, _, _ = from_blank(self.posterior, path)  # of the past it knows all
        _, state = from_blank(self.predictor, path[:, :-1], z[:, 1:])
        z_mean, z_log_var, belief = from_blank(self.prior, path)
        for _ in range(frames):
            z = reparameterise(z_mean[:, -1:], z_log_var[:, -1:], draws)
            path, state = self.predictor([path[:, -1:], z, state])
            z_mean, z_log_var, belief = self.prior([path, belief])
            made.append(path)
        return ops.convert_to_numpy(self.scale.undo(ops.concatenate(made, axis=1)))


def check_past(latents, frames, config, shortest=1):
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


def fit_rnn(model, z_mean, z_log_var, steps, seed=0, checkpoint=None, log_steps=50):
    """Measures the latents' scale and trains a recurrent model on whole clips.

    Adam with a step size of 0.005 that falls to 0 along a cosine; gradients longer than 1 are cut to 1; batches of 64 clips.

    Args:
        model: `LatentGRU` or `LatentSVG`.
        z_mean: float32 `(N, T, latent_dim)`, the clips as `vae.encode` gives them.
        z_log_var: float32 of the same shape, the second thing that it gives; it sets the scale and nothing else.
        steps: training steps in all.
        seed: order of the batches.
        checkpoint: path of the checkpoint file, or None.
        log_steps: steps between two entries of the history.

    Returns:
        The history of `training.fit`.
    """
    model.scale.adapt(z_mean, z_log_var)
    rate = keras.optimizers.schedules.CosineDecay(5e-3, steps)
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), jit_compile=False)

    def batches(first):
        return pipeline(z_mean, batch_size=64, seed=seed, first_step=first)

    return training.fit(model, batches, steps, checkpoint=checkpoint, log_steps=log_steps)


def futures(model, latents, frames, count, seed=0):
    """Several futures of each past.

    Args:
        model: trained `LatentSVG`.
        latents: float `(N, T, latent_dim)`, the pasts.
        frames: frames of each future.
        count: futures of each past.
        seed: non-negative int.

    Returns:
        float array `(N, count, frames, latent_dim)`.
    """
    made = model.rollout(np.repeat(latents, count, axis=0), frames, seed)
    return made.reshape(len(latents), count, *made.shape[1:])


def decode_all(vae, latents):
    """`vae.decode` for latents with any axes in front.

    Args:
        vae: trained `VAE`.
        latents: float `(..., T, latent_dim)`.

    Returns:
        uint8 `(..., T, H, W, C)`.
    """
    frames = decode(vae, latents.reshape(-1, *latents.shape[-2:]))
    return frames.reshape(*latents.shape[:-1], *frames.shape[2:])


def future_errors(truth, made):
    """How far futures lie from what happened: squared error summed over pixels, averaged over frames.

    Pixels go from 0 to 1.

    Args:
        truth: uint8 `(N, F, H, W, C)`.
        made: uint8 `(N, K, F, H, W, C)`, K futures of each clip.

    Returns:
        float array `(N, K)`; its mean over k is the error to expect of one future, its smallest that of the best of K.
    """
    truth = truth / np.float32(255)
    gaps = [(future / np.float32(255) - clip) ** 2 for clip, future in zip(truth, made, strict=True)]
    return np.stack([gap.sum(axis=(2, 3, 4)).mean(axis=1) for gap in gaps])


def spread(made):
    """How much futures of one past differ, frame by frame: their variance, summed over pixels from 0 to 1.

    Args:
        made: uint8 `(N, K, F, H, W, C)`, K futures of each of N pasts.

    Returns:
        float array `(N, F)`; 0 where all agree.
    """
    return np.stack([clip.var(axis=0).sum(axis=(1, 2, 3)) for clip in made]) / 255**2


def first_wall(bounce, past):
    """When clips meet the first wall that a model can't have seen, where their way up to it is clear.

    Args:
        bounce: bool array `(N, T, 1)`, whether a wall is touched.
        past: how many frames are known.

    Returns:
        int array `(N,)`, the frame's number after the past, from 0; -1 for clips that touch no wall then, or touched one in the
        last three frames of the past, so that their direction is hard to tell.
    """
    touches = bounce[:, past:, 0]
    clear = touches.any(axis=1) & ~bounce[:, past - 3 : past, 0].any(axis=1)
    return np.where(clear, touches.argmax(axis=1), -1)


def around_first_wall(values, wall, after=4):
    """Means of a quantity up to the first wall, and in the frames that follow it.

    Args:
        values: float array `(N, F)`, one for each frame after the past.
        wall: int array `(N,)` of `first_wall`; clips with -1 are left out.
        after: how many frames behind the wall count.

    Returns:
        (float, float): up to the frame that touches the wall, which can be foreseen, and behind it.
    """
    distance = np.arange(values.shape[1]) - wall[:, None]
    used = wall[:, None] >= 0
    before, behind = used & (distance <= 0), used & (distance > 0) & (distance <= after)
    return float(values[before].mean()), float(values[behind].mean())


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


def ratio_after_walls(values, bounce, past=CONTEXT_FRAMES):
    """How much larger a quantity is in the frames that follow a touch of a wall than in the others.

    Args:
        values: float array `(N, T-1)`, for frames 1 to T-1.
        bounce: bool array `(N, T, 1)`, whether a wall is touched.
        past: frames before this one don't count: at the start no direction has been seen yet.

    Returns:
        float, the ratio of the means.
    """
    follows = bounce[:, past - 1 : -1, 0]
    values = values[:, past - 1 :]
    return float(values[follows].mean() / values[~follows].mean())


def drift(past, made, judge, digit, windows=4):
    """What becomes of a moving digit in a long rollout.

    Args:
        past: uint8 `(N, P, H, W, 1)`, the frames that it goes on from.
        made: uint8 `(N, F, H, W, 1)`, F a multiple of `windows`.
        judge: the zoo's "judge-digits-32".
        digit: int `(N,)`, which digit it is.
        windows: equal parts of the rollout, told one by one.

    Returns:
        dict of float arrays `(windows,)`: "digit_kept", the share of frames in which the judge sees that digit; "brightness" of
        a frame, all pixels added up, as a multiple of the past's; "speed" of the centre of brightness, in px per frame.
    """
    frames = np.concatenate([past[:, -1:], made], axis=1).astype(np.float64)[..., 0]
    total = frames.sum(axis=(2, 3))
    mass = np.maximum(total, 1e-9)[..., None]
    place = np.arange(frames.shape[2])
    moments = np.stack([frames.sum(axis=2) @ place, frames.sum(axis=3) @ place], axis=-1)  # (N, 1 + F, x y)
    named = judged(judge, made.reshape(-1, *made.shape[2:]))["digit"].argmax(axis=1).reshape(made.shape[:2])
    measured = {
        "digit_kept": named == digit[:, None],
        "brightness": total[:, 1:] / past.sum(axis=(2, 3, 4)).mean(axis=1)[:, None],
        "speed": np.linalg.norm(np.diff(moments / mass, axis=1), axis=-1),
    }
    return {name: value.reshape(len(made), windows, -1).mean(axis=(0, 2)) for name, value in measured.items()}


def examine_next(model, vae, clips):
    """How well a deterministic model foretells clips.

    Args:
        model: trained `LatentGRU`.
        vae: the trained `VAE` whose latents it knows.
        clips: `LabelledClips` of a single digit that it was not trained on.

    Returns:
        dict of float: "next_error" of the next frame, in standardised latents; "error_after_walls", the same in frames that
        follow a touch of a wall, as a multiple of that in the others; "future_error", see `future_errors`, of one rollout from
        the first five frames to the end.
    """
    latents, _ = encode(vae, clips.frames)
    error = ops.convert_to_numpy(latent_error(model.scale(latents)[:, 1:], model(latents)))
    future = clips.frames[:, CONTEXT_FRAMES:]
    made = decode_all(vae, model.rollout(latents[:, :CONTEXT_FRAMES], future.shape[1])[:, None])
    return {
        "next_error": float(error[:, CONTEXT_FRAMES - 1 :].mean()),
        "error_after_walls": ratio_after_walls(error, clips.states["bounce"]),
        "future_error": float(future_errors(future, made).mean()),
    }


def examine_futures(model, vae, clips):
    """How well a stochastic model knows what may happen, and when it can't know.

    Args:
        model: trained `LatentSVG`.
        vae: the trained `VAE` whose latents it knows.
        clips: `LabelledClips` of a single digit that it was not trained on.

    Returns:
        dict of float: "best_of_20" and "mean_of_20", see `future_errors`, of 20 futures from the first five frames to the end;
        "variance_after_walls", the `prior_variance` of frames that follow a touch of a wall, as a multiple of that of the
        others; "spread_before" and "spread_behind" the first wall, see `around_first_wall`.
    """
    latents, _ = encode(vae, clips.frames)
    bounce, future = clips.states["bounce"], clips.frames[:, CONTEXT_FRAMES:]
    made = decode_all(vae, futures(model, latents[:, :CONTEXT_FRAMES], future.shape[1], FUTURES))
    errors = future_errors(future, made)
    before, behind = around_first_wall(spread(made), first_wall(bounce, CONTEXT_FRAMES))
    return {
        "best_of_20": float(errors.min(axis=1).mean()),
        "mean_of_20": float(errors.mean()),
        "variance_after_walls": ratio_after_walls(prior_variance(model, latents), bounce),
        "spread_before": before,
        "spread_behind": behind,
    }


def examine_long(model, vae, clips):
    """What becomes of the digit in a rollout of 100 frames from five.

    Args:
        model: trained `LatentGRU` or `LatentSVG`.
        vae: the trained `VAE` whose latents it knows.
        clips: `LabelledClips` of a single digit that it was not trained on.

    Returns:
        dict of float: the measures of `drift`, with "_25" behind the name in the first 25 frames and "_100" in the last 25.
    """
    past = clips.frames[:, :CONTEXT_FRAMES]
    made = decode(vae, model.rollout(encode(vae, past)[0], 100))
    measured = drift(past, made, zoo.load("judge-digits-32"), clips.states["digit"][:, 0])
    ends = {"25": 0, "100": -1}
    return {f"{name}_{end}": float(value[i]) for name, value in measured.items() for end, i in ends.items()}


class _LatentRecipe:
    """What this chapter's recipes share: clips whose digit takes a new direction at each wall, as latents of the zoo's VAE."""

    dataset = ("random-digits", "train")
    context_frames = CONTEXT_FRAMES
    seed = 8
    config = LatentRNNConfig()

    def train(self, model, steps, checkpoint):
        z_mean, z_log_var = encode(zoo.load("vae-digits"), load(*self.dataset).frames)
        return fit_rnn(model, z_mean, z_log_var, steps, self.seed, checkpoint, log_steps=100)

    def truth(self, count, seed):
        """The test clips that `sample` goes on from."""
        return load(self.dataset[0], "test").drawn(count, seed)

    def sample(self, model, count, seed):
        """Clips of 24 frames: five of a test clip, and how the model goes on."""
        vae, clips = zoo.load("vae-digits"), self.truth(count, seed).frames
        past, ahead = clips[:, :CONTEXT_FRAMES], clips.shape[1] - CONTEXT_FRAMES
        options = {"seed": seed} if isinstance(model, LatentSVG) else {}
        made = decode(vae, model.rollout(encode(vae, past)[0], ahead, **options))
        return [Clip(clip) for clip in np.concatenate([past, made], axis=1)]


class LatentGRUDigits(_LatentRecipe):
    """How the zoo's "latent-gru-digits" is trained."""

    title = "Deterministic GRU in latent space: where a digit goes next, if all its futures are averaged"
    steps = {"fast": 1000, "full": 8000}

    def build(self):
        """The model before training.

        Returns:
            `LatentGRU`.
        """
        return LatentGRU(self.config)

    def examine(self, model):
        """The next frame, one future, and 100 frames.

        Args:
            model: trained `LatentGRU`.

        Returns:
            dict of float.
        """
        vae, test = zoo.load("vae-digits"), load(self.dataset[0], "test")
        return examine_next(model, vae, test) | examine_long(model, vae, test[:100])


class SVGDigits(_LatentRecipe):
    """How the zoo's "svg-digits" is trained."""

    title = "Stochastic recurrent model in latent space, after SVG-LP: where a digit may go"
    steps = {"fast": 1000, "full": 8000}

    def build(self):
        """The model before training.

        Returns:
            `LatentSVG`.
        """
        return LatentSVG(self.config, self.seed)

    def examine(self, model):
        """Twenty futures of 100 test clips, and 100 frames.

        Args:
            model: trained `LatentSVG`.

        Returns:
            dict of float.
        """
        vae, test = zoo.load("vae-digits"), load(self.dataset[0], "test", 100)
        return examine_futures(model, vae, test) | examine_long(model, vae, test)
