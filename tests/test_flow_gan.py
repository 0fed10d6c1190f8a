"""The flow-based GAN: a frame is its pixels moved, plus what was hidden; motion comes from the driving clip alone."""

import dataclasses

import keras
import numpy as np
import pytest

from vidgen_tf import datasets
from vidgen_tf.errors import CourseError
from vidgen_tf.models import flow_gan
from vidgen_tf.models.optical_flow import warp
from vidgen_tf.pipelines.animation import animate, motion_transfer, reduce_driving

CONFIG = flow_gan.FlowGANConfig(8, 3, (4, 4), motion_dim=2, driving_size=8, encoder_filters=(3, 4), discriminator_filters=(4,))
RNG = np.random.default_rng(0)
CLIPS = RNG.uniform(-1, 1, (6, 4, 8, 8, 3)).astype("float32")
DRIVING = RNG.uniform(-1, 1, (6, 4, 8, 8, 1)).astype("float32")
INPUTS = [CLIPS[:, 0], DRIVING[:, [0, 3]]]


def compiled(d_rate=1e-2, g_rate=1e-2, config=CONFIG):
    keras.utils.set_random_seed(1)
    model = flow_gan.FlowGAN(config, seed=2)
    model.compile(keras.optimizers.SGD(d_rate), keras.optimizers.SGD(g_rate), run_eagerly=True)
    return model


@pytest.fixture(scope="module")
def model():
    """Two steps trained, so that no flow is 0 any more."""
    model = compiled(g_rate=0.05)
    for _ in range(2):
        model.train_on_batch(CLIPS, DRIVING)
    model.ema_generator.set_weights(model.generator.get_weights())
    return model


@pytest.mark.parametrize(
    "rates, trained, untouched", [((1e-2, 0.0), "discriminator", "generator"), ((0.0, 1e-2), "generator", "discriminator")]
)
def test_each_side_touches_its_own_weights_alone(rates, trained, untouched):
    model = compiled(*rates)
    before = {name: getattr(model, name).get_weights() for name in (trained, untouched)}
    model.train_on_batch(CLIPS, DRIVING)
    pairs = {name: list(zip(before[name], getattr(model, name).get_weights())) for name in before}
    assert all(np.array_equal(a, b) for a, b in pairs[untouched])
    assert any(not np.array_equal(a, b) for a, b in pairs[trained])


def test_a_frame_is_what_was_fetched_and_what_was_hidden(model):
    parts = {name: np.asarray(part) for name, part in model(INPUTS).items()}
    assert {name: part.shape for name, part in parts.items()} == {
        "frame": (6, 8, 8, 3),
        "flow": (6, 8, 8, 2),
        "mask": (6, 8, 8, 1),
        "residual": (6, 8, 8, 3),
    }
    fetched, mask = np.asarray(warp(INPUTS[0], parts["flow"])), parts["mask"]
    np.testing.assert_allclose(parts["frame"], mask * fetched + (1 - mask) * parts["residual"], atol=1e-6)
    assert 0 < mask.min() and mask.max() < 1 and np.abs(parts["flow"]).max() > 0


def test_at_first_the_picture_stands_still():
    parts = flow_gan.FlowGAN(CONFIG, seed=2)(INPUTS)
    assert np.abs(parts["flow"]).max() == 0 and np.asarray(parts["mask"]).min() > 0.8


def test_a_driving_clip_that_stands_still_has_the_code_0(model):
    encoder = model.ema_generator.get_layer("motion_encoder")
    np.testing.assert_array_equal(encoder(DRIVING[:, [2, 2]]), np.zeros((6, 2)))
    there, back = encoder(DRIVING[:, [0, 3]]), encoder(DRIVING[:, [3, 0]])
    np.testing.assert_allclose(there, -np.asarray(back), atol=1e-6)
    assert np.abs(there).min() > 0


def test_the_motion_decides_and_the_rest_of_the_driving_clip_does_not(model):
    other = [INPUTS[0], DRIVING[::-1, [0, 3]]]
    assert np.abs(model(INPUTS)["frame"] - model(other)["frame"]).max() > 1e-4


def test_the_control_generates_every_pixel():
    control = compiled(config=dataclasses.replace(CONFIG, use_flow=False))
    assert set(control(INPUTS)) == {"frame"} and control(INPUTS)["frame"].shape == (6, 8, 8, 3)
    history = control.fit(CLIPS, DRIVING, batch_size=6, verbose=0).history
    assert np.isfinite(history["l1_loss"]).all()
    counts = [m.generator.count_params() for m in (control, compiled())]
    assert 0.9 < counts[0] / counts[1] < 1, "it lacks the output layer of flow and mask, nothing else"


def test_targets_are_frames_of_the_same_clip_at_the_same_time_as_the_driving_pair():
    marked = np.zeros_like(CLIPS) + np.arange(4, dtype="float32")[:, None, None, None]
    driving = np.zeros_like(DRIVING) + np.arange(4, dtype="float32")[:, None, None, None]
    (first, pair), target = flow_gan.choose_frames(marked, driving, seed=3)
    time = np.asarray(target)[:, 0, 0, 0]
    assert np.all(np.asarray(first) == 0) and set(time) <= {1.0, 2.0, 3.0} and len(set(time)) > 1
    np.testing.assert_array_equal(np.asarray(pair)[:, :, 0, 0, 0], np.stack([np.zeros(6), time], axis=1))


def test_the_losses_are_weighted_as_they_say():
    config = dataclasses.replace(
        CONFIG,
        l1_weight=2.0,
        change_weight=2.0,
        residual_weight=11.0,
        smoothness_weight=3.0,
        mask_weight=5.0,
        adversarial_weight=7.0,
    )
    flow = np.zeros((1, 8, 8, 2), "float32")
    flow[..., 0] = np.arange(8)
    parts = {
        "frame": np.full((1, 8, 8, 3), 0.5, "float32"),
        "residual": np.full((1, 8, 8, 3), -0.25, "float32"),
        "flow": flow,
        "mask": np.full((1, 8, 8, 1), 0.5, "float32"),
    }
    first = np.zeros((1, 8, 8, 3), "float32")
    first[:, :4] = 1.0  # half of it has changed: its errors count three times there
    loss, l1_loss = flow_gan.generator_loss(config, parts, first, np.zeros((1, 8, 8, 3), "float32"), 0.1)
    assert float(l1_loss) == pytest.approx(0.5)
    assert float(loss) == pytest.approx(2 * 2 * 0.5 + 3 * 0.5 + 5 * flow_gan.MASK_BIAS**2 + 7 * 0.1 + 11 * 2 * 0.25)


def test_a_clip_begins_with_the_given_frame_and_is_generated_frame_by_frame(model):
    pictures = RNG.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    driving = RNG.integers(0, 256, (2, 5, 8, 8, 1), dtype=np.uint8)
    clips = animate(model.ema_generator, pictures, driving)
    assert clips.shape == (2, 5, 8, 8, 3) and clips.dtype == np.uint8
    np.testing.assert_array_equal(clips[:, 0], pictures)
    swapped = animate(model.ema_generator, pictures, driving[:, [0, 3, 2, 1, 4]])
    np.testing.assert_array_equal(swapped[:, [0, 3, 2, 1, 4]], clips)


def test_driving_frames_are_grey_and_reduced():
    frames = np.zeros((1, 1, 4, 4, 3), np.uint8)
    frames[0, 0, :2, :2] = 200
    frames[0, 0, 2, 2] = (0, 0, 100)
    np.testing.assert_array_equal(reduce_driving(frames, 2)[0, 0, :, :, 0], [[200, 0], [0, 3]])


@pytest.mark.parametrize("change, said", [
    ({"discriminator_filters": (4, 4)}, "2 discriminator_filters read frames of 16 px, not of 8"),
    ({"image_size": 10}, "multiple of 4"),
    ({"filters": ()}, r"len\(filters\)"),
])  # fmt: skip
def test_sizes_that_cannot_be_built_are_refused(change, said):
    with pytest.raises(CourseError, match=said):
        flow_gan.FlowGAN(dataclasses.replace(CONFIG, **change))


def test_test_people_are_animated_by_others():
    config = flow_gan.FlowGANConfig(64, 3, (4, 4), 2, 32, (3, 3), (4, 4, 4, 4))
    generator = flow_gan.build_flow_generator(config)
    record = {"dataset": {"name": "faces"}}
    clips = motion_transfer(generator, record, 3, seed=1)
    assert [clip.frames.shape for clip in clips] == [(16, 64, 64, 3)] * 3
    people = datasets.load("faces", "test").frames[:, 0]
    who = [int(np.flatnonzero((people == clip.frames[0]).all(axis=(1, 2, 3)))[0]) for clip in clips]
    assert len(set(who)) == 3, "each begins with the first frame of another test person"
    for one, other in zip(clips, motion_transfer(generator, record, 3, seed=1)):
        np.testing.assert_array_equal(one.frames, other.frames)
