"""Frames whose look is known, and video files as other programs write them: for the tests of everything that reads files."""

from fractions import Fraction

import av
import numpy as np

CODECS = {".mp4": "libx264", ".webm": "libvpx-vp9", ".mov": "mpeg4", ".mkv": "libx264", ".avi": "mpeg4"}


def disc(length=16, size=32, colour=(230, 25, 25)):
    """A saturated disc that moves right by a pixel per frame: hard for codecs that share colours among pixels."""
    y, x = np.mgrid[:size, :size]
    inside = np.stack([np.clip(6.5 - np.hypot(x - 8 - t, y - 16), 0, 1) for t in range(length)])[..., None]
    return np.rint(240 * (1 - inside) + np.array(colour) * inside).astype(np.uint8)


def waves(length=16, height=64, width=64):
    """Smooth colour, every pixel of which changes."""
    t, y, x, c = np.ogrid[:length, :height, :width, :3]
    return (128 + 100 * np.sin((x + 2 * t) / 9 + c) * np.cos(y / 13 + c)).astype(np.uint8)


def noise(length=16, size=64):
    """Uniform noise in colour."""
    return np.random.default_rng(0).integers(0, 256, (length, size, size, 3), dtype=np.uint8)


def psnr(a, b):
    """Peak signal-to-noise ratio in dB."""
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def write_video(
    path, frames, codec=None, rate=30, pix_fmt="yuv420p", *, times=None, rotation=0, matrix=None, aspect=None, bit_rate=None
):
    """A video file as other programs write it: times in seconds, rotation in degrees, aspect of a pixel (width to height)."""
    with av.open(str(path), "w", options={"movflags": "+faststart"} if path.suffix == ".mp4" else {}) as file:
        stream = file.add_stream(codec or CODECS[path.suffix], rate=1000 if times else rate)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pix_fmt
        if times:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        if matrix:
            a, b, c, d = matrix
            stream.set_display_matrix([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30])
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if bit_rate:
            stream.bit_rate = bit_rate
        for i, pixels in enumerate(frames):
            layout = "rgba" if pixels.shape[-1] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=layout)
            if times:
                frame.pts, frame.time_base = round(times[i] * 1000), Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path
