"""A long video made in segments: each is written whole, so that work goes on after a kill, then joined with the sound."""

import contextlib
import itertools
import json
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ..errors import CourseError
from ..files import atomic_path
from ..video_io import IMAGES, X264, iter_frames, repeat_pixels

FRAMES_PER_SEGMENT = 48
SMALLEST_SIDE = 256  # px: smaller frames are written enlarged, so that a person sees something
MP4_SOUND = ("aac", "mp3", "ac3", "eac3", "alac")  # is copied as it is; other sound is encoded anew
MAX_FPS = 60


def frame_rate(path):
    """Frames per second of a video, or of an animated image.

    Args:
        path: str or Path.

    Returns:
        Fraction, 0.01 to 60.

    Raises:
        CourseError: the file can't be read.
    """
    start, end, _ = next(iter(iter_frames(path)), (0.0, 0.0, None))
    rate = 1 / (end - start) if end > start else 8
    if Path(path).suffix.lower() not in IMAGES:
        with av.open(str(path)) as container:
            rate = next((stream.average_rate for stream in container.streams.video if stream.average_rate), rate)
    return Fraction(min(max(float(rate), 0.01), MAX_FPS)).limit_denominator(1001)


def regular_frames(path, fps, side=None):
    """A video's frames at a constant rate, reduced and of even height and width.

    Args:
        path: str or Path.
        fps: frames per second.
        side: int, px, that the longer side has at most; None for any.

    Yields:
        uint8 `(H, W, 3)`; one that is displayed for longer comes more than once.

    Raises:
        CourseError: the file is damaged, no video, or can't be read.
    """
    given, size = 0, None
    for _, end, to_image in iter_frames(path):
        repeats = round(end * float(fps)) - given
        if repeats <= 0:
            continue
        image = to_image().convert("RGB")
        if size is None:
            share = min(1.0, side / max(image.size)) if side else 1.0
            size = tuple(max(16, 2 * round(length * share / 2)) for length in image.size)
        frame = np.asarray(image if image.size == size else image.resize(size, reducing_gap=3.0))
        yield from itertools.repeat(frame, repeats)
        given += repeats


def write_segment(path, frames, fps):
    """Writes frames as an .mp4 of which nothing is seen until it is whole.

    Args:
        path: Path.
        frames: list of uint8 `(H, W, 3)`, H and W even.
        fps: Fraction.
    """
    scale = -(-SMALLEST_SIDE // min(frames[0].shape[:2]))
    with atomic_path(path) as temporary, av.open(str(temporary), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options=X264)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1] * scale, frames[0].shape[0] * scale, "yuv420p"
        stream.codec_context.max_b_frames = 0  # packets then follow each other in the order of time
        for frame in frames:
            pixels = np.ascontiguousarray(repeat_pixels(frame[None], scale)[0])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def join_segments(path, segments, fps, sound=None):
    """Joins segments to one .mp4 without encoding them again, with the sound of another file.

    Args:
        path: Path of the file that appears, whole or not at all.
        segments: list of Path, files of `write_segment`.
        fps: Fraction.
        sound: Path of a file whose sound is kept; None, or one without sound, for none.
    """
    options = {"movflags": "+faststart"}  # plays while it loads
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(av.open(str(stack.enter_context(atomic_path(path))), "w", options=options))
        video = out.add_stream_from_template(stack.enter_context(av.open(str(segments[0]))).streams.video[0])
        write_sound, number = _sound(out, stack, sound), 0
        for segment in segments:
            with av.open(str(segment)) as part:
                for packet in part.demux(video=0):
                    if packet.dts is None:
                        continue
                    packet.time_base, packet.pts, packet.dts, packet.duration = 1 / fps, number, number, 1
                    packet.stream = video
                    out.mux(packet)
                    number += 1
            write_sound(number / fps)
        write_sound(None)


def _sound(out, stack, path):
    """A function that writes the sound up to a time in seconds, or all of the rest."""
    if path is None or Path(path).suffix.lower() in IMAGES:
        return lambda until: None
    container = stack.enter_context(av.open(str(path)))
    if not container.streams.audio:
        return lambda until: None
    source = container.streams.audio[0]
    if source.codec_context.name in MP4_SOUND:
        target = out.add_stream_from_template(source)
        packets = (packet for packet in container.demux(source) if packet.dts is not None)
    else:
        target = out.add_stream("aac", rate=source.rate or 44100)
        packets = (packet for frame in itertools.chain(container.decode(source), [None]) for packet in target.encode(frame))
    packets, waiting = iter(packets), []

    def write(until):
        for packet in itertools.chain(waiting[:], packets):
            waiting.clear()
            if until is not None and packet.pts * packet.time_base > until:
                waiting.append(packet)
                return
            packet.stream = target
            out.mux(packet)

    return write


class Segments:
    """The folder beside an output in which its segments wait.

    Args:
        output: Path of the video that is to appear.
        settings: dict of str and numbers that decide every pixel: segments of other settings are not used again.
        resume: whether to keep segments of the same settings.

    Raises:
        CourseError: there are segments of other settings, or the folder can't be written to.
    """

    def __init__(self, output, settings, resume):
        self.folder = output.with_name(f".{output.name}.segments")
        record = self.folder / "settings.json"
        if not resume:
            shutil.rmtree(self.folder, ignore_errors=True)
        if record.is_file() and json.loads(record.read_text()) != settings:
            raise CourseError(f"{output} was begun with other settings: give the same ones, or begin again without --resume.")
        with atomic_path(record) as temporary:
            temporary.write_text(json.dumps(settings))
        done = itertools.takewhile(lambda number: self._state(number).is_file(), itertools.count())
        self.paths = [self._path(number) for number in done]

    def _path(self, number):
        return self.folder / f"{number:06d}.mp4"

    def _state(self, number):
        return self.folder / f"{number:06d}.npz"

    def last(self):
        """The last frame of the segments so far, and what was drawn of it.

        Returns:
            two uint8 `(H, W, 3)`, or None where nothing is written yet.
        """
        if not self.paths:
            return None
        with np.load(self._state(len(self.paths) - 1)) as state:
            return state["frame"], state["drawn"]

    def write(self, drawn, frame, fps):
        """Writes the next segment.

        Args:
            drawn: list of uint8 `(H, W, 3)`.
            frame: uint8 `(H, W, 3)`, of the input, that the last of them was drawn of.
            fps: Fraction.
        """
        number = len(self.paths)
        write_segment(self._path(number), drawn, fps)
        with atomic_path(self._state(number)) as temporary:
            np.savez(temporary, frame=frame, drawn=drawn[-1])  # written last: a segment without it is made again
        self.paths.append(self._path(number))

    def remove(self):
        """Removes the folder: the video is whole."""
        shutil.rmtree(self.folder, ignore_errors=True)
