"""The predictors of frames: the cell is the equations', the future is not seen, training resumes, errors are what they say."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers, ops

from vidgen_tf import datasets, training, zoo
from vidgen_tf.models import convlstm
from vidgen_tf.worlds import digits

TINY = convlstm.ConvLSTMConfig(frame_size=32, patch=8, filters=(3, 2))
WORLD = {"seed": 5, "size": 32, "digits": 1}
RNG = np.random.default_rng(0)
NOISE = RNG.uniform(-1, 1, (2, 6, 32, 32, 1)).astype("float32")


def tiny(free_frames=0, **changes):
    training.set_seed(3)
    return convlstm.ConvLSTM(dataclasses.replace(TINY, **changes), free_frames)


def tiny_simvp():
    training.set_seed(3)
    return convlstm.build_simvp(convlstm.SimVPConfig(patch=8, filters=4, blocks=1))


def test_folding_puts_a_square_of_pixels_into_the_channels_of_one_place():
    frames = RNG.normal(size=(2, 3, 8, 12, 2)).astype("float32")
    folded = np.asarray(convlstm.fold(frames, 4))
    assert folded.shape == (2, 3, 2, 3, 32)
    np.testing.assert_array_equal(folded[1, 2, 1, 2], frames[1, 2, 4:8, 8:12].reshape(-1))
    np.testing.assert_array_equal(convlstm.unfold(folded, 4), frames)


@pytest.mark.parametrize("filters, kernel_size, channels", [(5, 3, 2), (2, 5, 7), (4, 1, 1)])
def test_the_cell_is_the_one_of_keras(filters, kernel_size, channels):
    """Random biases too, so that gates in another order would be noticed."""
    x = RNG.normal(size=(3, 7, 6, 8, channels)).astype("float32")
    theirs = layers.ConvLSTM2D(filters, kernel_size, padding="same", return_sequences=True, return_state=True)
    theirs.build(x.shape)
    weights = [RNG.normal(size=weight.shape) / 3 for weight in theirs.get_weights()]
    theirs.set_weights(weights)
    cell = convlstm.ConvLSTMCell(filters, kernel_size)
    cell.build(x[:, 0].shape)
    cell.set_weights(weights)
    states, ours = cell.blank(x), []
    for t in range(x.shape[1]):
        hidden, states = cell(x[:, t], states)
        ours.append(hidden)
    sequence, last_hidden, last_memory = theirs(x)
    np.testing.assert_allclose(np.stack(ours, axis=1), sequence, atol=2e-6)
    np.testing.assert_allclose(states[0], last_hidden, atol=2e-6)
    np.testing.assert_allclose(states[1], last_memory, atol=2e-6)


def test_a_new_cell_starts_as_that_of_keras_does():
    ours, theirs = convlstm.ConvLSTMCell(4, 3), layers.ConvLSTM2D(4, 3, padding="same")
    ours.build((None, 5, 5, 2))
    theirs.build((None, None, 5, 5, 2))
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
    np.testing.assert_array_equal(ours.get_weights()[2], theirs.get_weights()[2])


def test_one_step_by_hand():
    """A single place with one channel: the equations in numbers."""
    cell = convlstm.ConvLSTMCell(1, 1)
    cell.build((None, 1, 1, 1))
    w, u, b = np.array([0.3, -0.5, 0.8, 0.1]), np.array([-0.2, 0.4, 0.6, 0.9]), np.array([0.1, 1.0, -0.3, 0.2])
    cell.set_weights([w.reshape(1, 1, 1, 4), u.reshape(1, 1, 1, 4), b])
    x, h, c = 0.7, -0.4, 1.5
    i, f, g, o = w * x + u * h + b

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    memory = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    hidden = sigmoid(o) * np.tanh(memory)
    ours, (_, ours_memory) = cell(np.full((1, 1, 1, 1), x, "float32"), [np.full((1, 1, 1, 1), v, "float32") for v in (h, c)])
    assert float(ours_memory[0, 0, 0, 0]) == pytest.approx(memory, rel=1e-5)
    assert float(ours[0, 0, 0, 0]) == pytest.approx(hidden, rel=1e-5)


@pytest.mark.parametrize("t", [1, 3, 5])
def test_no_output_sees_the_future(t):
    model = tiny()
    assert convlstm.change_before(model, NOISE, t) == 0.0
    disturbed = np.array(NOISE)
    disturbed[:, t] = 0
    assert np.abs(np.asarray(model(NOISE))[:, t] - np.asarray(model(disturbed))[:, t]).max() > 1e-4, "but each sees its own frame"


def test_the_test_of_causality_finds_a_leak():
    """A head over three hidden states sees one frame ahead: the frame that it is asked for."""
    model = tiny(head_frames=3)
    assert convlstm.change_before(model, NOISE, 3) > 1e-4
    disturbed = np.array(NOISE)
    disturbed[:, 4] = 0
    np.testing.assert_array_equal(model(NOISE)[:, :3], model(disturbed)[:, :3])  # two ahead it sees nothing


@pytest.mark.parametrize("head_frames", [1, 3])
def test_going_on_alone_is_reading_what_was_written(head_frames):
    """The slow way: predict one frame, append it, read the whole video anew."""
    model, video = tiny(head_frames=head_frames), NOISE[:, :3]
    written = []
    for _ in range(4):
        written.append(np.asarray(convlstm.pixels(model(video)[:, -1:])))
        video = np.concatenate([video, written[-1]], axis=1)
    quick = np.asarray(model(NOISE[:, :3], free_frames=3))
    assert quick.shape == (2, 6, 32, 32, 1)
    np.testing.assert_allclose(convlstm.pixels(quick[:, -4:]), np.concatenate(written, axis=1), atol=1e-6)


def test_a_rollout_never_sees_the_true_future():
    clips = digits.make_canonical(3, **WORLD).frames
    blacked = clips.copy()
    blacked[:, 10:] = 0
    model = tiny(free_frames=9)
    first, second = (convlstm.rollout(model, c[:, :10]) for c in (clips, blacked))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (3, 10, 32, 32, 1) and first.dtype == np.uint8
    assert convlstm.rollout(model, clips[:, :4], 2).shape == (3, 2, 32, 32, 1)
    np.testing.assert_array_equal(convlstm.rollout(model, clips[:, :10], 4), first[:, :4])


def test_a_rollout_in_batches_is_that_of_each_clip():
    clips = digits.make_canonical(51, **WORLD).frames[:, :10]
    for model in (tiny(), tiny_simvp()):
        together = convlstm.rollout(model, clips).astype(int)
        assert together.shape == (51, 10, 32, 32, 1)
        assert np.abs(together[-1] - convlstm.rollout(model, clips[-1:])[0]).max() <= 1


def test_what_is_shown_and_what_is_wanted_overlap_as_they_should():
    """The output at t predicts frame t + 1; convolutions alone write the last ten."""
    clips = digits.make_canonical(4, **WORLD).frames
    for model, shown, first in [(tiny(), 19, 1), (tiny(9), 10, 1), (tiny_simvp(), 10, 10)]:
        x, y = next(iter(convlstm.fresh_batches(model, WORLD, 4)))
        np.testing.assert_array_equal(np.rint((x.numpy() + 1) * 127.5), clips[:, :shown])
        np.testing.assert_array_equal(np.rint((y.numpy() + 1) * 127.5), clips[:, first:])
        assert model(x).shape == y.shape


def test_batches_are_fresh_and_depend_on_their_number_alone():
    model = tiny(9)
    three = [x.numpy() for x, _ in convlstm.fresh_batches(model, WORLD, 2).take(3)]
    assert len({x.tobytes() for x in three}) == 3
    later = next(iter(convlstm.fresh_batches(model, WORLD, 2, first_step=2)))[0].numpy()
    np.testing.assert_array_equal(later, three[2])


def test_the_loss_and_the_error_of_a_frame():
    frames = NOISE[:, :2]
    logits = RNG.normal(size=frames.shape).astype("float32")
    p, target = 1 / (1 + np.exp(-logits.astype(float))), (frames + 1) / 2
    expected = -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum(axis=(2, 3, 4)).mean()
    assert float(convlstm.frame_loss(frames, logits)) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(convlstm.pixels(logits), 2 * p - 1, atol=1e-6)
    absolute = np.abs(target - p).sum(axis=(2, 3, 4)).mean()
    assert float(convlstm.crisp_loss(frames, logits)) == pytest.approx(expected + 2 * absolute, rel=1e-5)
    squared = ((target - p) ** 2).sum(axis=(2, 3, 4)).mean()
    assert float(convlstm.frame_error(frames, logits)) == pytest.approx(squared, rel=1e-5)


def test_doubt_is_grey_in_one_loss_and_darker_in_the_other():
    """A pixel that is white in a quarter of all futures: the best single answer by search."""
    brightness = np.linspace(0.01, 0.99, 99)
    logits = np.log(brightness / (1 - brightness)).astype("float32")
    white, black = np.ones((1, 1, 1, 1, 1), "float32"), -np.ones((1, 1, 1, 1, 1), "float32")

    def best(loss):
        costs = [0.25 * loss(white, x) + 0.75 * loss(black, x) for x in logits.reshape(-1, 1, 1, 1, 1, 1)]
        return brightness[int(np.argmin(costs))]

    assert best(convlstm.frame_loss) == pytest.approx(0.25) and best(convlstm.frame_error) == pytest.approx(0.25)
    assert best(convlstm.crisp_loss) < 0.2


def test_errors_are_sums_over_pixels_and_baselines_score_one():
    clips = digits.make_canonical(6, **WORLD).frames
    real, last = clips[:, 10:], convlstm.copy_last(clips[:, :10])
    assert convlstm.squared_errors(real, last).shape == (6, 10)
    by_hand = np.sum((real[2, 3] / 255.0 - last[2, 3] / 255.0) ** 2)
    assert convlstm.squared_errors(real, last)[2, 3] == pytest.approx(by_hand, rel=1e-5)
    assert convlstm.examine_future(clips, last)["of_copy_last"] == pytest.approx(1)
    zeros = convlstm.examine_future(clips, np.zeros_like(real))
    assert zeros["of_zeros"] == pytest.approx(1)
    assert zeros["squared_error"] == pytest.approx(np.mean(np.sum((real / 255.0) ** 2, axis=(2, 3, 4))), rel=1e-5)
    perfect = convlstm.examine_future(clips, real)
    assert perfect["squared_error"] == 0 and perfect["ssim"] == pytest.approx(1)


@pytest.mark.parametrize("build", [lambda: tiny(9, filters=(2,)), tiny_simvp], ids=["convlstm", "simvp"])
def test_a_predictor_resumes_to_the_weights_of_an_uninterrupted_run(build, tmp_path, monkeypatch):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    def fitted(model, **options):
        return convlstm.fit_predictor(model, WORLD, 6, batch_size=2, log_steps=2, **options)

    whole, part, resumed = build(), build(), build()
    fitted(whole)
    original = training.fit
    monkeypatch.setattr(training, "fit", lambda *args, **more: original(*args, every=0.0, **more))
    with pytest.raises(KeyboardInterrupt):
        fitted(part, checkpoint=tmp_path / "c.npz", callbacks=[Stop()])
    history = fitted(resumed, checkpoint=tmp_path / "c.npz")
    assert history["step"].tolist() == [2, 4, 6]
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_reach_every_weight_through_the_models_own_frames():
    import tensorflow as tf

    model = tiny(9)
    shown, wanted = next(iter(convlstm.fresh_batches(model, WORLD, 2)))
    with tf.GradientTape() as tape:
        loss = convlstm.frame_loss(wanted[:, -1:], model(shown)[:, -1:])  # of the last frame alone
    assert all(float(ops.max(ops.abs(g))) > 0 for g in tape.gradient(loss, model.trainable_variables))


NAMES = ("convlstm-digits", "simvp-digits")


@pytest.mark.parametrize("name", NAMES)
def test_shipped_weights_keep_the_chapters_bars(name):
    clips, recipe, model = datasets.load("moving-digits", "test", count=100).frames, zoo.recipe(name), zoo.load(name)
    expected = convlstm.examine_future(clips, convlstm.rollout(model, clips[:, :10]))
    crisp = convlstm.examine_future(clips, recipe.predicted(model, clips[:, :10]))
    assert expected["of_copy_last"] <= 0.35 and crisp["of_copy_last"] <= 0.45
    assert crisp["ssim"] > expected["ssim"] + 0.01, "contrast buys likeness"
    assert crisp["squared_error"] > expected["squared_error"], "and costs error"
    assert crisp["ssim"] >= (0.75 if name == "simvp-digits" else 0.68)


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_ten_real_frames_and_ten_predicted_ones(name):
    recipe, model = zoo.recipe(name), zoo.load(name)
    first, again = recipe.sample(model, 2, 5), recipe.sample(model, 2, 5)
    for a, b, real in zip(first, again, recipe.truth(2, 5).frames, strict=True):
        np.testing.assert_array_equal(a.frames, b.frames)
        assert a.frames.shape == (20, 64, 64, 1)
        np.testing.assert_array_equal(a.frames[:10], real[:10])


def test_the_shipped_convlstm_sees_no_future():
    model, clips = zoo.load("convlstm-digits"), datasets.load("moving-digits", "test", count=2).frames
    assert convlstm.change_before(lambda x: model(x, free_frames=0), clips / np.float32(127.5) - 1, 12) == 0.0


def test_contrast_leaves_what_the_model_reads_alone():
    """It moves each pixel away from middle grey, and the order of all pixels stays."""
    model, clips = zoo.load("convlstm-digits"), datasets.load("moving-digits", "test", count=2).frames
    plain, strong = (convlstm.rollout(model, clips[:, :10], contrast=contrast).astype(float) for contrast in (1.0, 2.0))
    p = plain / 255
    sure = p**2 / (p**2 + (1 - p) ** 2)  # the sigmoid of twice the logit
    assert np.abs(strong / 255 - sure).max() < 0.02
