"""Recurrent models of latents: their equations, what they may see, how they go on, and what their shipped weights know."""

import keras
import numpy as np
import pytest
from keras import ops

from vidgen_tf import datasets, training, zoo
from vidgen_tf.datasets import pipeline
from vidgen_tf.errors import CourseError
from vidgen_tf.models import latent_rnn as rnns
from vidgen_tf.models import vae as vaes

SMALL = rnns.LatentRNNConfig(latent_dim=3, units=8, noise=0.1, z_dim=2, belief_units=5)
PATHS = np.random.default_rng(0).normal(size=(40, 7, 3)).astype("float32")
WIDTHS = np.full_like(PATHS, -6.0)
KINDS = {"gru": lambda: rnns.LatentGRU(SMALL), "svg": lambda: rnns.LatentSVG(SMALL, seed=1)}


def small(kind, seed=3):
    training.set_seed(seed)
    model = KINDS[kind]()
    model.scale.adapt(PATHS, WIDTHS)
    return model


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_standardised_draws_have_mean_0_and_variance_1():
    rng = np.random.default_rng(1)
    z_mean = rng.normal(size=(500, 20, 2)) * [3.0, 0.001] + [5.0, 0.0]  # the second dimension is not used:
    z_log_var = np.tile(np.log([0.04, 1.0]), (500, 20, 1))  # all its clouds are the prior
    scale = rnns.Standardise(2)
    scale.adapt(z_mean, z_log_var)
    draws = np.asarray(scale((z_mean + np.exp(z_log_var / 2) * rng.normal(size=z_mean.shape)).astype("float32")))
    np.testing.assert_allclose(draws.mean(axis=(0, 1)), 0, atol=0.02)
    np.testing.assert_allclose(draws.std(axis=(0, 1)), 1, atol=0.02)
    assert np.asarray(scale(z_mean.astype("float32")))[..., 1].std() < 0.01, "not blown up"
    np.testing.assert_allclose(scale.undo(draws), draws * np.asarray(scale.deviation) + np.asarray(scale.mean), rtol=1e-6)
    np.testing.assert_allclose(scale(scale.undo(draws)), draws, atol=1e-5)


@pytest.mark.parametrize(
    "q, p", [((0.0, 1.0), (0.0, 1.0)), ((1.5, 0.5), (0.0, 1.0)), ((-1.0, 2.0), (0.5, 0.3)), ((0, 0.1), (2, 4))]
)
def test_the_divergence_between_gaussians_is_the_integral(q, p):
    from scipy import integrate, stats

    (q_mean, q_deviation), (p_mean, p_deviation) = q, p
    a, b = stats.norm(*q), stats.norm(*p)
    ends = q_mean - 12 * q_deviation, q_mean + 12 * q_deviation
    expected = integrate.quad(lambda z: a.pdf(z) * (a.logpdf(z) - b.logpdf(z)), *ends)[0]
    ours = rnns.kl_between(*np.float32([q_mean, 2 * np.log(q_deviation), p_mean, 2 * np.log(p_deviation)]))
    assert float(ours) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_from_the_standard_gaussian_it_is_chapter_05s():
    z_mean, z_log_var = PATHS[0], PATHS[1]
    zeros = np.zeros_like(z_mean)
    expected = vaes.kl_per_dimension(z_mean, z_log_var)
    np.testing.assert_allclose(rnns.kl_between(z_mean, z_log_var, zeros, zeros), expected, rtol=1e-5, atol=1e-6)


def test_the_predictor_is_a_gru_and_two_dense_layers():
    """Against the equations, written out in NumPy."""
    model = small("gru")
    bias = model.predictor.weights[2]
    bias.assign(np.random.default_rng(2).normal(size=bias.shape))  # they begin at 0
    kernel, recurrent, bias, inner, inner_bias, outer, outer_bias = (w.numpy() for w in model.predictor.weights)
    state, expected = np.zeros((40, 8)), []
    standard = np.asarray(model.scale(PATHS))
    for x in standard[:, :-1].transpose(1, 0, 2):
        a, b = x @ kernel + bias[0], state @ recurrent + bias[1]
        update, reset = sigmoid(a[:, :8] + b[:, :8]), sigmoid(a[:, 8:16] + b[:, 8:16])
        state = update * state + (1 - update) * np.tanh(a[:, 16:] + reset * b[:, 16:])
        expected.append(np.maximum(state @ inner + inner_bias, 0) @ outer + outer_bias)
    np.testing.assert_allclose(model(PATHS), np.stack(expected, axis=1), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prediction_does_not_see_its_frame_nor_any_later_one(kind):
    model = small(kind)
    before = np.asarray(model(PATHS))
    for t in range(7):
        changed = PATHS.copy()
        changed[:, t] += 1
        moved = np.abs(np.asarray(model(changed)) - before).max(axis=(0, 2))  # of the predictions of frames 1 to 6
        assert (moved[:t] < 1e-6).all() and (moved[t:] > 1e-6).all()


def test_the_prior_sees_the_frames_before_and_the_posterior_the_frame_itself():
    model = small("svg")
    before = model.beliefs(PATHS)
    for t in range(7):
        changed = PATHS.copy()
        changed[:, t] += 1
        after = model.beliefs(changed)
        for belief, first in ((0, t), (1, max(t - 1, 0))):
            for part in range(2):
                moved = np.abs(np.asarray(after[belief][part]) - np.asarray(before[belief][part])).max(axis=(0, 2))
                assert (moved[:first] < 1e-6).all() and (moved[first:] > 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_for_training_only(kind):
    model = small(kind)
    np.testing.assert_allclose(model(PATHS), model(PATHS), atol=1e-6)
    assert np.abs(np.asarray(model(PATHS, training=True)) - np.asarray(model(PATHS, training=True))).max() > 0


def test_the_stochastic_loss_is_the_error_plus_beta_times_the_divergence():
    model = small("svg")
    predicted = model(PATHS, training=True)
    loss = float(model.compute_loss(x=PATHS, y_pred=predicted))
    error, divergence = (float(tracker.result()) for tracker in model.metrics)
    following = np.asarray(model.scale(PATHS))[:, 1:]
    assert error == pytest.approx(np.mean(np.sum((following - np.asarray(predicted)) ** 2, axis=2)), rel=1e-5)
    assert loss == pytest.approx(error + 0.5 * divergence, rel=1e-5)
    calm = rnns.LatentSVG(rnns.LatentRNNConfig(latent_dim=3, units=8, noise=0.0, z_dim=2, belief_units=5))
    calm(PATHS)
    prior, posterior = calm.beliefs(PATHS)
    assert float(calm.kl) == pytest.approx(float(ops.mean(ops.sum(rnns.kl_between(*posterior, *prior), axis=-1))), rel=1e-5)


def test_the_deterministic_loss_is_the_squared_error():
    model = small("gru")
    predicted = np.asarray(model(PATHS))
    expected = np.mean(np.sum((np.asarray(model.scale(PATHS))[:, 1:] - predicted) ** 2, axis=2))
    assert float(model.compute_loss(x=PATHS, y_pred=predicted)) == pytest.approx(expected, rel=1e-5)


def test_a_deterministic_rollout_is_the_one_step_predictor_fed_with_itself():
    model = small("gru")
    made = model.rollout(PATHS[:, :4], 5)
    path = PATHS[:, :4]
    for t in range(5):
        longer = np.concatenate([path, path[:, -1:]], axis=1)  # its last frame isn't seen
        following = np.asarray(model.scale.undo(model(longer)))[:, -1:]
        np.testing.assert_allclose(made[:, t : t + 1], following, atol=1e-4)
        path = np.concatenate([path, following], axis=1)


def test_a_stochastic_rollout_draws_from_the_prior_of_its_own_path():
    """Against the networks run over the whole path anew for each frame."""
    model = small("svg")
    made = model.rollout(PATHS[:, :4], 3, seed=6)
    path, draws = model.scale(PATHS[:, :4]), keras.random.SeedGenerator(6)
    z = rnns.from_blank(model.posterior, path)[0][:, 1:]
    for _ in range(3):
        z_mean, z_log_var, _ = rnns.from_blank(model.prior, path)
        draw = z_mean[:, -1:] + ops.exp(z_log_var[:, -1:] / 2) * keras.random.normal((40, 1, 2), seed=draws)
        z = ops.concatenate([z, draw], axis=1)
        path = ops.concatenate([path, rnns.from_blank(model.predictor, path, z)[0][:, -1:]], axis=1)
    np.testing.assert_allclose(made, np.asarray(model.scale.undo(path))[:, 4:], atol=1e-4)


def test_futures_of_one_past_differ_and_can_be_repeated():
    model = small("svg")
    made = rnns.futures(model, PATHS[:3, :4], 5, count=6, seed=2)
    assert made.shape == (3, 6, 5, 3)
    assert np.abs(made[:, 0] - made[:, 1]).max() > 1e-3
    np.testing.assert_allclose(made, rnns.futures(model, PATHS[:3, :4], 5, count=6, seed=2), atol=1e-5)
    assert np.abs(made - rnns.futures(model, PATHS[:3, :4], 5, count=6, seed=3)).max() > 1e-3


@pytest.mark.parametrize("kind, past, frames, said", [
    ("gru", PATHS[:, :0], 5, "at least 1 of their frames"),
    ("svg", PATHS[:, :1], 5, "at least 2 of their frames"),
    ("gru", PATHS[:, :, :2], 5, "encode clips with a VAE of 3 latent dimensions"),
    ("svg", PATHS[0], 5, r"got \(7, 3\)"),
    ("svg", PATHS, 0, "frames must be a whole number, at least 1"),
    ("gru", PATHS, 2.5, "frames must be a whole number"),
])  # fmt: skip
def test_a_past_that_cannot_be_gone_on_from_is_refused(kind, past, frames, said):
    with pytest.raises(CourseError, match=said):
        small(kind).rollout(past, frames)


def tossed(count, seed):
    """Paths that jump to +1 or -1 every third frame, as a coin falls, and stay there; two more numbers tell the time."""
    sides = np.repeat(np.random.default_rng(seed).choice([-1.0, 1.0], (count, 4)), 3, axis=1)[:, :10]
    phase = np.tile(np.arange(10) * 2 * np.pi / 3, (count, 1))
    return np.stack([sides, np.cos(phase), np.sin(phase)], axis=-1).astype("float32")


@pytest.fixture(scope="module")
def gamblers():
    """Both models after a few steps on tossed coins."""
    sizes = rnns.LatentRNNConfig(latent_dim=3, units=16, noise=0.0, z_dim=2, belief_units=8, beta=0.1)
    paths, models = tossed(256, 0), {}
    for name, make in (("gru", rnns.LatentGRU), ("svg", rnns.LatentSVG)):
        training.set_seed(1)
        models[name] = make(sizes)
        models[name].scale.adapt(paths, np.full_like(paths, -9))
        rate = keras.optimizers.schedules.CosineDecay(0.05, 60)
        models[name].compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), jit_compile=False)
        training.fit(models[name], lambda first: pipeline(paths, batch_size=256, first_step=first), 60, log_steps=20)
    return models


def test_the_deterministic_model_averages_the_futures(gamblers):
    paths = tossed(200, 1)
    predicted = np.asarray(gamblers["gru"].scale.undo(gamblers["gru"](paths)))[..., 0]
    for frame in (3, 6, 9):  # number 0 is predicted for the toss: the mean of both sides
        assert np.abs(predicted[:, frame - 1]).mean() < 0.35
    for frame in (2, 5, 8):
        assert np.abs(predicted[:, frame - 1] - paths[:, frame, 0]).mean() < 0.2


def test_the_prior_widens_where_a_coin_is_tossed(gamblers):
    paths = tossed(200, 1)
    variance = rnns.prior_variance(gamblers["svg"], paths)
    tosses = np.zeros((200, 10, 1), bool)
    tosses[:, 2::3] = True  # after these frames the coin falls
    assert variance.shape == (200, 9)
    assert rnns.ratio_after_walls(variance, tosses) >= 2
    assert variance[:, 3:5].mean() < 1.5, "elsewhere it knows as much as the posterior"


def test_futures_agree_up_to_a_toss_and_take_both_sides_after_it(gamblers):
    paths = tossed(40, 2)
    made = rnns.futures(gamblers["svg"], paths[:, :4], 5, count=20)[..., 0]  # frames 4 to 8; the coin falls before frame 6
    assert np.abs(made[:, :, :2] - paths[:, None, 3:4, 0]).mean() < 0.25
    assert ((made[:, :, 2] > 0.4).any(axis=1) & (made[:, :, 2] < -0.4).any(axis=1)).mean() > 0.9
    best = np.abs(made[:, :, 2] - paths[:, None, 6, 0]).min(axis=1).mean()
    single = np.abs(gamblers["gru"].rollout(paths[:, :4], 3)[:, 2, 0] - paths[:, 6, 0]).mean()
    assert best < 0.5 * single, "the best of twenty beats the average of the futures"


def test_the_prior_variance_has_no_unit():
    """z may be stretched, and shrunk again where the predictor reads it, without anything being another model."""
    model = small("svg")
    variance = rnns.prior_variance(model, PATHS)
    for belief in (model.prior, model.posterior):
        layer = belief.get_layer("z_log_var")
        layer.bias.assign_add(np.log([9.0, 0.25]).astype("float32"))
    np.testing.assert_allclose(rnns.prior_variance(model, PATHS), variance, rtol=1e-4)
    model.prior.get_layer("z_log_var").bias.assign_add(np.log([2.0, 2.0]).astype("float32"))
    np.testing.assert_allclose(rnns.prior_variance(model, PATHS), 2 * variance, rtol=1e-4)


def test_errors_of_futures_are_sums_over_pixels_and_means_over_frames():
    truth = np.zeros((2, 3, 4, 4, 1), np.uint8)
    made = np.zeros((2, 5, 3, 4, 4, 1), np.uint8)
    made[1, 2, 0, 1, 1] = 255  # one white pixel in one of three frames
    made[0, 4] = 51  # a fifth of white everywhere
    errors = rnns.future_errors(truth, made)
    expected = np.zeros((2, 5))
    expected[1, 2], expected[0, 4] = 1 / 3, 16 * 0.2**2
    np.testing.assert_allclose(errors, expected, rtol=1e-5)


def test_spread_is_the_variance_of_the_futures():
    made = np.zeros((1, 4, 2, 3, 3, 1), np.uint8)
    made[0, :2, 1, 0, 0] = 255  # in the second frame half of them have a white pixel
    np.testing.assert_allclose(rnns.spread(made), [[0, 0.25]])


def test_walls_are_found_and_the_frames_around_them():
    bounce = np.zeros((4, 12, 1), bool)
    bounce[0, 8] = bounce[0, 10] = True
    bounce[1, 3] = bounce[1, 8] = True  # too near the end of a past of 5 frames
    bounce[2, 1] = bounce[2, 5] = True
    wall = rnns.first_wall(bounce, 5)
    assert wall.tolist() == [3, -1, 0, -1]
    values = np.arange(28.0).reshape(4, 7)
    before, behind = rnns.around_first_wall(values, wall, after=2)
    assert before == pytest.approx(np.mean([0, 1, 2, 3, 14])) and behind == pytest.approx(np.mean([4, 5, 15, 16]))


def test_the_frame_after_a_wall_is_the_one_that_could_not_be_known():
    bounce = np.zeros((1, 9, 1), bool)
    bounce[0, [1, 6]] = True
    values = np.ones((1, 8))  # of frames 1 to 8
    values[0, 1], values[0, 6] = 50, 3  # frames 2 and 7; frame 2 is before the end of the past
    assert rnns.ratio_after_walls(values, bounce, past=4) == pytest.approx(3)


def test_drift_measures_the_world_as_it_is(monkeypatch):
    clips = datasets.load("random-digits", "test", count=20)
    digit = clips.states["digit"][:, 0]
    answers = {"digit": np.eye(10)[np.repeat(digit, 16)]}
    answers["digit"][:8] = np.roll(answers["digit"][:8], 1, axis=1)  # the judge sees another digit in half of the first clip
    monkeypatch.setattr(rnns, "judged", lambda judge, frames: answers)
    measured = rnns.drift(clips.frames[:, :8], clips.frames[:, 8:], None, digit, windows=2)
    np.testing.assert_allclose(measured["digit_kept"], [0.95, 1])
    np.testing.assert_allclose(measured["brightness"], 1, rtol=1e-6)
    drawn = clips.states["drawn"][:, 7:, 0].astype(float)
    steps = np.linalg.norm(np.diff(drawn, axis=1), axis=-1)
    np.testing.assert_allclose(measured["speed"], [steps[:, :8].mean(), steps[:, 8:].mean()], rtol=1e-6)
    black = rnns.drift(clips.frames[:, :8], np.zeros_like(clips.frames[:, 8:]), None, digit, windows=2)
    assert black["brightness"].tolist() == [0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_training_resumes_to_the_weights_of_an_uninterrupted_run(kind, tmp_path):
    """The step size depends on the number of steps, so the first part is stopped from within. Three networks side by side add up
    in an order that may differ in the last bit; what a resumed run could forget moves weights by a thousandth."""
    paths, widths = np.tile(PATHS, (4, 1, 1)), np.tile(WIDTHS, (4, 1, 1))
    whole, part, resumed = (small(kind) for _ in range(3))
    rnns.fit_rnn(whole, paths, widths, 8, log_steps=2)

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    part_fit, original = part.fit, training.fit
    part.fit = lambda *args, callbacks, **more: part_fit(*args, callbacks=[*callbacks, Stop()], **more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "fit", lambda *args, **more: original(*args, every=0.0, **more))
        with pytest.raises(KeyboardInterrupt):
            rnns.fit_rnn(part, paths, widths, 8, checkpoint=tmp_path / "c.npz", log_steps=2)
    history = rnns.fit_rnn(resumed, paths, widths, 8, checkpoint=tmp_path / "c.npz", log_steps=2)
    assert history["step"].tolist() == [2, 4, 6, 8]
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_ship_with_the_scale_that_they_were_trained_on(kind, tmp_path):
    model, again = small(kind), KINDS[kind]()
    zoo.write_weights(model, tmp_path / "w.weights.h5")
    zoo.read_weights(again, tmp_path / "w.weights.h5")
    np.testing.assert_allclose(again.scale.deviation, model.scale.deviation, rtol=1e-3)
    np.testing.assert_allclose(again.rollout(PATHS[:, :4], 3), model.rollout(PATHS[:, :4], 3), atol=0.02)


@pytest.fixture(scope="module")
def vae():
    return zoo.load("vae-digits")


@pytest.fixture(scope="module")
def unseen():
    return datasets.load("random-digits", "validation", count=100)


def test_the_shipped_gru_foretells_all_but_what_follows_a_wall(vae, unseen):
    result = rnns.examine_next(zoo.load("latent-gru-digits"), vae, unseen)
    scale = zoo.load("latent-gru-digits").scale
    latents = np.asarray(scale(vaes.encode(vae, unseen.frames)[0]))
    copied = np.square(np.diff(latents[:, 4:], axis=1)).sum(axis=2).mean()
    assert result["next_error"] < 0.5 * copied, "twice as good as a copy of the frame before"
    assert result["error_after_walls"] >= 2


def test_the_shipped_svg_keeps_the_chapters_bars(vae, unseen):
    result = rnns.examine_futures(zoo.load("svg-digits"), vae, unseen)
    assert result["variance_after_walls"] >= 1.5
    assert result["spread_behind"] >= 2 * result["spread_before"]
    single = rnns.examine_next(zoo.load("latent-gru-digits"), vae, unseen)["future_error"]
    assert result["best_of_20"] < single < result["mean_of_20"]


def test_the_shipped_svg_is_still_moving_a_digit_after_100_frames(vae, unseen):
    result = rnns.examine_long(zoo.load("svg-digits"), vae, unseen)
    assert result["digit_kept_25"] >= 0.5 and result["digit_kept_100"] >= 0.2
    assert 0.5 < result["brightness_100"] < 1.5 and 0.6 < result["speed_100"] < 3.6


@pytest.mark.parametrize("name", ["latent-gru-digits", "svg-digits"])
def test_samples_are_reproducible_clips_that_begin_with_a_true_past(name):
    recipe, model = zoo.recipe(name), zoo.load(name)
    first, again = recipe.sample(model, 2, 5), recipe.sample(model, 2, 5)
    truth = recipe.truth(2, 5).frames
    for clip, same, real in zip(first, again, truth, strict=True):
        assert clip.frames.shape == (24, 32, 32, 1)
        np.testing.assert_allclose(clip.frames, same.frames, atol=1)
        np.testing.assert_array_equal(clip.frames[:5], real[:5])
