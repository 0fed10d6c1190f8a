"""Flow matching: the path to noise, timesteps, the loss, the moving average, ODE samplers, and classifier-free guidance."""

import dataclasses

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidgen_tf import training
from vidgen_tf.errors import CourseError
from vidgen_tf.models import flow_matching as F
from vidgen_tf.models.dit import DiffusionConfig, LatentDiffusion, build_transformer
from vidgen_tf.tokenizer import drop_attribute, tokenize

SMALL = DiffusionConfig(num_frames=5, latent_dim=3, hidden_dim=8, num_layers=1, num_heads=2)
RNG = np.random.default_rng(0)
CLIPS, NOISE = (RNG.normal(size=(40, 5, 3)).astype("float32") for _ in range(2))
TOKENS = tokenize(["the digit 3 is moving up then down .", "数字7先向左再向右移动。", "the digit 0 is moving", ""])
quick = settings(max_examples=100, deadline=None, derandomize=True)


def model_of(seed=3, **changes):
    """A model whose network has random weights, the zero-initialised ones too."""
    training.set_seed(seed)
    model, rng = LatentDiffusion(dataclasses.replace(SMALL, **changes)), np.random.default_rng(seed)
    model.network.set_weights([w + 0.2 * rng.normal(size=w.shape) for w in model.network.get_weights()])
    return model


@quick
@given(st.floats(0, 0.999), st.integers(0, 2**32 - 1))
def test_velocity_noise_and_clip_invert_each_other_at_any_timestep_below_1(t, seed):
    clip, noise = np.random.default_rng(seed).normal(size=(2, 4, 3, 2))
    t = np.full((4, 1), t)
    noisy, velocity = F.add_noise(clip, noise, t), noise - clip
    np.testing.assert_allclose(F.velocity_to_noise(velocity, noisy, t), noise, atol=1e-9)
    np.testing.assert_allclose(F.velocity_to_clip(velocity, noisy, t), clip, atol=1e-9)
    np.testing.assert_allclose(F.noise_to_velocity(noise, noisy, t), velocity, atol=1e-9)


def test_the_path_goes_from_the_clip_to_the_noise_at_the_velocity():
    for t, end in ((0.0, CLIPS), (1.0, NOISE)):
        np.testing.assert_array_equal(F.add_noise(CLIPS, NOISE, np.full((40, 1), t, "float32")), end)
    t, step = np.full((40, 1), 0.4), 1e-6
    derivative = (F.add_noise(CLIPS, NOISE, t + step) - F.add_noise(CLIPS, NOISE, t)) / step
    np.testing.assert_allclose(derivative, NOISE - CLIPS, atol=1e-5)


@quick
@given(st.floats(0, 1))
def test_rates_are_those_of_a_ddpm(t):
    t = np.full((40, 1), t)
    signal, noise = F.signal_and_noise_rates(t)
    np.testing.assert_allclose(signal**2 + noise**2, 1)
    length = np.sqrt((1 - t) ** 2 + t**2)[..., None]
    expected = signal[..., None] * CLIPS + noise[..., None] * NOISE
    np.testing.assert_allclose(F.add_noise(CLIPS, NOISE, t) / length, expected, atol=1e-9)


def test_rates_go_from_signal_to_noise():
    signal, noise = F.signal_and_noise_rates(np.linspace(0, 1, 40))
    assert (np.diff(signal) < 0).all() and (np.diff(noise) > 0).all() and signal[0] == noise[-1] == 1


def gaussian(mean, std):
    """The exact marginal velocity of Gaussian data: the mean of noise - clip, given their noised sample."""

    def velocity(z, t):
        t = t[..., None]
        variance = (1 - t) ** 2 * std**2 + t**2
        return (t - (1 - t) * std**2) / variance * (z - (1 - t) * mean) - mean

    return velocity


@pytest.mark.parametrize("solver, steps, tolerance", [(F.euler, 400, 0.02), (F.heun, 40, 0.004)])
def test_a_sampler_reproduces_a_gaussian(solver, steps, tolerance):
    """The flow from N(0, 1) to N(m, s) is x = m + s z, so each point's end is known."""
    mean, std = np.float32([1.5, -2.0, 0.0]), np.float32([0.3, 1.0, 2.0])
    z = np.random.default_rng(1).normal(size=(500, 1, 3))
    sampled = solver(gaussian(mean, std), z, np.linspace(1, 0, steps + 1)[:, None, None])
    assert np.abs(sampled - (mean + std * z)).max() < tolerance * np.abs(z).max()


def test_euler_is_of_first_order_and_heun_of_second():
    z = np.random.default_rng(1).normal(size=(50, 1, 3))

    def error(solver, steps):
        timesteps = np.linspace(1, 0, steps + 1)[:, None, None]
        return np.abs(solver(gaussian(1.0, 0.5), z, timesteps) - (1 + 0.5 * z)).max()

    assert error(F.euler, 20) / error(F.euler, 80) == pytest.approx(4, rel=0.3)
    assert error(F.heun, 20) / error(F.heun, 80) == pytest.approx(16, rel=0.3)


def test_timesteps_are_distributed_as_the_configuration_says():
    def draw(**changes):
        config = dataclasses.replace(SMALL, **changes)
        return np.asarray(F.sample_timesteps(20000, config, keras.random.SeedGenerator(1)))

    drawn = draw(per_frame_timestep_prob=0.0)
    assert drawn.shape == (20000, 1)
    logit = np.log(drawn / (1 - drawn))
    assert abs(logit.mean()) < 0.03 and abs(logit.std() - 1) < 0.02
    uniform = draw(uniform_timestep_prob=1.0, per_frame_timestep_prob=0.25)
    assert uniform.shape == (20000, 5) and abs(uniform.mean() - 0.5) < 0.01 and abs(uniform.std() - 12**-0.5) < 0.01
    assert abs(np.mean(np.ptp(uniform, axis=1) > 0) - 0.25) < 0.015
    high_noise = np.mean(draw(uniform_timestep_prob=0.25, per_frame_timestep_prob=0.0) > 0.9)
    assert high_noise == pytest.approx(0.75 * np.mean(drawn > 0.9) + 0.25 * 0.1, abs=0.006)


def test_the_loss_is_the_squared_error_of_the_velocity():
    """A velocity of 0 has the variance of noise and of clips as its error."""
    trainer = F.FlowMatching(LatentDiffusion(SMALL), seed=1)
    predicted, target = (np.asarray(part) for part in trainer(np.repeat(CLIPS, 100, axis=0)))
    assert not predicted.any()
    expected = 1 + np.mean(CLIPS.astype(float) ** 2)
    assert float(trainer.compute_loss(y_pred=(predicted, target))) == pytest.approx(expected, rel=0.03)


def test_the_frame_difference_loss_is_weighted():
    """An error that is the same in all frames has no differences between frames; one that alternates has the largest."""
    target, same = np.zeros((2, 5, 3)), np.ones((2, 5, 3))
    alternating = np.broadcast_to(np.resize([1.0, -1.0], 5)[:, None], (2, 5, 3))
    for weight in (0.0, 0.5):
        trainer = F.FlowMatching(LatentDiffusion(dataclasses.replace(SMALL, frame_difference_weight=weight)))
        assert float(trainer.compute_loss(y_pred=(target + same, target))) == pytest.approx(1.0)
        assert float(trainer.compute_loss(y_pred=(target + alternating, target))) == pytest.approx(1 + weight * 4)


class Weights(keras.callbacks.Callback):
    """All weights of the network and of its average, after each step."""

    def on_train_begin(self, logs=None):
        self.network, self.ema = [self.now(self.model.network)], [self.now(self.model.ema_network)]

    def now(self, network):
        return np.concatenate([w.numpy().ravel() for w in network.weights])

    def on_train_batch_end(self, batch, logs=None):
        self.network.append(self.now(self.model.network))
        self.ema.append(self.now(self.model.ema_network))


def test_the_model_is_the_moving_average_of_the_trained_weights():
    training.set_seed(3)
    trainer, weights = F.FlowMatching(LatentDiffusion(SMALL), ema_decay=0.7, seed=4), Weights()
    trainer.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    trainer.fit(CLIPS[:25], batch_size=1, verbose=0, callbacks=[weights])
    ema = weights.ema[0]
    np.testing.assert_array_equal(ema, weights.network[0])
    for n, (network, seen) in enumerate(zip(weights.network[1:], weights.ema[1:], strict=True), start=1):
        decay = min(0.7, (1 + n) / (10 + n))
        ema = decay * ema + (1 - decay) * network
        np.testing.assert_allclose(seen, ema, rtol=1e-4, atol=1e-6)
    assert n == 25 and decay == 0.7 and np.abs(weights.network[-1] - weights.ema[-1]).max() > 1e-4


def test_what_ships_is_the_average_alone():
    model = LatentDiffusion(SMALL)
    F.FlowMatching(model)
    shapes = [w.shape for w in model.weights]
    assert shapes == [w.shape for w in LatentDiffusion(SMALL).weights]
    assert len(shapes) == 2 + len(build_transformer(SMALL).weights)


CONDITIONINGS = {
    "unconditional": {},
    "captions": {"has_captions": True},
    "scene layers": {"num_scene_layers": 2},
    "captions and scene layers": {"has_captions": True, "num_scene_layers": 2},
}


def batch_of(model, count=4):
    batch = {"latents": CLIPS[:count], "tokens": TOKENS[:count], "background": CLIPS[::-1][:count].copy()}
    names = model.conditioning_shapes
    return {name: batch[name] for name in ("latents", *names)} if names else batch["latents"]


@pytest.mark.parametrize("changes", CONDITIONINGS.values(), ids=CONDITIONINGS)
def test_a_training_is_evaluated_saved_and_resumed_like_any_keras_model(changes, tmp_path):
    trainer = F.FlowMatching(LatentDiffusion(dataclasses.replace(SMALL, **changes)), ema_decay=0.8, seed=5)
    trainer.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    batch, lines = batch_of(trainer.model), []
    before = trainer.evaluate(batch, verbose=0)
    assert before == trainer.evaluate(batch, verbose=0) and np.isfinite(before), "the same noise at each call"
    trainer.summary(print_fn=lambda text, **options: lines.append(text))
    assert trainer.built and f"{trainer.count_params():,}" in "".join(lines)
    history = trainer.fit(batch, batch_size=2, epochs=2, verbose=0, validation_data=(batch, None)).history
    assert set(history) == {"loss", "val_loss"} and np.isfinite(history["loss"]).all()
    assert history["val_loss"][-1] == trainer.evaluate(batch, verbose=0, batch_size=2) != before
    trainer.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert (loaded.ema_decay, loaded.seed, loaded.model.config) == (0.8, 5, trainer.model.config)
    for a, b in zip(trainer.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(loaded.optimizer.iterations) == 4
    loaded.run_eagerly = True
    assert loaded.evaluate(batch, verbose=0) == trainer.evaluate(batch, verbose=0)
    assert not [w for w in loaded.ema_network.weights if w.path in {v.path for v in loaded.trainable_variables}]
    assert np.isfinite(loaded.fit(batch, verbose=0).history["loss"]).all()


def test_it_trains_in_half_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        trainer = F.FlowMatching(LatentDiffusion(dataclasses.replace(SMALL, has_captions=True, num_scene_layers=2)), seed=5)
    finally:
        keras.config.set_dtype_policy(before)
    trainer.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    batch = batch_of(trainer.model)
    predicted, target = trainer(batch)
    assert predicted.dtype == target.dtype == "float32"
    assert {w.dtype for w in trainer.weights} == {"float32"}
    assert np.isfinite(trainer.fit(batch, epochs=2, verbose=0).history["loss"]).all()


NOISY, T = CLIPS[:4], np.full((1, 1), 0.7, "float32")


@pytest.fixture(scope="module")
def conditional():
    return model_of(has_captions=True)


@pytest.mark.parametrize("scale", [1, 1.0, {"digit": 1, "motion": 1.0}, {}])
def test_guidance_scale_1_is_the_conditional_model(conditional, scale):
    expected = conditional.velocity(NOISY, T, conditioning={"tokens": TOKENS})
    np.testing.assert_array_equal(F.guided_velocity(conditional, scale, conditioning={"tokens": TOKENS})(NOISY, T), expected)


def test_guidance_scale_0_is_the_unconditional_model_and_attributes_are_guided_on_their_own(conditional):
    def velocity(tokens):
        return conditional.velocity(NOISY, T, conditioning={"tokens": tokens})

    def guided(scale):
        return F.guided_velocity(conditional, scale, conditioning={"tokens": TOKENS})(NOISY, T)

    with_caption, without = velocity(TOKENS), conditional.velocity(NOISY, T)
    assert np.abs(with_caption - without).max() > 1e-3
    np.testing.assert_allclose(guided(0), without, atol=1e-5)
    directions = {name: with_caption - velocity(drop_attribute(TOKENS, name)) for name in ("digit", "motion")}
    expected = with_caption + 2 * directions["digit"] + 0.5 * directions["motion"]
    np.testing.assert_allclose(guided({"digit": 3, "motion": 1.5}), expected, atol=1e-4)
    with pytest.raises(CourseError, match="Guidance is for all, or for digit, size"):
        guided({"colour": 2})


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.floats(0, 20), st.floats(0, 20), st.floats(0, 1))
def test_guidance_is_affine_in_its_scale(conditional, one, other, share):
    def guided(scale):
        return F.guided_velocity(conditional, scale, conditioning={"tokens": TOKENS})(NOISY, T)

    between = (1 - share) * one + share * other
    np.testing.assert_allclose(guided(between), (1 - share) * guided(one) + share * guided(other), atol=1e-3)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -5, 1e30, -0.01, 20.1, "3", None, [2.0]])
def test_guidance_scales_out_of_range_are_refused(conditional, wrong):
    for scale in (wrong, {"digit": 2.0, "motion": wrong}):
        with pytest.raises(CourseError, match="guidance_scale must be a number from 0, .* to 20, got"):
            F.guided_velocity(conditional, scale, conditioning={"tokens": TOKENS})


@pytest.mark.parametrize("scale", [0, 20, np.float32(2.5), np.int64(3), {"digit": 0.0}])
def test_guidance_scales_in_range_are_taken(scale):
    F.check_guidance_scale(scale)


def test_shifted_timesteps_keep_their_ends_and_their_order_and_are_those_of_quieter_data():
    t = np.linspace(0, 1, 11)
    shifted = F.shift_timesteps(t, 3.0)
    assert shifted[0] == 0 and shifted[-1] == 1 and np.all(np.diff(shifted) > 0) and np.all(shifted[1:-1] > t[1:-1])
    assert np.allclose(shifted[1:-1] / (1 - shifted[1:-1]), 3 * t[1:-1] / (1 - t[1:-1]))  # noise to data
    assert np.array_equal(F.shift_timesteps(t, 1.0), t)
    steps = F.inference_timesteps(4)
    assert steps.shape == (5, 1, 1) and steps.dtype == np.float32 and np.allclose(steps.ravel(), [1, 0.75, 0.5, 0.25, 0])


def test_guidance_is_applied_within_its_interval_alone():
    choose = F.guided_within(lambda z, t: z + 1, lambda z, t: z - 1, (0.2, 0.6))
    for t, wanted in ((0.1, -1), (0.2, 1), (0.4, 1), (0.6, 1), (0.7, -1)):
        assert np.array_equal(choose(np.zeros((2, 3, 4)), np.full((1, 1), t)), np.full((2, 3, 4), wanted))
    for interval in ((0.6, 0.2), (-0.1, 0.5), (0.5, 1.1), (0.5,), (float("nan"), 0.5)):
        with pytest.raises(CourseError, match="two timesteps from 0 to 1"):
            F.guided_within(None, None, interval)
