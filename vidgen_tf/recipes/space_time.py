"""How text to video by tokens is trained: an autoencoder in closed form, then a transformer over space and time."""

import itertools
import time

import numpy as np
from scipy.cluster.vq import kmeans2

from .. import subwords, training, zoo
from ..datasets import iter_drawn, load, pipeline
from ..models.patch_autoencoder import PatchAutoencoderConfig, encode_clips, principal_components
from ..models.space_time_dit import SpaceTimeConfig
from ..splits import is_held_out_prompt
from ..worlds.paraphrases import paraphrase
from .diffusion import XLA_MIN_STEPS, adamw, fit_flow_matching
from .recipe import Recipe

CAPTIONS_PER_CLIP = 8  # half of them in Chinese; each names other things of the clip, in another form
CAPTION_SEED = 50
CAPTIONS_PER_MIXTURE = 4  # of a clip, by which it is put into a cluster
SHRINKAGE = 0.05  # of the covariance of a cluster, towards that of all


def training_set(world, autoencoder, num_extra_clips=0):
    """Latents of clips without held-out combinations of attributes, and captions of each in several forms.

    Args:
        world: str, "faces", "digits" or "shapes".
        autoencoder: fitted `PatchAutoencoder`.
        num_extra_clips: int, how many clips to draw besides those of the training split.

    Returns:
        dict of "latents", float32 `(N, num_moments, latent_dim)`, and "tokens", int32 `(N, CAPTIONS_PER_CLIP, PROMPT_LENGTH)`.
    """
    latents, tokens = [], []
    for i, clips in enumerate(itertools.chain([load(world)], iter_drawn(f"more-{world}", num_extra_clips))):
        clips = clips[~is_held_out_prompt(clips.states, world)]
        latents.append(encode_clips(autoencoder, clips.frames))
        seeds = CAPTION_SEED + np.arange(CAPTIONS_PER_CLIP // 2) + i * CAPTIONS_PER_CLIP
        pairs = [paraphrase(clips.states, world, seed=int(seed))[:2] for seed in seeds]
        tokens.append(np.stack([subwords.encode(captions) for pair in pairs for captions in pair], axis=1))
    return {"latents": np.concatenate(latents), "tokens": np.concatenate(tokens)}


def fit_prompts(model, examples, steps, batch_size=64, learning_rate=2e-3, seed=0):
    """Trains the text encoder to expect the principal components of a prompt's clips, and computes the mixture of clips.

    Each component counts the same, however little of a clip it changes, so what a face does is learned as soon as its hair.

    Args:
        model: `SpaceTimeDiffusion`, new; its normalisation is adapted.
        examples: dict of `training_set`.
        steps: training steps in all, more than 100.
        batch_size: captions per step.
        learning_rate: float, the largest.
        seed: non-negative int.

    Returns:
        The history of `training.fit`.

    References:
        Radford and others, 2021, "Learning transferable visual models from natural language supervision" (a text encoder that is
        trained on pictures first).
    """
    latents, tokens = examples["latents"], examples["tokens"]
    model.normalization.mean.assign(latents.mean(axis=(0, 1)))
    rows = np.asarray(model.normalization(latents)).reshape(len(latents), -1)
    mean, basis, deviations = principal_components(rows, model.config.num_components)
    deviations = np.maximum(deviations, 1e-3)  # few clips have fewer components than are asked for
    components, network = (rows - mean) @ basis, model.prompt_network()
    captions, targets = tokens.reshape(-1, tokens.shape[-1]), np.repeat(components / deviations, tokens.shape[1], axis=0)
    network.compile(adamw(steps, learning_rate), loss="mse", jit_compile=steps >= XLA_MIN_STEPS)

    def batches(first):
        return pipeline(captions, targets, batch_size=batch_size, seed=seed, first_step=first)

    history = training.fit(network, batches, steps, log_interval=100)
    some = tokens[:, :CAPTIONS_PER_MIXTURE].reshape(-1, tokens.shape[-1])
    expected = network.predict(some, batch_size=500, verbose=0)
    directions = principal_components(expected, model.config.embedding_dim)[1]
    model.network.get_layer("prompt_embedding").set_weights([directions])
    embeddings = (expected @ directions).reshape(len(latents), -1, directions.shape[1])
    rest = rows - mean - components @ basis.T
    mixture = fit_mixture(components, embeddings, model.config.num_clusters, seed)
    mixture |= {"mean": mean, "deviation": rows.std(axis=0), "basis": basis, "rest_variance": np.maximum(rest.var(axis=0), 1e-6)}
    mixture["rest_noise"] = np.maximum(1 - (basis**2).sum(axis=1), 1e-6)  # noise has variance 1 in every direction
    model.network.get_layer("preconditioning").assign_mixture(mixture)
    return history


def fit_mixture(components, embeddings, num_clusters, seed=0):
    """Clusters clips by what their captions let expect, and computes the Gaussian of each cluster, linear in the prompt.

    Args:
        components: float `(N, M)`, principal components of clips.
        embeddings: float `(N, C, L)`, of C captions of each.
        num_clusters: int.
        seed: non-negative int.

    Returns:
        dict of arrays, see `MixturePreconditioning`.
    """
    described = embeddings.mean(axis=1)
    labels = min((kmeans2(described, num_clusters, minit="++", seed=seed + k) for k in range(3)), key=_spread(described))[1]
    size, used = embeddings.shape[-1], np.unique(labels)
    found, residuals = [], []
    for k in range(num_clusters):
        own = labels == used[k % len(used)]  # where there are fewer clusters, some stand there several times
        copies = len(range(k % len(used), num_clusters, len(used)))
        told = embeddings[own].reshape(-1, size)
        centre, covariance = told.mean(axis=0), np.cov(told.T) + 1e-3 * np.eye(size)
        inputs = np.concatenate([np.ones((own.sum(), 1)), described[own] - centre], axis=1)
        solved = np.linalg.solve(inputs.T @ inputs + 0.1 * np.eye(size + 1), inputs.T @ components[own])
        residuals.append(components[own] - inputs @ solved)
        factor = np.linalg.inv(np.linalg.cholesky(covariance)).T
        scale = -np.linalg.slogdet(covariance)[1] / 2
        found.append((solved[0], solved[1:], centre, factor, np.log(own.mean() / copies), scale))
    pooled = np.cov(np.concatenate(residuals).T)
    shares = [SHRINKAGE + (1 - SHRINKAGE) / len(rows) for rows in residuals]
    shrunk = [(1 - share) * rows.T @ rows / len(rows) + share * pooled for share, rows in zip(shares, residuals)]
    variances, axes = np.linalg.eigh(np.stack(shrunk))
    names = ("centres", "slopes", "prompt_centres", "prompt_factors", "log_priors", "log_scales")
    mixture = {name: np.stack(parts) for name, parts in zip(names, zip(*found))}
    return mixture | {"axes": axes, "variances": np.maximum(variances, 1e-4)}


def _spread(described):
    """The sum of squares within clusters, of what `kmeans2` returns."""
    return lambda found: np.sum((described - found[0][found[1]]) ** 2)


def fit_captioned(model, examples, steps, batch_size=16, seed=0, **options):
    """Trains a space-time diffusion transformer on clips of which each has several captions, one after the other.

    Args:
        model: `SpaceTimeDiffusion`, see `fit_prompts`.
        examples: dict of `training_set`.
        steps: training steps in all, more than 100.
        batch_size: clips per step.
        seed: non-negative int.
        **options: of `fit_flow_matching`.

    Returns:
        The history of `training.fit`.
    """
    import tensorflow as tf

    latents, tokens = examples["latents"], examples["tokens"]
    per_clip = tokens.shape[1]
    with tf.device("CPU:0"):
        latents, tokens = tf.constant(latents), tf.constant(tokens.reshape(-1, tokens.shape[-1]))

    def batches(first):
        data = pipeline(np.arange(len(tokens)), batch_size=batch_size, seed=seed, first_step=first)
        return data.map(lambda i: {"latents": tf.gather(latents, i // per_clip), "tokens": tf.gather(tokens, i)})

    return fit_flow_matching(model, batches, steps, seed=seed, **options)


def _fit_autoencoder(recipe, model, steps, checkpoint):
    """The principal components of the training clips: no steps, and nothing to resume."""
    begun, clips = time.monotonic(), load(*recipe.dataset)
    model.fit_components(clips[~is_held_out_prompt(clips.states, recipe.dataset[0])].frames, recipe.seed)
    return {"step": np.array([steps]), "seconds": np.array([time.monotonic() - begun])}


def _train(recipe, model, steps, checkpoint):
    """Trains on the stored clips, and in more steps than the fast budget has on further ones."""
    options = dict(recipe.training)
    num_extra_clips = options.pop("num_extra_clips") * (steps > recipe.steps["fast"])
    examples = training_set(recipe.dataset[0], zoo.load(recipe.uses["autoencoder"]), num_extra_clips)
    before = fit_prompts(model, examples, options.pop("text_steps"), seed=recipe.seed)
    history = fit_captioned(model, examples, steps, seed=recipe.seed, checkpoint=checkpoint, log_interval=100, **options)
    return history | {"seconds": history["seconds"] + before["seconds"][-1]}


RECIPES = [
    Recipe(
        name="patch-autoencoder-faces",
        title="Linear video autoencoder: a drawn face, 16 frames of 64x64 RGB, as 16 places in space and time of 256 numbers",
        model="PatchAutoencoder",
        config=PatchAutoencoderConfig(),
        dataset=("faces", "train"),
        steps={"fast": 1, "full": 1},
        seed=45,
        train=_fit_autoencoder,
        evaluation="patch_autoencoder",
    ),
    Recipe(
        name="text-to-video-faces",
        title="Text to video by tokens of space and time: a drawn face, 64x64, does what an English or Chinese prompt says",
        model="SpaceTimeDiffusion",
        config=SpaceTimeConfig(vocabulary_size=subwords.VOCABULARY_SIZE),
        dataset=("faces", "train"),
        steps={"fast": 400, "full": 6000},
        seed=46,
        train=_train,
        evaluation="space_time",
        pipeline="space_time",
        reference="faces",
        uses={"autoencoder": "patch-autoencoder-faces"},
        sampling={"guidance_scale": 3.0, "num_inference_steps": 20},
        training={"num_extra_clips": 12000, "text_steps": 1500, "learning_rate": 3e-3, "batch_size": 32},
    ),
]
