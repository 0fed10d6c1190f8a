"""Tracking: the objects of clips, found by colour or brightness and followed over time, without a network and without labels.

The clips are 32x32, where a px is a unit of `worlds.shapes`; times are in frames.
"""

import dataclasses

import numpy as np
from skimage.measure import label

from ..errors import CourseError
from ..worlds import shapes

FRAME_SIZE = 32  # px
BATCH_SIZE = 64  # clips tracked at once
MIN_AREA = 6  # px^2: less is no object
MIN_COVERAGE = 0.3  # share of a pixel from which on it belongs to an object
MAX_DISTANCE = 60  # in RGB space, of a pixel from all mixtures of the background with one colour: beyond, it shows something else
MAX_FOREIGN_SHARE = 0.2  # of such pixels; real clips have 0.004 at most, flickering ones 0.016, noise 0.44, faces 0.42 at least
MAX_EXTENT = 1.35  # no corner lies further from the centre than this many radii of a disc of equal area


@dataclasses.dataclass(frozen=True, eq=False)
class Tracks:
    """Trajectories of the objects of N clips over T frames, at most K in each clip; the largest first.

    Args:
        centre: float `(N, T, K, 2)`, centre of mass (x, y) in px, NaN where the object isn't visible.
        area: float `(N, T, K)`, px^2, 0 where the object isn't visible.
        unoccluded: bool `(N, T, K)`, whether it is visible and no other object is near enough to occlude a part.
        color: int `(N, K)`, index into `shapes.COLORS`, -1 where there is no object; 0 for a digit.
        shape: int `(N, K)`, index into `shapes.SHAPES` of the template that fits best; 0 for a digit.
        num_components: int `(N, T)`, visible connected components of one colour.
    """

    centre: np.ndarray
    area: np.ndarray
    unoccluded: np.ndarray
    color: np.ndarray
    shape: np.ndarray
    num_components: np.ndarray

    @property
    def measurable(self):
        """Frames by which an object's motion is measured, bool `(N, T, K)`: those in which it is unoccluded or about as large as
        it ever is; all that show it, where these are fewer than four."""
        measurable = self.unoccluded | (self.area > 0.95 * np.maximum(self.area.max(axis=1, keepdims=True), MIN_AREA))
        return np.where(measurable.sum(axis=1, keepdims=True) >= 4, measurable, self.area > 0)

    @property
    def radius(self):
        """Radius of a disc of equal area, float `(N, K)` px, the median over measurable frames; NaN where there is no object."""
        return np.sqrt(median_over_time(np.where(self.measurable, self.area, np.nan)) / np.pi)


def track(clips, tracker):
    """Tracks the objects of clips.

    "shapes" follows up to two coloured shapes. A pixel of a shape is its colour mixed with the background's by the share that
    the shape covers, so the direction from the background's colour gives the colour, and the distance the share. In a clip with
    many pixels that are no such mixture, as of a face, there are no objects to follow. "digits" follows one bright digit on
    black.

    Args:
        clips: uint8 `(N, T, 32, 32, C)`, C = 3 for "shapes" and 1 for "digits".
        tracker: "shapes" or "digits", as the worlds name the one that knows their objects.

    Returns:
        `Tracks`, K = 2 for "shapes" and 1 for "digits".

    Raises:
        CourseError: another tracker, or clips of another size or type.

    References:
        Kang, Yue, Lu, Lin, Zhao, Wang, Huang and Feng, 2024, "How far is video generation from world model: a physical law
        perspective" (objects found by colour, held against the laws of motion).
    """
    if tracker not in TRACKERS:
        raise CourseError(f"There is no tracker {tracker!r}: choose {' or '.join(TRACKERS)}.")
    follow, channels = TRACKERS[tracker]
    clips = np.asarray(clips)
    if clips.ndim != 5 or clips.shape[2:] != (FRAME_SIZE, FRAME_SIZE, channels) or clips.dtype != np.uint8 or not len(clips):
        message = f"The tracker of {tracker} takes uint8 clips (n, time, {FRAME_SIZE}, {FRAME_SIZE}, {channels})"
        raise CourseError(f"{message}, got {clips.dtype} {clips.shape}.")
    blocks = [follow(clips[first : first + BATCH_SIZE]) for first in range(0, len(clips), BATCH_SIZE)]
    return Tracks(*(np.concatenate([getattr(b, field.name) for b in blocks]) for field in dataclasses.fields(Tracks)))


def image_moments(intensity):
    """Zeroth moment of images, their total intensity, and centroid, the first moments divided by it.

    Args:
        intensity: array `(N, T, H, H)`, at least 0: brightness, or coverage of square images.

    Returns:
        float64 `(N, T)`, the sum over all pixels: an area in px^2 where intensity is coverage; and float64 `(N, T, 2)`, the
        centroid (x, y) in px from the top left corner, pixel centres at half a px. It is (0, 0) for an empty image.

    References:
        Hu, 1962, "Visual pattern recognition by moment invariants".
    """
    centres = np.arange(intensity.shape[-1]) + 0.5
    rows, columns = intensity.sum(axis=3, dtype=np.float64), intensity.sum(axis=2, dtype=np.float64)
    total = rows.sum(axis=2)
    return total, np.stack([columns @ centres, rows @ centres], axis=-1) / np.maximum(total, 1e-9)[..., None]


def median_over_time(values):
    """Median over the second axis of what isn't NaN.

    Args:
        values: float `(N, T, ...)`.

    Returns:
        float `(N, ...)`, NaN where all values are.
    """
    empty = np.isnan(values).all(axis=1, keepdims=True)
    return np.where(empty[:, 0], np.nan, np.nanmedian(np.where(empty, 0, values), axis=1))


def _track_digit(clips):
    light = clips[..., 0] / np.float32(255)
    light = np.where(light > 0.1, light, np.float32(0))
    area, centre = (value[:, :, None] for value in image_moments(light))
    seen = area >= MIN_AREA
    none = np.zeros((len(clips), 1), int)
    color = np.where(seen.any(axis=1), 0, -1)
    components = _count_components(light > MIN_COVERAGE)
    return Tracks(np.where(seen[..., None], centre, np.nan), area * seen, seen, color, none, components)


def _track_shapes(clips):
    direction = np.array(list(shapes.COLORS.values()), np.float32) - np.array(shapes.BACKGROUND, np.float32)  # (6, 3)
    length = np.linalg.norm(direction, axis=1)
    offset = clips - np.array(shapes.BACKGROUND, np.float32)
    projected = offset @ (direction / length[:, None]).T  # (N, T, H, W, 6)
    pixel_color = projected.argmax(axis=-1)
    share = np.clip(projected.max(axis=-1) / length[pixel_color], 0, 1)
    distance = np.linalg.norm(offset - share[..., None] * direction[pixel_color], axis=-1)
    foreign = np.mean(distance > MAX_DISTANCE, axis=(1, 2, 3)) > MAX_FOREIGN_SHARE  # (N,)
    share = np.where(share >= MIN_COVERAGE, share, 0)
    each = [image_moments(np.where(pixel_color == c, share, 0)) for c in range(len(direction))]
    area, centre = np.stack([a for a, _ in each], axis=2), np.stack([c for _, c in each], axis=2)
    mean = area.mean(axis=1)  # (N, 6)
    color = np.argsort(-mean, axis=1, kind="stable")[:, :2]
    area, centre = np.take_along_axis(area, color[:, None], axis=2), np.take_along_axis(centre, color[:, None, :, None], axis=2)
    is_object = (np.take_along_axis(mean, color, axis=1) >= MIN_AREA) & ~foreign[:, None]
    color = np.where(is_object, color, -1)
    seen = (area >= MIN_AREA) & (color >= 0)[:, None]
    area, centre = area * seen, np.where(seen[..., None], centre, np.nan)
    unoccluded = seen & ~_may_overlap(centre, area)
    weight = np.where(unoccluded.any(axis=1, keepdims=True), unoccluded, seen)
    shape = _best_shape(pixel_color, share, color, centre, np.where(weight, area, np.nan), weight)
    return Tracks(centre, area, unoccluded, color, shape, _count_components(np.where(share > 0, pixel_color + 1, 0)))


TRACKERS = {"shapes": (_track_shapes, 3), "digits": (_track_digit, 1)}  # name -> function, channels


def _may_overlap(centre, area):
    """Whether two objects `(N, T, 2)` may overlap, `(N, T, 1)`; where one isn't visible, the other lies in front of it."""
    reach = MAX_EXTENT * np.sqrt(area.max(axis=1) / np.pi).sum(axis=1) + 1  # (N,)
    distance = np.linalg.norm(centre[:, :, 0] - centre[:, :, 1], axis=-1)  # NaN where one isn't visible: compares as False
    return (distance < reach[:, None])[..., None]


def _best_shape(pixel_color, share, color, centre, area, weight):
    """The shape that, rendered with an object's area at its centre, differs least from its pixels, over frames with a weight."""
    area = median_over_time(area)
    difference = np.empty((*color.shape, len(shapes.SHAPES)))
    for kind in range(len(shapes.SHAPES)):
        radius = np.nan_to_num(np.sqrt(area / shapes.AREA[kind])).astype(np.float32)  # (N, K)
        offset = (0.3 if shapes.SHAPES[kind] == "triangle" else 0.0) * radius  # its centre of mass lies below its middle
        position = np.nan_to_num(centre - np.stack([0 * offset, offset], axis=-1)[:, None]).astype(np.float32)
        states = {"shape": np.where(color >= 0, kind, -1), "radius": radius, "position": position}
        for k in range(color.shape[1]):
            own = np.where(pixel_color == color[:, k, None, None, None], share, 0)
            wrong = np.abs(own - shapes.coverage(states, k, FRAME_SIZE)).sum(axis=(2, 3))
            difference[:, k, kind] = np.sum(wrong * weight[:, :, k], axis=1)
    return difference.argmin(axis=2)


def _count_components(kinds):
    """Connected components of one kind in each frame, `(N, T)`; `kinds` `(N, T, H, W)` is 0 on the background."""
    n, times = kinds.shape[:2]
    kinds = kinds.reshape(n * times, *kinds.shape[2:]).astype(np.int32)
    # All frames at once, as one volume: a kind has another number in every other frame, so nothing connects through time.
    labels = label(np.where(kinds > 0, kinds + 7 * (np.arange(n * times) % 2)[:, None, None], 0), background=0, connectivity=2)
    frame = np.zeros(labels.max() + 1, int)
    frame[labels] = np.arange(n * times)[:, None, None]  # a label lies in one frame
    large = np.bincount(labels.ravel()) >= MIN_AREA
    large[0] = False
    return np.bincount(frame[large], minlength=n * times).reshape(n, times)
