"""Recurrent models of latent trajectories: their equations, what they may see, how they go on, and that they learn chance."""

import keras
import numpy as np
import pytest
from keras import ops

from vidgen_tf import training
from vidgen_tf.datasets import pipeline
from vidgen_tf.errors import CourseError
from vidgen_tf.metrics.prediction import ratio_after_bounce
from vidgen_tf.models import latent_rnn as rnns
from vidgen_tf.models import vae as vaes

SMALL = rnns.LatentRNNConfig(latent_dim=3, hidden_dim=8, input_noise_std=0.1, z_dim=2, gaussian_hidden_dim=5)
LATENTS = np.random.default_rng(0).normal(size=(40, 7, 3)).astype("float32")
LOG_VAR = np.full_like(LATENTS, -6.0)
KINDS = {"gru": lambda: rnns.LatentGRU(SMALL), "svg": lambda: rnns.LatentSVG(SMALL, seed=1)}


def small(kind, seed=3):
    training.set_seed(seed)
    model = KINDS[kind]()
    model.normalization.adapt(LATENTS, LOG_VAR)
    return model


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    "q, p", [((0.0, 1.0), (0.0, 1.0)), ((1.5, 0.5), (0.0, 1.0)), ((-1.0, 2.0), (0.5, 0.3)), ((0, 0.1), (2, 4))]
)
def test_the_kl_divergence_of_gaussians_is_the_integral(q, p):
    from scipy import integrate, stats

    (q_mean, q_std), (p_mean, p_std) = q, p
    a, b = stats.norm(*q), stats.norm(*p)
    ends = q_mean - 12 * q_std, q_mean + 12 * q_std
    expected = integrate.quad(lambda z: a.pdf(z) * (a.logpdf(z) - b.logpdf(z)), *ends)[0]
    ours = rnns.kl_divergence(*np.float32([q_mean, 2 * np.log(q_std), p_mean, 2 * np.log(p_std)]))
    assert float(ours) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_from_the_standard_normal_it_is_the_vaes():
    z_mean, z_log_var = LATENTS[0], LATENTS[1]
    zeros = np.zeros_like(z_mean)
    expected = vaes.kl_to_standard_normal(z_mean, z_log_var)
    np.testing.assert_allclose(rnns.kl_divergence(z_mean, z_log_var, zeros, zeros), expected, rtol=1e-5, atol=1e-6)


def test_the_predictor_is_a_gru_and_two_dense_layers():
    """Against the equations, written out in NumPy."""
    model = small("gru")
    bias = model.predictor.weights[2]
    bias.assign(np.random.default_rng(2).normal(size=bias.shape))  # they begin at 0
    kernel, recurrent, bias, inner, inner_bias, outer, outer_bias = (w.numpy() for w in model.predictor.weights)
    state, expected = np.zeros((40, 8)), []
    normalized = np.asarray(model.normalization(LATENTS))
    for x in normalized[:, :-1].transpose(1, 0, 2):
        a, b = x @ kernel + bias[0], state @ recurrent + bias[1]
        update, reset = sigmoid(a[:, :8] + b[:, :8]), sigmoid(a[:, 8:16] + b[:, 8:16])
        state = update * state + (1 - update) * np.tanh(a[:, 16:] + reset * b[:, 16:])
        expected.append(np.maximum(state @ inner + inner_bias, 0) @ outer + outer_bias)
    np.testing.assert_allclose(model(LATENTS), np.stack(expected, axis=1), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prediction_sees_neither_its_frame_nor_any_later_one(kind):
    model = small(kind)
    before = np.asarray(model(LATENTS))
    for t in range(7):
        changed = LATENTS.copy()
        changed[:, t] += 1
        moved = np.abs(np.asarray(model(changed)) - before).max(axis=(0, 2))  # of the predictions of frames 1 to 6
        assert (moved[:t] < 1e-6).all() and (moved[t:] > 1e-6).all()


def test_the_prior_sees_the_frames_before_and_the_posterior_the_frame_itself():
    model = small("svg")
    before = model.prior_and_posterior(LATENTS)
    for t in range(7):
        changed = LATENTS.copy()
        changed[:, t] += 1
        after = model.prior_and_posterior(changed)
        for network, first in ((0, t), (1, max(t - 1, 0))):
            for part in range(2):
                moved = np.abs(np.asarray(after[network][part]) - np.asarray(before[network][part])).max(axis=(0, 2))
                assert (moved[:first] < 1e-6).all() and (moved[first:] > 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_for_training_only(kind):
    model = small(kind)
    np.testing.assert_allclose(model(LATENTS), model(LATENTS), atol=1e-6)
    assert np.abs(np.asarray(model(LATENTS, training=True)) - np.asarray(model(LATENTS, training=True))).max() > 0


@pytest.mark.parametrize("mode", [True, False])
def test_the_stochastic_loss_is_the_error_plus_beta_times_the_divergence(mode):
    training.set_seed(3)
    model = rnns.LatentSVG(rnns.LatentRNNConfig(latent_dim=3, hidden_dim=8, input_noise_std=0.0, z_dim=2, gaussian_hidden_dim=5))
    model.normalization.adapt(LATENTS, LOG_VAR)
    prediction = model(LATENTS, training=mode)
    loss = float(model.compute_loss(x=LATENTS, y_pred=prediction))
    error, kl = (float(tracker.result()) for tracker in model.trackers)
    target = np.asarray(model.normalization(LATENTS))[:, 1:]
    assert error == pytest.approx(np.mean(np.sum((target - np.asarray(prediction)) ** 2, axis=2)), rel=1e-5)
    prior, posterior = model.prior_and_posterior(LATENTS)
    assert kl == pytest.approx(float(ops.mean(ops.sum(rnns.kl_divergence(*posterior, *prior), axis=-1))), rel=1e-5)
    assert loss == pytest.approx(error + 0.5 * kl, rel=1e-5)


def test_the_deterministic_loss_is_the_squared_error():
    model = small("gru")
    prediction = np.asarray(model(LATENTS))
    expected = np.mean(np.sum((np.asarray(model.normalization(LATENTS))[:, 1:] - prediction) ** 2, axis=2))
    assert float(model.compute_loss(x=LATENTS, y_pred=prediction)) == pytest.approx(expected, rel=1e-5)


def test_a_deterministic_rollout_is_the_one_step_predictor_on_its_own_predictions():
    model = small("gru")
    predicted = model.rollout(LATENTS[:, :4], 5)
    latents = LATENTS[:, :4]
    for t in range(5):
        longer = np.concatenate([latents, latents[:, -1:]], axis=1)  # its last frame isn't seen
        following = np.asarray(model.normalization.denormalize(model(longer)))[:, -1:]
        np.testing.assert_allclose(predicted[:, t : t + 1], following, atol=1e-4)
        latents = np.concatenate([latents, following], axis=1)


def test_a_stochastic_rollout_samples_from_the_prior_of_its_own_trajectory():
    """Against the networks run over the whole trajectory anew for each frame."""
    model = small("svg")
    sampled = model.rollout(LATENTS[:, :4], 3, seed=6)
    x, noise = model.normalization(LATENTS[:, :4]), keras.random.SeedGenerator(6)
    z = rnns.from_zero_state(model.posterior, x)[0][:, 1:]
    for _ in range(3):
        z_mean, z_log_var, _ = rnns.from_zero_state(model.prior, x)
        sample = z_mean[:, -1:] + ops.exp(z_log_var[:, -1:] / 2) * keras.random.normal((40, 1, 2), seed=noise)
        z = ops.concatenate([z, sample], axis=1)
        x = ops.concatenate([x, rnns.from_zero_state(model.predictor, x, z)[0][:, -1:]], axis=1)
    np.testing.assert_allclose(sampled, np.asarray(model.normalization.denormalize(x))[:, 4:], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollout_of_more_frames_begins_like_one_of_fewer(kind):
    model = small(kind)
    assert model.rollout(LATENTS[:, :4], 1).shape == (40, 1, 3)
    np.testing.assert_allclose(model.rollout(LATENTS[:, :4], 6)[:, :2], model.rollout(LATENTS[:, :4], 2), atol=1e-6)


def test_futures_of_one_context_differ_and_can_be_repeated():
    model = small("svg")
    samples = rnns.sample_futures(model, LATENTS[:3, :4], 5, num_samples=6, seed=2)
    assert samples.shape == (3, 6, 5, 3)
    assert np.abs(samples[:, 0] - samples[:, 1]).max() > 1e-3
    np.testing.assert_allclose(samples, rnns.sample_futures(model, LATENTS[:3, :4], 5, num_samples=6, seed=2), atol=1e-5)
    assert np.abs(samples - rnns.sample_futures(model, LATENTS[:3, :4], 5, num_samples=6, seed=3)).max() > 1e-3


@pytest.mark.parametrize("kind, context, num_frames, said", [
    ("gru", LATENTS[:, :0], 5, "at least 1 context frames"),
    ("svg", LATENTS[:, :1], 5, "at least 2 context frames"),
    ("gru", LATENTS[:, :, :2], 5, "encode clips with a VAE of 3 latent dimensions"),
    ("svg", LATENTS[0], 5, r"got \(7, 3\)"),
    ("svg", LATENTS, 0, "num_frames must be a whole number, at least 1"),
    ("gru", LATENTS, 2.5, "num_frames must be a whole number"),
])  # fmt: skip
def test_a_context_that_a_rollout_cannot_start_from_is_refused(kind, context, num_frames, said):
    with pytest.raises(CourseError, match=said):
        small(kind).rollout(context, num_frames)


def coin_tosses(count, seed):
    """Trajectories that jump to +1 or -1 every third frame, as a coin falls, and stay there; two dimensions tell the time."""
    sides = np.repeat(np.random.default_rng(seed).choice([-1.0, 1.0], (count, 4)), 3, axis=1)[:, :10]
    phase = np.tile(np.arange(10) * 2 * np.pi / 3, (count, 1))
    return np.stack([sides, np.cos(phase), np.sin(phase)], axis=-1).astype("float32")


@pytest.fixture(scope="module")
def trained():
    """Both models after a few steps on coin tosses."""
    sizes = {"latent_dim": 3, "hidden_dim": 16, "z_dim": 2, "gaussian_hidden_dim": 8}
    config = rnns.LatentRNNConfig(**sizes, input_noise_std=0.0, beta=0.1)
    latents, models = coin_tosses(256, 0), {}
    for name, make in (("gru", rnns.LatentGRU), ("svg", rnns.LatentSVG)):
        training.set_seed(1)
        models[name] = make(config)
        models[name].normalization.adapt(latents, np.full_like(latents, -9))
        schedule = keras.optimizers.schedules.CosineDecay(0.05, 60)
        models[name].compile(keras.optimizers.Adam(schedule, global_clipnorm=1.0), jit_compile=False)
        training.fit(models[name], lambda first: pipeline(latents, batch_size=256, first_step=first), 60, log_interval=20)
    return models


def test_the_deterministic_model_predicts_the_mean_of_the_futures(trained):
    latents = coin_tosses(200, 1)
    predicted = np.asarray(trained["gru"].normalization.denormalize(trained["gru"](latents)))[..., 0]
    for frame in (3, 6, 9):  # the first dimension is predicted for the toss: the mean of both sides
        assert np.abs(predicted[:, frame - 1]).mean() < 0.35
    for frame in (2, 5, 8):
        assert np.abs(predicted[:, frame - 1] - latents[:, frame, 0]).mean() < 0.2


def test_the_prior_variance_grows_where_a_coin_is_tossed(trained):
    latents = coin_tosses(200, 1)
    variance = rnns.prior_variance(trained["svg"], latents)
    tosses = np.zeros((200, 10, 1), bool)
    tosses[:, 2::3] = True  # after these frames the coin falls
    assert variance.shape == (200, 9)
    assert ratio_after_bounce(variance, tosses) >= 2
    assert variance[:, 3:5].mean() < 1.5, "elsewhere it is as certain as the posterior"


def test_futures_agree_up_to_a_toss_and_take_both_sides_after_it(trained):
    latents = coin_tosses(40, 2)
    samples = rnns.sample_futures(trained["svg"], latents[:, :4], 5, num_samples=20)[..., 0]  # frames 4 to 8; a toss before 6
    assert np.abs(samples[:, :, :2] - latents[:, None, 3:4, 0]).mean() < 0.25
    assert ((samples[:, :, 2] > 0.4).any(axis=1) & (samples[:, :, 2] < -0.4).any(axis=1)).mean() > 0.9
    best = np.abs(samples[:, :, 2] - latents[:, None, 6, 0]).min(axis=1).mean()
    mean = np.abs(trained["gru"].rollout(latents[:, :4], 3)[:, 2, 0] - latents[:, 6, 0]).mean()
    assert best < 0.5 * mean, "the best of twenty beats the mean of the futures"


def test_the_prior_variance_has_no_unit():
    """z may be stretched, and shrunk again where the predictor reads it, without anything being another model."""
    model = small("svg")
    variance = rnns.prior_variance(model, LATENTS)
    for network in (model.prior, model.posterior):
        layer = network.get_layer("z_log_var")
        layer.bias.assign_add(np.log([9.0, 0.25]).astype("float32"))
    np.testing.assert_allclose(rnns.prior_variance(model, LATENTS), variance, rtol=1e-4)
    model.prior.get_layer("z_log_var").bias.assign_add(np.log([2.0, 2.0]).astype("float32"))
    np.testing.assert_allclose(rnns.prior_variance(model, LATENTS), 2 * variance, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_keeps_the_normalisation_that_a_model_was_trained_with(kind, tmp_path):
    model, again = small(kind), KINDS[kind]()
    model.save_weights(tmp_path / "w.weights.h5")
    again.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(again.normalization.std, model.normalization.std)
    np.testing.assert_allclose(again.rollout(LATENTS[:, :4], 3), model.rollout(LATENTS[:, :4], 3), atol=1e-6)
