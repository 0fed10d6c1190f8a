"""The evaluation of clips that a model generated or predicted, beside real ones."""

import dataclasses

import numpy as np

from ..errors import CourseError
from ..metrics.image import psnr, ssim
from ..metrics.intervals import Estimate, mean_estimate
from ..metrics.motion import warping_error
from ..video import compare
from ..worlds import LabelledClips
from .adherence import conditioning_states, prompt_clusters
from .copies import TrainingClips, copy_distances
from .features import clip_features, iter_blocks
from .inputs import checked_clips
from .measurements import NUM_FLOW_CLIPS, distribution_scores, frame_scores, memorization_scores, physics_scores
from .reference import captioned_reference, reference_for
from .report import Report, metric_order
from .spec import SPECS, metric_of

MAX_PSNR = 60.0  # dB, about what rounding to whole numbers leaves; equal frames count as this


def evaluate(
    clips, dataset, reference=None, *, conditioning=None, num_context_frames=None, training=None, cost=None, name="clips"
):
    """Measures clips that a model generated or predicted, and real clips of the same data set in the same way.

    Every metric is defined in `spec.METRICS`; a Fréchet distance means something only beside the real-to-real distance at the
    same n, so look at both columns. Clips for prompts are compared with real clips of the same prompts.

    Args:
        clips: N at least 100: uint8 `(N, T, H, W, C)`, or floats in [-1, 1], or a list of `Clip`, or `LabelledClips`.
        dataset: str, "shapes", "digits", "faces", "faces-32", "digit-images" (see `spec.SPECS`); another name in
            `datasets.DATASETS`, of whose clips less can be measured; or None, where only the clips themselves can be.
        reference: real clips to compare with, that no model was trained on: `LabelledClips` or uint8 `(M, T, H, W, C)`,
            M at least 100. None takes the data set's test clips.
        conditioning: what the clips should show: states as the data set gives them, captions, or `LabelledClips`; None for
            unconditional clips. A list of `Clip` that all have captions is conditioned on these.
        num_context_frames: None for generated clips. Else clip i predicts clip i of `reference`, whose first so many frames the
            model was given; all others are compared.
        training: iterable of uint8 `(M, T, H, W, C)`, what is searched for copies: all that the model was trained on, see
            `copies.TrainingClips`; None for the data set's training split.
        cost: dict of "parameters", "training_minutes", "clips_per_second" and "peak_memory_mb", or some of them, for the table.
        name: str, of the clips, for the heading and the picture.

    Returns:
        `Report`.

    Raises:
        CourseError: fewer than 100 clips, NaN, values outside the range, another shape than the data set's, an unknown data set,
            unusable captions or states, or a classifier that hasn't been trained.
    """
    frames, captions = checked_clips(clips, "clips")
    if num_context_frames is not None:
        _check_prediction(frames, reference, num_context_frames)
    known = reference_for(dataset, reference, frames.shape)
    conditioning = conditioning_states(captions if conditioning is None else conditioning, dataset, len(frames))
    clusters, horizons = prompt_clusters(conditioning), {}
    found, real = frame_scores(frames, clusters), known.real
    if dataset is not None:
        compared = frames[:, : known.frames.shape[1]]
        features = clip_features(compared, dataset)
        distance = copy_distances(compared, training or TrainingClips(dataset))
        found |= memorization_scores(distance, known.distance, None if clusters is None else clusters[: len(distance)])
        found |= physics_scores(compared, dataset, features, conditioning, clusters)
        if conditioning is None or reference is not None:
            found |= distribution_scores(features, known.features, clusters)
        else:  # with clips of other prompts, the choice of prompts would count
            real_features, real_to_real = captioned_reference(dataset, conditioning)
            found, real = found | distribution_scores(features, real_features, clusters), real | real_to_real
    if num_context_frames is not None:
        horizons, predicted, true = _prediction_scores(frames, reference, known.frames, num_context_frames)
        found, real = found | predicted, real | true
    found |= {key: Estimate(value) for key, value in (cost or {}).items()}
    rows = [_row(key, found[key], real.get(key), known.reconstruction.get(key)) for key in sorted(found, key=metric_order)]
    num_prompts = None if clusters is None else int(clusters.max()) + 1
    return Report(name, dataset, len(frames), rows, _picture(name, frames, known), horizons, _note(dataset, known), num_prompts)


def _row(key, found, real, reconstruction):
    """A line of the table, from the estimates of a metric."""
    return {
        "metric": key,
        "clips": found.value,
        "interval": None if found.low is None else (found.low, found.high),
        "real": real and real.value,
        "reconstruction": reconstruction and reconstruction.value,
        "n": found.n,
        "best": metric_of(key).best,
    }


def _note(dataset, known):
    if dataset is None:
        return "Without a data set to compare with, only the clips themselves are measured: frames, flicker, whether they move."
    if dataset not in SPECS:
        return f"There are no classifiers of {dataset}: its clips are measured frame by frame, in time and for memorisation only."
    if SPECS[dataset].tracker is None:
        return f"{dataset} has no tracker and no video classifier: only frames and memorisation are evaluated."
    missing = SPECS[dataset].autoencoder
    return "" if known.reconstruction else f"Nothing is reconstructed, because the zoo has no {missing} yet."


def _picture(name, frames, known):
    return compare({name: frames[:8]} | ({"real": known.frames[:8]} if len(known.frames) else {}))


def _check_prediction(frames, reference, num_context_frames):
    if not (isinstance(num_context_frames, int) and 0 < num_context_frames < frames.shape[1]):
        most = frames.shape[1] - 1
        raise CourseError(f"num_context_frames must be a whole number from 1 to {most}, got {num_context_frames!r}.")
    if reference is None or len(reference) != len(frames):
        count = len(frames)
        raise CourseError(f"{count} predictions are compared with the {count} clips that they continue: give these as reference.")


def _prediction_scores(frames, reference, truth, num_context_frames):
    """Predictions against the true future: the values for each frame, and scores of the predictions and of the truth."""
    pairs = list(zip(*(iter_blocks(clips[:, num_context_frames:], "future") for clips in (truth, frames))))
    values = {
        "psnr_db": np.concatenate([np.minimum(psnr(*pair), MAX_PSNR) for pair in pairs]),
        "ssim": np.concatenate([ssim(*pair) for pair in pairs]),
    }
    horizons = {name: value.mean(axis=0) for name, value in values.items()}
    predicted, true = {name: mean_estimate(value.mean(axis=1)) for name, value in values.items()}, {}
    if isinstance(reference, LabelledClips) and reference.world in ("shapes", "digits"):
        flows = _exact_flows(reference[:NUM_FLOW_CLIPS], num_context_frames - 1)
        for found, clips in ((predicted, frames), (true, truth)):
            errors = [warping_error(clip[num_context_frames - 1 :], *flow) for clip, *flow in zip(clips, *flows)]
            found["warping_error_exact"] = mean_estimate(errors)
    return horizons, predicted, true


def _exact_flows(clips, first):
    """Exact optical flows from frame `first` on, to the next frame and back from it, each `(N, T-1, H, W, 2)`."""
    times = clips.frames.shape[1]
    reversed_states = {key: value[:, ::-1] if value.shape[1:2] == (times,) else value for key, value in clips.states.items()}
    back = dataclasses.replace(clips, frames=clips.frames[:, ::-1], states=reversed_states).optical_flow()[:, ::-1]
    return clips.optical_flow()[:, first:], back[:, first:]
