"""Video and image files as NumPy arrays: `iter_frames` decodes one frame at a time, `read` and `write` a whole clip."""

import io
import json
from fractions import Fraction
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from .errors import CourseError
from .files import atomic_path

WRITABLE = (".mp4", ".gif", ".webp", ".png")  # suffixes that `write` takes
IMAGES = (".gif", ".webp", ".png", ".apng", ".jpg", ".jpeg", ".bmp")  # suffixes that are decoded by Pillow
VIDEOS = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v")  # suffixes that are decoded by PyAV (FFmpeg)
FPS_RANGE = 0.01, 1000  # frames per second: at these rates, and between, every format above gives back every frame
MAX_BYTES = 2**29  # of uint8 RGB pixels that `read` takes at most
EXIF_DESCRIPTION = 0x010E  # where webp keeps a text


def iter_frames(path):
    """The frames of a video or image file, one at a time: upright, without transparency, never the whole file in memory.

    Args:
        path: str or Path, its suffix one of VIDEOS or IMAGES.

    Returns:
        Iterator of (start, end, to_image): when the frame is displayed, in seconds from the start of the first, and a function
        that gives it as a Pillow image of mode "RGB" or "L"; it converts only when called, so skipped frames cost little.

    Raises:
        Whatever the decoders raise on damaged files.
    """
    return _iter_image(path) if Path(path).suffix.lower() in IMAGES else _iter_video(path)


def read(path):
    """All frames of a video or image file.

    Args:
        path: Path, its suffix one of VIDEOS or IMAGES.

    Returns:
        uint8 frames `(time, height, width, 1 or 3)`, frames per second, and the caption that `write` left in the file or None.

    Raises:
        CourseError: the file is truncated, no video, or too long to be held in memory.
    """
    try:
        return _read(path)
    except CourseError:
        raise
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise CourseError(f"{path} can't be read as a video ({type(error).__name__}): is it damaged or cut short?") from error


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
    from PIL import Image

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


def encode_palette_png(frames, fps, caption, scale, colours):
    """The bytes of an animated png, enlarged, with at most `colours` colours, the same in every frame: no flicker."""
    from PIL import Image

    t, h, w, _ = frames.shape
    column = Image.fromarray(np.broadcast_to(frames, (t, h, w, 3)).reshape(t * h, w, 3))
    column = column.quantize(colours, method=Image.Quantize.MAXCOVERAGE)  # a small red thing stays red on a large dark ground
    indices = repeat_pixels(np.asarray(column).reshape(t, h, w), scale)
    images = [Image.fromarray(frame) for frame in indices]
    for image in images:
        image.putpalette(column.getpalette())
    data = io.BytesIO()
    timing = {"duration": _durations(t, fps, ".png"), "loop": 0}
    info = _png_info(_metadata(frames, fps, caption))
    images[0].save(data, "PNG", save_all=True, append_images=images[1:], pnginfo=info, **timing)
    return data.getvalue()


def repeat_pixels(frames, scale):
    """Nearest-neighbour enlargement by a whole number.

    Args:
        frames: array `(time, height, width, ...)`.
        scale: int from 1.

    Returns:
        Array `(time, scale * height, scale * width, ...)`.
    """
    return frames if scale == 1 else frames.repeat(scale, axis=1).repeat(scale, axis=2)


def _iter_video(path):
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


def _iter_image(path):
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


def _read(path):
    metadata = _read_metadata(path)
    starts, ends, images, size = [], [], [], 0
    for start, end, to_image in iter_frames(path):
        images.append(to_image())
        starts.append(start)
        ends.append(end)
        size += images[-1].width * images[-1].height * 3
        if size > MAX_BYTES:
            raise CourseError(
                f"{path} is too long to be held in memory at full size ({MAX_BYTES >> 20} MB): "
                "vidgen_tf.worlds.files reads it in pieces of the size you ask for."
            )
    if not images:
        raise CourseError(f"{path} holds no frames: is it damaged or cut short?")
    grey = metadata["channels"] == 1 if metadata else all(image.mode == "L" for image in images)
    frames = np.stack([np.asarray(image.convert("L" if grey else "RGB")) for image in images])
    frames = frames[..., None] if grey else frames
    if metadata:
        return _as_written(frames, np.array(ends), metadata, path)
    repeats = np.ones(len(frames), int)
    if path.suffix.lower() in IMAGES:  # one that lasts longer stands for several equal frames
        durations = np.subtract(ends, starts)
        repeats = np.maximum(1, np.rint(durations / durations.min()).astype(int))
    fps = min(max(round(float(repeats.sum() / ends[-1]), 2), FPS_RANGE[0]), FPS_RANGE[1])
    return frames.repeat(repeats, axis=0), fps, None


def _as_written(frames, ends, metadata, path):
    """Undoes what formats do to frames: encoders of images merge equal ones, and `_write_mp4` doubles pixels."""
    if path.suffix.lower() in VIDEOS and len(frames) != metadata["frames"]:
        raise CourseError(f"{path} holds {len(frames)} of its {metadata['frames']} frames: it was cut short.")
    displayed = np.searchsorted(ends / ends[-1] * metadata["frames"], np.arange(metadata["frames"]) + 0.5)
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
        metadata = json.loads(text)
        return metadata if metadata.get("vidgen_tf") == 1 else None
    except (ValueError, AttributeError):  # other people's comments
        return None


def _png_info(metadata):
    from PIL.PngImagePlugin import PngInfo

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
    import av  # imageio's PyAV plugin has no option for the quality

    doubled = bool(min(frames.shape[1:3]) < 256 or frames.shape[1] % 2 or frames.shape[2] % 2)
    metadata = _metadata(frames, fps, caption, doubled)
    frames = repeat_pixels(frames, 2 if doubled else 1)
    t, h, w, _ = frames.shape
    options = {"crf": "12", "x264-params": "colormatrix=smpte170m"}  # near-transparent; and players needn't guess the colours
    faststart = {"movflags": "+faststart"}  # plays while it loads, and a file cut short still has its metadata
    with av.open(str(path), "w", options=faststart) as container:
        container.metadata["comment"] = metadata
        stream = container.add_stream("libx264", rate=Fraction(float(fps)).limit_denominator(1001), options=options)
        stream.width, stream.height, stream.pix_fmt = w, h, "yuv420p"  # the one pixel format that every browser plays
        for frame in np.broadcast_to(frames, (t, h, w, 3)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
