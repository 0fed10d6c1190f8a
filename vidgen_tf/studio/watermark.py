"""An invisible watermark in the frames of a clip: spread spectrum, found again without the original."""

import numpy as np
from PIL import Image
from scipy.fft import dctn, idctn

from ..video import LUMA

SIZE = 256  # px: height and width of the frames that the pattern is made for; others are resized before it is looked for
BAND = 16, 80  # of the frequencies, in half waves a frame: below are the picture's own large parts, above what codecs drop
STRENGTH = 2.0  # root mean square of the pattern, of 255 grey values
KEY = 2026  # the studio's own: public, so that everybody can look for the mark


def watermark_sequence(key, size=SIZE):
    """The secret of a watermark: one normal random number for each frequency of a band.

    Args:
        key: non-negative int.
        size: height and width of the frames, px.

    Returns:
        float64 `(n,)`, and the bool mask `(size, size)` of the n frequencies in the plane of the cosine transform (DCT).
    """
    radius = np.hypot(*np.mgrid[:size, :size])
    band = (radius >= BAND[0]) & (radius < BAND[1])
    return np.random.default_rng(key).normal(size=band.sum()), band


def embed_watermark(frames, key=KEY, strength=STRENGTH):
    """Adds the pattern of a key to every frame: it stands still, so no codec takes it for motion.

    Args:
        frames: uint8 `(T, SIZE, SIZE, C)`.
        key: non-negative int.
        strength: float, root mean square of what is added.

    Returns:
        uint8 of the same shape.

    References:
        Cox, Kilian, Leighton and Shamoon, 1997, "Secure spread spectrum watermarking for multimedia".
    """
    sequence, band = watermark_sequence(key)
    spectrum = np.zeros(band.shape)
    spectrum[band] = sequence
    pattern = idctn(spectrum, norm="ortho")
    pattern *= strength / np.sqrt(np.mean(pattern**2))
    return np.clip(np.rint(frames + pattern[:, :, None]), 0, 255).astype(np.uint8)


def detect_watermark(frames, key=KEY):
    """How clearly frames show the pattern of a key, as a standard normal number where they don't.

    Args:
        frames: uint8 `(T, H, W, C)` of any size.
        key: non-negative int.

    Returns:
        float z: standard normal where the frames know nothing of the key, so z >= 5 is a false alarm in 1 of 3.5 million.
    """
    sequence, band = watermark_sequence(key)
    mean = frames.mean(axis=0, dtype=np.float32)  # what stands still stays, what moves averages out
    luma = mean @ np.float32(LUMA) if mean.shape[-1] == 3 else mean[..., 0]
    luma = np.asarray(Image.fromarray(luma).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    signs = np.sign(dctn(luma, norm="ortho")[band])  # each frequency has one vote: a few are enormous
    return float(signs @ sequence / np.sqrt(np.maximum(1, np.sum(signs**2))))
