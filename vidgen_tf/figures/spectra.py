"""How strong the waves in images are, from coarse to fine: there blur, noise and grids of pixels can be told apart."""

import numpy as np

from ..errors import CourseError
from .charts import compare_curves


def wave_energies(images):
    """The energy of each wave along the rows and columns of images, a mean over images, rows and columns.

    Args:
        images: array `(N, S, S, C)`; the channels are averaged first.

    Returns:
        float array `(S // 2 + 1,)`, of waves of 0, 1/S, 2/S, ... up to half a cycle per pixel.

    Raises:
        CourseError: images that aren't square.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1] != images.shape[2] or not len(images):
        raise CourseError(f"The waves of square images (N, S, S, C) are measured, got {images.shape}.")
    grey = images.mean(axis=-1, dtype=np.float64)
    waves = [np.moveaxis(np.fft.rfft(grey, axis=axis), axis, -1) for axis in (1, 2)]
    return np.mean([np.mean(np.abs(each) ** 2, axis=(0, 1)) for each in waves], axis=0)


def compare_spectra(images, *, axes=None):
    """Compares sets of images by the energy of their waves, on a logarithmic scale; the mean brightness is left out.

    Args:
        images: dict from names to arrays `(N, S, S, C)`, all of one size S.
        axes: matplotlib axes to draw on; None for a new figure.

    Returns:
        The axes.

    Raises:
        CourseError: nothing to compare, or images that aren't square and of one size.
    """
    energies = {name: wave_energies(each)[1:] for name, each in images.items()}
    sizes = {np.shape(each)[1] for each in images.values()}
    if len(sizes) > 1:
        raise CourseError(f"Waves of images of one size are compared, got sides of {sorted(sizes)} px.")
    size = sizes.pop() if sizes else 1
    frequencies = np.arange(1, size // 2 + 1) / size
    axes = compare_curves(frequencies, energies, xlabel="cycles per pixel", ylabel="energy", axes=axes)
    axes.set_yscale("log")
    return axes
