"""Text to video of your own captioned clips: autoencoder, vocabulary, text encoder and transformer, all from nothing."""

import hashlib
import json

import keras
import numpy as np

from .. import subwords
from ..errors import CourseError
from ..evaluation.copies import copy_distances
from ..evaluation.measurements import memorization_scores
from ..files import atomic_path, check_writable
from ..models.flow_matching import FlowMatching
from ..models.patch_autoencoder import PatchAutoencoder, PatchAutoencoderConfig, decode_clips, encode_clips
from ..models.space_time_dit import SpaceTimeConfig, SpaceTimeDiffusion
from ..pipelines.own_clips import RECORD, VOCABULARY, own_text_to_video, save
from ..video import grid
from ..worlds import captioned
from .space_time import CAPTIONS_PER_CLIP, fit_captioned

MIN_CLIPS = 20
STEPS = {"fast": 600, "full": 4800}
TEXT_STEPS = {"fast": 300, "full": 1500}  # of the text encoder, before the flow is learned
VALIDATION_SHARE = 0.1  # of the clips
BATCH_SIZE = 32
SAMPLING = {"guidance_scale": 3.0, "num_inference_steps": 20}
NUM_SHOWN = 12  # clips of the picture of samples
NUM_COMPARED = 64  # clips whose losses are compared, and samples among which copies are looked for
MIN_SEARCHED = 50  # clips kept apart, without which nobody can tell a copy from a likeness


def train(data, folder, budget="full", resume=False, fps=8, seed=0):
    """Trains text to video on a folder of captioned videos, and says how far it only knows these by heart.

    Args:
        data: str or Path of the videos, see `worlds.captioned`.
        folder: where the models, the vocabulary, the record, a picture of samples and the checkpoint go.
        budget: "fast" or "full".
        resume: go on from the checkpoint there; otherwise it is removed first.
        fps: frames per second of the clips.
        seed: non-negative int.

    Returns:
        dict of float: "num_clips" of training and "num_kept_apart"; "loss" and "validation_loss" of the flow, on either; where
        `MIN_SEARCHED` clips are kept apart "memorized_share", copies of training clips among samples for their captions.

    Raises:
        CourseError: no captioned videos, fewer than `MIN_CLIPS` clips, a folder that can't be written to, a damaged checkpoint or
            one of other clips.
    """
    folder = check_writable(folder)
    clips, captions = captioned.load(data, unpacked=folder / "unpacked", fps=fps)
    if len(clips) < MIN_CLIPS:
        raise CourseError(f"{data} gives {len(clips)} clips with captions, and at least {MIN_CLIPS} are needed: add videos.")
    checkpoint = _checkpoint(folder, (clips, captions, budget, fps, seed), resume)
    (folder / RECORD).unlink(missing_ok=True)  # what stands there is replaced part by part
    held_out = kept_apart(clips.states["file"], seed)
    keras.utils.set_random_seed(seed)
    told = [captions[i] for i in np.flatnonzero(~held_out)]
    subwords.train({"own": [text for each in told for text in each]}, folder / VOCABULARY)
    model, autoencoder, examples = build(clips, captions, held_out, folder / VOCABULARY, seed)
    learned, other = ({name: value[rows] for name, value in examples.items()} for rows in (~held_out, held_out))
    options = {"batch_size": min(BATCH_SIZE, len(learned["latents"])), "learning_rate": 3e-3, "log_interval": 100}
    fit_captioned(model, learned, STEPS[budget], TEXT_STEPS[budget], seed=seed, checkpoint=checkpoint, **options)
    scores = {"num_clips": int(np.sum(~held_out)), "num_kept_apart": int(held_out.sum())}
    scores |= compare_losses(model, learned, other, seed)
    save(folder, {"autoencoder": autoencoder, "model": model}, {"fps": fps, "sampling": SAMPLING, "scores": scores})
    return scores | show_samples(folder, autoencoder, clips, captions, held_out, seed)


def _checkpoint(folder, settings, resume):
    """The file of the checkpoint, once it is sure that it is one of these clips and settings."""
    clips, captions, *others = settings
    digest = hashlib.sha256(json.dumps([clips.states["file"].tolist(), captions, *others]).encode())
    digest.update(np.ascontiguousarray(clips.frames))
    path, sign = folder / "checkpoint.npz", folder / "checkpoint.sha256"
    if resume and path.is_file() and (not sign.is_file() or sign.read_text() != digest.hexdigest()):
        raise CourseError(f"{path} is of other clips, captions or settings: leave out --resume to begin anew.")
    if not resume:
        path.unlink(missing_ok=True)
    with atomic_path(sign) as temporary:
        temporary.write_text(digest.hexdigest())
    return path


def kept_apart(videos, seed):
    """Which clips are kept apart from the training: a tenth, and whole videos, as clips of one video are much alike.

    Args:
        videos: str array `(N,)`, the video of each clip.
        seed: non-negative int.

    Returns:
        bool array `(N,)`; of a single video, or where each is longer than a tenth of all, True for the last tenth of the clips.
    """
    wanted, chosen = max(1, round(VALIDATION_SHARE * len(videos))), []
    names, counts = np.unique(videos, return_counts=True)
    for i in np.random.default_rng(seed).permutation(len(names)):
        if counts[i] <= wanted:
            chosen.append(names[i])
            wanted -= counts[i]
    return np.isin(videos, chosen) if chosen else np.arange(len(videos)) >= len(videos) - wanted


def build(clips, captions, held_out, vocabulary, seed=0):
    """A fitted autoencoder, a new model, and what they learn from; with few clips they have fewer numbers.

    Args:
        clips: `LabelledClips`.
        captions: list of N lists of str.
        held_out: bool array `(N,)`, see `kept_apart`.
        vocabulary: Path, see `subwords.train`.
        seed: non-negative int.

    Returns:
        `SpaceTimeDiffusion`, `PatchAutoencoder`, and a dict of "latents" and "tokens" of all clips, see `training_set`.
    """
    frames, count = clips.frames, int(np.sum(~held_out))
    autoencoder = PatchAutoencoder(PatchAutoencoderConfig(latent_channels=min(96, 2 * count)))
    autoencoder.fit_components(frames[~held_out], seed)
    told = [[each[k % len(each)] for k in range(CAPTIONS_PER_CLIP)] for each in captions]
    tokens = np.stack([subwords.encode(column, path=vocabulary, is_strict=False) for column in zip(*told)], axis=1)
    config = SpaceTimeConfig(
        grid_size=autoencoder.config.grid_size,
        latent_channels=autoencoder.config.latent_channels,
        vocabulary_size=max(subwords.VOCABULARY_SIZE, subwords.load(vocabulary)[0].get_vocab_size()),
    )
    return SpaceTimeDiffusion(config), autoencoder, {"latents": encode_clips(autoencoder, frames), "tokens": tokens}


def compare_losses(model, learned, other, seed=0):
    """The loss of the flow on clips that were learned from, and on others, with the same noise.

    Args:
        model: trained `SpaceTimeDiffusion`.
        learned, other: dicts of "latents" and "tokens".
        seed: non-negative int, of the choice of clips.

    Returns:
        dict of float, "loss" and "validation_loss".
    """
    losses, rng, weights = {}, np.random.default_rng(seed), model.network.get_weights()
    trainer = FlowMatching(model)  # begins anew
    for network in (trainer.network, model.network):
        network.set_weights(weights)
    trainer.compile()
    for name, examples in {"loss": learned, "validation_loss": other}.items():
        order = rng.permutation(len(examples["latents"]))
        rows = np.resize(order, NUM_COMPARED)  # few clips several times: the noise differs
        batch = {"latents": examples["latents"][rows], "tokens": examples["tokens"][rows, 0]}
        losses[name] = float(trainer.evaluate(batch, batch_size=NUM_COMPARED, verbose=0))
    return losses


def show_samples(folder, autoencoder, clips, captions, held_out, seed=0):
    """Samples for captions of clips that were kept apart: a picture of them, and how many are copies of training clips.

    Args:
        folder: Path of the trained model.
        autoencoder: its fitted `PatchAutoencoder`.
        clips, captions, held_out: as for `build`.
        seed: non-negative int.

    Returns:
        dict of float, "memorized_share", empty where too few clips were kept apart to tell.
    """
    others = np.flatnonzero(held_out)
    searched = len(others) >= MIN_SEARCHED
    rows = np.resize(np.random.default_rng(seed).permutation(others), NUM_COMPARED if searched else NUM_SHOWN)
    samples = own_text_to_video(folder, [captions[i][0] for i in rows], seed, is_strict=False)
    grid(samples[:NUM_SHOWN]).save(folder / "samples.webp")
    if not searched:
        return {}
    kept = decode_clips(autoencoder, encode_clips(autoencoder, clips.frames[others]))  # as blurred as samples are
    made, training = np.stack([clip.frames for clip in samples]), [clips.frames[~held_out]]
    distances = [copy_distances(frames, training) for frames in (made, kept)]
    return {"memorized_share": memorization_scores(*distances)["memorized_share"].value}
