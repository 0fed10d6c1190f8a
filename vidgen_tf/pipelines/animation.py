"""Animation of a picture by the motion of another clip: first frames and driving clips in, clips out."""

import numpy as np

from ..datasets import load
from ..video import LUMA, Clip, to_float, to_uint8

BATCH_SIZE = 64  # frames that are generated together


def in_batches(function, *arrays):
    """What a function makes of arrays, of `BATCH_SIZE` rows at a time; no graph is traced for a few calls.

    Args:
        function: callable from one tensor or array for each of `arrays`, `(B, ...)`, to one `(B, ...)`.
        *arrays: of N rows each.

    Returns:
        array of N rows.
    """
    blocks = [slice(i, i + BATCH_SIZE) for i in range(0, len(arrays[0]), BATCH_SIZE)]
    return np.concatenate([np.asarray(function(*(array[block] for array in arrays))) for block in blocks])


def reduce_driving(frames, size=32):
    """Driving clips as a motion encoder reads them: grey, and reduced by means of squares.

    Args:
        frames: uint8 `(N, T, H, W, C)`, H = W a multiple of `size`, C 1 or 3.
        size: height and width, px.

    Returns:
        uint8 `(N, T, size, size, 1)`.
    """
    factor = frames.shape[2] // size
    blocks = []
    for clip in frames:  # one after the other, to hold few floats in memory
        grey = clip.astype(np.float32) @ np.float32(LUMA) if clip.shape[-1] == 3 else clip[..., 0].astype(np.float32)
        blocks.append(grey.reshape(len(clip), size, factor, size, factor).mean(axis=(2, 4)))
    return np.rint(np.stack(blocks)[..., None]).astype(np.uint8)


def animate(model, first_frames, driving):
    """Clips that begin with given frames and move as driving clips do. The first frame of each is the given one.

    Args:
        model: generator of `build_flow_generator`.
        first_frames: uint8 `(N, H, W, C)`.
        driving: uint8 `(N, T, h, w, 1)`, see `reduce_driving`.

    Returns:
        uint8 `(N, T, H, W, C)`.
    """
    count, num_frames = driving.shape[:2]
    frames = np.repeat(first_frames, num_frames - 1, axis=0)  # (N, H, W, C) -> (N*(T-1), H, W, C)
    pairs = np.stack([np.repeat(driving[:, :1], num_frames - 1, axis=1), driving[:, 1:]], axis=2)  # (N, T-1, 2, h, w, 1)
    pairs = pairs.reshape(-1, *pairs.shape[2:])
    made = in_batches(lambda *batch: to_uint8(model([to_float(x) for x in batch])["frame"]), frames, pairs)
    made = made.reshape(count, num_frames - 1, *made.shape[1:])
    return np.concatenate([first_frames[:, None], made], axis=1)


def motion_transfer(model, record, count, seed):
    """Test people, each animated by the clip of another one.

    Args:
        model: generator of `build_flow_generator`.
        record: dict with "dataset".
        count: int, how many clips.
        seed: non-negative int.

    Returns:
        list of `Clip`.
    """
    frames, rng = load(record["dataset"]["name"], "test").frames, np.random.default_rng(seed)
    person = np.concatenate([rng.permutation(len(frames)) for _ in range(-(-count // len(frames)))])[:count]
    other = (person + rng.integers(1, len(frames), count)) % len(frames)
    clips = [animate(model, frames[p, 0], reduce_driving(frames[o])) for p, o in
             ((person[i : i + 50], other[i : i + 50]) for i in range(0, count, 50))]  # fmt: skip
    return [Clip(clip) for clip in np.concatenate(clips)]
