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
from vidgen_tf.models import (
    animator,
    autoregressive,
    classifier,
    colorizer,
    conditional_dit,
    convlstm,
    dcgan,
    dit,
    gan,
    glo,
    latent_rnn,
    renderer,
    simvp,
    space_time_dit,
    style,
    style_transfer,
    vae,
    video_classifier,
    video_tokenizer,
)
from vidgen_tf.models import flow_gan as flow_gans
from vidgen_tf.models import optical_flow as optical_flows
from vidgen_tf.models import video_gan as video_gans
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
    bfloat16_error: float = 0.05  # by which an output may differ; instance normalisation of a few pixels amplifies rounding
    backends: tuple = ("tensorflow", "jax")

    def compiled(self, **options):
        """The model before training; without a graph unless `run_eagerly` is False, which takes seconds to trace."""
        keras.utils.set_random_seed(1)
        model = self.build()
        optimizers = [
            keras.optimizers.SGD(1e-3, momentum=0.9) for _ in range(2 if isinstance(model, gan.AdversarialModel) else 1)
        ]
        options = {"run_eagerly": True, "jit_compile": False} | options
        if self.loss is not None:
            options["loss"] = self.loss
        if self.metrics:
            options["metrics"] = list(self.metrics)
        model.compile(*optimizers, **options)
        return model

    def fit(self, model, steps=1, **options):
        """This many steps an epoch."""
        return model.fit(self.x, self.y, batch_size=4 // steps, verbose=0, **options).history

    def evaluate(self, model):
        return model.evaluate(self.x, self.y, batch_size=4, verbose=0, return_dict=True)

    def call(self, model, count=4):
        """The outputs of the first inputs, as a list of arrays."""
        inputs = self.x if self.inputs is None else self.inputs
        return arrays(model(keras.tree.map_structure(lambda part: part[:count], inputs), training=False))


def arrays(outputs):
    return [np.asarray(part) for part in keras.tree.flatten(outputs)]


GLO = glo.GLOConfig(latent_dim=3, hidden_dims=(8,), image_size=4, num_frames=4)
MLP_GAN = gan.MLPGANConfig(latent_dim=4, hidden_dims=(8, 6), image_size=6)
SMALL_LAYERS = {"filters": (4,), "frame_filters": (4,), "discriminator_filters": (4,), "feature_dim": 4}
VIDEO_GAN = video_gans.VideoGANConfig(
    3, noise_dim=2, motion_dim=2, hidden_dim=4, num_motions=2, num_frames=4, num_shown_frames=3, image_size=8, **SMALL_LAYERS
)
KINDS = np.int32([[0, 0], [1, 0], [1, 0], [0, 0]])
FLOW_GAN = flow_gans.FlowGANConfig(8, 1, (4, 4), motion_dim=2, driving_size=4, encoder_filters=(3,), discriminator_filters=(4,))
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


ADVERSARIAL = {"inputs": floats(4, 4), "names": ("loss", "d_loss", "g_loss"), "backends": ("tensorflow",)}
CASES = {
    "glo": Case(lambda: glo.GLO(4, GLO), np.arange(4), floats(4, 4, 4, 3), "mse"),
    "mlp_gan": Case(mlp_gan, floats(4, 6, 6, 1), **ADVERSARIAL),
    "video_gan": Case(
        lambda: video_gans.VideoGAN(VIDEO_GAN, seed=2),
        floats(4, 4, 8, 8, 1),
        KINDS,
        **ADVERSARIAL | {"inputs": [floats(4, 3), floats(4, 2), KINDS, np.int32([[0, 2, 3]] * 4)]},
    ),
    "flow_gan": Case(
        lambda: flow_gans.FlowGAN(FLOW_GAN, seed=2),
        floats(4, 3, 8, 8, 1),
        floats(4, 3, 4, 4, 1),
        **ADVERSARIAL | {"inputs": [floats(4, 8, 8, 1), floats(4, 2, 4, 4, 1)], "names": (*ADVERSARIAL["names"], "l1_loss")},
    ),
    "flow_net": Case(
        lambda: optical_flows.FlowNet(optical_flows.FlowNetConfig((4, 6), channels=1)),
        floats(4, 2, 8, 8, 1),
        floats(4, 8, 8, 2),
    ),
    "dcgan": Case(lambda: dcgan.build_dcgan(DCGAN, seed=2), floats(4, 16, 16, 3), **ADVERSARIAL),
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
                (4, 8, 8, 1), {"digit": 3}, {"color": 2}, filters=(4,), frame_feature_dim=6, temporal_filters=(6, 6)
            )
        ),
        floats(4, 4, 8, 8, 1),
        LABELS,
        CROSS_ENTROPY,
        names=("loss", "digit_loss", "color_loss"),
    ),
    "convlstm": Case(lambda: convlstm.ConvLSTM(CONVLSTM, 2), floats(4, 3, 8, 8, 1), floats(4, 5, 8, 8, 1), **PREDICTION),
    "simvp": Case(lambda: simvp.build_simvp(SIMVP), floats(4, 3, 8, 8, 1), floats(4, 2, 8, 8, 1), **PREDICTION),
    "latent_gru": Case(lambda: latent_rnn.LatentGRU(RNN), floats(4, 5, 3)),
    "latent_svg": Case(lambda: latent_rnn.LatentSVG(RNN, seed=2), floats(4, 5, 3), names=("loss", "prediction_loss", "kl_loss")),
}  # fmt: skip


def latent_diffusion(**conditioning):
    """A diffusion transformer and a batch of all that it may be conditioned on."""
    config = dit.DiffusionConfig(num_frames=5, latent_dim=3, hidden_dim=8, num_layers=1, num_heads=2, **conditioning)
    x = {"noisy": floats(4, 5, 3), "timesteps": np.abs(floats(4, 5))}
    if config.has_captions:
        x["tokens"] = RNG.integers(0, 100, (4, 6)).astype("int32")
    if config.num_scene_layers > 1:
        x["background"] = floats(4, 5, 3)
    return Case(lambda: dit.LatentDiffusion(config), x, floats(4, 5, 3), "mse")


def tokenizer(quantizer):
    """A video tokenizer and a batch of clips."""
    config = video_tokenizer.VideoTokenizerConfig(image_size=8, filters=(4, 6), levels=(4, 3), quantizer=quantizer, vq_dim=3)
    names = ("loss", "reconstruction_loss")
    return Case(lambda: video_tokenizer.VideoTokenizer(config), floats(4, 3, 8, 8, 1), names=names)


GPT = autoregressive.GPTConfig(
    levels=(7,), num_tokens=6, num_condition_ids=4, condition_length=2, hidden_dim=16, num_layers=1, num_heads=2
)
CLIP_TOKENS = {"condition": RNG.integers(0, 5, (4, 2)).astype("int32"), "tokens": RNG.integers(0, 7, (4, 6)).astype("int32")}

ANIMATOR = animator.AnimatorConfig(8, 1, 2, filters=(4, 6), map_channels=1, encoder_filters=(4, 4))
COLORIZER = colorizer.ColorizerConfig(8, 1, 4, filters=(4, 6))
CONDITIONAL = conditional_dit.ConditionalDiffusionConfig(
    num_frames=4, latent_dim=3, hidden_dim=8, num_layers=1, num_heads=2, num_labels=5, num_attributes=2,
    image_size=8, image_channels=1, image_filters=(4, 4), has_grid=True
)  # fmt: skip
SPACE_TIME = space_time_dit.SpaceTimeConfig(
    num_frames=2, latent_channels=3, hidden_dim=12, num_layers=1, num_heads=2, vocabulary_size=20, prompt_length=5,
    grid_size=2, text_dim=8, text_layers=1
)  # fmt: skip
CONDITIONS = {"labels": RNG.integers(0, 5, (4, 2)).astype("int32"), "image": floats(4, 8, 8, 1)}


def style_transfer_case():
    """Training of a style network, and a batch of consecutive frames, their motion and a style each."""
    textures = style.TextureConfig(filters=(3, 4, 4), num_classes=3)
    config = style_transfer.StyleConfig(filters=(4, 6), num_blocks=1, style_dim=3, moment_dim=34)
    motion = {"flows": floats(4, 1, 16, 16, 2), "masks": np.abs(floats(4, 1, 16, 16, 1)).round()}
    grams = {f"gram_{i}": floats(4, size, size) for i, size in enumerate((4, 4, 4, 5, 5))}
    return Case(
        lambda: style_transfer.StyleTransfer(config, textures),
        {"frames": floats(4, 2, 16, 16, 3), **motion, "moments": floats(4, 34)},
        grams | {"sizes": 1 + np.abs(floats(4, 5))},
        names=("loss", "style_loss", "content_loss", "temporal_loss"),
        bfloat16_error=0.2,
    )


CASES |= {
    "animator": Case(lambda: animator.Animator(ANIMATOR), {"pair": floats(4, 2, 8, 8, 1), "parameters": floats(4, 2, 2)}),
    "colorizer": Case(lambda: colorizer.Colorizer(COLORIZER), [floats(4, 8, 8, 1), floats(4, 4, 4, 1)], floats(4, 8, 8, 1)),
    "conditional_diffusion": Case(
        lambda: conditional_dit.ConditionalDiffusion(CONDITIONAL),
        {"noisy": floats(4, 4, 3), "timesteps": np.abs(floats(4, 4))} | CONDITIONS,
        floats(4, 4, 3),
        "mse",
    ),
    "space_time_diffusion": Case(
        lambda: space_time_dit.SpaceTimeDiffusion(SPACE_TIME),
        {"noisy": floats(4, 2, 12), "timesteps": np.abs(floats(4, 1)), "tokens": RNG.integers(0, 20, (4, 5)).astype("int32")},
        floats(4, 2, 12),
        "mse",
    ),
    "style_transfer": style_transfer_case(),
    "video_tokenizer": tokenizer("fsq"),
    "vq_video_tokenizer": tokenizer("vq"),
    "gpt": Case(lambda: autoregressive.GPT(GPT), CLIP_TOKENS, names=("loss", "bits_per_token")),
    "ball_scene": Case(
        lambda: renderer.BallScene(renderer.RendererConfig(image_size=6)),
        np.float32([0, 0.1, 0.2, 0.3]),
        floats(4, 6, 6, 3),
        "mse",
    ),
    "latent_diffusion": latent_diffusion(),
    "text_to_video": latent_diffusion(has_captions=True),
    "scene_layers": latent_diffusion(num_scene_layers=2),
    "text_to_video_scene_layers": latent_diffusion(has_captions=True, num_scene_layers=2),
}

every_model = pytest.mark.parametrize("name", CASES)
# A graph takes seconds to trace: functional models, which Keras itself trains, and parts of other cases do without.
WITHOUT_A_GRAPH = (
    *("vq_video_tokenizer", "classifier", "video_classifier", "simvp", "text_to_video", "scene_layers"),
    *("colorizer", "conditional_diffusion"),
)


@dataclasses.dataclass(frozen=True)
class Run:
    """What is kept of a training with callbacks."""

    model: keras.Model
    untrained: list  # outputs before the first step
    losses: list  # at the end of each epoch, as a callback saw them
    checkpoints: Path  # of the model after each epoch: 1.keras and so on


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Function from a name to its `Run` of two epochs, trained once."""
    found = {}

    def get(name):
        if name not in found:
            case, losses, folder = CASES[name], [], tmp_path_factory.mktemp(name)
            model = case.compiled()
            found[name] = Run(model, case.call(model), losses, folder)
            callbacks = [
                keras.callbacks.EarlyStopping("loss", min_delta=1e9),  # no epoch improves by so much: the second one is the last
                keras.callbacks.ModelCheckpoint(folder / "{epoch}.keras", monitor="loss"),
                keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append(logs["loss"])),
            ]
            case.fit(model, epochs=4, callbacks=callbacks)
        return found[name]

    return get


@pytest.fixture
def trained(runs):
    """Function from a name to its model after two steps."""
    return lambda name: runs(name).model


@pytest.fixture
def policy():
    """Sets Keras' dtype policy for one test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def same(before, after):
    return all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@every_model
def test_a_model_is_evaluated_before_and_after_training_and_trained_again(name):
    case = CASES[name]
    model = case.compiled()
    weights, before = model.get_weights(), case.evaluate(model)
    assert set(before) == set(case.names) and np.isfinite(list(before.values())).all()
    assert same(weights, model.get_weights()), "evaluate changes no weight"
    for steps in (2, 1):
        weights = model.get_weights()
        assert np.isfinite(case.fit(model, steps)["loss"]).all() and not same(weights, model.get_weights())
    after = case.evaluate(model)
    assert after == case.evaluate(model) and after != before


@pytest.mark.parametrize("name", [name for name in CASES if name not in WITHOUT_A_GRAPH])
def test_a_model_is_trained_and_predicts_in_a_graph(name):
    case = CASES[name]
    model = case.compiled(run_eagerly=False)
    history = case.fit(model, steps=2, validation_data=(case.x, case.y))
    assert set(history) == {*case.names, *(f"val_{metric}" for metric in case.names)}
    assert np.isfinite(keras.tree.flatten(history)).all()
    inputs = case.x if case.inputs is None else case.inputs
    for ours, eager in zip(arrays(model.predict(inputs, verbose=0)), case.call(model), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, eager, atol=1e-5)


@every_model
def test_an_output_is_repeatable_and_does_not_depend_on_the_rest_of_its_batch(name, trained):
    whole, again, one = (CASES[name].call(trained(name), count) for count in (4, 4, 1))
    assert same(whole, again)
    for a, b in zip(whole, one, strict=True):
        assert a.dtype == np.float32 and np.isfinite(a).all() and len(b) == 1
        np.testing.assert_allclose(b[0], a[0], atol=1e-5)


@every_model
def test_a_saved_model_comes_back_with_its_predictions_and_its_optimizers(name, trained, tmp_path):
    case, model = CASES[name], trained(name)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert type(loaded) is type(model) and same(case.call(model), case.call(loaded))
    states = [[v.numpy() for o in getattr(m, "optimizers", [m.optimizer]) for v in o.variables] for m in (model, loaded)]
    assert same(*states) and states[0][0] >= 2, "iterations and momentum"
    loaded.run_eagerly = True
    assert np.isfinite(case.fit(loaded)["loss"]).all()


@every_model
def test_saved_weights_go_into_a_new_model(name, trained, tmp_path):
    case, model = CASES[name], trained(name)
    model.save_weights(tmp_path / "m.weights.h5")
    keras.utils.set_random_seed(9)
    fresh = case.build()
    assert not same(case.call(model), case.call(fresh))
    fresh.load_weights(tmp_path / "m.weights.h5")
    assert same(case.call(model), case.call(fresh))


@every_model
def test_a_new_model_has_all_its_weights_and_a_summary(name):
    model, lines = CASES[name].build(), []
    model.summary(print_fn=lambda text, **options: lines.append(text), expand_nested=True)
    assert model.built and f"{model.count_params():,}" in "".join(lines)
    counts = [len(model.weights), model.count_params()]
    CASES[name].call(model)
    assert counts == [len(model.weights), model.count_params()]


@every_model
def test_callbacks_see_the_loss(name, runs):
    run = runs(name)
    assert len(run.losses) == 2 and np.isfinite(run.losses).all()
    case, kept = CASES[name], keras.models.load_model(run.checkpoints / "2.keras")
    assert same(case.call(run.model), case.call(kept))


@every_model
def test_a_model_trains_in_bfloat16_and_keeps_its_precision_in_its_file(name, runs, policy, tmp_path):
    case, full = CASES[name], runs(name).untrained
    policy("mixed_bfloat16")
    model = case.compiled()
    for a, b in zip(full, case.call(model), strict=True):
        assert b.dtype == np.float32
        np.testing.assert_allclose(a, b, atol=case.bfloat16_error)
    weights = model.get_weights()
    assert {w.dtype.name for w in weights if w.dtype.kind not in "iu"} == {"float32"}
    assert np.isfinite(case.fit(model)["loss"]).all() and np.isfinite(case.evaluate(model)["loss"])
    assert not same(weights, model.get_weights())
    model.save(tmp_path / "m.keras")
    policy("float32")
    assert same(case.call(model), case.call(keras.models.load_model(tmp_path / "m.keras")))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.loss is None])  # with losses of their own
def test_a_model_trains_in_float16_with_scaled_losses(name, policy):
    case = CASES[name]
    policy("mixed_float16")
    model = case.compiled()
    optimizers = getattr(model, "optimizers", [model.optimizer])
    assert all(isinstance(optimizer, keras.optimizers.LossScaleOptimizer) for optimizer in optimizers)
    assert np.isfinite(case.fit(model)["loss"]).all() and np.isfinite(case.evaluate(model)["loss"])
    assert all(np.isfinite(part).all() for part in case.call(model))


@pytest.mark.parametrize("name", ["glo", "dcgan", "vae", "convlstm", "latent_svg"])
def test_an_exported_model_predicts_the_same(name, tmp_path):
    import tensorflow as tf

    case, options = CASES[name], {}
    model = case.build()
    expected = case.call(model)
    if name == "convlstm":  # its number of frames is part of what is exported
        options["input_signature"] = [keras.InputSpec("float32", shape=(None, 3, 8, 8, 1))]
    model.export(tmp_path / "m", verbose=False, **options)
    exported = tf.saved_model.load(str(tmp_path / "m"))
    served = exported.serve(tf.cast(case.x if case.inputs is None else case.inputs, "float32"))
    for a, b in zip(expected, arrays(served), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("name", ["mlp_gan", "dcgan", "vae", "convlstm"])
def test_pixels_from_0_to_255_are_refused(name):
    case = CASES[name]
    wrong = dataclasses.replace(case, x=np.full(case.x.shape, 200, np.uint8))
    for use in (wrong.fit, wrong.evaluate):
        with pytest.raises(CourseError, match=r"float frames in \[-1, 1\], got uint8: convert pixels"):
            use(case.compiled())


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


@pytest.mark.parametrize(
    "config", [CONVLSTM, SIMVP, RNN, DCGAN, VIDEO_GAN, FLOW_GAN, GPT, glo.GLOConfig(num_frames=5), vae.VAEConfig()]
)
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
        model = case.compiled(run_eagerly=False)
        values = [*case.evaluate(model).values(), *keras.tree.flatten(case.fit(model, epochs=2))]
        assert np.isfinite(values).all(), name
        model.save(f"{name}.keras")
        loaded = keras.models.load_model(f"{name}.keras")
        assert same(case.call(model), case.call(loaded)), name
    print("trained", *names, "on", keras.backend.backend())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_single_loss_models_run_on_jax(tmp_path):
    pytest.importorskip("jax")
    names = [name for name, case in CASES.items() if "jax" in case.backends]
    code = f"import test_models; test_models.train_on_this_backend({names})"
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": path}
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout.endswith("on jax\n")
