"""The files world: your own videos and images as clips of one size, length and frame rate.

    stream(path, ...)     clips one after another, however much there is: only one is in memory at a time
    make(count, path)     the first of them, or a random choice, as `LabelledClips`
    pan(image, count)     a camera gliding over a still image; here the optical flow is known exactly

A folder is searched with its subfolders, in the order of names and numbers; hidden files are left out. In it,

- a video or animation (mp4, webm, mov, mkv, avi, gif, webp, png) gives one clip after another, without overlap;
- images of one folder whose names differ in their last number alone (walk_001.png, walk_002.png, ...) are the frames of a
  video at the frame rate of the clips;
- with `num_frames=1` every such image is a clip of its own, as in CelebA's img_align_celeba/000001.jpg.

A single image among videos is passed over. Damaged files are skipped, or used up to the damage, with a warning.
"""

import itertools
import os
import re
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..errors import CourseError, check_whole
from ..video import check_fps
from ..video_io import IMAGES, MAX_BYTES, VIDEOS, iter_frames, open_image
from . import LabelledClips, uniforms

TIMESTAMP_TOLERANCE_S = 0.02  # a frame may be displayed so much early: time stamps of file formats are up to 0.01 s coarse


def stream(path, *, size=32, num_frames=16, fps=8, grey=False, seed=None):
    """Clips from a file or folder, one at a time, in bounded memory.

    Each frame is cropped to its central square and resized by area; frames are dropped or repeated so that motion keeps its
    speed.

    Args:
        path: str or Path of a video, an image or a folder.
        size: height and width of the clips, in pixels.
        num_frames: length of the clips; what is left at the end of a video is dropped.
        fps: frames per second of the clips, 0.01 to 1000.
        grey: True gives one channel, False RGB.
        seed: None for the order of names; an int shuffles the files (not the clips within a video).

    Returns:
        Iterator of (clip, file, start_s): a uint8 array `(num_frames, size, size, 1 or 3)`; the file's path as seen from the
        folder around `path`, with "/" between its parts, the folder's path where its images are frames; the second at which
        the clip starts.

    Raises:
        CourseError: a missing path, nothing usable in it, or an impossible size, length or frame rate. That no file can be
            decoded shows only at the end of the iteration.
    """
    _check_format(size, num_frames, fps)
    path = Path(os.path.abspath(path))
    if not path.exists():
        raise CourseError(f"There is no file or folder {path}.")
    if not (path.is_file() or path.is_dir()):
        raise CourseError(f"{path} is a pipe or device: give a file or folder.")
    skipped = []
    sources = _sources(path, num_frames, fps, skipped)
    if not sources:
        raise _nothing_usable(path, skipped)
    if seed is not None:
        order = np.argsort(uniforms(seed, 0, 1, len(sources))[0], kind="stable")
        sources = [sources[i] for i in order]
    return _stream(path, sources, skipped, num_frames, fps, fit=lambda image: _central_square(image, size, grey))


def make(count, path, *, size=32, num_frames=16, fps=8, grey=False, seed=None):
    """The first clips of `stream`, as labelled clips.

    Args:
        count: how many clips at most, all when None; a small folder gives fewer.
        path, size, num_frames, fps, grey, seed: as for `stream`.

    Returns:
        `LabelledClips` whose captions, in both languages, are the names of the files without suffix, and whose states are
        `file`, str `(N,)`, and `start_s`, float64 seconds `(N,)`.

    Raises:
        CourseError: as `stream`, or a count below 1.
    """
    if count is not None:
        check_whole(1, count=count)
        count = min(count, sys.maxsize)  # the most that islice takes
    found = itertools.islice(stream(path, size=size, num_frames=num_frames, fps=fps, grey=grey, seed=seed), count)
    clips, files, starts = zip(*found, strict=True)
    captions = np.array([Path(file).stem for file in files])
    states = {"file": np.array(files), "start_s": np.array(starts)}
    return LabelledClips(np.stack(clips), captions, captions, states, sys.modules[__name__], fps)


def pan(image, count=1, *, seed=0, start=0, size=32, num_frames=16, fps=8, grey=False):
    """Clips of a camera that glides over a still image, from one random square to another ("Ken Burns effect").

    Args:
        image: str or Path of an image, or a uint8 array `(H, W)`, `(H, W, 1)` or `(H, W, 3)`.
        count: how many clips, at least 1.
        seed: non-negative int.
        start: index of the first clip.
        size, num_frames, fps, grey: as for `stream`.

    Returns:
        `LabelledClips` with known optical flow; the state `square`, float64 `(N, T, 3)`, holds the left and top edge and the
        side of the camera's field of view, in pixels of the image. Captions are the file's name without suffix, or "image".

    Raises:
        CourseError: a missing or damaged image; an impossible count, seed, start, size, length or frame rate.
    """
    _check_format(size, num_frames, fps)
    name, image = _as_image(image)
    short = min(image.size)
    draws = uniforms(seed, start, count, 6).reshape(count, 2, 3)
    side = short * (0.4 + 0.4 * draws[..., 2])
    left, top = (image.width - side) * draws[..., 0], (image.height - side) * draws[..., 1]
    ends = np.stack([left, top, side], axis=-1)  # (N, 2, 3): where the camera starts and stops
    progress = np.linspace(0, 1, num_frames)[:, None]
    squares = ends[:, :1] * (1 - progress) + ends[:, 1:] * progress  # (N, T, 3)
    clips = np.stack([[_crop(image, square, size, grey) for square in path] for path in squares])
    captions = np.array([Path(name).stem] * count)
    states = {"file": np.array([name] * count), "square": squares}
    return LabelledClips(clips, captions, captions, states, sys.modules[__name__], fps)


def optical_flow(clips):
    """Exact forward flow of the clips of `pan`.

    Args:
        clips: `LabelledClips` of this world.

    Returns:
        float32 `(N, T-1, H, W, 2)`, (dx, dy) in pixels per frame.

    Raises:
        CourseError: clips of other files, whose flow nobody knows.
    """
    if "square" not in clips.states:
        raise CourseError(
            "The optical flow of your own videos is not known: estimate it, or use vidgen_tf.worlds.files.pan(image), "
            "where it is exact."
        )
    size = clips.frames.shape[2]
    corner, side = clips.states["square"][..., :2], clips.states["square"][..., 2:]
    centres = np.stack(np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5), axis=-1)  # (H, W, 2) as (x, y)
    corner, side = corner[:, :, None, None], side[:, :, None, None]  # (N, T, 1, 1, 2) and (N, T, 1, 1, 1)
    seen = corner[:, :-1] + centres * side[:, :-1] / size  # the place in the image that each pixel of frame t shows
    return ((seen - corner[:, 1:]) * size / side[:, 1:] - centres).astype(np.float32)


def _check_format(size, num_frames, fps):
    check_whole(1, size=size, num_frames=num_frames)
    check_fps(fps)
    if 3 * num_frames * size**2 > MAX_BYTES:
        raise CourseError(f"Clips of size={size} and num_frames={num_frames} take over {MAX_BYTES >> 20} MB each: ask for less.")


class _Source(NamedTuple):
    """A video, or as many images as make one clip."""

    file: str  # the video, the image, or the folder of the images
    images: tuple[str, ...] = ()
    start_s: float = 0.0


def _sources(path, num_frames, fps, skipped):
    """All that clips can be cut from, in order; sentences about the rest go to the list `skipped`."""
    sources = []
    for files in _groups(path, skipped):
        if _are_videos(files):
            sources += [_Source(file) for file in files]
        elif files[0].lower().endswith(IMAGES):
            folder = os.path.dirname(files[0])
            if 1 < len(files) < num_frames:
                skipped.append(
                    f"{len(files)} images like {files[0]} are fewer than the {num_frames} frames of a clip: ask for fewer."
                )
            for i in range(0, len(files) - num_frames + 1, num_frames):
                sources.append(_Source(files[i] if num_frames == 1 else folder, tuple(files[i : i + num_frames]), i / fps))
    return sources


def _groups(path, skipped):
    """Lists of the files of one folder whose names differ in their last number alone; pipes and devices are no files."""
    if path.is_file():
        return [[str(path)]]
    groups = {}
    for folder, subfolders, names in os.walk(path, onerror=lambda error: skipped.append(f"{error.filename} can't be opened.")):
        subfolders[:] = sorted((name for name in subfolders if not name.startswith(".")), key=_natural)
        for name in sorted((name for name in names if not name.startswith(".")), key=_natural):
            file = os.path.join(folder, name)
            stem, suffix = os.path.splitext(name)
            without_number = re.sub(r"\d+(?=\D*$)", "#", stem)
            if os.path.isfile(file):
                groups.setdefault((folder, without_number, suffix.lower()), []).append(file)
    return groups.values()


def _natural(name):
    """A sort key by which frame2 comes before frame10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _are_videos(files):
    """Whether these are videos or animations: a glance at the first undamaged one decides."""
    suffix = Path(files[0]).suffix.lower()
    if suffix not in (".png", ".apng", ".webp"):
        return suffix in (*VIDEOS, ".gif")
    for file in files:
        try:
            with open_image(file) as image:
                return getattr(image, "is_animated", False)
        except Exception:  # damaged: the next one decides
            continue
    return False


def _stream(path, sources, skipped, num_frames, fps, fit):
    """The clips of `sources`. Sentences about what is skipped become warnings once there is a clip, else one error."""
    nothing = True
    for source in sources:
        name, used = Path(source.file).relative_to(path.parent).as_posix(), False
        try:
            for clip, start_s in _clips(source, num_frames, fps, fit):
                nothing, used = False, True
                _warn(skipped)
                yield clip, name, start_s
        except CourseError as error:
            if used:
                warnings.warn(f"Used up to the damage: {error}", stacklevel=2)
            else:
                skipped.append(str(error))
        if not nothing:
            _warn(skipped)
    if nothing:
        raise _nothing_usable(path, skipped)


def _warn(skipped):
    while skipped:
        warnings.warn(f"Skipped: {skipped.pop(0)}", stacklevel=3)


def _nothing_usable(path, skipped):
    if not skipped:
        return CourseError(
            f"There are no videos in {path}: expected files that end in {', '.join(VIDEOS)} or .gif, or images "
            f"({', '.join(IMAGES)}) numbered as the frames of a video. For single images call, in Python, "
            "vidgen_tf.worlds.files.make(count, path, num_frames=1), or vidgen_tf.worlds.files.pan(image)."
        )
    more = f" So it is with {len(skipped) - 1} more." if len(skipped) > 1 else ""
    return CourseError(skipped[0] if path.is_file() else f"Nothing in {path} can be used: {skipped[0]}{more}")


def _clips(source, num_frames, fps, fit):
    if source.images:
        yield np.stack([fit(_first_frame(file)) for file in source.images]), source.start_s
        return
    count, window = 0, []
    for to_image in _at_frame_rate(iter_frames(source.file), fps):
        window.append(fit(to_image()))
        count += 1
        if len(window) == num_frames:
            yield np.stack(window), (count - num_frames) / fps
            window = []
    if count < num_frames:
        raise CourseError(f"{source.file} lasts {count / fps:g} s, a clip takes {num_frames / fps:g} s: ask for fewer frames.")


def _at_frame_rate(frames, fps):
    """Resamples in time: the frame nearest to each tick, but one that is displayed for long doesn't end before its time."""
    tick, to_image, start, end = 0, None, 0.0, 0.0
    for next_start, next_end, next_image in frames:
        while to_image and tick / fps < next_start - min(TIMESTAMP_TOLERANCE_S, (next_start - start) / 2):
            yield to_image
            tick += 1
        to_image, start, end = next_image, next_start, next_end
    while to_image and tick / fps < end - min(TIMESTAMP_TOLERANCE_S, 0.5 / fps):
        yield to_image
        tick += 1


def _central_square(image, size, grey):
    """The central square of a Pillow image, resized by area: uint8 `(size, size, 1 or 3)`."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return _crop(image, (left, top, side), size, grey, smooth=False)


def _crop(image, square, size, grey, smooth=True):
    left, top, side = square
    box = (left, top, min(left + side, image.width), min(top + side, image.height))  # rounding may step over the edge
    method = Image.Resampling.BILINEAR if smooth else Image.Resampling.BOX  # areas jump when the camera glides by a fraction
    image = image.convert("L" if grey else "RGB").resize((size, size), method, box)
    return np.asarray(image).reshape(size, size, -1)


def _first_frame(file):
    _, _, to_image = next(iter_frames(file))
    return to_image()


def _as_image(image):
    """The name and the Pillow image of a file or array."""
    if not isinstance(image, np.ndarray):
        path = Path(image)
        if not path.is_file():
            raise CourseError(f"There is no image file {path}.")
        return path.name, _first_frame(path)
    if image.dtype != np.uint8 or image.shape[2:] not in ((), (1,), (3,)) or image.ndim < 2 or 0 in image.shape:
        raise CourseError(f"pan needs a uint8 image (height, width) or (height, width, 3), got {image.dtype} {image.shape}.")
    return "image", Image.fromarray(image[..., 0] if image.shape[2:] == (1,) else image)
