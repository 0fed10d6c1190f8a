"""Clips of a video GAN: content and motion codes in, clips out."""

import numpy as np

from ..models.video_gan import sample_codes
from ..video import Clip, to_uint8

BATCH_SIZE = 50  # clips that are generated together


def generate_clips(model, kinds, seed=0, content=None, noise=None):
    """Whole clips of a video GAN.

    Args:
        model: `VideoGAN` or `VideoGenerator`.
        kinds: int `(N, 2)`, the kinds of motion and of content that are asked for.
        seed: non-negative int, of the codes that aren't given.
        content: float `(N, content_dim)`, or None: drawn. Equal codes with other noise show one content in motion after motion.
        noise: float `(N, noise_dim)`, or None: drawn.

    Returns:
        uint8 `(N, T, H, W, C)`.
    """
    config, kinds = model.config, np.asarray(kinds, np.int32)
    drawn = (np.asarray(codes) for codes in sample_codes(config, len(kinds), seed))
    codes = [own if given is None else np.asarray(given, np.float32) for own, given in zip(drawn, (content, noise))]
    index = np.tile(np.arange(config.num_frames, dtype=np.int32), (len(kinds), 1))
    blocks = (slice(i, i + BATCH_SIZE) for i in range(0, len(kinds), BATCH_SIZE))  # without tracing a graph for a few of them
    return np.concatenate([to_uint8(model([*(code[b] for code in codes), kinds[b], index[b]])) for b in blocks])


def balanced_kinds(config, count):
    """All kinds of motion and of content, about equally often, in all combinations.

    Args:
        config: `VideoGANConfig`.
        count: int, of clips.

    Returns:
        int32 `(count, 2)`.
    """
    number = np.arange(count)
    return np.stack([number % config.num_motions, number // config.num_motions % config.num_contents], axis=1).astype(np.int32)


def video_gan_samples(model, record, count, seed):
    """Clips of a model of the zoo: each kind of motion in turn.

    Args:
        model: `VideoGenerator`.
        record: dict, unused.
        count: int, how many clips.
        seed: non-negative int.

    Returns:
        list of `Clip`.
    """
    return [Clip(clip) for clip in generate_clips(model, balanced_kinds(model.config, count), seed)]
