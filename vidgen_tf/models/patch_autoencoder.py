"""Linear video autoencoder with places: the principal components of each patch of a clip, found in closed form."""

import dataclasses

import keras
import numpy as np
from keras import ops

from ..errors import CourseError
from ..files import progress
from ..video import to_float, to_uint8
from .base import Config, ConfiguredModel, check_float_frames, check_multiple

BATCH_SIZE = 50  # clips that are encoded or decoded at once
ROWS = 12000  # patches, at most, from which the components of a place are computed


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class PatchAutoencoderConfig(Config):
    """Sizes of a linear video autoencoder. A latent stands for `patch_size` px squared of `temporal_factor` frames.

    Raises:
        CourseError: a size below 1, sizes of which one is no multiple of another, or more numbers than there are to begin with.
    """

    image_size: int = 64  # height and width of a frame, px
    num_frames: int = 16
    channels: int = 3
    patch_size: int = 16  # px
    temporal_factor: int = 4  # frames of a latent
    frame_components: int = 96  # numbers of a patch of one frame
    latent_channels: int = 96  # numbers of a latent
    change_gain: float = 2.0  # how much more an error counts of how a patch changes within a latent than of what it is like
    scale_exponent: float = 0.5  # of the deviations of a latent's numbers: 1 as in the pixels, 0 all alike

    def __post_init__(self):
        super().__post_init__()
        check_multiple(self.image_size, self.patch_size, "it is cut into patches")
        if self.num_frames % self.temporal_factor:
            raise CourseError(f"num_frames must be a multiple of {self.temporal_factor}, got {self.num_frames}.")
        for numbers, at_most in (("frame_components", self.patch_dim), ("latent_channels", self.group_dim)):
            if getattr(self, numbers) > at_most:
                raise CourseError(f"{numbers} can be at most {at_most}, got {getattr(self, numbers)}.")

    @property
    def grid_size(self):
        """int, patches on a side of a frame."""
        return self.image_size // self.patch_size

    @property
    def num_moments(self):
        """int, latents of a clip at one place."""
        return self.num_frames // self.temporal_factor

    @property
    def patch_dim(self):
        """int, numbers of a patch of one frame."""
        return self.patch_size**2 * self.channels

    @property
    def group_dim(self):
        """int, numbers of a patch of `temporal_factor` frames, each written in its principal components."""
        return self.temporal_factor * self.frame_components

    @property
    def latent_dim(self):
        """int, numbers of all latents of one moment."""
        return self.grid_size**2 * self.latent_channels


def to_patches(clips, config):
    """Cuts clips into patches.

    Args:
        clips: float `(B, num_frames, image_size, image_size, channels)`.
        config: `PatchAutoencoderConfig`.

    Returns:
        float `(B, num_moments, temporal_factor, grid_size ** 2, patch_dim)`.
    """
    side, patch, channels = config.grid_size, config.patch_size, config.channels
    x = ops.reshape(clips, (-1, config.num_frames, side, patch, side, patch, channels))
    x = ops.transpose(x, (0, 1, 2, 4, 3, 5, 6))  # (B, F, h, p, w, p, C) -> (B, F, h, w, p, p, C)
    return ops.reshape(x, (-1, config.num_moments, config.temporal_factor, side**2, config.patch_dim))


def from_patches(patches, config):
    """Puts patches together: the inverse of `to_patches`.

    Args:
        patches: float `(B, num_moments, temporal_factor, grid_size ** 2, patch_dim)`.
        config: `PatchAutoencoderConfig`.

    Returns:
        float `(B, num_frames, image_size, image_size, channels)`.
    """
    side, patch, channels, size = config.grid_size, config.patch_size, config.channels, config.image_size
    x = ops.reshape(patches, (-1, config.num_frames, side, side, patch, patch, channels))
    return ops.reshape(ops.transpose(x, (0, 1, 2, 4, 3, 5, 6)), (-1, config.num_frames, size, size, channels))


def cosine_basis(count, gain):
    """Orthonormal cosines over a few frames (DCT-II): the first is their mean, the others how they change.

    Args:
        count: int, frames.
        gain: float, factor of all but the first.

    Returns:
        float32 `(count, count)`, a cosine in each row.

    References:
        Ahmed, Natarajan and Rao, 1974, "Discrete cosine transform".
    """
    k, frame = np.meshgrid(np.arange(count), np.arange(count), indexing="ij")
    rows = np.cos(np.pi * k * (2 * frame + 1) / (2 * count)) * np.sqrt(np.where(k > 0, 2, 1) / count)
    return np.float32(rows * np.where(k > 0, gain, 1))


def principal_components(rows, count):
    """The directions along which rows vary most.

    Args:
        rows: float `(N, D)`.
        count: int, how many.

    Returns:
        mean `(D,)`, orthonormal components `(D, count)`, and the deviation along each, `(count,)`, falling; float32.

    References:
        Pearson, 1901, "On lines and planes of closest fit to systems of points in space".
    """
    mean = rows.mean(axis=0)
    variances, vectors = np.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))  # from the smallest
    deviations = np.sqrt(np.maximum(variances[::-1][:count], 0))
    return tuple(np.float32(part) for part in (mean, vectors[:, ::-1][:, :count], deviations))


@keras.saving.register_keras_serializable(package="vidgen_tf")
class PatchAutoencoder(ConfiguredModel):
    """A linear video autoencoder: principal components of each place, first of the frames' patches, then of several frames'.

    Nothing is trained: `fit_components` computes the weights in closed form.

    Args:
        config: `PatchAutoencoderConfig`.

    Call arguments:
        clips: float `(B, num_frames, image_size, image_size, channels)` in [-1, 1].

    Output shape:
        That of the clips: their reconstructions.

    Raises:
        CourseError: pixels that are no floats, see `check_float_frames`.

    References:
        Ahmed, Natarajan and Rao, 1974, "Discrete cosine transform" (transform coding).
    """

    def __init__(self, config):
        super().__init__(name="patch_autoencoder")
        self.config, places = config, config.grid_size**2
        shapes = {
            "patch_mean": (places, config.patch_dim),
            "patch_basis": (places, config.patch_dim, config.frame_components),
            "group_mean": (places, config.group_dim),
            "group_basis": (places, config.group_dim, config.latent_channels),
            "scale": (places, config.latent_channels),
        }
        for name, shape in shapes.items():
            setattr(self, name, self.add_weight(shape=shape, initializer="ones", trainable=False, name=name))
        self.build((None, config.num_frames, config.image_size, config.image_size, config.channels))

    def build(self, input_shape):
        """Nothing is left to make.

        Args:
            input_shape: shape of the clips.
        """
        self.built = True

    def call(self, clips):
        """Reconstructions of clips."""
        check_float_frames(clips)
        return self.decode(self.encode(clips))

    def to_groups(self, clips):
        """Clips as patches of several frames: components of the frames' patches, and cosines over these.

        Args:
            clips: float `(B, num_frames, image_size, image_size, channels)` in [-1, 1].

        Returns:
            float `(B, num_moments, grid_size ** 2, group_dim)`.
        """
        config = self.config
        x = ops.einsum("btkpd,pdc->btkpc", to_patches(clips, config) - self.patch_mean, self.patch_basis)
        x = ops.einsum("jk,btkpc->btpjc", cosine_basis(config.temporal_factor, config.change_gain), x)
        return ops.reshape(x, (-1, config.num_moments, config.grid_size**2, config.group_dim))

    def encode(self, clips):
        """Latents of clips.

        Args:
            clips: float `(B, num_frames, image_size, image_size, channels)` in [-1, 1].

        Returns:
            float `(B, num_moments, latent_dim)`: a grid of latents for each moment.
        """
        latents = ops.einsum("btpd,pdc->btpc", self.to_groups(clips) - self.group_mean, self.group_basis) * self.scale
        return ops.reshape(latents, (-1, self.config.num_moments, self.config.latent_dim))

    def decode(self, latents):
        """Clips of latents.

        Args:
            latents: float `(B, num_moments, latent_dim)`.

        Returns:
            float `(B, num_frames, image_size, image_size, channels)`, about in [-1, 1].
        """
        config, places = self.config, self.config.grid_size**2
        x = ops.reshape(latents, (-1, config.num_moments, places, config.latent_channels)) / self.scale
        x = ops.einsum("btpc,pdc->btpd", x, self.group_basis) + self.group_mean
        x = ops.reshape(x, (-1, config.num_moments, places, config.temporal_factor, config.frame_components))
        cosines = cosine_basis(config.temporal_factor, 1 / config.change_gain)
        x = ops.einsum("jk,btpjc->btkpc", cosines, x)  # the inverse of an orthonormal basis is its transpose
        return from_patches(ops.einsum("btkpc,pdc->btkpd", x, self.patch_basis) + self.patch_mean, config)

    def fit_components(self, frames, seed=0):
        """Computes the weights from clips.

        Args:
            frames: uint8 `(N, num_frames, image_size, image_size, channels)`.
            seed: non-negative int, of the choice of patches.
        """
        config, rng = self.config, np.random.default_rng(seed)
        places, width = range(config.grid_size**2), config.frame_components
        patches = np.asarray(to_patches(frames, config)).reshape(-1, len(places), config.patch_dim)
        found = [principal_components(to_float(_some(patches[:, p], rng)), width) for p in places]
        for weight, parts in zip((self.patch_mean, self.patch_basis), zip(*found)):
            weight.assign(np.stack(parts))
        groups = [np.asarray(self.to_groups(to_float(frames[i : i + BATCH_SIZE]))) for i in range(0, len(frames), BATCH_SIZE)]
        groups = np.concatenate(groups).reshape(-1, len(places), config.group_dim)
        found = [principal_components(_some(groups[:, p], rng), config.latent_channels) for p in places]
        means, bases, deviations = (np.stack(parts) for parts in zip(*found))
        deviations = np.maximum(deviations, max(1e-2 * deviations.mean(), 1e-6))  # a place may look the same in all clips
        scaled = (deviations / deviations.mean()) ** config.scale_exponent
        self.group_mean.assign(means)
        self.group_basis.assign(bases)
        self.scale.assign(scaled / np.sqrt(np.mean(scaled**2)) / deviations)


def _some(rows, rng):
    """At most `ROWS` of the rows."""
    return rows[rng.permutation(len(rows))[:ROWS]]


def encode_clips(model, frames):
    """Latents of clips, some clips at a time.

    Args:
        model: fitted `PatchAutoencoder`.
        frames: uint8 `(N, num_frames, image_size, image_size, channels)`.

    Returns:
        float32 `(N, num_moments, latent_dim)`.

    Raises:
        CourseError: frames of another dtype or shape.
    """
    config = model.config
    shape = (config.num_frames, config.image_size, config.image_size, config.channels)
    if frames.dtype != np.uint8 or frames.shape[1:] != shape:
        raise CourseError(f"encode_clips takes clips of uint8 pixels {shape}, got {frames.dtype} {frames.shape[1:]}.")
    starts = progress(range(0, len(frames), BATCH_SIZE), label="encoding", unit="batch", delay=5)
    return np.concatenate([np.asarray(model.encode(to_float(frames[i : i + BATCH_SIZE]))) for i in starts])


def decode_clips(model, latents):
    """Clips of latents, some clips at a time.

    Args:
        model: fitted `PatchAutoencoder`.
        latents: float `(N, num_moments, latent_dim)`.

    Returns:
        uint8 `(N, num_frames, image_size, image_size, channels)`.
    """
    starts = range(0, len(latents), BATCH_SIZE)
    return np.concatenate([to_uint8(model.decode(latents[i : i + BATCH_SIZE])) for i in starts])
