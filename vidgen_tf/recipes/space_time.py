"""How text to video of drawn faces is trained: an autoencoder in closed form, then a transformer over space and time."""

import itertools
import time

import numpy as np

from .. import subwords, zoo
from ..datasets import iter_drawn, load, pipeline
from ..models.patch_autoencoder import PatchAutoencoderConfig, encode_clips
from ..models.space_time_dit import SpaceTimeConfig
from ..splits import is_held_out_hair
from ..worlds.paraphrases import paraphrase
from .diffusion import fit_flow_matching
from .recipe import Recipe

CAPTIONS_PER_CLIP = 8  # half of them in Chinese; each names other things of the clip, in another form
CAPTION_SEED = 50


def training_set(autoencoder, num_extra_clips=0):
    """Latents of drawn faces without held-out combinations of hair, and captions of each in several forms.

    Args:
        autoencoder: fitted `PatchAutoencoder`.
        num_extra_clips: int, how many clips to draw besides those of the training split.

    Returns:
        dict of "latents", float32 `(N, num_moments, latent_dim)`, and "tokens", int32 `(N, CAPTIONS_PER_CLIP, PROMPT_LENGTH)`.
    """
    latents, tokens = [], []
    for i, clips in enumerate(itertools.chain([load("faces")], iter_drawn("more-faces", num_extra_clips))):
        clips = clips[~is_held_out_hair(clips.states)]
        latents.append(encode_clips(autoencoder, clips.frames))
        seeds = CAPTION_SEED + np.arange(CAPTIONS_PER_CLIP // 2) + i * CAPTIONS_PER_CLIP
        pairs = [paraphrase(clips.states, "faces", seed=int(seed))[:2] for seed in seeds]
        tokens.append(np.stack([subwords.encode(captions) for pair in pairs for captions in pair], axis=1))
    return {"latents": np.concatenate(latents), "tokens": np.concatenate(tokens)}


def fit_captioned(model, examples, steps, batch_size=16, seed=0, **options):
    """Trains a space-time diffusion transformer on clips of which each has several captions, one after the other.

    Args:
        model: `SpaceTimeDiffusion`; its normalisation is adapted.
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
    model.normalization.mean.assign(latents.mean(axis=(0, 1)))  # the autoencoder has scaled its numbers already
    with tf.device("CPU:0"):
        latents, tokens = tf.constant(latents), tf.constant(tokens.reshape(-1, tokens.shape[-1]))

    def batches(first):
        data = pipeline(np.arange(len(tokens)), batch_size=batch_size, seed=seed, first_step=first)
        return data.map(lambda i: {"latents": tf.gather(latents, i // per_clip), "tokens": tf.gather(tokens, i)})

    return fit_flow_matching(model, batches, steps, seed=seed, **options)


def _fit_autoencoder(recipe, model, steps, checkpoint):
    """The principal components of the training clips: no steps, and nothing to resume."""
    begun, clips = time.monotonic(), load(*recipe.dataset)
    model.fit_components(clips[~is_held_out_hair(clips.states)].frames, recipe.seed)
    return {"step": np.array([steps]), "seconds": np.array([time.monotonic() - begun])}


def _train(recipe, model, steps, checkpoint):
    """Trains on the stored clips, and in more steps than the fast budget has on further ones."""
    options = dict(recipe.training)
    num_extra_clips = options.pop("num_extra_clips") * (steps > recipe.steps["fast"])
    examples = training_set(zoo.load(recipe.uses["autoencoder"]), num_extra_clips)
    return fit_captioned(model, examples, steps, seed=recipe.seed, checkpoint=checkpoint, log_interval=100, **options)


RECIPES = [
    Recipe(
        name="patch-autoencoder-faces",
        title="Linear video autoencoder: a drawn face, 16 frames of 64x64 RGB, as 64 places in space and time of 96 numbers",
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
        config=SpaceTimeConfig(vocabulary_size=subwords.VOCABULARY_SIZE, latent_channels=96),
        dataset=("faces", "train"),
        steps={"fast": 600, "full": 4800},
        seed=46,
        train=_train,
        evaluation="text_to_faces",
        pipeline="text_to_faces",
        reference="faces",
        uses={"autoencoder": "patch-autoencoder-faces"},
        sampling={"guidance_scale": 7.0, "guidance_interval": (0.0, 0.85), "num_inference_steps": 20},
        training={"num_extra_clips": 8000, "learning_rate": 3e-3, "batch_size": 32},
    ),
]
