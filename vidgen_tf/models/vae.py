"""Variational autoencoder of frames: a frame becomes a few numbers and a frame again, and nearby numbers are similar frames.

Later chapters learn motion in the latent space of this model's shipped weights.
"""

import dataclasses

import keras
import numpy as np
from keras import layers, ops

from .. import exam, training, zoo
from ..datasets import load, pipeline
from ..video import to_float, to_uint8
from .dense import there_and_back
from .judge import judged


@dataclasses.dataclass(frozen=True)
class VAEConfig:
    """Sizes of a variational autoencoder of frames, halved in size by each entry of `filters`."""

    frame_size: int = 32  # height and width, px
    channels: int = 3
    latent_dim: int = 32  # numbers that stand for one frame
    filters: tuple[int, ...] = (32, 64, 128)
    beta: float = 0.1  # weight of the KL divergence

    @property
    def grid(self):
        """Height and width of the encoder's last feature map."""
        return self.frame_size // 2 ** len(self.filters)


def build_encoder(config):
    """Strided convolutions from a frame to the Gaussian of latents that it could have come from.

    Args:
        config: `VAEConfig`.

    Returns:
        `keras.Model` from float32 `(B, frame_size, frame_size, channels)` in [-1, 1] to z_mean and z_log_var, each
        `(B, latent_dim)`.
    """
    frame = x = keras.Input((config.frame_size, config.frame_size, config.channels), name="frame")
    for filters in config.filters:
        x = layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))  # (B, H, W, C) -> (B, H/2, W/2, f)
    x = layers.Flatten()(x)
    z_mean, z_log_var = (layers.Dense(config.latent_dim, name=name)(x) for name in ("z_mean", "z_log_var"))
    return keras.Model(frame, [z_mean, z_log_var], name="encoder")


def build_decoder(config):
    """Transposed convolutions from a latent to a frame: the encoder's mirror image.

    Args:
        config: `VAEConfig`.

    Returns:
        `keras.Model` from float32 `(B, latent_dim)` to float32 `(B, frame_size, frame_size, channels)` in [-1, 1].
    """
    latent = keras.Input((config.latent_dim,), name="latent")
    *others, last = config.filters
    x = layers.Dense(config.grid**2 * last, use_bias=False)(latent)
    x = layers.Reshape((config.grid, config.grid, last))(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for filters in reversed(others):
        x = layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))  # (B, H, W, C) -> (B, 2H, 2W, f)
    frame = layers.Conv2DTranspose(config.channels, 4, strides=2, padding="same", activation="tanh")(x)
    return keras.Model(latent, frame, name="decoder")


def reparameterise(z_mean, z_log_var, seed):
    """A draw from a Gaussian, written so that gradients reach its mean and variance.

    Args:
        z_mean: float `(B, D)`.
        z_log_var: float `(B, D)`, logarithm of the variance.
        seed: `keras.random.SeedGenerator` or int.

    Returns:
        float `(B, D)`.

    References:
        Kingma and Welling, 2014, "Auto-encoding variational Bayes".
    """
    return z_mean + ops.exp(z_log_var / 2) * keras.random.normal(ops.shape(z_mean), seed=seed)


def kl_per_dimension(z_mean, z_log_var):
    """Kullback-Leibler divergence of Gaussians from the standard one, for each latent dimension.

    Args:
        z_mean: float `(B, D)`.
        z_log_var: float `(B, D)`, logarithm of the variance.

    Returns:
        float `(B, D)`, at least 0, in nats; 0 where the mean is 0 and the variance 1.
    """
    return 0.5 * (ops.square(z_mean) + ops.exp(z_log_var) - 1 - z_log_var)


def squared_error(frames, rebuilt):
    """Squared error of each frame, summed over its pixels and channels.

    Args:
        frames: float `(B, H, W, C)`.
        rebuilt: float of the same shape.

    Returns:
        float `(B,)`.
    """
    return ops.sum(ops.square(frames - rebuilt), axis=(1, 2, 3))


class VAE(keras.Model):
    """An encoder and a decoder that meet in a latent space of Gaussians.

    Args:
        config: `VAEConfig`.
        seed: of the draws in training.

    Call arguments:
        frames: float `(B, H, W, C)` in [-1, 1].
        training: whether a latent is drawn; else the frame is rebuilt from the mean.

    Output shape:
        That of the frames.

    References:
        Kingma and Welling, 2014, "Auto-encoding variational Bayes"; Higgins and others, 2017, "beta-VAE".
    """

    def __init__(self, config, seed=0):
        super().__init__(name="vae")
        self.config, self.seed_generator = config, keras.random.SeedGenerator(seed)
        self.encoder, self.decoder = build_encoder(config), build_decoder(config)
        names = ("reconstruction_loss", "kl_loss")
        self.trackers = [keras.metrics.Mean(name=name) for name in names]
        self.built = True

    @property
    def metrics(self):
        """The running means of both terms of the loss; Keras resets them at each entry of the history."""
        return self.trackers

    def call(self, frames, training=False):
        """Frames, rebuilt."""
        z_mean, z_log_var = self.encoder(frames, training=training)
        if not training:
            return self.decoder(z_mean)
        self.kl = ops.mean(ops.sum(kl_per_dimension(z_mean, z_log_var), axis=1))
        return self.decoder(reparameterise(z_mean, z_log_var, self.seed_generator), training=True)

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        """Squared error summed over pixels, plus beta times the divergence summed over latent dimensions.

        Args:
            x: float `(B, H, W, C)`, the frames.
            y: unused: a frame is its own target.
            y_pred: float of the same shape, the rebuilt frames.
            sample_weight: unused.
            training: unused.

        Returns:
            scalar.
        """
        reconstruction = ops.mean(squared_error(x, y_pred))
        for tracker, value in zip(self.trackers, (reconstruction, self.kl)):
            tracker.update_state(value)
        return reconstruction + self.config.beta * self.kl


def fit_vae(model, frames, steps, rate=3e-3, batch_size=32, seed=0, checkpoint=None, log_steps=50):
    """Trains a VAE: Adam with a step size that falls to 0 along a cosine.

    Args:
        model: `VAE`.
        frames: uint8 `(N, H, W, C)`.
        steps: training steps in all.
        rate: the first step size.
        batch_size: frames per step. In a short time, many small steps get further than few large ones.
        seed: order of the batches.
        checkpoint: path of the checkpoint file, or None.
        log_steps: steps between two entries of the history.

    Returns:
        The history of `training.fit`.
    """
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(keras.optimizers.Adam(schedule), jit_compile=False)

    def batches(first):
        return pipeline(frames, batch_size=batch_size, seed=seed, first_step=first)

    return training.fit(model, batches, steps, checkpoint=checkpoint, log_steps=log_steps)


def encode(model, clips):
    """The mean latents of clips: each frame as a few numbers, each clip as a path.

    Args:
        model: trained `VAE`.
        clips: uint8 `(N, T, H, W, C)`.

    Returns:
        float32 z_mean and z_log_var, each `(N, T, latent_dim)`.
    """
    frames = clips.reshape(-1, *clips.shape[2:])
    parts = [model.encoder(to_float(frames[i : i + 500])) for i in range(0, len(frames), 500)]
    return [np.concatenate(part).reshape(*clips.shape[:2], -1) for part in zip(*parts)]


def decode(model, latents):
    """The clips that paths of latents stand for.

    Args:
        model: trained `VAE`.
        latents: float `(N, T, latent_dim)`.

    Returns:
        uint8 `(N, T, H, W, C)`.
    """
    flat = np.reshape(latents, (-1, latents.shape[-1]))
    frames = np.concatenate([to_uint8(model.decoder(flat[i : i + 500])) for i in range(0, len(flat), 500)])
    return frames.reshape(*latents.shape[:2], *frames.shape[1:])


def nearest_neighbour_chain(points):
    """The order in which points are visited by always going on to the nearest that is left.

    Args:
        points: float array `(T, D)`.

    Returns:
        int array `(T,)`, a permutation that begins with 0, the first point.
    """
    points = np.asarray(points)
    order, left = [0], list(range(1, len(points)))
    while left:
        distance = np.square(points[left] - points[order[-1]]).sum(axis=1)
        order.append(left.pop(int(distance.argmin())))
    return np.array(order)


def frames_before_turn(positions):
    """How many frames pass before an object first turns back: until then, no picture comes twice.

    Args:
        positions: float array `(T, K, 2)` of K objects.

    Returns:
        int from 0 to T; 0 where nothing moves.
    """
    step = np.diff(positions, axis=0)
    if not np.abs(step).max() > 1e-6:
        return 0
    turned = (step[1:] * step[:-1] < 0).any(axis=(1, 2))
    return int(turned.argmax()) + 2 if turned.any() else len(positions)


def share_in_order(latents, positions):
    """The share of clips whose nearest-neighbour chain is frame 0, 1, 2, ... up to the first turn.

    Args:
        latents: float array `(N, T, D)`.
        positions: float array `(N, T, K, 2)` of the clips' objects; clips in which nothing moves are left out.

    Returns:
        float in [0, 1].
    """
    counts = [frames_before_turn(clip) for clip in positions]
    paths = [path[:count] for path, count in zip(latents, counts, strict=True) if count]
    ordered = [np.array_equal(nearest_neighbour_chain(path), np.arange(len(path))) for path in paths]
    return float(np.mean(ordered))


def examine_codes(model, clips):
    """How well a VAE's latents stand for clips.

    Args:
        model: trained `VAE`.
        clips: `LabelledClips` that it was not trained on, with the state "position" `(N, T, K, 2)`.

    Returns:
        dict of float: "psnr_db" of rebuilt frames, the mean over frames; "active_dimensions", the share of latent dimensions
        with a mean divergence above 0.01 nats; "in_order", see `share_in_order`.
    """
    z_mean, z_log_var = encode(model, clips.frames)
    divergence = ops.convert_to_numpy(kl_per_dimension(z_mean, z_log_var)).mean(axis=(0, 1))
    return {
        "psnr_db": float(exam.psnr(clips.frames, decode(model, z_mean)).mean()),
        "active_dimensions": float(np.mean(divergence > 0.01)),
        "in_order": share_in_order(z_mean, clips.states["position"]),
    }


def examine_prior(model, judge, test_clips, training_clips):
    """How frames decoded from the prior look to a judge of their world, and whether they are copies.

    Args:
        model: trained `VAE`.
        judge: see `vidgen_tf.models.judge`.
        test_clips: uint8 `(N, T, H, W, C)`; one frame of each is compared with N made frames.
        training_clips: uint8 `(M, T, H, W, C)`, M at least N; one frame of each of N gives the floor, every fourth frame of all
            is searched for copies.

    Returns:
        dict of float: "confident", the share of made frames of which the judge is sure (0.9 or more) in everything it judges;
        "frechet_distance" and "frechet_floor", both with n = N; "copy_ratio", the median distance to the nearest training
        frame, as a multiple of that of test frames.
    """
    count, times = test_clips.shape[:2]
    latents = np.random.default_rng(1000).normal(size=(count, 1, model.config.latent_dim))
    made = decode(model, latents)[:, 0]
    test, training_frames = (clips[np.arange(count), np.arange(count) % times] for clips in (test_clips, training_clips))
    features = {}
    for name, frames in {"made": made, "test": test, "training": training_frames}.items():
        said = judged(judge, frames)
        features[name] = said.pop("features")
        if name == "made":
            sure = np.min([p.max(axis=1) for p in said.values()], axis=0) >= 0.9
    searched = training_clips[:, ::4].reshape(-1, *made.shape[1:])
    return {
        "confident": float(np.mean(sure)),
        "frechet_distance": exam.frechet_distance(features["made"], features["test"]),
        "frechet_floor": exam.frechet_distance(features["training"], features["test"]),
        "copy_ratio": exam.copy_ratio(made, test, searched),
    }


class _VAERecipe:
    """What the recipes of the zoo's VAEs share: chapter 05's training, for longer."""

    seed = 6
    steps = {"fast": 900, "full": 20000}
    rate, batch_size = 2e-3, 64

    def build(self):
        return VAE(self.config, self.seed)

    def train(self, model, steps, checkpoint):
        clips = load(*self.dataset).frames
        frames = clips.reshape(-1, *clips.shape[2:])
        options = {"rate": self.rate, "batch_size": self.batch_size, "seed": self.seed}
        return fit_vae(model, frames, steps, **options, checkpoint=checkpoint, log_steps=100)

    def sample(self, model, count, seed):
        """Clips of 16 frames: from one latent of the prior to another and back, each decoded."""
        ends = np.random.default_rng(seed).normal(size=(count, 2, self.config.latent_dim)).astype("float32")
        return there_and_back(model.decoder, ends)

    def examine(self, model):
        """The codes of test clips, and frames decoded from the prior."""
        test, known = load(self.dataset[0], "test"), load(*self.dataset)
        return examine_codes(model, test) | examine_prior(model, zoo.load(self.judge), test.frames, known.frames)


class VAEShapes(_VAERecipe):
    """How the zoo's "vae-shapes" is trained."""

    title = "VAE: frames of coloured shapes, 32x32 RGB, as 32 numbers"
    dataset = ("shapes", "train")
    judge = "judge-shapes"
    config = VAEConfig()


class VAEDigits(_VAERecipe):
    """How the zoo's "vae-digits" is trained."""

    title = "VAE: frames of a moving digit, 32x32 grey, as 32 numbers"
    dataset = ("digits", "train")
    judge = "judge-digits-32"
    config = VAEConfig(channels=1)


class VAEDigitsLowBeta(VAEDigits):
    """How the zoo's "vae-digits-low-beta" is trained: little is asked of its latents, so they bend less as a digit moves.

    A diffusion learns more from it in the same time, see `vidgen_tf.models.diffusion.ABLATION`.
    """

    title = "VAE: frames of a moving digit, 32x32 grey, as 32 numbers for a diffusion to learn"
    steps = {"fast": 900, "full": 10000}
    rate, batch_size = 3e-3, 32
    config = VAEConfig(channels=1, beta=0.01)
