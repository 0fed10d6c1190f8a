"""Optical flow and motion transfer: what networks learn them from, and how far they are from the exact answer."""

import numpy as np
from skimage.registration import optical_flow_ilk, optical_flow_tvl1

from ..datasets import load
from ..metrics.image import psnr
from ..metrics.motion import estimate_optical_flow, warping_error
from ..pipelines.animation import animate, in_batches, reduce_driving
from ..video import to_float
from ..worlds import LabelledClips, faces

FRAME = 8  # the number of the frame that animations are compared at
NUM_FLOW_PAIRS = 250  # of frames whose flow is estimated
NUM_WARPED = 10  # clips whose warping error is measured, as that takes long
NUM_WARPS = 3  # iterations of the estimate of a flow by which frames are warped


def flow_pairs(clips, first, second):
    """Two frames of each clip, and the exact flow from one to the other.

    Args:
        clips: `LabelledClips` of a world that knows its flow.
        first: int, number of a frame.
        second: int, number of another one, before or after it.

    Returns:
        uint8 `(N, 2, H, W, C)`, and float32 `(N, H, W, 2)`, from each pixel of frame `first` to where it is in frame `second`.
    """
    pairs = clips.at_times([first, second])
    return pairs.frames, pairs.optical_flow()[:, 0]


def estimate_pair_flow(pairs, method="tv-l1"):
    """The flow between two frames by a method that learns nothing (scikit-image's), at the settings of its documentation.

    Args:
        pairs: uint8 `(N, 2, H, W, C)`.
        method: "tv-l1", or "ilk", iterative Lucas-Kanade in windows of 11 px.

    Returns:
        float32 `(N, H, W, 2)`.

    References:
        Zach, Pock and Bischof, 2007, "A duality based approach for realtime TV-L1 optical flow"; Le Besnerais and Champagnat,
        2005, "Dense optical flow by iterative local window registration".
    """
    grey = np.asarray(pairs, np.float32).mean(axis=-1) / 255
    if method == "ilk":
        flows = [optical_flow_ilk(first, second, radius=5) for first, second in grey]
    else:
        flows = [optical_flow_tvl1(first, second) for first, second in grey]
    return np.stack(flows)[:, ::-1].transpose(0, 2, 3, 1).astype(np.float32)  # (N, dy dx, H, W) -> (N, H, W, dx dy)


def endpoint_error(flow, exact):
    """Endpoint error of flows: the distance between the arrows' ends, the mean over the pixels that move.

    Args:
        flow: float `(N, H, W, 2)`, px.
        exact: float of the same shape.

    Returns:
        float `(N,)`, px; NaN for a pair in which nothing moves.

    References:
        Baker, Scharstein, Lewis, Roth, Black and Szeliski, 2011, "A database and evaluation methodology for optical flow".
    """
    moves = np.any(exact != 0, axis=-1)  # (N, H, W)
    distance = np.linalg.norm(np.asarray(flow, np.float64) - exact, axis=-1)
    return np.array([error[these].mean() if these.any() else np.nan for error, these in zip(distance, moves)])


def moving_people(clips, seed):
    """Each motion of some clips on another person of them, and the frame that this person begins with.

    Args:
        clips: `LabelledClips` of `worlds.faces`, two at least.
        seed: non-negative int, of who moves as whom.

    Returns:
        `LabelledClips`: clip i has the motion of clip i, on another person.
    """
    other = np.random.default_rng(seed).permutation(len(clips))
    same = np.flatnonzero(other == np.arange(len(clips)))
    other[same] = other[np.roll(same, 1)] if len(same) > 1 else (other[same] + 1) % len(clips)
    states = faces.exchange_motion({key: value[other] for key, value in clips.states.items()}, clips.states)
    frames = faces.render(states, clips.frames.shape[2])
    return LabelledClips(frames, clips.captions[other], clips.captions_zh[other], states, clips.world, clips.fps)


def driving_clips(clips, seed, size=32):
    """Other people who move as those of some clips do, grey and small: what a motion encoder learns from.

    Args:
        clips: `LabelledClips` of `worlds.faces`.
        seed: non-negative int, of who moves as whom.
        size: height and width, px.

    Returns:
        uint8 `(N, T, size, size, 1)`.
    """
    other = np.random.default_rng(seed).permutation(len(clips))
    states = faces.exchange_motion({key: value[other] for key, value in clips.states.items()}, clips.states)
    return faces.render(states, size, grey=True)


def evaluate_flow(model, record):
    """Endpoint errors of a learned flow and of others, in pairs of frames of test clips.

    Args:
        model: trained `FlowNet`.
        record: dict with "dataset", its record.

    Returns:
        dict of float, px, the mean over the pairs: "endpoint_error"; of TV-L1, "endpoint_error_tv_l1"; of iterative Lucas-Kanade,
        "endpoint_error_ilk"; and of a flow of 0, "endpoint_error_zero".
    """
    pairs, exact = flow_pairs(load(record["dataset"]["name"], "test", NUM_FLOW_PAIRS), FRAME - 1, FRAME)
    flows = {"": estimate_flow(model, pairs), "_zero": np.zeros_like(exact)}
    flows |= {"_tv_l1": estimate_pair_flow(pairs), "_ilk": estimate_pair_flow(pairs, "ilk")}
    return {f"endpoint_error{name}": float(np.nanmean(endpoint_error(flow, exact))) for name, flow in flows.items()}


def estimate_flow(model, pairs):
    """The flow of a trained network.

    Args:
        model: `FlowNet`.
        pairs: uint8 `(N, 2, H, W, C)`; grey frames are given to a network of colours three times.

    Returns:
        float32 `(N, H, W, 2)`.
    """
    pairs = np.repeat(pairs, model.config.channels // pairs.shape[-1], axis=-1)
    return in_batches(lambda batch: model(to_float(batch)), pairs)


def warping_errors(clips):
    """Warping error of clips, with quick estimates of their optical flow.

    Args:
        clips: uint8 `(N, T, H, W, C)`.

    Returns:
        float `(N,)`, see `metrics.motion.warping_error`.
    """
    errors = []
    for clip in clips:
        flows = estimate_optical_flow(clip, NUM_WARPS), estimate_optical_flow(clip[::-1], NUM_WARPS)[::-1]
        errors.append(warping_error(clip, *flows))
    return np.array(errors)


def evaluate_motion_transfer(model, record):
    """The evaluation of an animator of faces: all test people, each driven by another one.

    Args:
        model: trained generator of `build_flow_generator`.
        record: dict with "dataset", its record.

    Returns:
        dict of float: "psnr_db" of frame 8, "psnr_db_static" of a clip that stands still; and the mean of the first 10 clips'
        "warping_error", and "warping_error_real" of the clips that should have come out.
    """
    clips = load(record["dataset"]["name"], "test")
    people = moving_people(clips, seed=9)
    first, driving = people.frames[:, 0], reduce_driving(clips.frames)
    at_frame = animate(model, first, driving[:, [0, FRAME]])[:, 1]
    generated = animate(model, first[:NUM_WARPED], driving[:NUM_WARPED])
    return {
        "psnr_db": float(psnr(people.frames[:, FRAME], at_frame).mean()),
        "psnr_db_static": float(psnr(people.frames[:, FRAME], people.frames[:, 0]).mean()),
        "warping_error": float(warping_errors(generated).mean()),
        "warping_error_real": float(warping_errors(people.frames[:NUM_WARPED]).mean()),
    }
