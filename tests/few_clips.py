"""Evaluations beside few real clips, for tests of what holds beside any number of them: beside all, they take much longer."""

import pytest

from vidgen_tf import datasets
from vidgen_tf.evaluation import copies, measurements, reference
from vidgen_tf.evaluation.spec import DIGIT_IMAGES

NUM_TRAINING, NUM_TEST = 300, 200  # real clips: searched for copies, and measured


def evaluated_beside_few():
    """A fixture's body: few clips' optical flow is estimated, few are looked for among few training clips, and few test clips
    are the reference."""
    load_all, real_clips = copies.TrainingClips._load, reference.real_clips

    def load_some(self):
        return load_all(self) if self.dataset == DIGIT_IMAGES else [datasets.load(self.dataset, "train", NUM_TRAINING).frames]

    def some_real_clips(dataset, split):
        if dataset == DIGIT_IMAGES:
            return real_clips(dataset, split)
        clips = datasets.load(dataset, split, NUM_TEST)
        return clips.frames, clips.states

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies.TrainingClips, "_load", load_some)
        patch.setattr(reference, "real_clips", some_real_clips)
        patch.setattr(measurements, "NUM_FLOW_CLIPS", 2)
        patch.setattr(copies, "NUM_SEARCHED", 20)
        reference._test_reference.cache_clear()
        yield patch
    reference._test_reference.cache_clear()
