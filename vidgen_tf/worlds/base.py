"""What all worlds share: the protocol that a world keeps, its source of chance, and labelled clips."""

import dataclasses
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from ..errors import CourseError, check_whole
from ..video import Clip

WORLDS = {}  # name -> module; the package's __init__ fills it, because the worlds import this file


@runtime_checkable
class World(Protocol):
    """A module that makes labelled clips of one kind of scene.

    Attributes:
        name: str, its key in `WORLDS`.
        attributes: Mapping from the name of an attribute, which is a key of the states, to the names of its values; a state is an
            index into them.
        tracker: name of the tracker of `metrics.tracking` that follows the world's objects, or None.
    """

    name: str
    attributes: Mapping[str, tuple[str, ...]]
    tracker: str | None

    def make(self, count, *, seed, start=0, size=32, **options):
        """Clips number `start` to `start + count - 1` of a seed.

        Args:
            count: number of clips, at least 1.
            seed: non-negative int.
            start: index of the first clip.
            size: height and width in px.
            **options: what else the world lets one choose.

        Returns:
            `LabelledClips`.
        """

    def render(self, states, size=32):
        """The frames that states describe, so that `render(clips.states, size)` equals `clips.frames`.

        Args:
            states: dict of arrays, as `make` gives them.
            size: height and width in px.

        Returns:
            uint8 `(N, T, size, size, C)`.
        """

    def parse_captions(self, captions):
        """The states that captions name.

        Args:
            captions: sequence of N captions, English or Chinese.

        Returns:
            dict of arrays, each with first axis N.
        """

    def optical_flow(self, clips):
        """Exact forward flow.

        Args:
            clips: `LabelledClips` of this world.

        Returns:
            float32 `(N, T-1, H, W, 2)`, (dx, dy) in px per frame.
        """


def uniforms(seed, start, count, per_clip):
    """The random numbers of clips `start` to `start + count - 1`: row i depends on the seed and i alone.

    Args:
        seed: non-negative int.
        start: index of the first clip, a non-negative int.
        count: number of clips, at least 1.
        per_clip: random numbers that each clip uses up.

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
        states: dict of arrays, each with first axis N: attributes, positions and whatever else the world knows of its objects, in
            px and frames.
        world: name of the world that made them, a key of `WORLDS`.
        fps: frames per second, 0.01 to 1000.
    """

    frames: np.ndarray
    captions: np.ndarray
    captions_zh: np.ndarray
    states: dict[str, np.ndarray]
    world: str
    fps: float = 8

    def __post_init__(self):
        """Takes the name of a world that was given as a module: modules can't be pickled."""
        if not isinstance(self.world, str):
            object.__setattr__(self, "world", self.world.__name__.rsplit(".", 1)[-1])

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
        """Number of clips, world, length, size and frame rate."""
        n, t, h, w, c = self.frames.shape
        colours = "RGB" if c == 3 else "grey"
        return f"LabelledClips({n} clips of {self.world}: {t} frames, {h}x{w} {colours}, {self.fps:g} fps)"

    def subset(self, count, seed):
        """A random sample of the clips, without replacement.

        Args:
            count: number of clips.
            seed: non-negative int.

        Returns:
            `LabelledClips`.

        Raises:
            CourseError: more than there are.
        """
        if count > len(self):
            raise CourseError(f"There are {len(self)} such clips: ask for no more, not for {count}.")
        return self[np.random.default_rng(seed).choice(len(self), count, replace=False)]

    def at_times(self, times):
        """The clips with other frames in another order, states included, as if they had been recorded so.

        `clips.at_times([8, 0]).optical_flow()` is the exact flow from frame 8 back to frame 0.

        Args:
            times: sequence of int, numbers of frames.

        Returns:
            `LabelledClips` of `len(times)` frames.
        """
        num_frames, times = self.frames.shape[1], list(times)
        is_curve = {key: value.ndim > 1 and value.shape[1] == num_frames for key, value in self.states.items()}
        states = {key: value[:, times] if is_curve[key] else value for key, value in self.states.items()}
        return dataclasses.replace(self, frames=self.frames[:, times], states=states)

    def optical_flow(self):
        """Exact forward flow: pixel (x, y) of frame t is at (x, y) + flow in frame t+1.

        Returns:
            float32 `(N, T-1, H, W, 2)`, (dx, dy) in px per frame.

        Raises:
            CourseError: the world doesn't know it, as for your own videos.
        """
        return WORLDS[self.world].optical_flow(self)
