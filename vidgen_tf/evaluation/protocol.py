"""The evaluation of clips that a model generated or predicted, beside real ones."""

import dataclasses
import numpy as np
from ..errors import CourseError
from .adherence import conditioning_states
from .features import BLOCK, iter_blocks
from .measurements import WARPED, measure_against, measure_frames
from .reference import reference_for
from .report import Report, metric_order
from .spec import METRICS, SPECS
from ..metrics.image import psnr, ssim
from ..metrics.motion import warping_error
from ..video import Clip, compare, to_uint8
from ..worlds import LabelledClips


MIN_CLIPS = 100  # clips: of fewer, no distribution can be told


BEST_PSNR = 60.0  # dB, about what rounding to whole numbers leaves; equal frames count as this


def evaluate(clips, world, reference=None, *, asked=None, context_frames=None, cost=None, name="clips"):
    """Measures clips that a model made or predicted, and real clips of the same world in the same way.

    Every measure is defined in `METRICS`; a distance means something only beside the one that as many real clips score, so look
    at both columns.

    Args:
        clips: N at least 100: uint8 `(N, T, H, W, C)`, or floats in [-1, 1], or a list of `Clip`, or `LabelledClips`.
        world: "shapes", "digits", "faces", "faces-32", "scans" (see `SPECS`); another name in `datasets.DATASETS`, of whose
            clips less can be measured; or None, where only the clips themselves can be.
        reference: real clips to compare with, that no model was trained on: `LabelledClips` or uint8 `(M, T, H, W, C)`,
            M at least 100. None takes the world's test clips.
        asked: what the clips should show: states as the world gives them, captions, or `LabelledClips`; None where nothing was
            asked. A list of `Clip` that all have captions asks for these.
        context_frames: None for clips of the model's own. Else clip i predicts clip i of `reference`, whose first so many
            frames the model was given; all others are compared.
        cost: dict of "parameters", "training_minutes", "clips_per_second" and "peak_memory_mb", or some of them, for the table.
        name: of the clips, for the heading and the picture.

    Returns:
        `Report`.

    Raises:
        CourseError: fewer than 100 clips, NaN, values outside the range, another shape than the world's, an unknown world,
            unusable captions or states, or a judge that hasn't been trained.
    """
    frames, captions = _checked(clips, "clips")
    if context_frames is not None:
        _check_prediction(frames, reference, context_frames)
    reference_statistics = reference_for(world, reference, frames.shape)
    asked = conditioning_states(captions if asked is None else asked, world, len(frames))
    made = measure_frames(frames) | measure_against(frames[:, : reference_statistics.frames.shape[1]], world, reference_statistics, asked)
    real, rebuilt, horizons = reference_statistics.real, reference_statistics.rebuilt, {}
    if context_frames is not None:
        horizons, ahead, true = _ahead(frames, reference, reference_statistics.frames, context_frames)
        made, real = made | ahead, real | true
    made |= {key: (value, None) for key, value in (cost or {}).items()}
    rows = [
        {
            "measure": key,
            "clips": made[key][0],
            "real": real.get(key, (None,))[0],
            "rebuilt": rebuilt.get(key, (None,))[0],
            "n": made[key][1],
            "best": METRICS[key.removesuffix("_outside")].best,
        }
        for key in sorted(made, key=metric_order)
    ]
    return Report(name, world, len(frames), rows, _picture(name, frames, reference_statistics), horizons, _note(world, reference_statistics))


def _note(world, reference_statistics):
    if world is None:
        return "Without a world to compare with, only the clips themselves are measured: frames, flicker and whether they move."
    if world not in SPECS:
        return f"There are no judges of {world}: its clips are measured frame by frame, in time and for copies only."
    if not SPECS[world].tracked:
        return f"The world {world} has no laws of motion and no judge of them: only its frames' content is predict_probabilities, and copies."
    missing = SPECS[world].rebuilder
    return "" if reference_statistics.rebuilt else f"Nothing is rebuilt, because the zoo has no {missing} yet."


def _picture(name, frames, reference_statistics):
    return compare({name: frames[:8]} | ({"real": reference_statistics.frames[:8]} if len(reference_statistics.frames) else {}))


def _checked(clips, what):
    """uint8 frames `(N, T, H, W, C)`, and the captions where every clip has one, else None."""
    captions = None
    if isinstance(clips, LabelledClips):
        clips = clips.frames
    elif isinstance(clips, (list, tuple)) and clips and all(isinstance(clip, Clip) for clip in clips):
        captions = [clip.caption for clip in clips] if all(clip.caption for clip in clips) else None
        sizes = {clip.frames.shape for clip in clips}
        if len(sizes) > 1:
            raise CourseError(f"The exam takes {what} of one length and size, got {sorted(sizes)}.")
        clips = [clip.frames for clip in clips]
    frames = np.asarray(clips)
    if frames.ndim != 5 or 0 in frames.shape or frames.shape[-1] not in (1, 3):
        raise CourseError(f"The exam takes {what} (n, time, height, width, 1 or 3 channels), got {frames.shape}.")
    if len(frames) < MIN_CLIPS:
        raise CourseError(f"At least {MIN_CLIPS} {what} are needed to tell how they are distributed, got {len(frames)}.")
    if frames.dtype == np.uint8:
        if 0 < frames.max() <= 1:
            raise CourseError(f"All pixels of these {what} are 0 or 1, but uint8 pixels go from 0 to 255: multiply them by 255.")
        return frames, captions
    if frames.dtype.kind != "f":
        raise CourseError(f"The exam takes {what} as uint8 from 0 to 255 or as floats from -1 to 1, got {frames.dtype}.")
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


def _check_prediction(frames, reference, context_frames):
    if not (isinstance(context_frames, int) and 0 < context_frames < frames.shape[1]):
        raise CourseError(f"context_frames must be a whole number from 1 to {frames.shape[1] - 1}, got {context_frames!r}.")
    if reference is None or len(reference) != len(frames):
        count = len(frames)
        raise CourseError(f"{count} predictions are compared with the {count} clips that they continue: give these as reference.")


def _ahead(frames, reference, truth, context_frames):
    """Predictions against the true future: the values for each frame, and measures of the predictions and of the truth."""
    pairs = list(zip(*(iter_blocks(clips[:, context_frames:], "future") for clips in (truth, frames))))
    values = {
        "psnr_db": np.concatenate([np.minimum(psnr(*pair), BEST_PSNR) for pair in pairs]),
        "ssim": np.concatenate([ssim(*pair) for pair in pairs]),
    }
    horizons = {name: value.mean(axis=0) for name, value in values.items()}
    made, true = {name: (float(value.mean()), len(frames)) for name, value in values.items()}, {}
    if isinstance(reference, LabelledClips) and reference.world in (shapes, digits):
        flows = _exact_flows(reference[:WARPED], context_frames - 1)
        for found, clips in ((made, frames), (true, truth)):
            errors = [warping_error(clip[context_frames - 1 :], *flow) for clip, *flow in zip(clips, *flows)]
            found["warping_error_exact"] = (float(np.mean(errors)), len(errors))
    return horizons, made, true


def _exact_flows(clips, first):
    """Exact flows from frame `first` on, to the next frame and back from it, each `(N, T-1, H, W, 2)`."""
    times = clips.frames.shape[1]
    reversed_states = {key: value[:, ::-1] if value.shape[1:2] == (times,) else value for key, value in clips.states.items()}
    back = dataclasses.replace(clips, frames=clips.frames[:, ::-1], states=reversed_states).optical_flow()[:, ::-1]
    return clips.optical_flow()[:, first:], back[:, first:]
