"""A video as a value: `Clip` displays, enlarges, saves and loads itself; `grid`, `compare` and others arrange clips on a page."""

import dataclasses
import math
import textwrap
from fractions import Fraction
from numbers import Integral, Real
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from . import video_io
from .errors import CourseError, check_whole

LUMA = (0.299, 0.587, 0.114)  # shares of red, green and blue in how light a colour looks (ITU-R BT.601)
DISPLAY_HEIGHT, MIN_DISPLAY_HEIGHT = 192, 128  # px: in a notebook, small clips are enlarged to about the first of them
DISPLAY_WIDTH = 900  # px: what is wider, a page scales down, and smooths
DISPLAY_BYTES = 96 * 1024  # of one clip in a notebook, which should stay under 1.5 MB
MIN_DISPLAY_FRAMES = 4  # of a clip whose frames need more bytes than that
MAX_ENCODED_BYTES = 2**26  # of pixels that are compressed for a notebook: more takes too long
NUM_STRIP_FRAMES = 4  # frames in the filmstrip beside a clip
FONT_SIZE, LINE_HEIGHT = 14, 20  # px: 14 px are 10.5 pt on a page
LINE_LENGTH = 90  # characters of a label, in a line that fits the page


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """A short video.

    It shows itself in a notebook as an animated PNG, which plays in JupyterLab, in exported pages and in GitHub's viewer.

    Args:
        frames: uint8 array `(time, height, width, channels)`, values 0..255, channels 1 (grey) or 3 (RGB).
        fps: frames per second, 0.01 to 1000.
        caption: str that describes it, or None.
        tile_height: in a grid of clips, the height of one of them in pixels: it decides how far the grid is enlarged where it
            is displayed. None for a single clip.

    Raises:
        CourseError: the array is no video (wrong type, dtype, shape, or empty), the frame rate is out of range, or the caption
            is no text.
    """

    frames: np.ndarray
    fps: float = 8
    caption: str | None = None
    tile_height: int | None = None

    def __post_init__(self):
        frames = _as_array(self.frames)
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
        if not isinstance(self.caption, str | None):
            raise CourseError(f"A caption must be a text or None, got {self.caption!r}.")
        caption = None if self.caption is None else str(self.caption)
        for name, value in (("frames", frames), ("fps", _plain(self.fps)), ("caption", caption)):
            object.__setattr__(self, name, value)  # the class is frozen

    @classmethod
    def from_float(cls, frames, fps=8, caption=None):
        """A clip from a model's output.

        Args:
            frames: float array or tensor `(time, height, width, channels)` in [-1, 1]; values outside are clipped.
            fps: frames per second, 0.01 to 1000.
            caption: str that describes it, or None.

        Returns:
            `Clip` with uint8 frames.

        Raises:
            CourseError: no floats, NaN or infinite values, no video's shape, or a frame rate out of range.
        """
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
            CourseError: unknown suffix, another scale than `enlarged` takes, a full disk.
        """
        path = Path(path)
        if path.suffix.lower() not in video_io.WRITABLE:
            raise CourseError(f"Can't save a clip as {path.name!r}: the suffix must be one of {', '.join(video_io.WRITABLE)}.")
        video_io.write(path, self.enlarged(scale).frames, self.fps, self.caption)
        return path

    def enlarged(self, scale):
        """The clip with every pixel repeated in both directions: nearest neighbour, no smoothing.

        Args:
            scale: how many times, a whole number from 1.

        Returns:
            `Clip` of height and width `scale` times as large.

        Raises:
            CourseError: another scale, or one that would fill the memory.
        """
        if not (isinstance(scale, Real) and math.isfinite(scale) and int(scale) == scale and scale >= 1):
            raise CourseError(f"A clip can be enlarged by a whole number from 1, got scale={scale!r}.")
        _check_memory(self.frames.size * int(scale) ** 2, f"Enlarged {scale} times, this clip")
        tile_height = self.tile_height and self.tile_height * int(scale)
        return dataclasses.replace(self, frames=video_io.repeat_pixels(self.frames, int(scale)), tile_height=tile_height)

    def __len__(self):
        return len(self.frames)

    def __repr__(self):
        """Length, size, colour and frame rate in a line."""
        t, h, w, c = self.frames.shape
        return f"Clip({t} frame{'s' if t > 1 else ''}, {w}x{h} {'RGB' if c == 3 else 'grey'}, {self.fps:g} fps)"

    def _repr_png_(self):
        """An animated PNG in true colours, at least 128 px high; what would be too large for a notebook has fewer frames.

        Beside a clip whose first frame is empty stands a filmstrip: printed, or before it plays, it would show nothing.
        """
        clip, num_columns = self, _columns_on_page(self, 1 + NUM_STRIP_FRAMES, gap=2)
        if num_columns > 1 and _starts_empty(self.frames):
            clip = grid([self, *_single_frames(self, 1 + NUM_STRIP_FRAMES)[1:]], num_columns)
        least = clip.frames.size * _page_scale(clip, MIN_DISPLAY_HEIGHT) ** 2
        step = math.ceil(least / MAX_ENCODED_BYTES)
        data = _page_png(clip, DISPLAY_HEIGHT, step)
        if len(data) > DISPLAY_BYTES:
            data = _page_png(clip, MIN_DISPLAY_HEIGHT, step)
        while len(data) > DISPLAY_BYTES and step < len(clip) // MIN_DISPLAY_FRAMES:
            step = min(len(clip) // MIN_DISPLAY_FRAMES, max(step + 1, math.ceil(step * len(data) / DISPLAY_BYTES)))
            data = _page_png(clip, MIN_DISPLAY_HEIGHT, step)
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

    Raises:
        CourseError: no floats, or NaN or infinite values.
    """
    values = _as_array(frames)
    if values.dtype.kind != "f" and values.dtype.name != "bfloat16":
        raise CourseError(f"Only floats in [-1, 1] can become pixels, got {values.dtype}; pixels 0..255 need no conversion.")
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise CourseError(f"{bad} of the {values.size} values of this array {values.shape} are NaN or infinite: no pixels.")
    values = values.astype(np.float32) if values.itemsize < 4 else values  # half precision rounds to few of the 256 values
    return np.clip(np.rint((values + 1.0) * 127.5), 0, 255).astype(np.uint8)


def to_float(frames):
    """Pixels as model values.

    Args:
        frames: uint8 array or tensor of any shape, 0..255.

    Returns:
        float32 array of that shape in [-1, 1].

    Raises:
        CourseError: another dtype; floats are model values already.
    """
    pixels = _as_array(frames)
    if pixels.dtype != np.uint8:
        raise CourseError(f"Only uint8 pixels 0..255 become model values, got {pixels.dtype}; floats are such.")
    return pixels.astype(np.float32) / 127.5 - 1.0


def _as_array(values):
    try:
        return np.asarray(values)
    except (TypeError, ValueError) as error:
        raise CourseError(f"Frames must be one array, of one height and width: {type(values).__name__} isn't.") from error


def _plain(number):
    """Without NumPy's or other types, which print differently."""
    return int(number) if isinstance(number, Integral) else float(number)


def _check_memory(size, what):
    if size > video_io.MAX_BYTES:
        raise CourseError(f"{what} would take {size / 1e6:.0f} MB, more than {video_io.MAX_BYTES >> 20}: make it smaller.")


def grid(clips, num_columns=None, gap=2):
    """Many clips that play together.

    Args:
        clips: sequence of `Clip`, or a uint8 array `(N, T, H, W, C)`; all of one height and width. Shorter ones hold their
            last frame; grey and RGB may be mixed.
        num_columns: clips per row, from 1; about a square when None.
        gap: white pixels between clips, from 0.

    Returns:
        One `Clip`, at the frame rate of the first.

    Raises:
        CourseError: no clips, clips of different sizes, fewer columns, a smaller gap, or more than the memory should hold.
    """
    clips = [c if isinstance(c, Clip) else Clip(c) for c in clips]
    if not clips:
        raise CourseError("A grid needs at least one clip.")
    sizes = {clip.frames.shape[1:3] for clip in clips}
    if len(sizes) > 1:
        raise CourseError(f"A grid needs clips of one height and width, got {sorted(sizes)}.")
    num_columns = math.ceil(math.sqrt(len(clips))) if num_columns is None else num_columns
    check_whole(1, num_columns=num_columns)
    check_whole(0, gap=gap)
    num_columns = min(num_columns, len(clips))
    (h, w), length = sizes.pop(), max(len(clip) for clip in clips)
    channels = max(clip.frames.shape[-1] for clip in clips)
    shape = length, math.ceil(len(clips) / num_columns) * (h + gap) - gap, num_columns * (w + gap) - gap, channels
    _check_memory(math.prod(shape), "This grid")
    canvas = np.full(shape, 255, np.uint8)
    for i, clip in enumerate(clips):
        top, left = (i // num_columns) * (h + gap), (i % num_columns) * (w + gap)
        canvas[:, top : top + h, left : left + w] = _held(clip.frames, length)  # grey broadcasts over RGB
    return Clip(canvas, fps=clips[0].fps, tile_height=min(_tile(clip) for clip in clips))


def contact_sheet(clip, num_columns=None, gap=2):
    """All frames of a clip side by side, in reading order.

    Args:
        clip: a `Clip`.
        num_columns: frames per row, from 1; when None, as many as a page shows at a good size, in rows of equal length.
        gap: white pixels between frames, from 0.

    Returns:
        A one-frame `Clip`.

    Raises:
        CourseError: as `grid`.
    """
    return grid(_single_frames(clip), _columns_on_page(clip, len(clip), gap) if num_columns is None else num_columns, gap)


def filmstrip(clip, num_frames=6, gap=2):
    """Evenly spaced frames of a clip in a row, the first and the last among them: what happens, where nothing plays.

    `compare({"clip": clip, "its frames": filmstrip(clip)})` puts it below the clip.

    Args:
        clip: a `Clip`.
        num_frames: how many, from 1; a clip with fewer gives all.
        gap: white pixels between frames, from 0.

    Returns:
        A one-frame `Clip`.

    Raises:
        CourseError: no whole number of frames, or as `grid`.
    """
    return grid(_single_frames(clip, num_frames), num_frames, gap)


def compare(rows, gap=2):
    """Labelled rows of clips that play together, for "before and after" or "real and generated".

    Each row is enlarged by a whole number so that its clips are at least 128 px high where the page allows it, and broken
    into lines that fit the page, so that no page scales it down and the labels stay readable.

    Args:
        rows: dict from label to a `Clip` or a sequence of clips (or a uint8 array `(N, T, H, W, C)`), all of one size.
        gap: white pixels between clips before they are enlarged, from 0.

    Returns:
        One `Clip`, at the frame rate of the first row.

    Raises:
        CourseError: no rows, or as `grid`.
    """
    if not rows:
        raise CourseError("compare needs at least one labelled row.")
    parts, strips = [], []
    for label, clips in rows.items():
        clips = [clips] if isinstance(clips, Clip) else [c if isinstance(c, Clip) else Clip(c) for c in clips]
        num_columns = _columns_on_page(clips[0], len(clips), gap) if clips else None
        strips.append(_scaled_to_page(grid(clips, num_columns, gap), MIN_DISPLAY_HEIGHT))
        parts += [_text_image(str(label)), strips[-1].frames]
    return Clip(_stacked(parts), fps=strips[0].fps, tile_height=min(_tile(strip) for strip in strips))


def _tile(clip):
    """Height of one of the clips of a grid, or of the clip itself."""
    return clip.tile_height or clip.frames.shape[1]


def _held(frames, length):
    """The last frame repeated, up to `length` frames."""
    return frames[np.minimum(np.arange(length), len(frames) - 1)]


def _single_frames(clip, num_frames=None):
    """All frames, or evenly spaced ones, as clips of one frame each."""
    frames = clip.frames
    if num_frames is not None:
        check_whole(1, num_frames=num_frames)
        frames = frames[np.rint(np.linspace(0, len(clip) - 1, min(num_frames, len(clip)))).astype(int)]
    return [Clip(frame[None], fps=clip.fps, tile_height=clip.tile_height) for frame in frames]


def _starts_empty(frames):
    """Whether the first frame has next to no contrast, and a later one has: where nothing plays, a reader sees nothing."""
    contrast = np.ptp(frames, axis=(1, 2)).max(axis=-1)  # (T,)
    return contrast[0] < contrast.max() / 8


def _page_scale(clip, height):
    """By which whole number a clip is enlarged on a page, to about a height, or (as a fraction) reduced where it is too large."""
    tile, width = _tile(clip), clip.frames.shape[2]
    if max(tile, width) > DISPLAY_WIDTH:
        return Fraction(1, math.ceil(max(tile, width) / DISPLAY_WIDTH))
    enough = max(math.ceil(MIN_DISPLAY_HEIGHT / tile), height // tile)
    return Fraction(max(1, min(enough, DISPLAY_WIDTH // width)))


def _columns_on_page(clip, count, gap):
    """How many clips stand in a line of a page, in lines of equal length."""
    check_whole(0, gap=gap)
    scale = _page_scale(clip, MIN_DISPLAY_HEIGHT)
    fitting = max(1, (DISPLAY_WIDTH / scale + gap) // (clip.frames.shape[2] + gap))
    return math.ceil(count / math.ceil(count / fitting))


def _scaled_to_page(clip, height):
    scale = _page_scale(clip, height)
    if scale >= 1:
        return clip.enlarged(int(scale))
    factor = scale.denominator
    images = [Image.fromarray(frame.squeeze(-1) if frame.shape[-1] == 1 else frame).reduce(factor) for frame in clip.frames]
    frames = np.stack([np.asarray(image) for image in images])
    return Clip(frames.reshape(*frames.shape[:3], -1), clip.fps, tile_height=math.ceil(_tile(clip) / factor))


def _page_png(clip, height, step):
    """Every `step`-th frame of a clip as it is shown on a page, at the same speed."""
    page = _scaled_to_page(dataclasses.replace(clip, frames=clip.frames[::step]), height).frames
    if step > 1:
        page = _stacked([page, _text_image(f"{len(page)} of {len(clip)} frames")])
    return video_io.encode_image(page, max(clip.fps / step, video_io.FPS_RANGE[0]), clip.caption, ".png")


def _text_image(text):
    """Black text on white, in lines that fit the page: uint8 `(1, height, width, 1)`."""
    import matplotlib  # its font has Greek letters, arrows and signs of mathematics; Pillow's own has none

    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), FONT_SIZE)
    lines = textwrap.wrap(text, LINE_LENGTH) or [""]
    width = math.ceil(max(font.getlength(line) for line in lines)) + 8
    image = Image.new("L", (width, LINE_HEIGHT * len(lines) + 8), "white")
    for i, line in enumerate(lines):
        ImageDraw.Draw(image).text((2, LINE_HEIGHT * i + 5), line, fill="black", font=font)
    return np.asarray(image)[None, ..., None]


def _stacked(parts):
    """Videos below each other: white where one is narrower, the last frame held where one is shorter."""
    length, width, channels = (max(part.shape[axis] for part in parts) for axis in (0, 2, 3))
    canvas = np.full((length, sum(part.shape[1] for part in parts), width, channels), 255, np.uint8)
    top = 0
    for part in parts:
        canvas[:, top : top + part.shape[1], : part.shape[2]] = _held(part, length)
        top += part.shape[1]
    return canvas
