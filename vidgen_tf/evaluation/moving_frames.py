"""Consecutive frames with exact optical flow and visibility: what a style network learns from and is evaluated on."""

import numpy as np

from ..datasets import load
from ..models.optical_flow import warp
from ..models.style import unchanged_color, visible_mask
from ..splits import training_clips
from ..video import to_float
from ..worlds import LabelledClips, faces, shapes, spheres

SIZE = 64  # of a frame, px
LARGE = 96  # of a picture that a camera pans over, px
MAX_PAN = 2  # px per frame and axis
NUM_FRAMES = 3  # of a training example
CLIPS_AT_ONCE = 16  # whose masks are computed together


def exact_motion(clips):
    """Exact flow of each frame to the one before, and what was visible there.

    Args:
        clips: `LabelledClips` of a world that knows its flow.

    Returns:
        float32 `(N, T-1, H, W, 2)`, (dx, dy) in px, from each frame but the first to the one before; and float32
        `(N, T-1, H, W, 1)`, 1 where the flow back is consistent with the flow forth and the colour is the same.
    """
    times = range(clips.frames.shape[1])
    flows, forth = clips.at_times(times[::-1]).optical_flow()[:, ::-1], clips.optical_flow()
    return flows, _visible(clips.frames, flows, forth)


def _visible(frames, flows, forth):
    """Masks of `exact_motion`, from the flows back and forth."""
    masks = []
    for i in range(0, len(frames), CLIPS_AT_ONCE):
        clips = to_float(frames[i : i + CLIPS_AT_ONCE])
        before, after = (x.reshape(-1, *x.shape[2:]) for x in (clips[:, :-1], clips[:, 1:]))  # (n, T-1, ...) -> (n*(T-1), ...)
        back, there = (x[i : i + CLIPS_AT_ONCE].reshape(-1, *x.shape[2:]) for x in (flows, forth))
        mask = visible_mask(back, there) * unchanged_color(after, warp(before, back))
        masks.append(np.reshape(mask, (*flows[i : i + CLIPS_AT_ONCE].shape[:-1], 1)))
    return np.concatenate(masks)


def pan(frames, flows, forth, seed, size=SIZE):
    """A camera that moves over larger frames at a constant velocity, whole px per frame.

    Args:
        frames: uint8 `(N, T, H, W, C)`.
        flows: float `(N, T-1, H, W, 2)`, from each frame but the first to the one before.
        forth: float of the same shape, from each frame but the last to the next.
        seed: non-negative int.
        size: height and width of what the camera sees, px.

    Returns:
        uint8 `(N, T, size, size, C)`, and the flows of what it sees, float32 `(N, T-1, size, size, 2)`, back and forth.
    """
    rng, num_frames = np.random.default_rng(seed), frames.shape[1]
    velocity = rng.integers(-MAX_PAN, MAX_PAN + 1, (len(frames), 2))  # (x, y)
    path = MAX_PAN * (num_frames - 1)
    start = rng.integers(path, frames.shape[2] - size - path + 1, (len(frames), 2))
    seen, back, there = [], [], []
    for i in range(len(frames)):
        places = start[i] + velocity[i] * np.arange(num_frames)[:, None]  # (T, 2)
        window = [(slice(y, y + size), slice(x, x + size)) for x, y in places]
        seen.append(np.stack([frames[i, t][w] for t, w in enumerate(window)]))
        back.append(np.stack([flows[i, t][window[t + 1]] + velocity[i] for t in range(num_frames - 1)]))
        there.append(np.stack([forth[i, t][window[t]] - velocity[i] for t in range(num_frames - 1)]))
    return np.stack(seen), np.float32(back), np.float32(there)


def _moments_of(clips, seed):
    """Three consecutive frames of each clip, from a random time on."""
    rng, parts = np.random.default_rng(seed), []
    for first in np.array_split(rng.permutation(len(clips)), clips.frames.shape[1] - NUM_FRAMES + 1):
        parts.append((clips[first], rng.integers(0, clips.frames.shape[1] - NUM_FRAMES + 1)))
    return [part.at_times(range(time, time + NUM_FRAMES)) for part, time in parts if len(part)]


def training_examples(seed, num_faces=420, num_pans=210, num_shapes=98, num_spheres=56):
    """Three consecutive frames of faces, of faces that a camera pans over, of shapes and of spheres, 64x64 px.

    Args:
        seed: non-negative int.
        num_faces: int, number of clips of faces, at least 14.
        num_pans: int, of faces that a camera pans over, at least 14.
        num_shapes: int, at least 14.
        num_spheres: int, at least 14.

    Returns:
        uint8 `(N, 3, 64, 64, 3)`; float16 `(N, 2, 64, 64, 2)` and float16 `(N, 2, 64, 64, 1)`, see `exact_motion`.
    """
    frames, flows, masks, others = [], [], [], {shapes: num_shapes, spheres: num_spheres}
    clips = load("faces", "train", num_faces), *(world.make(n, seed=seed, size=SIZE) for world, n in others.items())
    for source in clips:
        for part in _moments_of(training_clips(source), seed):
            back, mask = exact_motion(part)
            frames.append(part.frames), flows.append(back), masks.append(mask)
    for part in _moments_of(faces.make(num_pans, seed=seed, size=16), seed):
        part = LabelledClips(faces.render(part.states, LARGE), part.captions, part.captions_zh, part.states, "faces")
        seen, back, there = pan(part.frames, part.at_times([2, 1, 0]).optical_flow()[:, ::-1], part.optical_flow(), seed)
        frames.append(seen), flows.append(back), masks.append(_visible(seen, back, there))
    return np.concatenate(frames), np.concatenate(flows).astype(np.float16), np.concatenate(masks).astype(np.float16)
