"""A video as a value: `Clip` shows, scales, saves and loads itself; `contact_sheet`, `grid` and `compare` arrange clips."""

import dataclasses
import io
import json
import math
from fractions import Fraction
from numbers import Real
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from .errors import CourseError, check_whole
from .files import atomic_path

SUFFIXES = (".mp4", ".gif", ".webp", ".png")  # what `save` writes
PICTURES = (".gif", ".webp", ".png", ".apng", ".jpg", ".jpeg", ".bmp")
VIDEOS = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v")
FPS_RANGE = 0.01, 1000  # frames per second: at these rates, and between, every format above gives back every frame
SHOWN_HEIGHT, SHOWN_WIDTH = 192, 960  # px: on the page, small frames grow to about this height, and none is wider
SHOWN_BYTES = 64 * 1024  # of one clip on the page: a notebook holds about fifteen and stays under 1 MB
LOADED_BYTES = 2**29  # of pixels that `load` takes at most
EXIF_DESCRIPTION = 0x010E  # where webp keeps a text


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
            raise CourseError(f"{path} is a folder, Clip.load needs a file." if path.is_dir() else f"There is no file {path}.")
        if path.suffix.lower() not in VIDEOS + PICTURES:
            raise CourseError(f"Can't load a clip from {path}: the suffix must be one of {', '.join(VIDEOS + PICTURES)}.")
        try:
            return _load(path)
        except CourseError:
            raise
        except Exception as error:  # decoders raise whatever they like on damaged files
            raise CourseError(f"{path} can't be read as a video ({type(error).__name__}): is it damaged or cut short?") from error

    def save(self, path, scale=1):
        """Writes the clip as .mp4, .gif, .webp or .png (animated), whole or not at all.

        mp4 and gif lose a little quality; png and webp keep every pixel. A note in the file tells `load` the number of frames,
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
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise CourseError(f"Can't save a clip as {path.name!r}: the suffix must be one of {', '.join(SUFFIXES)}.")
        clip = self.enlarged(scale)
        with atomic_path(path) as temporary:
            if suffix == ".mp4":
                _save_mp4(clip, temporary)
            else:
                temporary.write_bytes(_encode_picture(clip, suffix))
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
        frames = self.frames if scale == 1 else self.frames.repeat(int(scale), axis=1).repeat(int(scale), axis=2)
        return dataclasses.replace(self, frames=frames)

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
        picture = _encode_picture(clip.enlarged(scale), ".png")
        for colours in (256, 64):
            if len(picture) > SHOWN_BYTES:
                picture = _encode_palette_png(clip, scale, colours)
        return picture


def check_fps(fps):
    """Refuses a frame rate that not every file format can hold.

    Args:
        fps: frames per second.

    Raises:
        CourseError: no number, or not in 0.01 to 1000.
    """
    low, high = FPS_RANGE
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


def decode(path):
    """The frames of a video or picture file, one at a time: upright, without transparency, never the whole file in memory.

    Args:
        path: str or Path, its suffix one of VIDEOS or PICTURES.

    Returns:
        Iterator of (start, end, picture): when the frame is shown, in seconds from the start of the first, and a function that
        gives it as a Pillow image of mode "RGB" or "L"; it converts only when called, so skipped frames cost little.

    Raises:
        Whatever the decoders raise on damaged files.
    """
    return _decode_picture(path) if Path(path).suffix.lower() in PICTURES else _decode_video(path)


def _decode_video(path):
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        spacing = 1 / float(stream.average_rate or 25)
        first, end = None, 0.0
        for number, frame in enumerate(container.decode(stream)):
            time = number * spacing if frame.time is None else frame.time
            first = time if first is None else first
            lasts = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else spacing
            end = time - first + lasts
            yield time - first, end, lambda frame=frame: _upright(frame)
        promised = _promised_seconds(container, stream)
    if promised - end > max(3 * spacing, 0.05 * promised):
        raise CourseError(f"{path} was cut short: it holds {end:.2f} of {promised:.2f} seconds.")


def _promised_seconds(container, stream):
    """How long the header says the video lasts; 0 where it doesn't say, or speaks of the sound as well."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration and not container.streams.audio else 0.0


def _upright(frame):
    return frame.to_image().rotate(frame.rotation, expand=True)  # phones film sideways and note the angle


def _decode_picture(path):
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        start = 0.0
        for i in range(getattr(image, "n_frames", 1)):
            image.seek(i)
            image.load()
            end = start + (image.info.get("duration") or 100) / 1000  # browsers, too, read "no duration" as 0.1 s
            flat = _flat(ImageOps.exif_transpose(image))
            yield start, end, lambda flat=flat: flat
            start = end


def _flat(image):
    """A Pillow image as "RGB" or "L", its transparent parts white."""
    from PIL import Image

    if image.mode.startswith("I;16"):  # convert("L") would clip instead of scaling
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _load(path):
    note = _read_note(path)
    starts, ends, images, size = [], [], [], 0
    for start, end, picture in decode(path):
        images.append(picture())
        starts.append(start)
        ends.append(end)
        size += images[-1].width * images[-1].height * 3
        if size > LOADED_BYTES:
            raise CourseError(
                f"{path} is too long to be held in memory at full size ({LOADED_BYTES >> 20} MB): "
                "vidgen_tf.worlds.files reads it in pieces of the size you ask for."
            )
    if not images:
        raise CourseError(f"{path} holds no frames: is it damaged or cut short?")
    grey = note["channels"] == 1 if note else all(image.mode == "L" for image in images)
    frames = np.stack([np.asarray(image.convert("L" if grey else "RGB")) for image in images])
    frames = frames[..., None] if grey else frames
    if note:
        return _as_noted(frames, np.array(ends), note, path)
    repeats = np.ones(len(frames), int)
    if path.suffix.lower() in PICTURES:  # one that lasts longer stands for several equal frames
        durations = np.subtract(ends, starts)
        repeats = np.maximum(1, np.rint(durations / durations.min()).astype(int))
    fps = min(max(round(float(repeats.sum() / ends[-1]), 2), FPS_RANGE[0]), FPS_RANGE[1])
    return Clip(frames.repeat(repeats, axis=0), fps=fps)


def _as_noted(frames, ends, note, path):
    """Undoes what formats do to frames: encoders of pictures merge equal ones, and `_save_mp4` doubles pixels."""
    if path.suffix.lower() in VIDEOS and len(frames) != note["frames"]:
        raise CourseError(f"{path} holds {len(frames)} of its {note['frames']} frames: it was cut short.")
    shown = np.searchsorted(ends / ends[-1] * note["frames"], np.arange(note["frames"]) + 0.5)
    frames = frames[shown]
    if note["doubled"]:
        t, h, w, c = frames.shape
        frames = np.rint(frames.reshape(t, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))).astype(np.uint8)
    return Clip(frames, fps=note["fps"], caption=note["caption"])


def _note(clip, doubled=False):
    return json.dumps(
        {
            "vidgen_tf": 1,
            "frames": len(clip),
            "channels": clip.frames.shape[-1],
            "fps": float(clip.fps),
            "caption": clip.caption,
            "doubled": doubled,
        }
    )


def _read_note(path):
    """The note that `save` left in a file, or None."""
    import av
    from PIL import Image

    suffix = path.suffix.lower()
    if suffix in VIDEOS:
        with av.open(str(path)) as container:
            text = container.metadata.get("comment", "")
    else:
        with Image.open(path) as image:
            text = image.getexif().get(EXIF_DESCRIPTION, "") if suffix == ".webp" else image.info.get("comment", "")
    try:
        note = json.loads(text)
        return note if note.get("vidgen_tf") == 1 else None
    except (ValueError, AttributeError):  # other people's comments
        return None


def _encode_picture(clip, suffix):
    """The bytes of an animated gif, webp or png."""
    from PIL import Image

    options = {"extension": suffix, "plugin": "pillow", "is_batch": True, "duration": _durations(clip, suffix), "loop": 0}
    if suffix == ".png":
        options |= {"pnginfo": _png_note(clip)}
    elif suffix == ".gif":
        options |= {"comment": _note(clip).encode()}
    else:
        exif = Image.Exif()
        exif[EXIF_DESCRIPTION] = _note(clip)
        options |= {"exif": exif, "lossless": True}
    frames = clip.frames[..., 0] if clip.frames.shape[-1] == 1 else clip.frames
    return iio.imwrite("<bytes>", frames, **options)


def _encode_palette_png(clip, scale, colours):
    """The bytes of an animated png, enlarged, with at most `colours` colours, the same in every frame: no flicker."""
    from PIL import Image

    t, h, w, _ = clip.frames.shape
    column = Image.fromarray(np.broadcast_to(clip.frames, (t, h, w, 3)).reshape(t * h, w, 3))
    column = column.quantize(colours, method=Image.Quantize.MAXCOVERAGE)  # a small red thing stays red on a large dark ground
    frames = np.asarray(column).reshape(t, h, w).repeat(scale, axis=1).repeat(scale, axis=2)
    images = [Image.fromarray(frame) for frame in frames]
    for image in images:
        image.putpalette(column.getpalette())
    data = io.BytesIO()
    timing = {"duration": _durations(clip, ".png"), "loop": 0}
    images[0].save(data, "PNG", save_all=True, append_images=images[1:], pnginfo=_png_note(clip), **timing)
    return data.getvalue()


def _png_note(clip):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("comment", _note(clip))
    return info


def _durations(clip, suffix):
    """Whole milliseconds, for gif whole hundredths of a second, whose rounding errors don't add up over the clip."""
    tick = 10 if suffix == ".gif" else 1
    ends = np.rint(np.arange(len(clip) + 1) * 1000 / clip.fps / tick).astype(int) * tick
    durations = np.maximum(np.diff(ends), 2 * tick).tolist()  # browsers slow down what is shorter
    return durations if len(clip) > 1 else durations[0]  # Pillow takes no list for a single frame


def _shrunk(clip):
    """A clip too large for the page, reduced by a whole number."""
    from PIL import Image

    step = math.ceil(max(clip.frames.shape[1:3]) / SHOWN_WIDTH)
    if step == 1:
        return clip
    images = [Image.fromarray(frame.squeeze(-1) if frame.shape[-1] == 1 else frame).reduce(step) for frame in clip.frames]
    frames = np.stack([np.asarray(image) for image in images])
    return dataclasses.replace(clip, frames=frames.reshape(*frames.shape[:3], -1))


def _save_mp4(clip, temporary):
    import av  # imageio's door to it has no option for the quality

    doubled = bool(min(clip.frames.shape[1:3]) < 256 or clip.frames.shape[1] % 2 or clip.frames.shape[2] % 2)
    frames = clip.enlarged(2 if doubled else 1).frames
    t, h, w, _ = frames.shape
    options = {"crf": "12", "x264-params": "colormatrix=smpte170m"}  # near-transparent; and players needn't guess the colours
    faststart = {"movflags": "+faststart"}  # plays while it loads, and a file cut short still has its note
    with av.open(str(temporary), "w", options=faststart) as container:
        container.metadata["comment"] = _note(clip, doubled)
        stream = container.add_stream("libx264", rate=Fraction(float(clip.fps)).limit_denominator(1001), options=options)
        stream.width, stream.height, stream.pix_fmt = w, h, "yuv420p"  # the one pixel format that every browser plays
        for frame in np.broadcast_to(frames, (t, h, w, 3)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
