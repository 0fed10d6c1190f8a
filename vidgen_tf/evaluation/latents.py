"""Evaluation of autoencoders: reconstruction, latent space, samples of the prior."""

import numpy as np
from keras import ops

from .. import zoo
from ..datasets import load
from ..metrics.distribution import frechet_distance
from ..metrics.image import psnr
from ..metrics.latents import temporal_order_share
from ..metrics.memorization import nn_distance_ratio
from ..models.vae import decode, encode, kl_to_standard_normal
from .features import predict_probabilities


def evaluate_reconstruction(model, clips):
    """Reconstruction by a VAE, use of its latent dimensions, and temporal order of its latents.

    Args:
        model: trained `VAE`.
        clips: `LabelledClips` that it was not trained on, with the state "position" `(N, T, K, 2)`.

    Returns:
        dict of float: "psnr_db" of reconstructed frames, the mean over frames; "active_dimensions", the share of latent
        dimensions with a mean KL divergence above 0.01 nats; "temporal_order_share", see `metrics.latents`.
    """
    z_mean, z_log_var = encode(model, clips.frames)
    divergence = ops.convert_to_numpy(kl_to_standard_normal(z_mean, z_log_var)).mean(axis=(0, 1))
    return {
        "psnr_db": float(psnr(clips.frames, decode(model, z_mean)).mean()),
        "active_dimensions": float(np.mean(divergence > 0.01)),
        "temporal_order_share": temporal_order_share(z_mean, clips.states["position"]),
    }


def evaluate_prior_samples(model, classifier, test_clips, training_clips):
    """Quality, distribution and memorisation of frames decoded from samples of the prior.

    Args:
        model: trained `VAE`.
        classifier: the zoo's frame classifier of these clips.
        test_clips: uint8 `(N, T, H, W, C)`; one frame of each is compared with N generated frames.
        training_clips: uint8 `(M, T, H, W, C)`, M at least N; one frame of each of N gives the real-to-real distance, every
            fourth frame of all is searched for copies.

    Returns:
        dict of float: "confident_share", the share of generated frames of which the classifier is sure (0.9 or more) in all its
        outputs; "frechet_distance" and "frechet_distance_real", both with n = N; "nn_distance_ratio", the median distance to the
        nearest training frame, as a multiple of that of test frames.
    """
    count, times = test_clips.shape[:2]
    latents = np.random.default_rng(1000).normal(size=(count, 1, model.config.latent_dim))
    generated = decode(model, latents)[:, 0]
    test, training_frames = (clips[np.arange(count), np.arange(count) % times] for clips in (test_clips, training_clips))
    outputs = {
        name: predict_probabilities(classifier, frames)
        for name, frames in {"generated": generated, "test": test, "training": training_frames}.items()
    }
    features = {name: parts.pop("features") for name, parts in outputs.items()}
    confidence = np.min([probabilities.max(axis=1) for probabilities in outputs["generated"].values()], axis=0)
    searched = training_clips[:, ::4].reshape(-1, *generated.shape[1:])
    return {
        "confident_share": float(np.mean(confidence >= 0.9)),
        "frechet_distance": frechet_distance(features["generated"], features["test"]),
        "frechet_distance_real": frechet_distance(features["training"], features["test"]),
        "nn_distance_ratio": nn_distance_ratio(generated, test, searched),
    }


def evaluate_autoencoder(model, record):
    """The evaluation of a VAE on its data set's test clips.

    Args:
        model: trained `VAE`.
        record: dict, its record.

    Returns:
        dict of float.
    """
    name = record["dataset"]["name"]
    test, training = load(name, "test"), load(name, "train")
    classifier = zoo.load(record["uses"]["frame_classifier"])
    return evaluate_reconstruction(model, test) | evaluate_prior_samples(model, classifier, test.frames, training.frames)
