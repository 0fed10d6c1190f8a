"""Text to video by tokens of space and time: whether a clip shows what its prompt says, and what the autoencoder keeps."""

import numpy as np

from ..datasets import DATASETS, load
from ..metrics.image import psnr
from ..models.patch_autoencoder import decode_clips, encode_clips
from ..pipelines.space_time import sample_prompts, world_prompts
from ..pipelines.video import load_autoencoder
from .image_to_video import read_faces, shrink
from .video_gan import most_frequent, read_frames, read_motions

NUM_CLIPS = 400
SAID = {"hair_style": "hair_style", "hair_colour": "hair_colour", "has_glasses": "glasses", "beard": "beard"}  # what -> the trait


def face_matches(frames, said):
    """Whether each clip shows what its prompt says; what a prompt leaves open can't be wrong.

    Args:
        frames: uint8 `(N, T, 64, 64, C)`.
        said: dict of int arrays `(N,)` of `paraphrase`, -1 where nothing is said.

    Returns:
        dict of bool arrays `(N,)`: "motion_accuracy", an accuracy of each trait, "appearance_accuracy" of all traits, and
        "joint_accuracy" of everything; and "asked", a dict of bool `(N,)`, whether the prompt names the trait.
    """
    small = shrink(frames)
    read = read_frames(small, "faces")
    traits = most_frequent(np.stack([read[trait] for trait in SAID.values()], axis=-1))
    seen = dict(zip(SAID.values(), traits.T))
    seen["glasses"] = seen["glasses"] > 0  # a prompt doesn't say of which kind
    asked = {name: said[name] >= 0 for name in SAID}
    right = {f"{name}_accuracy": ~asked[name] | (seen[trait] == said[name]) for name, trait in SAID.items()}
    appearance = np.all(list(right.values()), axis=0)
    motion = read_motions(small, read, "faces") == said["expression"]
    joint = {"appearance_accuracy": appearance, "motion_accuracy": motion, "joint_accuracy": appearance & motion}
    return right | joint | {"asked": asked}


def prompt_accuracies(frames, said):
    """Shares of clips that show what their prompts say; of an attribute, among the prompts that name it.

    Args:
        frames: uint8 clips `(N, T, 64, 64, C)`.
        said: dict of int arrays of `paraphrase`, -1 where nothing is said.

    Returns:
        dict of float in [0, 1], named as by `face_matches`.
    """
    matches = face_matches(frames, said)
    asked = {f"{name}_accuracy": rows for name, rows in matches.pop("asked").items()}
    return {name: float(right[asked.get(name, slice(None))].mean()) for name, right in matches.items()}


def evaluate_space_time(model, record):
    """Prompt adherence of 400 clips for prompts in new forms; of 400 in forms of training; and of 400 that name attributes
    never seen together.

    Args:
        model: trained `SpaceTimeDiffusion`.
        record: dict with "dataset", "uses" and "sampling", its record.

    Returns:
        dict of float: the accuracies of `prompt_accuracies`, "known_forms_joint_accuracy" and "held_out_joint_accuracy".
    """
    autoencoder, options = load_autoencoder(record["uses"]["autoencoder"]), record["sampling"]
    world = DATASETS[record["dataset"]["name"]].world

    def accuracies(seed, **asked):
        prompts, said = world_prompts(world, NUM_CLIPS, **asked)
        return prompt_accuracies(sample_prompts(model, autoencoder, prompts, seed=seed, **options), said)

    scores = accuracies(1)
    for seed, (name, asked) in enumerate({"held_out": {"held_out": True}, "known_forms": {"forms": "train"}}.items(), 2):
        scores[f"{name}_joint_accuracy"] = accuracies(seed, **asked)["joint_accuracy"]
    return scores


def evaluate_patch_autoencoder(model, record):
    """How much of test clips is left after the autoencoder.

    Args:
        model: fitted `PatchAutoencoder`.
        record: dict with "dataset", its record.

    Returns:
        dict of float: "psnr_db", and "motion_accuracy" and "motion_accuracy_real", the share of clips whose expression a
        classifier reads as it is, after the autoencoder and before.
    """
    clips = load(record["dataset"]["name"], "test")
    kept = decode_clips(model, encode_clips(model, clips.frames))
    flat = [frames.reshape(-1, *frames.shape[2:]) for frames in (clips.frames, kept)]
    read = [read_faces(frames)[0] == clips.states["expression"] for frames in (kept, clips.frames)]
    return {"psnr_db": float(psnr(*flat).mean())} | {
        name: float(right.mean()) for name, right in zip(("motion_accuracy", "motion_accuracy_real"), read)
    }
