"""Worlds: where videos come from.

Each world is a module with the same two functions:

    make(count, *, seed, start=0, ...) -> LabelledClips     draws clips number `start` to `start + count - 1`
    optical_flow(clips) -> float32 (N, T-1, H, W, 2)        where each pixel goes, (dx, dy) in pixels per frame

Clip number i of a seed is the same to the byte whatever `start` and `count` are, on every machine: all chance comes from
`uniforms`, and only IEEE-exact arithmetic (+ - * / sqrt, comparisons) lies on the way to a pixel. No sin, exp, dot or
float sum: their last bit differs between machines.
"""

import dataclasses
from typing import Any

import numpy as np

from ..errors import CourseError, check_whole
from ..video import Clip


def uniforms(seed, start, count, per_clip):
    """The random numbers of clips `start` to `start + count - 1`: row i depends on the seed and i alone.

    Args:
        seed: non-negative int.
        start: index of the first clip, a non-negative int.
        count: how many clips, at least 1.
        per_clip: how many numbers each clip uses up.

    Returns:
        float64 array `(count, per_clip)` in [0, 1).

    Raises:
        CourseError: seed, start or count is too small or no int.

    References:
        O'Neill, 2014, "PCG: A family of simple fast space-efficient statistically good algorithms for random number
        generation".
    """
    check_whole(0, seed=seed, start=start)
    check_whole(1, count=count)
    bits = np.random.PCG64(seed)
    bits.advance(int(start) * per_clip)  # one 64-bit draw makes one uniform
    return np.random.Generator(bits).random((count, per_clip))


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledClips:
    """Clips of one world with everything that is known about them.

    Args:
        frames: uint8 `(N, T, H, W, C)`, C 1 or 3.
        captions: English captions, str array `(N,)`.
        captions_zh: Simplified Chinese captions, str array `(N,)`.
        states: dict of arrays, each with first axis N: whatever the world knows of its objects, in pixels and frames.
        world: the module that made them; its `optical_flow` knows how to read `states`.
        fps: frames per second, 0.01 to 1000.
    """

    frames: np.ndarray
    captions: np.ndarray
    captions_zh: np.ndarray
    states: dict[str, np.ndarray]
    world: Any
    fps: float = 8

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, which):
        """A slice or index array picks clips out, labels included; an int gives one `Clip`."""
        if isinstance(which, (int, np.integer)):
            return Clip(self.frames[which], fps=self.fps, caption=str(self.captions[which]))
        return dataclasses.replace(
            self,
            frames=self.frames[which],
            captions=self.captions[which],
            captions_zh=self.captions_zh[which],
            states={key: value[which] for key, value in self.states.items()},
        )

    def __repr__(self):
        """How many clips of which world, their length, size and frame rate."""
        n, t, h, w, c = self.frames.shape
        name = self.world.__name__.rsplit(".", 1)[-1]
        return f"LabelledClips({n} clips of {name}: {t} frames, {h}x{w} {'RGB' if c == 3 else 'grey'}, {self.fps:g} fps)"

    def drawn(self, count, seed):
        """Some of the clips, at random and each at most once.

        Args:
            count: how many.
            seed: non-negative int.

        Returns:
            `LabelledClips`.

        Raises:
            CourseError: more than there are.
        """
        if count > len(self):
            raise CourseError(f"There are {len(self)} such clips: ask for no more, not for {count}.")
        return self[np.random.default_rng(seed).choice(len(self), count, replace=False)]

    def optical_flow(self):
        """Exact forward flow: pixel (x, y) of frame t is at (x, y) + flow in frame t+1.

        Returns:
            float32 `(N, T-1, H, W, 2)`, (dx, dy) in px per frame.

        Raises:
            CourseError: the world doesn't know it, as for your own videos.
        """
        return self.world.optical_flow(self)
