"""python -m vidgen_tf stylize: a clip in a style, or in the style of a picture, without flicker."""

from pathlib import Path

from ..errors import CourseError
from ..files import check_writable
from .arguments import filled, number, whole


def add_parser(commands):
    """Adds the command to the command line.

    Args:
        commands: subparsers of argparse.
    """
    stylize = commands.add_parser(
        "stylize", help="draw a clip in a style, without flicker; its sound is kept", allow_abbrev=False
    )
    stylize.add_argument("clip", type=filled, help="a video, or an animated image")
    stylize.add_argument("--style", type=filled, required=True, help="one of eight names, such as woodcut, or a picture's file")
    stylize.add_argument(
        "-o", "--output", type=filled, default="build/stylized.mp4", help="an .mp4 (default: build/stylized.mp4)"
    )
    stylize.add_argument(
        "--size", type=whole(16, 2048), default=256, help="px that the longer side has at most (default: 256); more takes longer"
    )
    stylize.add_argument(
        "--memory", type=number(0, 0.95), help="share of the last frame that is kept, 0 to draw each anew (default: as evaluated)"
    )
    stylize.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped")
    stylize.set_defaults(run=_stylize)


def _stylize(options):
    clip, output = Path(options.clip), Path(options.output)
    if output.suffix.lower() != ".mp4":
        raise CourseError(f"{output} must end in .mp4.")
    if not clip.is_file():
        raise CourseError(f"There is no file {clip}.")
    if output.exists() and output.samefile(clip):
        raise CourseError("The output must be another file than the clip.")
    style = _style(options.style)
    check_writable(output.parent)
    from .. import zoo
    from ..pipelines.segments import Segments, frame_rate

    fps, memory = frame_rate(clip), options.memory
    record, file = zoo.record("style-network"), clip.stat()
    memory = record["sampling"]["memory"] if memory is None else memory
    settings = {"clip": str(clip.resolve()), "bytes": file.st_size, "changed": file.st_mtime_ns, "style": _name(options.style)}
    settings |= {"size": options.size, "memory": memory, "weights": record["sha256"]}
    segments = Segments(output, settings, options.resume)
    _draw(clip, fps, options.size, style, memory, segments)
    _finish(output, segments, fps, clip)


def _style(name):
    """A style's name, or a picture, uint8 `(h, w, 3)`."""
    from ..worlds.styles import STYLES

    if name in STYLES:
        return name
    if not Path(name).is_file():
        raise CourseError(f"There is no style {name!r}, nor such a file; there are {', '.join(STYLES)}.")
    import numpy as np

    from ..video_io import iter_frames

    _, _, to_image = next(iter_frames(name))
    return np.asarray(to_image().convert("RGB"))


def _name(style):
    """A style's name, or its file and when that was changed."""
    path = Path(style)
    return f"{path.resolve()} {path.stat().st_mtime_ns}" if path.is_file() else style


def _draw(clip, fps, size, style, memory, segments):
    """Draws the frames that no segment holds yet."""
    import itertools

    from ..files import progress
    from ..pipelines.segments import FRAMES_PER_SEGMENT, regular_frames
    from ..pipelines.stylize import Stylizer

    done, stylizer = FRAMES_PER_SEGMENT * len(segments.paths), Stylizer(style, memory=memory)
    if segments.last():
        stylizer.remember(*segments.last())
    frames = itertools.islice(regular_frames(clip, fps, size), done, None)
    with progress(label="stylize", unit="frame") as bar:
        bar.update(done)
        while block := list(itertools.islice(frames, FRAMES_PER_SEGMENT)):
            drawn = []
            for frame in block:
                drawn.append(stylizer.draw(frame))
                bar.update()
            segments.write(drawn, block[-1], fps)


def _finish(output, segments, fps, clip):
    """Joins the segments, and says where."""
    from ..pipelines.segments import join_segments

    if not segments.paths:
        segments.remove()
        raise CourseError(f"{clip} holds no frames: is it damaged or cut short?")
    join_segments(output, segments.paths, fps, sound=clip)
    segments.remove()
    print(f"wrote {output}")
