"""A video as a value: `Clip` shows, scales, saves and loads itself; `contact_sheet`, `grid` and `compare` arrange clips."""

import dataclasses
import json
import math
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from .atomic import atomic_path
from .errors import CourseError

SUFFIXES = (".mp4", ".gif", ".webp", ".png")
SHOWN_HEIGHT = 192  # px: smaller frames are enlarged to about this height on the page


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """A short video.

    It shows itself in a notebook as an animated PNG, which plays in JupyterLab, in exported pages and in GitHub's viewer.

    Args:
        frames: uint8 array `(time, height, width, channels)`, values 0..255, channels 1 (grey) or 3 (RGB).
        fps: frames per second, positive.
        caption: what happens in it, or None.

    Raises:
        CourseError: the array is no video: wrong type, dtype, shape, or empty.
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
                f"Clip needs frames of shape (time, height, width, channels), none of them 0 and channels 1 or 3, got {frames.shape}."
            )
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise CourseError(f"Clip needs a positive number of frames per second, got {self.fps}.")
        object.__setattr__(self, "frames", frames)

    @classmethod
    def from_float(cls, frames, fps=8, caption=None):
        """A clip from a model's output.

        Args:
            frames: float array or tensor `(time, height, width, channels)` in [-1, 1]; values outside are clipped.
            fps: frames per second.
            caption: what happens in it, or None.

        Raises:
            CourseError: NaN or infinite values, or no video's shape.
        """
        frames = np.asarray(frames, dtype=np.float32)
        bad = frames.size - int(np.isfinite(frames).sum())
        if bad:
            raise CourseError(f"{bad} of the {frames.size} values of this video {frames.shape} are NaN or infinite, so it can't be shown.")
        return cls(to_uint8(frames), fps=fps, caption=caption)

    @classmethod
    def load(cls, path):
        """The clip stored in a file: mp4 (or whatever else FFmpeg decodes), gif, webp, or (animated) png.

        Args:
            path: str or Path.

        Raises:
            CourseError: the file is missing, truncated or no video.
        """
        path = Path(path)
        if not path.is_file():
            raise CourseError(f"There is no file {path}.")
        try:
            if path.suffix.lower() in (".gif", ".webp", ".png", ".jpg", ".jpeg"):
                return _load_picture(path)
            return _load_video(path)
        except CourseError:
            raise
        except Exception as error:  # decoders raise whatever they like on damaged files
            raise CourseError(f"{path} can't be read as a video ({type(error).__name__}): is it damaged or cut short?") from error

    def save(self, path, scale=1):
        """Writes the clip as .mp4, .gif, .webp or .png (animated), whole or not at all.

        mp4 and gif lose a little quality; png and webp keep every pixel.

        Args:
            path: str or Path; the suffix chooses the format.
            scale: each pixel becomes `scale` x `scale` pixels in the file.

        Returns:
            Path of the file.

        Raises:
            CourseError: unknown suffix, a size that the format can't hold, a full disk.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise CourseError(f"Can't save a clip as {path.name!r}: the suffix must be one of {', '.join(SUFFIXES)}.")
        clip = self.enlarged(scale)
        with atomic_path(path) as temporary:
            if suffix == ".mp4":
                _save_mp4(clip, temporary, path)
            else:
                temporary.write_bytes(_encode_picture(clip, suffix))
        return path

    def enlarged(self, scale):
        """The clip with every pixel repeated `scale` times in both directions: crisp, no smoothing."""
        if int(scale) != scale or scale < 1:
            raise CourseError(f"A clip can be enlarged by a whole number from 1, got {scale}.")
        frames = self.frames if scale == 1 else self.frames.repeat(scale, axis=1).repeat(scale, axis=2)
        return dataclasses.replace(self, frames=frames)

    def __len__(self):
        return len(self.frames)

    def __repr__(self):
        t, h, w, c = self.frames.shape
        return f"Clip({t} frame{'s' if t > 1 else ''}, {w}x{h} {'RGB' if c == 3 else 'grey'}, {self.fps:g} fps)"

    def _repr_png_(self):
        scale = max(1, SHOWN_HEIGHT // self.frames.shape[1])
        return _encode_picture(self.enlarged(scale), ".png")


def to_uint8(frames):
    """Model values in [-1, 1] as pixels 0..255, rounded to nearest; values outside are clipped."""
    return np.clip(np.rint((np.asarray(frames) + 1.0) * 127.5), 0, 255).astype(np.uint8)


def to_float(frames):
    """Pixels 0..255 as model values in [-1, 1], float32."""
    return np.asarray(frames, dtype=np.float32) / 127.5 - 1.0


def contact_sheet(clip, columns=None, gap=2):
    """All frames of a clip side by side, in reading order.

    Args:
        clip: a `Clip`.
        columns: frames per row; all in one row up to 8 frames, else 8.
        gap: white pixels between frames.

    Returns:
        A one-frame `Clip`.
    """
    columns = columns or min(len(clip), 8)
    stills = [Clip(frame[None], fps=clip.fps) for frame in clip.frames]
    return grid(stills, columns, gap)


def grid(clips, columns=None, gap=2):
    """Many clips that play together.

    Args:
        clips: sequence of `Clip`, or a uint8 array `(N, T, H, W, C)`; all of one height and width. Shorter ones hold their
            last frame; grey and RGB may be mixed.
        columns: clips per row; about a square when None.
        gap: white pixels between clips.

    Returns:
        One `Clip`, at the frame rate of the first.

    Raises:
        CourseError: no clips, or clips of different sizes.
    """
    clips = [c if isinstance(c, Clip) else Clip(c) for c in clips]
    if not clips:
        raise CourseError("A grid needs at least one clip.")
    sizes = {clip.frames.shape[1:3] for clip in clips}
    if len(sizes) > 1:
        raise CourseError(f"A grid needs clips of one height and width, got {sorted(sizes)}.")
    (h, w), length = sizes.pop(), max(len(clip) for clip in clips)
    channels = max(clip.frames.shape[-1] for clip in clips)
    columns = columns or math.ceil(math.sqrt(len(clips)))
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
        gap: white pixels between clips.

    Returns:
        One `Clip`, enlarged enough for the labels to be read.
    """
    strips = {}
    for label, clips in rows.items():
        clips = [clips] if isinstance(clips, Clip) else list(clips)
        strips[label] = grid(clips, columns=len(clips), gap=gap)
    height = max(strip.frames.shape[1] for strip in strips.values())
    scale = max(1, 96 // height)
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


def _encode_picture(clip, suffix):
    """The bytes of an animated gif, webp or png. A note in the file keeps what the format would lose: encoders merge equal
    frames into one that lasts longer, and gif rounds durations to 10 ms."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    note = json.dumps({"frames": len(clip), "fps": clip.fps, "caption": clip.caption})
    options = {"extension": suffix, "plugin": "pillow", "is_batch": True, "duration": 1000 / clip.fps, "loop": 0}
    if suffix == ".png":
        info = PngInfo()
        info.add_itxt("vidgen_tf", note)
        options |= {"pnginfo": info, "optimize": False}
    elif suffix == ".gif":
        options |= {"comment": note.encode()}
    else:
        exif = Image.Exif()
        exif[0x010E] = note  # ImageDescription
        options |= {"exif": exif, "lossless": True, "duration": round(1000 / clip.fps)}
    frames = clip.frames[..., 0] if clip.frames.shape[-1] == 1 else clip.frames
    return iio.imwrite("<bytes>", frames, **options)


def _load_picture(path):
    """Decodes gif, webp, png or jpeg, and undoes the merging of equal frames."""
    from PIL import Image

    with Image.open(path) as image:
        count = getattr(image, "n_frames", 1)
        grey = image.mode in ("1", "L", "I;16", "I") and path.suffix.lower() != ".gif"
        frames, durations = [], []
        for i in range(count):
            image.seek(i)
            frames.append(np.asarray(image.convert("L" if grey else "RGB")))
            durations.append(image.info.get("duration", 0) or 100)
        note = _read_note(image, path.suffix.lower())
    frames = np.stack(frames)
    frames = frames[..., None] if grey else frames
    if note:
        ends = np.cumsum(durations) / np.sum(durations) * note["frames"]
        frames = frames[np.searchsorted(ends, np.arange(note["frames"]) + 0.5)]
        return Clip(frames, fps=note["fps"], caption=note["caption"])
    step = min(durations)
    frames = frames.repeat([max(1, round(d / step)) for d in durations], axis=0)
    return Clip(frames, fps=1000 / step)


def _read_note(image, suffix):
    try:
        if suffix == ".png":
            return json.loads(image.text["vidgen_tf"])
        if suffix == ".gif":
            return json.loads(image.info["comment"])
        return json.loads(image.getexif()[0x010E])
    except (KeyError, ValueError, AttributeError, TypeError):
        return None


def _save_mp4(clip, temporary, path):
    t, h, w, _ = clip.frames.shape
    if h % 2 or w % 2:
        raise CourseError(f"mp4 needs an even height and width, {path.name} would be {w}x{h}: save with scale=2, or as .png or .webp.")
    frames = np.broadcast_to(clip.frames, (t, h, w, 3))
    with iio.imopen(temporary, "w", plugin="pyav") as file:
        file.init_video_stream("libx264", fps=_as_fraction(clip.fps), pixel_format="yuv420p")
        file._video_stream.options = {"crf": "12"}  # near-transparent: small frames cost little
        if clip.caption:
            file.container_metadata["comment"] = clip.caption
        for frame in frames:
            file.write_frame(frame)


def _as_fraction(fps):
    from fractions import Fraction

    return Fraction(fps).limit_denominator(1001)


def _load_video(path):
    with iio.imopen(path, "r", plugin="pyav") as file:
        meta = file.metadata()
        frames = file.read()
    if not len(frames):
        raise CourseError(f"{path} holds no frames.")
    return Clip(frames, fps=float(meta.get("fps") or 25), caption=meta.get("comment"))


