"""A video as a value: `Clip` shows, scales, saves and loads itself; `contact_sheet`, `grid` and `compare` arrange clips."""

import dataclasses
import math
from numbers import Real
from pathlib import Path

import numpy as np

from . import video_io
from .errors import CourseError, check_whole

SHOWN_HEIGHT, SHOWN_WIDTH = 192, 960  # px: on the page, small frames grow to about this height, and none is wider
SHOWN_BYTES = 64 * 1024  # of one clip on the page: a notebook holds about fifteen and stays under 1 MB


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """A short video.

    It shows itself in a notebook as an animated PNG, which plays in JupyterLab, in exported pages and in GitHub's viewer.

    Args:
        frames: uint8 array `(time, height, width, channels)`, values 0..255, channels 1 (grey) or 3 (RGB).
        fps: frames per second, 0.01 to 1000.
        caption: what happens in it, or None.

    Raises:
        CourseError: the array is no video (wrong type, dtype, shape, or empty), or the frame rate is out of range.
    """

    frames: np.ndarray
    fps: float = 8
    caption: str | None = None

    def __post_init__(self):
        frames = np.asarray(self.frames)
        if frames.dtype != np.uint8:
            raise CourseError(
                f"Clip needs uint8 frames with values 0..255, got {frames.dtype}; "
                "for a model's output in [-1, 1] use Clip.from_float(frames)."
            )
        if frames.ndim != 4 or frames.shape[-1] not in (1, 3) or 0 in frames.shape:
            raise CourseError(
                f"Clip needs frames of shape (time, height, width, channels), no side 0 and channels 1 or 3, got {frames.shape}."
            )
        check_fps(self.fps)
        object.__setattr__(self, "frames", frames)

    @classmethod
    def from_float(cls, frames, fps=8, caption=None):
        """A clip from a model's output.

        Args:
            frames: float array or tensor `(time, height, width, channels)` in [-1, 1]; values outside are clipped.
            fps: frames per second, 0.01 to 1000.
            caption: what happens in it, or None.

        Returns:
            `Clip` with uint8 frames.

        Raises:
            CourseError: NaN or infinite values, no video's shape, or a frame rate out of range.
        """
        frames = np.asarray(frames)
        if frames.dtype.kind in "biu":
            raise CourseError(f"Clip.from_float needs values in [-1, 1], got {frames.dtype}; for pixels 0..255 use Clip(frames).")
        bad = frames.size - int(np.isfinite(frames).sum())
        if bad:
            raise CourseError(
                f"{bad} of the {frames.size} values of this video {frames.shape} are NaN or infinite, so it can't be shown."
            )
        return cls(to_uint8(frames), fps=fps, caption=caption)

    @classmethod
    def load(cls, path):
        """The clip stored in a file: mp4, webm, mov, mkv, avi, gif, webp, (animated) png, jpg or bmp.

        Args:
            path: str or Path.

        Returns:
            `Clip`.

        Raises:
            CourseError: the file is missing, truncated, no video, or too long to be held in memory.
        """
        path = Path(path)
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "a pipe or device"
            raise CourseError(f"{path} is {kind}, Clip.load needs a file." if path.exists() else f"There is no file {path}.")
        readable = video_io.VIDEOS + video_io.IMAGES
        if path.suffix.lower() not in readable:
            raise CourseError(f"Can't load a clip from {path}: the suffix must be one of {', '.join(readable)}.")
        frames, fps, caption = video_io.read(path)
        return cls(frames, fps=fps, caption=caption)

    def save(self, path, scale=1):
        """Writes the clip as .mp4, .gif, .webp or .png (animated), whole or not at all.

        mp4 and gif lose a little quality; png and webp keep every pixel. Metadata in the file tell `load` the number of frames,
        the exact frame rate and the caption, which the formats themselves would round or lose. mp4 shares one colour among
        2x2 pixels, so frames with a side that is odd or below 256 are stored with every pixel doubled; `load` halves them again.

        Args:
            path: str or Path; the suffix chooses the format.
            scale: each pixel becomes `scale` x `scale` pixels in the file.

        Returns:
            Path of the file.

        Raises:
            CourseError: unknown suffix, a full disk.
        """
        path = Path(path)
        if path.suffix.lower() not in video_io.WRITABLE:
            raise CourseError(f"Can't save a clip as {path.name!r}: the suffix must be one of {', '.join(video_io.WRITABLE)}.")
        video_io.write(path, self.enlarged(scale).frames, self.fps, self.caption)
        return path

    def enlarged(self, scale):
        """The clip with every pixel repeated in both directions: crisp, no smoothing.

        Args:
            scale: how many times, a whole number from 1.

        Returns:
            `Clip` of height and width `scale` times as large.

        Raises:
            CourseError: another scale.
        """
        if int(scale) != scale or scale < 1:
            raise CourseError(f"A clip can be enlarged by a whole number from 1, got {scale}.")
        return dataclasses.replace(self, frames=video_io.repeat_pixels(self.frames, int(scale)))

    def __len__(self):
        return len(self.frames)

    def __repr__(self):
        """Length, size, colour and frame rate in a line."""
        t, h, w, c = self.frames.shape
        return f"Clip({t} frame{'s' if t > 1 else ''}, {w}x{h} {'RGB' if c == 3 else 'grey'}, {self.fps:g} fps)"

    def _repr_png_(self):
        """Exact where that is small; else with one palette of ever fewer colours for all frames."""
        clip = _shrunk(self)
        height, width = clip.frames.shape[1:3]
        scale = max(1, min(SHOWN_HEIGHT // height, SHOWN_WIDTH // width))
        data = video_io.encode_image(clip.enlarged(scale).frames, self.fps, self.caption, ".png")
        for colours in (256, 64):
            if len(data) > SHOWN_BYTES:
                data = video_io.encode_palette_png(clip.frames, self.fps, self.caption, scale, colours)
        return data


def check_fps(fps):
    """Refuses a frame rate that not every file format can hold.

    Args:
        fps: frames per second.

    Raises:
        CourseError: no number, or not in 0.01 to 1000.
    """
    low, high = video_io.FPS_RANGE
    if not (isinstance(fps, Real) and low <= fps <= high):
        raise CourseError(f"fps must be a number of frames per second from {low:g} to {high:g}, got fps={fps!r}.")


def to_uint8(frames):
    """Model values as pixels, rounded to nearest.

    Args:
        frames: float array or tensor of any shape in [-1, 1]; values outside are clipped.

    Returns:
        uint8 array of that shape, 0..255.
    """
    return np.clip(np.rint((np.asarray(frames) + 1.0) * 127.5), 0, 255).astype(np.uint8)


def to_float(frames):
    """Pixels as model values.

    Args:
        frames: uint8 array of any shape, 0..255.

    Returns:
        float32 array of that shape in [-1, 1].
    """
    return np.asarray(frames, dtype=np.float32) / 127.5 - 1.0


def contact_sheet(clip, columns=None, gap=2):
    """All frames of a clip side by side, in reading order.

    Args:
        clip: a `Clip`.
        columns: frames per row, from 1; when None, all in one row up to 8 frames, else 8.
        gap: white pixels between frames, from 0.

    Returns:
        A one-frame `Clip`.

    Raises:
        CourseError: fewer columns or a smaller gap.
    """
    columns = min(len(clip), 8) if columns is None else columns
    stills = [Clip(frame[None], fps=clip.fps) for frame in clip.frames]
    return grid(stills, columns, gap)


def grid(clips, columns=None, gap=2):
    """Many clips that play together.

    Args:
        clips: sequence of `Clip`, or a uint8 array `(N, T, H, W, C)`; all of one height and width. Shorter ones hold their
            last frame; grey and RGB may be mixed.
        columns: clips per row, from 1; about a square when None.
        gap: white pixels between clips, from 0.

    Returns:
        One `Clip`, at the frame rate of the first.

    Raises:
        CourseError: no clips, clips of different sizes, fewer columns or a smaller gap.
    """
    clips = [c if isinstance(c, Clip) else Clip(c) for c in clips]
    if not clips:
        raise CourseError("A grid needs at least one clip.")
    sizes = {clip.frames.shape[1:3] for clip in clips}
    if len(sizes) > 1:
        raise CourseError(f"A grid needs clips of one height and width, got {sorted(sizes)}.")
    (h, w), length = sizes.pop(), max(len(clip) for clip in clips)
    channels = max(clip.frames.shape[-1] for clip in clips)
    columns = math.ceil(math.sqrt(len(clips))) if columns is None else columns
    check_whole(1, columns=columns)
    check_whole(0, gap=gap)
    rows = math.ceil(len(clips) / columns)
    canvas = np.full((length, rows * (h + gap) - gap, columns * (w + gap) - gap, channels), 255, np.uint8)
    for i, clip in enumerate(clips):
        top, left = (i // columns) * (h + gap), (i % columns) * (w + gap)
        held = clip.frames[np.minimum(np.arange(length), len(clip) - 1)]
        canvas[:, top : top + h, left : left + w] = held  # grey broadcasts over RGB
    return Clip(canvas, fps=clips[0].fps)


def compare(rows, gap=2):
    """Labelled rows of clips that play together, for "before and after" or "real and generated".

    Args:
        rows: dict from label to a `Clip` or a sequence of clips (or a uint8 array `(N, T, H, W, C)`), all of one size.
        gap: white pixels between clips, from 0.

    Returns:
        One `Clip`, enlarged enough for the labels to be read.

    Raises:
        CourseError: no rows, clips of different sizes within a row, or a smaller gap.
    """
    if not rows:
        raise CourseError("compare needs at least one labelled row.")
    strips = {}
    for label, clips in rows.items():
        clips = [clips] if isinstance(clips, Clip) else list(clips)
        strips[label] = grid(clips, columns=len(clips), gap=gap)
    height = max(strip.frames.shape[1] for strip in strips.values())
    scale = max(1, 128 // height)
    labelled = [_with_label(strip.enlarged(scale), label) for label, strip in strips.items()]
    width = max(clip.frames.shape[2] for clip in labelled)
    padded = [_padded_to(clip, width) for clip in labelled]
    length = max(len(clip) for clip in padded)
    held = [clip.frames[np.minimum(np.arange(length), len(clip) - 1)] for clip in padded]
    return Clip(np.concatenate(held, axis=1), fps=labelled[0].fps)


def _with_label(clip, label):
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=14)
    width = max(clip.frames.shape[2], math.ceil(font.getlength(label)) + 8)
    bar = Image.new("RGB", (width, 20), "white")
    ImageDraw.Draw(bar).text((2, 1), label, fill="black", font=font)
    bars = np.broadcast_to(np.asarray(bar), (len(clip), 20, width, 3))
    return Clip(np.concatenate([bars, _padded_to(clip, width).frames], axis=1), fps=clip.fps)


def _padded_to(clip, width):
    t, h, w, _ = clip.frames.shape
    frames = np.full((t, h, width, 3), 255, np.uint8)
    frames[:, :, :w] = clip.frames
    return Clip(frames, fps=clip.fps)


def _shrunk(clip):
    """A clip too large for the page, reduced by a whole number."""
    from PIL import Image

    step = math.ceil(max(clip.frames.shape[1:3]) / SHOWN_WIDTH)
    if step == 1:
        return clip
    images = [Image.fromarray(frame.squeeze(-1) if frame.shape[-1] == 1 else frame).reduce(step) for frame in clip.frames]
    frames = np.stack([np.asarray(image) for image in images])
    return dataclasses.replace(clip, frames=frames.reshape(*frames.shape[:3], -1))
