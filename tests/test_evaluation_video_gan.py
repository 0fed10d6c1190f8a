"""What is measured of video GANs: identity, motion, speed, and codes that are swapped."""

import types

import numpy as np
import pytest

from vidgen_tf import datasets
from vidgen_tf.evaluation import video_gan
from vidgen_tf.models.video_gan import VideoGANConfig
from vidgen_tf.pipelines import video_gan as pipeline

CONFIG = VideoGANConfig(num_motions=4, num_contents=10)


def test_identity_is_kept_as_long_as_all_is_as_in_the_first_frame():
    contents = np.zeros((3, 4, 2), int)
    contents[1, 2, 1] = 5  # one trait for one frame
    contents[2, 1:, 0] = 1  # for good
    np.testing.assert_allclose(video_gan.identity_kept(contents), [1, 0.75, 0.25])


def test_the_most_frequent_content_is_counted_for_each_trait():
    contents = np.array([[[0, 3], [1, 3], [1, 2]], [[2, 0], [2, 0], [0, 1]]])
    np.testing.assert_array_equal(video_gan.most_frequent(contents), [[1, 3], [2, 0]])


def test_speed_is_that_of_the_centre_of_light():
    frames = np.zeros((2, 4, 8, 8, 1), np.uint8)
    for t in range(4):
        frames[0, t, 2, 1 + t] = 200  # one px to the right in each frame
        frames[1, t, 1:3, 1:3] = 50 * (1 + t)  # brighter, in the same place
    np.testing.assert_allclose(video_gan.mean_speeds(frames), [1, 0], atol=1e-9)


@pytest.mark.parametrize("dataset, state, least", [("digits", "motion", 0.95), ("faces", "expression", 0.93)])
def test_motions_of_real_clips_are_read(dataset, state, least):
    clips = datasets.load(dataset, "test", 120)
    seen = video_gan.read_frames(clips.frames, dataset)
    assert np.mean(video_gan.read_motions(clips.frames, seen, dataset) == clips.states[state]) > least
    kept = video_gan.identity_kept(video_gan.read_contents(seen, dataset))
    assert kept.mean() > 0.93
    shuffled = clips.frames[np.random.default_rng(0).permutation(120)[:, None], np.arange(16)]  # the frames of many clips
    mixed = np.where(np.arange(16)[:, None, None, None] % 2 == 1, shuffled, clips.frames)
    assert video_gan.identity_kept(video_gan.read_contents(video_gan.read_frames(mixed, dataset), dataset)).mean() < 0.7


def real_generator(obeys_content=True, obeys_motion=True):
    """Stands for a generator: real clips of what is asked for, or of something else."""
    clips = datasets.load("digits", "test", 600)
    digit, motion = clips.states["digit"][:, 0], clips.states["motion"]

    def generate(model, kinds, seed=0, content=None, noise=None):
        chosen = []
        for i, (kind, number) in enumerate(np.asarray(kinds)):
            kind = kind if obeys_motion else (kind + 1) % 4
            number = number if obeys_content else 7
            these = np.flatnonzero((digit == number) & (motion == kind))
            chosen.append(these[i % len(these)])
        return clips.frames[chosen]

    return generate


@pytest.mark.parametrize("obeys_content, obeys_motion", [(True, True), (False, True), (True, False)])
def test_a_swap_counts_where_content_follows_and_motion_stays(monkeypatch, obeys_content, obeys_motion):
    monkeypatch.setattr(video_gan, "generate_clips", real_generator(obeys_content, obeys_motion))
    found = video_gan.swap_contents(types.SimpleNamespace(config=CONFIG), "digits", 40, seed=1)
    means = {name: values.mean() for name, values in found.items()}
    assert (means["content_swapped"] > 0.9) == obeys_content and (means["motion_kept"] > 0.9) == obeys_motion
    assert (means["swap_accuracy"] > 0.85) == (obeys_content and obeys_motion)


def test_all_kinds_are_asked_for_in_all_combinations():
    kinds = pipeline.balanced_kinds(CONFIG, 80)
    assert kinds.shape == (80, 2) and len(np.unique(kinds, axis=0)) == 40
