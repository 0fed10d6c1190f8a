"""Clips that continue context frames: free-running rollouts of frame predictors and of latent recurrent models."""

import numpy as np

from .. import zoo
from ..datasets import load
from ..errors import CourseError
from ..models.convlstm import logits_to_pixels
from ..models.latent_rnn import LatentSVG
from ..models.vae import decode, encode
from ..video import Clip, to_float, to_uint8

BATCH_SIZE = 50  # clips that are predicted together


def rollout(model, context, num_frames=10, inverse_temperature=1.0):
    """Predicts frames that follow a context; a recurrent model reads its own predictions (free-running).

    Args:
        model: `ConvLSTM`, or a model of `build_simvp`.
        context: uint8 `(N, T, H, W, C)`, the context frames; 10 for a model of `build_simvp`.
        num_frames: int, how many to predict; 10 for a model of `build_simvp`.
        inverse_temperature: float that sharpens what comes out, not what the model reads: logits are multiplied by it. At 1 a
            pixel has its expected brightness; above, uncertain pixels become darker or brighter than that.

    Returns:
        uint8 `(N, num_frames, H, W, C)`.

    Raises:
        CourseError: context frames that are no uint8, or more frames than a model of `build_simvp` predicts.
    """
    context = np.asarray(context)
    if context.dtype != np.uint8:
        raise CourseError(f"A rollout takes uint8 pixels, got {context.dtype}: use video.to_uint8.")
    options = {"num_free_running_frames": num_frames - 1} if hasattr(model, "num_free_running_frames") else {}
    if not options and num_frames > model.output_shape[1]:
        raise CourseError(f"Ask for at most {model.output_shape[1]} frames, got num_frames={num_frames}.")
    batches = (to_float(context[i : i + BATCH_SIZE]) for i in range(0, len(context), BATCH_SIZE))
    logits = (model(batch, **options)[:, -num_frames:] for batch in batches)
    return np.concatenate([to_uint8(logits_to_pixels(inverse_temperature * block)) for block in logits])


def context_clips(record, count, seed):
    """Test clips whose first frames a predictor is given.

    Args:
        record: dict, the predictor's record.
        count: int, how many clips.
        seed: non-negative int.

    Returns:
        `LabelledClips`.
    """
    return load(record["dataset"]["name"], "test").subset(count, seed)


def frame_prediction(model, record, count, seed):
    """Test clips whose last frames are predicted from their first ones.

    Args:
        model: `ConvLSTM`, or a model of `build_simvp`.
        record: dict with "dataset" and "sampling".
        count: int, how many clips.
        seed: non-negative int.

    Returns:
        list of `Clip`.
    """
    clips, sampling = context_clips(record, count, seed).frames, record["sampling"]
    context = clips[:, : sampling["num_context_frames"]]
    future = rollout(model, context, clips.shape[1] - context.shape[1], sampling["inverse_temperature"])
    return [Clip(frames) for frames in np.concatenate([context, future], axis=1)]


def latent_rollout(model, record, count, seed):
    """Test clips whose last frames a recurrent model predicts, or samples, in the latent space of the zoo's VAE.

    Args:
        model: `LatentGRU` or `LatentSVG`.
        record: dict with "dataset", "sampling" and "uses".
        count: int, how many clips.
        seed: non-negative int.

    Returns:
        list of `Clip`.
    """
    vae, clips = zoo.load(record["uses"]["autoencoder"]), context_clips(record, count, seed).frames
    context = clips[:, : record["sampling"]["num_context_frames"]]
    options = {"seed": seed} if isinstance(model, LatentSVG) else {}
    z_mean, _ = encode(vae, context)
    future = decode(vae, model.rollout(z_mean, clips.shape[1] - context.shape[1], **options))
    return [Clip(frames) for frames in np.concatenate([context, future], axis=1)]
