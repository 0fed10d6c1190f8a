"""Text to video: prompts in, clips out."""

import dataclasses
import functools
from pathlib import Path

import numpy as np

from .. import zoo
from ..datasets import DATASETS, load
from ..errors import CourseError
from ..files import progress
from ..models.flow_matching import check_guidance_scale, guided_velocity
from ..splits import is_held_out
from ..subwords import world_of_prompt
from ..tokenizer import count_phrases, swap_phrases, tokenize
from ..video import Clip
from ..zoo.weights import read_weights
from .own_clips import is_own, own_text_to_video
from .scene_layers import sample_scene_layers
from .space_time import sample_prompts
from .video import BATCH_SIZE, load_autoencoder

# Clips like those of the data sets, but none of these: prompts of held-out attribute combinations, which are rare.
PROMPTS = {name: dataclasses.replace(DATASETS[name], seed=920) for name in ("digits", "shapes")}


def text_to_video(prompts, seed=0, guidance_scale=None, folder=None, **options):
    """Generates a clip for each prompt, with the zoo's models or your own; its words tell whether it is of faces, digits, shapes.

    Args:
        prompts: sequence of str, English or Chinese.
        seed: non-negative int.
        guidance_scale: see `guided_velocity`, float from 0 to 20 or a dict of these; None for that of the model's record.
        folder: str or Path, where `recipes.own_clips.train` has put a model, or `experiments.text_to_video.train_from_scratch`,
            of digits or shapes; None for the zoo.
        **options: of `LatentDiffusion.sample`: `num_inference_steps`, `solver`.

    Returns:
        list of `Clip`, one for each prompt, which is its caption.

    Raises:
        CourseError: no prompts or no list of them, words that are not in the vocabulary, a guidance scale out of range, or no
            such model.
    """
    if isinstance(prompts, str) or not len(prompts):
        raise CourseError("text_to_video takes a list with at least one prompt: ['a red circle falls and bounces'].")
    if is_own(folder):
        return own_text_to_video(folder, prompts, seed, guidance_scale, **options)
    names = [world_of_prompt(prompt) for prompt in prompts]
    tokenize([prompt for prompt, name in zip(prompts, names) if name != "faces"])  # complains before models are read
    if guidance_scale is not None:
        check_guidance_scale(guidance_scale)
    clips = [None] * len(prompts)
    for dataset in dict.fromkeys(names):
        if folder is not None and dataset == "faces":
            raise CourseError(f"{folder} holds no model of faces: leave out the folder, and the zoo's is taken.")
        model, autoencoder = load_pretrained(dataset) if folder is None else _load_trained(dataset, folder)
        sampling = zoo.record(f"text-to-video-{dataset}")["sampling"]
        scale = sampling["guidance_scale"] if guidance_scale is None else guidance_scale
        chosen = [i for i, name in enumerate(names) if name == dataset]
        steps = {name: value for name, value in sampling.items() if name != "guidance_scale"} | options
        sample = sample_prompts if dataset == "faces" else sample_captions
        sampled = sample(model, autoencoder, [prompts[i] for i in chosen], scale, seed, **steps)
        for i, frames in zip(chosen, sampled):
            clips[i] = Clip(frames, caption=str(prompts[i]))
    return clips


@functools.cache
def load_pretrained(dataset):
    """The zoo's text-to-video model of a data set and its autoencoder, read once: don't train them any further.

    Args:
        dataset: str, "digits", "shapes" or "faces".

    Returns:
        trained `LatentDiffusion` with captions, and the trained `VAE` of its latents; of faces `SpaceTimeDiffusion` and
        `PatchAutoencoder`.
    """
    name = f"text-to-video-{dataset}"
    return zoo.load(name), load_autoencoder(zoo.record(name)["uses"]["autoencoder"])


def _load_trained(dataset, folder):
    """The model and the autoencoder that were trained from scratch into a folder."""
    if Path(folder).is_file() or str(folder).endswith(".h5"):
        raise CourseError(f"{folder} is a file: give the folder into which text-to-video was trained --from-scratch.")
    name = f"text-to-video-{dataset}"
    names = name, zoo.record(name)["uses"]["autoencoder"]
    models = [zoo.build(zoo.record(each)) for each in names]
    for each, model in zip(names, models):
        path = Path(folder) / f"{each}.weights.h5"
        if not path.is_file():
            command = f"python -m vidgen_tf train text-to-video --from-scratch --dataset {dataset} --output-dir {folder}"
            raise CourseError(f"{path} is missing: train it with {command}")
        read_weights(model, path)
    return models


def sample_captions(model, vae, captions, guidance_scale, seed=0, **options):
    """Clips sampled with classifier-free guidance, object by object where there are scene layers.

    The scene layer of a second object is conditioned on the first one's.

    Args:
        model: trained `LatentDiffusion` with captions.
        vae: the trained `VAE` of its latents.
        captions: sequence of N str.
        guidance_scale: see `guided_velocity`, float from 0 to 20 or a dict of these.
        seed: non-negative int.
        **options: of `LatentDiffusion.sample`: `num_inference_steps`, `solver`.

    Returns:
        uint8 `(N, T, H, W, C)`.

    Raises:
        CourseError: no captions, words that are not in the vocabulary, or a guidance scale out of range.
    """
    tokens, batches = tokenize(captions), []
    if not len(tokens):
        raise CourseError("There is no caption: ask for at least one clip.")
    for first in progress(range(0, len(tokens), BATCH_SIZE), label="sampling", unit="batch", delay=2):
        batch = tokens[first : first + BATCH_SIZE]

        def layer_velocity_fn(k, background, batch=batch):
            has_layer = (k == 0) | (count_phrases(batch) > k)  # one phrase, or none, has a first layer alone
            conditioning = {"tokens": swap_phrases(batch[has_layer]) if k else batch}
            if model.config.num_scene_layers > 1:
                conditioning["background"] = background[has_layer]
            return has_layer, guided_velocity(model, guidance_scale, conditioning=conditioning)

        sampled = sample_scene_layers(model, vae, len(batch), layer_velocity_fn, seed + first, **options)
        batches.append(sampled)
    return np.concatenate(batches)


def evaluation_prompts(dataset, count, split="test", held_out=False):
    """Real clips whose captions serve as prompts, half of them in Chinese.

    Args:
        dataset: str, "digits" or "shapes".
        count: int, how many.
        split: "validation" to choose by, "test" to report.
        held_out: whether the captions name the attribute combinations that are held out of training, or none of these.

    Returns:
        `LabelledClips` of `count` clips, or as many as there are, and the list of prompts.
    """
    clips = load(dataset, split)
    if held_out:
        clips = PROMPTS[dataset].make(split, 0, 14 * count)  # one in ten shows a held-out combination, of shapes one in four
    clips = clips[np.flatnonzero(is_held_out(clips.states) == held_out)[:count]]
    pairs = zip(clips.captions.tolist(), clips.captions_zh.tolist())
    return clips, [chinese if i % 2 else english for i, (english, chinese) in enumerate(pairs)]


def text_to_video_samples(model, record, count, seed):
    """Clips of a model of the zoo, for the captions of test clips.

    Args:
        model: trained `LatentDiffusion` with captions.
        record: dict with "dataset", "uses" and "sampling".
        count: int, how many clips.
        seed: non-negative int.

    Returns:
        list of `Clip`, each with the English caption.
    """
    clips, prompts = evaluation_prompts(record["dataset"]["name"], count)
    chosen = [i % len(prompts) for i in range(count)]
    vae, sampling = load_autoencoder(record["uses"]["autoencoder"]), record["sampling"]
    steps = {"num_inference_steps": sampling["num_inference_steps"]}
    sampled = sample_captions(model, vae, [prompts[i] for i in chosen], sampling["guidance_scale"], seed, **steps)
    return [Clip(frames, caption=str(clips.captions[i])) for frames, i in zip(sampled, chosen)]
