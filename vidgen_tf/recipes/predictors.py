"""How the frame predictors are trained."""

import itertools
import keras
from ..worlds import digits
from .. import training
from ..datasets import to_model
from ..models.convlstm import bce_loss, mse_metric


CONTEXT, FUTURE = 10, 10  # frames to look at, frames to predict: the benchmark's


def lesson(model):
    """Which frames of a clip of 20 a predictor is shown in training, and which it has to predict.

    Args:
        model: `ConvLSTM`, or a model of `build_simvp`.

    Returns:
        two slices.
    """
    whole = CONTEXT + FUTURE
    if hasattr(model, "free_frames"):  # it predicts a frame at every step, so all but the first are its targets
        return slice(0, whole - 1 - model.free_frames), slice(1, whole)
    return slice(0, CONTEXT), slice(CONTEXT, whole)


def streaming_batches(model, world, batch_size, first_step=0):
    """Endless batches of training clips that are drawn as they are needed, none of them twice.

    Args:
        model: whose `lesson` it is.
        world: dict of arguments of `vidgen_tf.worlds.digits.make_canonical`, a seed among them.
        batch_size: clips per batch.
        first_step: number of the first batch; batch `step` is the same whatever it is.

    Returns:
        `tf.data.Dataset` of (shown, wanted) frames, float32 `(batch_size, T, H, W, 1)` in [-1, 1].
    """
    import tensorflow as tf

    shown, wanted = lesson(model)

    def draw():
        for step in itertools.count(first_step):
            yield digits.make_canonical(batch_size, start=step * batch_size, **world).frames

    data = tf.data.Dataset.from_generator(draw, output_signature=tf.TensorSpec(next(draw()).shape, tf.uint8)).map(to_model)
    return data.map(lambda clips: (clips[:, shown], clips[:, wanted])).prefetch(2)


def fit_predictor(model, world, steps, batch_size=8, rate=2e-3, loss=bce_loss, **options):
    """Trains a predictor on fresh clips.

    The optimizer is Adam. Its step size rises over the first twentieth of the steps and then falls along a cosine, and a gradient
    longer than 100 is shortened to that.

    Args:
        model: `ConvLSTM`, or a model of `build_simvp`.
        world: dict of arguments of `vidgen_tf.worlds.digits.make_canonical`, a seed among them.
        steps: training steps in all.
        batch_size: clips per step.
        rate: largest step size.
        loss: `bce_loss` or `bce_l1_loss`.
        **options: checkpoint, callbacks and the other options of `training.fit`.

    Returns:
        The history of `training.fit`: "loss", and "frame_error", the squared error.
    """
    warm = steps // 20
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps - warm, warmup_target=rate, warmup_steps=warm)
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=100.0)
    model.compile(optimizer, loss=loss, metrics=[mse_metric], jit_compile=False)

    def batches(first):
        return streaming_batches(model, world, batch_size, first)

    return training.fit(model, batches, steps, **options)
