"""The files world: your own videos and pictures as clips of one size, length and frame rate.

    stream(path, ...)     clips one after another, however much there is: only one is in memory at a time
    make(count, path)     the first of them, or a random choice, as `LabelledClips`
    pan(picture, count)   a camera gliding over a still picture; here the optical flow is known exactly

A folder is searched with its subfolders, in the order of names and numbers; hidden files are left out. In it,

- a video or animation (mp4, webm, mov, mkv, avi, gif, webp, png) gives one clip after another, without overlap;
- pictures of one folder whose names differ in their last number alone (walk_001.png, walk_002.png, ...) are the frames of a
  video at the asked frame rate;
- with `frames=1` every such picture is a clip of its own, as in CelebA's img_align_celeba/000001.jpg.

A single picture among videos is passed over. Damaged files are skipped, or used up to the damage, with a warning.
"""

import itertools
import os
import re
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import CourseError, check_whole
from ..video import check_fps
from ..video_io import IMAGES, VIDEOS, iter_frames
from . import LabelledClips, uniforms

LEAD = 0.02  # seconds that a frame may be shown early: the clocks of file formats are up to 0.01 s coarse


def stream(path, *, size=32, frames=16, fps=8, grey=False, seed=None):
    """Clips from a file or folder, one at a time, in bounded memory.

    Each frame is cut to its central square and resized by area; frames are picked (or repeated) so that motion keeps its tempo.

    Args:
        path: str or Path of a video, a picture or a folder.
        size: height and width of the clips, in pixels.
        frames: length of the clips; what is left at the end of a video is dropped.
        fps: frames per second of the clips, 0.01 to 1000.
        grey: True gives one channel, False RGB.
        seed: None for the order of names; an int shuffles the files (not the clips within a video).

    Returns:
        Iterator of (clip, file, start): a uint8 array `(frames, size, size, 1 or 3)`; the file's path as seen from the folder
        around `path`, with "/" between its parts, the folder's path where its pictures are frames; the second at which the
        clip starts.

    Raises:
        CourseError: a missing path, nothing usable in it, or an impossible size, length or frame rate. That no file can be
            decoded shows only at the end of the iteration.
    """
    check_whole(1, size=size, frames=frames)
    check_fps(fps)
    path = Path(os.path.abspath(path))
    if not path.exists():
        raise CourseError(f"There is no file or folder {path}.")
    sources = _sources(path, frames, fps)
    if not sources:
        raise CourseError(
            f"There are no videos in {path}: expected files that end in {', '.join(VIDEOS)} or .gif, or pictures "
            f"({', '.join(IMAGES)}) numbered as the frames of a video. For single pictures ask for frames=1, or use files.pan."
        )
    if seed is not None:
        order = np.argsort(uniforms(seed, 0, 1, len(sources))[0], kind="stable")
        sources = [sources[i] for i in order]
    return _stream(path, sources, frames, fps, fit=lambda image: _square(image, size, grey))


def make(count, path, *, size=32, frames=16, fps=8, grey=False, seed=None):
    """The first clips of `stream`, as labelled clips.

    Args:
        count: how many clips at most, all when None; a small folder gives fewer.
        path, size, frames, fps, grey, seed: as for `stream`.

    Returns:
        `LabelledClips` whose captions, in both languages, are the names of the files without suffix, and whose states are
        `file`, str `(N,)`, and `start`, float64 seconds `(N,)`.

    Raises:
        CourseError: as `stream`, or a count below 1.
    """
    if count is not None:
        check_whole(1, count=count)
    found = itertools.islice(stream(path, size=size, frames=frames, fps=fps, grey=grey, seed=seed), count)
    clips, files, starts = zip(*found, strict=True)
    captions = np.array([Path(file).stem for file in files])
    states = {"file": np.array(files), "start": np.array(starts)}
    return LabelledClips(np.stack(clips), captions, captions, states, sys.modules[__name__], fps)


def pan(picture, count=1, *, seed=0, start=0, size=32, frames=16, fps=8, grey=False):
    """Clips of a camera that glides over a still picture, from one random square to another ("Ken Burns effect").

    Args:
        picture: str or Path of a picture, or a uint8 array `(H, W)`, `(H, W, 1)` or `(H, W, 3)`.
        count: how many clips, at least 1.
        seed: non-negative int.
        start: index of the first clip.
        size, frames, fps, grey: as for `stream`.

    Returns:
        `LabelledClips` with known optical flow; the state `square`, float64 `(N, T, 3)`, holds the left and top edge and the
        side of what the camera sees, in pixels of the picture. Captions are the file's name without suffix, or "picture".

    Raises:
        CourseError: a missing or damaged picture; an impossible count, seed, start, size, length or frame rate.
    """
    check_whole(1, size=size, frames=frames)
    check_fps(fps)
    name, image = _opened(picture)
    short = min(image.size)
    draws = uniforms(seed, start, count, 6).reshape(count, 2, 3)
    side = short * (0.4 + 0.4 * draws[..., 2])
    left, top = (image.width - side) * draws[..., 0], (image.height - side) * draws[..., 1]
    ends = np.stack([left, top, side], axis=-1)  # (N, 2, 3): where the camera starts and stops
    along = np.linspace(0, 1, frames)[:, None]
    squares = ends[:, :1] * (1 - along) + ends[:, 1:] * along  # (N, T, 3)
    clips = np.stack([[_seen(image, square, size, grey) for square in way] for way in squares])
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
            "The optical flow of your own videos is not known: estimate it, or use files.pan(picture), where it is exact."
        )
    size = clips.frames.shape[2]
    corner, side = clips.states["square"][..., :2], clips.states["square"][..., 2:]
    centres = np.stack(np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5), axis=-1)  # (H, W, 2) as (x, y)
    corner, side = corner[:, :, None, None], side[:, :, None, None]  # (N, T, 1, 1, 2) and (N, T, 1, 1, 1)
    seen = corner[:, :-1] + centres * side[:, :-1] / size  # where in the picture each pixel of frame t looks
    return ((seen - corner[:, 1:]) * size / side[:, 1:] - centres).astype(np.float32)


class _Source(NamedTuple):
    """A video, or as many pictures as make one clip."""

    file: str  # the video, the picture, or the folder of the pictures
    pictures: tuple[str, ...] = ()
    start: float = 0.0  # seconds


def _sources(path, frames, fps):
    """All that clips can be cut from, in order."""
    sources = []
    for files in _groups(path):
        if _are_videos(files):
            sources += [_Source(file) for file in files]
        elif files[0].lower().endswith(IMAGES):
            folder = os.path.dirname(files[0])
            if 1 < len(files) < frames:
                warnings.warn(f"Skipped {len(files)} pictures like {files[0]}: a clip takes {frames} frames.", stacklevel=3)
            for i in range(0, len(files) - frames + 1, frames):
                sources.append(_Source(files[i] if frames == 1 else folder, tuple(files[i : i + frames]), i / fps))
    return sources


def _groups(path):
    """Lists of the files of one folder whose names differ in their last number alone."""
    if path.is_file():
        return [[str(path)]]
    groups = {}
    for folder, subfolders, names in os.walk(path):
        subfolders[:] = sorted((name for name in subfolders if not name.startswith(".")), key=_natural)
        for name in sorted((name for name in names if not name.startswith(".")), key=_natural):
            stem, suffix = os.path.splitext(name)
            without_number = re.sub(r"\d+(?=\D*$)", "#", stem)
            groups.setdefault((folder, without_number, suffix.lower()), []).append(os.path.join(folder, name))
    return groups.values()


def _natural(name):
    """A sort key by which frame2 comes before frame10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _are_videos(files):
    """Whether these are videos or animations: a glance at the first undamaged one decides."""
    from PIL import Image

    suffix = Path(files[0]).suffix.lower()
    if suffix not in (".png", ".apng", ".webp"):
        return suffix in (*VIDEOS, ".gif")
    for file in files:
        try:
            with Image.open(file) as image:
                return getattr(image, "is_animated", False)
        except Exception:  # damaged: the next will tell
            continue
    return False


def _stream(path, sources, frames, fps, fit):
    nothing = True
    for source in sources:
        name = Path(source.file).relative_to(path.parent).as_posix()
        shown = f"Skipped {name}"
        try:
            for clip, start in _clips(source, frames, fps, fit):
                nothing, shown = False, f"Skipped the rest of {name}"
                yield clip, name, start
        except Exception as error:  # decoders raise whatever they like on damaged files
            warnings.warn(f"{shown}: {error}", stacklevel=2)
    if nothing:
        raise CourseError(f"Nothing in {path} can be used: every file is damaged or shorter than a clip of {frames / fps:g} s.")


def _clips(source, frames, fps, fit):
    if source.pictures:
        yield np.stack([fit(_still(file)) for file in source.pictures]), source.start
        return
    count, window = 0, []
    for picture in _in_tempo(iter_frames(source.file), fps):
        window.append(fit(picture()))
        count += 1
        if len(window) == frames:
            yield np.stack(window), (count - frames) / fps
            window = []
    if count < frames:
        raise CourseError(f"it lasts {count / fps:g} s, a clip takes {frames / fps:g} s.")


def _in_tempo(shots, fps):
    """The picture nearest to each tick of the clock, but a picture that stays long doesn't give way before its time."""
    tick, picture, start, end = 0, None, 0.0, 0.0
    for next_start, next_end, next_picture in shots:
        while picture and tick / fps < next_start - min(LEAD, (next_start - start) / 2):
            yield picture
            tick += 1
        picture, start, end = next_picture, next_start, next_end
    while picture and tick / fps < end - min(LEAD, 0.5 / fps):
        yield picture
        tick += 1


def _square(image, size, grey):
    """The central square of a Pillow image, resized by area: uint8 `(size, size, 1 or 3)`."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return _seen(image, (left, top, side), size, grey, smooth=False)


def _seen(image, square, size, grey, smooth=True):
    from PIL import Image

    left, top, side = square
    box = (left, top, min(left + side, image.width), min(top + side, image.height))  # rounding may step over the edge
    method = Image.Resampling.BILINEAR if smooth else Image.Resampling.BOX  # areas jump when the camera glides by a fraction
    image = image.convert("L" if grey else "RGB").resize((size, size), method, box)
    return np.asarray(image).reshape(size, size, -1)


def _still(file):
    try:
        _, _, picture = next(iter_frames(file))
        return picture()
    except Exception as error:
        raise CourseError(f"{file} can't be read as a picture ({type(error).__name__}): is it damaged or cut short?") from error


def _opened(picture):
    """The name and the Pillow image of a file or array."""
    from PIL import Image

    if not isinstance(picture, np.ndarray):
        path = Path(picture)
        if not path.is_file():
            raise CourseError(f"There is no picture {path}.")
        return path.name, _still(path)
    if picture.dtype != np.uint8 or picture.shape[2:] not in ((), (1,), (3,)) or picture.ndim < 2 or 0 in picture.shape:
        raise CourseError(
            f"pan needs a uint8 picture (height, width) or (height, width, 3), got {picture.dtype} {picture.shape}."
        )
    return "picture", Image.fromarray(picture[..., 0] if picture.shape[2:] == (1,) else picture)
