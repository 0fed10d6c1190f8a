"""Text to video by tokens of space and time: prompts in, clips out."""

import numpy as np

from .. import subwords
from ..datasets import DATASETS
from ..errors import CourseError
from ..files import progress
from ..models.flow_matching import guided_velocity, guided_within
from ..models.patch_autoencoder import decode_clips
from ..splits import is_held_out_prompt
from ..video import Clip
from ..worlds.paraphrases import draw_states, paraphrase
from .video import load_autoencoder

BATCH_SIZE = 64  # clips that are sampled together
PROMPT_SEED, VALIDATION_SEED = 930, 931  # of clips that no data set has: to report by, and to choose by
DRAWS_PER_PROMPT = 25  # one face in ten has hair that is held out, and not every caption names it


def sample_prompts(
    model,
    autoencoder,
    prompts,
    guidance_scale,
    seed=0,
    *,
    guidance_interval=(0.0, 1.0),
    vocabulary=subwords.PATH,
    is_strict=True,
    **options,
):
    """Clips sampled with classifier-free guidance.

    Args:
        model: trained `SpaceTimeDiffusion`.
        autoencoder: the `PatchAutoencoder` of its latents.
        prompts: sequence of N str, English or Chinese.
        guidance_scale: float from 0 to 20.
        seed: non-negative int.
        guidance_interval: (float, float), timesteps in [0, 1] between which there is guidance, see `guided_within`.
        vocabulary: str or Path, file of the vocabulary, see `subwords.train`; the course's has words of other worlds as well, so
            of it those of faces are known.
        is_strict: see `subwords.encode`.
        **options: of `LatentDiffusion.sample`: `num_inference_steps`, `solver`.

    Returns:
        uint8 `(N, num_frames, H, W, C)`.

    Raises:
        CourseError: no prompts, words that are not in the vocabulary, a guidance scale or interval out of range, or a scale for
            each attribute: subword tokens don't tell which attribute they belong to.
    """
    if isinstance(guidance_scale, dict):
        raise CourseError("Prompts of subword tokens are guided as a whole: give guidance_scale as a number.")
    world = "faces" if vocabulary == subwords.PATH else None
    tokens, batches = subwords.encode(prompts, world, path=vocabulary, is_strict=is_strict), []
    if not len(tokens):
        raise CourseError("There is no prompt: ask for at least one clip.")
    for first in progress(range(0, len(tokens), BATCH_SIZE), label="sampling", unit="batch", delay=2):
        batch = tokens[first : first + BATCH_SIZE]
        guided, conditional = (guided_velocity(model, scale, conditioning={"tokens": batch}) for scale in (guidance_scale, 1.0))
        velocity_fn = guided_within(guided, conditional, guidance_interval)
        latents = model.sample(len(batch), seed=seed + first, velocity_fn=velocity_fn, **options)
        batches.append(decode_clips(autoencoder, latents))
    return np.concatenate(batches)


def world_prompts(world, count, held_out=False, seed=PROMPT_SEED, forms="test"):
    """Prompts about clips that are in no training, half of them in Chinese.

    Args:
        world: str, one that `paraphrase` knows.
        count: int, how many.
        held_out: whether each names attributes that are held out of training together, or none does.
        seed: int, `PROMPT_SEED` for prompts to report by, `VALIDATION_SEED` for those to choose by.
        forms: str, "test" for forms that no caption of training has, "train" for those that it has.

    Returns:
        list of str; and a dict of int arrays `(count,)` or `(count, 2)`, what they say, see `paraphrase`.
    """
    states = draw_states(world, DRAWS_PER_PROMPT * count, seed)
    english, chinese, said = paraphrase(states, world, seed=seed, split=forms)
    chosen = is_held_out_prompt(said if held_out else states, world)
    rows = np.flatnonzero(chosen == held_out)[:count]
    prompts = [str((chinese if i % 2 else english)[row]) for i, row in enumerate(rows)]
    return prompts, {name: value[rows] for name, value in said.items()}


def prompted_samples(model, record, count, seed):
    """Clips of a model of the zoo, for prompts in forms of tests.

    Args:
        model: trained `SpaceTimeDiffusion`.
        record: dict with "uses" and "sampling".
        count: int, how many clips.
        seed: non-negative int.

    Returns:
        list of `Clip`, each with its prompt.
    """
    prompts, _ = world_prompts(DATASETS[record["dataset"]["name"]].world, count)
    autoencoder = load_autoencoder(record["uses"]["autoencoder"])
    sampled = sample_prompts(model, autoencoder, prompts, seed=seed, **record["sampling"])
    return [Clip(frames, caption=prompt) for frames, prompt in zip(sampled, prompts)]
