"""Evaluation of autoencoders: reconstruction, latent space, samples of the prior."""

import numpy as np
from keras import ops
from .features import predict_probabilities
from ..metrics.distribution import frechet_distance
from ..metrics.image import psnr
from ..metrics.latents import temporal_order_share
from ..metrics.memorization import nn_distance_ratio
from ..models.vae import decode, encode, kl_to_standard_normal


def evaluate_reconstruction(model, clips):
    """How well a VAE's latents stand for clips.

    Args:
        model: trained `VAE`.
        clips: `LabelledClips` that it was not trained on, with the state "position" `(N, T, K, 2)`.

    Returns:
        dict of float: "psnr_db" of rebuilt frames, the mean over frames; "active_dimensions", the share of latent dimensions
        with a mean divergence above 0.01 nats; "in_order", see `temporal_order_share`.
    """
    z_mean, z_log_var = encode(model, clips.frames)
    divergence = ops.convert_to_numpy(kl_to_standard_normal(z_mean, z_log_var)).mean(axis=(0, 1))
    return {
        "psnr_db": float(psnr(clips.frames, decode(model, z_mean)).mean()),
        "active_dimensions": float(np.mean(divergence > 0.01)),
        "in_order": temporal_order_share(z_mean, clips.states["position"]),
    }


def evaluate_prior_samples(model, judge, test_clips, training_clips):
    """How frames decoded from the prior look to a judge of their world, and whether they are copies.

    Args:
        model: trained `VAE`.
        judge: see `vidgen_tf.models.judge`.
        test_clips: uint8 `(N, T, H, W, C)`; one frame of each is compared with N made frames.
        training_clips: uint8 `(M, T, H, W, C)`, M at least N; one frame of each of N gives the floor, every fourth frame of all
            is searched for copies.

    Returns:
        dict of float: "confident", the share of made frames of which the judge is sure (0.9 or more) in everything it judges;
        "frechet_distance" and "frechet_floor", both with n = N; "copy_ratio", the median distance to the nearest_image training
        frame, as a multiple of that of test frames.
    """
    count, times = test_clips.shape[:2]
    latents = np.random.default_rng(1000).normal(size=(count, 1, model.config.latent_dim))
    made = decode(model, latents)[:, 0]
    test, training_frames = (clips[np.arange(count), np.arange(count) % times] for clips in (test_clips, training_clips))
    features = {}
    for name, frames in {"made": made, "test": test, "training": training_frames}.items():
        said = predict_probabilities(judge, frames)
        features[name] = said.pop("features")
        if name == "made":
            sure = np.min([p.max(axis=1) for p in said.values()], axis=0) >= 0.9
    searched = training_clips[:, ::4].reshape(-1, *made.shape[1:])
    return {
        "confident": float(np.mean(sure)),
        "frechet_distance": frechet_distance(features["made"], features["test"]),
        "frechet_floor": frechet_distance(features["training"], features["test"]),
        "copy_ratio": nn_distance_ratio(made, test, searched),
    }
