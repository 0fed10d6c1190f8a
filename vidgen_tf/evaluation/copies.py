"""Copies of training clips: all that a model was trained on is searched, moved, mirrored and begun earlier or later."""

import numpy as np

from .. import datasets
from ..metrics.memorization import nearest_clip
from ..worlds import digits
from .spec import DIGIT_IMAGES

NUM_SEARCHED = 100  # clips whose nearest training clip is looked for, as that takes long
ALIGNMENTS = {"max_shift": 3, "max_delay": 3, "mirrored": True}
IMAGE_ALIGNMENTS = {"max_shift": 3, "mirrored": True}


class TrainingClips:
    """The clips that a model was trained on, block by block, as often as they are gone through.

    Args:
        dataset: str, a name in `datasets.DATASETS`, or `spec.DIGIT_IMAGES`: its training split.
        drawn: dict from a name in `datasets.DRAWN` to how many of its clips besides, or None.
    """

    def __init__(self, dataset, drawn=None):
        self.dataset, self.drawn, self._blocks = dataset, drawn or {}, None

    @classmethod
    def of(cls, record):
        """What a model of the zoo was trained on.

        Args:
            record: dict, its record, see `zoo.record`.

        Returns:
            `TrainingClips`. Models of digit images, and of faces of another size than their data set's, have its images.
        """
        name = record["dataset"]["name"]
        return cls(DIGIT_IMAGES if record["reference"] == DIGIT_IMAGES else name, record["drawn"])

    def __iter__(self):
        """Yields uint8 `(M, T, H, W, C)`; to draw clips again takes longer than to keep them."""
        if self._blocks is None:
            self._blocks = list(self._load())
        return iter(self._blocks)

    def _load(self):
        if self.dataset == DIGIT_IMAGES:
            yield digits.images("train")[0][:, None]
            return
        yield datasets.load(self.dataset).frames
        for name, count in self.drawn.items():
            for clips in datasets.iter_drawn(name, count):
                yield clips.frames


def copy_distances(frames, training):
    """How far clips are from the nearest training clip, as they are and in whatever alignment; an image is a clip of one frame.

    Both searches are needed. The second finds copies that were moved; but where objects stand still, real new clips too come near
    to some training clip that is moved, so only an exact copy is nearer. The first finds copies of another brightness or coding.

    Args:
        frames: uint8 `(N, T, H, W, C)`; the first `NUM_SEARCHED` are looked for.
        training: iterable of uint8 `(M, T, H, W, C)`, such as `TrainingClips`.

    Returns:
        float64 `(min(N, NUM_SEARCHED), 2)`, root mean squared difference of the pixels: as they are, and aligned.
    """
    alignments = IMAGE_ALIGNMENTS if frames.shape[1] == 1 else ALIGNMENTS
    frames = np.ascontiguousarray(frames[:NUM_SEARCHED])
    return np.stack([nearest_clip(frames, training, **moves)[1] for moves in ({}, alignments)], axis=1)
