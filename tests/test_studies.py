"""Studies of chapters 03 to 08 and 16: variants differ in what their name says, and scores are what they claim to be."""

import numpy as np
import pytest

from vidgen_tf import datasets
from vidgen_tf.evaluation.features import predict_probabilities
from vidgen_tf.experiments import convlstm, corruptions, gan, latent_rnn, vae, video_gan
from vidgen_tf.metrics.distribution import frechet_distance
from vidgen_tf.models.gan import non_saturating_losses, rpgan_losses
from vidgen_tf.models.latent_rnn import LatentGRU, LatentRNNConfig, LatentSVG, sample_futures
from vidgen_tf.models.vae import VAE, VAEConfig, kl_to_standard_normal
from vidgen_tf.recipes import RECIPES
from vidgen_tf.worlds.corruptions import CORRUPTIONS

SEEDS = (1, 2)
RNG = np.random.default_rng(0)


def runs_of(rows, name="variant"):
    return [(row[name], row["seed"]) for row in rows]


def expected(variants):
    return [(variant, seed) for variant in variants for seed in SEEDS]


def test_each_loss_is_trained_with_and_without_penalties(monkeypatch, tmp_path):
    """Untrained pairs: both kinds of weights are the same, and what is trained is the pair that the name says."""
    trained = []

    def fit(pair, images, steps, batch_size, seed, **options):
        trained.append((pair.loss_fn, pair.gamma, seed, steps, len(images)))

    monkeypatch.setattr(gan, "fit_gan", fit)
    monkeypatch.setattr(gan, "NUM_IMAGES", {"digits": 100})
    rows = gan.run_losses("digits", tmp_path / "rows.json", steps=7, seeds=SEEDS)
    assert runs_of(rows) == expected(gan.LOSSES)
    losses = {"non-saturating": non_saturating_losses, "relativistic": rpgan_losses}
    wanted = [(losses[name.split(",")[0]], float("R1" in name), seed, 7) for name, seed in runs_of(rows)]
    assert [run[:4] for run in trained] == wanted and len({run[4] for run in trained}) == 1
    for row in rows:
        assert row["frechet_distance"] == row["frechet_distance_last"] > 10, "noise is far from digits"
    assert rows[0]["frechet_distance"] != rows[1]["frechet_distance"], "another seed, another pair"


def test_a_grid_is_measured_before_during_and_after_training(monkeypatch, tmp_path):
    built = []

    def fit(pair, images, steps, batch_size, seed, log_interval, callbacks):
        built.append((pair.generator.layers, seed))
        for epoch in range(steps // log_interval):
            callbacks[0].on_epoch_end(epoch)

    monkeypatch.setattr(gan, "fit_gan", fit)
    rows = gan.run_outputs("faces", tmp_path / "rows.json", steps=150, seeds=SEEDS)
    assert runs_of(rows) == expected(gan.OUTPUTS)
    for row, (layers, seed) in zip(rows, built, strict=True):
        kernels = {layer.kernel_size for layer in layers if type(layer).__name__ == "Conv2DTranspose"}
        side = int(row["variant"][0])
        assert kernels == {(side, side)} and seed == row["seed"]
        assert ("resized" in row["variant"]) == any(type(layer).__name__ == "UpSampling2D" for layer in layers)
        ratios = [row[f"nyquist_ratio_{step}"] for step in (0, 75, 150)]
        assert ratios[0] == ratios[1] == ratios[2], "these weights were not trained"
        assert (ratios[0] < 1.5) == ("resized" in row["variant"]), "only resizing is free of a grid from the start"


def test_rate_and_distortion_are_what_the_vae_is_trained_on():
    model = VAE(VAEConfig(channels=1, filters=(4, 4, 4), latent_dim=3), seed=0)
    frames = RNG.integers(0, 256, (2, 3, 32, 32, 1), np.uint8)
    found = vae.rate_and_distortion(model, frames)
    x = (frames.reshape(-1, 32, 32, 1) / 127.5 - 1).astype("float32")
    z_mean, z_log_var = model.encoder(x)
    assert found["rate"] == pytest.approx(float(np.sum(kl_to_standard_normal(z_mean, z_log_var)) / 6), rel=1e-4)
    error = np.sum((np.asarray(model.decoder(z_mean)) - x) ** 2) / 6
    assert found["distortion"] == pytest.approx(error, rel=0.01), "but for pixels that are whole numbers"


def test_betas_span_a_factor_of_a_thousand_and_each_is_trained(monkeypatch, tmp_path):
    trained = []
    monkeypatch.setattr(vae, "fit_vae", lambda model, *options, seed, **others: trained.append((model.config.beta, seed)))
    for name in ("evaluate_reconstruction", "evaluate_prior_samples"):
        monkeypatch.setattr(vae, name, lambda *arguments: {})
    monkeypatch.setattr(vae, "load", lambda name, split="train": datasets.load(name, split, count=4))
    rows = vae.run_betas("digits", tmp_path / "rows.json", seeds=SEEDS)
    assert runs_of(rows, "beta") == expected(vae.BETAS) == trained
    assert max(vae.BETAS) / min(vae.BETAS) == pytest.approx(1000)


def test_schedules_have_as_many_steps_and_the_free_frames_that_their_name_says(monkeypatch, tmp_path):
    phases = []

    def fit(model, stream, steps):
        phases.append((getattr(model, "num_free_running_frames", None), steps, stream["seed"]))

    monkeypatch.setattr(convlstm, "fit_predictor", fit)
    monkeypatch.setattr(convlstm, "NUM_CLIPS", 3)
    rows = convlstm.run_schedules("moving-digits", tmp_path / "rows.json", steps=400, seeds=SEEDS)
    assert runs_of(rows) == expected([*convlstm.PHASES, "SimVP"])
    free = [[(0, 400)], [(9, 400)], [(0, 150), (9, 250)], [(None, 400)]]
    assert [phase[:2] for phase in phases] == [phase for variant in free for _ in SEEDS for phase in variant]
    assert len({seed for *_, seed in phases}) == 4, "clips of their own for each seed and phase, the same for all variants"
    for row in rows:
        assert np.mean([row[f"mse_{t}"] for t in range(1, 11)]) == pytest.approx(row["mse"], rel=1e-5)


@pytest.fixture
def trajectories():
    return RNG.normal(size=(3, 6, 4)).astype("float32")


def test_a_fixed_prior_knows_nothing_of_the_frames(trajectories):
    model = LatentSVG(LatentRNNConfig(latent_dim=4, hidden_dim=8, gaussian_hidden_dim=8, has_learned_prior=False))
    (mean, log_var), posterior = model.prior_and_posterior(trajectories)
    assert not np.any(mean) and not np.any(log_var) and mean.shape == posterior[0].shape == (3, 5, 4)
    model(trajectories)
    divergence = np.sum(kl_to_standard_normal(*posterior), axis=-1).mean()
    assert float(model.losses[0]) == pytest.approx(float(divergence), rel=1e-4)
    assert not model.prior.weights
    samples = sample_futures(model, trajectories, 5, 2)
    assert samples.shape == (3, 2, 5, 4) and not np.allclose(samples[:, 0], samples[:, 1])


def test_noise_is_added_to_each_prediction_of_the_deterministic_model(trajectories):
    config = LatentRNNConfig(latent_dim=4, hidden_dim=8)
    model, noisy = LatentGRU(config), latent_rnn.NoisyGRU(config)
    noisy.set_weights(model.get_weights())
    assert np.allclose(noisy.rollout(trajectories, 5), model.rollout(trajectories, 5), atol=1e-6)
    noisy.noise_std = 0.5
    first = noisy.rollout(np.repeat(trajectories, 300, axis=0), 5)[:, 0].reshape(3, 300, 4)
    assert np.std(first, axis=1).mean() == pytest.approx(0.5, rel=0.1)
    assert np.allclose(first.mean(axis=1), model.rollout(trajectories, 5)[:, 0], atol=0.15)


def test_the_noise_is_chosen_on_validation_clips(monkeypatch, tmp_path):
    """Neither trained nor sampled: of four strengths the third is the best on validation clips, and is what test clips meet."""
    measured = []

    def measure(model, vae, clips):
        strength = getattr(model, "noise_std", None)
        measured.append((strength, len(clips)))
        return {"best_of_20": abs((strength or 0) - latent_rnn.NOISE_STDS[2])}

    monkeypatch.setattr(latent_rnn, "fit_rnn", lambda *arguments: None)
    monkeypatch.setattr(latent_rnn, "encode", lambda vae, frames: (None, None))
    monkeypatch.setattr(latent_rnn, "measure_samples", measure)
    monkeypatch.setattr(latent_rnn, "NUM_CLIPS", {"validation": 2, "test": 3})
    rows = latent_rnn.run_priors("digits", tmp_path / "rows.json", seeds=(1,))
    assert runs_of(rows) == [(name, 1) for name in latent_rnn.VARIANTS]
    assert [row["noise_std"] for row in rows] == [0, 0, latent_rnn.NOISE_STDS[2]]
    assert measured[:2] == [(None, 3)] * 2 and measured[-1] == (latent_rnn.NOISE_STDS[2], 3)
    assert [count for _, count in measured[2:-1]] == [2] * 4


def test_a_minute_of_the_video_gan_is_trained_as_its_variant_says(monkeypatch, tmp_path):
    trained = []

    def fit(model, clips, steps, seed, **options):
        trained.append((model.gamma, options["optimizer"], seed, steps))

    monkeypatch.setattr(video_gan, "fit_video_gan", fit)
    monkeypatch.setattr(video_gan, "control_scores", lambda model, dataset, count, real: {"clips": count, "real": real})
    monkeypatch.setattr(video_gan, "swap_contents", lambda *arguments, seed: {"swap_accuracy": np.array([1, 1, 0, 1])})
    monkeypatch.setattr(video_gan, "load", lambda name: datasets.load(name, "train", count=4))
    rows = video_gan.run_live("digits", tmp_path / "rows.json", seeds=SEEDS)
    assert runs_of(rows) == expected(video_gan.LIVE_ABLATIONS) and {
        (row["clips"], row["real"], row["swap_accuracy"]) for row in rows
    } == {(250, 500, 0.75)}
    for (gamma, optimizer, seed, steps), row in zip(trained, rows, strict=True):
        assert row["variant"] == f"{optimizer.capitalize()}, penalty {gamma:g}" and (seed, steps) == (row["seed"], 600)


def test_a_left_out_corruption_is_never_shown(monkeypatch, tmp_path):
    """Classifiers that don't learn: each is given all clips but those of the corruption in its name, and is asked about it."""
    order = np.arange(14) % len(CORRUPTIONS[:-1])
    shown = []
    monkeypatch.setitem(corruptions.LABELS, "digit_video_classifier", lambda split: (np.arange(14), {"order": order}))
    monkeypatch.setattr(
        corruptions, "fit_classifier", lambda model, *options: shown.append((set(options[1]["order"]), options[3]))
    )
    monkeypatch.setattr(corruptions, "distances", lambda model, clips, kinds: {f"{kind}_1.0": 1.0 for kind in kinds})
    rows = corruptions.run_unseen("digits", tmp_path / "rows.json", seeds=SEEDS)
    assert runs_of(rows) == expected((corruptions.ALL, *CORRUPTIONS[1:-1]))
    for (seen, seed), row in zip(shown, rows, strict=True):
        left_out = set(range(6)) - seen
        assert seed == row["seed"] and left_out == {CORRUPTIONS.index(k) for k in CORRUPTIONS if k == row["variant"]}
        assert len(row) == 2 + (1 if left_out else 5)


def test_distances_begin_with_that_between_real_clips():
    clips = datasets.load("digits", "test", count=160)
    classifier = RECIPES["video-classifier-digits"].build()
    found = corruptions.distances(classifier, clips, ("shuffled",))
    features = [predict_probabilities(classifier, part)["features"] for part in (clips.frames[80:], clips.frames[:80])]
    assert found["shuffled_0.0"] == pytest.approx(frechet_distance(*features))
    assert len(found) == 5 and found["shuffled_1.0"] != found["shuffled_0.0"]
