"""Experiment of chapter 05: the rate and the distortion of VAEs with weights of the KL term over a factor of 1000."""

import dataclasses

import numpy as np

from .. import zoo
from ..datasets import load
from ..evaluation.latents import evaluate_prior_samples, evaluate_reconstruction
from ..models.vae import VAE, decode, encode, kl_to_standard_normal
from ..recipes import RECIPES
from ..recipes.vae import fit_vae
from ..splits import training_frames
from .ablation import run_variants

SEEDS = (6, 106, 206)
BETAS = (0.004, 0.04, 0.4, 4.0)


def rate_and_distortion(model, frames):
    """What the latents of frames cost, and what is lost.

    Args:
        model: trained `VAE`.
        frames: uint8 `(N, T, H, W, C)`.

    Returns:
        dict of float, means over frames: "rate", the KL divergence of the approximate posterior from the prior, in nats; and
        "distortion", the squared error of the reconstruction from the posterior's mean, summed over pixels in [-1, 1].
    """
    z_mean, z_log_var = encode(model, frames)
    error = (frames.astype(np.float32) - decode(model, z_mean)) / 127.5
    rate = np.sum(kl_to_standard_normal(z_mean, z_log_var), axis=-1)
    return {"rate": float(rate.mean()), "distortion": float(np.sum(error**2, axis=(2, 3, 4)).mean())}


def run_betas(dataset, path, steps=5000, seeds=SEEDS):
    """Trains a VAE with each weight of the KL term.

    Args:
        dataset: str, "digits" or "shapes".
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of each, a multiple of 100.
        seeds: sequence of non-negative int: each variant is trained once with each.

    Returns:
        list of dicts, one for each weight and seed: "variant", "seed", "beta", and of test clips `rate_and_distortion` and the
        scores of `evaluation.latents`.
    """
    recipe, test = RECIPES[f"vae-{dataset}"], load(dataset, "test")
    training_clips, classifier = load(*recipe.dataset), zoo.load(recipe.uses["frame_classifier"])
    frames = training_frames(training_clips)

    variants = {f"beta {beta:g}": beta for beta in BETAS}

    def make(name, seed):
        beta = variants[name]
        model = VAE(dataclasses.replace(recipe.config, beta=beta), seed)
        fit_vae(model, frames, steps, seed=seed, log_interval=100)
        scores = rate_and_distortion(model, test.frames) | evaluate_reconstruction(model, test)
        scores |= evaluate_prior_samples(model, classifier, test.frames, training_clips.frames)
        return {"beta": beta} | scores

    return run_variants(variants, path, seeds, make)
