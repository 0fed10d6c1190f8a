"""The video GAN: each side's step leaves the other's weights alone, and content stays while motion changes."""

import dataclasses

import keras
import numpy as np
import pytest

from vidgen_tf.errors import CourseError
from vidgen_tf.models import video_gan

CONFIG = video_gan.VideoGANConfig(
    content_dim=3, motion_dim=2, noise_dim=2, hidden_dim=4, num_classes=2, num_frames=5, filters=(4,), channels=1
)
RNG = np.random.default_rng(0)
CLIPS = RNG.uniform(-1, 1, (6, 5, 8, 8, 1)).astype("float32")
LABEL = np.array([0, 1, 1, 0, 1, 0])


def compiled(d_rate=1e-2, g_rate=1e-2, **options):
    keras.utils.set_random_seed(1)
    model = video_gan.VideoGAN(CONFIG, seed=2, **options)
    model.compile(keras.optimizers.SGD(d_rate), keras.optimizers.SGD(g_rate), run_eagerly=True)
    return model


@pytest.fixture(scope="module")
def model():
    return compiled()


def weights(network):
    """Copies of what a network trains."""
    return [variable.numpy() for variable in network.trainable_variables]


def moved(before, network):
    return [not np.array_equal(a, b) for a, b in zip(before, weights(network), strict=True)]


@pytest.mark.parametrize(
    "rates, trained, untouched", [((1e-2, 0.0), "discriminator", "generator"), ((0.0, 1e-2), "generator", "discriminator")]
)
def test_each_side_touches_its_own_weights_alone(rates, trained, untouched):
    model = compiled(*rates)
    before = {name: weights(getattr(model, name)) for name in (trained, untouched)}
    model.train_on_batch(CLIPS, LABEL)
    kernels = [weight.ndim > 1 for weight in before[trained]]  # the last bias adds the same to real and fake logits: no gradient
    assert np.all(np.array(moved(before[trained], getattr(model, trained)))[kernels])
    assert not any(moved(before[untouched], getattr(model, untouched)))


@pytest.mark.parametrize("names", [("image",), ("video",), ("image", "video")])
def test_the_generator_is_judged_by_the_discriminators_that_are_named(names):
    model = compiled(discriminators=names)
    assert {layer.name for layer in model.discriminator.layers} & {"image_discriminator", "video_discriminator"} == {
        f"{name}_discriminator" for name in names
    }
    logits = model.discriminator([CLIPS[:, :3], np.tile([0, 2, 4], (6, 1)), LABEL])
    assert {name: tuple(each.shape) for name, each in logits.items()} == {
        name: {"image": (6, 3), "video": (6, 1)}[name] for name in names
    }


def test_the_image_discriminator_sees_each_frame_alone_and_the_video_discriminator_all_together(model):
    index = np.tile([0, 2, 4], (6, 1))
    shuffled = CLIPS[:, :3][:, [2, 0, 1]]
    straight, other = (model.discriminator([frames, index, LABEL]) for frames in (CLIPS[:, :3], shuffled))
    np.testing.assert_allclose(straight["image"].numpy()[:, [2, 0, 1]], other["image"], atol=1e-6)
    assert np.abs(straight["video"] - other["video"]).max() > 1e-4
    later = model.discriminator([CLIPS[:, :3], index + np.array([0, 1, 0]), LABEL])
    assert np.abs(straight["video"] - later["video"]).max() > 1e-5, "it knows when a frame was"
    relabelled = model.discriminator([CLIPS[:, :3], index, 1 - LABEL])
    assert np.abs(straight["video"] - relabelled["video"]).max() > 1e-5, "and what was asked for"
    np.testing.assert_array_equal(straight["image"], relabelled["image"])


def test_the_frames_of_a_clip_differ_by_their_motion_codes_alone(model):
    """The pictures of equal motion codes are equal whenever they come; of other content they are others."""
    noise = np.zeros((6, 5, 2), "float32")
    motion = model.ema_generator.get_layer("motion_network")
    codes = motion.predict([noise, LABEL], verbose=0)
    assert np.abs(np.diff(codes, axis=1)).min() > 0, "a recurrent network moves by itself"
    dense = motion.layers[-1]
    kept = dense.get_weights()
    dense.set_weights([0 * kept[0], kept[1]])  # one motion code for all frames
    try:
        clips = video_gan.generate_clips(model, LABEL, seed=3)
        np.testing.assert_allclose(clips, np.repeat(clips[:, :1], 5, axis=1), atol=1e-6)
        assert np.abs(clips[1] - clips[0]).max() > 1e-4
    finally:
        dense.set_weights(kept)


def test_wanted_frames_are_those_of_the_whole_clip(model):
    content, noise = model.sample_codes(LABEL, seed=4)
    whole = video_gan.generate_clips(model, LABEL, seed=4)
    index = np.array([[0, 3], [1, 4], [2, 3], [0, 1], [3, 4], [0, 4]], "int32")
    some = model([content, noise, LABEL, index]).numpy()
    np.testing.assert_allclose(some, np.take_along_axis(whole, index[..., None, None, None], axis=1), atol=1e-5)


def test_codes_can_be_exchanged(model):
    content, noise = (np.asarray(part) for part in model.sample_codes(LABEL, seed=5))
    whole = video_gan.generate_clips(model, LABEL, seed=5)
    np.testing.assert_allclose(video_gan.generate_clips(model, LABEL, 9, content, noise), whole, atol=1e-6)
    assert np.abs(video_gan.generate_clips(model, LABEL, 9, content) - whole).max() > 1e-4
    assert np.abs(video_gan.generate_clips(model, LABEL, 9, noise=noise) - whole).max() > 1e-4


def test_shown_frames_are_different_and_in_order_of_time(model):
    index = np.asarray(model.choose_frames(200, seed=1))
    assert index.shape == (200, 3) and (np.diff(index, axis=1) > 0).all() and set(np.unique(index)) == set(range(5))
    assert len(np.unique(index, axis=0)) == 10, "all 10 choices of 3 frames of 5"


def test_the_penalty_is_that_of_the_gradients_of_the_logits(model):
    """Against a difference quotient along the gradient's own direction, which its norm is."""
    import tensorflow as tf

    index, label = tf.constant([[0, 2, 4]] * 6), tf.constant(LABEL, "int32")
    frames = tf.constant(CLIPS[:, :3])
    whole = compiled(penalty_stride=1, gamma=2.0)
    found = float(whole.penalty(frames, frames, index, label))

    def logit(x):
        return sum(np.asarray(each).sum(axis=1) for each in whole.discriminator([x, index, label]).values())

    total = 0.0
    for place in np.ndindex(3, 8, 8, 1):
        step = np.zeros((1, 3, 8, 8, 1), "float32")
        step[(0, *place)] = 0.01
        total += np.mean(((logit(frames + step) - logit(frames - step)) / 0.02) ** 2)
    assert found == pytest.approx(2 * total, rel=0.05)
    assert compiled(gamma=0.0).penalty(frames, frames, index, label) == 0


@pytest.mark.parametrize("change, said", [
    ({"num_shown_frames": 6}, "Clips of 5 frames can't show 6"),
    ({"num_shown_frames": 1}, "at least 2"),
    ({"filters": ()}, r"len\(filters\)"),
])  # fmt: skip
def test_sizes_that_cannot_be_built_are_refused(change, said):
    with pytest.raises(CourseError, match=said):
        video_gan.VideoGAN(dataclasses.replace(CONFIG, **change))


@pytest.mark.parametrize("names", [(), ("sound",)])
def test_unknown_discriminators_are_refused(names):
    with pytest.raises(CourseError, match="needs discriminators among image, video"):
        video_gan.VideoGAN(CONFIG, names)
