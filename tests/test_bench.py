"""The measurements: what is printed is what is returned, and the work of a model is what TensorFlow's own profiler counts."""

import re

import keras
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.python.profiler.model_analyzer import profile
from tensorflow.python.profiler.option_builder import ProfileOptionBuilder

from vidgen_tf import bench, datasets
from vidgen_tf.errors import CourseError
from vidgen_tf.models import gan
from vidgen_tf.models.convlstm import ConvLSTM, ConvLSTMConfig


@pytest.mark.parametrize("name, build", [row[:2] for row in bench.MODELS])
def test_every_model_is_built_and_takes_its_data(name, build):
    """Without training: tracing the steps of all of them takes more than a minute."""
    model, data = build(2)
    batch = next(iter(data))
    assert model.compiled and bench.step_flops(model, bench._times(data)) > 0
    assert {len(part) for part in tf.nest.flatten(batch)} == {2}


@pytest.mark.slow
def test_every_row_is_measured_and_printed(capsys, monkeypatch):
    chosen = ("MLP GAN, relativistic pairing loss, 28x28", "dense frame generator, 64x64 RGB")
    monkeypatch.setattr(bench, "MODELS", [(name, build, 2) for name, build, _ in bench.MODELS if name in chosen])
    rows = bench.bench(0.02)
    names = [row["name"] for row in rows]
    models = [name for name, _, _ in bench.MODELS]
    matrix = "matrix product, float32 2048 x 2048"
    kinds = [f"{kind} {name}" for name in models for kind in ("train", "feed")]
    assert names == [matrix, *(f"data {name}" for name in datasets.DATASETS), *kinds]
    assert min(row["rate"] for row in rows) > 0

    header, *table = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"Keras [\d.]+, TensorFlow [\d.]+, \d+ cores", header)
    for line, row in zip(table, rows, strict=True):
        rate = re.fullmatch(rf"{re.escape(row['name'])} +([\d.]+) {row['unit']}{re.escape(row['remark'])}", line)[1]
        assert float(rate) == pytest.approx(row["rate"], abs=0.5)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_measurement_takes_time(seconds):
    with pytest.raises(CourseError, match="more than 0 seconds"):
        bench.bench(seconds)


def counted(function, *shapes):
    """Floating point operations of a function of one item, by TensorFlow's profiler."""
    graph = tf.function(function).get_concrete_function(*(tf.TensorSpec((1, *shape)) for shape in shapes)).graph
    options = ProfileOptionBuilder(ProfileOptionBuilder.float_operation()).with_empty_output().build()
    return profile(graph, options=options).total_float_ops


@pytest.mark.parametrize(
    "shape, layer",
    [
        ((3,), layers.Dense(5, use_bias=False)),
        ((8, 8, 3), layers.Conv2D(5, 3, strides=2, padding="same", use_bias=False)),
        ((4, 4, 5), layers.Conv2DTranspose(2, 4, strides=2, padding="same", use_bias=False)),
    ],
    ids=["dense", "convolution", "transposed convolution"],
)
def test_the_work_of_a_layer_is_what_the_profiler_counts(shape, layer):
    model = keras.Sequential([keras.Input(shape), layer])
    assert bench.forward_flops(model) == counted(model, shape)
    assert bench.step_flops(model, times=7) == 3 * 7 * bench.forward_flops(model)


def test_the_work_of_a_recurrent_layer_is_that_of_its_frames():
    """The profiler counts additions and gates as well, which are a tenth of it here."""
    model = keras.Sequential([keras.Input((6, 30)), layers.GRU(50, unroll=True)])
    assert 1 < counted(model, (6, 30)) / (6 * bench.forward_flops(model)) < 1.1


def test_items_of_trajectories_pass_frame_by_frame():
    _, data = {name: build for name, build, _ in bench.MODELS}["stochastic GRUs, 24 latents"](8)
    assert bench._times(data) == 24 and bench._times(data.map(lambda paths: (paths, paths))) == 1


@pytest.mark.parametrize("losses, gamma", [(gan.non_saturating_losses, 0.0), (gan.rpgan_losses, 1.0)])
def test_the_work_of_a_gans_step_is_what_the_profiler_counts(losses, gamma):
    """Both players' forward and backward passes, and the penalties with their second derivatives."""
    config = gan.MLPGANConfig(latent_dim=100, hidden_dims=(200, 300), image_size=16)
    pair = gan.GAN(gan.build_mlp_generator(config), gan.build_mlp_discriminator(config), losses, gamma)
    pair.compile(keras.optimizers.SGD(), keras.optimizers.SGD(), jit_compile=False)
    count = 64  # what an optimizer does for all items together weighs little then
    graph = tf.function(pair.train_step).get_concrete_function(tf.TensorSpec((count, 16, 16, 1))).graph
    options = ProfileOptionBuilder(ProfileOptionBuilder.float_operation()).with_empty_output().build()
    assert profile(graph, options=options).total_float_ops / count == pytest.approx(bench.step_flops(pair), rel=0.15)


def test_the_work_of_a_convlstm_is_what_the_profiler_counts():
    model = ConvLSTM(ConvLSTMConfig(image_size=16, patch_size=4, filters=(30, 50), kernel_size=5))
    assert counted(model, (19, 16, 16, 1)) == pytest.approx(bench.forward_flops(model), rel=0.05)


def test_the_work_of_a_gpt_is_what_the_profiler_counts():
    """Blocks and the head's products with the vectors of all codes; the profiler counts attention's products as well."""
    model, data = {name: build for name, build, _ in bench.MODELS}["autoregressive transformer, 60 tokens"](2)
    x = tf.nest.map_structure(lambda part: tf.TensorSpec((1, *part.shape[1:]), part.dtype), data.element_spec)
    graph = tf.function(model).get_concrete_function(x).graph
    options = ProfileOptionBuilder(ProfileOptionBuilder.float_operation()).with_empty_output().build()
    assert 1 < profile(graph, options=options).total_float_ops * 3 / bench.step_flops(model) < 1.2
