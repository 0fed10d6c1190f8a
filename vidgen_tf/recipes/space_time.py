"""How text to video is trained: an autoencoder in closed form, a text encoder, then a transformer over space and time."""

import itertools
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers

from .. import subwords, training, workers, zoo
from ..datasets import iter_drawn, load, pipeline
from ..models.patch_autoencoder import PatchAutoencoderConfig, encode_clips, principal_components
from ..models.space_time_dit import SpaceTimeConfig
from ..splits import is_held_out_prompt
from ..worlds.paraphrases import paraphrase
from .diffusion import XLA_MIN_STEPS, adamw, fit_flow_matching
from .recipe import Recipe

CAPTIONS_PER_CLIP = 8  # half of them in Chinese; each names other things of the clip, in another form
CAPTION_SEED = 50
NUM_COMPONENTS = 256  # principal components of a clip that the text encoder learns to expect
TEXT_BATCH_SIZE, TEXT_LEARNING_RATE = 64, 2e-3


def allowed_clips(clips):
    """The clips that text to video may learn from.

    Args:
        clips: `LabelledClips` of any world.

    Returns:
        `LabelledClips` without held-out combinations of attributes.
    """
    return clips[~is_held_out_prompt(clips.states, clips.world)]


def training_set(dataset, autoencoder, num_extra_clips=0):
    """Latents of clips without held-out combinations of attributes, and captions of each in several forms.

    Args:
        dataset: str, a data set with a world that `paraphrase` knows.
        autoencoder: fitted `PatchAutoencoder`.
        num_extra_clips: int, how many clips to draw besides those of the training split.

    Returns:
        dict of "latents", float32 `(N, num_moments, latent_dim)`, and "tokens", int32 `(N, CAPTIONS_PER_CLIP, PROMPT_LENGTH)`.
    """
    latents, tokens = [], []
    for i, clips in enumerate(itertools.chain([load(dataset)], iter_drawn(f"more-{dataset}", num_extra_clips))):
        clips = allowed_clips(clips)
        latents.append(encode_clips(autoencoder, clips.frames))
        seeds = CAPTION_SEED + np.arange(CAPTIONS_PER_CLIP // 2) + i * CAPTIONS_PER_CLIP
        pairs = [paraphrase(clips.states, clips.world, seed=int(seed))[:2] for seed in seeds]
        tokens.append(np.stack([subwords.encode(captions) for pair in pairs for captions in pair], axis=1))
    return {"latents": np.concatenate(latents), "tokens": np.concatenate(tokens)}


def fit_prompts(model, examples, steps, seed=0):
    """Trains the text encoder alone: from a caption it learns to expect the clip's principal components.

    Each component counts the same, however little of a clip it changes, so what a face does is learned as soon as its hair.

    Args:
        model: `SpaceTimeDiffusion`, new.
        examples: dict of `training_set`.
        steps: training steps in all, a multiple of 100 and more than that.
        seed: non-negative int.

    Returns:
        The history of `training.fit`.

    References:
        Radford and others, 2021, "Learning transferable visual models from natural language supervision" (a text encoder that is
        trained on pictures first).
    """
    rows, captions = examples["latents"].reshape(len(examples["latents"]), -1), examples["tokens"]
    mean, basis, deviations = principal_components(rows, min(NUM_COMPONENTS, len(rows) - 1))
    targets = (rows - mean) @ basis / np.maximum(deviations, 1e-3)
    tokens = keras.Input((model.config.prompt_length,), dtype="int32", name="tokens")
    hidden = layers.Dense(2 * model.config.text_dim, activation="gelu")(model.text_encoder(tokens)[-1][:, 0])
    network = keras.Model(tokens, layers.Dense(targets.shape[1])(hidden), name="prompt_network")
    network.compile(adamw(steps, TEXT_LEARNING_RATE), loss="mse", jit_compile=steps >= XLA_MIN_STEPS)
    targets = np.repeat(targets, captions.shape[1], axis=0)
    captions = captions.reshape(-1, captions.shape[-1])

    def batches(first):
        return pipeline(captions, targets, batch_size=TEXT_BATCH_SIZE, seed=seed, first_step=first)

    return training.fit(network, batches, steps, log_interval=100)


def fit_captioned(model, examples, steps, text_steps, batch_size=16, seed=0, **options):
    """Trains a text encoder, then a space-time diffusion transformer, on clips of which each has several captions.

    Args:
        model: `SpaceTimeDiffusion`; its normalisation is adapted.
        examples: dict of `training_set`.
        steps: training steps of the transformer in all, more than 100.
        text_steps: training steps of the text encoder before them, see `fit_prompts`.
        batch_size: clips per step.
        seed: non-negative int.
        **options: of `fit_flow_matching`.

    Returns:
        The history of `training.fit`; its seconds count both trainings, of one that resumes the transformer's alone.
    """
    import tensorflow as tf

    latents, tokens = examples["latents"], examples["tokens"]
    per_clip = tokens.shape[1]
    model.normalization.mean.assign(latents.mean(axis=(0, 1)))  # the autoencoder has scaled its numbers already
    resumes = Path(options.get("checkpoint") or "").is_file() and workers.current() is None  # a checkpoint has the encoder too
    seconds = 0.0 if resumes else fit_prompts(model, examples, text_steps, seed)["seconds"][-1]
    with tf.device("CPU:0"):
        latents, tokens = tf.constant(latents), tf.constant(tokens.reshape(-1, tokens.shape[-1]))

    def batches(first):
        data = pipeline(np.arange(len(tokens)), batch_size=batch_size, seed=seed, first_step=first)
        return data.map(lambda i: {"latents": tf.gather(latents, i // per_clip), "tokens": tf.gather(tokens, i)})

    history = fit_flow_matching(model, batches, steps, seed=seed, **options)
    return history | {"seconds": history["seconds"] + seconds}


def _fit_autoencoder(recipe, model, steps, checkpoint):
    """The principal components of the training clips: no steps, and nothing to resume."""
    begun = time.monotonic()
    model.fit_components(allowed_clips(load(*recipe.dataset)).frames, recipe.seed)
    return {"step": np.array([steps]), "seconds": np.array([time.monotonic() - begun])}


def _train(recipe, model, steps, checkpoint):
    """Trains on the stored clips, and in more steps than the fast budget has on further ones."""
    options = dict(recipe.training)
    num_extra_clips = options.pop("num_extra_clips") * (steps > recipe.steps["fast"])
    options["text_steps"] = min(options["text_steps"], steps)
    examples = training_set(recipe.dataset[0], zoo.load(recipe.uses["autoencoder"]), num_extra_clips)
    return fit_captioned(model, examples, steps, seed=recipe.seed, checkpoint=checkpoint, log_interval=100, **options)


RECIPES = [
    Recipe(
        name="patch-autoencoder-faces",
        title="Linear video autoencoder: a drawn face, 16 frames of 64x64 RGB, as 64 places in space and time of 128 numbers",
        model="PatchAutoencoder",
        config=PatchAutoencoderConfig(frame_components=128, latent_channels=128),
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
        config=SpaceTimeConfig(
            vocabulary_size=subwords.VOCABULARY_SIZE, latent_channels=128, hidden_dim=192, has_frozen_text=True
        ),
        dataset=("faces", "train"),
        steps={"fast": 600, "full": 10000},
        seed=46,
        train=_train,
        evaluation="space_time",
        pipeline="space_time",
        reference="faces",
        uses={"autoencoder": "patch-autoencoder-faces"},
        sampling={"guidance_scale": 3.0, "num_inference_steps": 20},
        training={"num_extra_clips": 16000, "text_steps": 3000, "learning_rate": 3e-3, "batch_size": 32},
    ),
]
