"""Evaluation of predictors: frames against the true future, latent trajectories, samples of the future, long rollouts."""

from keras import ops

from .. import zoo
from ..datasets import load
from ..metrics.prediction import (
    around_first_bounce,
    error_accumulation,
    evaluate_prediction,
    first_bounce,
    ratio_after_bounce,
    sample_mse,
    sample_variance,
)
from ..models.latent_rnn import latent_error, prior_variance, sample_futures
from ..models.vae import decode, encode
from ..pipelines.prediction import rollout
from .features import predict_probabilities

NUM_CONTEXT_FRAMES = 5  # of each clip that a recurrent model reads
NUM_SAMPLES = 20  # futures of each clip that a stochastic model is evaluated with
LONG = 100  # frames of a long rollout


def evaluate_predictor(model, record):
    """All test clips, whose digits were never seen: ten frames predicted from ten, as expected and with sharpened logits.

    Args:
        model: `ConvLSTM`, or a model of `build_simvp`.
        record: dict, its record.

    Returns:
        dict of float, see `metrics.prediction`; with "sharpened_" before the name, of sharpened logits.
    """
    clips, sampling = load(record["dataset"]["name"], "test").frames, record["sampling"]
    context = clips[:, : sampling["num_context_frames"]]
    ahead = clips.shape[1] - context.shape[1]
    sharpened = evaluate_prediction(clips, rollout(model, context, ahead, sampling["inverse_temperature"]))
    expected = evaluate_prediction(clips, rollout(model, context, ahead))
    return expected | {f"sharpened_{name}": sharpened[name] for name in ("mse_vs_copy_last", "ssim")}


def evaluate_one_step(model, vae, clips):
    """Errors of a deterministic model of latent trajectories.

    Args:
        model: trained `LatentGRU`.
        vae: trained `VAE` whose latents it predicts.
        clips: `LabelledClips` of a single digit that it was not trained on.

    Returns:
        dict of float: "one_step_error" of the next frame, in normalised latents; "error_after_bounce", the same in frames that
        follow a bounce, as a multiple of that in the others; "rollout_mse", see `sample_mse`, of one rollout from the first
        five frames to the end.
    """
    latents, _ = encode(vae, clips.frames)
    error = ops.convert_to_numpy(latent_error(model.normalization(latents)[:, 1:], model(latents)))
    future = clips.frames[:, NUM_CONTEXT_FRAMES:]
    predicted = decode(vae, model.rollout(latents[:, :NUM_CONTEXT_FRAMES], future.shape[1])[:, None])
    return {
        "one_step_error": float(error[:, NUM_CONTEXT_FRAMES - 1 :].mean()),
        "error_after_bounce": ratio_after_bounce(error, clips.states["bounce"], NUM_CONTEXT_FRAMES),
        "rollout_mse": float(sample_mse(future, predicted).mean()),
    }


def evaluate_samples(model, vae, clips):
    """Errors and diversity of a stochastic model's samples of the future.

    Args:
        model: trained `LatentSVG`.
        vae: trained `VAE` whose latents it samples.
        clips: `LabelledClips` of a single digit that it was not trained on.

    Returns:
        dict of float: "best_of_20" and "mean_of_20", see `sample_mse`, of 20 futures from the first five frames to the end;
        "prior_variance_after_bounce", the `prior_variance` of frames that follow a bounce, as a multiple of that of the others;
        "variance_before_bounce" and "variance_after_bounce", the samples' variance around the first bounce, see
        `around_first_bounce`.
    """
    latents, _ = encode(vae, clips.frames)
    bounce, future = clips.states["bounce"], clips.frames[:, NUM_CONTEXT_FRAMES:]
    context = latents[:, :NUM_CONTEXT_FRAMES]
    samples = decode(vae, sample_futures(model, context, future.shape[1], NUM_SAMPLES))
    errors = sample_mse(future, samples)
    before, after = around_first_bounce(sample_variance(samples), first_bounce(bounce, NUM_CONTEXT_FRAMES))
    variance = prior_variance(model, latents)
    return {
        "best_of_20": float(errors.min(axis=1).mean()),
        "mean_of_20": float(errors.mean()),
        "prior_variance_after_bounce": ratio_after_bounce(variance, bounce, NUM_CONTEXT_FRAMES),
        "variance_before_bounce": before,
        "variance_after_bounce": after,
    }


def evaluate_long_rollout(model, vae, classifier, clips):
    """Error accumulation and identity preservation in a rollout of 100 frames from five.

    Args:
        model: trained `LatentGRU` or `LatentSVG`.
        vae: trained `VAE` whose latents it predicts.
        classifier: the zoo's "classifier-digits".
        clips: `LabelledClips` of a single digit that it was not trained on.

    Returns:
        dict of float: the measurements of `metrics.prediction.error_accumulation`, with "_25" behind the name in the first 25
        frames and "_100" in the last 25.
    """
    context = clips.frames[:, :NUM_CONTEXT_FRAMES]
    frames = decode(vae, model.rollout(encode(vae, context)[0], LONG))
    outputs = predict_probabilities(classifier, frames.reshape(-1, *frames.shape[2:]))
    named = outputs["digit"].argmax(axis=1).reshape(frames.shape[:2])
    measured = error_accumulation(context, frames, named == clips.states["digit"][:, :1])
    ends = {"25": 0, "100": -1}
    return {f"{name}_{end}": float(value[i]) for name, value in measured.items() for end, i in ends.items()}


def evaluate_latent_model(model, record):
    """The evaluation of a recurrent model of latent trajectories on its data set's test clips.

    Args:
        model: trained `LatentGRU` or `LatentSVG`.
        record: dict, its record.

    Returns:
        dict of float: of a `LatentGRU` what `evaluate_one_step` gives, of a `LatentSVG` what `evaluate_samples` gives of 100
        clips; of both what `evaluate_long_rollout` gives of 100 clips.
    """
    vae, classifier = (zoo.load(record["uses"][role]) for role in ("autoencoder", "frame_classifier"))
    test = load(record["dataset"]["name"], "test")
    if record["evaluation"] == "latent_samples":
        found = evaluate_samples(model, vae, test[:100])
    else:
        found = evaluate_one_step(model, vae, test)
    return found | evaluate_long_rollout(model, vae, classifier, test[:100])
