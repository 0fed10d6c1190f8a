"""One suite over all models of the course: what a Keras user does with a model works on each of them."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from vidgen_tf.errors import CourseError
from vidgen_tf.models import classifier, convlstm, dcgan, gan, glo, latent_rnn, simvp, vae, video_classifier
from vidgen_tf.models.base import Config

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.uniform(-1, 1, shape).astype("float32")


@dataclasses.dataclass(frozen=True)
class Case:
    """A small model, how it is compiled, and a batch of four that it trains on."""

    build: Callable[[], keras.Model]
    x: Any
    y: Any = None
    loss: Any = None
    metrics: tuple = ()
    inputs: Any = None  # of predict, where they aren't x
    names: tuple = ("loss",)  # of what fit and evaluate report
    backends: tuple = ("tensorflow", "jax")

    def compiled(self, **options):
        keras.utils.set_random_seed(1)
        model = self.build()
        optimizers = [keras.optimizers.Adam(1e-3) for _ in range(2 if isinstance(model, gan.AdversarialModel) else 1)]
        options = {"jit_compile": False} | options
        if self.loss is not None:
            options |= {"loss": self.loss, "metrics": list(self.metrics)}
        model.compile(*optimizers, **options)
        return model

    def fit(self, model, **options):
        return model.fit(self.x, self.y, batch_size=2, verbose=0, **options).history

    def evaluate(self, model):
        return model.evaluate(self.x, self.y, batch_size=2, verbose=0, return_dict=True)

    def predict(self, model, count=4):
        inputs = self.x if self.inputs is None else self.inputs
        return [np.asarray(part) for part in keras.tree.flatten(model.predict_on_batch(inputs[:count]))]


MLP_GAN = gan.MLPGANConfig(latent_dim=4, hidden_dims=(8, 6), image_size=6)
DCGAN = dcgan.DCGANConfig(latent_dim=4, filters=(6, 4))
RNN = latent_rnn.LatentRNNConfig(latent_dim=3, hidden_dim=8, z_dim=2, gaussian_hidden_dim=5)
CLASSES = {"digit": 3, "color": 2}
CROSS_ENTROPY = {name: keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1) for name in CLASSES}
LABELS = {"digit": np.array([0, 1, 2, -1]), "color": np.array([0, 1, 1, 0])}
PREDICTION = {"loss": convlstm.bce_l1_loss, "metrics": (convlstm.mse_metric,), "names": ("loss", "mse_metric")}
CONVLSTM = convlstm.ConvLSTMConfig(image_size=8, filters=(3, 2))
SIMVP = simvp.SimVPConfig(image_size=8, filters=4, num_layers=1, num_context_frames=3, num_future_frames=2)


def mlp_gan():
    pair = gan.build_mlp_generator(MLP_GAN), gan.build_mlp_discriminator(MLP_GAN)
    return gan.GAN(*pair, gan.non_saturating_losses, seed=2)


def dcgan_pair():
    return dcgan.build_dcgan(DCGAN, seed=2)  # compiled again, without its penalties lost


ADVERSARIAL = {"inputs": floats(4, 4), "names": ("loss", "d_loss", "g_loss"), "backends": ("tensorflow",)}
CASES = {
    "glo": Case(lambda: glo.GLO(4, glo.GLOConfig(latent_dim=3, hidden_dims=(8,), image_size=4, num_frames=4)), np.arange(4), floats(4, 4, 4, 3), "mse"),
    "mlp_gan": Case(mlp_gan, floats(4, 6, 6, 1), **ADVERSARIAL),
    "dcgan": Case(dcgan_pair, floats(4, 16, 16, 3), **ADVERSARIAL),
    "vae": Case(
        lambda: vae.VAE(vae.VAEConfig(image_size=8, channels=1, latent_dim=3, filters=(4, 6))),
        floats(4, 8, 8, 1),
        names=("loss", "reconstruction_loss", "kl_loss"),
    ),
    "classifier": Case(
        lambda: classifier.build_classifier(classifier.ClassifierConfig((8, 8, 1), CLASSES, filters=(4,), feature_dim=5)),
        floats(4, 8, 8, 1),
        LABELS,
        CROSS_ENTROPY,
        names=("loss", "digit_loss", "color_loss"),
    ),
    "video_classifier": Case(
        lambda: video_classifier.build_video_classifier(
            video_classifier.VideoClassifierConfig(
                (4, 8, 8, 1), {"digit": 3}, {"color": 2}, filters=(4,), frame_feature_dim=6, temporal_filters=(6, 6), feature_dim=5
            )
        ),
        floats(4, 4, 8, 8, 1),
        LABELS,
        CROSS_ENTROPY,
        names=("loss", "digit_loss", "color_loss"),
    ),
    "convlstm": Case(lambda: convlstm.ConvLSTM(CONVLSTM), floats(4, 3, 8, 8, 1), floats(4, 3, 8, 8, 1), **PREDICTION),
    "convlstm_free_running": Case(
        lambda: convlstm.ConvLSTM(CONVLSTM, num_free_running_frames=2), floats(4, 3, 8, 8, 1), floats(4, 5, 8, 8, 1), **PREDICTION
    ),
    "simvp": Case(lambda: simvp.build_simvp(SIMVP), floats(4, 3, 8, 8, 1), floats(4, 2, 8, 8, 1), **PREDICTION),
    "latent_gru": Case(lambda: latent_rnn.LatentGRU(RNN), floats(4, 5, 3)),
    "latent_svg": Case(lambda: latent_rnn.LatentSVG(RNN, seed=2), floats(4, 5, 3), names=("loss", "prediction_loss", "kl_loss")),
}  # fmt: skip
# The diffusion transformers: their owner adds "latent_diffusion" and "text_to_video" here, as CASES["..."] = Case(...).

every_model = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def trained():
    """Function from a name to its model after two steps in a graph, trained once."""
    models = {}

    def get(name):
        if name not in models:
            models[name] = CASES[name].compiled()
            CASES[name].fit(models[name])
        return models[name]

    return get


@pytest.fixture
def policy():
    """Sets Keras' dtype policy for one test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@every_model
def test_a_model_is_evaluated_before_and_after_training_and_trained_again(name):
    case = CASES[name]
    model = case.compiled()
    before, weights = case.evaluate(model), model.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True)), "evaluate changes no weight"
    history = case.fit(model, epochs=2, validation_data=(case.x, case.y))
    assert {*case.names, *(f"val_{metric}" for metric in case.names)} == set(history)
    assert set(before) == set(case.names) and np.isfinite([*before.values(), *keras.tree.flatten(history)]).all()
    assert history["val_loss"][-1] == pytest.approx(case.evaluate(model)["loss"], rel=1e-5)
    changed = [not np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True)]
    again = model.get_weights()
    case.fit(model)
    assert any(changed) and any(not np.array_equal(a, b) for a, b in zip(again, model.get_weights(), strict=True))


@every_model
def test_a_prediction_is_repeatable_and_does_not_depend_on_the_rest_of_its_batch(name, trained):
    whole, again, one = (CASES[name].predict(trained(name), count) for count in (4, 4, 1))
    for a, b, c in zip(whole, again, one, strict=True):
        assert a.dtype == np.float32 and np.isfinite(a).all() and len(c) == 1
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(c[0], a[0], atol=1e-5)


@every_model
def test_a_saved_model_comes_back_with_its_predictions_and_its_optimizers(name, trained, tmp_path):
    case, model = CASES[name], trained(name)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for a, b in zip(case.predict(model), case.predict(loaded), strict=True):
        np.testing.assert_array_equal(a, b)
    ours, theirs = ([int(o.iterations) for o in getattr(m, "optimizers", [m.optimizer])] for m in (model, loaded))
    assert ours == theirs and min(ours) >= 2
    assert loaded.get_config() == model.get_config()
    loaded.run_eagerly = True
    assert np.isfinite(case.fit(loaded)["loss"]).all()


@every_model
def test_saved_weights_go_into_a_new_model(name, trained, tmp_path):
    case, model = CASES[name], trained(name)
    model.save_weights(tmp_path / "m.weights.h5")
    keras.utils.set_random_seed(9)
    fresh = case.build()
    assert any(not np.array_equal(a, b) for a, b in zip(case.predict(model), case.predict(fresh), strict=True))
    fresh.load_weights(tmp_path / "m.weights.h5")
    for a, b in zip(case.predict(model), case.predict(fresh), strict=True):
        np.testing.assert_array_equal(a, b)


@every_model
def test_a_new_model_has_all_its_weights_and_a_summary(name):
    model, lines = CASES[name].build(), []
    model.summary(print_fn=lambda text, **options: lines.append(text), expand_nested=True)
    assert model.built and f"{model.count_params():,}" in "".join(lines)
    counts = [len(model.weights), model.count_params()]
    CASES[name].predict(model)
    assert counts == [len(model.weights), model.count_params()]


@every_model
def test_callbacks_see_the_loss(name, tmp_path):
    case, seen = CASES[name], []
    model = case.compiled(run_eagerly=True)
    callbacks = [
        keras.callbacks.EarlyStopping("loss", baseline=-1e9, patience=1),  # never reached: it stops after the second epoch
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="loss", save_best_only=True),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["loss"])),
    ]
    case.fit(model, epochs=4, callbacks=callbacks)
    assert len(seen) == 2 - (seen[0] == seen[-1]) and (tmp_path / "best.keras").exists()
    if np.argmin(seen) == len(seen) - 1:
        best = keras.models.load_model(tmp_path / "best.keras")
        for a, b in zip(case.predict(model), case.predict(best), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@every_model
def test_a_model_trains_in_mixed_precision_and_keeps_it_in_its_file(name, precision, policy, tmp_path):
    case = CASES[name]
    full = case.predict(case.compiled(run_eagerly=True))
    policy(precision)
    model = case.compiled(run_eagerly=True)
    mixed = case.predict(model)
    for a, b in zip(full, mixed, strict=True):
        assert b.dtype == np.float32
        np.testing.assert_allclose(a, b, atol=0.05)
    weights = model.get_weights()
    assert np.isfinite(case.fit(model)["loss"]).all() and np.isfinite(case.evaluate(model)["loss"])
    assert {w.dtype.name for w in weights if np.issubdtype(w.dtype, np.floating)} == {"float32"}
    assert any(not np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))
    model.save(tmp_path / "m.keras")
    policy("float32")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for a, b in zip(case.predict(model), case.predict(loaded), strict=True):
        np.testing.assert_array_equal(a, b)


@every_model
def test_an_exported_model_predicts_the_same(name, tmp_path):
    import tensorflow as tf

    case, options = CASES[name], {}
    model = case.build()
    expected = case.predict(model)
    if name.startswith("convlstm"):  # its number of frames is part of what is exported
        options["input_signature"] = [keras.InputSpec((None, 3, 8, 8, 1), "float32")]
    model.export(tmp_path / "m", verbose=False, **options)
    inputs = case.x if case.inputs is None else case.inputs
    served = tf.saved_model.load(str(tmp_path / "m")).serve(tf.cast(inputs, "float32"))
    for a, b in zip(expected, keras.tree.flatten(served), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("name", ["mlp_gan", "dcgan", "vae", "convlstm"])
def test_pixels_from_0_to_255_are_refused(name):
    case = CASES[name]
    wrong = dataclasses.replace(case, x=np.full(case.x.shape, 200, np.uint8))
    for use in (wrong.fit, wrong.evaluate):
        with pytest.raises(CourseError, match=r"float frames in \[-1, 1\], got uint8: convert pixels"):
            use(case.compiled(run_eagerly=True))


@pytest.mark.parametrize("make, said", [
    (lambda: vae.VAEConfig(image_size=50, filters=(4, 8)), r"multiple of 4 \(2 layers halve it\), got 50: choose 52"),
    (lambda: convlstm.ConvLSTMConfig(image_size=30), "multiple of 4 .it is cut into patches., got 30: choose 32"),
    (lambda: simvp.SimVPConfig(image_size=33, patch_size=8), "multiple of 8"),
    (lambda: classifier.ClassifierConfig((8, 9, 1), CLASSES), "square frames"),
    (lambda: vae.VAEConfig(filters=()), r"len\(filters\) must be a whole number, at least 1"),
    (lambda: dcgan.DCGANConfig(filters=()), r"len\(filters\)"),
    (lambda: vae.VAEConfig(filters=8), "filters must be a tuple"),
    (lambda: vae.VAEConfig(filters=(8, 0)), "filters must be a whole number, at least 1, got filters=0"),
    (lambda: gan.MLPGANConfig(latent_dim=0), "latent_dim must be a whole number, at least 1"),
    (lambda: latent_rnn.LatentRNNConfig(hidden_dim=2.5), "hidden_dim must be a whole number"),
    (lambda: glo.GLOConfig(num_frames=0), "num_frames must be a whole number, at least 1"),
])  # fmt: skip
def test_sizes_that_cannot_be_built_are_refused(make, said):
    with pytest.raises(CourseError, match=said):
        make()


@pytest.mark.parametrize("config", [CONVLSTM, SIMVP, RNN, DCGAN, glo.GLOConfig(num_frames=5), vae.VAEConfig()])
def test_a_configuration_survives_a_file(config):
    import json

    assert isinstance(config, Config)
    assert type(config).from_config(json.loads(json.dumps(config.get_config()))) == config
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.channels = 9


def train_on_this_backend(names):
    """What the next test runs in a process of its own: fit, evaluate, predict, save and load under another backend."""
    for name in names:
        case = CASES[name]
        model = case.compiled()
        values = [*case.evaluate(model).values(), *keras.tree.flatten(case.fit(model, epochs=2))]
        assert np.isfinite(values).all(), name
        model.save(f"{name}.keras")
        loaded = keras.models.load_model(f"{name}.keras")
        for a, b in zip(case.predict(model), case.predict(loaded), strict=True):
            np.testing.assert_array_equal(a, b)
    print("trained", *names, "on", keras.backend.backend())


def test_single_loss_models_run_on_jax(tmp_path):
    pytest.importorskip("jax")
    names = [name for name, case in CASES.items() if "jax" in case.backends]
    code = f"import test_models; test_models.train_on_this_backend({names})"
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": path}
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout.endswith("on jax\n")
