"""Pictures and drawings of a user's own, fitted to what the models of faces take, and whether they know such pictures."""

import itertools
import warnings

import numpy as np
from scipy import ndimage
from skimage.draw import line
from skimage.filters import threshold_otsu
from skimage.morphology import skeletonize

from ..datasets import load
from ..errors import CourseError
from ..worlds import files, sketches

SIZE = 64  # of pictures and sketches, px
FINE = 4  # times as large is a drawing in which lines are looked for
NOVELTY_THRESHOLD = 1.5  # times as far from the nearest known picture as any of them is from its own nearest one


def open_picture(path, size=SIZE, grey=False):
    """The central square of a picture of any size and mode.

    Args:
        path: str or Path of an image file, or of a video, whose first frame is taken.
        size: height and width, px.
        grey: whether to give one channel.

    Returns:
        uint8 `(size, size, 1 or 3)`.

    Raises:
        CourseError: no such file, or one that can't be read as a picture.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what comes after a file's first frame
        clip = next(files.stream(path, size=size, num_frames=1, grey=grey), None)
    if clip is None:
        raise CourseError(f"{path} can't be read as a picture.")
    return np.ascontiguousarray(clip[0][0])


def open_sketch(path):
    """A drawing as thin lines: dark ones on a light ground, or the reverse, in any width.

    Args:
        path: str or Path of an image file.

    Returns:
        bool `(64, 64)`, True on a line.

    Raises:
        CourseError: no such file, no picture, or one without lines.
    """
    return find_lines(open_picture(path, SIZE * FINE, grey=True)[..., 0], path)


def find_lines(drawing, name="The drawing"):
    """The middle of a drawing's strokes.

    Args:
        drawing: uint8 `(256, 256)`.
        name: what an error calls it.

    Returns:
        bool `(64, 64)`.

    Raises:
        CourseError: a drawing without lines.
    """
    ink = np.abs(drawing.astype(np.int16) - int(np.median(drawing)))  # how far from the ground, which is most of it
    if ink.max() < 40:
        raise CourseError(f"{name} has no lines: draw a face with dark lines on a light ground, as large as the picture.")
    lines = skeletonize(ink > threshold_otsu(ink.astype(np.uint8)))
    blocks = lines.reshape(SIZE, FINE, SIZE, FINE)
    return skeletonize(blocks.any(axis=(1, 3)))


def novelty_score(picture):
    """How far a picture is from the faces that the models know, as a share of how far these are from each other.

    Colours are compared, place by place: it tells a photograph of a landscape, or a face in a corner, from a drawn face.

    Args:
        picture: uint8 `(64, 64, 3)`.

    Returns:
        float; up to 1 for a picture of the data set, above `NOVELTY_THRESHOLD` for one that is unlike all of them.
    """
    known = sketches.color_layout(load("faces", "validation").frames[:, 0]).astype(np.float32)
    known = known.reshape(len(known), -1)
    apart = np.abs(known[:, None] - known).mean(axis=2)
    np.fill_diagonal(apart, np.inf)
    own = sketches.color_layout(picture[None]).astype(np.float32).reshape(1, -1)
    return float(np.abs(known - own).mean(axis=1).min() / apart.min(axis=1).max())


def draw_strokes(strokes, width_px=2):
    """Paths of a pen as a drawing.

    Args:
        strokes: list of paths, each a list of (x, y) from 0 to 100, the side of the drawing.
        width_px: int, of a stroke.

    Returns:
        uint8 `(256, 256)`, black strokes on white.
    """
    size = SIZE * FINE
    ink = np.zeros((size, size), bool)
    for path in strokes:
        points = np.clip(np.rint(np.asarray(path) * (size / 100)).astype(int), 0, size - 1)
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            ink[line(y0, x0, y1, x1)] = True
    ink = ndimage.binary_dilation(ink, iterations=width_px // 2)
    return np.where(ink, 0, 255).astype(np.uint8)
