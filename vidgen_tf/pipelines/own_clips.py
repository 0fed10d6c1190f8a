"""Text to video of your own captioned clips: the files of a trained folder, and clips that its model makes of prompts."""

import dataclasses
import json
from pathlib import Path

from .. import subwords
from ..errors import CourseError
from ..files import atomic_path
from ..models.patch_autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from ..models.space_time_dit import SpaceTimeConfig, SpaceTimeDiffusion
from ..video import Clip
from ..zoo.weights import read_weights, write_weights
from .space_time import sample_prompts

RECORD, VOCABULARY = "own-clips.json", "subwords.json"
WEIGHTS = {"autoencoder": "autoencoder.weights.h5", "model": "text-to-video.weights.h5"}
CLASSES = {"autoencoder": (PatchAutoencoder, PatchAutoencoderConfig), "model": (SpaceTimeDiffusion, SpaceTimeConfig)}


def is_own(folder):
    """Whether a folder holds a model of somebody's own clips.

    Args:
        folder: str or Path, or None.

    Returns:
        bool.
    """
    return folder is not None and (Path(folder) / RECORD).is_file()


def save(folder, models, details):
    """Writes a trained model, its autoencoder and their record, the record last.

    Args:
        folder: str or Path.
        models: dict of "autoencoder" and "model".
        details: dict of what else the record holds: "fps", "sampling", "scores".
    """
    for role, model in models.items():
        write_weights(model, Path(folder) / WEIGHTS[role])
    configs = {role: dataclasses.asdict(model.config) for role, model in models.items()}
    with atomic_path(Path(folder) / RECORD) as temporary:
        temporary.write_text(json.dumps(configs | details, indent=1) + "\n", encoding="utf-8")


def load(folder):
    """Reads what `save` has written.

    Args:
        folder: str or Path.

    Returns:
        dict of "model" and "autoencoder"; and the record.

    Raises:
        CourseError: files that are missing, damaged, or belong to another model.
    """
    folder, models = Path(folder), {}
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        configs = {role: config(**record[role]) for role, (_, config) in CLASSES.items()}
        subwords.load(folder / VOCABULARY), record["sampling"], record["fps"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CourseError(f"{RECORD} or {VOCABULARY} in {folder} is missing or damaged: {_train(folder)}") from error
    for role, (build, _) in CLASSES.items():
        models[role], path = build(configs[role]), folder / WEIGHTS[role]
        if not path.is_file():
            raise CourseError(f"{path} is missing: {_train(folder)}")
        read_weights(models[role], path)
    return models, record


def _train(folder):
    return f"train with python -m vidgen_tf train text-to-video --data CLIPS --output-dir {folder}"


def own_text_to_video(folder, prompts, seed=0, guidance_scale=None, is_strict=True, **sampling):
    """Clips for prompts, by a model of somebody's own clips.

    Args:
        folder: str or Path, where `recipes.own_clips.train` has put the model.
        prompts: sequence of str, in words of the captions that it was trained on.
        seed: non-negative int.
        guidance_scale: float from 0 to 20; None for that of the record.
        is_strict: whether words that no caption had are refused, or left out.

        **sampling: of `LatentDiffusion.sample`, in place of the record's: `num_inference_steps`, `solver`.

    Returns:
        list of `Clip`, one for each prompt, which is its caption.

    Raises:
        CourseError: no prompts, words that no caption had, a guidance scale out of range, missing or damaged files.
    """
    models, record = load(folder)
    options = record["sampling"] | sampling | {"vocabulary": Path(folder) / VOCABULARY, "is_strict": is_strict, "seed": seed}
    if guidance_scale is not None:
        options["guidance_scale"] = guidance_scale
    sampled = sample_prompts(models["model"], models["autoencoder"], prompts, **options)
    return [Clip(frames, fps=record["fps"], caption=str(prompt)) for frames, prompt in zip(sampled, prompts)]
