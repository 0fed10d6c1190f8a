"""The VAE: its draw, its price and its loss are what the equations say, and its shipped latents follow time."""

import keras
import numpy as np
import pytest
from keras import ops

from vidgen_tf import datasets, exam, training, zoo
from vidgen_tf.models import vae as vaes

SMALL = vaes.VAEConfig(frame_size=8, channels=1, latent_dim=3, filters=(4, 6), beta=0.5)
FRAMES = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), dtype=np.uint8)


def small_vae():
    training.set_seed(3)
    return vaes.VAE(SMALL, seed=1)


def test_a_draw_has_the_moments_of_its_gaussian():
    z_mean = np.array([[0.0, 3.0, -1.0]], "float32")
    deviation = np.array([[1.0, 0.2, 3.0]], "float32")
    many = [np.repeat(x, 200_000, axis=0) for x in (z_mean, 2 * np.log(deviation))]
    draws = np.asarray(vaes.reparameterise(*many, seed=4))
    np.testing.assert_allclose(draws.mean(axis=0), z_mean[0], atol=0.03)
    np.testing.assert_allclose(draws.std(axis=0), deviation[0], rtol=0.02)
    standard = (draws - z_mean) / deviation
    np.testing.assert_allclose([(standard**3).mean(), (standard**4).mean()], [0, 3], atol=0.05)


def test_gradients_pass_through_a_draw():
    """d z / d mean is 1, and d z / d log variance is half of z's distance from the mean."""
    import tensorflow as tf

    z_mean, z_log_var = tf.constant([[1.0, 2.0]]), tf.constant([[0.5, -1.0]])
    with tf.GradientTape() as tape:
        tape.watch([z_mean, z_log_var])
        z = vaes.reparameterise(z_mean, z_log_var, seed=5)
    by_mean, by_log_var = tape.gradient(z, [z_mean, z_log_var])
    np.testing.assert_allclose(by_mean, [[1, 1]])
    np.testing.assert_allclose(by_log_var, (z - z_mean) / 2, rtol=1e-5)


@pytest.mark.parametrize("mean, deviation", [(0.0, 1.0), (1.5, 1.0), (0.0, 0.3), (-2.0, 2.0)])
def test_the_price_of_a_cloud_is_the_integral(mean, deviation):
    from scipy import integrate, stats

    q, p = stats.norm(mean, deviation), stats.norm(0, 1)
    expected = integrate.quad(lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), mean - 12 * deviation, mean + 12 * deviation)[0]
    ours = vaes.kl_per_dimension(np.array([[mean]], "float32"), np.array([[2 * np.log(deviation)]], "float32"))
    assert float(ours[0, 0]) == pytest.approx(expected, abs=1e-5)


def test_the_loss_is_a_sum_over_pixels_plus_beta_times_a_sum_over_dimensions():
    model = small_vae()
    x = FRAMES / np.float32(127.5) - 1
    rebuilt = model(x, training=True)
    loss = float(model.compute_loss(x=x, y_pred=rebuilt))
    reconstruction, price = (float(tracker.result()) for tracker in model.metrics)
    assert reconstruction == pytest.approx(np.mean(np.sum((x - np.asarray(rebuilt)) ** 2, axis=(1, 2, 3))), rel=1e-5)
    z_mean, z_log_var = model.encoder(x, training=True)
    assert price == pytest.approx(float(ops.mean(ops.sum(vaes.kl_per_dimension(z_mean, z_log_var), axis=1))), rel=1e-3)
    assert loss == pytest.approx(reconstruction + 0.5 * price, rel=1e-5)


def test_frames_are_rebuilt_without_a_draw_outside_training():
    model = small_vae()
    x = FRAMES[:4] / np.float32(127.5) - 1
    np.testing.assert_array_equal(model(x), model(x))
    assert np.abs(np.asarray(model(x, training=True)) - np.asarray(model(x, training=True))).max() > 0


def test_clips_are_encoded_and_decoded_frame_by_frame():
    model, clips = small_vae(), FRAMES.reshape(4, 6, 8, 8, 1)
    z_mean, z_log_var = vaes.encode(model, clips)
    assert z_mean.shape == z_log_var.shape == (4, 6, 3)
    np.testing.assert_allclose(vaes.encode(model, clips[2:3, 1:2])[0], z_mean[2:3, 1:2], atol=1e-5)
    rebuilt = vaes.decode(model, z_mean)
    assert rebuilt.shape == clips.shape and rebuilt.dtype == np.uint8
    np.testing.assert_array_equal(vaes.decode(model, z_mean[1:2]), rebuilt[1:2])


def test_a_vae_resumes_to_the_weights_of_an_uninterrupted_run(tmp_path):
    """Its step size depends on the number of steps, so the first part is cut short by a broken data source."""
    whole, part = small_vae(), small_vae()
    vaes.fit_vae(whole, np.tile(FRAMES, (4, 1, 1, 1)), 8, log_steps=2)

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    part_fit = part.fit
    part.fit = lambda *args, callbacks, **more: part_fit(*args, callbacks=[*callbacks, Stop()], **more)
    original = training.fit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "fit", lambda *args, **more: original(*args, every=0.0, **more))
        with pytest.raises(KeyboardInterrupt):
            vaes.fit_vae(part, np.tile(FRAMES, (4, 1, 1, 1)), 8, checkpoint=tmp_path / "c.npz", log_steps=2)
    resumed = small_vae()
    history = vaes.fit_vae(resumed, np.tile(FRAMES, (4, 1, 1, 1)), 8, checkpoint=tmp_path / "c.npz", log_steps=2)
    assert history["step"].tolist() == [2, 4, 6, 8]
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_chain_follows_a_path_and_notices_a_jump():
    path = np.cumsum(np.random.default_rng(1).uniform(0.5, 1, (10, 1)) * [[1.0, 2.0]], axis=0)
    np.testing.assert_array_equal(vaes.nearest_neighbour_chain(path), np.arange(10))
    path[[3, 7]] = path[[7, 3]]
    assert vaes.nearest_neighbour_chain(path).tolist() == [0, 1, 2, 7, 4, 5, 6, 3, 8, 9]


def test_frames_before_a_turn():
    up = np.arange(6.0)[:, None, None] * [[0.0, 1.0]]
    assert vaes.frames_before_turn(up) == 6
    assert vaes.frames_before_turn(0 * up) == 0
    bounce = np.array([0, 1, 2, 3, 2, 1.0])[:, None, None] * [[1.0, 0.0]]
    assert vaes.frames_before_turn(bounce) == 4  # frames 0 to 3: the turning point is among them
    both = np.concatenate([up, bounce], axis=1)
    assert vaes.frames_before_turn(both) == 4


def test_the_share_in_order_is_that_of_clips_that_move():
    positions = np.tile(np.arange(6.0)[None, :, None, None] * [[0.0, 1.0]], (3, 1, 1, 1))
    positions[2] = 0
    latents = positions[..., 0, :].copy()
    assert vaes.share_in_order(latents, positions) == 1
    latents[1] = latents[1][[0, 3, 1, 2, 4, 5]]
    assert vaes.share_in_order(latents, positions) == 0.5


WORLDS = ("digits", "shapes")


@pytest.mark.parametrize("world", WORLDS)
def test_shipped_weights_keep_the_chapters_bars(world):
    model, clips = zoo.load(f"vae-{world}"), datasets.load(world, "test", count=200)
    result = vaes.examine_codes(model, clips)
    assert result["psnr_db"] >= 26 and result["active_dimensions"] >= 0.5 and result["in_order"] >= 0.9
    validation = datasets.load(world, "validation", count=100)
    rebuilt = vaes.decode(model, vaes.encode(model, validation.frames)[0])
    assert exam.psnr(validation.frames, rebuilt).mean() >= 26


@pytest.mark.parametrize("world", WORLDS)
def test_the_judge_reads_rebuilt_frames_nearly_as_well_as_real_ones(world):
    """What later chapters generate goes through this decoder: what it loses, no prompt can bring back."""
    from vidgen_tf.models import judge as judges

    recipe = zoo.recipe(f"judge-{'digits-32' if world == 'digits' else 'shapes'}")
    judge, model = zoo.load(recipe_name(recipe)), zoo.load(f"vae-{world}")
    frames, labels = recipe.data("test")
    rebuilt = vaes.decode(model, vaes.encode(model, frames[:, None])[0])[:, 0]
    for head, accuracy in judges.accuracies(judge, rebuilt, labels).items():
        assert accuracy >= 0.85, head


def recipe_name(recipe):
    return next(name for name in zoo.RECIPES if type(zoo.recipe(name)) is type(recipe))


@pytest.mark.parametrize("world", WORLDS)
def test_samples_are_reproducible_clips(world):
    recipe, model = zoo.recipe(f"vae-{world}"), zoo.load(f"vae-{world}")
    first, again = recipe.sample(model, 2, 5), recipe.sample(model, 2, 5)
    assert len(first) == 2 and first[0].frames.shape[:3] == (16, 32, 32)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.frames, b.frames)
