"""What an evaluation takes: clips in any of their forms become uint8 frames, or are refused in a sentence."""

import numpy as np

from ..errors import CourseError
from ..video import Clip, to_uint8
from ..worlds import LabelledClips

MIN_CLIPS = 100  # of fewer, no distribution can be estimated
BLOCK = 125  # clips measured at once


def checked_clips(clips, what):
    """Clips as pixels.

    Args:
        clips: N at least 100: uint8 `(N, T, H, W, C)`, or floats in [-1, 1], or a list of `Clip`, or `LabelledClips`.
        what: str, the word for them in errors.

    Returns:
        uint8 frames `(N, T, H, W, C)`, and the list of captions where every clip has one, else None.

    Raises:
        CourseError: fewer than 100 clips, NaN, values outside the range, another shape.
    """
    captions = None
    if isinstance(clips, LabelledClips):
        clips = clips.frames
    elif isinstance(clips, (list, tuple)) and clips and all(isinstance(clip, Clip) for clip in clips):
        captions = [clip.caption for clip in clips] if all(clip.caption for clip in clips) else None
        sizes = {clip.frames.shape for clip in clips}
        if len(sizes) > 1:
            raise CourseError(f"An evaluation takes {what} of one length and size, got {sorted(sizes)}.")
        clips = [clip.frames for clip in clips]
    frames = np.asarray(clips)
    if frames.ndim != 5 or 0 in frames.shape or frames.shape[-1] not in (1, 3):
        raise CourseError(f"An evaluation takes {what} (n, time, height, width, 1 or 3 channels), got {frames.shape}.")
    if len(frames) < MIN_CLIPS:
        raise CourseError(f"At least {MIN_CLIPS} {what} are needed to estimate how they are distributed, got {len(frames)}.")
    if frames.dtype == np.uint8:
        if 0 < frames.max() <= 1:
            raise CourseError(f"All pixels of these {what} are 0 or 1, but uint8 pixels go from 0 to 255: multiply them by 255.")
        return frames, captions
    if frames.dtype.kind != "f":
        raise CourseError(f"An evaluation takes {what} as uint8 from 0 to 255 or as floats from -1 to 1, got {frames.dtype}.")
    return _from_floats(frames, what), captions


def _from_floats(frames, what):
    low, high = frames.min(), frames.max()
    if not np.isfinite(low + high):
        bad = sum(int(np.sum(~np.isfinite(clip).all())) for clip in frames)
        raise CourseError(f"{bad} of these {len(frames)} {what} hold NaN or infinite values: has the model diverged?")
    if low < -1.001 or high > 1.001:
        raise CourseError(
            f"Pixels as floats go from -1 to 1, but these {what} go from {low:.3g} to {high:.3g}: scale or clip them."
        )
    if low >= 0:
        raise CourseError(f"No pixel of these {what} is below 0, as if black were 0: floats go from -1 to 1, so give 2 * x - 1.")
    return np.concatenate([to_uint8(frames[i : i + BLOCK]) for i in range(0, len(frames), BLOCK)])
