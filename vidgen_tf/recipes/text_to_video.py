"""How the text-to-video models are trained."""

import itertools
import numpy as np
from ..worlds import shapes
from ..datasets import Dataset, load
from ..models.vae import encode
from ..pipelines.scene_layers import encode_scene_layers
from .diffusion import EXTRA_DATA, drawn, fit_diffusion, joined
from ..splits import is_held_out
from ..tokenizer import swap_phrases, tokenize


FREE_MOTION = Dataset(
    "digits", {"train": 0}, 910, {"size": 32, "frames": 16, "digits": 1}, function="make_canonical", split_option=True
)


COLLISION_REPEATS = 4  # times that a second thing is learned from if it meets the first; if once, most of those asked for miss it


SHORT_RUN_ATTRIBUTE_DROPOUT = 0.03  # attributes left out of captions in a minute's training: 59 % of prompts prompt_accuracy after it, and at 0.1, 47 %


def training_set(world, vae, fresh=0, wandering=0, layers=None, meetings=COLLISION_REPEATS):
    """What a model of a world learns from: the training clips drop_attribute the pairs held out, each with captions in both languages.

    Args:
        world: "digits" or "shapes".
        vae: trained `VAE` of its frames.
        fresh: how many more clips to draw from the world.
        wandering: how many clips to add of digits that bounce about in any direction. Their captions tell the digit alone, so
            that a digit is seen in places and on ways that its own captions don't name.
        layers: see `lesson`; None for what the world's recipe has.
        meetings: see `lesson`.

    Returns:
        dict of arrays, see `lesson`.
    """
    layers = RECIPES[world].config.layers if layers is None else layers
    sources = [load(world)], drawn(EXTRA_DATA[world], fresh), drawn(FREE_MOTION, wandering)
    return joined([lesson(vae, clips, layers, meetings) for clips in itertools.chain(*sources)])


def lesson(vae, clips, layers=1, meetings=COLLISION_REPEATS):
    """What clips drop_attribute a pair held out teach, once with each caption, layer by layer if there are any.

    Args:
        vae: trained `VAE` of their frames.
        clips: `LabelledClips`.
        layers: 1 for frames as they are; 2 for shapes by themselves, each of them an example with its own words first.
        meetings: with 2 layers, how often to take the second of two things that collide: only such a thing can't be made drop_attribute
            a look at the first, and these are few.

    Returns:
        dict of arrays: "z_mean" and "z_log_var", float32 `(M, T, latent_dim)`; "words", int32 `(M, L)`; and with 2 layers
        "behind", float32 `(M, T, latent_dim)`: 0 for the first of two things, and the first one's z_mean for the second.
    """
    clips = clips[~is_held_out(clips.states)]
    captions = [tokenize(captions) for captions in (clips.captions, clips.captions_zh)]
    if layers == 1:
        z_mean, z_log_var = encode(vae, clips.frames)
        return joined([{"z_mean": z_mean, "z_log_var": z_log_var, "words": words} for words in captions])
    found = encode_scene_layers(vae, clips)
    times = np.int64(clips.states["color"].T >= 0)  # (2, N): first things, then second ones, as in `encode_scene_layers`
    times[1, clips.states["motion"][:, 1] == shapes.MOTIONS.index("collides")] = meetings
    chosen = np.repeat(np.arange(times.size), times.ravel())
    mine = [np.concatenate([words, swap_phrases(words)]) for words in captions]
    said = [found | {"words": words} for words in mine]
    return joined([{name: array[chosen] for name, array in one.items()} for one in said])


def fit(model, learned, steps, **options):
    """Measures the scale of the training_set' latents and trains on them and their captions.

    Args:
        model: `LatentDiffusion` with captions.
        learned: what `training_set` or `lesson` gave.
        steps: training steps in all, more than 100.
        **options: of `fit_diffusion`.

    Returns:
        The history of `training.fit`.
    """
    model.scale.adapt(learned["z_mean"], learned["z_log_var"])
    return fit_diffusion(model, learned["z_mean"], steps, learned["words"], learned.get("behind"), **options)


def pictures(clips, layers):
    """The frames that an encoder has to know: as they are, or each thing by itself where clips are made in layers.

    Args:
        clips: N `LabelledClips`.
        layers: see `lesson`.

    Returns:
        uint8 `(M, H, W, C)`.
    """
    if layers == 1:
        films = clips.frames
    else:
        films = np.concatenate([shapes.layer(clips.states, k)[clips.states["color"][:, k] >= 0] for k in range(layers)])
    return films.reshape(-1, *films.shape[2:])
