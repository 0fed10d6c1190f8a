"""Metrics of predictions against naive sums, models whose leak is known, and samples whose statistics are known."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidgen_tf.errors import CourseError
from vidgen_tf.metrics import prediction
from vidgen_tf.metrics.image import ssim
from vidgen_tf.worlds import digits

PROPERTY = settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def clips():
    """Clips `(6, 20, 32, 32, 1)` of a digit that bounces about."""
    return digits.make_moving_mnist(6, seed=5, size=32, num_digits=1).frames


def test_the_baseline_repeats_the_last_frame(clips):
    copied = prediction.copy_last(clips[:, :10])
    assert copied.shape == (6, 10, 32, 32, 1) and copied.dtype == np.uint8
    assert (copied == clips[:, 9:10]).all()
    assert prediction.copy_last(clips[:, :10], 3).shape[1] == 3


@PROPERTY
@given(SEEDS)
def test_mse_is_a_sum_over_pixels_from_0_to_1(seed):
    real, predicted = np.random.default_rng(seed).integers(0, 256, (2, 3, 4, 5, 6, 2), dtype=np.uint8)
    found = prediction.mse_per_frame(real, predicted)
    assert found.shape == (3, 4)
    np.testing.assert_allclose(found, np.sum((real / 255.0 - predicted / 255.0) ** 2, axis=(2, 3, 4)), rtol=1e-5)
    np.testing.assert_array_equal(prediction.mse_per_frame(predicted, real), found)
    assert not prediction.mse_per_frame(real, real).any()


def test_mse_of_white_for_black_is_the_number_of_pixels():
    black = np.zeros((1, 1, 6, 5, 3), np.uint8)
    assert prediction.mse_per_frame(black, black + 255) == 6 * 5 * 3


def test_mse_grows_with_noise_and_ssim_falls(clips):
    real, grain = clips[:, 10:], np.random.default_rng(1).normal(size=clips[:, 10:].shape)
    noisy = [np.uint8(np.clip(real + strength * grain, 0, 255)) for strength in (0, 5, 10, 20, 40, 80)]
    found = [prediction.evaluate_prediction(clips, predicted) for predicted in noisy]
    for name in ("mse", "mse_vs_copy_last", "mse_vs_zeros"):
        assert found[0][name] == 0 and (np.diff([row[name] for row in found]) > 0).all()
    assert found[0]["ssim"] == pytest.approx(1) and (np.diff([row["ssim"] for row in found]) < 0).all()


def test_a_baseline_is_1_times_as_bad_as_itself(clips):
    real, last = clips[:, 10:], prediction.copy_last(clips[:, :10])
    of_last, of_zeros = (prediction.evaluate_prediction(clips, guess) for guess in (last, np.zeros_like(real)))
    energy = np.mean(np.sum((real / 255.0) ** 2, axis=(2, 3, 4)))
    change = np.mean(np.sum((real / 255.0 - last / 255.0) ** 2, axis=(2, 3, 4)))
    assert of_last["mse_vs_copy_last"] == 1 and of_zeros["mse_vs_zeros"] == 1
    assert of_zeros["mse"] == pytest.approx(energy, rel=1e-5) and of_last["mse"] == pytest.approx(change, rel=1e-5)
    assert of_last["mse_vs_zeros"] == pytest.approx(change / energy, rel=1e-5)
    assert of_last["ssim"] == pytest.approx(ssim(real, last).mean())


def test_predictions_that_cannot_be_compared_are_refused(clips):
    with pytest.raises(CourseError, match="one shape"):
        prediction.mse_per_frame(clips, clips[:, :1])  # NumPy would compare every frame with the first
    with pytest.raises(CourseError, match="one shape"):
        prediction.evaluate_prediction(clips, clips[:1, :5])
    still = np.repeat(clips[:, :1], 20, axis=1)
    for wrong in (still, 0 * still):
        with pytest.raises(CourseError, match="stand still or are black"):
            prediction.evaluate_prediction(wrong, clips[:, 10:])
    with pytest.raises(CourseError, match="one shape"):
        prediction.sample_mse(clips, clips[:, None, 1:])
    for t in (0, 20, -1):
        with pytest.raises(CourseError, match=f"from 1 to 19, got t={t}"):
            prediction.causality_gap(lambda x: x, clips, t)


VIDEO = np.random.default_rng(0).uniform(-1, 1, (2, 6, 4, 4, 1)).astype(np.float32)


def looking_ahead(weight, distance):
    """A model of running sums, to which the frame `distance` ahead leaks with a weight."""

    def model(x):
        ahead = np.zeros_like(x)
        ahead[:, :-distance] = x[:, distance:]
        return np.cumsum(x, axis=1) + weight * ahead

    return model


@pytest.mark.parametrize("t", [1, 3, 5])
def test_a_causal_model_has_a_gap_of_exactly_0(t):
    assert prediction.causality_gap(lambda x: np.cumsum(x, axis=1), VIDEO, t) == 0
    assert prediction.causality_gap(looking_ahead(1e-5, 1), VIDEO, t) > 0, "and the smallest leak is seen"


def test_the_gap_is_the_leak_times_the_change_of_the_frame():
    noise = np.random.default_rng(4).uniform(-1, 1, VIDEO[:, 3].shape)
    largest = np.abs(noise - VIDEO[:, 3]).max()
    for weight in (0.01, 0.1, 1.0, 10.0):
        gap = prediction.causality_gap(looking_ahead(weight, 2), VIDEO, 3, seed=4)
        assert gap == pytest.approx(weight * largest, rel=1e-3)
    assert prediction.causality_gap(looking_ahead(1.0, 4), VIDEO, 3) == 0, "a frame that none before it could reach"


def test_the_error_of_samples_is_a_sum_over_pixels_and_a_mean_over_frames():
    real = np.zeros((2, 3, 4, 4, 1), np.uint8)
    samples = np.zeros((2, 5, 3, 4, 4, 1), np.uint8)
    samples[1, 2, 0, 1, 1] = 255  # one white pixel in one of three frames
    samples[0, 4] = 51  # a fifth of white everywhere
    expected = np.zeros((2, 5))
    expected[1, 2], expected[0, 4] = 1 / 3, 16 * 0.2**2
    np.testing.assert_allclose(prediction.sample_mse(real, samples), expected, rtol=1e-5)


@PROPERTY
@given(SEEDS, st.integers(2, 5))
def test_the_expected_error_of_a_sample_is_that_of_their_average_plus_their_variance(seed, count):
    """Why the average of many futures has a smaller error than any of them can expect."""
    rng = np.random.default_rng(seed)
    real, samples = rng.integers(0, 256, (3, 4, 5, 5, 1), dtype=np.uint8), rng.integers(0, 256, (3, count, 4, 5, 5, 1), np.uint8)
    errors, variance = prediction.sample_mse(real, samples), prediction.sample_variance(samples)
    of_average = np.sum((samples.mean(axis=1) / 255 - real / 255) ** 2, axis=(2, 3, 4)).mean(axis=1)
    np.testing.assert_allclose(errors.mean(axis=1), of_average + variance.mean(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(errors[:, 0], prediction.mse_per_frame(real, samples[:, 0]).mean(axis=1))


def test_the_variance_of_samples_is_that_of_their_pixels():
    samples = np.zeros((1, 4, 2, 3, 3, 1), np.uint8)
    samples[0, :2, 1, 0, 0] = 255  # in the second frame half of them have a white pixel
    np.testing.assert_allclose(prediction.sample_variance(samples), [[0, 0.25]])
    offset = np.array([-1, 1], np.int16)[None, :, None, None, None, None]
    values = [prediction.sample_variance(np.uint8(100 + size * offset)).item() for size in (0, 10, 20, 40, 80)]
    np.testing.assert_allclose(values, (np.array([0, 10, 20, 40, 80]) / 255) ** 2)


def test_the_first_bounce_is_found_where_its_way_can_be_seen():
    bounce = np.zeros((5, 12, 1), bool)
    bounce[0, 8] = bounce[0, 10] = True
    bounce[1, 3] = bounce[1, 8] = True  # too near the end of a context of 5 frames
    bounce[2, 1] = bounce[2, 5] = True
    assert prediction.first_bounce(bounce, 5).tolist() == [3, -1, 0, -1, -1]
    assert prediction.first_bounce(bounce, 2).tolist() == [6, 1, -1, -1, -1], "a context of fewer than three frames"


def test_means_before_and_after_the_first_bounce():
    values = np.arange(28.0).reshape(4, 7)
    before, after = prediction.around_first_bounce(values, np.array([3, -1, 0, -1]), num_frames_after=2)
    assert before == pytest.approx(np.mean([0, 1, 2, 3, 14])) and after == pytest.approx(np.mean([4, 5, 15, 16]))


def test_the_frame_after_a_bounce_is_the_one_that_could_not_be_known():
    bounce = np.zeros((1, 9, 1), bool)
    bounce[0, [1, 6]] = True
    values = np.ones((1, 8))  # of frames 1 to 8
    values[0, 1], values[0, 6] = 50, 3  # frames 2 and 7; frame 2 is before the end of the context
    assert prediction.ratio_after_bounce(values, bounce, num_context_frames=4) == pytest.approx(3)


def test_a_perfect_rollout_keeps_its_brightness_and_its_speed():
    clips = digits.make_moving_mnist(20, seed=8, size=32, num_frames=24, num_digits=1, stochastic_bounces=True)
    preserved = np.ones((20, 16), bool)
    preserved[0, :8] = False  # half of the first clip is another digit
    found = prediction.error_accumulation(clips.frames[:, :8], clips.frames[:, 8:], preserved, num_windows=2)
    np.testing.assert_allclose(found["identity_preserved"], [0.95, 1])
    np.testing.assert_allclose(found["brightness"], 1, rtol=1e-6)
    steps = np.linalg.norm(np.diff(clips.states["pixel_position"][:, 7:, 0].astype(float), axis=1), axis=-1)
    np.testing.assert_allclose(found["speed"], [steps[:, :8].mean(), steps[:, 8:].mean()], rtol=1e-6)


def test_a_rollout_that_fades_and_slows_down_is_measured_part_by_part():
    frames = np.zeros((1, 9, 32, 32, 1), np.uint8)
    columns = np.cumsum([0, 4, 4, 2, 2, 1, 1, 0, 0])  # px per frame, two frames at each speed
    for t, (column, light) in enumerate(zip(columns, [200, 200, 200, 150, 150, 100, 100, 50, 50])):
        frames[0, t, 10:14, column : column + 4] = light
    found = prediction.error_accumulation(frames[:, :1], frames[:, 1:], np.zeros((1, 8), bool))
    np.testing.assert_allclose(found["brightness"], [1, 0.75, 0.5, 0.25])
    np.testing.assert_allclose(found["speed"], [4, 2, 1, 0], atol=1e-12)
    np.testing.assert_array_equal(found["identity_preserved"], 0)
    black = prediction.error_accumulation(frames[:, :1], 0 * frames[:, 1:], np.zeros((1, 8), bool))
    assert not black["brightness"].any()
    with pytest.raises(CourseError, match="8 frames can't be divided into 3 equal parts"):
        prediction.error_accumulation(frames[:, :1], frames[:, 1:], np.zeros((1, 8), bool), num_windows=3)


def test_the_energy_score_is_smallest_for_samples_of_the_true_distribution():
    """Frames of Gaussian pixels; the samples' standard deviation is a factor of the true one."""
    rng = np.random.default_rng(7)

    def drawn(deviation, *shape):
        return np.clip(128 + deviation * rng.normal(size=(*shape, 1, 4, 4, 1)), 0, 255).astype(np.uint8)

    real = drawn(25, 400)
    scores = {s: prediction.energy_score(real, drawn(25 * s, 400, 10)).mean() for s in (0.3, 0.6, 1.0, 1.5, 2.0)}
    assert min(scores, key=scores.get) == 1.0
    best = {s: prediction.sample_mse(real, drawn(25 * s, 400, 10)).min(axis=1).mean() for s in (0.6, 1.0)}
    assert best[0.6] < best[1.0], "which the best of many samples is not, with as many pixels"


def test_the_energy_score_of_two_samples_by_hand():
    real = np.zeros((1, 1, 1, 2, 1), np.uint8)
    samples = np.uint8([[[[[[255], [0]]]], [[[[0], [255]]]]]])  # (1, 2, 1, 1, 2, 1): at distance 1 from it, sqrt(2) apart
    np.testing.assert_allclose(prediction.energy_score(real, samples), [1 - np.sqrt(2) / 2])
    with pytest.raises(CourseError, match="at least two samples"):
        prediction.energy_score(real, samples[:, :1])
