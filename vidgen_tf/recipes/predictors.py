"""How the frame predictors are trained: on Moving MNIST clips, or clips of a bouncing ball, that are drawn as they are needed."""

import dataclasses
import functools
import itertools

import keras
import tensorflow as tf

from .. import training
from ..datasets import to_float
from ..models.convlstm import ConvLSTM, ConvLSTMConfig, bce_l1_loss, bce_loss, mse_metric
from ..models.simvp import SimVPConfig
from ..worlds import digits, spheres
from .recipe import Recipe

NUM_CONTEXT_FRAMES, NUM_FUTURE_FRAMES = 10, 10  # the benchmark's


def split_context(model):
    """Which frames of a clip a predictor reads in training, and which are its targets.

    Args:
        model: `ConvLSTM`, or a model of `build_simvp`.

    Returns:
        two slices.
    """
    num_frames = NUM_CONTEXT_FRAMES + NUM_FUTURE_FRAMES
    if hasattr(model, "num_free_running_frames"):  # it predicts at every time step: all frames but the first are its targets
        return slice(0, num_frames - 1 - model.num_free_running_frames), slice(1, num_frames)
    num_context_frames = model.input_shape[1]
    return slice(0, num_context_frames), slice(num_context_frames, num_context_frames + model.output_shape[1])


def streaming_batches(model, options, batch_size, first_step=0):
    """Endless batches of training clips that are drawn as they are needed, none of them twice.

    Args:
        model: the predictor, whose `split_context` they have.
        options: dict of arguments of `vidgen_tf.worlds.digits.make_moving_mnist`, a seed among them; or, with "make", another
            function of a world, of that one's.
        batch_size: clips per batch.
        first_step: number of the first batch; batch `step` is the same whatever it is.

    Returns:
        `tf.data.Dataset` of (context, target) frames, float32 `(batch_size, T, H, W, C)` in [-1, 1].
    """
    context, target = split_context(model)
    options = {"make": digits.make_moving_mnist} | options
    make = options.pop("make")

    def draw():
        for step in itertools.count(first_step):
            yield make(batch_size, start=step * batch_size, **options).frames

    data = tf.data.Dataset.from_generator(draw, output_signature=tf.TensorSpec(next(draw()).shape, tf.uint8)).map(to_float)
    return data.map(lambda clips: (clips[:, context], clips[:, target])).prefetch(2)


def fit_predictor(model, options, steps, batch_size=8, learning_rate=2e-3, loss=bce_loss, **fit_options):
    """Trains a predictor on clips of which none comes twice.

    The optimizer is Adam. Its learning rate rises over the first twentieth of the steps and then falls along a cosine, and a
    gradient longer than 100 is shortened to that.

    Args:
        model: `ConvLSTM`, or a model of `build_simvp`.
        options: dict of arguments of `vidgen_tf.worlds.digits.make_moving_mnist`, a seed among them.
        steps: training steps in all.
        batch_size: clips per step.
        learning_rate: float, the largest.
        loss: `bce_loss` or `bce_l1_loss`.
        **fit_options: checkpoint, callbacks and the other options of `training.fit`.

    Returns:
        The history of `training.fit`: "loss", and "mse_metric", the squared error of a frame.
    """
    warmup = {"warmup_target": learning_rate, "warmup_steps": steps // 20}
    schedule = keras.optimizers.schedules.CosineDecay(0.0, steps - steps // 20, **warmup)
    optimizer = keras.optimizers.Adam(schedule, global_clipnorm=100.0)
    model.compile(optimizer, loss=loss, metrics=[mse_metric], jit_compile=False)

    def batches(first):
        return streaming_batches(model, options, batch_size, first)

    return training.fit(model, batches, steps, **fit_options)


def _train(recipe, model, steps, checkpoint):
    """Trains a predictor; a ConvLSTM from the first step on its own predictions (free-running)."""
    if isinstance(model, ConvLSTM):
        model.num_free_running_frames = NUM_FUTURE_FRAMES - 1
    settings = dict(recipe.training)
    loss = functools.partial(bce_l1_loss, l1_weight=settings.pop("l1_weight"))
    loss.__name__ = "bce_l1_loss"  # Keras asks for it
    return fit_predictor(model, STREAMS[recipe.dataset[0]], steps, loss=loss, checkpoint=checkpoint, log_interval=100, **settings)


STREAM = {"seed": 210}  # its first 2000 clips are the data set's own, and so are those of the other stream
STREAMS = {"moving-digits": STREAM, "bouncing-spheres": {"make": spheres.make_bouncing, "seed": 420}}
_CONVLSTM = Recipe(
    name="convlstm-digits",
    title="ConvLSTM: Moving MNIST, two digits that bounce about, 64x64 grey, 10 frames after 10",
    model="ConvLSTM",
    config=ConvLSTMConfig(image_size=64, filters=(64, 64)),
    dataset=("moving-digits", "train"),
    steps={"fast": 400, "full": 3500},
    seed=9,
    train=_train,
    evaluation="prediction",
    pipeline="frame_prediction",
    reference="moving-digits",
    sampling={"num_context_frames": NUM_CONTEXT_FRAMES, "inverse_temperature": 1.5},  # best SSIM on validation of 1, 1.5, 2, 3
    training={"batch_size": 8, "learning_rate": 1e-3, "l1_weight": 4.0},
)
RECIPES = [
    _CONVLSTM,
    dataclasses.replace(
        _CONVLSTM,
        name="simvp-digits",
        title="SimVP: convolutions alone on Moving MNIST, 64x64 grey, 10 frames after 10",
        model="SimVP",
        config=SimVPConfig(image_size=64, filters=96, num_layers=6),
        steps={"fast": 600, "full": 9000},
        training={"batch_size": 16, "learning_rate": 1e-3, "l1_weight": 2.0},
    ),
    dataclasses.replace(
        _CONVLSTM,
        name="simvp-spheres",
        title="SimVP: a ball that is thrown and bounces, 32x32 RGB, 12 frames after 4, of a range of radii, speeds and drops",
        model="SimVP",
        config=SimVPConfig(image_size=32, channels=3, filters=80, num_layers=4, num_context_frames=4, num_future_frames=12),
        dataset=("bouncing-spheres", "train"),
        steps={"fast": 500, "full": 4000},
        evaluation="bouncing",
        reference="bouncing-spheres",
        sampling={"num_context_frames": 4, "inverse_temperature": 1.0},
        training={"batch_size": 8, "learning_rate": 2e-3, "l1_weight": 0.0},  # with an absolute error, faint balls vanish
    ),
]
