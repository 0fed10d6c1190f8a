"""Style transfer: is the style told, is the content kept, does it flicker; with memory and frame by frame."""

import numpy as np

from .. import zoo
from ..datasets import load
from ..metrics.intervals import resampled_estimate
from ..models.optical_flow import warp
from ..models.style import build_feature_extractor, content_loss, gram_distance, style_features, style_grams
from ..models.style_transfer import CONTENT_LEVEL, blend_memory, style_moments
from ..pipelines.stylize import stylize_clips
from ..video import to_float
from ..worlds.styles import STYLES, draw_style
from .features import predict_probabilities
from .moving_frames import exact_motion

CLIPS_AT_ONCE = 8  # whose features are computed together
NUM_CLIPS = 32  # test clips, each in one of the eight styles
PICTURE_SEEDS = range(400, 404)  # of the pictures that show a style, which no training has seen


def style_told(classifier, frames, styles):
    """Whether a classifier tells frames' style.

    Args:
        classifier: `keras.Model` of `build_texture_network`, trained on other pictures.
        frames: uint8 `(N, H, W, 3)`.
        styles: int `(N,)`, index into `worlds.styles.STYLES`.

    Returns:
        bool `(N,)`.
    """
    return predict_probabilities(classifier, frames)["style"].argmax(axis=1) == styles


def edges_kept(frames, content):
    """How far edges stay where they are: the correlation of two frames' blurred edge strengths.

    Args:
        frames: uint8 `(N, H, W, 3)`.
        content: uint8 of the same shape.

    Returns:
        float `(N,)`, 1 for the same edges, about 0 for unrelated ones.
    """
    a, b = (_edges(x) for x in (frames, content))
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (a, b))
    return (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1) + 1e-9)


def _edges(frames):
    """Edge strength, means over 4x4 px, `(N, places)`."""
    grey = frames.astype(np.float32).mean(axis=-1)
    n, height, width = grey.shape
    grey = (grey[:, :-1, :-1] + grey[:, 1:, :-1] + grey[:, :-1, 1:] + grey[:, 1:, 1:]) / 4  # strokes of a px or two aren't edges
    across, down = grey[:, :-1, 1:] - grey[:, :-1, :-1], grey[:, 1:, :-1] - grey[:, :-1, :-1]
    strength = np.sqrt(across * across + down * down)[:, : height // 4 * 4 - 4, : width // 4 * 4 - 4]
    return strength.reshape(n, height // 4 - 1, 4, width // 4 - 1, 4).mean(axis=(2, 4)).reshape(n, -1)


def motion_error(frames, flows, masks):
    """Warping error along known motion: mean squared difference to the frame before, where visible.

    Args:
        frames: uint8 `(N, T, H, W, 3)`.
        flows: float `(N, T-1, H, W, 2)`, from each frame but the first to the one before.
        masks: float `(N, T-1, H, W, 1)`, 1 where a pixel counts.

    Returns:
        float `(N,)`, as a share of a pixel's squared range.

    References:
        Lai, Huang, Wang, Shechtman, Yumer and Yang, 2018, "Learning blind video temporal consistency".
    """
    errors = []
    for clip, flow, mask in zip(frames, flows, np.asarray(masks, np.float32)):
        clip = clip.astype(np.float32) / 255
        squared = np.square(clip[1:] - np.asarray(warp(clip[:-1], flow))).mean(axis=-1, keepdims=True)
        errors.append((mask * squared).sum() / max(mask.sum(), 1))
    return np.array(errors)


def error_ratio(error, other):
    """The ratio of two mean errors of the same clips, with a bootstrap interval.

    Args:
        error: float `(N,)`.
        other: float `(N,)`, of the same clips.

    Returns:
        `Estimate`.
    """
    return resampled_estimate(lambda rows: float(error[rows].mean() / other[rows].mean()), len(error), num_resamples=1000)


def style_targets(extractor, seeds=PICTURE_SEEDS):
    """Moments and Gram matrices of each style, the mean over pictures that no training has seen.

    Args:
        extractor: `keras.Model` of `build_feature_extractor`.
        seeds: sequence of int.

    Returns:
        float32 `(8, moment_dim)`, and a list of float32 `(8, C + 1, C + 1)`.
    """
    moments, grams = [], []
    for name in STYLES:
        features = style_features(extractor, to_float(np.stack([draw_style(name, seed) for seed in seeds])))
        moments.append(np.mean(style_moments(features), axis=0))
        grams.append([np.mean(gram, axis=0) for gram in style_grams(features)])
    return np.stack(moments), [np.stack(level) for level in zip(*grams)]


def losses_of(extractor, drawn, frames, grams, styles):
    """Style loss and content loss of clips, the mean over their frames.

    Args:
        extractor: `keras.Model` of `build_feature_extractor`.
        drawn: uint8 `(N, T, H, W, 3)`.
        frames: uint8 of the same shape, the content.
        grams: list of float `(8, C + 1, C + 1)`, see `style_targets`.
        styles: int `(N,)`.

    Returns:
        float `(N,)`, style loss in units of that of the frames without a style; and float `(N,)`, content loss.
    """
    style, content, num_frames = [], [], drawn.shape[1]
    for first in range(0, len(drawn), CLIPS_AT_ONCE):
        clips = [x[first : first + CLIPS_AT_ONCE] for x in (drawn, frames)]
        made, wanted = (style_features(extractor, to_float(x.reshape(-1, *x.shape[2:]))) for x in clips)  # of (n*T, H, W, 3)
        kinds = np.repeat(styles[first : first + CLIPS_AT_ONCE], num_frames)
        distances = [[gram_distance(a, b[kinds]) for a, b in zip(style_grams(x), grams)] for x in (made, wanted)]
        made_distance, plain_distance = np.reshape(distances, (2, len(grams), -1, num_frames)).mean(axis=3)  # (levels, n)
        style.append((made_distance / plain_distance).mean(axis=0))
        differences = np.asarray(content_loss(made[CONTENT_LEVEL], wanted[CONTENT_LEVEL]))
        content.append(differences.reshape(-1, num_frames).mean(axis=1))
    return np.concatenate(style), np.concatenate(content)


def compare_memory(network, frames, flows, masks, styles, extractor, memory):
    """Clips drawn with memory, frame by frame, and frame by frame but blended afterwards.

    Args:
        network: `keras.Model` of `build_style_network`.
        frames: uint8 `(N, T, H, W, 3)`.
        flows: float `(N, T-1, H, W, 2)`, see `exact_motion`.
        masks: float `(N, T-1, H, W, 1)`.
        styles: int `(N,)`, index into `STYLES`.
        extractor: `keras.Model` of `build_feature_extractor`.
        memory: float, share of the last output where it is visible.

    Returns:
        dict from "memory", "anew" and "blended" to uint8 `(N, T, H, W, 3)`.
    """
    moments = style_targets(extractor)[0][styles]
    anew = stylize_clips(network, frames, moments)
    blended, last = [anew[:, 0]], anew[:, 0].astype(np.float32)
    for t in range(1, frames.shape[1]):
        mask = np.asarray(masks[:, t - 1], np.float32)
        last = np.asarray(blend_memory(np.float32(anew[:, t]), warp(last, flows[:, t - 1]), mask, memory))
        blended.append(np.uint8(last + 0.5))
    drawn = stylize_clips(network, frames, moments, flows, masks, memory)
    return {"memory": drawn, "anew": anew, "blended": np.stack(blended, axis=1)}


def evaluate_style_transfer(model, record):
    """Style told, edges kept, losses and warping errors on test clips of faces.

    Args:
        model: `keras.Model` of `build_style_network`.
        record: dict with "uses", "dataset" and "sampling".

    Returns:
        dict of float: "style_accuracy" by a classifier that shares no picture with the training, "edges_kept", "style_loss",
        "content_loss" and "warping_error" with memory, the same with "_anew" frame by frame and with "_blended" for frames that
        are drawn anew and blended afterwards; "warping_error_ratio" of memory to anew, and its interval "_low" and "_high".
    """
    extractor = build_feature_extractor(zoo.load(record["uses"]["texture_network"]))
    classifier = zoo.load(record["uses"]["classifier"])
    clips = load(record["dataset"]["name"], "test", NUM_CLIPS)
    styles, (flows, masks) = np.arange(NUM_CLIPS) % len(STYLES), exact_motion(clips)
    drawn = compare_memory(model, clips.frames, flows, masks, styles, extractor, record["sampling"]["memory"])
    grams, errors, scores = style_targets(extractor)[1], {}, {}
    for name, made in drawn.items():
        ending = "" if name == "memory" else f"_{name}"
        told = [style_told(classifier, made[:, t], styles) for t in (1, 8, 15)]
        kept = [edges_kept(made[:, t], clips.frames[:, t]) for t in (1, 8, 15)]
        style, content = losses_of(extractor, made[:, 3::4], clips.frames[:, 3::4], grams, styles)
        errors[name] = motion_error(made, flows, masks)
        scores |= {f"style_accuracy{ending}": np.mean(told), f"edges_kept{ending}": np.mean(kept)}
        scores |= {f"style_loss{ending}": style.mean(), f"content_loss{ending}": content.mean()}
        scores[f"warping_error{ending}"] = errors[name].mean()
    ratio = error_ratio(errors["memory"], errors["anew"])
    scores |= {"warping_error_ratio": ratio.value, "warping_error_ratio_low": ratio.low, "warping_error_ratio_high": ratio.high}
    return {name: float(value) for name, value in scores.items()}
