"""What this machine can do, and what the course makes of it: one table."""

import os
import time

import numpy as np


def bench(seconds=3.0):
    """Prints the matrix rate, the speed of each world, of the input pipeline, and of a training step of each model.

    Args:
        seconds: about how long each row is measured.
    """
    import keras
    import tensorflow as tf

    print(f"Keras {keras.__version__}, TensorFlow {tf.__version__}, {os.cpu_count()} cores\n")
    peak = matrix_rate(seconds)
    print(f"{'matrix product, float32 2048 x 2048':44} {peak / 1e9:8.0f} GFLOP/s\n")
    for name, rate in world_rates(seconds):
        print(f"{'world ' + name:44} {rate:8.0f} clips/s on one core")
    print()
    for name, build, batch in MODELS:
        model, data = build(batch)
        feeds = batches_per_second(data, seconds)
        steps = steps_per_second(model, data, seconds)
        share = 3 * batch * forward_flops(model) * steps / peak  # backward costs about twice forward
        print(f"{'train ' + name:44} {steps:8.1f} steps/s of {batch}, {share:4.0%} of the matrix rate")
        print(f"{'  its pipeline':44} {feeds:8.1f} batches/s, {feeds / steps:.0f} times what the model takes")


def matrix_rate(seconds):
    """Floating point operations per second of a large float32 matrix product: the best of several runs."""
    import tensorflow as tf

    a = tf.random.normal((2048, 2048))
    multiply = tf.function(lambda x: tf.matmul(x, a))
    multiply(a)
    best, until = np.inf, time.monotonic() + seconds
    while time.monotonic() < until:
        start = time.perf_counter()
        multiply(a).numpy()
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best


def world_rates(seconds):
    """Yields dataset name and clips drawn per second of processor time."""
    from .datasets import DATASETS

    for name, dataset in DATASETS.items():
        dataset.make("train", 0, 4)
        made, start = 0, time.process_time()
        while time.process_time() - start < seconds:
            dataset.make("train", made, 64)
            made += 64
        yield name, made / (time.process_time() - start)


def batches_per_second(data, seconds):
    """Rate at which a `tf.data.Dataset` gives batches that nobody uses."""
    iterator = iter(data)
    next(iterator)
    count, start = 0, time.monotonic()
    while time.monotonic() - start < seconds:
        next(iterator)
        count += 1
    return count / (time.monotonic() - start)


def steps_per_second(model, data, seconds):
    """Rate of training steps, without compilation and the start of `fit`."""
    import keras

    def rate(steps):
        ends = []
        clock = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: ends.append(time.monotonic()))
        model.fit(data, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0, callbacks=[clock])
        return (steps - 6) / (ends[-1] - ends[5])

    return rate(max(20, int(seconds * rate(20))))


def forward_flops(model):
    """Floating point operations of a forward pass for one item: two for each weight of a dense kernel."""
    from keras import layers

    return sum(
        2 * layer.kernel.shape[0] * layer.kernel.shape[1] for layer in model._flatten_layers() if isinstance(layer, layers.Dense)
    )


def _dense(batch):
    import keras

    from .datasets import pipeline
    from .models.dense import DenseConfig, LatentFrames

    frames = np.random.default_rng(0).integers(0, 256, (512, 64, 64, 3), dtype=np.uint8)
    model = LatentFrames(len(frames), DenseConfig())
    model.compile(keras.optimizers.Adam(1e-3), loss="mse", jit_compile=True)
    return model, pipeline(np.arange(len(frames)), frames, batch_size=batch)


# Name, function from a batch size to a compiled model and its data, batch size. Later chapters add their rows.
MODELS = [("dense frame generator, 64x64 RGB", _dense, 64)]
