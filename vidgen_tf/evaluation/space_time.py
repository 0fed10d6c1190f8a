"""Text to video by tokens of space and time: does a clip show what its prompt says; and what the autoencoder keeps."""

import numpy as np

from ..datasets import load
from ..metrics.image import psnr
from ..metrics.tracking import track
from ..models.patch_autoencoder import decode_clips, encode_clips
from ..pipelines.space_time import sample_prompts, unseen_prompts
from ..pipelines.video import load_autoencoder
from ..worlds.paraphrases import paraphrase
from .adherence import prompt_matches
from .copies import TrainingClips, copy_distances
from .features import mean_frame_features
from .image_to_video import shrink
from .measurements import memorization_scores
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


def said_matches(frames, said, world):
    """Whether each clip shows what its prompt says; what a prompt leaves open can't be wrong.

    Args:
        frames: uint8 `(N, T, H, W, C)`.
        said: dict of int arrays `(N, ...)` of `paraphrase`, -1 where nothing is said.
        world: str, "faces", "digits" or "shapes".

    Returns:
        dict of bool arrays `(N,)`: "joint_accuracy", of everything, and accuracies of its parts, see `face_matches` and
        `prompt_matches`.
    """
    if world == "faces":
        return face_matches(frames, said)
    features = mean_frame_features(frames, world) if world == "digits" else {}
    return prompt_matches(track(frames, world), features, said, world)


def said_accuracies(frames, said, world):
    """Shares of clips that show what their prompts say; of a face's trait, among the prompts that name it.

    Args:
        frames, said, world: as for `said_matches`.

    Returns:
        dict of float in [0, 1], named as by `said_matches`.
    """
    matches = said_matches(frames, said, world)
    asked = {f"{name}_accuracy": rows for name, rows in matches.pop("asked", {}).items()}
    return {name: float(right[asked.get(name, slice(None))].mean()) for name, right in matches.items()}


def evaluate_space_time(model, record):
    """Prompt adherence of 400 clips for prompts in unseen forms, and of 400 that name held-out combinations; and copies.

    Args:
        model: trained `SpaceTimeDiffusion`.
        record: dict with "dataset", "uses" and "sampling", its record.

    Returns:
        dict of float: the accuracies of `said_accuracies`, "held_out_joint_accuracy", and "memorized_share" of
        `copies.NUM_SEARCHED` clips.
    """
    autoencoder, world = load_autoencoder(record["uses"]["autoencoder"]), record["dataset"]["name"]
    made, scores = [], []
    for held_out in (False, True):
        prompts, said = unseen_prompts(world, NUM_CLIPS, held_out)
        made.append(sample_prompts(model, autoencoder, prompts, seed=1 + held_out, world=world, **record["sampling"]))
        scores.append(said_accuracies(made[-1], said, world))
    training = TrainingClips.of(record)
    distances = (copy_distances(frames, training) for frames in (made[0], load(world, "test").frames))
    memorized = memorization_scores(*distances)["memorized_share"].value
    return scores[0] | {"held_out_joint_accuracy": scores[1]["joint_accuracy"], "memorized_share": memorized}


def evaluate_patch_autoencoder(model, record):
    """How much of test clips is left after the autoencoder.

    Args:
        model: fitted `PatchAutoencoder`.
        record: dict with "dataset", its record.

    Returns:
        dict of float: "psnr_db", and the accuracies of `said_accuracies` of the clips after the autoencoder, and with "_real" of
        the clips themselves: what a model of its latents can reach at most.
    """
    world = record["dataset"]["name"]
    clips = load(world, "test")
    kept = decode_clips(model, encode_clips(model, clips.frames))
    flat = [frames.reshape(-1, *frames.shape[2:]) for frames in (clips.frames, kept)]
    said = paraphrase(clips.states, world, seed=0)[2]
    after, before = (said_accuracies(frames, said, world) for frames in (kept, clips.frames))
    return {"psnr_db": float(psnr(*flat).mean())} | after | {f"{name}_real": value for name, value in before.items()}
