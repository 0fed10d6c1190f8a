"""The measurements: what is printed is what is returned, and the data keep far ahead of the models."""

import re

import pytest

from vidgen_tf import bench, datasets
from vidgen_tf.__main__ import main
from vidgen_tf.errors import CourseError


@pytest.mark.slow
def test_the_data_keep_ahead_of_the_models(capsys):
    rows = bench.bench(0.2)
    rates = {row["name"]: row["rate"] for row in rows}
    models = [name for name, _, _ in bench.MODELS]
    matrix = "matrix product, float32 2048 x 2048"
    kinds = [f"{kind} {name}" for name in models for kind in ("train", "feed")]
    assert list(rates) == [matrix, *(f"world {name}" for name in datasets.DATASETS), *kinds]
    assert min(rates.values()) > 0

    header, *table = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"Keras [\d.]+, TensorFlow [\d.]+, \d+ cores", header)
    for line, row in zip(table, rows, strict=True):
        rate = re.fullmatch(rf"{re.escape(row['name'])} +([\d.]+) {row['unit']}{re.escape(row['remark'])}", line)[1]
        assert float(rate) == pytest.approx(row["rate"], abs=0.5)

    assert rates["world shapes"] >= 1500
    for name in models:
        assert rates[f"feed {name}"] >= 20 * rates[f"train {name}"]


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_a_measurement_takes_time(seconds, capsys):
    with pytest.raises(CourseError, match="more than 0 seconds"):
        bench.bench(float(seconds))
    assert main(["bench", "--seconds", seconds]) == 1
    assert capsys.readouterr().err.startswith("error: A measurement takes more than 0 seconds, got ")


def test_the_work_of_a_model_is_that_of_its_kernels():
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5), keras.layers.ReLU(), keras.layers.Dense(7)])
    assert bench.forward_flops(model) == 2 * (3 * 5 + 5 * 7)
    assert bench.step_flops(model) == 3 * bench.forward_flops(model)


def test_the_work_of_a_convolution_is_its_kernel_at_every_place():
    import keras

    down = keras.layers.Conv2D(5, 3, strides=2, padding="same")
    up = keras.layers.Conv2DTranspose(2, 4, strides=2, padding="same")
    model = keras.Sequential([keras.Input((8, 8, 3)), down, up])
    assert bench.forward_flops(model) == 2 * 3 * 3 * 3 * 5 * 4 * 4 + 2 * 4 * 4 * 5 * 2 * 4 * 4


def test_the_work_of_a_recurrent_model_is_that_of_its_frames():
    from vidgen_tf.models.latent_rnn import LatentRNNConfig, build_predictor

    model = build_predictor(LatentRNNConfig(latent_dim=3, units=5), z_dim=2)
    gates = 5 * 15 + 5 * 15  # three gates read three latents and two of z, and five of the state
    for_one_frame = 2 * (gates + 5 * 5 + 5 * 3)
    assert bench.forward_flops(model) == for_one_frame
    assert bench.step_flops(model, times=7) == 3 * 7 * for_one_frame
    model, data = {name: build for name, build, _ in bench.MODELS}["stochastic GRUs, 24 latents"](8)
    assert bench._times(data) == 24 and bench._times(data.map(lambda paths: (paths, paths))) == 1


def test_the_work_of_a_gan_counts_its_penalties():
    from vidgen_tf.models import gan

    config = gan.MLPGANConfig(latent_dim=2, hidden=(3,), frame_size=2)

    def work(gamma, every):
        pair = gan.build_mlp_generator(config), gan.build_mlp_discriminator(config)
        return bench.step_flops(gan.GAN(*pair, gan.bce_losses, gamma, every))

    generator, discriminator = 2 * (2 * 3 + 3 * 4), 2 * (4 * 3 + 3 * 1)
    assert work(0.0, 1) == 4 * generator + 9 * discriminator
    assert work(1.0, 1) == 4 * generator + 21 * discriminator
    assert work(1.0, 4) == 4 * generator + 12 * discriminator


def test_the_work_of_a_convlstm_is_its_kernels_at_every_place_of_every_frame():
    from vidgen_tf.models.convlstm import ConvLSTM, ConvLSTMConfig

    model = ConvLSTM(ConvLSTMConfig(frame_size=16, patch=4, filters=(3, 5), kernel_size=5))
    cells = 25 * (16 + 3) * 12 + 25 * (3 + 5) * 20
    head = 9 * (16 + 3 + 5) * 16
    assert bench.forward_flops(model) == 19 * 2 * 16 * (cells + head)


def test_the_work_of_a_transformer_is_the_students_for_each_frame():
    from vidgen_tf.models.diffusion import DiffusionConfig, FlowMatching, LatentDiffusion

    trainer = FlowMatching(LatentDiffusion(DiffusionConfig(frames=5, latent_dim=3, width=8, depth=1, heads=2)))
    block = 8 * 24 + 8 * 8 + 8 * 32 + 32 * 8 + 2 * 8 * 24  # attention, two layers that think, two norms that are told
    others = 8 * 8 + 8 * 8 + 3 * 8 + 8 * 16 + 8 * 3  # noise level, way in, last norm, way out
    assert bench.step_flops(trainer, times=99) == 3 * 5 * 2 * (block + others)
