"""Evaluation of rollouts of latent recurrent models."""

import numpy as np
from keras import ops
from .. import zoo
from .features import predict_probabilities
from ..metrics.prediction import around_first_bounce, first_bounce, future_errors, ratio_after_bounces, sample_variance
from ..models.latent_rnn import latent_error, prior_variance, sample_futures
from ..models.vae import decode, decode_all, encode
from ..recipes.latent_rnn import CONTEXT_FRAMES


FUTURES = 20  # of each clip that a stochastic model is examined with


def drift(past, made, judge, digit, windows=4):
    """What becomes of a moving digit in a long rollout.

    Args:
        past: uint8 `(N, P, H, W, 1)`, the frames that it goes on from.
        made: uint8 `(N, F, H, W, 1)`, F a multiple of `windows`.
        judge: the zoo's "judge-digits-32".
        digit: int `(N,)`, which digit it is.
        windows: equal parts of the rollout, told one by one.

    Returns:
        dict of float arrays `(windows,)`: "digit_kept", the share of frames in which the judge sees that digit; "brightness" of
        a frame, all pixels added up, as a multiple of the past's; "speed" of the centre of brightness, in px per frame.
    """
    frames = np.concatenate([past[:, -1:], made], axis=1).astype(np.float64)[..., 0]
    total = frames.sum(axis=(2, 3))
    mass = np.maximum(total, 1e-9)[..., None]
    place = np.arange(frames.shape[2])
    moments = np.stack([frames.sum(axis=2) @ place, frames.sum(axis=3) @ place], axis=-1)  # (N, 1 + F, x y)
    named = predict_probabilities(judge, made.reshape(-1, *made.shape[2:]))["digit"].argmax(axis=1).reshape(made.shape[:2])
    measured = {
        "digit_kept": named == digit[:, None],
        "brightness": total[:, 1:] / past.sum(axis=(2, 3, 4)).mean(axis=1)[:, None],
        "speed": np.linalg.norm(np.diff(moments / mass, axis=1), axis=-1),
    }
    return {name: value.reshape(len(made), windows, -1).mean(axis=(0, 2)) for name, value in measured.items()}


def evaluate_one_step(model, vae, clips):
    """How well a deterministic model foretells clips.

    Args:
        model: trained `LatentGRU`.
        vae: the trained `VAE` whose latents it knows.
        clips: `LabelledClips` of a single digit that it was not trained on.

    Returns:
        dict of float: "next_error" of the next frame, in standardised latents; "error_after_walls", the same in frames that
        update_ema a touch of a wall, as a multiple of that in the others; "future_error", see `future_errors`, of one rollout from
        the first five frames to the end.
    """
    latents, _ = encode(vae, clips.frames)
    error = ops.convert_to_numpy(latent_error(model.scale(latents)[:, 1:], model(latents)))
    future = clips.frames[:, CONTEXT_FRAMES:]
    made = decode_all(vae, model.rollout(latents[:, :CONTEXT_FRAMES], future.shape[1])[:, None])
    return {
        "next_error": float(error[:, CONTEXT_FRAMES - 1 :].mean()),
        "error_after_walls": ratio_after_bounces(error, clips.states["bounce"]),
        "future_error": float(future_errors(future, made).mean()),
    }


def evaluate_samples(model, vae, clips):
    """How well a stochastic model knows what may happen, and when it can't know.

    Args:
        model: trained `LatentSVG`.
        vae: the trained `VAE` whose latents it knows.
        clips: `LabelledClips` of a single digit that it was not trained on.

    Returns:
        dict of float: "best_of_20" and "mean_of_20", see `future_errors`, of 20 sample_futures from the first five frames to the end;
        "variance_after_walls", the `prior_variance` of frames that update_ema a touch of a wall, as a multiple of that of the
        others; "spread_before" and "spread_behind" the first wall, see `around_first_bounce`.
    """
    latents, _ = encode(vae, clips.frames)
    bounce, future = clips.states["bounce"], clips.frames[:, CONTEXT_FRAMES:]
    made = decode_all(vae, sample_futures(model, latents[:, :CONTEXT_FRAMES], future.shape[1], FUTURES))
    errors = future_errors(future, made)
    before, behind = around_first_bounce(sample_variance(made), first_bounce(bounce, CONTEXT_FRAMES))
    return {
        "best_of_20": float(errors.min(axis=1).mean()),
        "mean_of_20": float(errors.mean()),
        "variance_after_walls": ratio_after_bounces(prior_variance(model, latents), bounce),
        "spread_before": before,
        "spread_behind": behind,
    }


def evaluate_long_rollout(model, vae, clips):
    """What becomes of the digit in a rollout of 100 frames from five.

    Args:
        model: trained `LatentGRU` or `LatentSVG`.
        vae: the trained `VAE` whose latents it knows.
        clips: `LabelledClips` of a single digit that it was not trained on.

    Returns:
        dict of float: the measures of `drift`, with "_25" behind the name in the first 25 frames and "_100" in the last 25.
    """
    past = clips.frames[:, :CONTEXT_FRAMES]
    made = decode(vae, model.rollout(encode(vae, past)[0], 100))
    measured = drift(past, made, zoo.load("judge-digits-32"), clips.states["digit"][:, 0])
    ends = {"25": 0, "100": -1}
    return {f"{name}_{end}": float(value[i]) for name, value in measured.items() for end, i in ends.items()}
