"""Types of arguments that more than one command takes, and what they do with a clip and a text file."""

import argparse
import math
from pathlib import Path

from ..errors import CourseError
from ..files import check_writable

MAX_COUNT = 100_000
MAX_SEED = 2**32 - 1


def whole(lowest, highest):
    """The type of a whole number.

    Args:
        lowest: int.
        highest: int.

    Returns:
        function from str to int, for argparse.
    """

    def parse(text):
        if not text.removeprefix("-").isdecimal() or not lowest <= int(text[:25]) <= highest:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {lowest} to {highest}")
        return int(text)

    return parse


def number(lowest, highest):
    """The type of a number.

    Args:
        lowest: float.
        highest: float.

    Returns:
        function from str to float, for argparse.
    """

    def parse(text):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not lowest <= value <= highest:  # NaN is refused too
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {lowest:g} to {highest:g}")
        return value

    return parse


def filled(text):
    """The type of a name or path: an empty one comes from an unset variable and is refused.

    Args:
        text: str.

    Returns:
        str.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty: is a variable unset?")
    return text


count, seed = whole(1, MAX_COUNT), whole(0, MAX_SEED)


def read_lines(path):
    """The lines of a text file.

    Args:
        path: str or Path; UTF-8, with or without a byte order mark.

    Returns:
        list of str.

    Raises:
        CourseError: no such file, or no text.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"{path} can't be read as a text file.") from error


def check_output(path):
    """Refuses an output file that can't be written, before the work that fills it.

    Args:
        path: str or Path.

    Raises:
        CourseError: another suffix than those that `Clip.save` writes, or a folder that can't be written to.
    """
    from ..video_io import WRITABLE

    path = Path(path)
    if path.suffix.lower() not in WRITABLE:
        raise CourseError(f"{path} must end in one of {', '.join(WRITABLE)}.")
    check_writable(path.parent)


def save_clip(clip, output):
    """Saves a clip, enlarged so that a person sees something, and prints where.

    Args:
        clip: `Clip`.
        output: str or Path.
    """
    from ..video import DISPLAY_HEIGHT

    height = clip.frames.shape[1]
    scale = 1 if height >= DISPLAY_HEIGHT else 2 * max(1, DISPLAY_HEIGHT // (2 * height))
    print(f"wrote {clip.save(Path(output), scale=scale)}: {clip!r}")
