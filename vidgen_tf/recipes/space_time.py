"""How text to video by tokens is trained: an autoencoder in closed form, then a transformer over space and time."""

import itertools
import time

import numpy as np

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
SMALLEST_VARIANCE = 1e-3  # of a latent's number: one that is the same in all clips must not be divided by 0


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
    """Trains the text encoder to expect the principal components of a prompt's clips, before the flow is learned.

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
    basis = basis * deviations
    expected = network.predict(captions, batch_size=500, verbose=0).reshape(*tokens.shape[:2], -1)
    told_variance = np.mean([(rows - mean - expected[:, i] @ basis.T).var(axis=0) for i in range(tokens.shape[1])], axis=0)
    variances = (np.maximum(variance, SMALLEST_VARIANCE) for variance in (rows.var(axis=0), told_variance))
    model.network.get_layer("preconditioning").assign_clips(mean, *variances, basis)
    return history


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
        steps={"fast": 400, "full": 6600},
        seed=46,
        train=_train,
        evaluation="space_time",
        pipeline="space_time",
        reference="faces",
        uses={"autoencoder": "patch-autoencoder-faces"},
        sampling={"guidance_scale": 3.0, "num_inference_steps": 20},
        training={"num_extra_clips": 12000, "text_steps": 3000, "learning_rate": 3e-3, "batch_size": 32},
    ),
]
