"""Text to video: prompts in, clips out."""

import functools
import numpy as np
from pathlib import Path
from tqdm.auto import tqdm
from .. import zoo
from ..errors import CourseError
from ..models.flow_matching import guided_velocity
from .scene_layers import sample_scene_layers
from .video import BATCH_SIZE
from ..quiet import quiet
from ..tokenizer import count_phrases, dataset_of_prompt, swap_phrases, tokenize
from ..video import Clip


def sample_captions(model, vae, captions, guidance, seed=0, **options):
    """Clips that captions ask for; of two things, the second is made around the first.

    Args:
        model: trained `LatentDiffusion` with captions.
        vae: the trained `VAE` whose latents it knows.
        captions: sequence of N str.
        guidance: see `guided_velocity`.
        seed: non-negative int.
        **options: of `LatentDiffusion.sample`: `steps`, `solver`.

    Returns:
        uint8 `(N, T, H, W, C)`.

    Raises:
        CourseError: words that the model never saw.
    """
    words, made = tokenize(captions), []
    blocks = range(0, len(words), BATCH_SIZE)
    for first in tqdm(blocks, desc="sampling", unit="block", delay=2, leave=False, disable=quiet()):
        part = words[first : first + BATCH_SIZE]

        def steer(k, behind, part=part):
            asked = (k == 0) | (count_phrases(part) > k)  # one phrase, or none, has a first layer alone
            mine = swap_phrases(part[asked]) if k else part
            return asked, guided_velocity(model, mine, guidance, behind[asked])

        made.append(sample_scene_layers(model, vae, len(part), steer, seed + first, **options))
    return np.concatenate(made)


def text_to_video(prompts, seed=0, guidance=None, folder=None, **options):
    """Turns prompts into clips, with the zoo's models or your own: the words of a prompt tell whether it is of digits or shapes.

    Args:
        prompts: sequence of str, English or Chinese.
        seed: non-negative int.
        guidance: see `guided_velocity`; None for the recipe's.
        folder: where `train_from_scratch` has put a model; None for the zoo.
        **options: of `LatentDiffusion.sample`: `steps`, `solver`.

    Returns:
        list of `Clip`, one for each prompt, which is its caption.

    Raises:
        CourseError: no prompts, words that the model never saw, or no such model.
    """
    worlds = [dataset_of_prompt(prompt) for prompt in prompts]
    if not worlds:
        raise CourseError("There is no prompt: ask for at least one clip.")
    clips = [None] * len(prompts)
    for world in dict.fromkeys(worlds):
        model, vae = _pair(world, folder)
        places = [i for i, other in enumerate(worlds) if other == world]
        strength = RECIPES[world].guidance if guidance is None else guidance
        made = sample_captions(model, vae, [prompts[i] for i in places], strength, seed, **options)
        for i, frames in zip(places, made):
            clips[i] = Clip(frames, caption=str(prompts[i]))
    return clips


@functools.cache
def load_pretrained(world):
    """The zoo's model of a world and its encoder, read once: don't train them any further.

    Args:
        world: "digits" or "shapes".

    Returns:
        trained `LatentDiffusion` with captions, and the `VAE` whose latents it knows.
    """
    return zoo.load(f"text-to-video-{world}"), zoo.load(RECIPES[world].vae)


def _pair(world, folder):
    """The model of a world and its encoder."""
    if folder is None:
        return load_pretrained(world)
    names = f"text-to-video-{world}", RECIPES[world].vae
    models = [zoo.recipe(name).build() for name in names]
    for name, model in zip(names, models):
        path = Path(folder) / f"{name}.weights.h5"
        if not path.is_file():
            raise CourseError(f"{path} is missing: python -m vidgen_tf train text-to-video --from-scratch --world {world}")
        zoo.read_weights(model, path)
    return models
