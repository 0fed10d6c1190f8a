"""Video and image files as NumPy arrays: `iter_frames` decodes one frame at a time, `read` and `write` a whole clip."""

import contextlib
import functools
import json
import warnings
from fractions import Fraction
from pathlib import Path

import av
import imageio.v3 as iio
import numpy as np
from av.sidedata.sidedata import Type
from av.stream import Disposition
from PIL import Image, ImageOps
from PIL.Image import Transpose
from PIL.PngImagePlugin import PngInfo

from .errors import CourseError
from .files import atomic_path

WRITABLE = (".mp4", ".gif", ".webp", ".png")  # suffixes that `write` takes
IMAGES = (".gif", ".webp", ".png", ".apng", ".jpg", ".jpeg", ".bmp")  # suffixes that are decoded by Pillow
VIDEOS = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v")  # suffixes that are decoded by PyAV (FFmpeg)
CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2": ".mp4", "matroska,webm": ".mkv", "avi": ".avi"}  # FFmpeg's names -> suffixes
FPS_RANGE = 0.01, 1000  # frames per second: at these rates, and between, every format above gives back every frame
MAX_BYTES = 2**29  # of uint8 RGB pixels that `read` takes at most
X264 = {"crf": "12", "x264-params": "colormatrix=smpte170m"}  # near-transparent; and players needn't guess the colours
UNSPECIFIED = 2  # FFmpeg's number for a colour matrix that the file doesn't name
EXIF_DESCRIPTION = 0x010E  # where webp keeps a text


def iter_frames(path):
    """The frames of a video or image file, one at a time: as a player shows them, never the whole file in memory.

    Rotation and mirroring that the file asks for are applied, pixels that aren't square are made square, what is transparent
    becomes white, and cover images are passed over.

    Args:
        path: str or Path, its suffix one of VIDEOS or IMAGES.

    Yields:
        (start, end, to_image): when the frame is displayed, in seconds from the start of the first, and a function that gives
        it as a Pillow image of mode "RGB" or "L"; it converts only when called, so skipped frames cost little.

    Raises:
        CourseError: the file is damaged, truncated, too large, no video, or can't be opened; it says which.
    """
    with _explaining(path):
        yield from _iter_image(path) if Path(path).suffix.lower() in IMAGES else _iter_video(path)


def read(path):
    """All frames of a video or image file, at a constant frame rate: one that is displayed for longer is repeated.

    Args:
        path: Path, its suffix one of VIDEOS or IMAGES.

    Returns:
        uint8 frames `(time, height, width, 1 or 3)`, frames per second, and the caption that `write` left in the file or None.

    Raises:
        CourseError: as `iter_frames`, or the frames take more than MAX_BYTES.
    """
    with _explaining(path):
        metadata = _read_metadata(path)
        starts, ends, images, size = [], [], [], 0
        for start, end, to_image in iter_frames(path):
            images.append(to_image())
            starts.append(start)
            ends.append(end)
            size += images[-1].width * images[-1].height * 3
            _check_memory(path, size)
        if not images:
            raise CourseError(f"{path} holds no frames: is it damaged or cut short?")
        grey = metadata["channels"] == 1 if metadata else all(image.mode == "L" for image in images)
        frames = np.stack([np.asarray(image.convert("L" if grey else "RGB")) for image in images])
        frames = frames[..., None] if grey else frames
        if metadata:
            return _as_written(frames, np.array(ends), metadata, path)
        repeats, fps = _constant_rate(np.diff([*starts, ends[-1]]), path.suffix.lower() in VIDEOS)
        _check_memory(path, repeats.sum() * frames[0].size)
        return frames.repeat(repeats, axis=0), fps, None


def write(path, frames, fps, caption=None):
    """Writes frames to a file, whole or not at all; mp4 and gif lose a little quality, png and webp keep every pixel.

    Args:
        path: Path, its suffix one of WRITABLE.
        frames: uint8 `(time, height, width, 1 or 3)`.
        fps: frames per second, 0.01 to 1000.
        caption: str that `read` gives back, or None.
    """
    suffix = path.suffix.lower()
    with atomic_path(path) as temporary:
        if suffix == ".mp4":
            _write_mp4(temporary, frames, fps, caption)
        else:
            temporary.write_bytes(encode_image(frames, fps, caption, suffix))


def encode_image(frames, fps, caption, suffix):
    """The bytes of an animated gif, webp or png.

    Args:
        frames: uint8 `(time, height, width, 1 or 3)`.
        fps: frames per second, 0.01 to 1000.
        caption: str or None.
        suffix: ".gif", ".webp" or ".png".

    Returns:
        bytes.
    """
    metadata = _metadata(frames, fps, caption)
    options = {
        "extension": suffix,
        "plugin": "pillow",
        "is_batch": True,
        "duration": _durations(len(frames), fps, suffix),
        "loop": 0,
    }
    if suffix == ".png":
        options |= {"pnginfo": _png_info(metadata)}
    elif suffix == ".gif":
        options |= {"comment": metadata.encode()}
    else:
        exif = Image.Exif()
        exif[EXIF_DESCRIPTION] = metadata
        options |= {"exif": exif, "lossless": True}
    return iio.imwrite("<bytes>", frames[..., 0] if frames.shape[-1] == 1 else frames, **options)


def open_image(path):
    """Opens an image file without decoding it, and without a warning where it is large.

    Args:
        path: str or Path.

    Returns:
        Pillow image.

    Raises:
        Whatever Pillow raises on damaged files and on those of more than about 179 megapixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # twice as many pixels are an error
        return Image.open(path)


def repeat_pixels(frames, scale):
    """Nearest-neighbour enlargement by a whole number.

    Args:
        frames: array `(time, height, width, ...)`.
        scale: int from 1.

    Returns:
        Array `(time, scale * height, scale * width, ...)`.
    """
    return frames if scale == 1 else frames.repeat(scale, axis=1).repeat(scale, axis=2)


@contextlib.contextmanager
def _explaining(path):
    """Turns whatever decoders raise into one sentence that names the cause."""
    try:
        yield
    except CourseError:
        raise
    except Exception as error:
        raise CourseError(f"{path} {_cause(Path(path), error)}") from error


def _cause(path, error):
    if isinstance(error, Image.DecompressionBombError):
        return f"is too large: an image may have {2 * Image.MAX_IMAGE_PIXELS / 1e6:.0f} megapixels. Make it smaller first."
    if isinstance(error, MemoryError):
        return "is too large to be held in memory. Make it smaller first."
    if isinstance(error, PermissionError):
        return "can't be opened: you have no permission to read it."
    suffix = path.suffix.lower()
    actual = _suffix_of_content(path)
    if actual and (actual in VIDEOS) != (suffix in VIDEOS):
        return f"is not what its suffix says: rename it to {path.stem}{actual}."
    return f"can't be read as {'a video' if suffix in VIDEOS else 'an image'}: is it damaged or cut short?"


def _suffix_of_content(path):
    """The suffix that fits what a file holds, or None."""
    with contextlib.suppress(Exception), open_image(path) as image:
        suffix = f".{image.format.lower()}"
        return suffix if suffix in IMAGES else None
    with contextlib.suppress(Exception), av.open(str(path)) as container:
        return CONTAINERS.get(container.format.name)
    return None


def _check_memory(path, size):
    if size > MAX_BYTES:
        raise CourseError(
            f"{path} is too long to be held in memory at full size ({MAX_BYTES >> 20} MB): "
            "vidgen_tf.worlds.files reads it in pieces of the size you ask for."
        )


def _constant_rate(durations, is_video):
    """How often each frame is repeated at a constant frame rate, and that rate.

    Most frames last about one tick; those of a video of variable frame rate, or of an animation, may last several.
    """
    if is_video and len(durations) > 1:  # a file says when frames begin; how long the last one stays is a guess
        durations[-1] = max(durations[-1], np.median(durations[:-1]))
    typical = np.median(durations[durations > 0])
    shortest = np.quantile(durations[durations > 0], 0.1, method="lower")  # one odd time stamp sets no rate
    tick = typical if shortest > 0.6 * typical else shortest
    repeats = np.maximum(1, np.rint(durations / tick)).astype(int)
    return repeats, float(np.clip(round(float(repeats.sum() / durations.sum()), 2), *FPS_RANGE))


def _iter_video(path):
    with av.open(str(path)) as container:
        stream = _video_stream(path, container)
        spacing = 1 / float(stream.average_rate or 25)
        first, end = None, 0.0
        for number, frame in enumerate(_decoded(container, stream)):
            time = number * spacing if frame.time is None else frame.time
            first = time if first is None else first
            lasts = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else spacing
            end = time - first + lasts
            yield time - first, end, functools.partial(_displayed, path, frame, stream.sample_aspect_ratio)
        promised = _promised_seconds(container, stream)
    if promised - end > max(3 * spacing, 0.05 * promised):
        raise CourseError(f"{path} was cut short: it holds {end:.2f} of {promised:.2f} seconds.")


def _video_stream(path, container):
    """The stream that a player plays: cover images are video streams, too."""
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        cause = ", only sound." if container.streams.audio else ": is it damaged or cut short?"
        raise CourseError(f"{path} holds no video{cause}")
    return max(streams, key=lambda stream: bool(stream.disposition & Disposition.default))


def _decoded(container, stream):
    """The frames of a stream; those of WebM with transparency need another decoder than FFmpeg's own, which drops it."""
    name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(stream.codec_context.name)
    if name and stream.metadata.get("alpha_mode") == "1":
        decoder = av.CodecContext.create(name, "r")
        return (frame for packet in container.demux(stream) for frame in decoder.decode(packet))
    stream.thread_type = "AUTO"
    return container.decode(stream)


def _promised_seconds(container, stream):
    """How long the header says the video lasts; 0 where it doesn't say, or speaks of the sound as well."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration and not container.streams.audio else 0.0


def _displayed(path, frame, aspect):
    """A decoded frame as a Pillow image, as a player shows it."""
    with _explaining(path):
        # players take what names no colour matrix for BT.709 from 720 lines, below for BT.601
        matrix = "ITU709" if frame.colorspace == UNSPECIFIED and frame.height >= 720 else None
        has_alpha = any(component.is_alpha for component in frame.format.components)
        pixels = frame.to_ndarray(format="rgba" if has_alpha else "rgb24", src_colorspace=matrix)
        image = _flat(Image.fromarray(pixels))
        if aspect and 0.1 <= aspect <= 10 and aspect != 1:  # beyond, the header is damaged
            width, height = image.size
            image = image.resize((round(width * max(aspect, 1)), round(height / min(aspect, 1))), Image.Resampling.BILINEAR)
        return _upright(image, frame)


def _upright(image, frame):
    """Turned and mirrored as the frame's display matrix says, by right angles: phones record sideways and note it."""
    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return image
    a, b, _, c, d, *_ = np.frombuffer(bytes(data), np.int32).tolist()  # (x, y) goes to (a x + c y, b x + d y)
    if abs(b) > abs(a):
        image, a, d = image.transpose(Transpose.TRANSPOSE), c, b
    image = image.transpose(Transpose.FLIP_LEFT_RIGHT) if a < 0 else image
    return image.transpose(Transpose.FLIP_TOP_BOTTOM) if d < 0 else image


def _iter_image(path):
    with open_image(path) as image:
        animated = image.format in ("GIF", "PNG", "WEBP")  # further images in a phone's jpg are depth and gain maps
        cover = getattr(image, "default_image", False)  # what a png shows where animations aren't known
        start = 0.0
        for i in range(int(cover), image.n_frames if animated else 1):
            image.seek(i)
            image.load()
            end = start + (image.info.get("duration") or 100) / 1000  # browsers, too, read "no duration" as 0.1 s
            flat = _flat(ImageOps.exif_transpose(image))
            yield start, end, lambda flat=flat: flat
            start = end


def _flat(image):
    """A Pillow image as "RGB" or "L", its transparent parts white."""
    if image.mode.startswith("I;16"):  # convert("L") would clip instead of scaling
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _as_written(frames, ends, metadata, path):
    """Undoes what formats do to frames: encoders of images merge equal ones, and `_write_mp4` doubles pixels."""
    length = metadata["frames"]
    if path.suffix.lower() in VIDEOS and len(frames) != length:
        raise CourseError(f"{path} holds {len(frames)} of its {length} frames: it was cut short.")
    _check_memory(path, length * frames[0].size)
    displayed = np.searchsorted(ends / ends[-1] * length, np.arange(length) + 0.5)
    frames = frames[displayed]
    if metadata["doubled"]:
        t, h, w, c = frames.shape
        frames = np.rint(frames.reshape(t, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))).astype(np.uint8)
    return frames, metadata["fps"], metadata["caption"]


def _metadata(frames, fps, caption, doubled=False):
    """What the formats would round or lose, as a JSON text that every one of them stores."""
    length, _, _, channels = frames.shape
    return json.dumps(
        {"vidgen_tf": 1, "frames": length, "channels": channels, "fps": float(fps), "caption": caption, "doubled": doubled}
    )


def _read_metadata(path):
    """The metadata that `write` left in a file, or None."""
    suffix = path.suffix.lower()
    if suffix in VIDEOS:
        with av.open(str(path)) as container:
            text = container.metadata.get("comment", "")
    else:
        with open_image(path) as image:
            text = image.getexif().get(EXIF_DESCRIPTION, "") if suffix == ".webp" else image.info.get("comment", "")
    try:
        metadata = json.loads(text)
        return metadata if metadata.get("vidgen_tf") == 1 else None
    except (ValueError, AttributeError):  # other people's comments
        return None


def _png_info(metadata):
    info = PngInfo()
    info.add_itxt("comment", metadata)
    return info


def _durations(length, fps, suffix):
    """Whole milliseconds, for gif whole hundredths of a second, whose rounding errors don't add up over the clip."""
    tick = 10 if suffix == ".gif" else 1
    ends = np.rint(np.arange(length + 1) * 1000 / fps / tick).astype(int) * tick
    durations = np.maximum(np.diff(ends), 2 * tick).tolist()  # browsers slow down what is shorter
    return durations if length > 1 else durations[0]  # Pillow takes no list for a single frame


def _write_mp4(path, frames, fps, caption):
    """By PyAV itself: imageio's plugin for it has no option for the quality."""
    doubled = bool(min(frames.shape[1:3]) < 256 or frames.shape[1] % 2 or frames.shape[2] % 2)
    metadata = _metadata(frames, fps, caption, doubled)
    frames = repeat_pixels(frames, 2 if doubled else 1)
    t, h, w, _ = frames.shape
    faststart = {"movflags": "+faststart"}  # plays while it loads, and a file cut short still has its metadata
    with av.open(str(path), "w", options=faststart) as container:
        container.metadata["comment"] = metadata
        stream = container.add_stream("libx264", rate=Fraction(float(fps)).limit_denominator(1001), options=X264)
        stream.width, stream.height, stream.pix_fmt = w, h, "yuv420p"  # the one pixel format that every browser plays
        for frame in np.broadcast_to(frames, (t, h, w, 3)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
