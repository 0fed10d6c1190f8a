"""Files that users bring: opened with care, refused in one sentence. Nothing in them is executed, and nothing is kept."""

import warnings
from pathlib import Path

import av
import numpy as np

from ..errors import CourseError
from ..video_io import IMAGES, VIDEOS, open_image
from ..worlds import files
from .texts import Refused

MAX_UPLOAD = "20mb"  # what the server takes at all
MAX_MEGAPIXELS = 40  # of a picture; it is reduced to 64 px anyway


def read_picture(path, size):
    """The central square of a picture, in colour.

    Args:
        path: str or Path.
        size: height and width, px.

    Returns:
        uint8 `(size, size, 3)`.

    Raises:
        CourseError: another type of file, a damaged one, or one of more than 40 megapixels.
    """
    path = _checked(path, IMAGES)
    return _read(path, size, 1, None)[0]


def read_clip(path, size, num_frames, fps=8):
    """The beginning of a video, or of an animation; the rest of a long one is not decoded.

    Args:
        path: str or Path.
        size: height and width, px.
        num_frames: int.
        fps: frames per second that it is resampled to.

    Returns:
        uint8 `(num_frames, size, size, 3)`.

    Raises:
        CourseError: another type of file, a damaged one, or one that is too short.
    """
    path = _checked(path, VIDEOS + IMAGES)
    return _read(path, size, num_frames, fps)


def _checked(path, suffixes):
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise Refused("wrong_type", name=path.name[-40:], types=", ".join(suffixes))
    if path.suffix.lower() in IMAGES:
        try:
            with open_image(path) as image:  # the header alone: no pixel is decoded yet
                megapixels = image.width * image.height / 1e6
        except Exception as error:  # whatever a file that is no picture makes Pillow raise
            if "DecompressionBomb" in type(error).__name__:
                raise Refused("large_picture", megapixels="> 178", most=MAX_MEGAPIXELS) from error
            raise Refused("damaged_file", name=path.name[-40:]) from error
    else:
        megapixels = _megapixels_of_video(path)
    if megapixels > MAX_MEGAPIXELS:
        raise Refused("large_picture", megapixels=f"{megapixels:.0f}", most=MAX_MEGAPIXELS)
    return path


def _megapixels_of_video(path):
    """Of a frame of its largest stream, as the header has it; 0 where there is none, which reading it will tell."""
    try:
        with av.open(str(path)) as container:
            return max((stream.width * stream.height for stream in container.streams.video), default=0) / 1e6
    except Exception as error:  # whatever a file that is no video makes FFmpeg raise
        raise Refused("damaged_file", name=path.name[-40:]) from error


def _read(path, size, num_frames, fps):
    options = {"size": size, "num_frames": num_frames} | ({"fps": fps} if fps else {})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what comes after a file's first frames
            clip, _, _ = next(files.stream(path, **options))
    except (CourseError, StopIteration) as error:
        short = num_frames > 1 and "lasts" in str(error)
        raise Refused("short_clip" if short else "damaged_file", name=path.name[-40:], seconds=num_frames / (fps or 8)) from error
    return np.ascontiguousarray(clip)
