"""Fully connected frame generators: the one of the field's first tutorials, and the same network with learned latents."""

import dataclasses

import keras
import numpy as np
from keras import layers, ops

from .. import exam, training
from ..datasets import load, pipeline
from ..video import Clip, to_uint8


@dataclasses.dataclass(frozen=True)
class DenseConfig:
    """Sizes of a dense frame generator."""

    latent_dim: int = 100  # numbers that stand for one frame
    hidden: tuple[int, ...] = (256, 512)  # units of the hidden layers
    frame_size: int = 64  # height and width, px
    channels: int = 3
    output_activation: str | None = "tanh"  # None: the first tutorials' unbounded output


def build_generator(config):
    """Dense layers from a latent to a frame.

    Args:
        config: `DenseConfig`.

    Returns:
        `keras.Model` from float32 `(B, latent_dim)` to float32 `(B, frame_size, frame_size, channels)`, in [-1, 1] where the
        output activation is tanh.
    """
    latent = x = keras.Input((config.latent_dim,), name="latent")
    for units in config.hidden:
        x = layers.Dense(units)(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    shape = (config.frame_size, config.frame_size, config.channels)
    x = layers.Dense(shape[0] * shape[1] * shape[2], activation=config.output_activation)(x)
    frame = layers.Reshape(shape)(x)  # (B, H*W*C) -> (B, H, W, C)
    return keras.Model(latent, frame, name="dense_generator")


class LatentFrames(keras.Model):
    """A dense generator and a learned latent for each training frame, fitted together without a critic.

    Args:
        num_frames: training frames.
        config: `DenseConfig`.

    Call arguments:
        index: int tensor `(B,)`, which training frames.

    Output shape:
        `(B, frame_size, frame_size, channels)`, float32 in [-1, 1].

    References:
        Bojanowski, Joulin, Lopez-Paz and Szlam, 2018, "Optimizing the latent space of generative networks".
    """

    def __init__(self, num_frames, config):
        super().__init__(name="latent_frames")
        self.num_frames, self.config = num_frames, config
        self.latents = layers.Embedding(num_frames, config.latent_dim, "random_normal")
        self.generator = build_generator(config)
        self.latents.build(())
        self.built = True

    def call(self, index):
        return self.generator(on_sphere(self.latents(index)))


def on_sphere(latent):
    """Latents scaled to the length sqrt(latent_dim), about that of Gaussian noise.

    Args:
        latent: float tensor `(..., latent_dim)`.

    Returns:
        float tensor of the same shape.
    """
    mean_square = ops.mean(ops.square(latent), axis=-1, keepdims=True)
    return latent * ops.rsqrt(mean_square + 1e-8)


def latent_path(latents, num_frames):
    """A path through latents: straight between neighbours in even steps, then put back on the sphere.

    Args:
        latents: float array `(K, latent_dim)`, the stops.
        num_frames: points on the path, from the first stop to the last.

    Returns:
        float32 tensor `(num_frames, latent_dim)`.
    """
    latents = ops.convert_to_tensor(latents)
    place = ops.linspace(0.0, len(latents) - 1.0, num_frames)
    left = ops.minimum(ops.cast(ops.floor(place), "int32"), len(latents) - 2)
    weight = (place - ops.cast(left, "float32"))[:, None]  # 0 at the left stop, 1 at the right one
    ends = on_sphere(ops.take(latents, left, axis=0)), on_sphere(ops.take(latents, left + 1, axis=0))
    return on_sphere((1 - weight) * ends[0] + weight * ends[1])


def gaussian_latents(latents, count, seed=0):
    """New latents: from a Gaussian with the learned ones' mean and covariance, put on the sphere.

    Args:
        latents: float array `(N, latent_dim)`, the learned latents.
        count: how many to draw.
        seed: int.

    Returns:
        float32 array `(count, latent_dim)`.
    """
    latents = np.asarray(on_sphere(latents))
    rng = np.random.default_rng(seed)
    draws = rng.multivariate_normal(latents.mean(axis=0), np.cov(latents.T), size=count)
    return np.asarray(on_sphere(draws.astype(np.float32)))


def there_and_back(generator, ends):
    """Clips of 16 frames: from the picture of one latent to that of another and back.

    Args:
        generator: `keras.Model` from latents `(B, latent_dim)` to pictures in [-1, 1].
        ends: float32 `(N, 2, latent_dim)`, the two latents of each clip.

    Returns:
        list of N `Clip`.
    """
    paths = np.concatenate([latent_path(stops, 16) for stops in ends[:, [0, 1, 0]]])
    frames = to_uint8(generator.predict(paths, verbose=0))
    return [Clip(clip) for clip in frames.reshape(len(ends), 16, *frames.shape[1:])]


class DenseFaces:
    """How the zoo's "dense-faces" is trained: more faces and more steps than chapter 02 has time for, and a narrower last
    hidden layer, because a file of the zoo stays under 6 MB."""

    title = "Dense frame generator: 3200 frames of 400 drawn faces"
    dataset = ("faces", "train")
    seed = 2
    steps = {"fast": 2500, "full": 20000}
    config = DenseConfig(hidden=(256, 192))

    def frames(self):
        """The training frames: every other frame of 400 clips.

        Returns:
            uint8 array `(3200, 64, 64, 3)`.
        """
        clips = load(*self.dataset, count=400)
        return clips.frames[:, ::2].reshape(-1, *clips.frames.shape[2:])

    def build(self):
        """The model before training.

        Returns:
            `LatentFrames`.
        """
        return LatentFrames(3200, self.config)

    def train(self, model, steps, checkpoint):
        """Trains the model, or goes on from the checkpoint.

        Args:
            model: what `build` returns.
            steps: training steps in all.
            checkpoint: path of the checkpoint file.

        Returns:
            The history of `training.fit`.
        """
        frames, index = self.frames(), np.arange(model.num_frames)
        rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
        model.compile(keras.optimizers.Adam(rate), loss="mse", jit_compile=True)

        def batches(first):
            return pipeline(index, frames, batch_size=64, seed=self.seed, first_step=first)

        return training.fit(model, batches, steps, checkpoint=checkpoint, log_steps=100)

    def sample(self, model, count, seed):
        """Clips of 16 frames: from one new face to another and back.

        Args:
            model: trained `LatentFrames`.
            count: how many clips.
            seed: non-negative int.

        Returns:
            list of `Clip`.
        """
        ends = gaussian_latents(model.latents.embeddings, 2 * count, seed).reshape(count, 2, -1)
        return there_and_back(model.generator, ends)

    def examine(self, model):
        """Fidelity to the training frames, coherence of a path between new faces, and how far new faces are from copies.

        Args:
            model: trained `LatentFrames`.

        Returns:
            dict of float.
        """
        real, latents = self.frames(), model.latents.embeddings
        rebuilt = to_uint8(model.predict(np.arange(len(real)), batch_size=256, verbose=0))
        path = model.generator.predict(latent_path(gaussian_latents(latents, 8), 100), verbose=0)
        new = to_uint8(model.generator.predict(gaussian_latents(latents, 200), verbose=0))
        return {
            "psnr_db": float(exam.psnr(real, rebuilt).mean()),
            "temporal_autocorrelation": exam.temporal_autocorrelation(to_uint8(path)),
            "distance_to_nearest_training_frame": float(np.median(exam.nearest(new, real)[1])),
        }
