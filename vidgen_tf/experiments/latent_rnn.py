"""Experiment of chapter 07: a learned prior, a fixed one, and noise on a deterministic model's predictions."""

import keras
import numpy as np
from keras import ops

from .. import zoo
from ..datasets import load
from ..evaluation.rollouts import NUM_CONTEXT_FRAMES, NUM_SAMPLES
from ..metrics.prediction import around_first_bounce, energy_score, first_bounce, sample_mse, sample_variance
from ..models.latent_rnn import LatentGRU, LatentRNNConfig, LatentSVG, from_zero_state, sample_futures
from ..models.vae import decode, encode
from ..recipes import RECIPES
from ..recipes.latent_rnn import fit_rnn
from .ablation import run_variants

SEEDS = (8, 108, 208)
NOISE_STDS = (0.15, 0.25, 0.35, 0.5)  # of the noise on standardised latents; the best is chosen on validation clips
NUM_CLIPS = {"validation": 100, "test": 300}


class NoisyGRU(LatentGRU):
    """A deterministic model whose every prediction gets Gaussian noise before it is read again: its samples' control.

    Args:
        config: `LatentRNNConfig`.
    """

    noise_std = 0.0

    def rollout(self, latents, num_frames, seed=0):
        """Samples the latents that follow a context.

        Args:
            latents: float `(B, T, latent_dim)`, of the context frames.
            num_frames: int, how many to sample.
            seed: non-negative int.

        Returns:
            float32 array `(B, num_frames, latent_dim)`.
        """
        noise, frames = keras.random.SeedGenerator(seed), []
        prediction, state = from_zero_state(self.predictor, self.normalization(latents))
        for _ in range(num_frames):
            x = prediction[:, -1:]
            frames.append(x + self.noise_std * keras.random.normal(ops.shape(x), seed=noise))
            prediction, state = self.predictor([frames[-1], state])
        return ops.convert_to_numpy(self.normalization.denormalize(ops.concatenate(frames, axis=1)))


VARIANTS = {  # variant -> its model and what it changes in the configuration
    "learned prior": (LatentSVG, {}),
    "fixed prior": (LatentSVG, {"has_learned_prior": False}),
    "noise": (NoisyGRU, {}),
}


def measure_samples(model, vae, clips):
    """Errors of samples of the future, and where they differ.

    Args:
        model: trained model with a `rollout`, as `LatentSVG` has it.
        vae: trained `VAE` whose latents it samples.
        clips: `LabelledClips` of a single digit.

    Returns:
        dict of float: "best_of_1", "best_of_5" and "best_of_20", the least error of as many samples; "mean_of_20";
        "energy_score"; and the samples' variance around the first bounce, "variance_before_bounce" and "variance_after_bounce".
    """
    context, future = clips.frames[:, :NUM_CONTEXT_FRAMES], clips.frames[:, NUM_CONTEXT_FRAMES:]
    latents = sample_futures(model, encode(vae, context)[0], future.shape[1], NUM_SAMPLES)
    samples = decode(vae, latents)
    errors = sample_mse(future, samples)
    bounce = first_bounce(clips.states["bounce"], NUM_CONTEXT_FRAMES)
    before, after = around_first_bounce(sample_variance(samples), bounce)
    scores = {f"best_of_{k}": float(errors[:, :k].min(axis=1).mean()) for k in (1, 5, NUM_SAMPLES)}
    scores |= {"mean_of_20": float(errors.mean()), "energy_score": float(energy_score(future, samples).mean())}
    return scores | {"variance_before_bounce": before, "variance_after_bounce": after}


def run_priors(dataset, path, steps=1000, seeds=SEEDS):
    """Trains the variants for as many steps each, and samples futures of test clips.

    Args:
        dataset: str, "digits".
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of each, a multiple of 50.
        seeds: sequence of non-negative int: each variant is trained once with each.

    Returns:
        list of dicts, one for each variant and seed: "variant", "seed", "noise_std" (of "noise": the best on validation clips by
        the best of 20; else 0), and what `measure_samples` gives of test clips.
    """
    recipe = RECIPES[f"svg-{dataset}"]
    vae, world = zoo.load(recipe.uses["autoencoder"]), recipe.dataset[0]
    z_mean, z_log_var = encode(vae, load(*recipe.dataset).frames)
    clips = {split: load(world, split, count=count) for split, count in NUM_CLIPS.items()}

    def make(name, seed):
        kind, changes = VARIANTS[name]
        model = kind(LatentRNNConfig(**changes))
        fit_rnn(model, z_mean, z_log_var, steps, seed)
        noise_std = 0.0
        if name == "noise":
            tried = []
            for model.noise_std in NOISE_STDS:
                tried.append(measure_samples(model, vae, clips["validation"])["best_of_20"])
            noise_std = model.noise_std = NOISE_STDS[int(np.argmin(tried))]
        return {"noise_std": noise_std} | measure_samples(model, vae, clips["test"])

    return run_variants(VARIANTS, path, seeds, make)
